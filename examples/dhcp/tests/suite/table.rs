//! What the model leaves open: which of several addresses is given.

use std::time::Duration;

use dhcp::{Change, DhcpError, Lease, Planned, State, Table, Terms};
use rackhd_api::{MacAddress, NodeId};
use rmi_core::time::Timestamp;

use crate::world::{ip, mac, pool};

const DAY: Duration = Duration::from_secs(86_400);

fn start() -> Timestamp {
    Timestamp::from_millis(1_795_218_960_000)
}

fn done<T>(table: &mut Table, planned: Result<Planned<T>, DhcpError>) -> T {
    let Planned { answer, changes } = planned.unwrap();
    table.apply(changes);
    answer
}

fn bound(table: &mut Table, mac: MacAddress, now: Timestamp) -> Lease {
    let planned = table.bind(mac, None, None, now);
    done(table, planned)
}

#[test]
fn a_machine_gets_its_former_address_again_as_long_as_nobody_else_needs_it() {
    let mut table = Table::new(pool(), Terms::default());
    for last in 1..=3 {
        assert_eq!(bound(&mut table, mac(last), start()).ip, ip(last));
    }
    let later = start().plus(DAY);
    assert_eq!(table.leases(later).count(), 0, "all have ended");
    // Those that nobody has had go first: 4, 5, 6.
    for last in 4..=6 {
        assert_eq!(bound(&mut table, mac(last), later).ip, ip(last));
    }
    assert_eq!(bound(&mut table, mac(2), later).ip, ip(2));
    // Of what has ended the one that ended first, whose holder is known no more.
    assert_eq!(bound(&mut table, mac(7), later).ip, ip(1));
    assert_eq!(bound(&mut table, mac(1), later).ip, ip(3));
    let full = table.bind(mac(3), None, None, later).unwrap_err();
    assert_eq!(full.to_string(), "no address of the pool 10.1.1.1-10.1.1.6 is free");
}

#[test]
fn an_offer_is_kept_for_half_a_minute_and_is_no_use_of_the_address() {
    let mut table = Table::new(pool(), Terms::default());
    let planned = table.offer(mac(1), Some(ip(4)), start());
    let offer = done(&mut table, planned);
    assert_eq!((offer.ip, offer.state), (ip(4), State::Offered));
    assert_eq!(table.lookup(ip(4), start()), Err(DhcpError::NotLeased { ip: ip(4) }));
    assert_eq!(table.pin_mac(mac(1), start()), Err(DhcpError::NoLease { mac: mac(1) }));
    let taken = table.bind(mac(2), Some(ip(4)), None, start()).unwrap_err();
    assert_eq!(taken, DhcpError::Taken { ip: ip(4), holder: mac(1) });
    let late = start().plus(Duration::from_secs(30));
    assert_eq!(table.bind(mac(2), Some(ip(4)), None, late).unwrap().answer.ip, ip(4));
    let planned = table.bind(mac(1), Some(ip(4)), None, start());
    assert_eq!(done(&mut table, planned).state, State::Bound);
    assert_eq!(table.lookup(ip(4), late), Ok(mac(1)));
}

#[test]
fn a_renewal_begins_anew_and_keeps_what_is_known_of_the_machine() {
    let mut table = Table::new(pool(), Terms::default());
    let node = NodeId::from("507f191e810c19729de860ea");
    let planned = table.bind(mac(1), None, Some(node.clone()), start());
    let first = done(&mut table, planned);
    assert_eq!((first.renew_at(), first.rebind_at()), (start().plus(DAY / 2), start().plus(DAY / 8 * 7)));
    let noon = start().plus(DAY / 2);
    let again = bound(&mut table, mac(1), noon);
    assert_eq!((again.ip, again.node, again.until), (first.ip, Some(node), noon.plus(DAY).as_millis()));
}

#[test]
fn another_pool_leaves_leases_to_end_and_pins_to_their_holders() {
    let mut table = Table::new("10.2.0.0/29".parse().unwrap(), Terms::default());
    let lease = |n: u8, until| {
        let until = start().plus(until).as_millis();
        Change::Leased(Lease { mac: mac(n), ip: ip(n), node: None, state: State::Bound, since: start().as_millis(), until })
    };
    table.apply([lease(1, DAY), lease(2, DAY), Change::Pinned(mac(2), ip(2)), lease(3, Duration::ZERO)]);
    assert_eq!(table.strays(start()), 3);
    assert_eq!(table.leftovers(start()), [Change::Removed(mac(3))]);
    assert_eq!(table.lookup(ip(1), start()), Ok(mac(1)));
    assert_eq!(bound(&mut table, mac(1), start()).ip.octets(), [10, 2, 0, 1]);
    assert_eq!(bound(&mut table, mac(2), start()).ip, ip(2));
    let outside = table.bind(mac(4), Some(ip(4)), None, start()).unwrap_err();
    assert_eq!(outside, DhcpError::OutOfPool { ip: ip(4), pool: "10.2.0.1-10.2.0.6".to_owned() });
}

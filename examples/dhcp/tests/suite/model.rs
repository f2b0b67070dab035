//! The table against a model that is too simple to be wrong: lists, looked through from end to end.

use std::{collections::BTreeSet, net::Ipv4Addr, time::Duration};

use dhcp::{Change, DhcpError, Lease, Pin, State, Table, Terms};
use proptest::prelude::*;
use rackhd_api::MacAddress;
use rmi_core::time::Timestamp;

use crate::world::{ip, mac, pool};

/// What may be asked of a table. Two addresses are outside the pool, and there are more machines than addresses.
#[derive(Clone, Debug)]
enum Op {
    Offer(u8, Option<u8>),
    Bind(u8, Option<u8>),
    Remove(u8),
    RemoveByIp(u8),
    PinMac(u8),
    UnpinMac(u8),
    PinIp(u8),
    UnpinIp(u8),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let (m, i) = (0..9_u8, 0..9_u8);
    prop_oneof![
        3 => (m.clone(), proptest::option::of(i.clone())).prop_map(|(m, i)| Op::Offer(m, i)),
        5 => (m.clone(), proptest::option::of(i.clone())).prop_map(|(m, i)| Op::Bind(m, i)),
        1 => m.clone().prop_map(Op::Remove),
        1 => i.clone().prop_map(Op::RemoveByIp),
        2 => m.clone().prop_map(Op::PinMac),
        1 => m.prop_map(Op::UnpinMac),
        2 => i.clone().prop_map(Op::PinIp),
        1 => i.prop_map(Op::UnpinIp),
        2 => prop_oneof![Just(20_u64), Just(31), Just(50_000), Just(86_401)].prop_map(Op::Wait),
    ]
}

/// Only what has not ended, and what is pinned.
#[derive(Debug, Default)]
struct Model {
    leases: Vec<Lease>,
    pins: Vec<Pin>,
}

impl Model {
    fn of(&self, mac: MacAddress) -> Option<&Lease> {
        self.leases.iter().find(|lease| lease.mac == mac)
    }

    fn at(&self, ip: Ipv4Addr) -> Option<&Lease> {
        self.leases.iter().find(|lease| lease.ip == ip)
    }

    fn pin_of(&self, mac: MacAddress) -> Option<Pin> {
        self.pins.iter().copied().find(|pin| pin.mac == mac)
    }

    fn pin_at(&self, ip: Ipv4Addr) -> Option<Pin> {
        self.pins.iter().copied().find(|pin| pin.ip == ip)
    }

    /// Whether a machine may have an address.
    fn may(&self, mac: MacAddress, ip: Ipv4Addr) -> bool {
        let pinned = match (self.pin_of(mac), self.pin_at(ip)) {
            (None, None) => pool().contains(ip),
            (own, at) => own == at,
        };
        pinned && self.at(ip).is_none_or(|lease| lease.mac == mac)
    }

    fn give(&mut self, lease: Lease) {
        self.leases.retain(|other| other.mac != lease.mac);
        self.leases.push(lease);
    }

    fn used(&self, lease: Option<&Lease>) -> Option<Pin> {
        lease.filter(|lease| lease.state == State::Bound).map(|lease| Pin { mac: lease.mac, ip: lease.ip })
    }
}

/// Somewhere a machine may go.
fn anywhere(model: &Model, mac: MacAddress) -> bool {
    (0..9).any(|last| model.may(mac, ip(last)))
}

fn check_given(model: &mut Model, lease: &Lease, wanted: Option<u8>, state: State, now: Timestamp) -> Result<(), TestCaseError> {
    prop_assert!(model.may(lease.mac, lease.ip), "{lease:?} may not be given: {model:?}");
    let terms = Terms::default();
    let kept = model.of(lease.mac).filter(|own| own.ip == lease.ip && own.state == State::Bound).cloned();
    match (state, kept) {
        (State::Offered, Some(kept)) => prop_assert_eq!(&kept, lease, "what is in use is offered as it is"),
        _ => {
            let time = if state == State::Bound { terms.lease } else { terms.offer };
            prop_assert_eq!((lease.state, lease.since, lease.until), (state, now.as_millis(), now.plus(time).as_millis()));
        }
    }
    // What it has it keeps, unless another is pinned to it; otherwise it gets what it asks for, if that is free.
    let own = model.of(lease.mac).map(|own| own.ip);
    match (model.pin_of(lease.mac), own, wanted.map(ip)) {
        (Some(pin), ..) => prop_assert_eq!(lease.ip, pin.ip),
        (None, Some(own), _) if state == State::Offered || wanted.is_none() => prop_assert_eq!(lease.ip, own),
        (None, _, Some(wanted)) if state == State::Bound => prop_assert_eq!(lease.ip, wanted),
        _ => {}
    }
    model.give(lease.clone());
    Ok(())
}

fn run(ops: &[Op]) -> Result<(), TestCaseError> {
    let mut now = Timestamp::from_millis(1_795_218_960_000);
    let (mut table, mut model) = (Table::new(pool(), Terms::default()), Model::default());
    // What a file would have been told.
    let mut written: Vec<Change> = Vec::new();
    for op in ops {
        model.leases.retain(|lease| lease.until > now.as_millis());
        let mut apply = |table: &mut Table, changes: Vec<Change>| {
            written.extend(changes.iter().cloned());
            table.apply(changes);
        };
        match *op {
            Op::Wait(seconds) => now = now.plus(Duration::from_secs(seconds)),
            Op::Offer(m, wanted) => match table.offer(mac(m), wanted.map(ip), now) {
                Ok(planned) => {
                    check_given(&mut model, &planned.answer, wanted, State::Offered, now)?;
                    apply(&mut table, planned.changes);
                }
                Err(DhcpError::Exhausted { .. }) => prop_assert!(!anywhere(&model, mac(m))),
                Err(other) => prop_assert!(false, "{other:?}"),
            },
            Op::Bind(m, wanted) => match table.bind(mac(m), wanted.map(ip), None, now) {
                Ok(planned) => {
                    check_given(&mut model, &planned.answer, wanted, State::Bound, now)?;
                    apply(&mut table, planned.changes);
                }
                Err(DhcpError::Exhausted { .. }) => prop_assert!(wanted.is_none() && !anywhere(&model, mac(m))),
                Err(DhcpError::OutOfPool { ip, .. }) => {
                    prop_assert!(!pool().contains(ip) && model.pin_at(ip).is_none() && model.pin_of(mac(m)).is_none());
                }
                Err(DhcpError::Taken { ip, holder }) => {
                    let holders = [model.at(ip).map(|l| l.mac), model.pin_at(ip).map(|p| p.mac)];
                    prop_assert!(holder != mac(m) && holders.contains(&Some(holder)));
                }
                Err(DhcpError::PinnedElsewhere { pinned, .. }) => {
                    prop_assert_eq!(model.pin_of(mac(m)).map(|pin| pin.ip), Some(pinned));
                    prop_assert_ne!(wanted.map(ip), Some(pinned));
                }
                Err(other) => prop_assert!(false, "{other:?}"),
            },
            Op::Remove(m) => {
                let done = table.remove(mac(m), now);
                prop_assert_eq!(done.as_ref().ok().map(|planned| &planned.answer), model.of(mac(m)));
                model.leases.retain(|lease| lease.mac != mac(m));
                done.into_iter().for_each(|planned| apply(&mut table, planned.changes));
            }
            Op::RemoveByIp(i) => {
                let done = table.remove_by_ip(ip(i), now);
                prop_assert_eq!(done.as_ref().ok().map(|planned| &planned.answer), model.at(ip(i)));
                model.leases.retain(|lease| lease.ip != ip(i));
                done.into_iter().for_each(|planned| apply(&mut table, planned.changes));
            }
            Op::PinMac(m) => {
                let done = table.pin_mac(mac(m), now);
                let pin = model.pin_of(mac(m)).or(model.used(model.of(mac(m))));
                prop_assert_eq!(done.as_ref().ok().map(|planned| planned.answer), pin);
                model.pins.extend(pin.filter(|pin| model.pin_of(pin.mac).is_none()));
                done.into_iter().for_each(|planned| apply(&mut table, planned.changes));
            }
            Op::PinIp(i) => {
                let done = table.pin_ip(ip(i), now);
                let pin = model.pin_at(ip(i)).or(model.used(model.at(ip(i))));
                prop_assert_eq!(done.as_ref().ok().map(|planned| planned.answer), pin);
                model.pins.extend(pin.filter(|pin| model.pin_of(pin.mac).is_none()));
                done.into_iter().for_each(|planned| apply(&mut table, planned.changes));
            }
            Op::UnpinMac(m) => {
                let done = table.unpin_mac(mac(m));
                prop_assert_eq!(done.as_ref().ok().map(|planned| planned.answer), model.pin_of(mac(m)));
                model.pins.retain(|pin| pin.mac != mac(m));
                done.into_iter().for_each(|planned| apply(&mut table, planned.changes));
            }
            Op::UnpinIp(i) => {
                let done = table.unpin_ip(ip(i));
                prop_assert_eq!(done.as_ref().ok().map(|planned| planned.answer), model.pin_at(ip(i)));
                model.pins.retain(|pin| pin.ip != ip(i));
                done.into_iter().for_each(|planned| apply(&mut table, planned.changes));
            }
        }
        check_same(&table, &model, now)?;
    }
    let mut read = Table::new(pool(), Terms::default());
    read.apply(written);
    prop_assert_eq!(read, table, "what was written down is another table");
    Ok(())
}

fn check_same(table: &Table, model: &Model, now: Timestamp) -> Result<(), TestCaseError> {
    let live = |lease: &&Lease| lease.until > now.as_millis();
    let mut leases: Vec<&Lease> = model.leases.iter().filter(live).collect();
    leases.sort_by_key(|lease| lease.mac);
    prop_assert_eq!(table.leases(now).collect::<Vec<_>>(), leases.clone());
    let mut pins = model.pins.clone();
    pins.sort_by_key(|pin| pin.mac);
    prop_assert_eq!(table.pins().collect::<Vec<_>>(), pins.clone());
    for last in 0..9 {
        let user = leases.iter().find(|lease| lease.ip == ip(last) && lease.state == State::Bound);
        match table.lookup(ip(last), now) {
            Ok(mac) => prop_assert_eq!(Some(mac), user.map(|lease| lease.mac)),
            Err(DhcpError::NotLeased { .. }) => prop_assert!(user.is_none() && pool().contains(ip(last))),
            Err(DhcpError::OutOfPool { .. }) => prop_assert!(user.is_none() && !pool().contains(ip(last))),
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }
    let known: BTreeSet<_> = leases.iter().map(|lease| lease.mac).chain(pins.iter().map(|pin| pin.mac)).collect();
    prop_assert_eq!(table.known(None, now).collect::<Vec<_>>(), known.into_iter().collect::<Vec<_>>());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_table_does_what_the_model_does(ops in proptest::collection::vec(op(), 1..80)) {
        run(&ops)?;
    }
}

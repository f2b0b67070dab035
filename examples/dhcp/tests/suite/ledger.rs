//! The table and its file together.

use std::{sync::Arc, thread, time::Duration};

use dhcp::{DhcpError, Ledger, Terms};
use rmi_core::testing::ManualClock;

use crate::world::{ip, ledger, mac, pool};

#[test]
fn leases_and_pins_are_there_after_a_restart_and_end_in_their_time() {
    let directory = tempfile::tempdir().unwrap();
    let (path, clock) = (directory.path().join("leases.redb"), ManualClock::default());
    let first = ledger(&path, &clock);
    for last in 1..=3 {
        first.write(|table, now| table.bind(mac(last), None, None, now)).unwrap();
    }
    first.write(|table, now| table.pin_mac(mac(1), now)).unwrap();
    first.write(|table, now| table.remove(mac(3), now)).unwrap();
    let before = first.read(|table, _| table.clone());
    drop(first);

    let again = ledger(&path, &clock);
    assert_eq!(again.read(|table, _| table.clone()), before);
    assert_eq!(again.read(|table, now| table.lookup(ip(2), now)), Ok(mac(2)));
    clock.advance(Duration::from_secs(86_400));
    assert_eq!(again.read(|table, now| table.lookup(ip(2), now)), Err(DhcpError::NotLeased { ip: ip(2) }));
    assert_eq!(again.read(|table, _| table.pin(mac(1))), Some(ip(1)));
    drop(again);

    // What has ended and is in no pool any more is not kept.
    let elsewhere = Ledger::open(&path, "10.2.0.0/29".parse().unwrap(), Terms::default(), clock.clone()).unwrap();
    elsewhere.write(|table, _| table.unpin_mac(mac(1))).unwrap();
    drop(elsewhere);
    assert_eq!(ledger(&path, &clock).read(|table, _| table.clone()), dhcp::Table::new(pool(), Terms::default()));
}

#[test]
fn what_is_refused_alters_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (path, clock) = (directory.path().join("leases.redb"), ManualClock::default());
    let ledger = ledger(&path, &clock);
    ledger.write(|table, now| table.bind(mac(1), None, None, now)).unwrap();
    let before = ledger.read(|table, _| table.clone());
    let refused = ledger.write(|table, now| table.bind(mac(2), Some(ip(1)), None, now)).unwrap_err();
    assert_eq!(refused, DhcpError::Taken { ip: ip(1), holder: mac(1) });
    assert_eq!(ledger.read(|table, _| table.clone()), before);
}

#[test]
fn of_two_that_want_one_address_at_once_one_gets_it() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Arc::new(ledger(&directory.path().join("leases.redb"), &ManualClock::default()));
    let all: Vec<_> = (0..8)
        .map(|last| {
            let ledger = Arc::clone(&ledger);
            thread::spawn(move || ledger.write(|table, now| table.bind(mac(last), Some(ip(3)), None, now)))
        })
        .collect();
    let given: Vec<_> = all.into_iter().filter_map(|thread| thread.join().unwrap().ok()).collect();
    assert_eq!(given.len(), 1);
    assert_eq!(ledger.read(|table, now| table.lookup(ip(3), now)), Ok(given[0].mac));
}

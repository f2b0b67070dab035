//! The table and its file together.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
    time::Duration,
};

use dhcp::{DhcpError, Ledger, Terms};
use rmi_core::{
    testing::ManualClock,
    time::{Clock, Timestamp},
};

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

/// A clock that somebody sets.
#[derive(Clone, Debug)]
struct Set(Arc<AtomicI64>);

impl Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A machine without a battery for its clock, or a wrong date that is put right: addresses would be gone for years.
#[test]
fn a_clock_that_is_set_back_leaves_no_lease_longer_than_it_was_given_for() {
    const DAY: i64 = 86_400_000;
    let (right, wrong) = (1_790_000_000_000, 4_070_000_000_000);
    for restarted in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("leases.redb");
        let clock = Set(Arc::new(AtomicI64::new(wrong)));
        let open = || Ledger::open(&path, pool(), Terms::default(), clock.clone()).unwrap();
        let mut ledger = open();
        let bind = |ledger: &Ledger, last| ledger.write(|table, now| table.bind(mac(last), None, None, now));
        for last in 1..=6 {
            bind(&ledger, last).unwrap();
        }
        clock.0.store(right, Ordering::SeqCst);
        if restarted {
            drop(ledger);
            ledger = open();
        }
        // They are still leased: who has them uses them.
        assert!(matches!(bind(&ledger, 7), Err(DhcpError::Exhausted { .. })));
        clock.0.store(right + DAY - 1, Ordering::SeqCst);
        assert_eq!(ledger.read(|table, now| table.leases(now).count()), 6);
        clock.0.store(right + DAY, Ordering::SeqCst);
        assert!(bind(&ledger, 7).is_ok(), "each has ended in its own time");
    }
}

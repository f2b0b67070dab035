//! The file: what is in it after a restart, and what is said of one that is not as it was written.

use std::{fs, path::PathBuf};

use dhcp::{Change, Lease, State, Store, StoreError};
use rackhd_api::NodeId;
use tempfile::TempDir;

use crate::world::{ip, mac};

fn lease(last: u8, node: Option<&str>) -> Lease {
    let state = if last.is_multiple_of(2) { State::Bound } else { State::Offered };
    Lease { mac: mac(last), ip: ip(last), node: node.map(NodeId::from), state, since: 7, until: i64::MAX }
}

fn file() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("leases.redb");
    (directory, path)
}

fn rows(path: &PathBuf) -> Vec<Change> {
    Store::open(path).unwrap().1
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let (_directory, path) = file();
    let (mut store, nothing) = Store::open(&path).unwrap();
    assert_eq!(nothing, []);
    let all = [Change::Pinned(mac(1), ip(1)), Change::Leased(lease(1, None)), Change::Leased(lease(2, Some("n")))];
    store.commit(&all).unwrap();
    drop(store);
    assert_eq!(rows(&path), all);
    let (mut store, _) = Store::open(&path).unwrap();
    store.commit(&[Change::Unpinned(mac(1)), Change::Removed(mac(2)), Change::Removed(mac(9))]).unwrap();
    drop(store);
    assert_eq!(rows(&path), [Change::Leased(lease(1, None))]);
}

#[test]
fn one_process_has_it_at_a_time() {
    let (_directory, path) = file();
    let _store = Store::open(&path).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains("--store"), "{error}");
}

#[test]
fn a_damaged_file_is_refused_with_advice_and_left_as_it_is() {
    let (_directory, path) = file();
    let (mut store, _) = Store::open(&path).unwrap();
    let all: Vec<_> = (0..200).map(|last| Change::Leased(lease(last, Some("507f191e810c19729de860ea")))).collect();
    store.commit(&all).unwrap();
    drop(store);
    let whole = fs::read(&path).unwrap();
    let row = whole.windows(4).position(|bytes| bytes == b"507f").expect("a row is in it");
    let address = whole.windows(7).position(|bytes| bytes == b"10.1.1.").expect("an address is in it");
    let with = |at: usize, bits: u8| {
        let mut bytes = whole.clone();
        bytes[at] ^= bits;
        bytes
    };
    for (what, bytes) in [
        ("a byte of a lease", with(row, 0xff)),
        // Nothing but its checksum tells 20.1.1.1 from 10.1.1.1.
        ("a digit of an address", with(address, b'1' ^ b'2')),
        ("its first byte", with(0, 0xff)),
        ("its second half is gone", whole[..whole.len() / 2].to_vec()),
        ("all but a few bytes are gone", whole[..40].to_vec()),
        ("nothing is left", Vec::new()),
        ("another file", b"{\"leases\":[]}".repeat(1000)),
    ] {
        fs::write(&path, &bytes).unwrap();
        let error = Store::open(&path).err().unwrap_or_else(|| panic!("{what}: it was opened"));
        assert!(matches!(error, StoreError::Damaged { .. }), "{what}: {error:?}");
        assert!(error.to_string().contains("put a backup in its place"), "{what}: {error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{what}: {error}");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(rows(&path).len(), 200);
}

#[test]
fn a_file_of_something_else_or_of_a_later_version_is_said_to_be_so() {
    const ABOUT: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("about");
    let (_directory, path) = file();
    let database = redb::Database::create(&path).unwrap();
    let error = {
        drop(database);
        Store::open(&path).unwrap_err()
    };
    assert!(error.to_string().contains("the file of something else"), "{error}");

    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(ABOUT).unwrap().insert("lease table", 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 2, .. }), "{error:?}");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let (directory, _) = file();
    let error = Store::open(directory.path().join("nowhere/leases.redb")).unwrap_err();
    assert!(matches!(error, StoreError::Disk { .. }), "{error:?}");
    assert!(error.to_string().contains("nowhere/leases.redb"), "{error}");
}

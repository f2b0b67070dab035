//! Erasing overwrites, and proves it.

use std::fs;

use agent::{
    contract::{DiskError, Pattern, Phase},
    erase::{effort, erase},
    work::Meter,
};
use rmi_core::{CallError, Update};

use crate::world::{MIB, Machine, Plain, noise};

#[test]
fn every_byte_is_overwritten_whatever_the_size() {
    // Not a multiple of any block.
    let size = 2 * MIB + 4711;
    let machine = Machine::new().disk("sda", size);
    let disks = machine.open_disks();
    for (patterns, byte) in [(vec![Pattern::Ones, Pattern::Zeros], 0x00), (vec![Pattern::Byte(0xA5)], 0xA5)] {
        let work = Plain::default();
        let claim = disks.claim("sda", "test").unwrap();
        let mut meter = Meter::new(&work, effort(size, &patterns));
        let erased = erase(&claim, &patterns, false, &mut meter).unwrap();
        assert_eq!((erased.bytes, erased.passes.len()), (size, patterns.len()));
        let found = fs::read(machine.path("sda")).unwrap();
        assert!(found.len() as u64 == size && found.iter().all(|found| *found == byte));
        let expected = [Phase::Write, Phase::Verify].repeat(patterns.len());
        assert_eq!(work.phases(), expected);
        let steps = work.steps.lock().unwrap();
        let (total, completed, _) = steps.last().unwrap();
        assert_eq!((*total, *completed), (2 * size * patterns.len() as u64, 2 * size * patterns.len() as u64));
    }
}

#[test]
fn random_passes_differ_and_are_verified() {
    let machine = Machine::new().disk("sda", MIB);
    let disks = machine.open_disks();
    let mut seen = vec![fs::read(machine.path("sda")).unwrap()];
    for _ in 0..2 {
        let claim = disks.claim("sda", "test").unwrap();
        erase(&claim, &[Pattern::Random], false, &mut Meter::new(&Plain::default(), 2 * MIB)).unwrap();
        let now = fs::read(machine.path("sda")).unwrap();
        assert!(seen.iter().all(|before| before.iter().zip(&now).filter(|(a, b)| a == b).count() < now.len() / 64));
        seen.push(now);
    }
}

/// Writes behind the back of the erasure, when it begins to verify.
struct Saboteur(std::path::PathBuf);

impl agent::work::Work for Saboteur {
    fn report(&self, _: u64, _: u64, step: agent::contract::Step) {
        if step.phase == Phase::Verify {
            use std::os::unix::fs::FileExt;
            let file = fs::OpenOptions::new().write(true).open(&self.0).unwrap();
            file.write_all_at(b"!", MIB + 17).unwrap();
        }
    }

    fn stop(&self) -> Option<agent::work::Stop> {
        None
    }
}

#[test]
fn what_does_not_read_back_is_found_and_told_where() {
    let machine = Machine::new().disk("sda", 2 * MIB);
    let disks = machine.open_disks();
    let claim = disks.claim("sda", "test").unwrap();
    let saboteur = Saboteur(machine.path("sda"));
    let error = erase(&claim, &[Pattern::Zeros], false, &mut Meter::new(&saboteur, 4 * MIB)).unwrap_err();
    assert_eq!(error, DiskError::Verification { disk: "sda".to_owned(), at: MIB + 17 });
}

#[test]
fn it_stops_between_two_blocks() {
    let machine = Machine::new().disk("sda", 4 * MIB);
    let before = fs::read(machine.path("sda")).unwrap();
    let disks = machine.open_disks();
    let claim = disks.claim("sda", "test").unwrap();
    let work = Plain::stopping_after(1);
    let error = erase(&claim, &[Pattern::Zeros], false, &mut Meter::new(&work, 8 * MIB)).unwrap_err();
    assert_eq!(error, DiskError::Cancelled { completed: 2 * MIB, total: 8 * MIB });
    let after = fs::read(machine.path("sda")).unwrap();
    assert!(after[..2 * MIB as usize].iter().all(|byte| *byte == 0));
    assert_eq!(after[2 * MIB as usize..], before[2 * MIB as usize..]);
}

#[test]
fn blocks_are_given_back_when_asked() {
    use std::os::unix::fs::MetadataExt;
    let machine = Machine::new().disk("sda", 4 * MIB);
    let disks = machine.open_disks();
    let claim = disks.claim("sda", "test").unwrap();
    let erased = erase(&claim, &[Pattern::Ones], true, &mut Meter::new(&Plain::default(), 8 * MIB)).unwrap();
    let metadata = fs::metadata(machine.path("sda")).unwrap();
    assert_eq!(metadata.len(), 4 * MIB);
    match erased.discarded {
        Some(true) => assert!(metadata.blocks() * 512 < 4 * MIB, "the blocks are still there"),
        told => assert_eq!(told, Some(false)),
    }
}

#[tokio::test]
async fn a_caller_erases_all_disks_or_some_and_watches() {
    let world = Machine::new().disk("sda", 2 * MIB).disk("sdb", MIB).start().await;
    let erased = world.decommission().disk_erase(Some(vec!["sdb".to_owned()]), vec![Pattern::Zeros], false).await.unwrap();
    assert_eq!(erased.disks.iter().map(|disk| disk.disk.as_str()).collect::<Vec<_>>(), ["sdb"]);
    assert!(!erased.not_done.is_empty());
    assert!(world.read("sdb").iter().all(|byte| *byte == 0));
    assert_eq!(world.read("sda"), noise(2 * MIB as usize, 3));

    let mut erasing = world.decommission().disk_erase(None, vec![Pattern::Zeros], false).send().await.unwrap();
    let (mut last, mut done) = (0, None);
    while let Some(update) = erasing.next().await {
        match update.unwrap() {
            Update::Progress(step) => {
                assert_eq!(step.total, 6 * MIB);
                assert!(step.completed >= last);
                last = step.completed;
            }
            Update::Done(erased) => done = Some(erased),
            Update::Accepted | Update::Started => {}
        }
    }
    assert_eq!((last, done.unwrap().disks.len()), (6 * MIB, 2));
    assert!(world.read("sda").iter().all(|byte| *byte == 0));
}

#[tokio::test]
async fn what_cannot_be_done_is_known_before_anything_is_lost() {
    let world = Machine::new().disk("sda", MIB).disk("sdb", MIB).start().await;
    let before = world.read("sda");
    let _claim = world.me.parts().disks.claim("sdb", "somebody").unwrap();
    let error = world.decommission().disk_erase(None, vec![Pattern::Zeros], false).await.unwrap_err();
    assert!(matches!(&error, CallError::Remote(DiskError::Busy { disk, by }) if disk == "sdb" && by == "somebody"), "{error}");
    for (disks, patterns) in [(Some(vec![]), vec![Pattern::Zeros]), (None, vec![]), (None, vec![Pattern::Zeros; 17])] {
        let error = world.decommission().disk_erase(disks, patterns, false).await.unwrap_err();
        assert!(matches!(error, CallError::Remote(_)), "{error}");
    }
    let unknown = world.decommission().disk_erase(Some(vec!["/dev/sda".to_owned()]), vec![Pattern::Zeros], false).await;
    assert!(matches!(unknown.unwrap_err(), CallError::Remote(DiskError::Unknown { .. })));
    assert_eq!(world.read("sda"), before);
}

/// Makes the disk larger when the erasure begins.
struct Grower(std::path::PathBuf);

impl agent::work::Work for Grower {
    fn report(&self, _: u64, _: u64, _: agent::contract::Step) {
        fs::OpenOptions::new().write(true).open(&self.0).unwrap().set_len(3 * MIB).unwrap();
    }

    fn stop(&self) -> Option<agent::work::Stop> {
        None
    }
}

#[test]
fn a_disk_that_grows_meanwhile_is_not_erased() {
    let machine = Machine::new().disk("sda", 2 * MIB);
    let disks = machine.open_disks();
    let claim = disks.claim("sda", "test").unwrap();
    let work = Grower(machine.path("sda"));
    let refused = erase(&claim, &[Pattern::Zeros], false, &mut Meter::new(&work, 4 * MIB)).unwrap_err();
    assert!(matches!(&refused, DiskError::Changed { what, .. } if what.contains("bytes")), "{refused}");
}

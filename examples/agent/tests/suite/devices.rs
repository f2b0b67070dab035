//! Never a disk that the command line did not name, and never what is not what it was.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use agent::{
    contract::DiskError,
    device::{Disks, Named, Role},
    system::System,
};

use crate::world::{MIB, Machine, noise};

fn named(name: &str, path: impl Into<PathBuf>) -> Named {
    Named { name: name.to_owned(), path: path.into(), role: Role::System }
}

#[test]
fn only_what_was_named_is_claimed() {
    let machine = Machine::new().disk("sda", MIB);
    fs::write(machine.path("sdb"), noise(MIB as usize, 1)).unwrap();
    let disks = machine.open_disks();
    let unnamed = machine.path("sdb").display().to_string();
    for asked in ["sdb", unnamed.as_str(), "../sda", "", "sda\0", machine.path("sda").to_str().unwrap()] {
        let refused = disks.claim(asked, "test").unwrap_err();
        assert_eq!(refused, DiskError::Unknown { disk: asked.to_owned(), known: vec!["sda".to_owned()] });
    }
    assert_eq!(disks.claim("sda", "test").unwrap().disk().size(), MIB);
}

#[test]
fn one_task_has_a_disk_at_a_time() {
    let machine = Machine::new().disk("sda", MIB);
    let disks = machine.open_disks();
    let claim = disks.claim("sda", "the first").unwrap();
    let busy = disks.claim("sda", "the second").unwrap_err();
    assert_eq!(busy, DiskError::Busy { disk: "sda".to_owned(), by: "the first".to_owned() });
    assert_eq!(disks.iter().next().unwrap().busy().as_deref(), Some("the first"));
    drop(claim);
    disks.claim("sda", "the second").unwrap();
}

#[test]
fn another_agent_on_the_same_disk_is_refused() {
    let machine = Machine::new().disk("sda", MIB);
    let (one, other) = (machine.open_disks(), machine.open_disks());
    let _claim = one.claim("sda", "test").unwrap();
    let refused = other.claim("sda", "test").unwrap_err();
    assert!(matches!(&refused, DiskError::InUse { how, .. } if how.contains("lock")), "{refused}");
}

#[test]
fn a_file_that_took_its_place_is_not_touched() {
    let machine = Machine::new().disk("sda", MIB);
    let disks = machine.open_disks();
    fs::remove_file(machine.path("sda")).unwrap();
    let gone = disks.claim("sda", "test").unwrap_err();
    assert!(matches!(gone, DiskError::Changed { .. }), "{gone}");
    let other = noise(MIB as usize, 9);
    fs::write(machine.path("sda"), &other).unwrap();
    let replaced = disks.claim("sda", "test").unwrap_err();
    assert!(matches!(&replaced, DiskError::Changed { what, .. } if what.contains("another file")), "{replaced}");
    assert_eq!(fs::read(machine.path("sda")).unwrap(), other);
}

#[test]
fn a_symbolic_link_that_took_its_place_is_not_followed() {
    let machine = Machine::new().disk("sda", MIB);
    let disks = machine.open_disks();
    fs::rename(machine.path("sda"), machine.path("precious")).unwrap();
    symlink(machine.path("precious"), machine.path("sda")).unwrap();
    let refused = disks.claim("sda", "test").unwrap_err();
    assert!(matches!(refused, DiskError::Changed { .. }), "{refused}");
}

#[test]
fn a_link_that_was_named_must_keep_leading_where_it_led() {
    let machine = Machine::new();
    fs::write(machine.path("one"), noise(MIB as usize, 1)).unwrap();
    fs::write(machine.path("other"), noise(MIB as usize, 2)).unwrap();
    symlink(machine.path("one"), machine.path("by-id")).unwrap();
    let disks = Disks::open(System::default(), [named("sda", machine.path("by-id"))]).unwrap();
    assert_eq!(disks.claim("sda", "test").unwrap().disk().real_path(), fs::canonicalize(machine.path("one")).unwrap());
    fs::remove_file(machine.path("by-id")).unwrap();
    symlink(machine.path("other"), machine.path("by-id")).unwrap();
    let refused = disks.claim("sda", "test").unwrap_err();
    assert!(matches!(&refused, DiskError::Changed { what, .. } if what.contains("led to")), "{refused}");
}

#[test]
fn a_disk_that_has_another_size_is_another_disk() {
    let machine = Machine::new().disk("sda", MIB);
    let disks = machine.open_disks();
    fs::OpenOptions::new().write(true).open(machine.path("sda")).unwrap().set_len(2 * MIB).unwrap();
    let refused = disks.claim("sda", "test").unwrap_err();
    assert!(matches!(refused, DiskError::Changed { .. }), "{refused}");
}

#[test]
fn what_can_be_no_disk_is_refused_at_the_start() {
    let machine = Machine::new().disk("sda", MIB);
    fs::write(machine.path("small"), "not a disk").unwrap();
    let status = std::process::Command::new("mkfifo").arg(machine.path("pipe")).status().unwrap();
    assert!(status.success());
    let open = |path: PathBuf| Disks::open(System::default(), [named("x", path)]).unwrap_err();
    for (path, why) in [
        (machine.path("nothing"), "No such file"),
        (machine.path("small"), "no disk has fewer"),
        (machine.dir.path().to_owned(), "neither a file nor a block device"),
        (machine.path("pipe"), "neither a file nor a block device"),
        (PathBuf::from("/dev/null"), "neither a file nor a block device"),
    ] {
        let refused = open(path);
        assert!(matches!(&refused, DiskError::Unsuitable { why: found, .. } if found.contains(why)), "{refused}");
    }
    let twice = [named("one", machine.path("sda")), named("two", machine.path("sda"))];
    let refused = Disks::open(System::default(), twice).unwrap_err();
    assert!(refused.to_string().contains("is the disk `one` as well"), "{refused}");
}

/// The tables of a made-up kernel, in which a file is swapped to.
#[test]
fn what_is_swapped_to_is_refused() {
    let machine = Machine::new().disk("sda", MIB);
    let root = machine.path("root");
    fs::create_dir_all(root.join("proc")).unwrap();
    let disk = fs::canonicalize(machine.path("sda")).unwrap();
    let swaps = format!("Filename Type Size Used Priority\n{} file 1024 0 -2\n", disk.display());
    fs::write(root.join("proc/swaps"), swaps).unwrap();
    let refused = Disks::open(System::below(&root), machine.disks.clone()).unwrap_err();
    assert!(matches!(&refused, DiskError::InUse { how, .. } if how.contains("swapoff")), "{refused}");
    // It is asked again each time.
    fs::write(root.join("proc/swaps"), "Filename Type Size Used Priority\n").unwrap();
    let disks = Disks::open(System::below(&root), machine.disks.clone()).unwrap();
    drop(disks.claim("sda", "test").unwrap());
    fs::write(root.join("proc/swaps"), format!("Filename\n{} file\n", disk.display())).unwrap();
    assert!(matches!(disks.claim("sda", "test").unwrap_err(), DiskError::InUse { .. }));
}

/// The tables name a path; the disk was named by another one.
#[test]
fn what_is_swapped_to_by_another_name_is_refused() {
    let machine = Machine::new().disk("sda", MIB);
    let root = machine.path("root");
    fs::create_dir_all(root.join("proc")).unwrap();
    fs::hard_link(machine.path("sda"), machine.path("swap file")).unwrap();
    let other = fs::canonicalize(machine.path("swap file")).unwrap().display().to_string();
    // As the kernel writes it.
    let swaps = format!("Filename Type Size Used Priority\n{} file 1024 0 -2\n", other.replace(' ', "\\040"));
    fs::write(root.join("proc/swaps"), swaps).unwrap();
    let refused = Disks::open(System::below(&root), machine.disks.clone()).unwrap_err();
    assert!(matches!(&refused, DiskError::InUse { how, .. } if how.contains("swap file is swapped to")), "{refused}");
}

//! Real block devices: loop devices. A machine without them fails these tests, and is told how to have them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

use agent::{
    contract::{DiskError, Pattern},
    device::{Disks, Named, Role},
    erase::{effort, erase},
    system::System,
    work::Meter,
};

use crate::world::{MIB, Machine, Plain, noise};

/// A loop device, detached when it is dropped.
struct Loop(PathBuf, #[expect(dead_code, reason = "held until it is detached")] MutexGuard<'static, ()>);

/// What one test detaches another would be given.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

impl Loop {
    /// Attaches one to a new file.
    fn attach(machine: &Machine, name: &str, size: u64) -> Self {
        let file = machine.path(name);
        fs::write(&file, noise(size as usize, 7)).unwrap();
        Loop::to(&file)
    }

    fn to(file: &Path) -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let attached = Command::new("losetup").args(["--find", "--show"]).arg(file).output();
        let why = match attached {
            Ok(output) if output.status.success() => {
                return Loop(String::from_utf8(output.stdout).unwrap().trim().into(), turn);
            }
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        panic!(
            "this test needs a loop device, and losetup says: {why}. Run it as root, with util-linux installed and the module loaded \
             (`modprobe loop`); a container needs `--privileged`. `cargo test -p agent -- --skip loops::` leaves these tests out"
        );
    }

    fn named(&self) -> [Named; 1] {
        [Named { name: "sda".to_owned(), path: self.0.clone(), role: Role::System }]
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.0).status();
    }
}

#[test]
fn a_block_device_is_erased() {
    let machine = Machine::new();
    let device = Loop::attach(&machine, "file", 3 * MIB + 512);
    let disks = Disks::open(System::default(), device.named()).unwrap();
    {
        let claim = disks.claim("sda", "test").unwrap();
        assert_eq!(claim.disk().size(), 3 * MIB + 512);
        let patterns = [Pattern::Random, Pattern::Ones];
        let effort = effort(claim.disk().size(), &patterns);
        erase(&claim, &patterns, false, &mut Meter::new(&Plain::default(), effort)).unwrap();
    }
    assert!(fs::read(machine.path("file")).unwrap().iter().all(|byte| *byte == 0xFF));
    let claim = disks.claim("sda", "test").unwrap();
    let erased = erase(&claim, &[Pattern::Zeros], true, &mut Meter::new(&Plain::default(), 1)).unwrap();
    assert_eq!(erased.discarded, Some(true));
}

#[test]
fn a_file_behind_a_loop_device_is_refused_and_names_it() {
    let machine = Machine::new();
    let device = Loop::attach(&machine, "file", MIB);
    let named = [Named { name: "file".to_owned(), path: machine.path("file"), role: Role::System }];
    let refused = Disks::open(System::default(), named).unwrap_err();
    let loop_name = device.0.file_name().unwrap().to_str().unwrap();
    assert!(matches!(&refused, DiskError::InUse { how, .. } if how.contains(loop_name)), "{refused}");
}

#[test]
fn another_device_of_the_same_number_is_not_touched() {
    let machine = Machine::new();
    let device = Loop::attach(&machine, "file", MIB);
    let disks = Disks::open(System::default(), device.named()).unwrap();
    let other = noise(MIB as usize, 99);
    fs::write(machine.path("other"), &other).unwrap();
    // The same node, the same size, another disk behind it.
    let moved = Command::new("losetup").arg("--detach").arg(&device.0).status().unwrap().success()
        && Command::new("losetup").arg(&device.0).arg(machine.path("other")).status().unwrap().success();
    if !moved {
        panic!("losetup attached {} once, and not again: another process may have taken it", device.0.display());
    }
    let refused = disks.claim("sda", "test").unwrap_err();
    assert!(matches!(&refused, DiskError::Changed { what, .. } if what.contains("another block device")), "{refused}");
    drop(device);
    assert_eq!(fs::read(machine.path("other")).unwrap(), other);
}

#[test]
fn a_mounted_device_is_refused() {
    let machine = Machine::new();
    let device = Loop::attach(&machine, "file", 4 * MIB);
    let before = Disks::open(System::default(), device.named()).unwrap();
    let made = Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&device.0).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfs.ext4 is needed: install e2fsprogs");
    fs::create_dir(machine.path("at")).unwrap();
    let mounted = Command::new("mount").arg(&device.0).arg(machine.path("at")).output().unwrap();
    assert!(mounted.status.success(), "{}", String::from_utf8_lossy(&mounted.stderr));
    let at_start = Disks::open(System::default(), device.named());
    // Without the kernel's tables the exclusive opening still says no.
    let blind = Disks::open(System::below(machine.path("nothing")), device.named()).unwrap().claim("sda", "test");
    let later = before.claim("sda", "test");
    assert!(Command::new("umount").arg(machine.path("at")).status().unwrap().success());
    let refused = |error: DiskError, word: &str| matches!(&error, DiskError::InUse { how, .. } if how.contains(word));
    assert!(refused(at_start.unwrap_err(), "is mounted at"));
    assert!(refused(later.unwrap_err(), "is mounted at"));
    assert!(refused(blind.unwrap_err(), "open for itself"));
    before.claim("sda", "test").unwrap();
}

#[test]
fn what_is_claimed_cannot_be_mounted() {
    let machine = Machine::new();
    let device = Loop::attach(&machine, "file", 4 * MIB);
    assert!(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&device.0).status().is_ok_and(|status| status.success()));
    let disks = Disks::open(System::default(), device.named()).unwrap();
    let claim = disks.claim("sda", "test").unwrap();
    fs::create_dir(machine.path("at")).unwrap();
    let mounted = Command::new("mount").arg(&device.0).arg(machine.path("at")).output().unwrap();
    let _ = Command::new("umount").arg(machine.path("at")).output();
    assert!(!mounted.status.success());
    drop(claim);
}

/// The kernel names the file by the path that it was attached by.
#[test]
fn a_file_behind_a_loop_device_has_other_names() {
    let machine = Machine::new().disk("sda", MIB);
    fs::hard_link(machine.path("sda"), machine.path("another name ")).unwrap();
    let device = Loop::to(&machine.path("another name "));
    let refused = Disks::open(System::default(), machine.disks.clone()).unwrap_err();
    let loop_name = device.0.file_name().unwrap().to_str().unwrap();
    assert!(matches!(&refused, DiskError::InUse { how, .. } if how.contains(loop_name)), "{refused}");
}

#[test]
fn a_disk_and_its_partition_are_not_two_disks() {
    let machine = Machine::new();
    let device = Loop::attach(&machine, "file", 4 * MIB);
    let _part = Part(device.0.clone());
    let added = Command::new("addpart").arg(&device.0).args(["1", "2048", "4096"]).output().unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let [disk] = device.named();
    let part = PathBuf::from(format!("{}p1", device.0.display()));
    let config_drive = Named { name: "config-drive".to_owned(), path: part, role: Role::ConfigDrive };
    for named in [[disk.clone(), config_drive.clone()], [config_drive.clone(), disk]] {
        let refused = Disks::open(System::default(), named).unwrap_err();
        assert!(refused.to_string().contains("one is a partition of the other"), "{refused}");
    }
    // By itself it is a disk like any.
    Disks::open(System::default(), [config_drive]).unwrap().claim("config-drive", "test").unwrap();
}

/// A partition, which would outlive the device's file.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = Command::new("delpart").arg(&self.0).arg("1").status();
    }
}

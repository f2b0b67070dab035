//! Real block devices: loop devices, where the machine lets this process make them.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
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
    /// Attaches one to a file; `None`, with a word that no test harness swallows, where that is not allowed.
    fn attach(machine: &Machine, name: &str, size: u64) -> Option<Self> {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let file = machine.path(name);
        fs::write(&file, noise(size as usize, 7)).unwrap();
        let attached = Command::new("losetup").arg("--find").arg("--show").arg(&file).output();
        let why = match attached {
            Ok(output) if output.status.success() => {
                return Some(Loop(String::from_utf8(output.stdout).unwrap().trim().into(), turn));
            }
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        let demanded = std::env::var_os("RMI_TEST_LOOP").is_some_and(|value| value == "1");
        assert!(!demanded, "RMI_TEST_LOOP=1 demands loop devices: losetup says: {why}");
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        // Not `eprintln!`, which is shown of failing tests only.
        let _ = writeln!(
            std::io::stderr(),
            "\nNOT RUN on a block device: {name}: it needs root and loop devices (losetup says: {why}). Files were tested. \
             RMI_TEST_LOOP=1 makes this a failure."
        );
        None
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
    let Some(device) = Loop::attach(&machine, "file", 3 * MIB + 512) else { return };
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
    let Some(device) = Loop::attach(&machine, "file", MIB) else { return };
    let named = [Named { name: "file".to_owned(), path: machine.path("file"), role: Role::System }];
    let refused = Disks::open(System::default(), named).unwrap_err();
    let loop_name = device.0.file_name().unwrap().to_str().unwrap();
    assert!(matches!(&refused, DiskError::InUse { how, .. } if how.contains(loop_name)), "{refused}");
}

#[test]
fn another_device_of_the_same_number_is_not_touched() {
    let machine = Machine::new();
    let Some(device) = Loop::attach(&machine, "file", MIB) else { return };
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
    let Some(device) = Loop::attach(&machine, "file", 4 * MIB) else { return };
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
    let Some(device) = Loop::attach(&machine, "file", 4 * MIB) else { return };
    assert!(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&device.0).status().is_ok_and(|status| status.success()));
    let disks = Disks::open(System::default(), device.named()).unwrap();
    let claim = disks.claim("sda", "test").unwrap();
    fs::create_dir(machine.path("at")).unwrap();
    let mounted = Command::new("mount").arg(&device.0).arg(machine.path("at")).output().unwrap();
    let _ = Command::new("umount").arg(machine.path("at")).output();
    assert!(!mounted.status.success());
    drop(claim);
}

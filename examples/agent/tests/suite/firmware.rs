//! Firmware is compared, and updated by the operator's programs only.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use agent::{
    contract::{Component, ComponentState, FirmwareError, Wanted},
    system::System,
};
use rmi_core::CallError;

use crate::world::Machine;

/// A machine that says `bios` and `microcode`, and an operator's directory.
fn machine() -> Machine {
    let mut machine = Machine::new();
    let root = machine.path("root");
    fs::create_dir_all(root.join("sys/class/dmi/id")).unwrap();
    fs::create_dir_all(root.join("proc")).unwrap();
    fs::write(root.join("sys/class/dmi/id/bios_version"), "1.0\n").unwrap();
    fs::write(root.join("proc/cpuinfo"), "processor : 0\nmicrocode : 0x1\n").unwrap();
    fs::create_dir_all(machine.path("firmware/bios")).unwrap();
    fs::write(machine.path("firmware/bios/version"), "2.0\n").unwrap();
    machine.system = System::below(root);
    machine.firmware = Some(machine.path("firmware"));
    machine
}

fn updater(machine: &Machine, script: &str) {
    let path = machine.path("firmware/bios/update");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn wanted(component: &str, version: &str) -> Wanted {
    Wanted { component: component.to_owned(), version: version.to_owned() }
}

fn installs(root: &Path) -> String {
    format!("echo \"$3\" > {}/sys/class/dmi/id/bios_version", root.display())
}

async fn secure(machine: Machine, wanted: Option<Vec<Wanted>>) -> Result<Vec<Component>, FirmwareError> {
    let world = machine.start().await;
    match world.decommission().firmware_secure(wanted).await {
        Ok(report) => Ok(report.components),
        Err(CallError::Remote(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn what_differs_is_updated_and_read_again() {
    let machine = machine();
    updater(&machine, &installs(&machine.path("root")));
    let found = secure(machine, None).await.unwrap();
    let state = ComponentState::Updated { from: "1.0".to_owned() };
    assert_eq!(found, [Component { component: "bios".to_owned(), version: "2.0".to_owned(), wanted: "2.0".to_owned(), state }]);
}

#[tokio::test]
async fn an_update_that_needs_a_restart_says_so() {
    let machine = machine();
    updater(&machine, "test \"$#\" = 3 && test \"$1 $2 $3\" = 'bios 1.0 2.0' && test -z \"$HOME\"");
    assert_eq!(secure(machine, None).await.unwrap()[0].state, ComponentState::RestartNeeded);
}

#[tokio::test]
async fn an_updater_that_fails_says_why() {
    let machine = machine();
    updater(&machine, "echo 'no such ROM' >&2; exit 3");
    let found = secure(machine, None).await.unwrap();
    assert!(matches!(&found[0].state, ComponentState::Failed { error } if error.contains("no such ROM")), "{found:?}");
    assert_eq!(found[0].version, "1.0");
}

#[tokio::test]
async fn what_the_request_wants_is_compared_and_not_executed() {
    let machine = machine();
    let asked = vec![wanted("bios", "$(touch /tmp/no); 1.0"), wanted("microcode", "0x1")];
    let found = secure(machine, Some(asked)).await.unwrap();
    assert_eq!(found[0].state, ComponentState::NoUpdater);
    assert_eq!(found[1].state, ComponentState::Current);
}

#[tokio::test]
async fn what_cannot_be_known_is_an_error_before_anything_runs() {
    let ran = |machine: &Machine| machine.path("ran");
    for (asked, unsupported) in [
        (vec![wanted("bios", "2.0"), wanted("../../etc", "1")], true),
        (vec![wanted("bios", "2.0"), wanted("bmc", "1")], true),
        (vec![wanted("bios", "2.0"), wanted("bios", "3.0")], false),
    ] {
        let machine = machine();
        updater(&machine, &format!("touch {}", ran(&machine).display()));
        let ran = ran(&machine);
        let error = secure(machine, Some(asked)).await.unwrap_err();
        assert_eq!(matches!(error, FirmwareError::Unsupported { .. }), unsupported, "{error}");
        assert!(!ran.exists());
    }
    let mut machine = machine();
    machine.firmware = None;
    assert_eq!(secure(machine, None).await.unwrap_err(), FirmwareError::NothingWanted);
}

#[tokio::test]
async fn an_updater_that_is_no_program_is_told() {
    let machine = machine();
    fs::write(machine.path("firmware/bios/update"), "").unwrap();
    let error = secure(machine, None).await.unwrap_err();
    assert!(matches!(&error, FirmwareError::Configuration(why) if why.contains("it is no program")), "{error}");
}

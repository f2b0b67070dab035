//! Firmware is compared, and updated by the operator's programs only.

use std::{fs, future::Future, io::Write, os::unix::fs::PermissionsExt, path::Path};

use agent::{
    contract::{Component, ComponentState, DecommissionClient, FirmwareError, TaskState, Wanted},
    system::System,
};
use rmi_core::CallError;

use crate::world::{Machine, World};

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

/// It is an argument of the operator's updater, which may be a script that does not expect this.
#[tokio::test]
async fn what_the_request_wants_is_a_version() {
    let long = "1".repeat(65);
    for odd in [
        "$(touch /tmp/no)",
        "--force",
        "-f",
        "",
        " 1",
        "../rom",
        "1/../../rom",
        "1;reboot",
        "1\nreboot",
        "1\0",
        "`id`",
        "ü",
        &long,
    ] {
        let machine = machine();
        let ran = machine.path("ran");
        updater(&machine, &format!("touch {}", ran.display()));
        let error = secure(machine, Some(vec![wanted("microcode", "0x1"), wanted("bios", odd)])).await.unwrap_err();
        assert!(matches!(&error, FirmwareError::NoVersion { component, .. } if component == "bios"), "{odd:?}: {error}");
        assert!(!ran.exists(), "{odd:?}");
    }
    for version in ["2.11", "F.52", "N2WET32W (1.22 )", "0xf0", "1.0~rc1+2", "A:1"] {
        let found = secure(machine(), Some(vec![wanted("bios", version)])).await.unwrap();
        assert_eq!(found[0].state, ComponentState::NoUpdater, "{version}");
    }
}

/// ctrl-c at a terminal goes to the agent's whole group.
#[tokio::test]
async fn an_updater_is_in_a_group_of_its_own() {
    let machine = machine();
    let told = machine.path("told");
    updater(&machine, &format!("cut -d' ' -f1,5 /proc/$$/stat > {}", told.display()));
    // Its directory is kept until it has been looked at.
    let world = machine.start().await;
    world.decommission().firmware_secure(None).await.unwrap();
    let told = fs::read_to_string(told).unwrap();
    let (process, group) = told.trim().split_once(' ').unwrap();
    assert_eq!(process, group);
}

#[tokio::test]
async fn what_is_current_or_has_no_updater_is_left_alone() {
    let machine = machine();
    let asked = vec![wanted("bios", "1.1"), wanted("microcode", "0x1")];
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

/// Whatever takes the agent's place waits for it: the machine is not restarted while firmware is written.
#[tokio::test]
async fn an_update_that_nobody_waits_for_any_more_still_goes_on() {
    let machine = machine();
    let (began, go) = (machine.path("began"), machine.path("go"));
    for pipe in [&began, &go] {
        assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    }
    // Held at both ends: whatever fails here, the updater reads on.
    let mut let_go = fs::OpenOptions::new().read(true).write(true).open(&go).unwrap();
    updater(&machine, &format!("echo > {}; read line < {}", began.display(), go.display()));
    let World { machine, me, agent, caller } = machine.start().await;
    let client: DecommissionClient = caller.client("a:b:c:d");
    let pending = client.firmware_secure(None).send().await.unwrap();
    // Opening the one end waits for the other.
    tokio::task::spawn_blocking(move || fs::read(began).unwrap()).await.unwrap();
    let tasks = me.parts().tasks.clone();
    let mut changes = tasks.changes();
    assert!(!tasks.is_idle());
    drop((agent, pending));
    while changes.recv().await.is_ok_and(|status| status.state == TaskState::Running) {}
    // Its request has ended, and it has not.
    assert!(!tasks.is_idle());
    let mut idle = std::pin::pin!(tasks.idle());
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(idle.as_mut().poll(cx))).await.is_pending());
    let_go.write_all(b"\n").unwrap();
    idle.await;
    drop(machine);
}

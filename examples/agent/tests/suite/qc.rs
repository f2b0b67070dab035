//! What a machine has, compared with what it should have: on a machine of files, and on this one.

use std::{fs, path::Path};

use agent::{
    contract::{CpuSpecification, NetworkSpecification, QcError, Specification},
    qc::check,
    system::System,
};
use rmi_core::CallError;
use serde_json::json;

use crate::world::{MIB, Machine};

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Two sockets of two threads, 64 GiB, two interfaces of which one has a link.
fn rack(machine: &mut Machine) {
    let root = machine.path("root");
    let cpu = |n, socket| {
        format!("processor\t: {n}\nmodel name\t: AMD EPYC 7302P\nphysical id\t: {socket}\nmicrocode\t: 0x830107a\n\n")
    };
    put(&root, "proc/cpuinfo", &[cpu(0, 0), cpu(1, 0), cpu(2, 1), cpu(3, 1)].concat());
    put(&root, "proc/meminfo", "MemTotal:       65730808 kB\nMemFree: 1 kB\n");
    for (name, state, speed) in [("eth0", "up\n", "10000\n"), ("eth1", "down\n", "-1\n")] {
        put(&root, &format!("sys/class/net/{name}/operstate"), state);
        put(&root, &format!("sys/class/net/{name}/speed"), speed);
        put(&root, &format!("sys/class/net/{name}/device/vendor"), "0x8086\n");
    }
    put(&root, "sys/class/net/lo/operstate", "unknown\n");
    machine.system = System::below(root);
}

#[test]
fn a_machine_that_is_as_it_should_be_passes() {
    let mut machine = Machine::new().disk("sda", 4 * MIB).disk("sdb", 2 * MIB);
    rack(&mut machine);
    let specification = Specification {
        cpu: Some(CpuSpecification { model: Some("EPYC".to_owned()), sockets: Some(2), threads: Some(4) }),
        memory_at_least: Some(60 << 30),
        disks_at_least: vec![2 * MIB, 3 * MIB],
        network: Some(NetworkSpecification { interfaces_at_least: Some(2), up_at_least: Some(1), speed_at_least: Some(10_000) }),
    };
    let report = check(&machine.system, &machine.open_disks(), &specification).unwrap();
    assert!(report.passed, "{:#?}", report.findings);
    let what: Vec<&str> = report.findings.iter().map(|finding| finding.what.as_str()).collect();
    let expected = [
        "cpu.model",
        "cpu.sockets",
        "cpu.threads",
        "memory",
        "disks[0]",
        "disks[1]",
        "network.interfaces",
        "network.up",
        "network.speed",
    ];
    assert_eq!(what, expected);
    assert_eq!(report.facts["memory"], (65_730_808_u64 * 1024).to_string());
    assert_eq!(report.facts["network.eth0"], "up, 10000 Mb/s");
    assert!(!report.facts.contains_key("network.lo"));
}

#[test]
fn each_thing_that_is_missing_is_a_finding_of_its_own() {
    let mut machine = Machine::new().disk("sda", 4 * MIB);
    rack(&mut machine);
    let specification = Specification {
        cpu: Some(CpuSpecification { model: Some("Xeon".to_owned()), sockets: Some(1), threads: Some(8) }),
        memory_at_least: Some(64 << 30),
        disks_at_least: vec![4 * MIB + 1, MIB],
        network: Some(NetworkSpecification { interfaces_at_least: Some(3), up_at_least: Some(2), speed_at_least: Some(25_000) }),
    };
    let report = check(&machine.system, &machine.open_disks(), &specification).unwrap();
    assert!(!report.passed);
    assert!(report.findings.iter().all(|finding| !finding.passed), "{:#?}", report.findings);
    assert_eq!(report.findings[5].found, "no other disk");
    assert_eq!(report.findings[0].found, "AMD EPYC 7302P");
}

#[test]
fn what_is_not_asked_for_is_not_looked_for() {
    let mut machine = Machine::new();
    machine.system = System::below(machine.path("nothing"));
    let disks = machine.open_disks();
    assert_eq!(check(&machine.system, &disks, &Specification::default()).unwrap_err(), QcError::Empty);
    let memory = Specification { memory_at_least: Some(1), ..Specification::default() };
    assert!(matches!(check(&machine.system, &disks, &memory).unwrap_err(), QcError::Unreadable { what, .. } if what == "memory"));
    let disks_only = Specification { disks_at_least: vec![1], ..Specification::default() };
    assert!(!check(&machine.system, &disks, &disks_only).unwrap().passed);
}

#[tokio::test]
async fn this_machine_is_read_and_a_misspelt_check_does_not_pass() {
    let world = Machine::new().disk("sda", MIB).start().await;
    let specification = Specification {
        cpu: Some(CpuSpecification { threads: Some(u64::MAX), ..CpuSpecification::default() }),
        memory_at_least: Some(1 << 20),
        ..Specification::default()
    };
    let report = world.decommission().qc(specification).await.unwrap();
    assert_eq!(report.findings.iter().map(|finding| finding.passed).collect::<Vec<_>>(), [false, true]);
    let misspelt = world.caller.peer("a:b:c:d").class("decom").call::<serde_json::Value>("qc", [json!({"memory": 5})]).await;
    assert!(matches!(misspelt, Err(CallError::Rejected(_))), "{misspelt:?}");
}

//! A disk that is full, fails or loses power: nothing pretends, and what was said to be there is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use rmi_core::{
    journal::{Durable, Journal, JournalErrorKind, Recovered, RequestId, Step},
    testing::Disk,
};
use rmi_tests::steps::{Model, accepted, accepted_of, concluded, confirmed, forgotten, script, started};
use tempfile::tempdir;

async fn read(path: &Path) -> Recovered {
    let journal = Durable::open(path).unwrap();
    let recovered = journal.recover().await.unwrap();
    journal.close().await.unwrap();
    recovered
}

fn ids(recovered: &Recovered) -> Vec<RequestId> {
    recovered.requests.iter().map(|request| request.id).collect()
}

#[tokio::test]
async fn a_full_disk_is_said_and_survived() {
    let (directory, disk) = (tempdir().unwrap(), Disk::new());
    let journal = Durable::open_on(directory.path(), &disk).unwrap();
    journal.record(vec![accepted(1)]).await.unwrap();
    assert!(journal.failing().is_none());
    disk.fill();
    for id in 2..6 {
        let error = journal.record(vec![accepted(id)]).await.unwrap_err();
        assert_eq!(error.kind, JournalErrorKind::Disk);
        assert!(error.to_string().contains(directory.path().to_str().unwrap()), "it says where: {error}");
        assert_eq!(journal.failing().unwrap().kind, JournalErrorKind::Disk);
    }
    assert!(journal.figures().failures >= 4);
    disk.heal();
    until_recorded(&journal, accepted(6)).await;
    assert!(journal.failing().is_none(), "it says so when it can write again");
    journal.close().await.unwrap();
    assert_eq!(ids(&read(directory.path()).await), [RequestId(1), RequestId(6)]);
}

/// A store that fails spends at most half of its time with trying, so that the first attempt after the disk is well may be refused.
async fn until_recorded(journal: &Durable, step: Step) {
    while let Err(error) = journal.record(vec![step.clone()]).await {
        assert_eq!(error.kind, JournalErrorKind::Disk, "{error}");
        tokio::task::yield_now().await;
    }
}

/// Every write and every sync of a busy journal fails in its turn.
#[tokio::test]
async fn after_each_failure_the_committed_steps_are_there() {
    let calls = script(8);
    let (mut writes, mut syncs) = (0, 0);
    for (what, fail) in [("write", Disk::fail_writes_after as fn(&Disk, u64)), ("sync", Disk::fail_syncs_after)] {
        for n in 0.. {
            let (directory, disk) = (tempdir().unwrap(), Disk::new());
            let journal = Durable::open_on(directory.path(), &disk).unwrap();
            let (mut model, mut uncertain) = (Model::default(), Model::default());
            fail(&disk, n);
            let mut failed = false;
            for call in &calls {
                match journal.record(call.clone()).await {
                    Ok(()) => {
                        model.take(call);
                        uncertain.take(call);
                    }
                    Err(_) => {
                        failed = true;
                        // What fails at its sync may be there, as far as nobody was told that it is not.
                        let kept: Vec<Step> = call
                            .iter()
                            .filter(|step| {
                                matches!(
                                    step,
                                    Step::Concluded { .. }
                                        | Step::Confirmed { .. }
                                        | Step::Forgotten { .. }
                                        | Step::Floor { .. }
                                        | Step::Since { .. }
                                )
                            })
                            .cloned()
                            .collect();
                        uncertain.take(&kept);
                        disk.heal();
                    }
                }
            }
            // What was refused while the disk failed was refused: an agent rejects those requests. The others are there.
            let now = journal.recover().await.unwrap();
            let expected = if now == model.read() { model.read() } else { uncertain.read() };
            assert_eq!(now, expected, "after the failure of {what} {n}");
            drop(journal);
            disk.cut_power(n);
            let after = read_when_free(directory.path()).await;
            assert_eq!(after, expected, "and after a loss of power");
            if !failed {
                break;
            }
            *(if what == "write" { &mut writes } else { &mut syncs }) += 1;
        }
    }
    println!("{writes} writes and {syncs} syncs have failed, each in its turn");
    assert!(writes > 100 && syncs > 10, "{writes} writes and {syncs} syncs are not what a script of {} calls does", calls.len());
}

/// The writer of a journal that was dropped may still be ending.
async fn read_when_free(path: &Path) -> Recovered {
    loop {
        match Durable::open(path) {
            Ok(journal) => return journal.recover().await.unwrap(),
            Err(error) => assert_eq!(error.kind, JournalErrorKind::InUse, "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

/// The power goes while a commit is being synced: an arbitrary part of its writes is on the disk.
#[tokio::test]
async fn after_a_loss_of_power_the_committed_steps_are_there() {
    let calls = script(10);
    let mut torn = 0;
    for seed in 0..200_u64 {
        let (directory, disk) = (tempdir().unwrap(), Disk::new());
        let journal = Durable::open_on(directory.path(), &disk).unwrap();
        let mut model = Model::default();
        let last = usize::try_from(seed).unwrap() % calls.len();
        for call in &calls[..last] {
            journal.record(call.clone()).await.unwrap();
            model.take(call);
        }
        let (before, written) = (model.read(), disk.writes());
        disk.hold();
        let commit = journal.record(calls[last].clone());
        while disk.writes() == written {
            tokio::task::yield_now().await;
        }
        disk.cut_power(seed);
        commit.await.expect_err("nobody is told that it is there");
        drop(journal);
        model.take(&calls[last]);
        let after = read_when_free(directory.path()).await;
        assert!(
            after == before || after == model.read(),
            "seed {seed}: {after:#?}\nis neither {before:#?}\nnor {:#?}",
            model.read()
        );
        torn += usize::from(after == before);
    }
    println!("{torn} of 200 commits were undone by the loss of power");
}

#[tokio::test]
async fn a_request_whose_recording_failed_is_not_there() {
    let (directory, disk) = (tempdir().unwrap(), Disk::new());
    let journal = Durable::open_on(directory.path(), &disk).unwrap();
    journal.record(vec![accepted(1)]).await.unwrap();
    // The disk has everything when it says that it has nothing: the next to look finds it.
    disk.fail_syncs_after(0);
    journal.record(vec![accepted(2), started(2)]).await.unwrap_err();
    disk.heal();
    until_recorded(&journal, accepted(3)).await;
    assert_eq!(ids(&journal.recover().await.unwrap()), [RequestId(1), RequestId(3)]);
    journal.close().await.unwrap();
    assert_eq!(ids(&read(directory.path()).await), [RequestId(1), RequestId(3)]);
}

#[tokio::test]
async fn what_nobody_waits_for_is_written_when_the_disk_is_well_again() {
    let (directory, disk) = (tempdir().unwrap(), Disk::new());
    let (journal, mut model) = (Durable::open_on(directory.path(), &disk).unwrap(), Model::default());
    journal.record(vec![accepted(1), concluded(1)]).await.unwrap();
    disk.fill();
    journal.note(vec![confirmed(1)]);
    journal.record(vec![accepted(2)]).await.unwrap_err();
    disk.heal();
    until_recorded(&journal, accepted(3)).await;
    model.take(&[accepted(1), concluded(1), confirmed(1), accepted(3)]);
    journal.close().await.unwrap();
    assert_eq!(read(directory.path()).await, model.read());
}

/// Set in the process in which the file system is full.
const CHILD: &str = "RMI_TEST_SMALL_DISK";

/// What really happens at the end of a file system, and of a file that may not grow: the first in a mount namespace, the second under
/// a limit of the process.
#[test]
fn a_real_disk_becomes_full() {
    if let Ok(mode) = env::var(CHILD) {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        return runtime.block_on(on_a_small_disk(Path::new(&env::var("RMI_TEST_DIRECTORY").unwrap()), &mode));
    }
    let directory = tempdir().unwrap();
    let here = env::current_exe().unwrap();
    let again = |mode: &str, program: &str, arguments: &[&str], script: &str| {
        let mut command = Command::new(program);
        command.args(arguments).args(["sh", "-c", script, "sh"]).arg(&here).args([
            "--exact",
            "a_real_disk_becomes_full",
            "--nocapture",
        ]);
        command.env(CHILD, mode).env("RMI_TEST_DIRECTORY", directory.path()).output()
    };
    let mounted = again(
        "mounted",
        "unshare",
        &["-m"],
        "mount -t tmpfs -o size=12m tmpfs \"$RMI_TEST_DIRECTORY\" && echo mounted && exec \"$@\"",
    );
    let limited = again("limited", "env", &[], "trap '' XFSZ; ulimit -f 8192 && echo limited && exec \"$@\"");
    let mut ran = Vec::new();
    for (mode, output) in [("mounted", mounted), ("limited", limited)] {
        let Ok(output) = output else { continue };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !said.starts_with(mode) {
            continue;
        }
        assert!(output.status.success(), "on a disk that is {mode}: {said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("became full"), "the test did not run on a disk that is {mode}: {said}");
        ran.push(mode);
    }
    assert!(!ran.is_empty(), "needs `unshare -m` with the right to mount, or a shell with `ulimit -f`: neither works here");
    println!("with a file system that was full: {ran:?}");
}

async fn on_a_small_disk(directory: &Path, mode: &str) {
    let path = directory.join("journal");
    let ballast: PathBuf = directory.join("ballast");
    fs::write(&ballast, vec![1; 2 << 20]).unwrap();
    let journal = Durable::open(&path).unwrap();
    let mut there = Vec::new();
    let mut id = 0;
    let error = loop {
        id += 1;
        match journal.record(vec![accepted_of(id, 100_000)]).await {
            Ok(()) => there.push(RequestId(id)),
            Err(error) => break error,
        }
        assert!(id < 1000, "the disk does not become full");
    };
    println!("became full at request {id}: {error}");
    assert_eq!(error.kind, JournalErrorKind::Disk);
    assert!(journal.failing().is_some());
    assert!(there.len() > 10, "{there:?}");
    // It can still be read, and what was refused is not there.
    assert_eq!(ids(&journal.recover().await.unwrap()), there);
    if mode == "mounted" {
        fs::remove_file(&ballast).unwrap();
        until_recorded(&journal, accepted(1000)).await;
        there.push(RequestId(1000));
        journal.record(vec![forgotten(1)]).await.unwrap();
        there.remove(0);
    }
    let _ = journal.close().await;
    assert_eq!(ids(&read(&path).await), there);
}

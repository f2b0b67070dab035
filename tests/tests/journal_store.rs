//! A journal on disk keeps what it says it has, for one endpoint, in a file that stays small.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, os::unix::fs::PermissionsExt};

use rmi_core::{
    journal::{Durable, Journal, JournalErrorKind, Recovered, Step},
    testing::Disk,
};
use rmi_tests::steps::{Model, accepted, accepted_of, concluded, confirmed, forgotten, script, started};
use tempfile::tempdir;

async fn read(path: &std::path::Path) -> Recovered {
    let journal = Durable::open(path).unwrap();
    let recovered = journal.recover().await.unwrap();
    journal.close().await.unwrap();
    recovered
}

#[tokio::test]
async fn what_is_on_disk_is_read_again() {
    let directory = tempdir().unwrap();
    let (journal, mut model) = (Durable::open(directory.path()).unwrap(), Model::default());
    assert_eq!(journal.recover().await.unwrap(), Recovered::default(), "a new journal is empty");
    for call in script(30) {
        model.take(&call);
        journal.record(call).await.unwrap();
    }
    // It can be read while it is open, and it is the same after that.
    assert_eq!(journal.recover().await.unwrap(), model.read());
    journal.close().await.unwrap();
    assert_eq!(read(directory.path()).await, model.read());
    assert!(!model.read().requests.is_empty());
}

#[tokio::test]
async fn many_calls_share_one_commit() {
    let (directory, disk) = (tempdir().unwrap(), Disk::new());
    let journal = Durable::open_on(directory.path(), &disk).unwrap();
    // One is being written, and the others wait for it.
    disk.hold();
    let before = journal.figures().commits;
    let mut commits = vec![journal.record(vec![accepted(1)])];
    commits.extend((2..=500).map(|id| journal.record(vec![accepted(id), started(id)])));
    disk.release();
    for commit in commits {
        commit.await.unwrap();
    }
    let commits = journal.figures().commits - before;
    assert!((1..=2).contains(&commits), "{commits} commits for 500 calls of which 499 had to wait");
    assert_eq!(journal.recover().await.unwrap().requests.len(), 500);
}

#[tokio::test]
async fn the_order_of_calls_is_the_order_on_disk() {
    let directory = tempdir().unwrap();
    let (journal, mut model) = (Durable::open(directory.path()).unwrap(), Model::default());
    // Each undoes what the one before has done: in another order something else would be left.
    let calls: Vec<Vec<Step>> = (1..=200)
        .flat_map(|id| [vec![accepted(id)], vec![concluded(id), confirmed(id)], vec![forgotten(id), accepted(id)]])
        .collect();
    let commits: Vec<_> = calls.iter().map(|call| journal.record(call.clone())).collect();
    for (call, commit) in calls.iter().zip(commits) {
        model.take(call);
        commit.await.unwrap();
    }
    assert_eq!(journal.recover().await.unwrap(), model.read());
}

#[tokio::test]
async fn what_nobody_waits_for_rides_along() {
    let directory = tempdir().unwrap();
    let (journal, mut model) = (Durable::open(directory.path()).unwrap(), Model::default());
    journal.record(vec![accepted(1), concluded(1)]).await.unwrap();
    let commits = journal.figures().commits;
    journal.note(vec![confirmed(1)]);
    journal.record(vec![accepted(2)]).await.unwrap();
    assert_eq!(journal.figures().commits, commits + 1, "it takes the next commit");
    model.take(&[accepted(1), concluded(1), confirmed(1), accepted(2)]);
    assert_eq!(journal.recover().await.unwrap(), model.read());
    // Alone it is written when the journal is closed, if not before.
    journal.note(vec![forgotten(1)]);
    model.take(&[forgotten(1)]);
    journal.close().await.unwrap();
    assert_eq!(read(directory.path()).await, model.read());
}

#[tokio::test]
async fn how_much_waits_is_bounded() {
    let (directory, disk) = (tempdir().unwrap(), Disk::new());
    let journal = Durable::open_on(directory.path(), &disk).unwrap();
    disk.hold();
    let mut commits = Vec::new();
    let refused = loop {
        // Megabytes, which are bounded as well as calls are.
        let mut commit = journal.record(vec![accepted_of(commits.len() as u64 + 1, 16 << 20)]);
        match futures_poll(&mut commit).await {
            Some(result) => break result.unwrap_err(),
            None => commits.push(commit),
        }
        assert!(commits.len() < 30, "nothing bounds what waits");
    };
    assert_eq!(refused.kind, JournalErrorKind::Full);
    journal.note(vec![confirmed(1)]);
    assert!(journal.figures().left_out <= 1);
    disk.release();
    for commit in commits {
        commit.await.unwrap();
    }
    journal.record(vec![accepted(1000)]).await.expect("there is room again");
}

/// What a future is now, if it is ready.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn a_directory_is_one_endpoints() {
    let directory = tempdir().unwrap();
    let journal = Durable::open(directory.path()).unwrap();
    let error = Durable::open(directory.path()).unwrap_err();
    assert_eq!(error.kind, JournalErrorKind::InUse);
    let who = format!("process {}", std::process::id());
    assert!(error.to_string().contains(&who), "it says who has it: {error}");
    assert!(error.to_string().contains(directory.path().to_str().unwrap()), "and what: {error}");
    journal.close().await.unwrap();
    Durable::open(directory.path()).expect("it is free when it was closed");
}

#[tokio::test]
async fn nobody_else_may_read_it() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("a/journal");
    let journal = Durable::open(&path).unwrap();
    journal.record(vec![accepted(1)]).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    for file in fs::read_dir(&path).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
    }
}

#[tokio::test]
async fn a_newer_format_is_left_alone() {
    let directory = tempdir().unwrap();
    let journal = Durable::open(directory.path()).unwrap();
    journal.record(vec![accepted(1)]).await.unwrap();
    journal.close().await.unwrap();
    let (identity, store) = (directory.path().join("identity"), directory.path().join("journal.redb"));
    let (was, held) = (fs::read_to_string(&identity).unwrap(), fs::read(&store).unwrap());
    fs::write(&identity, was.replacen(" 1 ", " 2 ", 1)).unwrap();
    let error = Durable::open(directory.path()).unwrap_err();
    assert_eq!(error.kind, JournalErrorKind::Version);
    assert!(error.to_string().contains("format 2"), "{error}");
    assert_eq!(fs::read(&store).unwrap(), held, "nothing was touched");
    fs::write(&identity, was).unwrap();
    assert_eq!(read(directory.path()).await.requests.len(), 1);
}

#[tokio::test]
async fn a_path_that_is_no_directory_says_what_to_do() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "not a journal").unwrap();
    let error = Durable::open(&path).unwrap_err();
    assert_eq!(error.kind, JournalErrorKind::Disk);
    assert!(error.to_string().contains("give a directory"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "not a journal");
}

#[tokio::test]
async fn a_closed_journal_records_nothing() {
    let directory = tempdir().unwrap();
    let journal = Durable::open(directory.path()).unwrap();
    let last = journal.record(vec![accepted(1)]);
    journal.close().await.unwrap();
    last.await.expect("what was recorded before is written");
    assert_eq!(journal.record(vec![accepted(2)]).await.unwrap_err().kind, JournalErrorKind::Closed);
    assert_eq!(journal.close().await.unwrap_err().kind, JournalErrorKind::Closed);
    assert_eq!(read(directory.path()).await.requests.len(), 1);
}

#[tokio::test]
async fn a_journal_that_is_dropped_writes_what_waits() {
    let directory = tempdir().unwrap();
    let journal = Durable::open(directory.path()).unwrap();
    let last = journal.record(vec![accepted(1)]);
    drop(journal);
    last.await.unwrap();
}

#[tokio::test]
async fn its_file_stays_small() {
    let directory = tempdir().unwrap();
    let journal = Durable::open(directory.path()).unwrap();
    // A window of 1000 requests goes over 100,000 of them, 500 at a time.
    let (all, window, at_once) = (100_000, 1000, 500);
    let mut early = 0;
    for first in (1..=all).step_by(at_once) {
        let commits: Vec<_> = (first..first + at_once as u64)
            .map(|id| {
                let mut steps = vec![accepted(id), started(id), concluded(id), confirmed(id)];
                steps.extend(id.checked_sub(window).filter(|id| *id > 0).map(forgotten));
                journal.record(steps)
            })
            .collect();
        for commit in commits {
            commit.await.unwrap();
        }
        if first < 10 * window {
            early = early.max(journal.figures().bytes);
        }
    }
    let late = journal.figures().bytes;
    assert!(late <= 2 * early, "{early} bytes after {} requests, {late} after {all}", 10 * window);
    assert_eq!(journal.recover().await.unwrap().requests.len(), usize::try_from(window).unwrap());
}

#[tokio::test]
async fn a_file_that_has_become_large_for_nothing_is_made_small() {
    let directory = tempdir().unwrap();
    let (journal, mut model) = (Durable::open(directory.path()).unwrap(), Model::default());
    for id in 1..=40 {
        journal.record(vec![accepted_of(id, 1 << 20)]).await.unwrap();
    }
    for id in 1..40 {
        journal.record(vec![forgotten(id)]).await.unwrap();
    }
    model.take(&[accepted_of(40, 1 << 20)]);
    let large = journal.figures().bytes;
    journal.close().await.unwrap();
    let journal = Durable::open(directory.path()).unwrap();
    let small = journal.figures().bytes;
    assert!(large > 40 << 20 && small < 8 << 20, "{large} bytes have become {small}");
    assert_eq!(journal.recover().await.unwrap(), model.read());
    journal.record(vec![accepted(41)]).await.unwrap();
}

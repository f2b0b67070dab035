//! The one thread that writes: everything that waits shares a commit.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    journal::{
        JournalError,
        durable::{
            queue::{Next, Queue, Write},
            store::Store,
        },
    },
    lock::lock,
};

/// What the writer and those who ask it share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) queue: Queue,
    pub(super) failing: Mutex<Option<JournalError>>,
    pub(super) commits: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) len: AtomicU64,
}

/// Writes until the journal is closed.
pub(super) fn run(mut store: Store, shared: &Shared) {
    loop {
        match shared.queue.next() {
            Next::Write(writes) => write(&mut store, shared, writes),
            Next::Recover(tell) => {
                let recovered = store.recover();
                show(&store, shared);
                let _ = tell.send(recovered);
            }
            Next::Close(tell) => {
                let result = store.failed().cloned().map_or(Ok(()), Err);
                // Who is told may open it again at once.
                drop(store);
                if let Some(tell) = tell {
                    let _ = tell.send(result);
                }
                return;
            }
        }
    }
}

fn write(store: &mut Store, shared: &Shared, writes: Vec<Write>) {
    let mut changes = writes.iter().flat_map(|write| &write.changes);
    let new = writes.iter().flat_map(|write| write.new.iter().copied());
    let written = store.write(&mut changes, new);
    match &written {
        Ok(()) => shared.commits.fetch_add(1, Ordering::Relaxed),
        Err(_) => shared.failures.fetch_add(1, Ordering::Relaxed),
    };
    show(store, shared);
    let failed = written.is_err();
    let mut notes = Vec::new();
    for mut write in writes {
        match write.committing.take() {
            Some(committing) => committing.finish(written.clone()),
            None if failed => notes.push(write),
            None => {}
        }
    }
    if failed {
        shared.queue.again(notes.into_iter());
    }
}

fn show(store: &Store, shared: &Shared) {
    *lock(&shared.failing) = store.failed().cloned();
    shared.len.store(store.len(), Ordering::Relaxed);
}

/// Runs the writer, whatever happens to it: nobody waits for one that has ended.
pub(super) fn supervised(store: Store, shared: &Arc<Shared>) {
    if catch_unwind(AssertUnwindSafe(|| run(store, shared))).is_err() {
        tracing::error!("the journal's writer has panicked: nothing is recorded any more");
    }
    shared.queue.abandon();
}

//! What waits for the writer: bounded, in the order in which it was given.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    journal::{Change, Commit, Committing, JournalError, JournalErrorKind, Recovered, RequestId},
    lock::lock,
};

/// How many calls wait at most, and with how many bytes.
const WAITING: usize = 65_536;
const WAITING_BYTES: usize = 256 << 20;
/// How many calls share one commit at most, and with how many bytes.
const BATCH: usize = 4_096;
const BATCH_BYTES: usize = 16 << 20;
/// How long what nobody waits for waits for somebody else's commit.
const LAZY: Duration = Duration::from_millis(500);

/// The changes of one call.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) changes: Vec<Change>,
    /// The requests that are not there if this is not.
    pub(super) new: Vec<RequestId>,
    /// Who waits for it, if anybody.
    pub(super) committing: Option<Committing>,
    pub(super) bytes: usize,
}

#[derive(Debug)]
pub(super) enum Job {
    Write(Write),
    Recover(oneshot::Sender<Result<Recovered, JournalError>>),
    Close(oneshot::Sender<Result<(), JournalError>>),
}

/// What the writer does next.
#[derive(Debug)]
pub(super) enum Next {
    Write(Vec<Write>),
    Recover(oneshot::Sender<Result<Recovered, JournalError>>),
    /// The last: with whom to tell, unless the journal was dropped.
    Close(Option<oneshot::Sender<Result<(), JournalError>>>),
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    /// Something is there for the writer.
    woken: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// How many jobs somebody waits for.
    urgent: usize,
    /// When the writer looks at what nobody waits for.
    lazily: Option<Instant>,
    asleep: bool,
    closed: bool,
    left_out: u64,
}

impl Queue {
    /// Takes changes that somebody waits for.
    pub(super) fn record(&self, changes: Vec<Change>, new: Vec<RequestId>) -> Commit {
        let bytes = size(&changes);
        let mut inner = lock(&self.inner);
        if let Err(error) = inner.room(bytes) {
            return Commit::done(Err(error));
        }
        let (committing, commit) = Commit::waiting();
        inner.bytes += bytes;
        inner.urgent += 1;
        inner.jobs.push_back(Job::Write(Write { changes, new, committing: Some(committing), bytes }));
        self.wake(&mut inner);
        commit
    }

    /// Takes changes that nobody waits for, if there is room.
    pub(super) fn note(&self, changes: Vec<Change>) {
        let bytes = size(&changes);
        let mut inner = lock(&self.inner);
        if inner.room(bytes).is_err() {
            inner.left_out += 1;
            return;
        }
        inner.bytes += bytes;
        inner.jobs.push_back(Job::Write(Write { changes, new: Vec::new(), committing: None, bytes }));
        if inner.lazily.is_none() {
            inner.lazily = Some(Instant::now() + LAZY);
            self.wake(&mut inner);
        }
    }

    /// Takes what is not a change. False when it is closed.
    pub(super) fn ask(&self, job: Job) -> bool {
        let mut inner = lock(&self.inner);
        if inner.closed {
            return false;
        }
        inner.closed = matches!(job, Job::Close(_));
        inner.urgent += 1;
        inner.jobs.push_back(job);
        self.wake(&mut inner);
        true
    }

    /// Nothing is taken any more. What is there is still written.
    pub(super) fn close(&self) {
        let mut inner = lock(&self.inner);
        inner.closed = true;
        self.wake(&mut inner);
    }

    /// The writer has ended: who waits is told so, by the dropping.
    pub(super) fn abandon(&self) {
        let mut inner = lock(&self.inner);
        inner.closed = true;
        let jobs = std::mem::take(&mut inner.jobs);
        drop(inner);
        drop(jobs);
    }

    /// Changes that nobody waited for and that could not be written are first again, as far as there is room.
    pub(super) fn again(&self, notes: impl DoubleEndedIterator<Item = Write>) {
        let mut inner = lock(&self.inner);
        for note in notes.rev() {
            if inner.closed || inner.room(note.bytes).is_err() {
                inner.left_out += 1;
                continue;
            }
            inner.bytes += note.bytes;
            inner.jobs.push_front(Job::Write(note));
        }
        if !inner.jobs.is_empty() && inner.lazily.is_none() {
            inner.lazily = Some(Instant::now() + LAZY);
        }
    }

    /// How many calls wait, and how many changes that nobody waited for were left out.
    pub(super) fn figures(&self) -> (usize, u64) {
        let inner = lock(&self.inner);
        (inner.jobs.len(), inner.left_out)
    }

    /// Waits for what is next.
    pub(super) fn next(&self) -> Next {
        let mut inner = lock(&self.inner);
        loop {
            let due = inner.lazily.map(|at| at.saturating_duration_since(Instant::now()));
            if inner.urgent > 0 || due.is_some_and(|due| due.is_zero()) || (inner.closed && !inner.jobs.is_empty()) {
                return inner.take();
            }
            if inner.closed {
                return Next::Close(None);
            }
            inner.asleep = true;
            inner = match due {
                Some(due) => self.woken.wait_timeout(inner, due).unwrap_or_else(PoisonError::into_inner).0,
                None => self.woken.wait(inner).unwrap_or_else(PoisonError::into_inner),
            };
            inner.asleep = false;
        }
    }

    fn wake(&self, inner: &mut Inner) {
        if inner.asleep {
            inner.asleep = false;
            self.woken.notify_one();
        }
    }
}

impl Inner {
    fn room(&self, bytes: usize) -> Result<(), JournalError> {
        if self.closed {
            return Err(JournalError::new(JournalErrorKind::Closed, "nothing is recorded any more"));
        }
        // One alone is let in however large it is: how large a request can be is somebody else's bound.
        if self.jobs.len() >= WAITING || (!self.jobs.is_empty() && self.bytes.saturating_add(bytes) > WAITING_BYTES) {
            let message = format!(
                "{} calls with {} bytes wait to be written: the disk is slower than what comes",
                self.jobs.len(),
                self.bytes
            );
            return Err(JournalError::new(JournalErrorKind::Full, message));
        }
        Ok(())
    }

    fn take(&mut self) -> Next {
        let (mut writes, mut bytes) = (Vec::new(), 0);
        while let Some(job) = self.jobs.pop_front() {
            match job {
                Job::Write(write) => {
                    bytes += write.bytes;
                    self.bytes -= write.bytes;
                    self.urgent -= usize::from(write.committing.is_some());
                    writes.push(write);
                    if writes.len() >= BATCH || bytes >= BATCH_BYTES {
                        break;
                    }
                }
                other if !writes.is_empty() => {
                    self.jobs.push_front(other);
                    break;
                }
                Job::Recover(tell) => {
                    self.urgent -= 1;
                    return Next::Recover(tell);
                }
                Job::Close(tell) => {
                    self.urgent -= 1;
                    return Next::Close(Some(tell));
                }
            }
        }
        if self.jobs.is_empty() {
            self.lazily = None;
        }
        Next::Write(writes)
    }
}

fn size(changes: &[Change]) -> usize {
    changes
        .iter()
        .map(|change| match change {
            Change::Put(key, value) => key.as_ref().len() + value.len(),
            Change::DeleteRange(from, to) => from.as_ref().len() + to.as_ref().len(),
        })
        .sum()
}

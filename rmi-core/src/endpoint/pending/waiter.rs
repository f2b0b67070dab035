//! What a call that waits hears, between whoever reads its replies and whoever awaits it.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll, Waker},
};

use crate::{
    endpoint::pending::Lost,
    lock::lock,
    message::{Outcome, Status},
};

/// How far a call has come, as far as its caller can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Reached {
    Begun,
    Sent,
    Accepted,
    Started,
}

/// What a watched call hears.
#[derive(Debug)]
pub(crate) enum Heard {
    Status(Status),
    End(Result<Outcome, Lost>),
}

#[derive(Debug)]
pub(super) struct Waiter {
    watched: bool,
    /// How far the call has come, as a [`Reached`].
    reached: AtomicU8,
    ended: AtomicBool,
    /// Its link was lost, and it is not known yet by which other one its replies come.
    astray: AtomicBool,
    state: Mutex<WaiterState>,
}

#[derive(Debug, Default)]
struct WaiterState {
    statuses: VecDeque<Status>,
    end: Option<Result<Outcome, Lost>>,
    waker: Option<Waker>,
}

/// How many statuses wait for a watcher; then a step of progress replaces the one before it.
const STATUSES: usize = 256;

impl Waiter {
    pub(super) fn new(watched: bool) -> Self {
        let reached = AtomicU8::new(Reached::Begun as u8);
        Waiter { watched, reached, ended: AtomicBool::new(false), astray: AtomicBool::new(false), state: Mutex::default() }
    }

    pub(super) fn reach(&self, reached: Reached) {
        self.reached.fetch_max(reached as u8, Ordering::SeqCst);
    }

    pub(super) fn has(&self, reached: Reached) -> bool {
        self.reached.load(Ordering::SeqCst) >= reached as u8
    }

    pub(super) fn stray(&self, astray: bool) {
        self.astray.store(astray, Ordering::SeqCst);
    }

    pub(super) fn is_astray(&self) -> bool {
        self.astray.load(Ordering::SeqCst)
    }

    pub(super) fn status(&self, status: Status) {
        if !self.watched {
            return;
        }
        let mut state = lock(&self.state);
        if state.statuses.len() >= STATUSES {
            state.statuses.pop_back();
        }
        state.statuses.push_back(status);
        let waker = state.waker.take();
        drop(state);
        wake(waker);
    }

    pub(super) fn end(&self, end: Result<Outcome, Lost>) {
        let mut state = lock(&self.state);
        state.end = Some(end);
        self.ended.store(true, Ordering::Release);
        let waker = state.waker.take();
        drop(state);
        wake(waker);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether the call has ended, however it did.
    pub(super) fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if state.end.is_some() {
            return Poll::Ready(());
        }
        state.wait(cx);
        Poll::Pending
    }

    /// The outcome, once.
    pub(super) fn poll_outcome(&self, cx: &mut Context<'_>) -> Poll<Result<Outcome, Lost>> {
        let mut state = lock(&self.state);
        match state.end.take() {
            Some(end) => Poll::Ready(end),
            None => {
                state.wait(cx);
                Poll::Pending
            }
        }
    }

    /// The next status, or the end.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Heard> {
        let mut state = lock(&self.state);
        if let Some(status) = state.statuses.pop_front() {
            return Poll::Ready(Heard::Status(status));
        }
        match state.end.take() {
            Some(end) => Poll::Ready(Heard::End(end)),
            None => {
                state.wait(cx);
                Poll::Pending
            }
        }
    }
}

impl WaiterState {
    fn wait(&mut self, cx: &mut Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }
}

/// Called without the lock: whoever is woken takes it next.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

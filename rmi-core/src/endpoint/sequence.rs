//! Contracts whose requests run one after the other.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// The queue of a contract whose requests run one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Sequence(Arc<Semaphore>);

/// A place in such a queue. Whoever is behind it comes up when it is dropped, wherever it stood.
pub(crate) enum Turn {
    /// It is first, and may run.
    Come { _held: OwnedSemaphorePermit },
    /// It waits for those before it.
    Waiting(Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>),
}

impl Sequence {
    pub(crate) fn new() -> Self {
        Sequence(Arc::new(Semaphore::new(1)))
    }

    /// The next place. It is taken now, and not when somebody first waits: the order is that of these calls.
    pub(crate) fn next(&self) -> Turn {
        // The semaphore is fair. Unconstrained, because a task that has used up its budget would not be queued.
        let mut waiting = Box::pin(tokio::task::unconstrained(Arc::clone(&self.0).acquire_owned()));
        match waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(permit)) => Turn::Come { _held: permit },
            // It never closes; if it did, waiting would say so.
            Poll::Ready(Err(_)) | Poll::Pending => Turn::Waiting(waiting),
        }
    }
}

impl Turn {
    pub(crate) fn has_come(&self) -> bool {
        matches!(self, Turn::Come { .. })
    }

    /// Waits until it has come. Cancel safe: the place is kept.
    pub(crate) async fn come(&mut self) {
        if let Turn::Waiting(waiting) = self
            && let Ok(permit) = waiting.await
        {
            *self = Turn::Come { _held: permit };
        }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.has_come() { "Turn::Come" } else { "Turn::Waiting" })
    }
}

//! How an endpoint ends: what runs may finish, what has not started goes back.

use std::{
    future::{Future, poll_fn},
    ops::Deref,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

use crate::{context::Cancellation, endpoint::dispatch::Core, transport::TransportError};

/// How long a drain waits for a journal to write what it still has.
const CLOSING: Duration = Duration::from_secs(10);

/// How far an endpoint is on its way to its end.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    /// Everything is there that a request may need.
    started: Cancellation,
    /// How many requests are left to the next start.
    kept: AtomicUsize,
    stopping: Cancellation,
    closed: Cancellation,
    abandoned: Cancellation,
}

impl Stage {
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_set()
    }

    pub(crate) fn start(&self) {
        self.started.set();
    }

    /// Waits until the endpoint has been started, or never will be.
    pub(crate) async fn started(&self) {
        if !self.started.is_set() {
            let (mut started, mut stopping) = (pin!(self.started.wait()), pin!(self.stopping.wait()));
            poll_fn(|cx| {
                let over = started.as_mut().poll(cx).is_ready() || stopping.as_mut().poll(cx).is_ready();
                if over { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    }

    /// One more request is left to the next start.
    pub(crate) fn keep(&self) {
        self.kept.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until no new request is taken any more.
    pub(crate) async fn stopping(&self) {
        self.stopping.wait().await;
    }

    /// Waits until nothing is received any more.
    pub(crate) async fn closed(&self) {
        self.closed.wait().await;
    }

    /// Waits until the endpoint has been dropped.
    pub(crate) async fn abandoned(&self) {
        self.abandoned.wait().await;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.is_set()
    }

    fn stop(&self) {
        self.stopping.set();
    }

    fn close(&self) {
        self.stopping.set();
        self.closed.set();
    }
}

/// How many are at work: requests on their way to their outcome, or receivers.
#[derive(Debug, Default)]
pub(crate) struct Running {
    running: AtomicUsize,
    none: Notify,
}

impl Running {
    pub(crate) fn count(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    async fn none(&self) {
        loop {
            let none = self.none.notified();
            if self.count() == 0 {
                return;
            }
            none.await;
        }
    }
}

/// One of them, and the endpoint that it works for.
pub(crate) struct Guard {
    core: Arc<Core>,
    among: fn(&Core) -> &Running,
}

impl Guard {
    /// Counts one more among those that run.
    pub(crate) fn enter(core: &Arc<Core>, among: fn(&Core) -> &Running) -> Self {
        among(core).running.fetch_add(1, Ordering::SeqCst);
        Guard { core: Arc::clone(core), among }
    }
}

impl Deref for Guard {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let running = (self.among)(&self.core);
        // Nobody waits for the last one before the endpoint stops, which it does before it looks at the count.
        if running.running.fetch_sub(1, Ordering::SeqCst) == 1 && self.core.stage.is_stopping() {
            running.none.notify_waiters();
        }
    }
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "it says whether handlers were left behind"]
pub struct Drained {
    /// Handlers that were still running when the grace was over. Their requests go back to the bus; those that are in a durable
    /// journal end when the endpoint is started again.
    pub left_behind: usize,
    /// Requests in a durable journal that had not started: they run when the endpoint is started again.
    pub kept: usize,
}

impl Core {
    /// Stops taking requests, lets what runs finish within the grace, and closes.
    pub(crate) async fn drain(&self, grace: Duration) -> Result<Drained, TransportError> {
        self.stage.stop();
        // What the receivers hold goes back before the subscriptions end: after that it would count as delivered.
        let done = async {
            self.receiving.none().await;
            self.running.none().await;
        };
        let left_behind = match timeout(grace, done).await {
            Ok(()) => 0,
            Err(_) => self.running.count(),
        };
        if left_behind > 0 {
            tracing::warn!(left_behind, ?grace, "handlers were still running when the grace was over");
        }
        for binding in &self.bindings {
            if let Some(sessions) = &binding.sessions {
                sessions.leave(binding).await;
            }
        }
        self.stage.close();
        let mut closed = Ok(());
        for binding in &self.bindings {
            binding.pending.close();
            closed = closed.and(binding.transport.close().await);
        }
        if let Some(journal) = &self.journal {
            match timeout(CLOSING, journal.close()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(%error, "the journal could not be closed; what it has not written is found out again");
                }
                Err(_) => tracing::error!(
                    waited = ?CLOSING,
                    "the journal's disk does not answer: it is left as it is, and what it has not written is found out again"
                ),
            }
        }
        closed.map(|()| Drained { left_behind, kept: self.stage.kept.load(Ordering::Relaxed) })
    }

    /// Stops at once: nothing is waited for, and handlers are dropped where they are.
    pub(crate) fn abandon(&self) {
        self.stage.close();
        self.stage.abandoned.set();
        for binding in &self.bindings {
            binding.pending.close();
        }
    }
}

//! What decides about a request between the look-up and its acceptance: the layers, at once or within a bound.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::{self, Poll},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};

use crate::{
    endpoint::{admin, work::Work},
    layer::{Concluded, Incoming, Layer},
    message::{Abort, AbortReason, Outcome, Rejection, RejectionCode},
    service::{BoxFuture, Invocation},
};

/// The layers of an endpoint. There is at least one.
pub(crate) struct Layers {
    pub(crate) stack: Vec<Arc<dyn Layer>>,
    /// How many requests may wait for a layer to decide.
    waiting: Arc<Semaphore>,
    /// And how many in a lane of its own, which others do not fill.
    waiting_in_lane: Arc<Semaphore>,
    /// How long each may.
    limit: Duration,
}

/// What the layers have decided about a request; `None` when it is to be given up.
type Decision = Option<Result<(), Outcome>>;

impl Layers {
    /// `None` when there is no layer: then nothing is asked.
    pub(crate) fn new(stack: Vec<Arc<dyn Layer>>, waiting: usize, limit: Duration) -> Option<Arc<Self>> {
        let waiting = Arc::new(Semaphore::new(waiting.min(Semaphore::MAX_PERMITS)));
        let waiting_in_lane = Arc::new(Semaphore::new(admin::PREFETCH as usize));
        (!stack.is_empty()).then(|| Arc::new(Layers { stack, waiting, waiting_in_lane, limit }))
    }

    /// Asks every layer. What is decided at once is done at once, in the receiver's order; what is not goes on in a task of its
    /// own. What is returned is still to be done: it rejects.
    pub(crate) fn admit(
        self: &Arc<Self>,
        request: Incoming,
        work: Box<Work>,
        call: Invocation,
    ) -> Option<BoxFuture<'static, ()>> {
        let mut deciding = Box::pin(Arc::clone(self).decide(request));
        let mut cx = task::Context::from_waker(task::Waker::noop());
        match deciding.as_mut().poll(&mut cx) {
            Poll::Ready(Ok(())) => return work.begin(call),
            Poll::Ready(Err(rejection)) => return Some(Box::pin(work.refuse(rejection.into()))),
            Poll::Pending => {}
        }
        let places = if work.served.lane.is_some() { &self.waiting_in_lane } else { &self.waiting };
        let Ok(permit) = Arc::clone(places).try_acquire_owned() else {
            work.binding().counters.crowded.add();
            let details = "too many requests wait to be admitted";
            return Some(Box::pin(work.refuse(Rejection::new(RejectionCode::Busy, details).into())));
        };
        let limit = self.limit;
        tokio::spawn(async move {
            let decision = wait(&work, deciding, limit).await;
            drop(permit);
            match decision {
                Some(Ok(())) => {
                    if let Some(rejecting) = work.begin(call) {
                        rejecting.await;
                    }
                }
                Some(Err(outcome)) => work.refuse(outcome).await,
                None => {}
            }
        });
        None
    }

    /// Asks every layer about a request that was admitted before a restart: however many there are, each is waited for.
    pub(crate) fn admit_again(self: &Arc<Self>, request: Incoming, work: Box<Work>, call: Invocation) {
        let mut deciding = Box::pin(Arc::clone(self).decide(request));
        let mut cx = task::Context::from_waker(task::Waker::noop());
        let at_once = deciding.as_mut().poll(&mut cx);
        if let Poll::Ready(Ok(())) = at_once {
            // It has been promised a place.
            let _ = work.begin(call);
            return;
        }
        let (places, limit) = (Arc::clone(&self.waiting), self.limit);
        tokio::spawn(async move {
            work.core.stage.started().await;
            let decision = match at_once {
                Poll::Ready(decided) => Some(decided.map_err(Outcome::from)),
                Poll::Pending => {
                    let Ok(_place) = places.acquire().await else { return };
                    wait(&work, deciding, limit).await
                }
            };
            match decision {
                Some(Ok(())) => drop(work.begin(call)),
                Some(Err(outcome)) => work.refuse(outcome).await,
                None => {}
            }
        });
    }

    /// Tells every layer how a request ended.
    pub(crate) fn concluded(&self, request: &Concluded<'_>) {
        for layer in &self.stack {
            if catch_unwind(AssertUnwindSafe(|| layer.concluded(request))).is_err() {
                tracing::error!(
                    layer = layer.name(),
                    "a layer panicked when it was told an outcome; the caller gets it all the same"
                );
            }
        }
    }

    async fn decide(self: Arc<Self>, request: Incoming) -> Result<(), Rejection> {
        for layer in &self.stack {
            let decided = guarded(|| layer.admit(&request)).await;
            decided.unwrap_or_else(|panic| {
                tracing::error!(layer = layer.name(), panic, "a layer panicked; what it was asked about is rejected");
                Err(Rejection::new(RejectionCode::Undecided, "a layer failed; the agent's log says which"))
            })?;
        }
        Ok(())
    }
}

/// A layer's answer, or what it panicked with.
async fn guarded<'a>(ask: impl FnOnce() -> BoxFuture<'a, Result<(), Rejection>>) -> Result<Result<(), Rejection>, String> {
    let said = |panic: Box<dyn std::any::Any + Send>| {
        let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
    };
    let mut asking = catch_unwind(AssertUnwindSafe(ask)).map_err(said)?;
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| asking.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => Poll::Ready(Err(said(panic))),
    })
    .await
}

/// Waits for the layers to decide, but no longer than that makes sense.
async fn wait(work: &Work, deciding: impl Future<Output = Result<(), Rejection>>, limit: Duration) -> Decision {
    let (stage, job) = (&work.core.stage, &work.job);
    let patience = job.deadline.map_or(limit, |at| at.saturating_duration_since(Instant::now()).min(limit));
    let mut deciding = pin!(deciding);
    let mut late = pin!(sleep(patience));
    let mut cancelled = pin!(job.cancel.wait());
    let mut abandoned = pin!(stage.abandoned());
    let mut stopping = pin!(stage.stopping());
    poll_fn(|cx| {
        if let Poll::Ready(decided) = deciding.as_mut().poll(cx) {
            return Poll::Ready(Some(decided.map_err(Outcome::from)));
        }
        let reject = |code, details| Poll::Ready(Some(Err(Rejection::new(code, details).into())));
        if abandoned.as_mut().poll(cx).is_ready() {
            // The endpoint is gone: the bus gives the request to another.
            Poll::Ready(None)
        } else if cancelled.as_mut().poll(cx).is_ready() {
            Poll::Ready(Some(Err(Abort::new(AbortReason::Cancelled, "cancelled before it was admitted").into())))
        } else if stopping.as_mut().poll(cx).is_ready() {
            reject(RejectionCode::Closing, "")
        } else if late.as_mut().poll(cx).is_ready() {
            if job.deadline.is_some_and(|at| at <= Instant::now()) {
                return reject(RejectionCode::Expired, "");
            }
            work.binding().counters.undecided.add();
            tracing::warn!(method = work.method.name, ?limit, "no layer decided in time; the request is rejected");
            reject(RejectionCode::Undecided, "")
        } else {
            Poll::Pending
        }
    })
    .await
}

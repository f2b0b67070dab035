//! One admitted request: from its place among the running to its outcome.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tracing::Instrument;

use crate::{
    context::Job,
    contract::Method,
    endpoint::{
        admission::{Attached, Key},
        binding::{Answered, Binding},
        dispatch::Core,
        sequence::Turn,
        shutdown::Guard,
    },
    layer::Next,
    lock::lock,
    message::{Abort, AbortReason, Outcome, Rejection, RejectionCode, Status, Statuses},
    service::{BoxFuture, Invocation, Service},
    trace::{self, TraceParent},
    transport::{Acker, Disposition},
};

/// An admitted request on its way to its outcome.
pub(crate) struct Work {
    pub(crate) core: Arc<Core>,
    pub(crate) binding: Arc<Binding>,
    pub(crate) service: Arc<dyn Service>,
    pub(crate) answered: Option<Answered>,
    pub(crate) wants: Statuses,
    pub(crate) key: Option<Key>,
    pub(crate) acker: Acker,
    pub(crate) job: Arc<Job>,
    pub(crate) method: &'static Method,
    pub(crate) _running: Guard,
}

impl Work {
    /// Everything that is not on the way of a call that only waits for its outcome is boxed: the task is as small as that way.
    pub(crate) async fn run(
        self: Box<Self>,
        call: Invocation,
        permit: Result<OwnedSemaphorePermit, Arc<Semaphore>>,
        mut turn: Option<Box<Turn>>,
    ) {
        if self.wants.accepted {
            Box::pin(self.status(Status::Accepted)).await;
        }
        let permit = match permit {
            Ok(permit) => Some(permit),
            Err(lane) => Box::pin(self.wait(lane, turn.as_deref_mut())).await,
        };
        let outcome = match self.obstacle(permit.is_some()) {
            Some(outcome) => outcome,
            None => {
                if self.wants.started {
                    Box::pin(self.status(Status::Started)).await;
                }
                let mut handler = self.handler(call);
                let mut abandoned = pin!(self.core.stage.abandoned());
                let ended = poll_fn(|cx| match handler.as_mut().poll(cx) {
                    Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                    Poll::Pending => abandoned.as_mut().poll(cx).map(|()| None),
                })
                .await;
                drop(handler);
                match ended {
                    Some(outcome) => outcome,
                    // The endpoint is gone, and the handler with it: the bus gives the request to another.
                    None => return,
                }
            }
        };
        drop((permit, turn));
        self.conclude(outcome).await;
    }

    async fn status(&self, status: Status) {
        if let Some(to) = &self.answered {
            self.binding.status(to, status).await;
        }
    }

    /// Waits for its turn and for a handler to end, for being cancelled, or for the endpoint to stop.
    async fn wait(&self, lane: Arc<Semaphore>, turn: Option<&mut Turn>) -> Option<OwnedSemaphorePermit> {
        let mut acquire = pin!(async {
            if let Some(turn) = turn {
                turn.come().await;
            }
            lane.acquire_owned().await
        });
        let mut cancelled = pin!(self.job.cancel.wait());
        let mut stopping = pin!(self.core.stage.stopping());
        let mut expired = pin!(until(self.job.deadline));
        poll_fn(|cx| {
            if let Poll::Ready(permit) = acquire.as_mut().poll(cx) {
                return Poll::Ready(permit.ok());
            }
            let gave_up = cancelled.as_mut().poll(cx).is_ready()
                || stopping.as_mut().poll(cx).is_ready()
                || expired.as_mut().poll(cx).is_ready();
            if gave_up { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }

    /// Why the method is not run, if it is not.
    fn obstacle(&self, permitted: bool) -> Option<Outcome> {
        let job = &self.job;
        if job.cancel.is_set() {
            Some(Abort::new(AbortReason::Cancelled, "cancelled before it started").into())
        } else if job.deadline.is_some_and(|at| at <= Instant::now()) {
            Some(Rejection::new(RejectionCode::Expired, "").into())
        } else if !permitted || self.core.stage.is_stopping() {
            Some(Rejection::new(RejectionCode::Closing, "").into())
        } else if job.redelivered && !self.method.idempotent {
            let message = "it was delivered before, and may have run then; it is not idempotent, so it is not run again";
            Some(Abort::new(AbortReason::Interrupted, message).into())
        } else {
            None
        }
    }

    /// The handler as a future, in its span and its trace.
    fn handler(&self, call: Invocation) -> BoxFuture<'_, Outcome> {
        let span = tracing::info_span!(
            "rmi.serve",
            otel.kind = "server",
            rpc.system = "rmi",
            rpc.service = call.contract.name,
            rpc.method = self.method.name,
            messaging.message.conversation_id = self.job.sn.as_ref().map(|sn| sn.as_str()),
            messaging.destination.name = self.core.name.as_str(),
            enduser.id = %self.job.principal,
            trace_id = tracing::field::Empty,
        );
        let trace = self.job.trace.as_ref().and_then(TraceParent::parse);
        let reporting = self.answered.as_ref().filter(|_| self.wants.progress && self.method.context);
        match (trace, reporting) {
            (None, None) if span.is_disabled() => Box::pin(self.guarded(call)),
            (trace, reporting) => Box::pin(async move {
                if let Some(trace) = &trace {
                    span.record("trace_id", trace.trace_id());
                }
                let handler = async move {
                    match reporting {
                        Some(to) => self.reporting(call, to).await,
                        None => self.guarded(call).await,
                    }
                };
                match trace {
                    None => handler.instrument(span).await,
                    Some(trace) => trace::scope(trace, handler.instrument(span)).await,
                }
            }),
        }
    }

    /// The method, inside the layers.
    fn inside(&self) -> Next<'_> {
        Next { layers: self.core.layers.as_ref().map_or(&[], |layers| &layers.stack), service: &*self.service }
    }

    /// Runs the handler; a panic is its outcome.
    async fn guarded(&self, call: Invocation) -> Outcome {
        let mut running = match catch_unwind(AssertUnwindSafe(|| self.inside().run(call))) {
            Ok(running) => running,
            Err(panic) => return self.panicked(&*panic),
        };
        poll_fn(|cx| {
            catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx)))
                .unwrap_or_else(|panic| Poll::Ready(self.panicked(&*panic)))
        })
        .await
    }

    /// Runs the handler, and sends the progress that it reports while it runs.
    async fn reporting(&self, call: Invocation, to: &Answered) -> Outcome {
        let progress = &self.job.progress;
        let mut run = pin!(self.guarded(call));
        let mut send = pin!(async {
            while let Some(step) = progress.next().await {
                self.binding.status(to, Status::Progress(step)).await;
            }
        });
        let mut outcome = None;
        poll_fn(|cx| {
            if outcome.is_none()
                && let Poll::Ready(ended) = run.as_mut().poll(cx)
            {
                outcome = Some(ended);
                progress.finish();
            }
            // Every step that was reported goes out before the outcome does.
            if send.as_mut().poll(cx).is_ready()
                && let Some(outcome) = outcome.take()
            {
                return Poll::Ready(outcome);
            }
            Poll::Pending
        })
        .await
    }

    fn panicked(&self, panic: &(dyn std::any::Any + Send)) -> Outcome {
        self.binding.counters.panics.add();
        let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        tracing::error!(method = self.method.name, panic = said, "a handler panicked");
        // What a panic says is for the log: it may hold what no caller should read.
        Abort::new(AbortReason::Panicked, format!("`{}` panicked; the agent's log says where", self.method.name)).into()
    }

    /// It never runs: its outcome is kept and sent like any other.
    pub(crate) async fn refuse(self: Box<Self>, outcome: Outcome) {
        if let Outcome::Rejected(rejection) = &outcome {
            self.binding.counters.rejected.add();
            tracing::debug!(%rejection, method = self.method.name, principal = %self.job.principal, "a request was not admitted");
        }
        self.conclude(outcome).await;
    }

    /// The outcome is kept, sent to everybody who asked, and only then is the bus told that the request is done with.
    async fn conclude(self: Box<Self>, outcome: Outcome) {
        let binding = &self.binding;
        let attached = match &self.key {
            Some(key) => lock(&binding.window).finish(&self.job.principal, key, &outcome),
            None => Vec::new(),
        };
        let Some(to) = &self.answered else {
            self.acker.settle(Disposition::Ack);
            attached.into_iter().for_each(|again| again.acker.settle(Disposition::Ack));
            return;
        };
        if attached.is_empty() {
            if binding.outcome(to, outcome).await {
                self.acker.settle(Disposition::Ack);
            }
            return;
        }
        let told = binding.outcome(to, outcome.clone()).await;
        if told {
            self.acker.settle(Disposition::Ack);
        }
        Box::pin(tell(binding, to, told, attached, outcome)).await;
    }
}

/// Tells those who asked again while it ran. One of them may be what the bus holds now: none is acknowledged before its own address
/// has been told.
async fn tell(binding: &Binding, first: &Answered, told: bool, attached: Vec<Attached>, outcome: Outcome) {
    for Attached { reply, acker } in attached {
        let again = Answered { reply: reply.unwrap_or_else(|| first.reply.clone()), ..first.clone() };
        let elsewhere = again.reply != first.reply;
        let told = if elsewhere { binding.outcome(&again, outcome.clone()).await } else { told };
        if told {
            acker.settle(Disposition::Ack);
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

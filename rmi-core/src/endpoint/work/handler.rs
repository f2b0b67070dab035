//! The run of a method: in its span and its trace, inside the layers, with its progress sent; a panic is its outcome.

use std::{
    future::{Future, Ready, poll_fn, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use tracing::Instrument;

use crate::{
    endpoint::work::Work,
    layer::Next,
    message::{Abort, AbortReason, Outcome, Status},
    service::{BoxFuture, Invocation},
    trace::{self, TraceParent},
};

/// The handler of a request as a future.
pub(super) enum Handler<'a> {
    /// Nobody looks on: it needs no box around its own.
    Plain(Guarded<'a>),
    /// In its span, in its trace, or with its progress sent.
    Watched(BoxFuture<'a, Outcome>),
}

impl Future for Handler<'_> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        match self.get_mut() {
            Handler::Plain(guarded) => Pin::new(guarded).poll(cx),
            Handler::Watched(handler) => handler.as_mut().poll(cx),
        }
    }
}

/// A handler whose panic is its outcome.
pub(super) struct Guarded<'a>(Dispatched<'a>);

enum Dispatched<'a> {
    Runs(&'a Work, BoxFuture<'a, Outcome>),
    /// It panicked before there was a future.
    Panicked(Ready<Outcome>),
}

impl Future for Guarded<'_> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        match &mut self.get_mut().0 {
            Dispatched::Runs(work, running) => catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx)))
                .unwrap_or_else(|panic| Poll::Ready(work.panicked(&*panic))),
            Dispatched::Panicked(outcome) => Pin::new(outcome).poll(cx),
        }
    }
}

impl Work {
    /// The handler as a future, in its span and its trace.
    pub(super) fn handler(&self, call: Invocation) -> Handler<'_> {
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
        let reporting = self.answered.is_some() && self.wants.progress && self.method.context;
        match (trace, reporting) {
            (None, false) if span.is_disabled() => Handler::Plain(self.guarded(call)),
            (trace, reporting) => Handler::Watched(Box::pin(async move {
                if let Some(trace) = &trace {
                    span.record("trace_id", trace.trace_id());
                }
                let handler = async move { if reporting { self.reporting(call).await } else { self.guarded(call).await } };
                match trace {
                    None => handler.instrument(span).await,
                    Some(trace) => trace::scope(trace, handler.instrument(span)).await,
                }
            })),
        }
    }

    /// The method, inside the layers.
    fn inside(&self) -> Next<'_> {
        Next { layers: self.core.layers.as_ref().map_or(&[], |layers| &layers.stack), service: &*self.served.service }
    }

    /// Runs the handler; a panic is its outcome.
    fn guarded(&self, call: Invocation) -> Guarded<'_> {
        Guarded(match catch_unwind(AssertUnwindSafe(|| self.inside().run(call))) {
            Ok(running) => Dispatched::Runs(self, running),
            Err(panic) => Dispatched::Panicked(ready(self.panicked(&*panic))),
        })
    }

    /// Runs the handler, and sends the progress that it reports while it runs.
    async fn reporting(&self, call: Invocation) -> Outcome {
        let progress = &self.job.progress;
        let mut run = pin!(self.guarded(call));
        let mut send = pin!(async {
            while let Some(step) = progress.next().await {
                self.status(Status::Progress(step)).await;
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
        self.binding().counters.panics.add();
        let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        tracing::error!(method = self.method.name, panic = said, "a handler panicked");
        // What a panic says is for the log: it may hold what no caller should read.
        Abort::new(AbortReason::Panicked, format!("`{}` panicked; the agent's log says where", self.method.name)).into()
    }
}

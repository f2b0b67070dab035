//! The run of a method, whose panic is its outcome.

use std::{
    future::{Future, Ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use crate::{endpoint::work::Work, message::Outcome, service::BoxFuture};

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
pub(super) struct Guarded<'a>(pub(super) Dispatched<'a>);

pub(super) enum Dispatched<'a> {
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

//! What generated code calls. Not part of the public interface: it changes without notice.

use serde::Serialize;

use std::{borrow::Borrow, pin::Pin, task::Poll};
pub use std::{
    borrow::ToOwned,
    clone::Clone,
    concat,
    default::Default,
    fmt::{Debug, Display, Formatter, Result as FmtResult},
    future::Future,
    marker::{Send, Sync},
    module_path,
    ops::Fn,
    option::Option::{self, None, Some},
    result::Result::{self, Err, Ok},
};

pub use crate::{
    call::{Call, OneWay, Stub},
    context::{Context, ContextArgument},
    contract::{Contract, ErrorField, ErrorType, ErrorVariant, EventContract, EventField, EventKind, Method, Param, Version},
    endpoint::Client,
    error::RemoteError,
    event::{EventError, RemoteEvent},
    message::{ArgumentsReader, ArgumentsWriter, Event, Exception, Outcome},
    service::{BoxFuture, Instances, Invocation, MethodResult, Server, Service},
};
pub use serde::de::DeserializeOwned;

mod event;
mod exception;
mod probe;
mod registration;
pub use event::{EventReader, EventWriter};
pub use exception::{ExceptionReader, ExceptionWriter};
pub use probe::{Fallback, Probe};
pub use registration::*;

/// A call of a method that returns `R`.
pub fn call<R, P>(stub: &Stub, method: &'static Method, args: ArgumentsWriter) -> Call<R::Ok, R::Err, P>
where
    R: MethodResult,
    R::Ok: DeserializeOwned,
{
    stub.call(method, args)
}

/// What a decoded argument is lent as.
pub fn lend<T: ToOwned + ?Sized>(owned: &T::Owned) -> &T {
    owned.borrow()
}

/// Formats a client or a server.
pub fn debug(f: &mut Formatter<'_>, name: &str, inside: &dyn Debug) -> FmtResult {
    f.debug_tuple(name).field(inside).finish()
}

/// Boxes the body of a dispatch arm; what it breaks off with is the outcome as well.
pub fn respond<'a, F>(body: F) -> BoxFuture<'a, Outcome>
where
    F: Future<Output = Result<Outcome, Outcome>> + Send + 'a,
{
    Box::pin(Response { body })
}

pin_project_lite::pin_project! {
    /// The body of a dispatch arm. An `async` block that awaits it would hold it twice: as it came, and as it is awaited.
    struct Response<F> {
        #[pin]
        body: F,
    }
}

impl<F: Future<Output = Result<Outcome, Outcome>>> Future for Response<F> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Outcome> {
        self.project().body.poll(cx).map(|ended| ended.unwrap_or_else(|outcome| outcome))
    }
}

/// Turns what a method returned into its outcome.
pub fn finish<R>(call: &Invocation, returned: R) -> Outcome
where
    R: MethodResult,
    R::Ok: Serialize,
{
    returned.into_outcome(call.contract())
}

/// For an index that the contract does not have: a service that was called past its endpoint.
pub fn no_such_method<'a>(call: Invocation) -> BoxFuture<'a, Outcome> {
    use crate::message::{Rejection, RejectionCode};
    let details = format!("`{}` has no method number {}", call.contract().name, call.index());
    Box::pin(async move { Rejection::new(RejectionCode::UnknownMethod, details).into() })
}

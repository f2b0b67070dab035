use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use crate::{
    call::{Pending, Update},
    error::{CallError, RemoteError},
    json::Json,
    message::{Exception, Progress, Rejection},
};

/// Is told what happens to a call. Every function does nothing unless it is written.
///
/// A closure over each [`Update`] is a callback as well.
pub trait Callback<T, E = Exception, P = Json>: Send + 'static {
    /// The agent has taken responsibility.
    fn accepted(&mut self) {}
    /// The method has been invoked.
    fn started(&mut self) {}
    /// The method reports a step.
    fn progress(&mut self, _step: Progress<P>) {}
    /// The method returned. The last that is heard.
    fn succeeded(&mut self, _value: T) {}
    /// The method never ran. The last that is heard.
    fn rejected(&mut self, rejection: Rejection) {
        self.failed(CallError::Rejected(rejection));
    }
    /// The call has no result. The last that is heard.
    fn failed(&mut self, _error: CallError<E>) {}
}

impl<T, E, P, F: FnMut(Result<Update<T, P>, CallError<E>>) + Send + 'static> Callback<T, E, P> for F {
    fn accepted(&mut self) {
        self(Ok(Update::Accepted));
    }

    fn started(&mut self) {
        self(Ok(Update::Started));
    }

    fn progress(&mut self, step: Progress<P>) {
        self(Ok(Update::Progress(step)));
    }

    fn succeeded(&mut self, value: T) {
        self(Ok(Update::Done(value)));
    }

    fn failed(&mut self, error: CallError<E>) {
        self(Err(error));
    }
}

/// A callback at work. Can be awaited until the last has been heard; dropped, it works on.
#[derive(Debug)]
pub struct Attached(JoinHandle<()>);

impl Future for Attached {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // A callback that panicked has heard its last as well.
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

pub(crate) fn attach<T, E, P>(mut pending: Pending<T, E, P>, mut callback: impl Callback<T, E, P>) -> Attached
where
    T: DeserializeOwned + 'static,
    E: RemoteError,
    P: DeserializeOwned + 'static,
{
    Attached(tokio::spawn(async move {
        while let Some(update) = pending.next().await {
            match update {
                Ok(Update::Accepted) => callback.accepted(),
                Ok(Update::Started) => callback.started(),
                Ok(Update::Progress(step)) => callback.progress(step),
                Ok(Update::Done(value)) => callback.succeeded(value),
                Err(CallError::Rejected(rejection)) => callback.rejected(rejection),
                Err(CallError::Decode(error)) if pending.is_open() => {
                    tracing::warn!(%error, "a step of progress does not have the contract's type");
                }
                Err(error) => callback.failed(error),
            }
        }
    }))
}

use std::{fmt, future::IntoFuture, marker::PhantomData, sync::Arc};

use serde::de::DeserializeOwned;

use crate::{
    call::{Answer, Attached, Callback, Sent, Stub, answer, callback},
    endpoint::{AdminClient, pending::Heard},
    error::{CallError, RemoteError},
    json::Json,
    message::{Exception, Progress, Sn, Status},
    service::BoxFuture,
};

/// A call that has been sent: it can be watched, awaited, cancelled, or given a callback.
///
/// Dropping it stops the waiting and nothing else: the method runs on.
#[must_use = "dropping it stops waiting for the outcome"]
pub struct Pending<T, E = Exception, P = Json> {
    stub: Stub,
    sn: Sn,
    sent: Option<Sent>,
    answer: PhantomData<Answer<T, E, P>>,
}

/// What happened to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update<T, P = Json> {
    /// The agent has taken responsibility.
    Accepted,
    /// The method has been invoked.
    Started,
    /// The method reports a step.
    Progress(Progress<P>),
    /// The method returned. Nothing follows.
    Done(T),
}

impl<T, E, P> Pending<T, E, P> {
    pub(crate) fn new(stub: Stub, sn: Sn, sent: Sent) -> Self {
        Pending { stub, sn, sent: Some(sent), answer: PhantomData }
    }

    /// The call's serial number.
    #[must_use]
    pub fn sn(&self) -> &Sn {
        &self.sn
    }

    /// Whether the end is still to come.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.sent.is_some()
    }

    /// Asks the agent to cancel the call, and waits for its word. The call goes on until its outcome: a method that does not
    /// look at its context runs to its end. True when this was what cancelled it, false when it had been cancelled before.
    ///
    /// # Errors
    ///
    /// The agent does not know the call (any more), or could not be asked.
    pub async fn cancel(&self) -> Result<bool, CallError<Exception>> {
        let stub = &self.stub;
        let admin = AdminClient::new(Arc::clone(&stub.0.core), stub.binding().index, stub.0.address.clone());
        let cancelled = admin.cancel(&self.sn).await?;
        Ok(cancelled.contains(&self.sn))
    }
}

impl<T, E, P> Pending<T, E, P>
where
    T: DeserializeOwned,
    E: RemoteError,
    P: DeserializeOwned,
{
    /// What happens next; `None` after the end. A step whose details do not have the contract's type is an error that ends
    /// nothing.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Update<T, P>, CallError<E>>> {
        let sent = self.sent.as_ref()?;
        let update = match sent.next().await {
            Heard::Status(Status::Accepted) => Ok(Update::Accepted),
            Heard::Status(Status::Started) => Ok(Update::Started),
            Heard::Status(Status::Progress(Progress { total, completed, details })) => details
                .decode()
                .map(|details| Update::Progress(Progress { total, completed, details }))
                .map_err(CallError::Decode),
            Heard::End(end) => {
                self.sent = None;
                end.map_err(CallError::from).and_then(|outcome| answer(outcome, &self.stub.0.class)).map(Update::Done)
            }
        };
        Some(update)
    }

    /// Hands the call to a callback, which is told of everything that happens from now on, in a task of its own.
    pub fn attach(self, callback: impl Callback<T, E, P>) -> Attached
    where
        T: 'static,
        P: 'static,
    {
        callback::attach(self, callback)
    }

    async fn outcome(mut self) -> Result<T, CallError<E>> {
        let Some(sent) = self.sent.take() else { return Err(CallError::Closed) };
        answer(sent.outcome().await?, &self.stub.0.class)
    }
}

impl<T, E, P> IntoFuture for Pending<T, E, P>
where
    T: DeserializeOwned + 'static,
    E: RemoteError,
    P: DeserializeOwned + 'static,
{
    type Output = Result<T, CallError<E>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.outcome())
    }
}

impl<T, E, P> fmt::Debug for Pending<T, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("sn", &self.sn).finish_non_exhaustive()
    }
}

//! Calls: one verb each for waiting, watching, calling back, sending elsewhere and forgetting.
//!
//! | verb | what it is | gives |
//! |---|---|---|
//! | `.await` | synchronous invocation | the result |
//! | [`.send()`](Call::send) | asynchronous invocation | a [`Pending`] to watch, to await or to [`attach`](Pending::attach) a callback to |
//! | [`.reply_to(..)`](Call::reply_to) | the reply goes to somebody else | the serial number |
//! | [`.prepare()`](Call::prepare) | manual trigger | the serial number first, the call later |
//! | [`.resume(..)`](Call::resume) | an earlier call is taken up again, in place of making one | a [`Pending`] |
//! | [`.retry(..)`](Call::retry) | tried again, as far as that is safe | the result |
//! | [`.group(..)`](Call::group) | the same call to many agents | outcomes as they come, or all, or the first |
//! | [`.notify()`](Call::notify) | fire and forget | the serial number |

mod callback;
mod gathered;
mod group;
mod one_way;
mod pending;
mod plan;
mod resumed;
mod retry;
mod sent;
mod stub;

use std::{fmt, future::IntoFuture, marker::PhantomData, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use tracing::Instrument;

pub use self::{
    callback::{Attached, Callback},
    gathered::{Gathered, GroupFailed},
    group::{Group, Outcomes},
    one_way::OneWay,
    pending::{Pending, Update},
    resumed::ResumeError,
    retry::{Retry, Retrying},
    stub::Stub,
};
pub(crate) use self::{plan::Plan, sent::Sent};
use crate::{
    address::Address,
    endpoint::{binding::SendError, pending::Lost},
    error::{CallError, RemoteError},
    json::Json,
    message::{Abort, AbortReason, Exception, Outcome, Sn, Statuses},
    service::BoxFuture,
    transport::{TransportError, TransportErrorKind},
};

/// A call that has not been made. Does nothing until it is awaited or one of its verbs is used.
///
/// It owns its arguments, encoded when it was made. `T` is the result, `E` the error of the contract, `P` the details of
/// progress.
#[must_use = "a call does nothing until it is awaited or one of its verbs is used"]
pub struct Call<T, E = Exception, P = Json> {
    pub(crate) plan: Plan,
    answer: PhantomData<Answer<T, E, P>>,
}

/// What a call will give: nothing that it holds now.
type Answer<T, E, P> = fn() -> (T, E, P);

impl<T, E, P> Call<T, E, P> {
    pub(crate) fn new(plan: Plan) -> Self {
        Call { plan, answer: PhantomData }
    }

    /// How long the outcome may take in all, from now. The method's or the endpoint's own time unless it is set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.plan.times.total = timeout;
        self
    }

    /// How long the agent may take to accept the request.
    pub fn accept_within(mut self, time: Duration) -> Self {
        self.plan.times.accept = Some(time);
        self
    }

    /// How long it may take until the method starts.
    pub fn start_within(mut self, time: Duration) -> Self {
        self.plan.times.start = Some(time);
        self
    }

    /// How long the agent may be silent; every status begins it anew.
    pub fn idle(mut self, time: Duration) -> Self {
        self.plan.times.idle = Some(time);
        self
    }

    /// How long the request may wait on the bus and at the agent before the method starts. An expired request never runs.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.plan.ttl = Some(ttl);
        self
    }

    /// Data of the caller's own, which every reply echoes.
    pub fn data<D: Serialize>(mut self, data: D) -> Self {
        self.plan.data = Json::encode(&data).map(Some);
        self
    }

    /// Which statuses are asked for, in place of those that the verb needs.
    pub fn statuses(mut self, statuses: Statuses) -> Self {
        self.plan.statuses = Some(statuses);
        self
    }

    /// Tries again what may be tried again: what never ran, and, when the method is idempotent, what may have run. See
    /// [`Retry`].
    pub fn retry(self, policy: Retry) -> Retrying<T, E, P> {
        Retrying::new(self, policy)
    }

    /// Makes the same call to many agents at once. See [`Group`].
    pub fn group<I>(self, addresses: I) -> Group<T, E, P>
    where
        I: IntoIterator,
        I::Item: Into<Address>,
    {
        Group::new(self, addresses.into_iter().map(Into::into).collect())
    }

    /// Makes the serial number known before the call is made: a manual trigger.
    pub fn prepare(self) -> Prepared<T, E, P> {
        Prepared { call: self }
    }

    /// Sends the request and forgets it: nothing is ever replied. Waits only until the bus has it.
    ///
    /// # Errors
    ///
    /// The request could not be written or sent, or nobody listens at the address.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether the request was sent.
    pub async fn notify(self) -> Result<Sn, CallError<E>> {
        self.plan.deliver(None).await
    }

    /// Somebody else gets the replies: [`Endpoint::replies`](crate::Endpoint::replies) of whoever listens at the address.
    pub fn reply_to(self, address: impl Into<Address>) -> ReplyTo<E> {
        ReplyTo { plan: self.plan, to: address.into(), error: PhantomData }
    }
}

impl<T, E, P> Call<T, E, P>
where
    T: DeserializeOwned,
    E: RemoteError,
    P: DeserializeOwned,
{
    /// Sends the request; its statuses and its outcome are watched, awaited or called back.
    ///
    /// # Errors
    ///
    /// The request could not be written or sent, or nobody listens at the address.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether the request was sent.
    pub async fn send(self) -> Result<Pending<T, E, P>, CallError<E>> {
        let sn = Sn::from(self.plan.id);
        let (mut sent, unsent) = self.plan.begin(Statuses::ALL, true)?;
        if let Some(unsent) = unsent {
            sent.publish(unsent).await?;
        }
        Ok(Pending::new(sent.stub().clone(), sn, sent))
    }

    async fn perform(self) -> Result<T, CallError<E>> {
        let (mut sent, unsent) = self.plan.begin(Statuses::NONE, false)?;
        if let Some(unsent) = unsent {
            sent.publish(unsent).await?;
        }
        answer(sent.outcome().await?, &sent.stub().0.class)
    }
}

impl<T, E, P> IntoFuture for Call<T, E, P>
where
    T: DeserializeOwned + 'static,
    E: RemoteError,
    P: DeserializeOwned + 'static,
{
    type Output = Result<T, CallError<E>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let span = self.plan.span();
        if span.is_disabled() { Box::pin(self.perform()) } else { Box::pin(self.perform().instrument(span)) }
    }
}

impl<T, E, P> fmt::Debug for Call<T, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Call").field(&self.plan).finish()
    }
}

/// A call whose serial number is known before it is made.
#[must_use = "a prepared call does nothing until it is triggered"]
pub struct Prepared<T, E = Exception, P = Json> {
    call: Call<T, E, P>,
}

impl<T, E, P> Prepared<T, E, P> {
    /// The serial number that the request will have.
    #[must_use]
    pub fn sn(&self) -> Sn {
        Sn::from(self.call.plan.id)
    }

    /// The call, to use one of its verbs: once, because a serial number is good for one request.
    pub fn trigger(self) -> Call<T, E, P> {
        self.call
    }
}

impl<T, E, P> fmt::Debug for Prepared<T, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("sn", &self.sn()).finish_non_exhaustive()
    }
}

/// A call whose replies somebody else gets.
#[must_use = "a call does nothing until it is sent"]
pub struct ReplyTo<E = Exception> {
    plan: Plan,
    to: Address,
    error: PhantomData<fn() -> E>,
}

impl<E> ReplyTo<E> {
    /// Sends the request.
    ///
    /// # Errors
    ///
    /// The request could not be written or sent, or nobody listens at the agent's address.
    pub async fn send(self) -> Result<Sn, CallError<E>> {
        self.plan.deliver(Some(self.to)).await
    }
}

impl<E> fmt::Debug for ReplyTo<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyTo").field("plan", &self.plan).field("to", &self.to).finish()
    }
}

/// Reads an outcome as the types of the method that was called.
pub(crate) fn answer<T: DeserializeOwned, E: RemoteError>(outcome: Outcome, contract: &str) -> Result<T, CallError<E>> {
    match outcome {
        Outcome::Result(value) => value.decode().or_else(|error| nothing(&value).ok_or(CallError::Decode(error))),
        Outcome::Exception(exception) => Err(match E::from_exception(&exception, contract) {
            Some(error) => CallError::Remote(error),
            None => CallError::Exception(exception),
        }),
        Outcome::Rejected(rejection) => Err(CallError::Rejected(rejection)),
        Outcome::Aborted(abort) => Err(aborted(abort)),
    }
}

/// A type that says nothing (`()`) is what is meant where an agent answers with an object that says nothing: in dialects whose results
/// are always objects.
fn nothing<T: DeserializeOwned>(value: &Json) -> Option<T> {
    (size_of::<T>() == 0 && value.as_str() == "{}").then(|| Json::NULL.decode().ok()).flatten()
}

fn aborted<E>(abort: Abort) -> CallError<E> {
    match abort.reason {
        AbortReason::Cancelled => CallError::Cancelled,
        AbortReason::Interrupted => CallError::Interrupted(abort),
        AbortReason::Poisoned => CallError::Poisoned(abort),
        AbortReason::Panicked => CallError::Panicked(abort),
    }
}

/// What the method itself answered; anything else is an error.
fn answered<E>(outcome: Outcome) -> Result<Outcome, CallError<E>> {
    match outcome {
        Outcome::Result(_) | Outcome::Exception(_) => Ok(outcome),
        Outcome::Rejected(rejection) => Err(CallError::Rejected(rejection)),
        Outcome::Aborted(abort) => Err(aborted(abort)),
    }
}

impl<E> From<Lost> for CallError<E> {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Timeout(phase, after) => CallError::Timeout { phase, after },
            Lost::Reply => CallError::ReplyLost,
            Lost::Request => CallError::Transport(TransportError::new(
                TransportErrorKind::Disconnected,
                "the request was lost with the link: the agent has not had it, and does not run it",
            )),
            Lost::Nobody(agent) => CallError::NoAgent(agent),
            Lost::Closed => CallError::Closed,
        }
    }
}

impl<E> From<SendError> for CallError<E> {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Protocol(e) => CallError::Encode(e.to_string()),
            SendError::Auth(e) => CallError::Encode(format!("it cannot be signed: {e}")),
            SendError::Transport(e) => CallError::Transport(e),
        }
    }
}

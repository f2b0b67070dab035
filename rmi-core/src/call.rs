//! Calls: one verb each for waiting, watching, calling back, sending elsewhere and forgetting.
//!
//! | verb | what it is | gives |
//! |---|---|---|
//! | `.await` | synchronous invocation | the result |
//! | [`.send()`](Call::send) | asynchronous invocation | a [`Pending`] to watch, to await or to [`attach`](Pending::attach) a callback to |
//! | [`.reply_to(..)`](Call::reply_to) | the reply goes to somebody else | the serial number |
//! | [`.prepare()`](Call::prepare) | manual trigger | the serial number first, the call later |
//! | [`.notify()`](Call::notify) | fire and forget | the serial number |

mod callback;
mod one_way;
mod pending;
mod stub;

use std::{
    fmt,
    future::{Future, IntoFuture, poll_fn},
    marker::PhantomData,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use tracing::Instrument;

pub use self::{
    callback::{Attached, Callback},
    one_way::OneWay,
    pending::{Pending, Update},
    stub::Stub,
};
use crate::{
    address::Address,
    contract::Method,
    endpoint::{
        binding::{Binding, Route, SendError},
        dispatch::Core,
        links::{Stop, replies_at},
        pending::{Heard, Key, Lost, Times, Waiting},
    },
    error::{CallError, Phase, RemoteError},
    json::{Json, JsonError},
    message::{AbortReason, Arguments, Body, Exception, Head, Message, Outcome, ReplyPath, Request, Sn, Statuses},
    protocol::{Replies, Role},
    service::BoxFuture,
    text::Text,
    trace,
    transport::{Answering, Receipt, TransportError, TransportErrorKind},
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

/// A call without the types of its answer.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) stub: Stub,
    pub(crate) method: Text,
    pub(crate) contract: Option<&'static Method>,
    pub(crate) args: Result<Arguments, JsonError>,
    pub(crate) times: Times,
    pub(crate) ttl: Option<Duration>,
    pub(crate) data: Result<Option<Json>, JsonError>,
    pub(crate) statuses: Option<Statuses>,
    pub(crate) id: uuid::Uuid,
}

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
        let stub = self.plan.stub.clone();
        let sn = Sn::from(self.plan.id);
        let (mut sent, message) = self.plan.begin(Statuses::ALL, true)?;
        sent.publish(message).await?;
        Ok(Pending::new(stub, sn, sent))
    }

    async fn perform(self) -> Result<T, CallError<E>> {
        let stub = self.plan.stub.clone();
        let span = self.plan.span();
        let call = async move {
            let (mut sent, message) = self.plan.begin(Statuses::NONE, false)?;
            sent.publish(message).await?;
            answer(sent.outcome().await?, &stub.0.class)
        };
        if span.is_disabled() { call.await } else { Box::pin(call.instrument(span)).await }
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
        Box::pin(self.perform())
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
        Outcome::Result(value) => value.decode().map_err(CallError::Decode),
        Outcome::Exception(exception) => Err(match E::from_exception(&exception, contract) {
            Some(error) => CallError::Remote(error),
            None => CallError::Exception(exception),
        }),
        Outcome::Rejected(rejection) => Err(CallError::Rejected(rejection)),
        Outcome::Aborted(abort) => Err(match abort.reason {
            AbortReason::Cancelled => CallError::Cancelled,
            AbortReason::Interrupted => CallError::Interrupted(abort),
            AbortReason::Poisoned => CallError::Poisoned(abort),
            AbortReason::Panicked => CallError::Panicked(abort),
        }),
    }
}

impl<E> From<Lost> for CallError<E> {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Timeout(phase, after) => CallError::Timeout { phase, after },
            Lost::Reply => CallError::ReplyLost,
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

impl Plan {
    fn span(&self) -> tracing::Span {
        tracing::info_span!(
            "rmi.call",
            otel.kind = "client",
            rpc.system = "rmi",
            rpc.service = &*self.stub.0.class,
            rpc.method = &*self.method,
            messaging.destination.name = self.stub.0.address.as_str(),
            messaging.message.conversation_id = %self.id,
        )
    }

    /// The request as a message.
    fn message(self, reply: Option<ReplyPath>, wants: Statuses) -> Result<Box<Message>, String> {
        let Plan { stub, method, contract, args, ttl, data, statuses, id, .. } = self;
        let args = args.map_err(|e| e.to_string())?;
        let data = data.map_err(|e| format!("the user data: {e}"))?;
        let binding = Arc::clone(stub.binding());
        let head = Head {
            id: binding.features.ids.then(|| Text::from(binding.clock.id().to_string())),
            sn: Some(Sn::from(id)),
            sent: Some(binding.clock.now()),
            from: Some(binding.own.clone()),
            to: stub.0.address.clone(),
            reply,
            ttl: ttl.or(contract.and_then(|m| m.ttl)),
            data,
            trace: trace::current().map(|parent| parent.child(binding.clock.id()).text().clone()),
        };
        let wants = Some(statuses.unwrap_or(wants));
        let request = Request {
            class: stub.0.class.clone(),
            method,
            version: stub.0.version.clone(),
            cntr: stub.0.cntr.clone(),
            args,
            wants,
            contract,
        };
        Ok(Box::new(Message { head, body: Body::Request(request) }))
    }

    /// Sends the request; nobody here waits for its replies.
    async fn deliver<E>(self, reply: Option<Address>) -> Result<Sn, CallError<E>> {
        let (sn, limit, core) = (Sn::from(self.id), self.times.total, Arc::clone(&self.stub.0.core));
        let (binding, address) = (Arc::clone(self.stub.binding()), self.stub.0.address.clone());
        open(&core)?;
        let message = self.message(reply.map(ReplyPath::to), Statuses::NONE).map_err(CallError::Encode)?;
        let link = match binding.link_to(&address) {
            Route::Any => None,
            Route::By(link) => Some(link),
            Route::Nowhere => return Err(CallError::NoAgent(address)),
        };
        let Some(publishing) = binding.send(&message, link)? else { return Err(unsayable()) };
        match tokio::time::timeout(limit, publishing).await {
            Err(_) => Err(CallError::Timeout { phase: Phase::Send, after: limit }),
            Ok(Err(error)) => Err(CallError::Transport(error)),
            Ok(Ok(Receipt::NoRoute)) => Err(CallError::NoAgent(address)),
            Ok(Ok(Receipt::Stored | Receipt::Handed)) => Ok(sn),
        }
    }

    /// Enters the call among those that wait.
    fn begin<E>(mut self, wants: Statuses, watched: bool) -> Result<(Sent, Box<Message>), CallError<E>> {
        let core = Arc::clone(&self.stub.0.core);
        open(&core)?;
        let binding = Arc::clone(self.stub.binding());
        let agent = self.stub.0.address.clone();
        let mut wants = self.statuses.unwrap_or(wants);
        // What a time is set for has to be heard of.
        wants.accepted |= self.times.accept.is_some() || self.times.idle.is_some();
        wants.started |= self.times.start.is_some() || self.times.idle.is_some();
        wants.progress |= self.times.idle.is_some();
        self.statuses = Some(wants);
        let serial = Key::Serial(self.id.as_u128());
        let (key, reply, answering) = match binding.features.replies {
            Replies::Shared => (serial, binding.reply_to(), None),
            Replies::SameLink => (serial, Some(binding.own.clone()), None),
            Replies::PerCall => {
                let address = Address::from(format!("{}.reply.{}", binding.own.key(), self.id));
                let answering = Answering {
                    sn: Sn::from(self.id),
                    agent: agent.clone(),
                    class: self.stub.0.class.clone(),
                    method: self.method.clone(),
                    token: None,
                };
                (Key::Address(address.clone()), Some(address), Some(answering))
            }
        };
        let times = self.times;
        let message = self.message(reply.map(ReplyPath::to), wants).map_err(CallError::Encode)?;
        let waiting = binding.pending.begin(key, agent, answering, times, watched);
        Ok((Sent { core, binding, waiting, replies: None }, message))
    }
}

fn open<E>(core: &Core) -> Result<(), CallError<E>> {
    if core.stage.is_closed() {
        let error = TransportError::new(TransportErrorKind::Closed, "the endpoint has been shut down");
        return Err(CallError::Transport(error));
    }
    Ok(())
}

fn unsayable<E>() -> CallError<E> {
    CallError::Encode("the binding's protocol has no requests".to_owned())
}

/// Waits for a step of sending, or until the call has ended without it: its time has run out, or its link is lost.
async fn or_ended<F: Future + ?Sized>(waiting: &Waiting, mut step: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| match step.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => waiting.poll_ended(cx).map(|()| None),
    })
    .await
}

/// A call that waits. Made before the request is sent, so that no reply comes too early.
#[derive(Debug)]
pub(crate) struct Sent {
    core: Arc<Core>,
    binding: Arc<Binding>,
    waiting: Waiting,
    /// Receives the replies to this call alone, where the protocol has an address for each call.
    replies: Option<Stop>,
}

impl Sent {
    /// Publishes the request: until the bus has it, the time for that runs out, or the outcome is there already.
    async fn publish<E>(&mut self, mut message: Box<Message>) -> Result<(), CallError<E>> {
        if message.head.reply.is_none() && !Box::pin(self.connected(&mut message)).await {
            return Ok(());
        }
        let Sent { core, binding, waiting, replies } = self;
        if binding.features.replies == Replies::PerCall
            && let (Some(path), Body::Request(request)) = (&message.head.reply, &message.body)
        {
            let role = Role::Call { address: &path.to, request };
            // Boxed: what it takes is not in the future of every call.
            let mut subscribing = Box::pin(replies_at(core, binding, &role, &path.to));
            match or_ended(waiting, subscribing.as_mut()).await {
                Some(stop) => *replies = Some(stop.map_err(CallError::Transport)?),
                None => return Ok(()),
            }
        }
        let link = match binding.link_to(&message.head.to) {
            Route::Any => None,
            Route::By(link) => Some(link),
            Route::Nowhere => return Err(CallError::NoAgent(message.head.to)),
        };
        if let Some(link) = link {
            waiting.takes(link);
        }
        let Some(mut publishing) = binding.send(&message, link)? else { return Err(unsayable()) };
        let receipt = or_ended(waiting, publishing.as_mut()).await;
        match receipt {
            Some(Err(error)) => Err(CallError::Transport(error)),
            Some(Ok(Receipt::NoRoute)) => Err(CallError::NoAgent(message.head.to)),
            Some(Ok(Receipt::Stored | Receipt::Handed)) => {
                waiting.sent();
                // The link may have been lost while the request waited to be sent, and its reply address with it.
                let lost = |path: &ReplyPath| !binding.awaits_replies_at(&path.to);
                if binding.features.replies == Replies::Shared && message.head.reply.as_ref().is_some_and(lost) {
                    waiting.lose();
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Waits until there is a reply address: while the link is down there is none. False when the call has ended before.
    async fn connected(&self, message: &mut Message) -> bool {
        loop {
            let mut made = pin!(self.binding.reply_to_made.notified());
            made.as_mut().enable();
            message.head.reply = self.binding.reply_to().map(ReplyPath::to);
            if message.head.reply.is_some() {
                return true;
            }
            if or_ended(&self.waiting, made).await.is_none() {
                return false;
            }
        }
    }

    async fn outcome<E>(&self) -> Result<Outcome, CallError<E>> {
        Ok(poll_fn(|cx| self.waiting.poll_outcome(cx)).await?)
    }

    pub(crate) async fn next(&self) -> Heard {
        poll_fn(|cx| self.waiting.poll_next(cx)).await
    }
}

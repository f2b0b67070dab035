//! A call without the types of its answer: how it is sent, and how it waits.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use crate::{
    address::Address,
    call::Stub,
    contract::Method,
    endpoint::{
        binding::{Binding, Route, Sending},
        dispatch::Core,
        links::{Stop, replies_at},
        pending::{Heard, Key, Lost, Times, Waiting},
    },
    error::{CallError, Phase},
    json::{Json, JsonError},
    message::{Arguments, Body, Head, Message, Outcome, ReplyPath, Request, Sn, Statuses},
    protocol::{Replies, Role, Serials},
    text::Text,
    trace,
    transport::{Answering, Attempt, Frame, LinkId, PendingReceipt, Receipt, TransportError, TransportErrorKind},
};

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

impl Plan {
    pub(crate) fn span(&self) -> tracing::Span {
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

    /// The same call under a serial number of its own. What was encoded is shared.
    pub(crate) fn copy(&self) -> Plan {
        let args = self.args.as_ref().map(Clone::clone).map_err(|e| JsonError::custom(e.to_string()));
        let data = self.data.as_ref().map(Clone::clone).map_err(|e| JsonError::custom(e.to_string()));
        let (stub, method) = (self.stub.clone(), self.method.clone());
        Plan { id: self.stub.binding().clock.id(), stub, method, args, data, ..*self }
    }

    /// Makes the call another request.
    pub(crate) fn renumber(&mut self) {
        self.id = self.stub.binding().clock.id();
    }

    /// Enters a request again that has been sent, to be sent exactly as it was: its agent tells the repetition by its text, and
    /// gives the outcome that there is, or will be, where it remembers any. `None` where that cannot be: there is no serial
    /// number to tell it by, or its reply address is no more.
    pub(crate) fn begin_again(&self, message: &Message) -> Option<Sent> {
        let binding = self.stub.binding();
        let reply = message.head.reply.as_ref()?;
        let same = binding.by_links || (binding.features.replies == Replies::Shared && binding.awaits_replies_at(&reply.to));
        if !same || binding.features.serials != Serials::Global {
            return None;
        }
        let key = Key::Serial(self.id.as_u128());
        let waiting =
            Waiting::begin(self.stub.clone(), key, self.stub.0.address.clone(), None, self.times, false, message.head.sent);
        Some(Sent { waiting, replies: None })
    }

    /// The request as a message, and the stub that it was made with.
    fn message(self, reply: Option<ReplyPath>, wants: Statuses) -> Result<(Stub, Message), String> {
        let Plan { stub, method, contract, args, ttl, data, statuses, id, .. } = self;
        let args = args.map_err(|e| e.to_string())?;
        let data = data.map_err(|e| format!("the user data: {e}"))?;
        let binding = stub.binding();
        let head = Head {
            id: binding.features.ids.then(|| Text::from(binding.clock.id().to_string())),
            sn: Some(Sn::from(id)),
            sent: Some(binding.clock.now()),
            from: Some(binding.own.clone()),
            to: stub.0.lane.as_ref().unwrap_or(&stub.0.address).clone(),
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
            group: stub.0.group.clone(),
            contract,
        };
        Ok((stub, Message { head, body: Body::Request(request) }))
    }

    /// Sends the request; nobody here waits for its replies.
    pub(crate) async fn deliver<E>(self, reply: Option<Address>) -> Result<Sn, CallError<E>> {
        let (sn, limit) = (Sn::from(self.id), self.times.total);
        open(&self.stub.0.core)?;
        if reply.is_some() && self.stub.binding().features.replies == Replies::SameLink {
            let why = "replies come by the link that the request takes, and to nobody else: `reply_to` needs a bus";
            return Err(CallError::Encode(why.to_owned()));
        }
        let (stub, message) = self.message(reply.map(ReplyPath::to), Statuses::NONE).map_err(CallError::Encode)?;
        let (binding, address) = (stub.binding(), stub.address().clone());
        let delivering = async {
            loop {
                let link = match binding.way_to(&address).await {
                    Route::Any | Route::Later => None,
                    Route::By(link) => Some(link),
                    Route::Nowhere => return Err(CallError::NoAgent(address.clone())),
                };
                match binding.send(&message, link)?.ok_or_else(unsayable)?.await {
                    // It never left: the next link takes it, where there will be one.
                    Err(error) if error.kind == TransportErrorKind::Disconnected && binding.has_next(link).await => {}
                    sent => return sent.map_err(CallError::Transport),
                }
            }
        };
        match tokio::time::timeout(limit, delivering).await {
            Err(_) => Err(CallError::Timeout { phase: Phase::Send, after: limit }),
            Ok(Err(error)) => Err(error),
            Ok(Ok(Receipt::NoRoute)) => Err(CallError::NoAgent(address)),
            Ok(Ok(Receipt::Stored | Receipt::Handed)) => Ok(sn),
        }
    }

    /// Enters the call among those that wait, and publishes the request if that takes no waiting. If it does, the request comes
    /// back to be [published](Sent::publish).
    pub(crate) fn begin<E>(self, wants: Statuses, watched: bool) -> Result<(Sent, Option<Unsent>), CallError<E>> {
        let (sent, message) = self.enter(wants, watched)?;
        if message.head.reply.is_none() || sent.binding().features.replies == Replies::PerCall {
            return Ok((sent, Some(Unsent::new(message))));
        }
        let Some(frame) = sent.write(&message)? else { return Ok((sent, Some(Unsent::new(message)))) };
        let link = frame.link;
        let unsent = match sent.binding().try_publish(frame) {
            // Whether there is a next link to wait for is asked where waiting can be done.
            Attempt::Done(Err(error)) if link.is_some() && error.kind == TransportErrorKind::Disconnected => {
                Unsent::Waits(Box::new(Waits { message, step: Step::Failed(link) }))
            }
            Attempt::Done(receipt) => {
                return sent.published(&message.head.to, message.head.reply.as_ref(), receipt).map(|()| (sent, None));
            }
            Attempt::Given(receipt) if link.is_none() => Unsent::Given(message.head.to, message.head.reply, receipt),
            Attempt::Given(receipt) => Unsent::Waits(Box::new(Waits { message, step: Step::Given(link, receipt) })),
            Attempt::Waits(frame) => Unsent::Waits(Box::new(Waits { message, step: Step::Written(frame) })),
        };
        Ok((sent, Some(unsent)))
    }

    /// Enters the call among those that wait.
    #[inline]
    pub(crate) fn enter<E>(mut self, wants: Statuses, watched: bool) -> Result<(Sent, Message), CallError<E>> {
        open(&self.stub.0.core)?;
        let binding = self.stub.binding();
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
        let (stub, message) = self.message(reply.map(ReplyPath::to), wants).map_err(CallError::Encode)?;
        let waiting = Waiting::begin(stub, key, agent, answering, times, watched, message.head.sent);
        Ok((Sent { waiting, replies: None }, message))
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
    pub(super) waiting: Waiting,
    /// Receives the replies to this call alone, where the protocol has an address for each call.
    pub(super) replies: Option<Stop>,
}

/// A request that the bus has not taken yet.
#[derive(Debug)]
pub(crate) enum Unsent {
    /// The bus was given it, and is to say what it does with it: to whom it goes, and where its replies come.
    Given(Address, Option<ReplyPath>, PendingReceipt),
    /// Boxed: what waiting takes is not in the future of every call.
    Waits(Box<Waits>),
}

#[derive(Debug)]
pub(crate) struct Waits {
    message: Message,
    step: Step,
}

/// How far it has come.
#[derive(Debug)]
enum Step {
    /// It may have to wait for its reply address, or for a link.
    Unwritten,
    Written(Frame),
    /// By this link, if there are several.
    Given(Option<LinkId>, PendingReceipt),
    /// The link that did not take it.
    Failed(Option<LinkId>),
}

impl Unsent {
    pub(crate) fn new(message: Message) -> Self {
        Unsent::Waits(Box::new(Waits { message, step: Step::Unwritten }))
    }
}

impl Sent {
    pub(crate) fn stub(&self) -> &Stub {
        self.waiting.stub()
    }

    fn binding(&self) -> &Arc<Binding> {
        self.stub().binding()
    }

    /// Publishes the request: until the bus has it, the time for that runs out, or the outcome is there already.
    pub(crate) async fn publish<E>(&mut self, unsent: Unsent) -> Result<(), CallError<E>> {
        match unsent {
            Unsent::Given(to, reply, receipt) => match or_ended(&self.waiting, pin!(receipt)).await {
                Some(receipt) => self.published(&to, reply.as_ref(), receipt),
                None => Ok(()),
            },
            Unsent::Waits(waits) => Box::pin(self.publish_later(*waits)).await,
        }
    }

    async fn publish_later<E>(&mut self, Waits { mut message, mut step }: Waits) -> Result<(), CallError<E>> {
        if matches!(step, Step::Unwritten | Step::Failed(_)) && !self.await_address(&mut message).await? {
            return Ok(());
        }
        loop {
            if let Step::Failed(link) = step {
                let next = or_ended(&self.waiting, pin!(self.binding().has_next(link))).await;
                match next {
                    Some(true) => {}
                    Some(false) => {
                        let error = TransportError::new(TransportErrorKind::Disconnected, "the link is down");
                        return Err(CallError::Transport(error));
                    }
                    None => return Ok(()),
                }
            }
            let (link, mut publishing) = match step {
                Step::Given(link, receipt) => (link, Sending::Given(receipt)),
                Step::Written(frame) => (frame.link, Sending::Waits(self.binding().publish(frame))),
                Step::Unwritten | Step::Failed(_) => {
                    // While the dialler is away.
                    if or_ended(&self.waiting, pin!(self.binding().way_to(&message.head.to))).await.is_none() {
                        return Ok(());
                    }
                    let Some(frame) = self.write(&message)? else {
                        step = Step::Unwritten;
                        continue;
                    };
                    (frame.link, Sending::Waits(self.binding().publish(frame)))
                }
            };
            match or_ended(&self.waiting, Pin::new(&mut publishing)).await {
                Some(Err(error)) if link.is_some() && error.kind == TransportErrorKind::Disconnected => {
                    if !self.binding().one_peer {
                        return Err(CallError::Transport(error));
                    }
                    step = Step::Failed(link);
                }
                Some(receipt) => return self.published(&message.head.to, message.head.reply.as_ref(), receipt),
                None => return Ok(()),
            }
        }
    }

    /// Makes sure that there is an address that the replies come to. False when the call has ended before.
    async fn await_address<E>(&mut self, message: &mut Message) -> Result<bool, CallError<E>> {
        if message.head.reply.is_none() && !self.connected(message).await {
            return Ok(false);
        }
        let Sent { waiting, replies } = self;
        let (core, binding) = (&waiting.stub().0.core, waiting.stub().binding());
        if binding.features.replies == Replies::PerCall
            && let (Some(path), Body::Request(request)) = (&message.head.reply, &message.body)
        {
            let role = Role::Call { address: &path.to, request };
            let (table, key) = (Arc::clone(&binding.pending), Key::Address(path.to.clone()));
            let lost = move || table.end(&key, Lost::Reply);
            match or_ended(waiting, pin!(replies_at(core, binding, &role, &path.to, lost))).await {
                Some(stop) => *replies = Some(stop.map_err(CallError::Transport)?),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Writes the request, for the link that it takes. `None` while there is none, and will be.
    fn write<E>(&self, message: &Message) -> Result<Option<Frame>, CallError<E>> {
        let link = match self.binding().link_to(&message.head.to) {
            Route::Any => None,
            Route::By(link) => Some(link),
            Route::Later => return Ok(None),
            Route::Nowhere => return Err(CallError::NoAgent(message.head.to.clone())),
        };
        if let Some(link) = link {
            self.waiting.takes(link);
        }
        self.binding().write(message, link)?.ok_or_else(unsayable).map(Some)
    }

    /// The bus has said what it does with the request.
    fn published<E>(
        &self,
        to: &Address,
        reply: Option<&ReplyPath>,
        receipt: Result<Receipt, TransportError>,
    ) -> Result<(), CallError<E>> {
        match receipt {
            Err(error) => Err(CallError::Transport(error)),
            Ok(Receipt::NoRoute) => Err(CallError::NoAgent(to.clone())),
            Ok(Receipt::Stored | Receipt::Handed) => {
                self.waiting.sent();
                // The link may have been lost while the request waited to be sent, and its reply address with it.
                let lost = |path: &ReplyPath| !self.binding().awaits_replies_at(&path.to);
                if self.binding().features.replies == Replies::Shared && reply.is_some_and(lost) {
                    self.waiting.lose();
                }
                Ok(())
            }
        }
    }

    /// Waits until there is a reply address: while the link is down there is none. False when the call has ended before.
    async fn connected(&self, message: &mut Message) -> bool {
        loop {
            let mut made = pin!(self.binding().reply_to_made.notified());
            made.as_mut().enable();
            message.head.reply = self.binding().reply_to().map(ReplyPath::to);
            if message.head.reply.is_some() {
                return true;
            }
            if or_ended(&self.waiting, made).await.is_none() {
                return false;
            }
        }
    }

    pub(crate) async fn outcome<E>(&self) -> Result<Outcome, CallError<E>> {
        Ok(poll_fn(|cx| self.waiting.poll_outcome(cx)).await?)
    }

    pub(crate) async fn next(&self) -> Heard {
        poll_fn(|cx| self.waiting.poll_next(cx)).await
    }
}

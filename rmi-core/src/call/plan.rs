//! A call without the types of its answer: how it is sent, and how it waits.

use std::time::Duration;

use super::sent::{Sent, Step, Unsent};
use crate::{
    address::Address,
    call::Stub,
    contract::Method,
    endpoint::{
        binding::Route,
        dispatch::Core,
        pending::{Key, Times, Waiting},
    },
    error::{CallError, Phase},
    json::{Json, JsonError},
    message::{Arguments, Body, Head, Message, ReplyPath, Request, Sn, Statuses},
    protocol::{Replies, Serials},
    text::Text,
    trace,
    transport::{Answering, Attempt, Receipt, TransportError, TransportErrorKind},
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
                Unsent::waits(message, Step::Failed(link))
            }
            Attempt::Done(receipt) => {
                return sent.published(&message.head.to, message.head.reply.as_ref(), receipt).map(|()| (sent, None));
            }
            Attempt::Given(receipt) if link.is_none() => Unsent::Given(message.head.to, message.head.reply, receipt),
            Attempt::Given(receipt) => Unsent::waits(message, Step::Given(link, receipt)),
            Attempt::Waits(frame) => Unsent::waits(message, Step::Written(frame)),
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

pub(super) fn unsayable<E>() -> CallError<E> {
    CallError::Encode("the binding's protocol has no requests".to_owned())
}

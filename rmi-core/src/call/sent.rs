//! A call that waits, and its request until the bus has taken it.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use super::plan::unsayable;
use crate::{
    address::Address,
    call::Stub,
    endpoint::{
        binding::{Binding, Route, Sending},
        links::{Stop, replies_at},
        pending::{Heard, Key, Lost, Waiting},
    },
    error::CallError,
    message::{Body, Message, Outcome, ReplyPath},
    protocol::{Replies, Role},
    transport::{Frame, LinkId, PendingReceipt, Receipt, TransportError, TransportErrorKind},
};

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
pub(super) enum Step {
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
        Unsent::waits(message, Step::Unwritten)
    }

    pub(super) fn waits(message: Message, step: Step) -> Self {
        Unsent::Waits(Box::new(Waits { message, step }))
    }
}

impl Sent {
    pub(crate) fn stub(&self) -> &Stub {
        self.waiting.stub()
    }

    pub(super) fn binding(&self) -> &Arc<Binding> {
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
    pub(super) fn write<E>(&self, message: &Message) -> Result<Option<Frame>, CallError<E>> {
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
    pub(super) fn published<E>(
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

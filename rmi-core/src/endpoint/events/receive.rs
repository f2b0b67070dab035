use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
};

use super::{
    queue::{Item, Put, Queue},
    seen::Seen,
    stream::Figuring,
};
use crate::{
    context::Cancellation,
    endpoint::{
        binding::Binding,
        dispatch::Core,
        inbound::{Opened, Origin, Receiver, Verified},
    },
    lock::lock,
    message::{Body, Head},
    seal::Principal,
    service::BoxFuture,
    text::Text,
    transport::Disposition,
};

/// Takes what comes for a subscription: looks at who says what, and puts it where the subscriber finds it. It is decoded only
/// there, in the subscriber's own task and time.
pub(super) struct Collect {
    pub(super) core: Arc<Core>,
    pub(super) binding: Arc<Binding>,
    pub(super) queue: Arc<Queue>,
    pub(super) figures: Arc<Figuring>,
    pub(super) stop: Arc<Cancellation>,
    /// Whether a key is one of the subscriber's type.
    pub(super) knows: fn(&str) -> bool,
    /// Whose events are wanted; none means everybody's.
    pub(super) from: Option<Arc<[Text]>>,
    /// On sealed bindings whose scheme dates its messages.
    pub(super) seen: Option<Mutex<Seen>>,
}

impl Receiver for Collect {
    fn take(&self, opened: Opened) -> Option<BoxFuture<'_, ()>> {
        let Opened { content, origin, acker } = opened;
        let (figures, binding) = (&self.figures, &self.binding);
        // Whatever becomes of this one: those before it are lost.
        if origin.missed > 0 {
            figures.dropped.add_many(origin.missed);
            self.queue.missed(origin.missed);
        }
        let Ok(Verified { message, principal, .. }) = content else {
            figures.refused.add();
            acker.settle(Disposition::Discard);
            return None;
        };
        let (head, Body::Event(event)) = (message.head, message.body) else {
            binding.counters.misdirected.add();
            figures.refused.add();
            acker.settle(Disposition::Discard);
            return None;
        };
        // What was signed for one key and is played under another is not what happened.
        if *event.key != *origin.address.as_str() {
            binding.counters.misdirected.add();
            figures.refused.add();
            tracing::warn!(%principal, key = %event.key, at = %origin.address, "an event came by another key than its own");
            acker.settle(Disposition::Discard);
            return None;
        }
        if !(self.knows)(&event.key) {
            figures.unknown.add();
            acker.settle(Disposition::Ack);
            return None;
        }
        if !self.wants(&principal, &head) {
            figures.unwanted.add();
            acker.settle(Disposition::Ack);
            return None;
        }
        if let Some(seen) = &self.seen
            && !lock(seen).admit(&principal, &head, binding.clock.now())
        {
            binding.counters.stale.add();
            figures.replayed.add();
            tracing::debug!(%principal, key = %event.key, "an event is too old to be told from a replay, or came before");
            acker.settle(Disposition::Discard);
            return None;
        }
        let Origin { redelivered, size, .. } = origin;
        match self.queue.put(Box::new(Item { event, head, principal, redelivered, missed: 0, after: None, size, acker })) {
            Put::Full(item) => Some(Box::pin(self.put_in_turn(item))),
            put => {
                self.note(&put);
                None
            }
        }
    }
}

impl Collect {
    fn wants(&self, principal: &Principal, head: &Head) -> bool {
        let Some(from) = &self.from else { return true };
        // On a sealed binding a claim is nobody's word; elsewhere it is all there is.
        let claimed = || head.from.as_ref().map(|from| from.as_str()).filter(|_| self.binding.authenticator().is_none());
        let sender = principal.name().or_else(claimed);
        sender.is_some_and(|sender| from.iter().any(|wanted| *wanted == *sender))
    }

    /// Waits for room, and with it holds up this subscription and no other.
    async fn put_in_turn(&self, item: Box<Item>) {
        let mut putting = pin!(self.queue.put_in_turn(item));
        let mut closed = pin!(self.core.stage.closed());
        let put = poll_fn(|cx| match closed.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Put::Over),
            Poll::Pending => putting.as_mut().poll(cx),
        })
        .await;
        self.note(&put);
    }

    fn note(&self, put: &Put) {
        match put {
            Put::Taken => self.figures.received.add(),
            Put::Dropped(many) => {
                self.figures.received.add();
                self.figures.dropped.add_many(*many);
            }
            // Nobody takes anything any more: the bus need not bring it.
            Put::Full(_) | Put::Over => self.stop.set(),
        }
    }
}

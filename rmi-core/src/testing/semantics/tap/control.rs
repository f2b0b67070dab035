//! What a test does to what goes over a wire.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;

use super::{By, Tap};
use crate::{
    lock::lock,
    message::Message,
    protocol::ProtocolError,
    seal::wrap,
    testing::conformance::soon,
    transport::{Destination, Frame, LinkChange, LinkId, Receipt, Transport, TransportErrorKind},
};

impl Tap {
    /// Plays a frame once more, as it was.
    pub(in super::super) async fn replay(&self, frame: &Frame) {
        let (transport, mut frame) = (self.transport(), frame.clone());
        if transport.capabilities().links {
            // By a link of its own, whose place another may have taken meanwhile.
            let up = self.up();
            frame.link = frame.link.filter(|link| up.contains(link)).or_else(|| up.first().copied());
            frame.to = Destination::Link;
        }
        soon("the bus takes it once more", transport.publish(frame)).await.expect("the bus takes it");
    }

    /// Publishes whatever a test likes, in the place of a frame that travelled.
    pub(in super::super) async fn post_in_place_of(&self, like: &Frame, payload: impl Into<Bytes>) {
        let mut frame = like.clone();
        frame.payload = payload.into();
        self.replay(&frame).await;
    }

    /// Writes a message, and signs it as somebody.
    pub(in super::super) fn frame(&self, message: &Message, by: By<'_>) -> Frame {
        let mut frame = self.0.protocol.encode(message).expect("it can be written").expect("the dialect has such messages");
        let signer = match by {
            By::Own => self.0.trust.authenticator.as_ref(),
            By::Other(other) => other.0.trust.authenticator.as_ref(),
            By::Nobody => None,
        };
        if let Some(signer) = signer {
            let signature = signer.sign(&[&frame.payload]).expect("it can be signed").pop().expect("one for each");
            frame.payload = wrap(std::str::from_utf8(&frame.payload).expect("text"), &signature);
        }
        frame
    }

    /// Publishes a message that a test has made, signed as somebody.
    pub(in super::super) async fn post(&self, message: &Message, by: By<'_>) {
        self.replay(&self.frame(message, by)).await;
    }

    /// Holds back what is published from now on and is like this, until [`Tap::release`].
    pub(in super::super) fn hold(&self, which: impl Fn(&Message) -> bool + Send + 'static) {
        self.0.open.send_replace(false);
        *lock(&self.0.held) = Some(Box::new(which));
    }

    /// Lets go on what was held back.
    pub(in super::super) fn release(&self) {
        *lock(&self.0.held) = None;
        self.0.open.send_replace(true);
    }

    /// Loses what is published from now on and is like this, and says that the bus has it.
    pub(in super::super) fn swallow(&self, which: impl Fn(&Message) -> bool + Send + 'static) {
        *lock(&self.0.swallowed) = Some((Box::new(which), Receipt::Stored));
    }

    /// Says that nobody is there for what is published from now on and is like this.
    pub(in super::super) fn misroute(&self, which: impl Fn(&Message) -> bool + Send + 'static) {
        *lock(&self.0.swallowed) = Some((Box::new(which), Receipt::NoRoute));
    }

    /// Loses nothing any more.
    pub(in super::super) fn swallow_nothing(&self) {
        *lock(&self.0.swallowed) = None;
    }

    /// Refuses what is published from now on with an error of this kind; `None` ends that.
    pub(in super::super) fn break_with(&self, kind: Option<TransportErrorKind>) {
        *lock(&self.0.broken) = kind;
    }

    /// Changes what is written from now on.
    pub(in super::super) fn change(&self, change: impl Fn(&mut Message) + Send + 'static) {
        self.change_or(move |message| {
            change(message);
            Ok(())
        });
    }

    /// Changes what is written from now on, or cannot write it.
    pub(in super::super) fn change_or(&self, change: impl Fn(&mut Message) -> Result<(), ProtocolError> + Send + 'static) {
        *lock(&self.0.change) = Some(Box::new(change));
    }

    /// Changes nothing any more.
    pub(in super::super) fn change_nothing(&self) {
        *lock(&self.0.change) = None;
    }

    /// Ends every subscription without a word.
    pub(in super::super) fn end_subscriptions_quietly(&self) {
        self.0.ended.send_replace(None);
    }

    /// Ends every subscription with an error; new ones fail with `then`, if there is one.
    pub(in super::super) fn end_subscriptions(&self, then: Option<TransportErrorKind>) {
        *lock(&self.0.unsubscribable) = then;
        self.0.ended.send_replace(Some(then.unwrap_or(TransportErrorKind::Refused)));
    }

    /// The bus says that so many are lost before the next delivery.
    pub(in super::super) fn miss(&self, many: u64) {
        self.0.missed.store(many, Ordering::SeqCst);
    }

    /// Subscriptions to requests are begun from now on as if nothing held the bus back.
    pub(in super::super) fn take_everything(&self) {
        self.0.eager.store(true, Ordering::SeqCst);
    }

    /// New subscriptions are taken again.
    pub(in super::super) fn let_subscribe(&self) {
        *lock(&self.0.unsubscribable) = None;
    }

    /// Loses its links for so long. One that is still on its way back from an earlier loss is waited for.
    pub(in super::super) async fn lose(&self, time: Duration) {
        let mut up = self.up();
        if up.is_empty() {
            let mut links = self.transport().links();
            soon("there is a link to be lost", links.next()).await;
            up = self.up();
        }
        for link in up {
            self.transport().pause(link, Some(time)).await.expect("a link of its own can be lost");
        }
    }

    /// The links that are up.
    fn up(&self) -> Vec<LinkId> {
        let (mut links, mut up) = (self.transport().links(), Vec::new());
        while let Some(change) = links.ready() {
            match change {
                LinkChange::Up(link) => up.push(link.id),
                LinkChange::Down(link, _) => up.retain(|id| *id != link),
                LinkChange::Blocked(..) | LinkChange::Unblocked(_) => {}
            }
        }
        up
    }

    /// The transport below, while the endpoint lasts.
    pub(in super::super) fn transport(&self) -> Arc<dyn Transport> {
        self.0.transport.upgrade().expect("the endpoint is there")
    }
}

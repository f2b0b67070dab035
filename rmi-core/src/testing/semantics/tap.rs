//! What goes over a wire, whatever the dialect and the transport are: looked at, held back, lost, changed, played again.

mod control;
mod tell;
mod wire;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64},
    },
};

use bytes::Bytes;
use tokio::sync::{Notify, watch};

pub(super) use self::tell::{calls, delivered, held, is_outcome, is_progress, numbered, outcome, published, request};
use self::wire::Wire;
use crate::{
    endpoint::Builder,
    lock::lock,
    message::{Message, Outcome, Sn},
    protocol::{Protocol, ProtocolError},
    seal::{Trust, Wrapped, peel},
    testing::conformance::soon,
    text::Text,
    transport::{Acker, Delivery, Disposition, Frame, Receipt, Transport, TransportErrorKind},
};

/// What went through a tap.
#[derive(Clone, Debug)]
pub(super) enum Passed {
    /// A message is held back.
    Held(Arc<Message>),
    /// The bus has a message.
    Published(Arc<Message>, Frame),
    /// The bus was not given a message, or did not take it.
    Refused(Arc<Message>),
    /// A message arrived, and what it travelled as.
    Delivered(Arc<Message>, Bytes),
    /// A message that arrived was settled.
    Settled(Arc<Message>, Disposition),
    /// A subscription was given up.
    Left,
    /// A subscription was not to be had.
    Unsubscribable,
}

/// A wire that says what goes over it. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Tap(Arc<Inner>);

/// Tells messages apart.
type Which = Box<dyn Fn(&Message) -> bool + Send>;
/// Changes a message before it is written, or says that it cannot be.
type Change = Box<dyn Fn(&mut Message) -> Result<(), ProtocolError> + Send>;

struct Inner {
    protocol: Arc<dyn Protocol>,
    transport: Weak<dyn Transport>,
    trust: Trust,
    /// What was written, by its text, with its place in the order.
    written: Mutex<HashMap<Bytes, (usize, Arc<Message>)>>,
    passed: Mutex<Vec<Passed>>,
    changed: Notify,
    held: Mutex<Option<Which>>,
    open: watch::Sender<bool>,
    swallowed: Mutex<Option<(Which, Receipt)>>,
    broken: Mutex<Option<TransportErrorKind>>,
    change: Mutex<Option<Change>>,
    /// Ends the subscriptions that there are: with an error, or without a word.
    ended: watch::Sender<Option<TransportErrorKind>>,
    unsubscribable: Mutex<Option<TransportErrorKind>>,
    /// How many the bus says that it has dropped before the next delivery.
    missed: AtomicU64,
    /// Requests are brought however many have not been settled.
    eager: AtomicBool,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tap").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

/// Who is said to have signed what is posted by hand.
#[derive(Clone, Copy, Debug)]
pub(super) enum By<'a> {
    /// Whoever the endpoint is.
    Own,
    /// Somebody else.
    Other(&'a Tap),
    /// Nobody.
    Nobody,
}

/// Taps an endpoint's first wire.
pub(super) fn tapped(builder: Builder) -> (Builder, Tap) {
    let mut tap = None;
    let builder = builder.rewire(|protocol, transport, trust| {
        if tap.is_some() {
            return;
        }
        let on = Tap(Arc::new(Inner {
            protocol: Arc::clone(protocol),
            transport: Arc::downgrade(transport),
            trust: trust.clone(),
            written: Mutex::default(),
            passed: Mutex::default(),
            changed: Notify::new(),
            held: Mutex::default(),
            open: watch::Sender::new(true),
            swallowed: Mutex::default(),
            broken: Mutex::default(),
            change: Mutex::default(),
            ended: watch::Sender::new(None),
            unsubscribable: Mutex::default(),
            missed: AtomicU64::new(0),
            eager: AtomicBool::new(false),
        }));
        let wire = Wire { tap: Arc::clone(&on.0), transport: Arc::clone(transport) };
        (*protocol, *transport) = (Arc::new(on.clone()), Arc::new(wire));
        tap = Some(on);
    });
    (builder, tap.expect("an endpoint of a pair is bound"))
}

impl Tap {
    /// Everything that went through, in order.
    pub(super) fn passed(&self) -> Vec<Passed> {
        lock(&self.0.passed).clone()
    }

    /// How many have passed that are like this.
    pub(super) fn count(&self, like: impl Fn(&Passed) -> bool) -> usize {
        lock(&self.0.passed).iter().filter(|passed| like(passed)).count()
    }

    /// Waits until so many have passed that are like this.
    pub(super) async fn until(&self, many: usize, what: &str, like: impl Fn(&Passed) -> bool) {
        soon(what, async {
            loop {
                let changed = self.0.changed.notified();
                if self.count(&like) >= many {
                    return;
                }
                changed.await;
            }
        })
        .await;
    }

    /// The messages that the bus was given, in order.
    pub(super) fn published(&self) -> Vec<Arc<Message>> {
        let published = |passed| if let Passed::Published(message, _) = passed { Some(message) } else { None };
        self.passed().into_iter().filter_map(published).collect()
    }

    /// The outcomes that were sent of a request, in order.
    pub(super) fn outcomes(&self, of: Option<&Sn>) -> Vec<Outcome> {
        let about = |message: &Arc<Message>| message.head.sn.as_ref() == of;
        self.published().iter().filter(|message| about(message)).filter_map(|message| outcome(message).cloned()).collect()
    }

    /// Waits until so many outcomes were sent of a request.
    pub(super) async fn until_outcomes(&self, many: usize, of: Option<&Sn>) -> Vec<Outcome> {
        let like = |message: &Message| message.head.sn.as_ref() == of && outcome(message).is_some();
        self.until(many, "an outcome is sent", |passed| matches!(passed, Passed::Published(message, _) if like(message))).await;
        self.outcomes(of)
    }

    /// What was sent last that is like this, as it travelled.
    pub(super) fn last(&self, like: impl Fn(&Message) -> bool) -> (Arc<Message>, Frame) {
        let published = |passed| match passed {
            Passed::Published(message, frame) if like(&message) => Some((message, frame)),
            _ => None,
        };
        self.passed().into_iter().rev().find_map(published).expect("it was sent")
    }

    /// What was written last that is like this, whether or not it was sent.
    pub(super) fn last_written(&self, like: impl Fn(&Message) -> bool) -> Arc<Message> {
        let written = lock(&self.0.written);
        let youngest = written.values().filter(|(_, message)| like(message)).max_by_key(|(number, _)| *number);
        Arc::clone(&youngest.expect("it was written").1)
    }

    /// What came here as this frame, as it was read here: a dialect may have another number for it at either end.
    pub(super) fn arrived_as(&self, frame: &Frame) -> Arc<Message> {
        let came = |passed| match passed {
            Passed::Delivered(message, payload) if payload == frame.payload => Some(message),
            _ => None,
        };
        self.passed().into_iter().find_map(came).expect("it came here")
    }
}

impl Inner {
    /// Returns its place among all that was seen.
    fn saw(&self, passed: Passed) -> usize {
        let place = {
            let mut all = lock(&self.passed);
            all.push(passed);
            all.len() - 1
        };
        self.changed.notify_waiters();
        place
    }

    fn text(&self, payload: &Bytes) -> Option<Text> {
        if !self.protocol.features().sealable {
            return Text::from_utf8(payload.clone()).ok();
        }
        match peel(payload.clone()).ok()? {
            Wrapped::Plain(text) | Wrapped::Sealed { text, .. } => Some(text),
        }
    }

    /// What a frame says, if the endpoint wrote it: what a session says of its link is not looked at.
    fn sent(&self, frame: &Frame) -> Option<Arc<Message>> {
        let text = self.text(&frame.payload)?;
        lock(&self.written).get(text.as_bytes()).map(|(_, message)| Arc::clone(message))
    }

    fn arrived(&self, delivery: &Delivery) -> Option<Arc<Message>> {
        let text = self.text(&delivery.payload)?;
        let mut alike = Delivery::new(text.into_bytes(), delivery.key.clone(), delivery.purpose, Acker::settled());
        alike.exchange = delivery.exchange.clone();
        alike.properties = delivery.properties.clone();
        (alike.link, alike.redelivered) = (delivery.link, delivery.redelivered);
        self.protocol.decode(&alike).ok().map(Arc::new)
    }
}

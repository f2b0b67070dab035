//! What goes over a wire, whatever the dialect and the transport are: looked at, held back, lost, changed, played again.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Notify, watch};

use crate::{
    endpoint::Builder,
    lock::lock,
    message::{Body, Message, Outcome, Request, Sn, Status},
    protocol::{Features, Protocol, ProtocolError, Refused, Role, Session},
    seal::{Trust, Wrapped, peel, wrap},
    testing::conformance::soon,
    text::Text,
    transport::{
        Acker, Capabilities, Deliveries, Delivery, Destination, Disposition, Frame, LinkChange, LinkId, Links, Receipt, Settle,
        Subscription, Transport, TransportError, TransportErrorKind,
    },
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

/// The transport of a tapped endpoint. The tap alone does not keep it: it goes with its endpoint.
#[derive(Debug)]
struct Wire {
    tap: Arc<Inner>,
    transport: Arc<dyn Transport>,
}

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

    /// Plays a frame once more, as it was.
    pub(super) async fn replay(&self, frame: &Frame) {
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
    pub(super) async fn post_in_place_of(&self, like: &Frame, payload: impl Into<Bytes>) {
        let mut frame = like.clone();
        frame.payload = payload.into();
        self.replay(&frame).await;
    }

    /// Writes a message, and signs it as somebody.
    pub(super) fn frame(&self, message: &Message, by: By<'_>) -> Frame {
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
    pub(super) async fn post(&self, message: &Message, by: By<'_>) {
        self.replay(&self.frame(message, by)).await;
    }

    /// Holds back what is published from now on and is like this, until [`Tap::release`].
    pub(super) fn hold(&self, which: impl Fn(&Message) -> bool + Send + 'static) {
        self.0.open.send_replace(false);
        *lock(&self.0.held) = Some(Box::new(which));
    }

    /// Lets go on what was held back.
    pub(super) fn release(&self) {
        *lock(&self.0.held) = None;
        self.0.open.send_replace(true);
    }

    /// Loses what is published from now on and is like this, and says that the bus has it.
    pub(super) fn swallow(&self, which: impl Fn(&Message) -> bool + Send + 'static) {
        *lock(&self.0.swallowed) = Some((Box::new(which), Receipt::Stored));
    }

    /// Says that nobody is there for what is published from now on and is like this.
    pub(super) fn misroute(&self, which: impl Fn(&Message) -> bool + Send + 'static) {
        *lock(&self.0.swallowed) = Some((Box::new(which), Receipt::NoRoute));
    }

    /// Loses nothing any more.
    pub(super) fn swallow_nothing(&self) {
        *lock(&self.0.swallowed) = None;
    }

    /// Refuses what is published from now on with an error of this kind; `None` ends that.
    pub(super) fn break_with(&self, kind: Option<TransportErrorKind>) {
        *lock(&self.0.broken) = kind;
    }

    /// Changes what is written from now on.
    pub(super) fn change(&self, change: impl Fn(&mut Message) + Send + 'static) {
        self.change_or(move |message| {
            change(message);
            Ok(())
        });
    }

    /// Changes what is written from now on, or cannot write it.
    pub(super) fn change_or(&self, change: impl Fn(&mut Message) -> Result<(), ProtocolError> + Send + 'static) {
        *lock(&self.0.change) = Some(Box::new(change));
    }

    /// Changes nothing any more.
    pub(super) fn change_nothing(&self) {
        *lock(&self.0.change) = None;
    }

    /// Ends every subscription without a word.
    pub(super) fn end_subscriptions_quietly(&self) {
        self.0.ended.send_replace(None);
    }

    /// Ends every subscription with an error; new ones fail with `then`, if there is one.
    pub(super) fn end_subscriptions(&self, then: Option<TransportErrorKind>) {
        *lock(&self.0.unsubscribable) = then;
        self.0.ended.send_replace(Some(then.unwrap_or(TransportErrorKind::Refused)));
    }

    /// The bus says that so many are lost before the next delivery.
    pub(super) fn miss(&self, many: u64) {
        self.0.missed.store(many, Ordering::SeqCst);
    }

    /// New subscriptions are taken again.
    pub(super) fn let_subscribe(&self) {
        *lock(&self.0.unsubscribable) = None;
    }

    /// Loses its links for so long.
    pub(super) async fn lose(&self, time: Duration) {
        let up = self.up();
        assert!(!up.is_empty(), "there is a link to be lost");
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
            }
        }
        up
    }

    /// The transport below, while the endpoint lasts.
    pub(super) fn transport(&self) -> Arc<dyn Transport> {
        self.0.transport.upgrade().expect("the endpoint is there")
    }
}

/// What a message says of the end of a request.
pub(super) fn outcome(message: &Message) -> Option<&Outcome> {
    if let Body::Outcome(outcome) = &message.body { Some(outcome) } else { None }
}

pub(super) fn is_outcome(message: &Message) -> bool {
    outcome(message).is_some()
}

pub(super) fn is_progress(message: &Message) -> bool {
    matches!(message.body, Body::Status(Status::Progress(_)))
}

pub(super) fn request(message: &Message) -> Option<&Request> {
    if let Body::Request(request) = &message.body { Some(request) } else { None }
}

/// Tells requests for a method.
pub(super) fn calls(method: &'static str) -> impl Fn(&Message) -> bool + Copy + Send + 'static {
    move |message| request(message).is_some_and(|request| &*request.method == method)
}

/// Tells what was published.
pub(super) fn published(which: impl Fn(&Message) -> bool) -> impl Fn(&Passed) -> bool {
    move |passed| matches!(passed, Passed::Published(message, _) if which(message))
}

/// Tells what is held back.
pub(super) fn held(passed: &Passed) -> bool {
    matches!(passed, Passed::Held(_))
}

/// Tells what arrived.
pub(super) fn delivered(which: impl Fn(&Message) -> bool) -> impl Fn(&Passed) -> bool {
    move |passed| matches!(passed, Passed::Delivered(message, _) if which(message))
}

/// Tells the request of this serial number.
pub(super) fn numbered(sn: &Sn) -> impl Fn(&Message) -> bool + '_ {
    move |message| message.head.sn.as_ref() == Some(sn) && request(message).is_some()
}

impl Inner {
    fn saw(&self, passed: Passed) {
        lock(&self.passed).push(passed);
        self.changed.notify_waiters();
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

impl Protocol for Tap {
    fn features(&self) -> Features {
        self.0.protocol.features()
    }

    fn listen(&self, role: &Role<'_>) -> Vec<Subscription> {
        self.0.protocol.listen(role)
    }

    fn encode(&self, message: &Message) -> Result<Option<Frame>, ProtocolError> {
        let mut message = message.clone();
        if let Some(change) = lock(&self.0.change).as_ref() {
            change(&mut message)?;
        }
        let frame = self.0.protocol.encode(&message)?;
        if let Some(frame) = &frame {
            let mut written = lock(&self.0.written);
            let number = written.len();
            written.insert(frame.payload.clone(), (number, Arc::new(message)));
        }
        Ok(frame)
    }

    fn decode(&self, delivery: &Delivery) -> Result<Message, Refused> {
        self.0.protocol.decode(delivery)
    }

    fn session(&self, role: &Role<'_>) -> Option<Box<dyn Session>> {
        self.0.protocol.session(role)
    }
}

#[async_trait]
impl Transport for Wire {
    fn capabilities(&self) -> Capabilities {
        self.transport.capabilities()
    }

    async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        let tap = &self.tap;
        let Some(message) = tap.sent(&frame) else { return self.transport.publish(frame).await };
        let held = lock(&tap.held).as_ref().is_some_and(|which| which(&message));
        if held {
            tap.saw(Passed::Held(Arc::clone(&message)));
            let _ = tap.open.subscribe().wait_for(|open| *open).await;
        }
        let swallowed = lock(&tap.swallowed).as_ref().and_then(|(which, receipt)| which(&message).then_some(*receipt));
        if let Some(receipt) = swallowed {
            return Ok(receipt);
        }
        let broken = *lock(&tap.broken);
        let receipt = match broken {
            Some(kind) => Err(TransportError::new(kind, "broken by the test")),
            None => self.transport.publish(frame.clone()).await,
        };
        tap.saw(if receipt.is_ok() { Passed::Published(message, frame) } else { Passed::Refused(message) });
        receipt
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Deliveries>, TransportError> {
        let unsubscribable = *lock(&self.tap.unsubscribable);
        if let Some(kind) = unsubscribable {
            self.tap.saw(Passed::Unsubscribable);
            return Err(TransportError::new(kind, "broken by the test"));
        }
        let mut ended = self.tap.ended.subscribe();
        ended.mark_unchanged();
        let deliveries = self.transport.subscribe(subscription).await?;
        let settling = Arc::new(Settling { tap: Arc::clone(&self.tap), held: Mutex::default(), next: AtomicU64::new(0) });
        Ok(Box::new(Tapped { deliveries, settling, ended }))
    }

    fn links(&self) -> Links {
        self.transport.links()
    }

    async fn pause(&self, link: LinkId, resume: Option<Duration>) -> Result<(), TransportError> {
        self.transport.pause(link, resume).await
    }

    async fn will(&self, link: LinkId, frame: Frame) -> Result<(), TransportError> {
        self.transport.will(link, frame).await
    }

    async fn close(&self) -> Result<(), TransportError> {
        self.transport.close().await
    }
}

#[derive(Debug)]
struct Tapped {
    deliveries: Box<dyn Deliveries>,
    settling: Arc<Settling>,
    ended: watch::Receiver<Option<TransportErrorKind>>,
}

#[async_trait]
impl Deliveries for Tapped {
    async fn recv(&mut self, into: &mut Vec<Delivery>, max: usize) -> Result<usize, TransportError> {
        let taken = tokio::select! {
            biased;
            _ = self.ended.changed() => {
                let kind = *self.ended.borrow_and_update();
                return kind.map_or(Ok(0), |kind| Err(TransportError::new(kind, "ended by the test")));
            }
            taken = self.deliveries.recv(into, max) => taken?,
        };
        let from = into.len() - taken;
        for delivery in &mut into[from..] {
            delivery.missed += self.settling.tap.missed.swap(0, Ordering::SeqCst);
            let Some(message) = self.settling.tap.arrived(delivery) else { continue };
            self.settling.tap.saw(Passed::Delivered(Arc::clone(&message), delivery.payload.clone()));
            let tag = self.settling.next.fetch_add(1, Ordering::Relaxed);
            let acker = std::mem::replace(&mut delivery.acker, Acker::new(Arc::<Settling>::clone(&self.settling), tag));
            lock(&self.settling.held).insert(tag, (message, acker));
        }
        Ok(taken)
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        self.settling.tap.saw(Passed::Left);
    }
}

#[derive(Debug)]
struct Settling {
    tap: Arc<Inner>,
    held: Mutex<HashMap<u64, (Arc<Message>, Acker)>>,
    next: AtomicU64,
}

impl Settle for Settling {
    fn settle(&self, tag: u64, disposition: Disposition) {
        let held = lock(&self.held).remove(&tag);
        if let Some((message, acker)) = held {
            self.tap.saw(Passed::Settled(message, disposition));
            acker.settle(disposition);
        }
    }
}

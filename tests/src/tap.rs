//! A seat on the in-memory bus that says what goes through it, and can be told to hold or to refuse.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rmi_core::{
    Memory,
    transport::{
        Acker, Capabilities, Deliveries, Delivery, Disposition, Frame, Interruptions, LinkId, Links, Receipt, Settle,
        Subscription, Transport, TransportError, TransportErrorKind,
    },
};
use serde_json::Value;
use tokio::sync::{Notify, watch};

use crate::{raw::text, soon::soon};

/// What went through a tap.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A message is held back.
    Held(Value),
    /// The bus has a message.
    Published(Value),
    /// The bus was not given a message.
    Refused(Value),
    /// A message arrived.
    Delivered(Value),
    /// A delivery was settled.
    Settled(Disposition),
    /// A subscription was given up.
    Left,
}

/// A seat that says what goes through it. Clones are the same seat.
#[derive(Clone, Debug)]
pub struct Tap(Arc<Inner>);

/// Tells messages apart.
pub type Which = Box<dyn Fn(&Value) -> bool + Send>;

struct Inner {
    seat: Memory,
    events: Mutex<Vec<Event>>,
    changed: Notify,
    held: Mutex<Option<Which>>,
    swallowed: Mutex<Option<Which>>,
    open: watch::Sender<bool>,
    broken: Mutex<Option<TransportErrorKind>>,
    ended: watch::Sender<()>,
    quiet: AtomicBool,
    unsubscribable: Mutex<Option<TransportErrorKind>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tap").field("seat", &self.seat).finish_non_exhaustive()
    }
}

impl Tap {
    /// A new seat on the bus.
    #[must_use]
    pub fn on(bus: &Memory) -> Self {
        Tap(Arc::new(Inner {
            seat: bus.clone(),
            events: Mutex::default(),
            changed: Notify::new(),
            held: Mutex::default(),
            swallowed: Mutex::default(),
            open: watch::Sender::new(true),
            broken: Mutex::default(),
            ended: watch::Sender::new(()),
            quiet: AtomicBool::new(false),
            unsubscribable: Mutex::default(),
        }))
    }

    /// Everything that went through, in order.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        lock(&self.0.events).clone()
    }

    /// The messages that were published, in order.
    #[must_use]
    pub fn published(&self) -> Vec<Value> {
        let published = |event| match event {
            Event::Published(message) => Some(message),
            _ => None,
        };
        self.events().into_iter().filter_map(published).collect()
    }

    /// How many events are like this.
    #[must_use]
    pub fn count(&self, like: impl Fn(&Event) -> bool) -> usize {
        lock(&self.0.events).iter().filter(|event| like(event)).count()
    }

    /// Waits until there are so many events like this.
    pub async fn until(&self, many: usize, what: &str, like: impl Fn(&Event) -> bool) {
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

    /// Holds back what is published from now on and is like this, until [`Tap::release`].
    pub fn hold(&self, which: impl Fn(&Value) -> bool + Send + 'static) {
        self.0.open.send_replace(false);
        *lock(&self.0.held) = Some(Box::new(which));
    }

    /// Lets go on what was held back, in the order in which it came.
    pub fn release(&self) {
        *lock(&self.0.held) = None;
        self.0.open.send_replace(true);
    }

    /// Loses what is published from now on and is like this, and says that the bus has it; `None` ends that.
    pub fn swallow(&self, which: Option<Which>) {
        *lock(&self.0.swallowed) = which;
    }

    /// Refuses what is published from now on with an error of this kind; `None` ends that.
    pub fn break_with(&self, kind: Option<TransportErrorKind>) {
        *lock(&self.0.broken) = kind;
    }

    /// Ends every subscription without a word.
    pub fn end_subscriptions_quietly(&self) {
        self.0.quiet.store(true, Ordering::Relaxed);
        self.0.ended.send_replace(());
    }

    /// Ends every subscription with an error; new ones fail with an error of this kind, if there is one.
    pub fn end_subscriptions(&self, then: Option<TransportErrorKind>) {
        *lock(&self.0.unsubscribable) = then;
        self.0.quiet.store(false, Ordering::Relaxed);
        self.0.ended.send_replace(());
    }

    /// The seat's link.
    #[must_use]
    pub fn link(&self) -> LinkId {
        self.0.seat.link()
    }

    /// Loses the link for so long.
    pub async fn lose(&self, time: Duration) {
        self.0.seat.pause(self.link(), Some(time)).await.expect("the seat's own link");
    }
}

impl Inner {
    fn saw(&self, event: Event) {
        lock(&self.events).push(event);
        self.changed.notify_waiters();
    }
}

#[async_trait]
impl Transport for Tap {
    fn capabilities(&self) -> Capabilities {
        self.0.seat.capabilities()
    }

    async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        let message = text(&frame.payload);
        let held = lock(&self.0.held).as_ref().is_some_and(|which| which(&message));
        if held {
            self.0.saw(Event::Held(message.clone()));
            let _ = self.0.open.subscribe().wait_for(|open| *open).await;
        }
        if lock(&self.0.swallowed).as_ref().is_some_and(|which| which(&message)) {
            return Ok(Receipt::Stored);
        }
        let broken = *lock(&self.0.broken);
        let receipt = match broken {
            Some(kind) => Err(TransportError::new(kind, "broken by the test")),
            None => self.0.seat.publish(frame).await,
        };
        self.0.saw(if receipt.is_ok() { Event::Published(message) } else { Event::Refused(message) });
        receipt
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Deliveries>, TransportError> {
        let unsubscribable = *lock(&self.0.unsubscribable);
        if let Some(kind) = unsubscribable {
            return Err(TransportError::new(kind, "broken by the test"));
        }
        let ended = self.0.ended.subscribe();
        let deliveries = self.0.seat.subscribe(subscription).await?;
        let settling = Arc::new(Settling { tap: Arc::clone(&self.0), ackers: Mutex::default(), next: AtomicU64::new(0) });
        Ok(Box::new(Tapped { deliveries, settling, ended }))
    }

    fn links(&self) -> Links {
        self.0.seat.links()
    }

    async fn pause(&self, link: LinkId, resume: Option<Duration>) -> Result<(), TransportError> {
        self.0.seat.pause(link, resume).await
    }

    async fn close(&self) -> Result<(), TransportError> {
        self.0.seat.close().await
    }
}

#[derive(Debug)]
struct Tapped {
    deliveries: Box<dyn Deliveries>,
    settling: Arc<Settling>,
    ended: watch::Receiver<()>,
}

#[async_trait]
impl Deliveries for Tapped {
    async fn recv(&mut self, into: &mut Vec<Delivery>, max: usize) -> Result<usize, TransportError> {
        let taken = tokio::select! {
            biased;
            _ = self.ended.changed() => return if self.settling.tap.quiet.load(Ordering::Relaxed) { Ok(0) } else { Err(TransportError::new(TransportErrorKind::Refused, "ended by the test")) },
            taken = self.deliveries.recv(into, max) => taken?,
        };
        let from = into.len() - taken;
        for delivery in &mut into[from..] {
            self.settling.tap.saw(Event::Delivered(text(&delivery.payload)));
            let tag = self.settling.next.fetch_add(1, Ordering::Relaxed);
            let acker = std::mem::replace(&mut delivery.acker, Acker::new(Arc::<Settling>::clone(&self.settling), tag));
            lock(&self.settling.ackers).insert(tag, acker);
        }
        Ok(taken)
    }

    fn stop(&mut self) {
        self.deliveries.stop();
    }

    fn interruptions(&self) -> Option<Interruptions> {
        self.deliveries.interruptions()
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        self.settling.tap.saw(Event::Left);
    }
}

struct Settling {
    tap: Arc<Inner>,
    ackers: Mutex<HashMap<u64, Acker>>,
    next: AtomicU64,
}

impl std::fmt::Debug for Settling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Settling")
    }
}

impl Settle for Settling {
    fn settle(&self, tag: u64, disposition: Disposition) {
        let acker = lock(&self.ackers).remove(&tag);
        if let Some(acker) = acker {
            self.tap.saw(Event::Settled(disposition));
            acker.settle(disposition);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

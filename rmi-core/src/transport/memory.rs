//! The in-memory bus: what a broker does, inside one process.
//!
//! ```
//! # use rmi_core::transport::{*, memory::Memory};
//! # use rmi_core::Address;
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), TransportError> {
//! let bus = Memory::new();
//! let dog = Address::from("dog");
//! let mut requests = bus.subscribe(Subscription::new(Source::Address(dog.clone()), Purpose::Requests)).await?;
//!
//! let caller = bus.clone(); // another seat on the same bus
//! let receipt = caller.publish(Frame::new(Destination::Address(dog), "bark")).await?;
//! assert_eq!(receipt, Receipt::Stored);
//!
//! let mut deliveries = Vec::new();
//! requests.recv(&mut deliveries, 16).await?;
//! for delivery in deliveries {
//!     assert_eq!(&delivery.payload[..], b"bark");
//!     delivery.acker.settle(Disposition::Ack);
//! }
//! # Ok(()) }
//! ```

mod bus;
mod counters;
mod dead_letters;
mod inbox;
mod mailbox;
mod options;
mod pattern;
mod queue;
mod registry;
mod seat;
mod slots;

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;

use self::{
    bus::{Bus, refused},
    queue::Stored,
    seat::{Seat, closed},
};
pub use self::{counters::Counters, dead_letters::DeadLetter, options::Options};
use crate::transport::{
    Attempt, Capabilities, Deliveries, Frame, LinkId, Links, Receipt, Subscription, Transport, TransportError,
};

/// A seat on an in-memory message bus.
///
/// [`Memory::new`] makes a bus and the first seat on it; a clone is another seat on the same bus, with its own link and its own
/// subscriptions. [`close`](Transport::close) ends one seat: its deliveries end, what it had not settled is delivered to others, and
/// the other seats go on. The bus goes with its last seat and the last of their deliveries, which keep their seat.
///
/// The bus behaves as a broker does:
///
/// * **Mailboxes.** An address names one mailbox, by its whole text. It exists while it has a subscriber; after that, if a subscription
///   asked for it: for as long as it `expires`, or, `durable` and not expiring, for good. Otherwise its frames go with it. A durable
///   mailbox stays durable; of two `expires` the later one holds. Publishing to a mailbox that does not exist is answered
///   [`Receipt::NoRoute`].
/// * **Topics.** Each frame is copied, its payload shared, to every subscription to its exchange whose pattern matches. Subscriptions with
///   the same exchange and pattern share one mailbox, and each frame goes to one of them, unless they are broadcast. Words are separated
///   by `.`; `*` is one word and `#` any number of them. With no exchange, a pattern that contains `/` is an MQTT filter: words are
///   separated by `/`, and `+` is one.
/// * **Sharing.** Competing subscribers pull their fair share; one whose `prefetch` is used up is passed over (0 is no limit). Exclusive ones
///   are alone. Broadcast is for topics, and cannot be durable.
/// * **Settling.** What is requeued, or unsettled when its [`Acker`](crate::transport::Acker), its subscription or its seat goes, is back
///   at its place in front, marked as redelivered; what is released is back without the mark; what is discarded is among the
///   [`dead_letters`](Memory::dead_letters). Settling after that is harmless.
/// * **Order.** A mailbox delivers in the order of publishing.
/// * **Expiry.** A frame is not delivered when its `ttl` has passed, and takes no room from others.
/// * **Bounds.** A publish waits in line for room, then fails with [`Full`](crate::transport::TransportErrorKind::Full); a topic's frame
///   goes to all of its mailboxes or to none, so that a subscriber who does not receive holds up its publishers. See [`Options`].
/// * **Links.** A seat has one link. [`pause`](Transport::pause) takes it off the bus as the loss of a connection would: its subscriptions
///   leave, its publishes wait, and after the time given it is back with the same subscriptions and the next generation. A pause without
///   an end is a close.
///
/// Nothing outlives the process, whatever a frame's `persistent` says. A publish that waits, and a pause, need a Tokio runtime with its
/// timer enabled; nothing else does.
///
/// # Cancel safety
///
/// A publish that is dropped while it waits was handed over whole or not at all.
pub struct Memory {
    seat: Arc<Seat>,
}

impl Memory {
    /// A bus of its own, with the default bounds, and a seat on it.
    #[must_use]
    pub fn new() -> Self {
        Memory::with(Options::default())
    }

    /// A bus of its own with the bounds given, and a seat on it.
    #[must_use]
    pub fn with(options: Options) -> Self {
        Memory { seat: Arc::new(Seat::new(Arc::new(Bus::new(options)))) }
    }

    /// The name of this seat's link.
    #[must_use]
    pub fn link(&self) -> LinkId {
        self.seat.link
    }

    /// What happened on the whole bus, and what is on it now. Looks at every mailbox.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.seat.bus.counters()
    }

    /// The youngest frames that were discarded on the whole bus, the oldest of them first.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.seat.bus.dead_letters()
    }
}

impl Default for Memory {
    fn default() -> Self {
        Memory::new()
    }
}

impl Clone for Memory {
    /// Another seat on the same bus.
    fn clone(&self) -> Self {
        Memory { seat: Arc::new(Seat::new(Arc::clone(&self.seat.bus))) }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("link", &self.seat.link).finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for Memory {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            unroutable: true,
            competing: true,
            redelivery: true,
            expiry: true,
            topics: true,
            durable: true,
            links: false,
            one_peer: false,
            settle_within: None,
            max_payload: self.seat.bus.options.max_payload,
        }
    }

    // Written out: an `async fn` would keep several copies of the frame in its future.
    fn publish<'a, 'f>(&'a self, frame: Frame) -> Pin<Box<dyn Future<Output = Result<Receipt, TransportError>> + Send + 'f>>
    where
        'a: 'f,
    {
        let checked = self.seat.check(&frame);
        let stored = Stored::new(frame);
        Box::pin(async move {
            checked?;
            let mut stored = Some(stored);
            match self.seat.publish_now(&mut stored) {
                Some(published) => published,
                // Boxed: what waiting takes is not in every publish's future.
                None => Box::pin(self.seat.publish(stored)).await,
            }
        })
    }

    fn try_publish(&self, frame: Frame) -> Attempt {
        if let Err(error) = self.seat.check(&frame) {
            return Attempt::Done(Err(error));
        }
        let mut stored = Some(Stored::new(frame));
        match (self.seat.publish_now(&mut stored), stored) {
            (None, Some(stored)) => Attempt::Waits(stored.frame),
            (None, None) => Attempt::Done(Ok(self.seat.bus.unroutable())),
            (Some(published), _) => Attempt::Done(published),
        }
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Deliveries>, TransportError> {
        Ok(Box::new(self.seat.subscribe(subscription).await?))
    }

    fn links(&self) -> Links {
        self.seat.reporter.watch()
    }

    async fn pause(&self, link: LinkId, resume: Option<Duration>) -> Result<(), TransportError> {
        if link != self.seat.link {
            return Err(refused(format!("this seat has link {}, not link {}", self.seat.link.0, link.0)));
        }
        match resume {
            Some(resume) => self.seat.pause(resume),
            None if self.seat.is_closed() => Err(closed()),
            None => {
                self.seat.close();
                Ok(())
            }
        }
    }

    async fn close(&self) -> Result<(), TransportError> {
        self.seat.close();
        Ok(())
    }
}

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::{
    address::Address,
    json::Json,
    message::Sn,
    text::Text,
    transport::{LinkId, Properties, Purpose, SharedProperties, TransportError},
};

/// The receiving end of a subscription.
#[async_trait]
pub trait Deliveries: Send + fmt::Debug {
    /// Waits until there is at least one delivery, then appends those that are there, at most `max`.
    ///
    /// Returns how many were appended; 0 means that the subscription has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no delivery.
    ///
    /// # Errors
    ///
    /// The subscription cannot be kept up.
    async fn recv(&mut self, into: &mut Vec<Delivery>, max: usize) -> Result<usize, TransportError>;

    /// No more is wanted, and nobody calls `recv` again; what was received can still be settled. A bus that delivers ahead leaves
    /// the rest to others now, before it takes settled deliveries for an invitation.
    fn stop(&mut self) {}

    /// How often this subscription was interrupted while its link was up: the bus ended it, with what it held, and it was made again.
    /// `None` where that does not happen, or ends the subscription.
    fn interruptions(&self) -> Option<Interruptions> {
        None
    }
}

/// The interruptions of a subscription, since they were asked for.
#[derive(Clone, Debug)]
pub struct Interruptions {
    count: watch::Receiver<u64>,
    told: u64,
}

impl Interruptions {
    /// From a count of them that only grows.
    #[must_use]
    pub fn new(count: watch::Receiver<u64>) -> Self {
        let told = *count.borrow();
        Interruptions { count, told }
    }

    /// Waits until there was one, and says how many there were since the last time; `None` when there will be no more. Cancel safe.
    pub async fn next(&mut self) -> Option<u64> {
        let told = self.told;
        let count = *self.count.wait_for(|count| *count > told).await.ok()?;
        self.told = count;
        Some(count - told)
    }
}

/// A frame that arrived.
#[derive(Debug)]
#[non_exhaustive]
pub struct Delivery {
    /// The payload.
    pub payload: Bytes,
    /// The address, or exchange and key, that it was received at. For a link it is empty.
    pub exchange: Text,
    /// The queue, routing key or topic that it came by.
    pub key: Text,
    /// What the subscription is for.
    pub purpose: Purpose,
    /// What travelled beside the payload.
    pub properties: SharedProperties,
    /// The link it came by.
    pub link: LinkId,
    /// It was delivered before, to us or to somebody else, and not settled.
    pub redelivered: bool,
    /// How many frames before this one the bus has dropped to make room, as far as it says.
    pub missed: u64,
    /// Who the transport says the peer is: a TLS name, an AMQP `user_id`, an MQTT client id that a broker vouches for.
    pub peer: Option<Text>,
    /// The call that the arrival address belongs to, for dialects that tell replies apart by address. Filled by the endpoint.
    pub answering: Option<Box<Answering>>,
    /// Settles it.
    pub acker: Acker,
    /// The payload, when it is known to be text.
    pub(crate) text: Option<Text>,
}

impl Delivery {
    /// A delivery with a payload, where it came by, and how it is settled.
    #[must_use]
    pub fn new(payload: impl Into<Bytes>, key: impl Into<Text>, purpose: Purpose, acker: Acker) -> Self {
        Delivery {
            payload: payload.into(),
            exchange: Text::EMPTY,
            key: key.into(),
            purpose,
            properties: Properties::none(),
            link: LinkId::default(),
            redelivered: false,
            missed: 0,
            peer: None,
            answering: None,
            acker,
            text: None,
        }
    }

    /// Sets the payload to a text, which no protocol has to check again.
    pub(crate) fn set_text(&mut self, text: &Text) {
        self.payload = text.clone().into_bytes();
        self.text = Some(text.clone());
    }

    /// The payload as text.
    ///
    /// # Errors
    ///
    /// It is not UTF-8.
    pub fn text(&self) -> Result<Text, std::str::Utf8Error> {
        match &self.text {
            // The payload is public, and may be another by now.
            Some(text) if self.payload.as_ptr() == text.as_ptr() && self.payload.len() == text.len() => Ok(text.clone()),
            _ => Text::from_utf8(self.payload.clone()),
        }
    }

    /// The address that it was received at.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::from(self.key.clone())
    }
}

/// The call that a reply address belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answering {
    /// The call's serial number.
    pub sn: Sn,
    /// The agent's address.
    pub agent: Address,
    /// The class that was called.
    pub class: Text,
    /// The method that was called.
    pub method: Text,
    /// What the protocol put into the request's reply path.
    pub token: Option<Json>,
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// It is done with.
    Ack,
    /// It is to be delivered again: to us or to another.
    Requeue,
    /// It was not looked at, and goes back as if it had not been delivered, where the bus can do that.
    Release,
    /// It can never be handled: to the dead letters, where there are any.
    Discard,
}

/// The transport's side of settling.
pub trait Settle: Send + Sync + fmt::Debug {
    /// Settles the delivery of this tag. Must not block: it hands over.
    fn settle(&self, tag: u64, disposition: Disposition);
}

/// Settles one delivery, once. Dropped without a word, the delivery is requeued.
pub struct Acker(Option<(Arc<dyn Settle>, u64)>);

impl Acker {
    /// Settles through the transport, under a tag of its own.
    #[must_use]
    pub fn new(settle: Arc<dyn Settle>, tag: u64) -> Self {
        Acker(Some((settle, tag)))
    }

    /// For a delivery that was settled when it was made.
    #[must_use]
    pub fn settled() -> Self {
        Acker(None)
    }

    /// Says what becomes of the delivery.
    pub fn settle(mut self, disposition: Disposition) {
        self.hand_over(disposition);
    }

    fn hand_over(&mut self, disposition: Disposition) {
        if let Some((settle, tag)) = self.0.take() {
            settle.settle(tag, disposition);
        }
    }
}

impl Drop for Acker {
    fn drop(&mut self) {
        self.hand_over(Disposition::Requeue);
    }
}

impl fmt::Debug for Acker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some((_, tag)) => write!(f, "Acker({tag})"),
            None => f.write_str("Acker(settled)"),
        }
    }
}

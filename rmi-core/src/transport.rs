//! How messages travel: frames in, frames out, and links that come and go. A transport never looks into a payload.

mod deliveries;
mod frame;
mod links;
pub mod memory;
mod receipt;
mod subscription;
#[cfg(feature = "tcp")]
#[cfg_attr(docsrs, doc(cfg(feature = "tcp")))]
pub mod tcp;

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;

pub use self::{
    deliveries::{Acker, Answering, Deliveries, Delivery, Disposition, Interruptions, Settle},
    frame::{Destination, Frame, Properties, SharedProperties},
    links::{Link, LinkChange, LinkId, LinkReporter, Links},
    receipt::{Attempt, PendingReceipt, Receipt, ReceiptSender},
    subscription::{Purpose, Sharing, Source, Subscription, WhenFull},
};

/// A way to send and receive frames.
///
/// Implemented by the in-memory bus here, and by the crates of the other transports. Everything that a transport keeps (a
/// connection, a topology) survives the loss of a link without the help of its user.
#[async_trait]
pub trait Transport: Send + Sync + Debug + 'static {
    /// What this transport can do. Asked when something is bound, not in the middle of a call.
    fn capabilities(&self) -> Capabilities;

    /// Hands a frame to the bus, and says who is responsible for it now.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether the frame was handed over; it is never handed over twice.
    ///
    /// # Errors
    ///
    /// The frame could not be handed over, or it is not known whether it was ([`TransportErrorKind::Ambiguous`]).
    async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError>;

    /// Hands a frame to the bus if that takes no waiting, and so no future; if it does, or the transport cannot tell, the frame
    /// comes back to be [published](Transport::publish). What the bus says of it may come later. It must not overtake frames that
    /// already wait.
    fn try_publish(&self, frame: Frame) -> Attempt {
        Attempt::Waits(frame)
    }

    /// Starts to receive. Declarative: what was subscribed is there again after a reconnect.
    ///
    /// # Errors
    ///
    /// The source cannot be subscribed to as it was asked for.
    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Deliveries>, TransportError>;

    /// The links, as they come and go: a broker has one, a listener has many. Starts with those that are up.
    fn links(&self) -> Links;

    /// Leaves a link, and comes back after a while, or not.
    ///
    /// # Errors
    ///
    /// There is no such link.
    async fn pause(&self, link: LinkId, resume: Option<Duration>) -> Result<(), TransportError>;

    /// Closes a link that is of no use any more: its peer broke the rules, or has gone silent. Whoever dials by itself does so again,
    /// as after a loss.
    ///
    /// # Errors
    ///
    /// There is no such link.
    async fn disconnect(&self, link: LinkId) -> Result<(), TransportError> {
        self.pause(link, None).await
    }

    /// Says what the bus is to publish when a link is lost. Kept over reconnects.
    ///
    /// # Errors
    ///
    /// The bus knows no last will.
    async fn will(&self, _link: LinkId, _frame: Frame) -> Result<(), TransportError> {
        Err(TransportError::new(TransportErrorKind::Refused, "this bus knows no last will"))
    }

    /// Flushes what was published and ends: every [`Deliveries`] closes.
    ///
    /// # Errors
    ///
    /// Something that was published could not be flushed.
    async fn close(&self) -> Result<(), TransportError>;
}

/// A transport that somebody else holds as well, to pause its links or to look at it.
#[async_trait]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        (**self).publish(frame).await
    }

    fn try_publish(&self, frame: Frame) -> Attempt {
        (**self).try_publish(frame)
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Deliveries>, TransportError> {
        (**self).subscribe(subscription).await
    }

    fn links(&self) -> Links {
        (**self).links()
    }

    async fn pause(&self, link: LinkId, resume: Option<Duration>) -> Result<(), TransportError> {
        (**self).pause(link, resume).await
    }

    async fn disconnect(&self, link: LinkId) -> Result<(), TransportError> {
        (**self).disconnect(link).await
    }

    async fn will(&self, link: LinkId, frame: Frame) -> Result<(), TransportError> {
        (**self).will(link, frame).await
    }

    async fn close(&self) -> Result<(), TransportError> {
        (**self).close().await
    }
}

/// What a transport can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// It knows when nobody is there: [`Receipt::NoRoute`].
    pub unroutable: bool,
    /// Several subscribers can share one address, each frame going to one of them.
    pub competing: bool,
    /// What was not settled is delivered again.
    pub redelivery: bool,
    /// Frames expire by their `ttl` while they wait.
    pub expiry: bool,
    /// There are topics with patterns.
    pub topics: bool,
    /// Addresses can outlive their subscribers.
    pub durable: bool,
    /// There are several links, each with a peer at its end.
    pub links: bool,
    /// All links lead to one peer, one of them at a time: that of whoever dials. Without a link there is a next one to wait for.
    pub one_peer: bool,
    /// How long a delivery may stay unsettled: after that the bus takes it back, and all that its subscriber has, and delivers it again.
    /// `None` for ever.
    pub settle_within: Option<Duration>,
    /// The longest payload, in bytes.
    pub max_payload: usize,
}

impl Default for Capabilities {
    /// A transport that can do nothing but carry payloads of any size.
    fn default() -> Self {
        Capabilities {
            unroutable: false,
            competing: false,
            redelivery: false,
            expiry: false,
            topics: false,
            durable: false,
            links: false,
            one_peer: false,
            settle_within: None,
            max_payload: usize::MAX,
        }
    }
}

/// A transport did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{kind}: {message}")]
#[non_exhaustive]
pub struct TransportError {
    /// What kind of failure it is.
    pub kind: TransportErrorKind,
    /// What was tried, and what to do.
    pub message: String,
    /// The error below.
    #[source]
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl TransportError {
    /// An error of a kind.
    pub fn new(kind: TransportErrorKind, message: impl Into<String>) -> Self {
        TransportError { kind, message: message.into(), source: None }
    }

    /// The same error with the one that caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }
}

/// What kind of failure a [`TransportError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The transport was closed, by us.
    #[error("the transport is closed")]
    Closed,
    /// There is no link, or one whose other end takes nothing, and that did not change in time. The frame was not sent.
    #[error("not connected")]
    Disconnected,
    /// A bounded queue stayed full, here or on the bus. The frame was not taken.
    #[error("no room")]
    Full,
    /// It is not known whether the frame arrived.
    #[error("not known to have arrived")]
    Ambiguous,
    /// The transport cannot do this, or not in this way.
    #[error("refused")]
    Refused,
}

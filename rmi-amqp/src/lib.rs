#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod connect;
mod consume;
mod convert;
mod counters;
mod error;
mod exchanges;
mod handle;
mod link;
mod options;
mod publish;
pub mod rackhd;
mod settle;
mod socket;
mod tls;
mod topology;
mod url;

#[cfg(any(doc, doctest))]
#[doc = include_str!("../guide/rabbitmq.md")]
pub mod guide {}

/// What happens when: brokers, connections, queues and agents that are lost, and what callers, agents and operators see of it.
#[cfg(any(doc, doctest))]
#[doc = include_str!("../guide/failures.md")]
pub mod failures {}

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use rmi_core::{
    text::Text,
    transport::{Attempt, Capabilities, Deliveries, Frame, LinkId, Links, Receipt, Subscription, Transport, TransportError},
};
use tokio::sync::oneshot;

#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub use self::tls::Tls;
pub use self::{
    connect::Connect,
    counters::Counters,
    options::{Options, Sasl},
    topology::{Exchange, Queues},
    url::UrlError,
};
use self::{
    error::{closed, refused},
    handle::Handle,
    link::{LINK, Pause},
};

/// A connection to RabbitMQ, or to a broker that speaks AMQP 0-9-1 with its extensions.
///
/// It is made again whenever it is lost, with its queues, bindings and consumers. [`close`](Transport::close) sends what waits and
/// ends it; when it and its last deliveries are dropped, it ends at once.
pub struct Amqp {
    handle: Arc<Handle>,
}

impl Amqp {
    /// Connects to a broker: `amqp[s]://[user[:password]@]host[:port][,host[:port]…][/vhost][?key=value…]`. Unless they are there, the port
    /// is 5672, or 5671 with TLS (`amqps`, feature `tls`), user and password are `guest`, and the virtual host is `/`, also in place of an
    /// empty one. Several hosts are tried one after the other, also after each loss. What the query may say is said by
    /// [`Connect::options`].
    ///
    /// What is returned is to be awaited, on a `tokio` runtime.
    ///
    /// # Errors
    ///
    /// Awaiting it fails when the URL is not understood, or the first broker does not let this user in
    /// ([`Refused`](rmi_core::transport::TransportErrorKind::Refused)), or cannot be reached, or does not answer within
    /// [`Options::connect_timeout`] ([`Disconnected`](rmi_core::transport::TransportErrorKind::Disconnected)), and no other of them can be
    /// connected to either. The message has what each of them said.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the connection up; nothing of it is left here or at the broker.
    ///
    /// ```no_run
    /// # use rmi_amqp::{Amqp, Options};
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let amqp = Amqp::connect("amqp://dog:secret@one,two/kennel").options(Options::default().name("dog")).await?;
    /// # Ok(()) }
    /// ```
    pub fn connect(url: impl Into<String>) -> Connect {
        Connect::new(url.into())
    }

    /// What has happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.handle.link.tally.read()
    }

    /// Why the broker takes nothing at the moment (it is short of memory or disk), if that is so. Publishing waits meanwhile.
    #[must_use]
    pub fn blocked(&self) -> Option<Text> {
        self.handle.link.up().and_then(|generation| generation.blocked.borrow().clone())
    }

    /// Refuses what this transport cannot carry.
    fn check(&self, frame: &Frame) -> Result<(), TransportError> {
        let options = &self.handle.link.options;
        let (length, max) = (frame.payload.len(), options.max_payload);
        if length > max {
            return Err(refused(format!(
                "a payload of {length} bytes is too long: the options allow {max}, and the broker no more than its `max_message_size`"
            )));
        }
        if let Some(link) = frame.link.filter(|link| *link != LINK) {
            return Err(unknown(link));
        }
        convert::check_properties(frame)?;
        if self.handle.is_closing() { Err(closed()) } else { Ok(()) }
    }
}

impl fmt::Debug for Amqp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Amqp").field("link", &self.handle.link).finish()
    }
}

fn unknown(link: LinkId) -> TransportError {
    refused(format!("a broker has link {}, and not link {}", LINK.0, link.0))
}

#[async_trait]
impl Transport for Amqp {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.unroutable = true;
        capabilities.competing = true;
        capabilities.redelivery = true;
        capabilities.expiry = true;
        capabilities.topics = true;
        capabilities.durable = true;
        capabilities.settle_within = self.handle.link.options.consumer_timeout;
        capabilities.max_payload = self.handle.link.options.max_payload;
        capabilities
    }

    async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        self.check(&frame)?;
        self.handle.publisher.publish(frame).await
    }

    fn try_publish(&self, frame: Frame) -> Attempt {
        match self.check(&frame) {
            Ok(()) => self.handle.publisher.try_publish(frame),
            Err(error) => Attempt::Done(Err(error)),
        }
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Deliveries>, TransportError> {
        if self.handle.is_closing() {
            return Err(closed());
        }
        Ok(Box::new(consume::subscribe(&self.handle, subscription).await?))
    }

    fn links(&self) -> Links {
        self.handle.link.reporter.watch()
    }

    async fn pause(&self, link: LinkId, resume: Option<Duration>) -> Result<(), TransportError> {
        if link != LINK {
            return Err(unknown(link));
        }
        if self.handle.is_closing() {
            return Err(closed());
        }
        let Some(resume) = resume else { return self.close().await };
        let (done, left) = oneshot::channel();
        self.handle.link.pauses.send(Pause { time: resume, left: done }).await.map_err(|_| closed())?;
        left.await.map_err(|_| closed())
    }

    async fn disconnect(&self, link: LinkId) -> Result<(), TransportError> {
        self.pause(link, Some(Duration::ZERO)).await
    }

    async fn close(&self) -> Result<(), TransportError> {
        self.handle.close().await
    }
}

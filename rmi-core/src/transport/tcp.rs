//! Links over TCP: one line for each frame, with or without TLS.
//!
//! One end [listens](Tcp::listen) and has a link for each peer that dials it; the other [dials](Tcp::connect), and dials again when its
//! link is lost. Either may serve and either may call. There is no broker between them: nothing is stored, and what was sent by a link
//! that is lost may have arrived or not.
//!
//! ```
//! # use rmi_core::transport::{*, tcp::Tcp};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), TransportError> {
//! let listener = Tcp::listen("127.0.0.1:0").await?;
//! let address = listener.local_addr().expect("it listens");
//! let mut lines = listener.subscribe(Subscription::new(Source::Links, Purpose::Everything).acknowledged(false)).await?;
//!
//! let dialler = Tcp::connect(address.to_string()).await?;
//! dialler.publish(Frame::new(Destination::Link, r#"{"hello": "world"}"#)).await?;
//!
//! let mut arrived = Vec::new();
//! lines.recv(&mut arrived, 16).await?;
//! assert_eq!(&arrived[0].payload[..], br#"{"hello": "world"}"#);
//! # Ok(()) }
//! ```
//!
//! # Lines
//!
//! A frame is one line of at most [`max_line`](Options::max_line) bytes. It ends with `\n`, or with `\r\n`, which is read and never
//! written; blank lines are nobody's. A payload that is empty, contains a line feed, or ends with a carriage return is
//! [refused](crate::transport::TransportErrorKind::Refused) when it is published. Whatever else there is in a line arrives as it is.
//!
//! # What a peer cannot do
//!
//! Everything that waits is bounded: see [`Options`]. Whoever sends a line that is too long, begins one and does not end it, or takes
//! nothing of what it is sent is disconnected; whoever sends more than is handled is not read until there is room; whoever connects
//! and says nothing makes room for others. Each of these has its [counter](Counters), and none is felt by another link.

mod budget;
mod builder;
mod counters;
mod dialler;
mod end;
mod held;
mod inbox;
mod lines;
mod listener;
mod options;
mod outbox;
mod pump;
mod socket;
mod stream;
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub mod tls;

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;

pub use self::{
    builder::{Connect, Listen},
    counters::Counters,
    options::Options,
};
use self::{
    dialler::{Dialler, Orders},
    end::{End, closed, refused},
};
use crate::{
    lock::lock,
    transport::{
        Attempt, Capabilities, Deliveries, Frame, LinkId, Links, Purpose, Receipt, Source, Subscription, Transport,
        TransportError,
    },
};

/// One end of links over TCP: a listener with many, or a dialler with one. A clone is the same end.
///
/// When the last clone is dropped, everything ends at once; [`close`](Transport::close) writes what waits before.
#[derive(Clone)]
pub struct Tcp {
    end: Arc<End>,
    role: Role,
    _held: Arc<Held>,
}

#[derive(Clone, Debug)]
enum Role {
    Listener(SocketAddr),
    Dialler(Arc<Dialler>),
}

/// Ends what works in the background when nobody holds the transport any more.
struct Held(Arc<End>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Tcp {
    /// Dials `host:port`. Await it for the first link; see [`Connect`] for what can be said before.
    pub fn connect(address: impl Into<String>) -> Connect {
        Connect::new(address.into())
    }

    /// Listens at `host:port`; port 0 is any that is free. Await it; see [`Listen`] for what can be said before.
    pub fn listen(address: impl Into<String>) -> Listen {
        Listen::new(address.into())
    }

    fn new(end: Arc<End>, role: Role) -> Self {
        Tcp { _held: Arc::new(Held(Arc::clone(&end))), end, role }
    }

    /// Where a listener listens; `None` for a dialler.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.role {
            Role::Listener(address) => Some(*address),
            Role::Dialler(_) => None,
        }
    }

    /// What happened here, and what is here now.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.end.counters()
    }

    fn leave(&self, link: LinkId, orders: Orders) -> Result<(), TransportError> {
        if let Role::Dialler(dialler) = &self.role {
            *lock(&dialler.orders) = orders;
        }
        if self.end.leave(link, "left") {
            return Ok(());
        }
        if let Role::Dialler(dialler) = &self.role {
            *lock(&dialler.orders) = Orders::None;
        }
        Err(refused(format!("there is no link {}", link.0)))
    }
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Tcp");
        match &self.role {
            Role::Listener(address) => shown.field("listens", address),
            Role::Dialler(dialler) => shown.field("dials", &dialler.addresses),
        };
        shown.finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for Tcp {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            links: true,
            one_peer: matches!(self.role, Role::Dialler(_)),
            max_payload: self.end.options.max_line,
            ..Capabilities::default()
        }
    }

    async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        self.end.publish(frame).await
    }

    fn try_publish(&self, frame: Frame) -> Attempt {
        self.end.try_publish(frame)
    }

    /// There is one receiver of everything that comes by all links. Another one can take its place when it has been dropped.
    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Deliveries>, TransportError> {
        if self.end.is_closed() {
            return Err(closed());
        }
        if subscription.source != Source::Links {
            return Err(refused("there are only links here, and neither addresses nor topics: subscribe to `Source::Links`"));
        }
        if subscription.purpose != Purpose::Everything {
            return Err(refused("requests, replies and whatever else there is come by the same links: `Purpose::Everything`"));
        }
        if subscription.acknowledged || subscription.durable || subscription.expires.is_some() {
            return Err(refused("what comes by a link is not delivered again, and is gone with the link"));
        }
        match self.end.inbox.receive() {
            Some(receiving) => Ok(Box::new(receiving)),
            None => Err(refused("somebody receives already")),
        }
    }

    fn links(&self) -> Links {
        self.end.reporter.watch()
    }

    /// Closes a link after what waits has been written. A dialler comes back after the time, and without one not at all; a listener
    /// cannot call back.
    async fn pause(&self, link: LinkId, resume: Option<Duration>) -> Result<(), TransportError> {
        self.leave(link, resume.map_or(Orders::Never, Orders::After))
    }

    /// Closes a link after what waits has been written. A dialler dials again, as after a loss.
    async fn disconnect(&self, link: LinkId) -> Result<(), TransportError> {
        self.leave(link, Orders::None)
    }

    async fn close(&self) -> Result<(), TransportError> {
        self.end.close().await;
        Ok(())
    }
}

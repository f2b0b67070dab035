//! A process's seat on the bus: its address, its pending calls, the contracts that it serves.

pub(crate) mod admin;
mod admission;
pub(crate) mod binding;
mod builder;
mod classes;
mod client;
mod counters;
mod describe;
pub(crate) mod dispatch;
mod events;
pub(crate) mod hello;
mod inbound;
mod layers;
pub(crate) mod links;
mod offer;
mod patient;
pub(crate) mod pending;
mod queue;
mod records;
mod recovery;
mod replies;
mod resubscribe;
mod resume;
mod sequence;
mod sessions;
mod shutdown;
mod work;

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, OnceLock, Weak},
    task::Poll,
    time::Duration,
};

pub(crate) use self::admin::is_admin;
pub(crate) use self::admission::uuid_of;
pub use self::{
    admin::{AdminAction, AdminClient, AdminPolicy, Criteria, Known, Operators},
    admission::WindowSize,
    builder::{BuildError, Builder},
    client::{Client, Peer, PeerClass},
    counters::Figures,
    describe::EndpointDescription,
    events::{EventFigures, Events, Missed, Overflow, Publish, PublishError, Received, Subscribe, SubscribeError},
    offer::Origin,
    queue::QueueSize,
    replies::{Replies, Reply, ReplyBody},
    shutdown::Drained,
};
use crate::{address::Address, call::Stub, journal::JournalError, lock::lock, transport::TransportError};

/// A process's seat on the bus: it serves contracts, and makes calls.
///
/// A cheap clone. Requests are taken until [`shutdown`](Endpoint::shutdown) or [`run_until`](Endpoint::run_until) drains the
/// endpoint; dropping the last clone stops it at once, without letting handlers finish.
#[derive(Clone)]
pub struct Endpoint(pub(crate) Arc<Handle>);

/// What the clones of an endpoint share.
pub(crate) struct Handle {
    pub(crate) core: Arc<dispatch::Core>,
    grace: Duration,
    drained: OnceLock<()>,
}

impl Endpoint {
    /// Puts an endpoint together that is reached at this address.
    pub fn builder(name: impl Into<Address>) -> Builder {
        Builder::new(name.into())
    }

    /// The endpoint's address.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.0.core.name
    }

    /// A client of the contract that is served at an address, over the endpoint's first binding.
    #[must_use]
    pub fn client<C: Client>(&self, address: impl Into<Address>) -> C {
        C::from_stub(Stub::of_contract(&self.0.core, 0, address.into(), C::CONTRACT))
    }

    /// A client over another binding than the first: its number in the order in which they were added, from 0. A number that
    /// there is not means the last.
    #[must_use]
    pub fn client_over<C: Client>(&self, binding: usize, address: impl Into<Address>) -> C {
        C::from_stub(Stub::of_contract(&self.0.core, binding, address.into(), C::CONTRACT))
    }

    /// Calls without a contract at hand.
    #[must_use]
    pub fn peer(&self, address: impl Into<Address>) -> Peer {
        Peer::new(Arc::clone(&self.0.core), address.into())
    }

    /// Receives the replies to everybody's calls that were sent to an address with a name. The address outlives this.
    ///
    /// # Errors
    ///
    /// The transport cannot have such an address.
    pub async fn replies(&self, address: impl Into<Address>) -> Result<Replies, TransportError> {
        Replies::open(&self.0.core, address.into()).await
    }

    /// What each binding has counted, and what it holds now.
    #[must_use]
    pub fn figures(&self) -> Vec<Figures> {
        let read = |b: &Arc<binding::Binding>| b.counters.read(b.pending.len() as u64, lock(&b.window).len() as u64);
        self.0.core.bindings.iter().map(read).collect()
    }

    /// Why the journal cannot write just now: requests are rejected with `agent.journal` until it can. `None` when all is well, or
    /// there is no durable journal.
    #[must_use]
    pub fn journal_failing(&self) -> Option<JournalError> {
        self.0.core.journal.as_ref().and_then(|journal| journal.failing())
    }

    /// How many requests wait for a handler: those of the class `Admin` are not among them.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.0.core.handlers.waiting()
    }

    /// Who is at the other ends of the links that are up, by the addresses that calls reach them at: those that have said, or are
    /// vouched for. Empty where there is a bus, and no links.
    #[must_use]
    pub fn linked(&self) -> Vec<Address> {
        let named =
            |binding: &Arc<binding::Binding>| -> Vec<Address> { lock(&binding.peers).names().map(Address::from).collect() };
        self.0.core.bindings.iter().flat_map(named).collect()
    }

    /// How many requests are on their way to their outcome.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0.core.running.count()
    }

    /// Drains and closes: takes no more requests, gives back what has not been admitted, rejects what has not started, lets
    /// what runs finish within the grace, and closes the transports. Calls that still wait end with
    /// [`CallError::Closed`](crate::CallError::Closed).
    ///
    /// # Errors
    ///
    /// A transport could not flush what was published.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the endpoint half drained; call it again.
    pub async fn shutdown(&self, grace: Duration) -> Result<Drained, TransportError> {
        let drained = self.0.core.drain(grace).await;
        let _ = self.0.drained.set(());
        drained
    }

    /// Serves until the future is ready, then drains within the builder's grace.
    ///
    /// ```no_run
    /// # async fn run(endpoint: rmi_core::Endpoint) -> Result<(), Box<dyn std::error::Error>> {
    /// let stop = async { drop(std::future::pending::<()>().await) }; // `tokio::signal::ctrl_c()` in a program
    /// endpoint.run_until(stop).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Endpoint::shutdown`]; and, before the future is ready, when a transport has ended a subscription to requests with an
    /// error and is closed, so that it cannot be had again. The endpoint is drained then as well.
    pub async fn run_until<F: Future>(&self, stop: F) -> Result<F::Output, TransportError> {
        let mut stop = pin!(stop);
        let mut broken = pin!(self.0.core.broken.wait());
        let said = poll_fn(|cx| match stop.as_mut().poll(cx) {
            Poll::Ready(said) => Poll::Ready(Ok(said)),
            Poll::Pending => broken.as_mut().poll(cx).map(Err),
        })
        .await;
        let drained = self.shutdown(self.0.grace).await;
        let said = said?;
        let _ = drained?;
        Ok(said)
    }

    /// A reference that does not keep the endpoint alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakEndpoint {
        WeakEndpoint(Arc::downgrade(&self.0))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("address", self.address()).finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.drained.get().is_none() {
            let running = self.core.running.count();
            tracing::warn!(endpoint = %self.core.name, running, "the endpoint was dropped without a drain: it stops at once");
            self.core.abandon();
        }
    }
}

/// An endpoint that may be gone.
#[derive(Clone)]
pub struct WeakEndpoint(pub(crate) Weak<Handle>);

impl WeakEndpoint {
    /// One that is gone.
    pub(crate) fn none() -> Self {
        WeakEndpoint(Weak::new())
    }

    /// The endpoint, if it is still there.
    #[must_use]
    pub fn upgrade(&self) -> Option<Endpoint> {
        self.0.upgrade().map(Endpoint)
    }
}

impl fmt::Debug for WeakEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakEndpoint")
    }
}

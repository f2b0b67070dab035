//! Putting an endpoint together.

mod error;
mod settling;
mod start;

use std::{panic::Location, sync::Arc, time::Duration};

use tokio::sync::Semaphore;

pub use self::error::BuildError;
use crate::{
    address::Address,
    endpoint::{
        admin::AdminPolicy,
        admission::WindowSize,
        binding::Opening,
        offer::{Offer, Origin},
        queue::QueueSize,
    },
    journal::{self, Journal},
    layer::Layer,
    protocol::{Limits, Protocol},
    seal::Trust,
    service::Service,
    time::{Clock, SystemClock},
    transport::Transport,
};

/// Puts an endpoint together. Made by [`Endpoint::builder`](crate::Endpoint::builder).
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    name: Address,
    bindings: Vec<Opening>,
    services: Vec<Offer>,
    #[cfg(feature = "discovery")]
    discover: bool,
    majors: Vec<(String, u16)>,
    layers: Vec<Arc<dyn Layer>>,
    admission: Option<(usize, Duration)>,
    concurrency: usize,
    queue: Option<QueueSize>,
    timeout: Option<Duration>,
    grace: Duration,
    limits: Limits,
    window: Option<WindowSize>,
    reply_exchanges: Vec<String>,
    clock: Arc<dyn Clock>,
    admin: Option<Arc<dyn AdminPolicy>>,
    own_queue: bool,
    journal: Arc<dyn Journal>,
    attempts: u32,
}

impl Builder {
    pub(crate) fn new(name: Address) -> Self {
        Builder {
            name,
            bindings: Vec::new(),
            services: Vec::new(),
            #[cfg(feature = "discovery")]
            discover: false,
            majors: Vec::new(),
            layers: Vec::new(),
            admission: None,
            concurrency: 64,
            queue: None,
            timeout: None,
            grace: Duration::from_secs(30),
            limits: Limits::default(),
            window: None,
            reply_exchanges: Vec::new(),
            clock: Arc::new(SystemClock),
            admin: None,
            own_queue: false,
            journal: Arc::new(journal::Memory),
            attempts: 3,
        }
    }

    /// Opens a wire: how messages are written, how they travel, and what is demanded of whoever sends them. An endpoint may
    /// have several; what it serves is served on all of them, and its clients use the first unless they are told otherwise.
    pub fn bind(mut self, protocol: impl Protocol, transport: impl Transport, trust: impl Into<Trust>) -> Self {
        self.bindings.push(Opening {
            index: self.bindings.len(),
            protocol: Arc::new(protocol),
            transport: Arc::new(transport),
            trust: trust.into(),
            limits: self.limits,
            window: WindowSize::default(),
            reply_exchanges: Vec::new(),
            records: None,
            knows_since: None,
            timeout: None,
        });
        self
    }

    /// Serves a contract. Several majors of one class are served side by side.
    #[track_caller]
    pub fn serve(mut self, service: impl Service) -> Self {
        let contract = service.contract();
        let origin = Origin::by_hand(contract, Location::caller());
        self.services.push(Offer { service: Arc::new(service), origin, sequential: contract.sequential });
        self
    }

    /// Serves a contract, and runs its requests one after the other, in the order in which they were admitted, as if the contract
    /// were marked `sequential`: for an implementation that has one device or one file below it. Requests that wait for their turn
    /// take no place from others, as they would if they waited for a lock in the handler.
    #[track_caller]
    pub fn serve_sequential(mut self, service: impl Service) -> Self {
        let origin = Origin::by_hand(service.contract(), Location::caller());
        self.services.push(Offer { service: Arc::new(service), origin, sequential: true });
        self
    }

    /// Serves everything that was [discovered](crate::registry), and logs what that is. Instances are made when the endpoint
    /// starts. What is discovered cannot be served by hand as well; [`registry::require`](crate::registry::require) says when
    /// something has not been found.
    #[cfg(feature = "discovery")]
    #[cfg_attr(docsrs, doc(cfg(feature = "discovery")))]
    pub fn serve_discovered(mut self) -> Self {
        self.discover = true;
        self
    }

    /// Lets requests for a class that name no version go to this major, in place of the lowest that is served. Clients that
    /// `#[remote]` writes always name theirs; peers in other languages do not.
    pub fn default_major(mut self, class: impl Into<String>, major: u16) -> Self {
        self.majors.push((class.into(), major));
        self
    }

    /// Puts a layer before and around every method that the endpoint serves. Each asks and stands in the order in which they are
    /// added: the first is asked first, and is the outermost.
    pub fn layer(mut self, layer: impl Layer) -> Self {
        self.layers.push(Arc::new(layer));
        self
    }

    /// How many requests may wait at a time for layers that do not decide at once, and how long each may. More are rejected
    /// `agent.busy`, and what is not decided about in time `agent.undecided`. As many as an agent takes from the bus (twice its
    /// `concurrency`, at least 64), and 5 seconds, unless it is set.
    pub fn admission(mut self, waiting: usize, time: Duration) -> Self {
        self.admission = Some((waiting, time));
        self
    }

    /// How many handlers run at a time, at least one. 64 unless it is set.
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.concurrency = handlers.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// How much may wait for a handler, when as many run as may. More is rejected `agent.busy`, which says how long to wait
    /// ([`Rejection::retry_after`]); a call of ours that is [tried again](crate::Call::retry) waits so long. One principal gets
    /// three quarters of it at most, and the less the more there are that ask for much: others always find some room. `Admin`
    /// has a queue of its own.
    ///
    /// A bus that keeps requests is not asked for more than twice the `concurrency` (at least 64), nor for more than there is room for
    /// here: what is more waits there, for this agent or another one, and is not rejected. What comes by links (TCP), or is
    /// acknowledged when it is journalled, waits here.
    ///
    /// [`QueueSize::default`] unless it is set, and at least as much as is taken from the bus.
    ///
    /// [`Rejection::retry_after`]: crate::message::Rejection::retry_after
    pub fn queue(mut self, size: QueueSize) -> Self {
        self.queue = Some(size);
        self
    }

    /// How long a call waits for its outcome when neither it nor its method says so. 90 seconds unless it is set, or what the dialect
    /// has for its calls.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long [`Endpoint::run_until`](crate::Endpoint::run_until) lets handlers finish. 30 seconds unless it is set.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// What is read at most of one message, on every binding.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How much is remembered of each principal's requests, on every binding. Unless it is set, that is
    /// [`WindowSize::default`] where a binding is sealed, and [`WindowSize::unsealed`] where it is not.
    pub fn window(mut self, window: WindowSize) -> Self {
        self.window = Some(window);
        self
    }

    /// Exchanges that replies may be sent through. Without this they go to queues only.
    pub fn reply_exchanges<I: IntoIterator<Item = S>, S: Into<String>>(mut self, exchanges: I) -> Self {
        self.reply_exchanges = exchanges.into_iter().map(Into::into).collect();
        self
    }

    /// Where the time and new identifiers come from: the system, unless a test says otherwise.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Who may cancel or resume requests that somebody else has sent, through the class `Admin`. Nobody unless it is set.
    ///
    /// ```
    /// use rmi_core::{Endpoint, Principal, endpoint::Operators};
    ///
    /// let builder = Endpoint::builder("dog").admin(Operators::new([Principal::Key("ops".into())]));
    /// ```
    pub fn admin(mut self, policy: impl AdminPolicy) -> Self {
        self.admin = Some(Arc::new(policy));
        self
    }

    /// Writes down what becomes of requests, so that a crash loses none: see [`journal`](crate::journal). A durable journal is used for
    /// the bindings whose requests come to nobody else: over a transport of links, or where the endpoint has a
    /// [`queue_of_its_own`](Builder::queue_of_its_own). Where several agents share a queue the bus keeps requests, with or without one,
    /// until their outcome is published.
    ///
    /// One journal is one endpoint's. `Admin` is not written down.
    pub fn journal(mut self, journal: impl Journal) -> Self {
        self.journal = Arc::new(journal);
        self
    }

    /// How often an idempotent method is started for one request at most, when a durable journal says that the process ended while it
    /// ran; then its caller is told `Poisoned`. Three times unless it is set, at least once.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Says that no other endpoint takes requests from this one's address. Only then can it be sure that a request which it does
    /// not know never came, and tell so a caller that lost its link: that call is then safe to make again. Otherwise, as unless
    /// this is said, another endpoint may have run it, and the call ends [`ReplyLost`](crate::CallError::ReplyLost).
    ///
    /// With a durable [`journal`](Builder::journal) it also means that the journal, and not the bus, keeps what has been accepted.
    pub fn queue_of_its_own(mut self) -> Self {
        self.own_queue = true;
        self
    }

    /// Puts something in the way of every binding, and shows what is demanded of peers: for checks that look at any wire.
    #[cfg(feature = "testing")]
    pub(crate) fn rewire(mut self, mut rewired: impl FnMut(&mut Arc<dyn Protocol>, &mut Arc<dyn Transport>, &mut Trust)) -> Self {
        for Opening { protocol, transport, trust, .. } in &mut self.bindings {
            rewired(protocol, transport, trust);
        }
        self
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let services: Vec<_> = self.services.iter().map(|offer| offer.service.contract().name).collect();
        f.debug_struct("Builder").field("name", &self.name).field("services", &services).finish_non_exhaustive()
    }
}

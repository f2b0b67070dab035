use std::{
    panic::Location,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use tokio::sync::Semaphore;

use crate::{
    address::Address,
    contract::Contract,
    endpoint::{
        Endpoint, Handle, WeakEndpoint,
        admin::{self, Admin, AdminPolicy},
        admission::WindowSize,
        binding::{Binding, Opening},
        classes::Classes,
        dispatch::Core,
        layers::Layers,
        links,
        offer::{self, Offer, Origin},
        queue::{Handlers, QueueSize},
        recovery,
        resubscribe::Broken,
        sessions::Sessions,
        shutdown::{Running, Stage},
    },
    journal::{self, Journal, JournalError},
    layer::Layer,
    protocol::{Limits, Protocol, Replies, Role},
    seal::Trust,
    service::Service,
    time::{Clock, SystemClock},
    transport::{Transport, TransportError},
};

/// Puts an endpoint together. Made by [`Endpoint::builder`].
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

    /// How long [`Endpoint::run_until`] lets handlers finish. 30 seconds unless it is set.
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

    /// Starts to receive.
    ///
    /// # Errors
    ///
    /// What was put together does not fit together, or a transport refuses what the endpoint needs of it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing running.
    #[cfg_attr(not(feature = "discovery"), expect(unused_mut, reason = "only what is discovered is added"))]
    pub async fn start(mut self) -> Result<Endpoint, BuildError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(BuildError::NoRuntime);
        }
        if self.bindings.is_empty() {
            return Err(BuildError::NoBinding(self.name));
        }
        offer::distinct(self.services.iter().map(|offer| offer.origin))?;
        #[cfg(feature = "discovery")]
        if self.discover {
            offer::discover(&self.name, &mut self.services)?;
        }
        let mut classes = Classes::default();
        for Offer { service, sequential, .. } in self.services {
            classes.add(service, None, sequential);
        }
        for (class, major) in &self.majors {
            classes.set_default(class, *major)?;
        }
        let contracts = classes.contracts();
        let prefetch = prefetch(self.concurrency, self.queue);
        let queue = self.queue.unwrap_or_else(|| {
            let usual = QueueSize::default();
            usual.requests(usual.requests.max(2 * prefetch as usize * self.bindings.len()))
        });
        let mut for_admin = None;
        if !classes.contains("Admin") {
            let (admin, core) = Admin::new(self.admin);
            for_admin = Some(core);
            classes.add(Arc::new(admin), Some(Handlers::new(admin::LANE, QueueSize::default())), false);
        }
        let (waiting, patience) = self.admission.unwrap_or((prefetch as usize, PATIENCE));
        let journal = self.journal.is_durable().then_some(self.journal);
        let started = self.clock.now();
        let mut found = match &journal {
            Some(journal) => Some(recovery::read(Arc::clone(journal), started).await?),
            None => None,
        };
        let mut bindings = Vec::with_capacity(self.bindings.len());
        for mut opening in self.bindings {
            opening.limits = self.limits;
            opening.timeout = self.timeout;
            let usual = if opening.trust.is_sealed() { WindowSize::default() } else { WindowSize::unsealed() };
            opening.window = self.window.unwrap_or(usual);
            opening.reply_exchanges.clone_from(&self.reply_exchanges);
            let comes_here_alone = self.own_queue || opening.transport.capabilities().links;
            opening.knows_since = self.own_queue.then_some(started);
            if let Some(found) = &mut found {
                let name = opening.recorded_as(&self.name);
                if comes_here_alone {
                    let since = found.since(&name, started);
                    opening.knows_since = self.own_queue.then_some(since);
                    opening.records = Some(Arc::clone(&found.records));
                } else {
                    found.not_used(&name);
                }
            }
            if journal.is_some() && !comes_here_alone {
                tracing::warn!(
                    endpoint = %self.name, binding = opening.index,
                    "other endpoints may take requests from this address, so the journal is not used for them: say \
                     `queue_of_its_own` if none does"
                );
            }
            if opening.trust.is_sealed() && !opening.protocol.features().sealable {
                return Err(BuildError::NotSealable(opening.index));
            }
            if let Some(entry) = opening.trust.only.as_deref().and_then(|only| offer::names_nothing(only, &contracts)) {
                let served = contracts.iter().map(|contract| contract.name).collect::<Vec<_>>().join(", ");
                return Err(BuildError::NothingNamed { binding: opening.index, entry: entry.to_owned(), served });
            }
            announce(&self.name, &opening, &contracts);
            let role = Role::Agent { address: &self.name, contracts: &contracts, prefetch };
            let talks = opening.protocol.session(&role).is_some();
            let sessions = talks.then(Sessions::default);
            bindings.push(Arc::new(Binding::open(opening, self.name.clone(), Arc::clone(&self.clock), sessions)));
        }
        if let Some(found) = &mut found {
            found.write().await;
        }
        let handle = Arc::new_cyclic(|weak: &Weak<Handle>| {
            let core = Arc::new(Core {
                name: self.name,
                bindings,
                classes,
                layers: Layers::new(self.layers, waiting, patience),
                handlers: Handlers::new(self.concurrency, queue),
                asides: Arc::new(Semaphore::new(ASIDES)),
                running: Running::default(),
                receiving: Running::default(),
                stage: Stage::default(),
                broken: Broken::default(),
                weak: WeakEndpoint(weak.clone()),
                prefetch: prefetch as usize,
                journal,
                default_timeout: self.timeout.unwrap_or(TIMEOUT),
            });
            Handle { core, grace: self.grace, drained: OnceLock::new() }
        });
        let core = &handle.core;
        if let Some(cell) = for_admin {
            let _ = cell.set(Arc::downgrade(core));
        }
        let endpoint = Endpoint(Arc::clone(&handle));
        if let Some(found) = found {
            recovery::resume(core, found, self.attempts);
        }
        for binding in &core.bindings {
            tokio::spawn(Arc::clone(&binding.pending).sweep());
            let role = Role::Agent { address: &core.name, contracts: &contracts, prefetch };
            if binding.sessions.is_some() {
                let (stage, binding) = (Arc::clone(core), Arc::clone(binding));
                tokio::spawn(async move {
                    if let Some(sessions) = &binding.sessions {
                        sessions.drive(&binding, stage.stage.closed()).await;
                    }
                });
            }
            // An endpoint that serves nothing is nobody's agent: requests to it are unroutable rather than unanswered.
            if !contracts.is_empty() || binding.features.replies == Replies::SameLink {
                links::listen(core, binding, &role).await?;
            }
            if !contracts.is_empty() && binding.admin_lane {
                let role = Role::Admin { address: &binding.own_admin, prefetch: admin::PREFETCH };
                links::listen(core, binding, &role).await?;
            }
            links::connect(core, binding, contracts.clone()).await?;
        }
        core.stage.start();
        Ok(endpoint)
    }
}

/// How many requests are taken from a bus that keeps them: enough that handlers do not wait for it, and no more than find room.
fn prefetch(concurrency: usize, queue: Option<QueueSize>) -> u32 {
    let usual = 2 * concurrency.clamp(32, 1 << 15);
    // What one principal gets of the queue. Those whose handlers are about to end are still in it when others take their place on the
    // bus: so it has to hold them all.
    let room = queue.map_or(usize::MAX, |size| size.requests - size.requests / 4);
    u32::try_from(usual.min(room.max(concurrency))).unwrap_or(u32::MAX)
}

/// How many answers to what never ran (rejections, stored outcomes) may wait at a time before their receiver waits with them:
/// more than may wait for one reply address.
const ASIDES: usize = 256;

/// How long a call waits for its outcome when nobody says so.
const TIMEOUT: Duration = Duration::from_secs(90);

/// How long a layer may take to decide about a request.
const PATIENCE: Duration = Duration::from_secs(5);

/// Says what an unsealed binding lets anybody call.
fn announce(name: &Address, opening: &Opening, contracts: &[&'static Contract]) {
    if opening.trust.is_sealed() {
        return;
    }
    let served = contracts.iter().flat_map(|c| c.methods.iter().map(|m| format!("{}.{}", c.name, m.name)));
    let open: Vec<String> = match &opening.trust.only {
        Some(only) => only.to_vec(),
        None => served.chain(["Admin.*".to_owned()]).collect(),
    };
    tracing::warn!(endpoint = %name, binding = opening.index, ?open, "an unsealed binding lets anybody on the bus call these");
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let services: Vec<_> = self.services.iter().map(|offer| offer.service.contract().name).collect();
        f.debug_struct("Builder").field("name", &self.name).field("services", &services).finish_non_exhaustive()
    }
}

/// An endpoint could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no tokio runtime.
    #[error("there is no tokio runtime: start the endpoint inside `#[tokio::main]` or `Runtime::block_on`")]
    NoRuntime,
    /// The endpoint has no binding.
    #[error("endpoint `{0}` has no binding: add `.bind(protocol, transport, trust)`; trust is `Trust::insecure()` if it must be")]
    NoBinding(Address),
    /// One major of a class is served twice.
    #[error("{first} and {second} are served at once: raise the major of one, give one another `name`, or serve only one")]
    Duplicate {
        /// What was added first.
        first: Origin,
        /// What was added after it.
        second: Origin,
    },
    /// An implementation was discovered, and its instance could not be made.
    #[error("{origin} cannot be served: its `new` failed")]
    Instance {
        /// The implementation.
        origin: Origin,
        /// What `new` said.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The major for requests that name no version is not served.
    #[error(
        "requests for `{class}` that name no version are to go to major {major}, which is not served{}{served}: serve it, or \
         correct `default_major`",
        if served.is_empty() { "" } else { "; served are " }
    )]
    DefaultMajor {
        /// The class.
        class: String,
        /// The major.
        major: u16,
        /// The versions of the class that are served.
        served: String,
    },
    /// A binding is to be sealed, and its protocol has no place for a signature.
    #[error(
        "binding {0} is sealed, but its protocol has no place for signatures: use `Trust::insecure()` and say what may be called"
    )]
    NotSealable(usize),
    /// What a binding's callers may reach names nothing that there is to be reached.
    #[error(
        "the callers of binding {binding} may reach `{entry}`, which names nothing that is served{}{served}: correct it in \
         `Trust::only` (`Class.method`, or `Class.*`), or serve it",
        if served.is_empty() { "" } else { "; served are " }
    )]
    NothingNamed {
        /// Which binding, from 0.
        binding: usize,
        /// The entry of [`Trust::only`].
        entry: String,
        /// The classes that are served.
        served: String,
    },
    /// The journal cannot be read.
    #[error("the journal cannot be read: the endpoint does not start without what it has promised")]
    Journal(#[from] JournalError),
    /// A transport refuses.
    #[error("a transport refused what the endpoint needs of it")]
    Transport(#[from] TransportError),
}

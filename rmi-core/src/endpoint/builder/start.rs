//! Starting: what was put together is checked, the journal is read, and the endpoint begins to receive.

use std::{
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use tokio::sync::Semaphore;

use super::{BuildError, Builder, settling};
use crate::{
    address::Address,
    contract::Contract,
    endpoint::{
        Endpoint, Handle, WeakEndpoint,
        admin::{self, Admin},
        admission::WindowSize,
        binding::{Binding, Opening},
        classes::Classes,
        dispatch::Core,
        layers::Layers,
        links,
        offer::{self, Offer},
        patient::Patient,
        queue::{Handlers, QueueSize},
        recovery,
        resubscribe::Broken,
        sessions::Sessions,
        shutdown::{Running, Stage},
    },
    protocol::{Replies, Role},
};

impl Builder {
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
        let journal = self.journal.is_durable().then(|| Patient::new(self.journal));
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
            settling::announce(&self.name, &opening, &contracts);
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

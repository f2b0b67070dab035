//! Layers: what stands before every method of an endpoint, and around it.
//!
//! A [`Layer`] sees each request up to three times. [`Layer::admit`] decides whether it is taken at all: who is it, may they, is
//! there room. [`Layer::call`] stands around the execution: it measures, it sets something up, it answers in the method's place.
//! [`Layer::concluded`] is told the one outcome, whatever made it. Layers are
//! given to [`Builder::layer`](crate::endpoint::Builder::layer); the first is asked first, and is the outermost.
//!
//! What every endpoint does anyway is no layer: spans, the bound on handlers that run at once, duplicates. Nor is what a caller
//! does, such as trying again.
//!
//! ```
//! use rmi_core::{
//!     layer::{Incoming, Layer, Next, async_trait},
//!     message::{Outcome, Rejection, RejectionCode},
//!     service::Invocation,
//! };
//!
//! /// Takes nothing that its caller does not sign, and says what takes long.
//! struct Careful;
//!
//! #[async_trait]
//! impl Layer for Careful {
//!     async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
//!         if request.is_sealed() || request.method().idempotent {
//!             return Ok(());
//!         }
//!         let details = format!("`{}` changes something: sign the request", request.method().name);
//!         Err(Rejection::new(RejectionCode::Authorization, details))
//!     }
//!
//!     async fn call(&self, call: Invocation, next: Next<'_>) -> Outcome {
//!         let (method, began) = (call.method().name, std::time::Instant::now());
//!         let outcome = next.run(call).await;
//!         if began.elapsed().as_secs() > 5 {
//!             tracing::warn!(method, took = ?began.elapsed(), "that took long");
//!         }
//!         outcome
//!     }
//! }
//! ```

#[cfg(feature = "policy")]
mod authorize;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "policy")]
mod policy;
mod rate;

use std::{fmt, sync::Arc, time::Duration};

/// What an implementation of [`Layer`] is marked with.
pub use async_trait::async_trait;

#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub use self::metrics::Metrics;
pub use self::rate::{Rate, RateFigures, RateLimit};
#[cfg(feature = "policy")]
#[cfg_attr(docsrs, doc(cfg(feature = "policy")))]
pub use self::{
    authorize::Authorize,
    policy::{Explanation, Policy, PolicyError},
};
use crate::{
    address::Address,
    context::Job,
    contract::{Contract, Method},
    json::Json,
    message::{Outcome, Rejection, Sn},
    seal::Principal,
    service::{BoxFuture, Invocation, Service},
    time::Timestamp,
};

/// Stands before the methods of an endpoint, and around them: all that it serves, `Admin` as well.
#[async_trait]
pub trait Layer: Send + Sync + 'static {
    /// Whether a request is taken.
    ///
    /// Asked once for each request, after it has been verified and found to be new, and before it is accepted. What repeats a
    /// request that is known is not asked about: it is attached, or given the stored outcome. A rejection is the request's one
    /// final outcome: it is remembered under its serial number like any other, so that a replay can never run what its caller was
    /// told would not. Who tries again does so under a new serial number, and is asked about again.
    ///
    /// What is decided at once keeps the order in which requests arrived. What is not is waited for beside the receiver, and others
    /// overtake it; [`Builder::admission`](crate::endpoint::Builder::admission) bounds how many wait, and how long.
    ///
    /// # Errors
    ///
    /// The request is rejected. What the rejection says, the caller reads.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the request is cancelled, expires, is not decided about in time, or the endpoint stops.
    async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
        let _ = request;
        Ok(())
    }

    /// Runs a request that has been admitted and has its place among the running: `next` is the layers inside this one, and in
    /// the end the method.
    ///
    /// The future is dropped, the method with it, when the endpoint is dropped. A panic is the caller's `Panicked`.
    async fn call(&self, call: Invocation, next: Next<'_>) -> Outcome {
        next.run(call).await
    }

    /// Is told the outcome of a request that layers were asked about: what ran, and what was rejected by a layer, expired, cancelled
    /// or not started before the end. Before the outcome is sent; it must not take its time. A panic is logged, and changes nothing.
    fn concluded(&self, request: &Concluded<'_>) {
        let _ = request;
    }

    /// What logs call the layer: its type, unless it says otherwise.
    fn name(&self) -> &str {
        std::any::type_name::<Self>()
    }
}

/// A layer that is shared with whoever put it there.
#[async_trait]
impl<L: Layer + ?Sized> Layer for Arc<L> {
    async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
        (**self).admit(request).await
    }

    async fn call(&self, call: Invocation, next: Next<'_>) -> Outcome {
        (**self).call(call, next).await
    }

    fn concluded(&self, request: &Concluded<'_>) {
        (**self).concluded(request);
    }

    fn name(&self) -> &str {
        (**self).name()
    }
}

/// A request that asks to be admitted.
#[derive(Debug)]
pub struct Incoming {
    pub(crate) contract: &'static Contract,
    pub(crate) index: usize,
    pub(crate) job: Arc<Job>,
    pub(crate) binding: usize,
    pub(crate) sealed: bool,
    pub(crate) from: Option<Address>,
    pub(crate) sent: Option<Timestamp>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) size: usize,
}

impl Incoming {
    /// Who sends it, as far as that is verified.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.job.principal
    }

    /// The contract that it is for.
    #[must_use]
    pub fn contract(&self) -> &'static Contract {
        self.contract
    }

    /// The method that it is for.
    #[must_use]
    pub fn method(&self) -> &'static Method {
        &self.contract.methods[self.index]
    }

    /// Which of the endpoint's bindings it came by: its number in the order in which they were added, from 0.
    #[must_use]
    pub fn binding(&self) -> usize {
        self.binding
    }

    /// Whether that binding is sealed.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Its serial number; some peers send none.
    #[must_use]
    pub fn sn(&self) -> Option<&Sn> {
        self.job.sn.as_ref()
    }

    /// The caller's own data.
    #[must_use]
    pub fn data(&self) -> Option<&Json> {
        self.job.data.as_ref()
    }

    /// The sender's address as it says itself. Where a binding is not sealed anybody can say anything.
    #[must_use]
    pub fn from(&self) -> Option<&Address> {
        self.from.as_ref()
    }

    /// When it was sent, by its sender's clock.
    #[must_use]
    pub fn sent(&self) -> Option<Timestamp> {
        self.sent
    }

    /// How long it may wait before it starts, from its receipt.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl
    }

    /// How many bytes its arguments have as JSON.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether the bus has delivered it before.
    #[must_use]
    pub fn redelivered(&self) -> bool {
        self.job.redelivered
    }
}

/// A request that has its outcome.
#[derive(Debug)]
pub struct Concluded<'a> {
    pub(crate) contract: &'static Contract,
    pub(crate) method: &'static Method,
    pub(crate) job: &'a Job,
    pub(crate) binding: usize,
    pub(crate) outcome: &'a Outcome,
}

impl Concluded<'_> {
    /// How it ended.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        self.outcome
    }

    /// Who sent it, as far as that is verified.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.job.principal
    }

    /// The contract that it was for.
    #[must_use]
    pub fn contract(&self) -> &'static Contract {
        self.contract
    }

    /// The method that it was for.
    #[must_use]
    pub fn method(&self) -> &'static Method {
        self.method
    }

    /// Which of the endpoint's bindings it came by: its number, from 0.
    #[must_use]
    pub fn binding(&self) -> usize {
        self.binding
    }

    /// Its serial number; some peers send none.
    #[must_use]
    pub fn sn(&self) -> Option<&Sn> {
        self.job.sn.as_ref()
    }

    /// The caller's own data.
    #[must_use]
    pub fn data(&self) -> Option<&Json> {
        self.job.data.as_ref()
    }
}

/// What is inside a layer: further layers, and in the end the method.
pub struct Next<'a> {
    pub(crate) layers: &'a [Arc<dyn Layer>],
    pub(crate) service: &'a dyn Service,
}

impl<'a> Next<'a> {
    /// Runs it.
    #[must_use = "a future does nothing until it is awaited"]
    pub fn run(self, call: Invocation) -> BoxFuture<'a, Outcome> {
        match self.layers {
            [] => self.service.dispatch(call),
            [layer, layers @ ..] => layer.call(call, Next { layers, service: self.service }),
        }
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers: Vec<_> = self.layers.iter().map(|layer| layer.name()).collect();
        f.debug_struct("Next").field("layers", &layers).finish_non_exhaustive()
    }
}

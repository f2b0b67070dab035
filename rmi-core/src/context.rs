//! What a handler knows about the request that it serves.

use std::{
    collections::VecDeque,
    fmt,
    marker::PhantomData,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::{sync::Notify, time::Instant};

use crate::{
    address::Address,
    contract::Type,
    endpoint::{Endpoint, WeakEndpoint},
    journal::RequestId,
    json::Json,
    lock::lock,
    message::{Progress, Sn},
    seal::Principal,
    service::Invocation,
    text::Text,
    transport::LinkId,
};

/// What a handler knows about the request that it serves, and what it can say while it runs.
///
/// A method takes it as `#[remote(context)] cx: &Context<P>`, where `P` is the type of its progress details; it is neither on
/// the wire nor in the client's signature.
pub struct Context<P = Json> {
    job: Arc<Job>,
    details: PhantomData<fn(P)>,
}

impl<P> Context<P> {
    /// The request's serial number; some peers send none.
    #[must_use]
    pub fn sn(&self) -> Option<&Sn> {
        self.job.sn.as_ref()
    }

    /// Who sent the request, as far as it is verified.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.job.principal
    }

    /// How much longer the caller's ttl lets the request wait; `None` when it set none.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.job.deadline
    }

    /// How long it is until [`Context::deadline`].
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.job.deadline.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// The caller's own data, which every reply echoes.
    #[must_use]
    pub fn data(&self) -> Option<&Json> {
        self.job.data.as_ref()
    }

    /// The W3C `traceparent` that the request came with.
    #[must_use]
    pub fn trace(&self) -> Option<&str> {
        self.job.trace.as_deref()
    }

    /// The group that the request belongs to, when the same call was made to many agents at once. Opaque text: what a caller of
    /// ours writes is a UUID, what another writes can be anything.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.job.group.as_deref()
    }

    /// How often the method has been started for this request: 1 unless it is run again after a crash.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.job.attempt
    }

    /// Whether the bus has delivered the request before.
    #[must_use]
    pub fn redelivered(&self) -> bool {
        self.job.redelivered
    }

    /// Whether the caller wants the method to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.job.cancel.is_set()
    }

    /// Waits until the caller wants the method to stop. Cancel safe; a method that does not look runs on.
    pub async fn cancelled(&self) {
        self.job.cancel.wait().await;
    }

    /// The endpoint that serves the request, to make calls of its own; `None` when it has been dropped.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.job.endpoint.upgrade()
    }
}

impl<P: Serialize> Context<P> {
    /// Reports a step. Never waits: while the bus keeps up each step is sent, and when it does not, later steps replace those
    /// that still wait. Nothing is sent when the caller did not ask for progress.
    pub fn progress(&self, total: u64, completed: u64, details: P) {
        if self.job.progress.wanted {
            match Json::encode(&details) {
                Ok(details) => self.job.progress.push(Progress { total, completed, details }),
                Err(error) => tracing::warn!(%error, "progress details are not JSON; the step is not sent"),
            }
        }
    }
}

impl<P> Clone for Context<P> {
    fn clone(&self) -> Self {
        Context { job: Arc::clone(&self.job), details: PhantomData }
    }
}

impl<P> fmt::Debug for Context<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.job.fmt(f)
    }
}

/// A context as a parameter type, from which the type of the progress is projected.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a context",
    label = "not a `Context<P>`",
    note = "the argument that is marked `#[remote(context)]` is a `&Context<P>`, where `P` is what progress reports carry"
)]
pub trait ContextArgument {
    /// The type of the progress details.
    type Progress;

    #[doc(hidden)]
    const DETAILS: Type;

    #[doc(hidden)]
    fn of(call: &Invocation) -> Self;
}

impl<P> ContextArgument for Context<P> {
    type Progress = P;

    const DETAILS: Type = Type::of::<P>();

    fn of(call: &Invocation) -> Self {
        Context { job: Arc::clone(&call.job), details: PhantomData }
    }
}

/// A request that is being served, as its handler and its endpoint share it.
#[derive(Debug)]
pub(crate) struct Job {
    /// Which of the endpoint's bindings it came by.
    pub(crate) binding: usize,
    /// By which link it came.
    pub(crate) link: LinkId,
    pub(crate) sn: Option<Sn>,
    pub(crate) principal: Principal,
    pub(crate) deadline: Option<Instant>,
    pub(crate) data: Option<Json>,
    pub(crate) trace: Option<Text>,
    pub(crate) group: Option<Text>,
    pub(crate) attempt: u32,
    pub(crate) redelivered: bool,
    /// It may have run before: nobody says of it that it never did.
    pub(crate) may_have_run: bool,
    /// What the journal calls it, where there is one.
    pub(crate) record: Option<RequestId>,
    pub(crate) cancel: Cancellation,
    /// Where its replies go, when its caller has said so since.
    pub(crate) moved: Moved,
    pub(crate) progress: Steps,
    pub(crate) endpoint: WeakEndpoint,
}

/// The address that replies to a request go to, once its caller has lost the one that the request names.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    /// Looked at before the lock: nearly no request is moved.
    moved: AtomicBool,
    to: Mutex<Option<Box<(Address, LinkId)>>>,
}

impl Moved {
    /// The link is that of whoever says so: where replies go by links, they go by that.
    pub(crate) fn set(&self, to: Address, link: LinkId) {
        *lock(&self.to) = Some(Box::new((to, link)));
        self.moved.store(true, Ordering::Release);
    }

    pub(crate) fn get(&self) -> Option<(Address, LinkId)> {
        if !self.moved.load(Ordering::Acquire) {
            return None;
        }
        lock(&self.to).as_deref().cloned()
    }
}

/// A flag that is set once and can be waited for.
#[derive(Debug, Default)]
pub(crate) struct Cancellation {
    set: AtomicBool,
    waiting: Notify,
}

impl Cancellation {
    pub(crate) fn set(&self) {
        self.newly_set();
    }

    /// Sets it. False when it was set before.
    pub(crate) fn newly_set(&self) -> bool {
        let first = !self.set.swap(true, Ordering::SeqCst);
        self.waiting.notify_waiters();
        first
    }

    pub(crate) fn is_set(&self) -> bool {
        self.set.load(Ordering::SeqCst)
    }

    pub(crate) async fn wait(&self) {
        let waiting = self.waiting.notified();
        if !self.is_set() {
            waiting.await;
        }
    }
}

/// Steps that a handler has reported and that are still to be sent.
#[derive(Debug)]
pub(crate) struct Steps {
    wanted: bool,
    waiting: Mutex<VecDeque<Progress>>,
    finished: AtomicBool,
    more: Notify,
}

impl Steps {
    /// How many steps wait at most; then the last one is replaced.
    const MOST: usize = 256;

    pub(crate) fn new(wanted: bool) -> Self {
        Steps { wanted, waiting: Mutex::default(), finished: AtomicBool::new(false), more: Notify::new() }
    }

    fn push(&self, step: Progress) {
        let mut waiting = lock(&self.waiting);
        if waiting.len() == Self::MOST {
            waiting.pop_back();
        }
        waiting.push_back(step);
        drop(waiting);
        self.more.notify_one();
    }

    /// The handler has ended: there will be no more.
    pub(crate) fn finish(&self) {
        self.finished.store(true, Ordering::Release);
        self.more.notify_one();
    }

    /// Waits for the next step; `None` after the last one. Cancel safe.
    pub(crate) async fn next(&self) -> Option<Progress> {
        loop {
            let finished = self.finished.load(Ordering::Acquire);
            if let Some(step) = lock(&self.waiting).pop_front() {
                return Some(step);
            }
            if finished {
                return None;
            }
            self.more.notified().await;
        }
    }
}

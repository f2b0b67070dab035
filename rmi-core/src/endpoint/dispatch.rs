//! From a request to its outcome.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::{self, Poll},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tracing::Instrument;

use crate::{
    address::Address,
    context::{Cancellation, Job, Steps},
    contract::{Contract, Method, Version},
    endpoint::{
        WeakEndpoint,
        admission::{Attached, Candidate, Key, Verdict, uuid_of},
        binding::{Answered, Binding},
        inbound::{Opened, Origin, Receiver, Unreadable, Verified},
        pending,
        shutdown::{Guard, Running, Stage},
    },
    lock::lock,
    message::{Abort, AbortReason, Body, Head, Message, Outcome, Rejection, RejectionCode, Request, Status, Statuses},
    protocol::{Refused, Replies, Serials},
    seal::Principal,
    service::{BoxFuture, Invocation, Service},
    table::Table,
    trace::{self, TraceParent},
    transport::{Acker, Disposition, LinkId},
};

/// What an endpoint is made of.
pub(crate) struct Core {
    pub(crate) name: Address,
    pub(crate) bindings: Vec<Arc<Binding>>,
    pub(crate) services: Table<&'static str, Served>,
    /// How many handlers run at a time.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) running: Running,
    /// The receivers that end when no more requests are taken.
    pub(crate) receiving: Running,
    pub(crate) stage: Stage,
    pub(crate) weak: WeakEndpoint,
    pub(crate) default_timeout: std::time::Duration,
}

/// A contract that is served.
pub(crate) struct Served {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) methods: Table<&'static str, usize>,
    /// A small lane of its own: it is reached even when every other handler is busy.
    pub(crate) lane: Option<Arc<Semaphore>>,
}

impl Served {
    pub(crate) fn new(service: Arc<dyn Service>, lane: Option<Arc<Semaphore>>) -> Self {
        let mut methods = Table::default();
        for (index, method) in service.contract().methods.iter().enumerate() {
            for name in std::iter::once(&method.name).chain(method.aliases) {
                methods.entry(*name).or_insert(index);
            }
        }
        Served { service, methods, lane }
    }
}

/// Takes what a binding of an endpoint receives.
pub(crate) struct Inbox {
    pub(crate) core: Arc<Core>,
    pub(crate) binding: Arc<Binding>,
}

impl Receiver for Inbox {
    fn take(&self, opened: Opened) -> Option<BoxFuture<'_, ()>> {
        let Opened { content, origin, acker } = opened;
        match content {
            Ok(Verified { message, principal, digest }) => match message.body {
                Body::Request(_) => self.request(*message, principal, digest, origin, acker),
                Body::Status(status) => {
                    acker.settle(Disposition::Ack);
                    self.reply(Reply::Status(status), &message.head, &principal, &origin);
                    None
                }
                Body::Outcome(outcome) => {
                    acker.settle(Disposition::Ack);
                    self.reply(Reply::Outcome(outcome), &message.head, &principal, &origin);
                    None
                }
                Body::Event(_) => {
                    // An endpoint has no subscriptions to events of its own.
                    self.binding.counters.misdirected.add();
                    acker.settle(Disposition::Ack);
                    None
                }
            },
            Err(unreadable) => self.refuse(*unreadable, origin, acker),
        }
    }
}

enum Reply {
    Status(Status),
    Outcome(Outcome),
}

impl Inbox {
    /// A reply counts only from somebody who may answer for the address that was called.
    fn reply(&self, reply: Reply, head: &Head, principal: &Principal, origin: &Origin) {
        let binding = &self.binding;
        let key = match binding.features.replies {
            Replies::PerCall => Some(pending::Key::Address(origin.address.clone())),
            Replies::Shared | Replies::SameLink => head.sn.as_ref().and_then(uuid_of).map(pending::Key::Serial),
        };
        let mut impostor = false;
        let allowed = |agent: &Address| {
            let may = binding.may_answer(principal, agent);
            impostor = !may;
            may
        };
        let heard = key.is_some_and(|key| match reply {
            Reply::Status(status) => binding.pending.status(&key, status, origin.link, allowed),
            Reply::Outcome(outcome) => binding.pending.outcome(&key, outcome, origin.link, allowed),
        });
        if impostor {
            binding.counters.impostors.add();
            tracing::warn!(%principal, sn = ?head.sn, "a reply by somebody who may not answer for the agent was dropped");
        } else if !heard {
            binding.counters.orphans.add();
        }
    }

    /// What cannot be read is answered as far as its sender is known: an unverified one gets a code at a bounded rate.
    fn refuse(&self, unreadable: Unreadable, origin: Origin, acker: Acker) -> Option<BoxFuture<'_, ()>> {
        let Unreadable { refused, verified } = unreadable;
        let binding = &self.binding;
        acker.settle(Disposition::Discard);
        let (close, link) = (refused.close, origin.link);
        let answer = self.answer_to(refused, verified, link);
        if answer.is_none() && !close {
            return None;
        }
        Some(Box::pin(async move {
            if let Some((to, rejection)) = answer {
                binding.counters.rejected.add();
                binding.outcome(&to, Outcome::Rejected(rejection)).await;
            }
            if close && let Err(error) = binding.transport.pause(link, None).await {
                tracing::debug!(%error, link = link.0, "a link could not be closed");
            }
        }))
    }

    fn answer_to(&self, refused: Refused, verified: bool, link: LinkId) -> Option<(Answered, Rejection)> {
        let binding = &self.binding;
        let mut head = refused.head.filter(|_| refused.answer)?;
        let reply = head.reply.take().filter(|path| binding.may_reply_to(&path.to))?;
        let mut rejection = refused.rejection;
        if !verified {
            let told = matches!(rejection.code, RejectionCode::Authentication | RejectionCode::ModelVersion);
            if !told || !binding.may_answer_unverified() {
                return None;
            }
            head.data = None;
            rejection = Rejection::new(rejection.code, "");
        }
        Some((Answered { sn: head.sn, reply, data: head.data, link: Some(link) }, rejection))
    }

    fn request(
        &self,
        message: Message,
        principal: Principal,
        digest: u64,
        origin: Origin,
        acker: Acker,
    ) -> Option<BoxFuture<'_, ()>> {
        let Message { head, body: Body::Request(request) } = message else { return None };
        let (core, binding) = (&self.core, &self.binding);
        // Counted before the stage is looked at: a drain that does not see this request has been seen by it.
        let running = core.running.enter();
        if core.stage.is_stopping() && binding.transport.capabilities().redelivery {
            acker.settle(Disposition::Release);
            return None;
        }
        let mut reply = head.reply;
        let wrong_reply = reply.take_if(|path| !binding.may_reply_to(&path.to));
        let answered = reply.map(|reply| Answered {
            sn: head.sn.clone(),
            reply,
            data: head.data.clone(),
            link: (binding.features.replies == Replies::SameLink).then_some(origin.link),
        });
        if let Some(path) = wrong_reply {
            let rejection = Rejection::new(RejectionCode::ReplyAddress, path.to.text().clone());
            return self.reject(rejection, None, acker);
        }
        if core.stage.is_stopping() {
            return self.reject(Rejection::new(RejectionCode::Closing, ""), answered, acker);
        }
        let (served, index) = match core.find(binding, &request) {
            Ok(found) => found,
            Err(rejection) => return self.reject(rejection, answered, acker),
        };
        let method = &served.service.contract().methods[index];
        let wants = match (&answered, method.oneway) {
            (None, _) | (_, true) => Statuses::NONE,
            (Some(_), false) => request.wants.unwrap_or(Statuses::ALL),
        };
        let mut key = head
            .sn
            .as_ref()
            .filter(|_| binding.features.serials != Serials::None)
            .map(|sn| Key::new(sn, (binding.features.serials == Serials::PerLink).then_some(origin.link)));
        let job = Arc::new(Job {
            sn: head.sn,
            principal,
            deadline: head.ttl.and_then(|ttl| Instant::now().checked_add(ttl)),
            data: head.data,
            trace: head.trace,
            attempt: 1,
            redelivered: origin.redelivered,
            cancel: Cancellation::default(),
            progress: Steps::new(wants.progress),
            endpoint: core.weak.clone(),
        });
        let mut asked = Some(Attached { reply: answered.as_ref().map(|a| a.reply.clone()), acker });
        let verdict = match &mut key {
            Some(key) => {
                let mut candidate = Candidate { principal: &job.principal, key, digest, sent: head.sent, ttl: head.ttl };
                lock(&binding.window).admit(&mut candidate, binding.clock.now(), &job, &mut asked)
            }
            None if binding.authenticator().is_some_and(|a| a.demands().dated) => {
                Verdict::Rejected(Rejection::new(RejectionCode::Stale, "it has no serial number"))
            }
            None => Verdict::New,
        };
        let acker = asked.map_or_else(Acker::settled, |asked| asked.acker);
        match verdict {
            Verdict::New => {}
            Verdict::Attached => {
                acker.settle(Disposition::Ack);
                binding.counters.attached.add();
                return None;
            }
            Verdict::Done(outcome) => {
                binding.counters.repeated.add();
                return self.conclude_early(outcome, answered, acker);
            }
            Verdict::Rejected(rejection) => {
                if rejection.code == RejectionCode::Stale {
                    binding.counters.stale.add();
                }
                return self.reject(rejection, answered, acker);
            }
        }
        let work = Box::new(Work {
            core: Arc::clone(core),
            binding: Arc::clone(binding),
            service: Arc::clone(&served.service),
            answered,
            wants,
            key,
            acker,
            _running: running,
            job: Arc::clone(&job),
            method,
        });
        let call = Invocation {
            contract: served.service.contract(),
            index,
            cntr: request.cntr,
            args: request.args,
            max_args: binding.limits.arguments,
            job,
        };
        let lane = served.lane.as_ref().unwrap_or(&core.permits);
        let permit = Arc::clone(lane).try_acquire_owned().map_err(|_| Arc::clone(lane));
        let permitted = permit.is_ok();
        // Boxed here, because spawning moves what it is given several times.
        let mut run = Box::pin(work.run(call, permit));
        if method.inline && permitted {
            let mut cx = task::Context::from_waker(task::Waker::noop());
            // Polled once where it was received; if it is not ready at once it moves to a task of its own.
            if run.as_mut().poll(&mut cx).is_pending() {
                tokio::spawn(run);
            }
        } else {
            tokio::spawn(run);
        }
        None
    }

    fn reject(&self, rejection: Rejection, answered: Option<Answered>, acker: Acker) -> Option<BoxFuture<'_, ()>> {
        self.binding.counters.rejected.add();
        tracing::debug!(%rejection, "a request was rejected");
        self.conclude_early(Outcome::Rejected(rejection), answered, acker)
    }

    fn conclude_early(&self, outcome: Outcome, answered: Option<Answered>, acker: Acker) -> Option<BoxFuture<'_, ()>> {
        let Some(answered) = answered else {
            acker.settle(Disposition::Ack);
            return None;
        };
        Some(Box::pin(async move {
            if self.binding.outcome(&answered, outcome).await {
                acker.settle(Disposition::Ack);
            }
        }))
    }
}

impl Core {
    /// The method that a request is for, if it may be called by this binding.
    fn find(&self, binding: &Binding, request: &Request) -> Result<(&Served, usize), Rejection> {
        let Some(served) = self.services.get(&*request.class) else {
            let details = format!("\"{}\" is not served by `{}`", request.class, self.name);
            return Err(Rejection::new(RejectionCode::UnknownClass, details));
        };
        let Some(index) = served.methods.get(&*request.method).copied() else {
            let details = format!("\"{}.{}()\" is not served by `{}`", request.class, request.method, self.name);
            return Err(Rejection::new(RejectionCode::UnknownMethod, details));
        };
        let contract: &Contract = served.service.contract();
        if let Some(asked) = &request.version
            && Version::parse(asked).is_none_or(|asked| asked.major != contract.version.major)
        {
            let details = format!("expected:{}, found:{asked}", contract.version);
            return Err(Rejection::new(RejectionCode::UnknownVersion, details));
        }
        if !binding.lets_in(contract.name, contract.methods[index].name) {
            let details = format!("\"{}.{}()\" is not open to unsigned callers", request.class, request.method);
            return Err(Rejection::new(RejectionCode::Authorization, details));
        }
        Ok((served, index))
    }
}

/// An admitted request on its way to its outcome.
struct Work {
    core: Arc<Core>,
    binding: Arc<Binding>,
    service: Arc<dyn Service>,
    answered: Option<Answered>,
    wants: Statuses,
    key: Option<Key>,
    acker: Acker,
    job: Arc<Job>,
    method: &'static Method,
    _running: Guard,
}

impl Work {
    /// Everything that is not on the way of a call that only waits for its outcome is boxed: the task is as small as that way.
    async fn run(self: Box<Self>, call: Invocation, permit: Result<OwnedSemaphorePermit, Arc<Semaphore>>) {
        if self.wants.accepted {
            Box::pin(self.status(Status::Accepted)).await;
        }
        let permit = match permit {
            Ok(permit) => Some(permit),
            Err(lane) => Box::pin(self.wait(lane)).await,
        };
        let outcome = match self.obstacle(permit.is_some()) {
            Some(outcome) => outcome,
            None => {
                if self.wants.started {
                    Box::pin(self.status(Status::Started)).await;
                }
                let mut handler = self.handler(call);
                let mut abandoned = pin!(self.core.stage.abandoned());
                let ended = poll_fn(|cx| match handler.as_mut().poll(cx) {
                    Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                    Poll::Pending => abandoned.as_mut().poll(cx).map(|()| None),
                })
                .await;
                drop(handler);
                match ended {
                    Some(outcome) => outcome,
                    // The endpoint is gone, and the handler with it: the bus gives the request to another.
                    None => return,
                }
            }
        };
        drop(permit);
        self.conclude(outcome).await;
    }

    async fn status(&self, status: Status) {
        if let Some(to) = &self.answered {
            self.binding.status(to, status).await;
        }
    }

    /// Waits for a handler to end, for being cancelled, or for the endpoint to stop.
    async fn wait(&self, lane: Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        let mut acquire = pin!(lane.acquire_owned());
        let mut cancelled = pin!(self.job.cancel.wait());
        let mut stopping = pin!(self.core.stage.stopping());
        let mut expired = pin!(until(self.job.deadline));
        poll_fn(|cx| {
            if let Poll::Ready(permit) = acquire.as_mut().poll(cx) {
                return Poll::Ready(permit.ok());
            }
            let gave_up = cancelled.as_mut().poll(cx).is_ready()
                || stopping.as_mut().poll(cx).is_ready()
                || expired.as_mut().poll(cx).is_ready();
            if gave_up { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }

    /// Why the method is not run, if it is not.
    fn obstacle(&self, permitted: bool) -> Option<Outcome> {
        let job = &self.job;
        if job.cancel.is_set() {
            Some(Abort::new(AbortReason::Cancelled, "cancelled before it started").into())
        } else if job.deadline.is_some_and(|at| at <= Instant::now()) {
            Some(Rejection::new(RejectionCode::Expired, "").into())
        } else if !permitted || self.core.stage.is_stopping() {
            Some(Rejection::new(RejectionCode::Closing, "").into())
        } else if job.redelivered && !self.method.idempotent {
            let message = "it was delivered before, and may have run then; it is not idempotent, so it is not run again";
            Some(Abort::new(AbortReason::Interrupted, message).into())
        } else {
            None
        }
    }

    /// The handler as a future, in its span and its trace.
    fn handler(&self, call: Invocation) -> BoxFuture<'_, Outcome> {
        let span = tracing::info_span!(
            "rmi.serve",
            otel.kind = "server",
            rpc.system = "rmi",
            rpc.service = call.contract.name,
            rpc.method = self.method.name,
            messaging.message.conversation_id = self.job.sn.as_ref().map(|sn| sn.as_str()),
            messaging.destination.name = self.core.name.as_str(),
            enduser.id = %self.job.principal,
            trace_id = tracing::field::Empty,
        );
        let trace = self.job.trace.as_ref().and_then(TraceParent::parse);
        let reporting = self.answered.as_ref().filter(|_| self.wants.progress && self.method.context);
        match (trace, reporting) {
            (None, None) if span.is_disabled() => Box::pin(self.guarded(call)),
            (trace, reporting) => Box::pin(async move {
                if let Some(trace) = &trace {
                    span.record("trace_id", trace.trace_id());
                }
                let handler = async move {
                    match reporting {
                        Some(to) => self.reporting(call, to).await,
                        None => self.guarded(call).await,
                    }
                };
                match trace {
                    None => handler.instrument(span).await,
                    Some(trace) => trace::scope(trace, handler.instrument(span)).await,
                }
            }),
        }
    }

    /// Runs the handler; a panic is its outcome.
    async fn guarded(&self, call: Invocation) -> Outcome {
        let mut running = match catch_unwind(AssertUnwindSafe(|| self.service.dispatch(call))) {
            Ok(running) => running,
            Err(panic) => return self.panicked(&*panic),
        };
        poll_fn(|cx| {
            catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx)))
                .unwrap_or_else(|panic| Poll::Ready(self.panicked(&*panic)))
        })
        .await
    }

    /// Runs the handler, and sends the progress that it reports while it runs.
    async fn reporting(&self, call: Invocation, to: &Answered) -> Outcome {
        let progress = &self.job.progress;
        let mut run = pin!(self.guarded(call));
        let mut send = pin!(async {
            while let Some(step) = progress.next().await {
                self.binding.status(to, Status::Progress(step)).await;
            }
        });
        let mut outcome = None;
        poll_fn(|cx| {
            if outcome.is_none()
                && let Poll::Ready(ended) = run.as_mut().poll(cx)
            {
                outcome = Some(ended);
                progress.finish();
            }
            // Every step that was reported goes out before the outcome does.
            if send.as_mut().poll(cx).is_ready()
                && let Some(outcome) = outcome.take()
            {
                return Poll::Ready(outcome);
            }
            Poll::Pending
        })
        .await
    }

    fn panicked(&self, panic: &(dyn std::any::Any + Send)) -> Outcome {
        self.binding.counters.panics.add();
        let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        tracing::error!(method = self.method.name, panic = said, "a handler panicked");
        // What a panic says is for the log: it may hold what no caller should read.
        Abort::new(AbortReason::Panicked, format!("`{}` panicked; the agent's log says where", self.method.name)).into()
    }

    /// The outcome is kept, sent to everybody who asked, and only then is the bus told that the request is done with.
    async fn conclude(self: Box<Self>, outcome: Outcome) {
        let binding = &self.binding;
        let attached = match &self.key {
            Some(key) => lock(&binding.window).finish(&self.job.principal, key, &outcome),
            None => Vec::new(),
        };
        let Some(to) = &self.answered else {
            self.acker.settle(Disposition::Ack);
            attached.into_iter().for_each(|again| again.acker.settle(Disposition::Ack));
            return;
        };
        if attached.is_empty() {
            if binding.outcome(to, outcome).await {
                self.acker.settle(Disposition::Ack);
            }
            return;
        }
        let told = binding.outcome(to, outcome.clone()).await;
        if told {
            self.acker.settle(Disposition::Ack);
        }
        Box::pin(tell(binding, to, told, attached, outcome)).await;
    }
}

/// Tells those who asked again while it ran. One of them may be what the bus holds now: none is acknowledged before its own address
/// has been told.
async fn tell(binding: &Binding, first: &Answered, told: bool, attached: Vec<Attached>, outcome: Outcome) {
    for Attached { reply, acker } in attached {
        let again = Answered { reply: reply.unwrap_or_else(|| first.reply.clone()), ..first.clone() };
        let elsewhere = again.reply != first.reply;
        let told = if elsewhere { binding.outcome(&again, outcome.clone()).await } else { told };
        if told {
            acker.settle(Disposition::Ack);
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("name", &self.name).field("bindings", &self.bindings).finish_non_exhaustive()
    }
}

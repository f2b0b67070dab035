//! What becomes of a message that has been read: a reply finds its call, a request its method.

mod before;
mod reply;

use std::{sync::Arc, task};

use tokio::{sync::Semaphore, time::Instant};

use self::reply::Reply;
use crate::{
    address::Address,
    context::{Cancellation, Job, Moved, Steps},
    contract::Method,
    endpoint::{
        WeakEndpoint, admin,
        admission::Verdict,
        binding::{Answered, Binding},
        classes::{Classes, Served},
        hello,
        inbound::{Opened, Origin, Receiver, Unreadable, Verified},
        layers::Layers,
        patient::Patient,
        queue::Handlers,
        resubscribe::Broken,
        shutdown::{Guard, Running, Stage},
        work::{Place, Work, as_far_as_known},
    },
    layer::Incoming,
    message::{Body, Head, Message, Outcome, Rejection, RejectionCode, Request, Statuses},
    protocol::{Refused, Replies},
    seal::Principal,
    service::{BoxFuture, Invocation},
    transport::{Acker, Disposition, LinkId},
};

/// What an endpoint is made of.
pub(crate) struct Core {
    pub(crate) name: Address,
    pub(crate) bindings: Vec<Arc<Binding>>,
    pub(crate) classes: Classes,
    /// What decides about requests and stands around methods; none where nothing does.
    pub(crate) layers: Option<Arc<Layers>>,
    /// The handlers that run at a time, and what waits for them.
    pub(crate) handlers: Handlers,
    /// How many answers to what never ran may wait at a time.
    pub(crate) asides: Arc<Semaphore>,
    pub(crate) running: Running,
    /// The receivers that end when no more requests are taken.
    pub(crate) receiving: Running,
    pub(crate) stage: Stage,
    pub(crate) broken: Broken,
    pub(crate) weak: WeakEndpoint,
    /// How many requests it takes from a bus before it acknowledges one.
    pub(crate) prefetch: usize,
    /// Where it writes down what becomes of its requests, if it does.
    pub(crate) journal: Option<Arc<Patient>>,
    pub(crate) default_timeout: std::time::Duration,
}

/// Takes what a binding of an endpoint receives.
pub(crate) struct Inbox {
    pub(crate) core: Arc<Core>,
    pub(crate) binding: Arc<Binding>,
    /// It receives at the address for `Admin` alone.
    pub(crate) admin_only: bool,
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

impl Inbox {
    /// What cannot be read is answered as far as its sender is known: an unverified one gets a code at a bounded rate.
    fn refuse(&self, unreadable: Unreadable, origin: Origin, acker: Acker) -> Option<BoxFuture<'_, ()>> {
        let Unreadable { refused, verified } = unreadable;
        let binding = &self.binding;
        acker.settle(Disposition::Discard);
        let (close, link, redelivered) = (refused.close, origin.link, origin.redelivered && verified);
        let answer = self.answer_to(refused, verified, link);
        if answer.is_none() && !close {
            return None;
        }
        let binding = Arc::clone(binding);
        self.aside(Box::pin(async move {
            if let Some((to, rejection)) = answer {
                binding.counters.rejected.add();
                binding.answer(&to, as_far_as_known(Outcome::Rejected(rejection), redelivered)).await;
            }
            if close && let Err(error) = binding.transport.disconnect(link).await {
                tracing::debug!(%error, link = link.0, "a link could not be closed");
            }
        }))
    }

    fn answer_to(&self, refused: Refused, verified: bool, link: LinkId) -> Option<(Answered, Rejection)> {
        let binding = &self.binding;
        let mut head = refused.head.filter(|_| refused.answer)?;
        let reply = head.reply.take().filter(|path| binding.may_reply_to(&path.to))?;
        let mut rejection = *refused.rejection;
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
        let Message { mut head, body: Body::Request(request) } = message else { return None };
        let (core, binding) = (&self.core, &self.binding);
        // Counted before the stage is looked at: a drain that does not see this request has been seen by it.
        let running = Guard::enter(core, |core| &core.running);
        if core.stage.is_stopping() && binding.transport.capabilities().redelivery {
            acker.settle(Disposition::Release);
            return None;
        }
        let may_have_run = origin.redelivered && !self.never_taken(&head, &principal, origin.link);
        let answered = match self.answered(&mut head, origin.link) {
            Ok(answered) => answered,
            Err(rejection) => return self.reject(rejection, may_have_run, None, acker),
        };
        let (served, index) = match self.find(&head, &request) {
            Ok(found) => found,
            Err(rejection) => return self.reject(rejection, may_have_run, answered, acker),
        };
        let method = &served.contract().methods[index];
        let wants = wanted(answered.as_ref(), method, &request);
        let mut key = self.key(&head, origin.link);
        let job = Arc::new(Job {
            binding: binding.index,
            link: origin.link,
            sn: head.sn.take(),
            principal,
            deadline: head.ttl.and_then(|ttl| Instant::now().checked_add(ttl)),
            data: head.data.take(),
            trace: head.trace.take(),
            group: request.group,
            attempt: 1,
            redelivered: origin.redelivered,
            may_have_run,
            // `Admin` has nothing that could not be asked again, and is to be heard when the disk is not.
            record: binding.records.as_ref().filter(|_| served.lane.is_none()).map(|records| records.id()),
            cancel: Cancellation::default(),
            moved: Moved::default(),
            progress: Steps::new(wants.progress),
            // Only a context lends it, and only a layer can make one for a method that takes none.
            endpoint: if method.context || core.layers.is_some() { core.weak.clone() } else { WeakEndpoint::none() },
        });
        let (verdict, acker) = self.look_up(&mut key, &head, digest, &job, answered.as_ref(), acker);
        if !matches!(verdict, Verdict::New) {
            return self.known(verdict, may_have_run, answered, acker);
        }
        let record =
            origin.received.and_then(|it| self.to_be_recorded(*it, &head, &job, key.as_ref(), digest, answered.as_ref()));
        // What was signed for nobody could have been signed for a link to somebody else.
        if binding.authenticator().is_none() || !head.to.as_str().is_empty() {
            binding.hears(origin.link, head.from.as_ref(), &job.principal);
        }
        let work = Box::new(Work {
            core: running,
            binding: binding.index,
            served: Arc::clone(served),
            answered,
            wants,
            key,
            acker,
            job: Arc::clone(&job),
            method,
            size: origin.size,
            place: Place::None,
            record,
        });
        let call = Invocation {
            contract: served.contract(),
            index,
            cntr: request.cntr,
            args: request.args,
            max_args: binding.limits.arguments,
            job,
        };
        match &core.layers {
            None => {
                let rejecting = work.begin(call)?;
                self.aside(rejecting)
            }
            Some(layers) => self.ask(layers, head, work, call),
        }
    }

    /// Where the request's replies go, if they may go there.
    fn answered(&self, head: &mut Head, link: LinkId) -> Result<Option<Answered>, Rejection> {
        let Some(reply) = head.reply.take() else { return Ok(None) };
        if !self.binding.may_reply_to(&reply.to) {
            return Err(Rejection::new(RejectionCode::ReplyAddress, reply.to.text().clone()));
        }
        let link = (self.binding.features.replies == Replies::SameLink).then_some(link);
        Ok(Some(Answered { sn: head.sn.clone(), reply, data: head.data.clone(), link }))
    }

    /// The method that a request is for, if it may be called now, here, and by this binding.
    fn find(&self, head: &Head, request: &Request) -> Result<(&Arc<Served>, usize), Rejection> {
        let core = &self.core;
        if core.stage.is_stopping() {
            return Err(Rejection::new(RejectionCode::Closing, ""));
        }
        if self.binding.by_links && !self.is_ours(head, request) {
            self.binding.counters.misdirected.add();
            let details = format!("this is `{}`", core.name);
            return Err(Rejection::new(RejectionCode::Nobody, details));
        }
        if self.admin_only && &*request.class != admin::CLASS {
            let details = format!("only `{}` is called at `{}`; call others at `{}`", admin::CLASS, head.to, core.name);
            return Err(Rejection::new(RejectionCode::UnknownClass, details));
        }
        core.find(&self.binding, request)
    }

    /// Whether a request that came by a link was made for us. Where nobody signs, one that names nobody is for whoever gets it;
    /// elsewhere hello alone is.
    fn is_ours(&self, head: &Head, request: &Request) -> bool {
        let nobody = head.to.as_str().is_empty() && self.binding.authenticator().is_none();
        nobody || head.to.key() == self.binding.own.key() || hello::is_to_anybody(head, request)
    }

    /// Lets the layers decide about a request; it begins when they let it.
    fn ask(&self, layers: &Arc<Layers>, head: Head, work: Box<Work>, call: Invocation) -> Option<BoxFuture<'_, ()>> {
        let rejecting = layers.admit(incoming(&self.binding, head, &call), work, call)?;
        self.aside(rejecting)
    }

    fn reject(
        &self,
        rejection: Rejection,
        may_have_run: bool,
        answered: Option<Answered>,
        acker: Acker,
    ) -> Option<BoxFuture<'_, ()>> {
        self.binding.counters.rejected.add();
        tracing::debug!(%rejection, "a request was rejected");
        self.conclude_early(as_far_as_known(Outcome::Rejected(rejection), may_have_run), answered, acker)
    }

    fn conclude_early(&self, outcome: Outcome, answered: Option<Answered>, acker: Acker) -> Option<BoxFuture<'_, ()>> {
        let Some(answered) = answered else {
            acker.settle(Disposition::Ack);
            return None;
        };
        let (binding, running) = (Arc::clone(&self.binding), Guard::enter(&self.core, |core| &core.running));
        self.aside(Box::pin(async move {
            if binding.answer(&answered, outcome).await {
                acker.settle(Disposition::Ack);
            }
            drop(running);
        }))
    }

    /// Answers where the request was received, if that takes no time; if it does, in a task of its own, so that a reply address
    /// that takes nothing holds up nobody else. When too many such answers wait, the receiver waits with the next one, as long as
    /// answers get through: see [`Binding::answer`].
    fn aside(&self, mut answering: BoxFuture<'static, ()>) -> Option<BoxFuture<'_, ()>> {
        let mut cx = task::Context::from_waker(task::Waker::noop());
        if answering.as_mut().poll(&mut cx).is_ready() {
            return None;
        }
        let Ok(permit) = Arc::clone(&self.core.asides).try_acquire_owned() else { return Some(answering) };
        tokio::spawn(async move {
            answering.await;
            drop(permit);
        });
        None
    }
}

/// What layers are asked about.
pub(crate) fn incoming(binding: &Binding, head: Head, call: &Invocation) -> Incoming {
    Incoming {
        contract: call.contract,
        index: call.index,
        job: Arc::clone(&call.job),
        binding: binding.index,
        sealed: binding.authenticator().is_some(),
        from: head.from,
        sent: head.sent,
        ttl: head.ttl,
        size: call.args.positional.as_str().len() + call.args.named.as_str().len(),
    }
}

/// The statuses that are sent: those that were asked for, if there is anybody to tell.
pub(crate) fn wanted(answered: Option<&Answered>, method: &Method, request: &Request) -> Statuses {
    match answered {
        Some(_) if !method.oneway => request.wants.unwrap_or(Statuses::ALL),
        Some(_) | None => Statuses::NONE,
    }
}

impl Core {
    /// The method that a request is for, if it may be called by this binding.
    pub(crate) fn find(&self, binding: &Binding, request: &Request) -> Result<(&Arc<Served>, usize), Rejection> {
        let (served, index) = self.classes.find(request, self.name.as_str())?;
        let contract = served.contract();
        if !binding.lets_in(contract.name, contract.methods[index].name) {
            let details = format!("\"{}.{}()\" is not open to the callers of this binding", request.class, request.method);
            return Err(Rejection::new(RejectionCode::Authorization, details));
        }
        Ok((served, index))
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("name", &self.name).field("bindings", &self.bindings).finish_non_exhaustive()
    }
}

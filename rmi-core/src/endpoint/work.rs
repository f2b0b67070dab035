//! One admitted request: from its place among the running to its outcome.

mod handler;
pub(crate) mod record;

use std::{
    borrow::Cow,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tokio::time::Instant;

use self::record::Record;
use crate::{
    context::Job,
    contract::Method,
    endpoint::{
        admission::{Attached, Key},
        binding::{Answered, Binding},
        classes::Served,
        queue::Handlers,
        sequence::Turn,
        shutdown::Guard,
    },
    layer::Concluded,
    lock::lock,
    message::{Abort, AbortReason, Outcome, Rejection, RejectionCode, ReplyPath, Status, Statuses},
    service::{BoxFuture, Invocation},
    transport::{Acker, Disposition},
};

/// An admitted request on its way to its outcome.
pub(crate) struct Work {
    /// The endpoint, one of whose requests this is.
    pub(crate) core: Guard,
    /// Which of the endpoint's bindings it came by.
    pub(crate) binding: usize,
    pub(crate) served: Arc<Served>,
    pub(crate) answered: Option<Answered>,
    pub(crate) wants: Statuses,
    pub(crate) key: Option<Key>,
    pub(crate) acker: Acker,
    pub(crate) job: Arc<Job>,
    pub(crate) method: &'static Method,
    /// How many bytes it came in.
    pub(crate) size: usize,
    pub(crate) place: Place,
    /// It is written down, or is to be.
    pub(crate) record: Option<Box<Record>>,
}

/// What a request takes from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    None,
    /// One in the queue for a handler.
    Queued,
    /// A handler's.
    Handler,
}

impl Work {
    /// Takes its place in the order of these calls, and sets it going. What is returned is still to be done: there is no room for
    /// it, and it is rejected.
    pub(crate) fn begin(mut self: Box<Self>, call: Invocation) -> Option<BoxFuture<'static, ()>> {
        // What is to be written down first has to wait for that.
        let inline = self.method.inline && self.record.is_none();
        // Its turn comes first: who waits for that takes no place from others.
        let turn = self.served.sequence.as_ref().map(|sequence| Box::new(sequence.next()));
        let permitted = turn.as_ref().is_none_or(|turn| turn.has_come()) && self.take_handler();
        if !permitted && let Err(full) = self.enter_queue() {
            drop(turn);
            return Some(Box::pin(self.refuse(full.into())));
        }
        // Boxed here, because spawning moves what it is given several times.
        let mut run = Box::pin(self.run(call, turn));
        if inline && permitted {
            let mut cx = Context::from_waker(Waker::noop());
            // Polled once where it was received; if it is not ready at once it moves to a task of its own.
            if run.as_mut().poll(&mut cx).is_pending() {
                tokio::spawn(run);
            }
        } else {
            tokio::spawn(run);
        }
        None
    }

    /// Runs it, in its turn if there is one to wait for. Everything that is not on the way of a call that only waits for its
    /// outcome is boxed: the task is as small as that way.
    async fn run(mut self: Box<Self>, call: Invocation, mut turn: Option<Box<Turn>>) {
        if self.record.is_some()
            && let Err(outcome) = Box::pin(self.take_charge()).await
        {
            drop(turn);
            return Box::pin(self.refuse(outcome)).await;
        }
        if self.wants.accepted {
            Box::pin(self.status(Status::Accepted)).await;
        }
        if self.place == Place::Queued {
            let taken = Box::pin(self.wait(turn.as_deref_mut())).await;
            self.leave_queue();
            self.place = if taken { Place::Handler } else { Place::None };
        }
        let mut obstacle = self.obstacle();
        if self.record.is_some() {
            if self.is_kept() {
                return;
            }
            self.free_the_bus();
            if obstacle.is_none() {
                obstacle = Box::pin(self.start()).await.err();
            }
        }
        let mut outcome = match obstacle {
            Some(outcome) => outcome,
            None => {
                if self.wants.started {
                    Box::pin(self.status(Status::Started)).await;
                }
                let mut handler = self.handler(call);
                let mut abandoned = pin!(self.core.stage.abandoned());
                let ended = poll_fn(|cx| match Pin::new(&mut handler).poll(cx) {
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
        drop(turn);
        self.release();
        if self.record.is_some() {
            outcome = Box::pin(self.write_down(outcome)).await;
        }
        if let Some(unfinished) = self.conclude(outcome, true) {
            unfinished.await;
        }
    }

    pub(crate) fn binding(&self) -> &Binding {
        &self.core.bindings[self.binding]
    }

    fn handlers(&self) -> &Handlers {
        self.served.lane.as_ref().unwrap_or(&self.core.handlers)
    }

    /// Takes a handler's place, if one is free.
    fn take_handler(&mut self) -> bool {
        let taken = self.handlers().try_take();
        if taken {
            self.place = Place::Handler;
        }
        taken
    }

    /// Takes a place in the queue for a handler, if there is room.
    fn enter_queue(&mut self) -> Result<(), Rejection> {
        // What was taken before a restart is not turned away.
        let taken = self.record.as_ref().is_some_and(|record| record.unwritten.is_none());
        let entered = self.handlers().enter(&self.job.principal, self.size, taken);
        match &entered {
            Ok(()) => self.place = Place::Queued,
            Err(_) => self.binding().counters.overloaded.add(),
        }
        entered
    }

    fn leave_queue(&mut self) {
        self.handlers().leave(&self.job.principal, self.size);
        self.place = Place::None;
    }

    /// Gives back what it takes from others.
    fn release(&mut self) {
        match std::mem::replace(&mut self.place, Place::None) {
            Place::None => {}
            Place::Queued => self.leave_queue(),
            Place::Handler => self.handlers().give_back(),
        }
    }

    async fn status(&self, status: Status) {
        if let Some(to) = self.answered() {
            self.binding().status(&to, status).await;
        }
    }

    /// Who waits for the replies, where they are awaited now.
    fn answered(&self) -> Option<Cow<'_, Answered>> {
        let named = self.answered.as_ref()?;
        Some(match self.job.moved.get() {
            None => Cow::Borrowed(named),
            Some((to, link)) => Cow::Owned(Answered {
                reply: ReplyPath { to, ..named.reply.clone() },
                link: named.link.map(|_| link),
                ..named.clone()
            }),
        })
    }

    /// Waits for its turn and for a handler to end, for being cancelled, or for the endpoint to stop. True with a handler's place.
    async fn wait(&self, turn: Option<&mut Turn>) -> bool {
        let mut acquire = pin!(async {
            if let Some(turn) = turn {
                turn.come().await;
            }
            self.handlers().take().await
        });
        let mut cancelled = pin!(self.job.cancel.wait());
        let mut stopping = pin!(self.core.stage.stopping());
        let mut expired = pin!(until(self.job.deadline));
        poll_fn(|cx| {
            if let Poll::Ready(taken) = acquire.as_mut().poll(cx) {
                return Poll::Ready(taken);
            }
            let gave_up = cancelled.as_mut().poll(cx).is_ready()
                || stopping.as_mut().poll(cx).is_ready()
                || expired.as_mut().poll(cx).is_ready();
            if gave_up { Poll::Ready(false) } else { Poll::Pending }
        })
        .await
    }

    /// Why the method is not run, if it is not.
    fn obstacle(&self) -> Option<Outcome> {
        self.hindrance().map(|outcome| as_far_as_known(outcome, self.job.may_have_run))
    }

    fn hindrance(&self) -> Option<Outcome> {
        let job = &self.job;
        if job.cancel.is_set() {
            Some(Abort::new(AbortReason::Cancelled, "cancelled before it started").into())
        } else if job.deadline.is_some_and(|at| at <= Instant::now()) {
            Some(Rejection::new(RejectionCode::Expired, "").into())
        } else if self.place != Place::Handler || (self.core.stage.is_stopping() && !self.has_begun()) {
            Some(Rejection::new(RejectionCode::Closing, "").into())
        } else if job.may_have_run && !self.method.idempotent {
            let message = "it was delivered before, and may have run then; it is not idempotent, so it is not run again";
            Some(Abort::new(AbortReason::Interrupted, message).into())
        } else {
            None
        }
    }

    /// It never runs: its outcome is kept and sent like any other.
    pub(crate) async fn refuse(mut self: Box<Self>, mut outcome: Outcome) {
        self.release();
        if let Outcome::Rejected(rejection) = &mut outcome {
            if rejection.code == RejectionCode::Busy {
                // A layer need not know how fast this agent is.
                rejection.retry_after.get_or_insert_with(|| self.handlers().hint());
            }
            if rejection.code == RejectionCode::Closing && self.is_kept() {
                return;
            }
            self.binding().counters.rejected.add();
            tracing::debug!(%rejection, method = self.method.name, principal = %self.job.principal, "a request was not admitted");
        }
        let mut outcome = as_far_as_known(outcome, self.job.may_have_run);
        if self.record.is_some() {
            outcome = Box::pin(self.write_down(outcome)).await;
        }
        if let Some(unfinished) = self.conclude(outcome, false) {
            unfinished.await;
        }
    }

    /// The outcome is kept, sent to everybody who asked, and only then is the bus told that the request is done with. What is
    /// left is returned, if that takes waiting. Of what was never accepted the sender is told only as far as its reply address lets
    /// that happen.
    fn conclude(&mut self, outcome: Outcome, accepted: bool) -> Option<BoxFuture<'_, ()>> {
        if let Some(layers) = &self.core.layers {
            let (contract, method, job) = (self.served.contract(), self.method, &*self.job);
            layers.concluded(&Concluded { contract, method, job, binding: self.binding, outcome: &outcome });
        }
        let binding = &self.core.bindings[self.binding];
        let acker = std::mem::replace(&mut self.acker, Acker::settled());
        let attached = match &self.key {
            Some(key) => {
                let mut window = lock(&binding.window);
                let attached = window.finish(&self.job.principal, key, &outcome);
                if let Some(records) = &binding.records {
                    records.note(window.made_room(&self.job.principal));
                }
                attached
            }
            None => Vec::new(),
        };
        // Looked up after that: whoever moves the replies from now on finds the outcome, and sends it.
        if let (Some((to, link)), Some(answered)) = (self.job.moved.get(), &mut self.answered) {
            answered.reply.to = to;
            answered.link = answered.link.map(|_| link);
        }
        let Some(to) = &self.answered else {
            acker.settle(Disposition::Ack);
            attached.into_iter().for_each(|again| again.acker.settle(Disposition::Ack));
            return None;
        };
        let again = (!attached.is_empty()).then(|| (attached, outcome.clone()));
        // Of what is written down the journal keeps the outcome, and the bus nothing.
        let kept = self.job.record.and(binding.records.as_ref()).map(|records| (records, outcome.clone()));
        let told = binding.try_outcome(to, outcome);
        if let (Ok(told), None) = (&told, &again) {
            if *told {
                acker.settle(Disposition::Ack);
            }
            return None;
        }
        Some(Box::pin(async move {
            let told = match told {
                Ok(told) => told,
                Err(unsent) if accepted => binding.outcome_later(to, unsent).await,
                Err(unsent) => binding.answer_later(to, unsent).await,
            };
            if told {
                acker.settle(Disposition::Ack);
            } else if let Some((records, outcome)) = kept {
                records.tell_later(binding, to.clone(), outcome, acker);
            }
            if let Some((attached, outcome)) = again {
                tell(binding, to, told, attached, outcome).await;
            }
        }))
    }
}

/// What was delivered or taken before may have run then, here or elsewhere: nobody can say of it that it never did.
pub(crate) fn as_far_as_known(outcome: Outcome, may_have_run: bool) -> Outcome {
    let now = match &outcome {
        // Which says as much.
        Outcome::Rejected(rejection) if rejection.code == RejectionCode::Stale => return outcome,
        Outcome::Rejected(rejection) if may_have_run => rejection.to_string(),
        Outcome::Aborted(abort) if may_have_run && abort.reason == AbortReason::Cancelled => abort.to_string(),
        _ => return outcome,
    };
    let message = format!("it was delivered before, and may have run then; it is not run again: {now}");
    Abort::new(AbortReason::Interrupted, message).into()
}

impl Drop for Work {
    fn drop(&mut self) {
        self.release();
    }
}

/// Tells those who asked again while it ran. One of them may be what the bus holds now: none is acknowledged before its own address
/// has been told.
pub(crate) async fn tell(binding: &Binding, first: &Answered, told: bool, attached: Vec<Attached>, outcome: Outcome) {
    for Attached { reply, link, acker } in attached {
        let reply = reply.unwrap_or_else(|| first.reply.clone());
        let again = Answered { reply, link: link.or(first.link), ..first.clone() };
        let elsewhere = again.reply != first.reply || again.link != first.link;
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

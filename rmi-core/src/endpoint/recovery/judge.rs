//! What becomes of a request that was found.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    address::Address,
    context::{Cancellation, Job, Moved, Steps},
    endpoint::{
        WeakEndpoint,
        admission::{Key, Restored},
        binding::{Answered, Binding},
        dispatch::{Core, wanted},
        inbound,
        recovery::{Ending, GONE, Resuming, Tally},
    },
    journal::{Accepted, Entry, RecoveredRequest, RequestId, State},
    lock::lock,
    message::{Abort, AbortReason, Body, Head, Message, Outcome, Rejection, RejectionCode, Request, Statuses},
    protocol::{Replies, Serials},
    text::Text,
    time::Timestamp,
    transport::{Acker, Delivery},
};

pub(super) enum Judged {
    /// It is remembered, or has nothing left to be remembered for.
    Known(Option<RequestId>),
    Ends(Box<Ending>),
    Runs(Box<Resuming>),
}

/// Says what becomes of a request, and remembers it.
pub(super) fn judge(core: &Arc<Core>, binding: &Arc<Binding>, request: RecoveredRequest, most: u32, tally: &mut Tally) -> Judged {
    let RecoveredRequest { id, entry, accepted, attempts, cancelled, moved, state } = request;
    // A serial number that is good on one link has ended with it.
    let key = entry.sn.as_ref().filter(|_| binding.features.serials == Serials::Global).map(|sn| {
        let key = Key::new(sn, None);
        if entry.by_text { key.by_text(entry.digest) } else { key }
    });
    let remember = |known: Restored| match &key {
        Some(key) => {
            lock(&binding.window).restore(&entry, key.clone(), id, known);
            true
        }
        None => false,
    };
    let outcome = match state {
        State::Open => None,
        State::Concluded(outcome) => Some(outcome),
        State::Faded | State::Barred => {
            let kept = remember(if state == State::Faded { Restored::Forgotten } else { Restored::Barred });
            tally.remembered += usize::from(kept);
            return Judged::Known((!kept).then_some(id));
        }
    };
    let index = binding.index;
    let read = accepted.as_deref().map(|accepted| again(binding, accepted));
    let answered = answered(binding, &entry, accepted.as_deref(), moved, read.as_ref());
    if let Some(outcome) = outcome {
        let kept = remember(Restored::Done(outcome.clone()));
        if accepted.is_none() {
            tally.remembered += usize::from(kept);
            return Judged::Known((!kept).then_some(id));
        }
        tally.unconfirmed += 1;
        return Judged::Ends(Box::new(Ending { binding: index, id, entry, key, answered, outcome, job: None }));
    }
    let job = |head: Option<&Head>, group: Option<Text>, wants: Statuses, lends: bool| {
        let cancel = Cancellation::default();
        if cancelled {
            cancel.set();
        }
        Arc::new(Job {
            binding: index,
            link: GONE,
            sn: entry.sn.clone(),
            principal: entry.principal.clone(),
            deadline: accepted.as_ref().and_then(|a| a.expires).and_then(|at| deadline(binding, at)),
            data: head.and_then(|head| head.data.clone()),
            trace: head.and_then(|head| head.trace.clone()),
            group,
            attempt: attempts.saturating_add(1),
            redelivered: false,
            may_have_run: attempts > 0,
            record: Some(id),
            cancel,
            moved: Moved::default(),
            progress: Steps::new(wants.progress),
            endpoint: if lends { core.weak.clone() } else { WeakEndpoint::none() },
        })
    };
    let found = match read {
        // Who may not be heard any more, or is not understood any more, is not served any more.
        Some(Err(rejection)) => Err(rejection),
        Some(Ok((head, request))) => match core.find(binding, &request) {
            Ok((served, method)) => Ok((head, request, Arc::clone(served), method)),
            Err(rejection) => Err(rejection),
        },
        None => Err(Rejection::new(RejectionCode::Malformed, "what was kept of it cannot be read any more")),
    };
    let idempotent = found.as_ref().is_ok_and(|(_, _, served, method)| served.contract().methods[*method].idempotent);
    let damaged = accepted.is_none();
    let abort = |reason, message: &str| Err(Outcome::from(Abort::new(reason, message)));
    let verdict = if damaged || (attempts > 0 && !idempotent) || (attempts > 0 && cancelled) {
        tally.interrupted += 1;
        abort(AbortReason::Interrupted, "the agent stopped while it ran, or may have run; it is not run again")
    } else if attempts >= most {
        tally.poisoned += 1;
        let message = format!("the agent stopped {attempts} times while it ran; it is not run again");
        abort(AbortReason::Poisoned, &message)
    } else if cancelled {
        tally.ended += 1;
        abort(AbortReason::Cancelled, "cancelled before it started")
    } else {
        found.map_err(|rejection| {
            tally.ended += 1;
            Outcome::from(rejection)
        })
    };
    match verdict {
        Err(outcome) => {
            let job = job(None, None, Statuses::NONE, false);
            remember(Restored::Running(Arc::clone(&job)));
            Judged::Ends(Box::new(Ending { binding: index, id, entry, key, answered, outcome, job: Some(job) }))
        }
        Ok((head, request, served, method)) => {
            if attempts == 0 {
                tally.not_started += 1
            } else {
                tally.again += 1
            }
            let called = &served.contract().methods[method];
            let mut wants = wanted(answered.as_ref(), called, &request);
            // Whoever was told that it started need not hear that it was accepted.
            wants.accepted &= attempts == 0;
            let job = job(Some(&head), request.group.clone(), wants, called.context || core.layers.is_some());
            remember(Restored::Running(Arc::clone(&job)));
            let size = accepted.as_ref().map_or(0, |accepted| accepted.received.payload.len());
            Judged::Runs(Box::new(Resuming {
                binding: index,
                id,
                key,
                served,
                index: method,
                head,
                request,
                answered,
                wants,
                size,
                job,
            }))
        }
    }
}

/// Reads a request again as it came in: its sender is verified as if it came now, and may have lost its key since.
fn again(binding: &Arc<Binding>, accepted: &Accepted) -> Result<(Head, Request), Rejection> {
    let it = accepted.received.clone();
    let mut delivery = Delivery::new(it.payload, it.key, it.purpose, Acker::settled());
    (delivery.exchange, delivery.properties, delivery.peer, delivery.link) = (it.exchange, it.properties, it.peer, GONE);
    // It was let in at this address then.
    let opened = inbound::open(binding, None, vec![delivery]).pop();
    let not_again = || Rejection::new(RejectionCode::Malformed, "it is not what it was when it was accepted");
    match opened.map(|opened| opened.content) {
        Some(Ok(verified)) => match *verified.message {
            Message { head, body: Body::Request(request) } if verified.principal == accepted.entry.principal => {
                Ok((head, request))
            }
            _ => Err(not_again()),
        },
        Some(Err(unreadable)) => Err(*unreadable.refused.rejection),
        None => Err(not_again()),
    }
}

/// Who waits for what becomes of it, as far as that is known.
fn answered(
    binding: &Binding,
    entry: &Entry,
    accepted: Option<&Accepted>,
    moved: Option<Address>,
    read: Option<&Result<(Head, Request), Rejection>>,
) -> Option<Answered> {
    let mut reply = accepted?.reply.clone()?;
    if let Some(to) = moved {
        reply.to = to;
    }
    let data = read.and_then(|read| read.as_ref().ok()).and_then(|(head, _)| head.data.clone());
    let link = (binding.features.replies == Replies::SameLink).then_some(GONE);
    Some(Answered { sn: entry.sn.clone(), reply, data, link })
}

/// When it is too late to start it, by the clock that runs on.
fn deadline(binding: &Binding, expires: Timestamp) -> Option<Instant> {
    let left = expires.as_millis().saturating_sub(binding.clock.now().as_millis());
    Instant::now().checked_add(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
}

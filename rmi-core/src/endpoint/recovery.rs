//! What an endpoint finds in its journal when it starts, and what becomes of it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::Instant};

use crate::{
    address::Address,
    context::{Cancellation, Job, Moved, Steps},
    endpoint::{
        WeakEndpoint,
        admission::{Key, Restored},
        binding::{Answered, Binding},
        classes::Served,
        dispatch::{Core, incoming, wanted},
        inbound,
        records::Records,
        shutdown::Guard,
        work::{
            Place, Work,
            record::{self, Record},
        },
    },
    journal::{Accepted, Entry, Floor, Journal, JournalError, Recovered, RecoveredRequest, RequestId, State, Step},
    lock::lock,
    message::{Abort, AbortReason, Body, Head, Message, Outcome, Rejection, RejectionCode, Request, Statuses},
    protocol::{Replies, Serials},
    service::Invocation,
    text::Text,
    time::Timestamp,
    transport::{Acker, Delivery, Disposition, LinkId},
};

/// The link of a request that came by one which is no more: no transport gives a link this name.
const GONE: LinkId = LinkId(u64::MAX);
/// How many outcomes are sent again at a time.
const AT_A_TIME: usize = 64;

/// A journal that has been read, and what was in it.
pub(crate) struct Found {
    pub(crate) records: Arc<Records>,
    recovered: Recovered,
    steps: Vec<Step>,
}

/// Reads a journal.
pub(crate) async fn read(journal: Arc<dyn Journal>, now: Timestamp) -> Result<Found, JournalError> {
    let mut recovered = journal.recover().await?;
    let last = recovered.requests.iter().map(|r| r.id).chain(recovered.stray.iter().copied()).max();
    let records = Records::new(journal, last.unwrap_or(RequestId(0)));
    let lost = &recovered.lost;
    if !lost.is_empty() {
        tracing::error!(records = lost.records, named = ?lost.named, "a part of the journal could not be read, and is set aside");
    }
    let mut steps: Vec<Step> = recovered.stray.drain(..).map(|id| Step::Forgotten { id }).collect();
    if !lost.is_empty() {
        // What is missing may have been anything, of any binding that was ever here.
        for binding in recovered.since.keys() {
            steps.push(Step::Since { binding: binding.clone(), at: Timestamp::MIN });
            steps.push(Step::Floor { binding: binding.clone(), principal: None, at: now });
        }
    }
    Ok(Found { records, recovered, steps })
}

impl Found {
    /// Since when everything that came by a binding is here, as is said from now on.
    pub(crate) fn since(&mut self, binding: &Text, now: Timestamp) -> Timestamp {
        let written = self.recovered.since.get(binding).copied();
        let whole = self.recovered.lost.is_empty();
        let since = written.filter(|_| whole).unwrap_or(now);
        if written != Some(since) || !whole {
            self.steps.push(Step::Since { binding: binding.clone(), at: since });
        }
        since
    }

    /// What comes by a binding is not written down this time.
    pub(crate) fn not_used(&mut self, binding: &Text) {
        if self.recovered.since.contains_key(binding) {
            self.steps.push(Step::Since { binding: binding.clone(), at: Timestamp::MIN });
        }
    }

    /// Writes down what has been found out.
    pub(crate) async fn write(&mut self) {
        let steps = std::mem::take(&mut self.steps);
        if !steps.is_empty()
            && let Err(error) = self.records.record(steps.clone()).await
        {
            // Before anything else is written, when that can be done.
            self.records.note(steps);
            tracing::error!(%error, "the journal can be read, and not written: requests are rejected until it can");
        }
    }
}

/// What became of what was found, for the log.
#[derive(Debug, Default)]
struct Tally {
    not_started: usize,
    again: usize,
    interrupted: usize,
    poisoned: usize,
    ended: usize,
    unconfirmed: usize,
    remembered: usize,
}

/// A request whose outcome is to be sent.
struct Ending {
    binding: usize,
    id: RequestId,
    entry: Entry,
    key: Option<Key>,
    answered: Option<Answered>,
    outcome: Outcome,
    /// What the window knows it by until its outcome is written down; none when the journal has that already.
    job: Option<Arc<Job>>,
}

/// A request that is to run.
struct Resuming {
    binding: usize,
    id: RequestId,
    key: Option<Key>,
    served: Arc<Served>,
    index: usize,
    head: Head,
    request: Request,
    answered: Option<Answered>,
    wants: Statuses,
    /// How many bytes it came in.
    size: usize,
    job: Arc<Job>,
}

/// Fills the windows, and sets going what is to run, as soon as the endpoint is started. Nothing is received before this returns.
pub(crate) fn resume(core: &Arc<Core>, found: Found, attempts: u32) {
    let Found { records, recovered, .. } = found;
    let Recovered { requests, floors, lost, .. } = recovered;
    let known: HashMap<Text, &Arc<Binding>> =
        core.bindings.iter().filter(|b| b.records.is_some()).map(|b| (b.recorded_as.clone(), b)).collect();
    let mut aside: HashMap<Text, usize> = HashMap::new();
    for floor in &floors {
        if let Some(binding) = known.get(&floor.binding) {
            lock(&binding.window).restore_floor(floor);
        }
    }
    if !lost.is_empty() {
        distrust(core, &records);
    }
    let (mut resuming, mut endings, mut tally) = (Vec::new(), Vec::new(), Tally::default());
    for request in requests {
        let Some(binding) = known.get(&request.entry.binding) else {
            *aside.entry(request.entry.binding).or_default() += 1;
            continue;
        };
        match judge(core, binding, request, attempts, &mut tally) {
            Judged::Known(forgotten) => records.note(forgotten.map(|id| Step::Forgotten { id }).into_iter().collect()),
            Judged::Ends(ending) => endings.push(*ending),
            Judged::Runs(it) => resuming.push(*it),
        }
    }
    for (binding, requests) in aside {
        tracing::error!(
            %binding, requests,
            "the journal has requests of a binding that this endpoint does not have: they are left there; start it with that binding"
        );
    }
    if !resuming.is_empty() || !endings.is_empty() || tally.remembered > 0 {
        tracing::info!(endpoint = %core.name, ?tally, "the journal was recovered");
    }
    for it in resuming {
        core.bindings[it.binding].counters.recovered.add();
        run(core, &records, it);
    }
    tokio::spawn(end(Arc::clone(core), records, endings));
}

/// Where records are lost, what is dated before may be a replay of one of them.
fn distrust(core: &Core, records: &Records) {
    let dated = |binding: &&Arc<Binding>| binding.records.is_some() && binding.authenticator().is_some_and(|a| a.demands().dated);
    for binding in core.bindings.iter().filter(dated) {
        let floor = Floor { binding: binding.recorded_as.clone(), principal: None, at: binding.clock.now() };
        lock(&binding.window).restore_floor(&floor);
        let Floor { binding, principal, at } = floor;
        records.note(vec![Step::Floor { binding, principal, at }]);
    }
}

enum Judged {
    /// It is remembered, or has nothing left to be remembered for.
    Known(Option<RequestId>),
    Ends(Box<Ending>),
    Runs(Box<Resuming>),
}

/// Says what becomes of a request, and remembers it.
fn judge(core: &Arc<Core>, binding: &Arc<Binding>, request: RecoveredRequest, most: u32, tally: &mut Tally) -> Judged {
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

/// Sets a request going: it takes its turn now, and runs when the endpoint is started.
fn run(core: &Arc<Core>, records: &Arc<Records>, it: Resuming) {
    let Resuming { binding, id, key, served, index, head, request, answered, wants, size, job } = it;
    let method = &served.contract().methods[index];
    let call = Invocation {
        contract: served.contract(),
        index,
        cntr: request.cntr,
        args: request.args,
        max_args: core.bindings[binding].limits.arguments,
        job: Arc::clone(&job),
    };
    let acker = records.acker(id, key.is_some());
    let record = Some(Box::new(Record { id, records: Arc::clone(records), unwritten: None, started: false, bus: None }));
    let running = Guard::enter(core, |core| &core.running);
    let place = Place::None;
    let work = Box::new(Work { core: running, binding, served, answered, wants, key, acker, job, method, size, place, record });
    match &core.layers {
        // It has been promised a place.
        None => drop(work.begin(call)),
        Some(layers) => layers.admit_again(incoming(&core.bindings[binding], head, &call), work, call),
    }
}

/// Sends the outcomes of what does not run, and those that nobody has confirmed.
async fn end(core: Arc<Core>, records: Arc<Records>, endings: Vec<Ending>) {
    core.stage.started().await;
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    for ending in endings {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        if core.stage.is_closed() {
            // They are still there at the next start.
            return;
        }
        let (running, records) = (Guard::enter(&core, |core| &core.running), Arc::clone(&records));
        tokio::spawn(async move {
            ending.send(&running, &records).await;
            drop((place, running));
        });
    }
}

impl Ending {
    async fn send(self, core: &Core, records: &Arc<Records>) {
        let Ending { binding, id, entry, key, mut answered, mut outcome, job } = self;
        let binding = &core.bindings[binding];
        let acker = records.acker(id, key.is_some());
        let mut attached = Vec::new();
        if let Some(job) = job {
            outcome = record::conclude(records, id, outcome).await.0;
            if let Some(key) = &key {
                attached = lock(&binding.window).finish(&entry.principal, key, &outcome);
            }
            // Whoever asked for it until now was told that it is still to end.
            if let (Some((to, link)), Some(answered)) = (job.moved.get(), &mut answered) {
                answered.reply.to = to;
                answered.link = answered.link.map(|_| link);
            }
        }
        let told = match &answered {
            Some(to) => binding.outcome(to, outcome.clone()).await,
            None => true,
        };
        if told {
            acker.settle(Disposition::Ack);
        } else if let Some(to) = &answered {
            records.tell_later(binding, to.clone(), outcome.clone(), acker);
        }
        if let Some(to) = &answered {
            crate::endpoint::work::tell(binding, to, told, attached, outcome).await;
        }
    }
}

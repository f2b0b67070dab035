//! What an endpoint finds in its journal when it starts, and what becomes of it.

mod ending;
mod found;
mod judge;

use std::{collections::HashMap, sync::Arc};

pub(crate) use self::found::{Found, read};
use self::{
    ending::{Ending, end},
    judge::{Judged, judge},
};
use crate::{
    context::Job,
    endpoint::{
        admission::Key,
        binding::{Answered, Binding},
        classes::Served,
        dispatch::{Core, incoming},
        records::Records,
        shutdown::Guard,
        work::{Place, Work, record::Record},
    },
    journal::{Floor, Recovered, RequestId, Step},
    lock::lock,
    message::{Head, Request, Statuses},
    service::Invocation,
    text::Text,
    transport::LinkId,
};

/// The link of a request that came by one which is no more: no transport gives a link this name.
const GONE: LinkId = LinkId(u64::MAX);

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

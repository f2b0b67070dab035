//! The window as a journal keeps it: what is written down when something has to make room, and how it is filled again.

use std::sync::Arc;

use crate::{
    context::Job,
    endpoint::admission::{
        Key, Window,
        lane::{Entry, Kept, Lane, State},
    },
    journal::{self, Floor, RequestId, Step},
    message::Outcome,
    seal::Principal,
    time::Timestamp,
};

/// How many requests have to make room before that is written down. Those that are forgotten here and not there are forgotten
/// again after a restart.
const AT_ONCE: usize = 64;

/// What is known of a request that came before a restart.
pub(crate) enum Restored {
    /// It is to run, or to be ended.
    Running(Arc<Job>),
    /// It has ended so.
    Done(Outcome),
    /// It has run.
    Forgotten,
    /// It may not run.
    Barred,
}

impl Window {
    /// What is to be written down of what had to make room, of this principal and of those that were forgotten.
    pub(crate) fn made_room(&mut self, principal: &Principal) -> Vec<Step> {
        let Some(binding) = self.recorded_as.clone() else { return Vec::new() };
        let mut steps = std::mem::take(&mut self.made_room);
        let lane = self.lane(principal);
        steps.extend(lane.faded.drain(..).map(|id| Step::Faded { id }));
        if lane.forgotten.len() >= AT_ONCE {
            // The floor first: there is no moment at which they are neither known nor below it.
            steps.push(Step::Floor { binding, principal: Some(principal.clone()), at: lane.floor });
            steps.extend(lane.forgotten.drain(..).map(|id| Step::Forgotten { id }));
        }
        steps
    }

    /// A principal had to make room, with everything that it had asked for.
    pub(super) fn forget(&mut self, principal: Principal, lane: Lane) {
        let Some(binding) = self.recorded_as.clone() else { return };
        let gone = lane.forgotten.into_iter().chain(lane.entries.into_values().filter_map(|entry| entry.record));
        self.made_room.push(Step::Floor { binding: binding.clone(), principal: None, at: self.floor });
        self.made_room.extend(gone.map(|id| Step::Forgotten { id }));
        self.made_room.push(Step::Floor { binding, principal: Some(principal), at: Timestamp::MIN });
    }

    /// Raises a floor to what it was.
    pub(crate) fn restore_floor(&mut self, floor: &Floor) {
        let raised = match &floor.principal {
            Some(principal) => &mut self.lane(principal).floor,
            None => &mut self.floor,
        };
        *raised = floor.at.max(*raised);
    }

    /// Remembers a request that came before a restart, after those that came before it.
    pub(crate) fn restore(&mut self, entry: &journal::Entry, key: Key, record: RequestId, known: Restored) {
        self.turn += 1;
        let (turn, size) = (self.turn, self.size);
        let lane = self.lane(&entry.principal);
        lane.used = turn;
        let state = match known {
            Restored::Running(job) => State::Running { job, attached: Vec::new() },
            Restored::Done(outcome) => State::Done(Kept::new(&outcome)),
            Restored::Forgotten => State::Forgotten,
            Restored::Barred => State::Barred,
        };
        let sent = entry.sent.unwrap_or(Timestamp::MIN);
        let entry = Entry { digest: entry.digest, sent, turn, record: Some(record), state };
        let weight = entry.weight();
        if weight > 0 {
            lane.bytes += weight;
            lane.kept.push_back((key.clone(), turn));
        }
        lane.insert(key, entry);
        lane.shrink(size.requests);
        lane.slim(size.bytes);
    }
}

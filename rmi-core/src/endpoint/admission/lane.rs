//! What one principal has asked for: its requests, their outcomes, and what had to make room.

use std::{
    collections::{VecDeque, hash_map::Entry as TableEntry},
    sync::Arc,
};

use crate::{
    context::Job,
    endpoint::admission::{Attached, Candidate, Key, Verdict},
    journal::RequestId,
    json::Json,
    message::{Outcome, Rejection, RejectionCode},
    protocol::Limits,
    table::Table,
    time::Timestamp,
};

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) entries: Table<Key, Entry>,
    /// Every entry, oldest first.
    pub(super) order: VecDeque<Key>,
    /// The entries whose outcome weighs something, oldest first.
    pub(super) kept: VecDeque<(Key, u64)>,
    pub(super) bytes: usize,
    /// How many of the entries run.
    pub(super) running: usize,
    pub(super) floor: Timestamp,
    pub(super) used: u64,
    /// What had to make room and is still in the journal.
    pub(super) forgotten: Vec<RequestId>,
    /// Whose outcome had to, and is still there.
    pub(super) faded: Vec<RequestId>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) digest: u64,
    pub(super) sent: Timestamp,
    /// Tells it from an earlier request with the same serial number.
    pub(super) turn: u64,
    /// What the journal calls it, where there is one.
    pub(super) record: Option<RequestId>,
    pub(super) state: State,
}

#[derive(Debug)]
pub(super) enum State {
    Running {
        job: Arc<Job>,
        attached: Vec<Attached>,
    },
    Done(Kept),
    /// It has run, and its outcome had to make room.
    Forgotten,
    /// Its caller has been told that it had not come: it may not run any more.
    Barred,
}

/// An outcome as it is kept: nearly all are results, and the table is as small as they are.
#[derive(Debug)]
pub(super) enum Kept {
    Result(Json),
    Other(Box<Outcome>),
}

impl Kept {
    pub(super) fn new(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Result(json) => Kept::Result(json.clone()),
            other => Kept::Other(Box::new(other.clone())),
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Kept::Result(json) => Outcome::Result(json.clone()),
            Kept::Other(outcome) => (**outcome).clone(),
        }
    }

    /// The bytes that it keeps, if they are worth counting: small ones are bounded by the number of requests.
    pub(super) fn weight(&self) -> usize {
        const SMALL: usize = 256;
        let bytes = match self {
            Kept::Result(json) => json.as_str().len(),
            Kept::Other(outcome) => match &**outcome {
                Outcome::Result(json) => json.as_str().len(),
                Outcome::Exception(e) => e.exval.len() + e.xargs.as_str().len() + e.xstate.as_str().len(),
                Outcome::Rejected(r) => r.description.len() + r.details.len(),
                Outcome::Aborted(a) => a.message.len(),
            },
        };
        if bytes > SMALL { bytes } else { 0 }
    }
}

/// How many of those who asked again for what runs are kept until it ends.
const ATTACHED: usize = 16;

impl Default for Lane {
    fn default() -> Self {
        Lane {
            entries: Table::default(),
            order: VecDeque::new(),
            kept: VecDeque::new(),
            bytes: 0,
            running: 0,
            floor: Timestamp::MIN,
            used: 0,
            forgotten: Vec::new(),
            faded: Vec::new(),
        }
    }
}

impl Entry {
    fn runs(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    pub(super) fn job(&self) -> Option<Arc<Job>> {
        match &self.state {
            State::Running { job, .. } => Some(Arc::clone(job)),
            State::Done(_) | State::Forgotten | State::Barred => None,
        }
    }

    pub(super) fn weight(&self) -> usize {
        match &self.state {
            State::Done(kept) => kept.weight(),
            State::Running { .. } | State::Forgotten | State::Barred => 0,
        }
    }

    pub(super) fn again(&mut self, asked: &mut Option<Attached>) -> Verdict {
        match &mut self.state {
            State::Running { attached, .. } => {
                attached.extend(asked.take());
                // The newest are kept: after a link loss they are what the bus still holds.
                if attached.len() > ATTACHED {
                    *asked = Some(attached.remove(0));
                }
                Verdict::Attached
            }
            State::Done(kept) => Verdict::Done(kept.outcome()),
            State::Forgotten => {
                let details = "it has run, and its outcome is no longer kept";
                Verdict::Rejected(Rejection::new(RejectionCode::Stale, details))
            }
            State::Barred => {
                let details = "its caller has been told that it would not run, because it had not come";
                Verdict::Rejected(Rejection::new(RejectionCode::Stale, details))
            }
        }
    }
}

impl Lane {
    /// Remembers a request as the newest. What was known under its key goes.
    pub(super) fn insert(&mut self, key: Key, entry: Entry) {
        self.running += usize::from(entry.runs());
        match self.entries.insert(key.clone(), entry) {
            Some(reused) => {
                self.running -= usize::from(reused.runs());
                self.bytes -= reused.weight();
                self.forgotten.extend(reused.record);
            }
            None => self.order.push_back(key),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.running == 0
    }

    pub(super) fn fresh(&self, it: &Candidate<'_>, now: Timestamp, limits: &Limits, floor: Timestamp) -> Result<(), Rejection> {
        let stale = |details: String| Err(Rejection::new(RejectionCode::Stale, details));
        let Some(sent) = it.sent else { return stale("it has no date".to_owned()) };
        if sent > now.plus(limits.skew) {
            return stale(format!("it is dated {sent}, and it is {now} here: compare the clocks"));
        }
        let age = it.ttl.unwrap_or(limits.max_age);
        if now > sent.plus(age).plus(limits.skew) {
            return stale(format!("it is dated {sent}, and it is {now} here"));
        }
        let floor = self.floor.max(floor);
        if sent <= floor {
            return stale(format!("it is dated {sent}, and what came before {floor} is no longer remembered"));
        }
        Ok(())
    }

    /// Makes room for the newest: the oldest that does not run goes, and raises the floor.
    pub(super) fn shrink(&mut self, most: usize) {
        let mut running = 0;
        while self.entries.len() > most && running < self.order.len() {
            let Some(key) = self.order.pop_front() else { return };
            let TableEntry::Occupied(entry) = self.entries.entry(key) else { continue };
            if entry.get().runs() {
                self.order.push_back(entry.key().clone());
                running += 1;
            } else {
                let entry = entry.remove();
                self.bytes -= entry.weight();
                self.floor = self.floor.max(entry.sent);
                self.forgotten.extend(entry.record);
            }
        }
    }

    /// Makes room for the newest outcome: the oldest outcomes go.
    pub(super) fn slim(&mut self, most: usize) {
        while self.bytes > most {
            let Some((key, turn)) = self.kept.pop_front() else { return };
            if let Some(entry) = self.entries.get_mut(&key).filter(|e| e.turn == turn) {
                self.bytes -= entry.weight();
                entry.state = State::Forgotten;
                self.faded.extend(entry.record);
            }
        }
        // What was evicted by count is still in this list; it is cleared before it is much longer than the window.
        if self.kept.len() > 2 * self.entries.len() + 64 {
            let entries = &self.entries;
            self.kept.retain(|(key, turn)| entries.get(key).is_some_and(|e| e.turn == *turn));
        }
    }
}

//! Duplicates and replays are one look-up: what a principal has asked for before, and how it ended.

mod key;
mod lane;
mod restore;
mod size;

use std::{sync::Arc, time::Duration};

pub(crate) use self::key::{Key, uuid_of};
use self::lane::{Entry, Kept, Lane, State};
pub(crate) use self::restore::Restored;
pub use self::size::WindowSize;
use crate::{
    address::Address,
    context::Job,
    journal::{RequestId, Step},
    message::{Outcome, Rejection, RejectionCode, ReplyPath},
    protocol::Limits,
    seal::Principal,
    table::Table,
    text::Text,
    time::Timestamp,
    transport::{Acker, LinkId},
};

/// How many principals are remembered. The one that was idle longest goes, and its floor stays for all.
const PRINCIPALS: usize = 4096;

/// A request as the window sees it.
pub(crate) struct Candidate<'a> {
    pub(crate) principal: &'a Principal,
    /// What it is remembered under, when it is admitted.
    pub(crate) key: &'a mut Key,
    pub(crate) digest: u64,
    pub(crate) sent: Option<Timestamp>,
    pub(crate) ttl: Option<Duration>,
    /// What the journal is to call it, where there is one.
    pub(crate) record: Option<RequestId>,
}

/// What the window says to a request.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is new, and is now remembered as running.
    New,
    /// It runs: whoever asked again is told the outcome as well.
    Attached,
    /// It has run.
    Done(Outcome),
    /// It may not run.
    Rejected(Rejection),
}

/// What is known of a request whose caller has lost its reply address.
#[derive(Debug)]
pub(crate) enum Resumed {
    /// It waits or runs, and its replies go to the new address from now on.
    Running(Option<RequestId>),
    /// It has ended so.
    Done(Outcome),
    /// It has run.
    Forgotten,
    /// It has not come, and does not run any more.
    Barred,
}

/// Somebody who asked again for what already runs.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) reply: Option<ReplyPath>,
    /// The link that its replies take, where they go by links.
    pub(crate) link: Option<LinkId>,
    pub(crate) acker: Acker,
}

/// What one binding has been asked for.
#[derive(Debug)]
pub(crate) struct Window {
    lanes: Table<Principal, Lane>,
    /// That of all who are nobody in particular: on an unsealed binding, everybody.
    anonymous: Lane,
    size: WindowSize,
    /// Set on sealed bindings: dates are demanded and checked.
    fresh: Option<Limits>,
    /// The highest floor of a principal that was forgotten.
    floor: Timestamp,
    turn: u64,
    /// What the binding is called in the journal, where it has one.
    recorded_as: Option<Text>,
    /// What is to be said there of principals that were forgotten.
    made_room: Vec<Step>,
}

impl Window {
    pub(crate) fn new(size: WindowSize, fresh: Option<Limits>, recorded_as: Option<Text>) -> Self {
        let (lanes, anonymous) = (Table::default(), Lane::default());
        Window { lanes, anonymous, size, fresh, floor: Timestamp::MIN, turn: 0, recorded_as, made_room: Vec::new() }
    }

    /// Looks a request up, and remembers it when it is new. `asked` is taken out when it was attached to a running request; what
    /// is there then is one that was attached before, is kept no longer, and is to be acknowledged.
    pub(crate) fn admit(
        &mut self,
        candidate: &mut Candidate<'_>,
        now: impl FnOnce() -> Timestamp,
        job: &Arc<Job>,
        asked: &mut Option<Attached>,
    ) -> Verdict {
        self.turn += 1;
        let turn = self.turn;
        let (sealed, size, floor) = (self.fresh, self.size, self.floor);
        let lane = self.lane(candidate.principal);
        lane.used = turn;
        if let Some(entry) = lane.entries.get_mut(candidate.key) {
            if entry.digest == candidate.digest || matches!(entry.state, State::Barred) {
                return entry.again(asked);
            }
            if sealed.is_some() {
                return Verdict::Rejected(Rejection::new(RejectionCode::Reused, ""));
            }
            // Unsealed, it is another's or a new one. What runs keeps the number; the other is told from it by its text.
            let taken = matches!(entry.state, State::Running { .. });
            let by_text = candidate.key.clone().by_text(candidate.digest);
            if let Some(entry) = lane.entries.get_mut(&by_text) {
                return entry.again(asked);
            }
            if taken {
                *candidate.key = by_text;
            }
        }
        if let Some(limits) = sealed
            && let Err(rejection) = lane.fresh(candidate, now(), &limits, floor)
        {
            return Verdict::Rejected(rejection);
        }
        let state = State::Running { job: Arc::clone(job), attached: Vec::new() };
        let sent = candidate.sent.unwrap_or(Timestamp::MIN);
        let entry = Entry { digest: candidate.digest, sent, turn, record: candidate.record, state };
        lane.insert(candidate.key.clone(), entry);
        lane.shrink(size.requests);
        Verdict::New
    }

    /// A request has ended: its outcome is kept, and those who asked again are returned.
    pub(crate) fn finish(&mut self, principal: &Principal, key: &Key, outcome: &Outcome) -> Vec<Attached> {
        let size = self.size;
        let Some(lane) = self.lane_of_mut(principal) else { return Vec::new() };
        let Some(entry) = lane.entries.get_mut(key) else { return Vec::new() };
        let kept = Kept::new(outcome);
        let weight = kept.weight();
        let ended = std::mem::replace(&mut entry.state, State::Done(kept));
        if weight > 0 {
            lane.bytes += weight;
            lane.kept.push_back((key.clone(), entry.turn));
            lane.slim(size.bytes);
        }
        match ended {
            State::Running { attached, .. } => {
                lane.running -= 1;
                attached
            }
            State::Done(_) | State::Forgotten | State::Barred => Vec::new(),
        }
    }

    /// Moves the replies of a request to another address: to whoever sent it, or may ask for it instead.
    pub(crate) fn resume(&mut self, owners: &[Principal], key: &Key, to: &Address, link: LinkId) -> Option<Resumed> {
        owners.iter().find_map(|owner| match &self.lane_of(owner)?.entries.get(key)?.state {
            State::Running { job, .. } => {
                job.moved.set(to.clone(), link);
                Some(Resumed::Running(job.record))
            }
            State::Done(kept) => Some(Resumed::Done(kept.outcome())),
            State::Forgotten => Some(Resumed::Forgotten),
            State::Barred => Some(Resumed::Barred),
        })
    }

    /// Up to which date requests of a principal may have come and been forgotten.
    pub(crate) fn floor(&self, principal: &Principal) -> Timestamp {
        self.lane_of(principal).map_or(self.floor, |lane| lane.floor.max(self.floor))
    }

    /// Sees to it that a request which has not come is rejected if it does.
    pub(crate) fn bar(&mut self, principal: &Principal, key: Key, sent: Timestamp, record: Option<RequestId>) {
        self.turn += 1;
        let (turn, most) = (self.turn, self.size.requests);
        let lane = self.lane(principal);
        lane.used = turn;
        lane.insert(key, Entry { digest: 0, sent, turn, record, state: State::Barred });
        lane.shrink(most);
    }

    /// Everybody whose requests are remembered.
    pub(crate) fn principals(&self) -> Vec<Principal> {
        let anonymous = (!self.anonymous.entries.is_empty()).then_some(Principal::Anonymous);
        self.lanes.keys().cloned().chain(anonymous).collect()
    }

    /// The requests of a principal that run under a serial number: on an unsealed binding there may be several.
    pub(crate) fn running(&self, principal: &Principal, key: &Key) -> Vec<Arc<Job>> {
        let Some(lane) = self.lane_of(principal) else { return Vec::new() };
        if self.fresh.is_some() {
            return lane.entries.get(key).and_then(Entry::job).into_iter().collect();
        }
        let alike = |(other, _): &(&Key, _)| other.serial == key.serial && other.link == key.link;
        lane.entries.iter().filter(alike).filter_map(|(_, entry)| entry.job()).collect()
    }

    /// All requests of a principal that run.
    pub(crate) fn all_running(&self, principal: &Principal) -> Vec<Arc<Job>> {
        self.lane_of(principal).map(|lane| lane.entries.values().filter_map(Entry::job).collect()).unwrap_or_default()
    }

    /// How many requests are remembered.
    pub(crate) fn len(&self) -> usize {
        self.lanes.values().map(|lane| lane.entries.len()).sum::<usize>() + self.anonymous.entries.len()
    }

    fn lane_of(&self, principal: &Principal) -> Option<&Lane> {
        if *principal == Principal::Anonymous { Some(&self.anonymous) } else { self.lanes.get(principal) }
    }

    fn lane_of_mut(&mut self, principal: &Principal) -> Option<&mut Lane> {
        if *principal == Principal::Anonymous { Some(&mut self.anonymous) } else { self.lanes.get_mut(principal) }
    }

    fn lane(&mut self, principal: &Principal) -> &mut Lane {
        if *principal == Principal::Anonymous {
            return &mut self.anonymous;
        }
        if !self.lanes.contains_key(principal) && self.lanes.len() >= PRINCIPALS {
            let idle = self.lanes.iter().filter(|(_, lane)| lane.is_idle()).min_by_key(|(_, lane)| lane.used);
            if let Some(idle) = idle.map(|(principal, _)| principal.clone())
                && let Some(lane) = self.lanes.remove(&idle)
            {
                let newest = lane.entries.values().map(|e| e.sent).max().unwrap_or(Timestamp::MIN);
                self.floor = self.floor.max(lane.floor).max(newest);
                self.forget(idle, lane);
            }
        }
        self.lanes.entry(principal.clone()).or_default()
    }
}

//! Duplicates and replays are one look-up: what a principal has asked for before, and how it ended.

use std::{
    collections::{VecDeque, hash_map::Entry as TableEntry},
    sync::Arc,
    time::Duration,
};

use crate::{
    address::Address,
    context::Job,
    json::Json,
    message::{Outcome, Rejection, RejectionCode, ReplyPath, Sn},
    protocol::Limits,
    seal::Principal,
    table::Table,
    time::Timestamp,
    transport::{Acker, LinkId},
};

/// How much is remembered of each principal's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowSize {
    /// How many requests.
    pub requests: usize,
    /// How many bytes of outcomes, those of at most 256 bytes not counted. A request whose outcome had to go is still known,
    /// and not run again.
    pub bytes: usize,
}

impl Default for WindowSize {
    /// 50,000 requests and 32 MiB of outcomes for each principal: what a sealed binding remembers.
    fn default() -> Self {
        WindowSize { requests: 50_000, bytes: 32 << 20 }
    }
}

impl WindowSize {
    /// 4,000 requests and 4 MiB of outcomes: what an unsealed binding remembers. It knows no principals, and has no replays to
    /// tell, only what the bus delivers twice and what callers repeat.
    #[must_use]
    pub fn unsealed() -> Self {
        WindowSize { requests: 4_000, bytes: 4 << 20 }
    }

    /// Sets how many requests are remembered, at least one.
    #[must_use]
    pub fn requests(mut self, requests: usize) -> Self {
        self.requests = requests.max(1);
        self
    }

    /// Sets how many bytes of outcomes are kept.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }
}

/// How many principals are remembered. The one that was idle longest goes, and its floor stays for all.
const PRINCIPALS: usize = 4096;

/// A request's serial number as a key of its own: an attacker's long text costs no more than it has to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    serial: Serial,
    link: Option<LinkId>,
    /// The digest of the text, of an unsealed request whose number another one had that still ran.
    text: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Serial {
    Uuid(u128),
    Text(Box<str>),
}

impl Key {
    pub(crate) fn new(sn: &Sn, link: Option<LinkId>) -> Self {
        Key { serial: uuid_of(sn).map_or_else(|| Serial::Text(sn.as_str().into()), Serial::Uuid), link, text: None }
    }
}

/// The number of a serial number that is a UUID in the one form that we write; other forms are other serial numbers.
pub(crate) fn uuid_of(sn: &Sn) -> Option<u128> {
    let text = sn.as_str();
    let canonical = text.len() == 36 && !text.bytes().any(|b| b.is_ascii_uppercase());
    canonical.then(|| uuid::Uuid::try_parse(text).ok()).flatten().map(|id| id.as_u128())
}

/// A request as the window sees it.
pub(crate) struct Candidate<'a> {
    pub(crate) principal: &'a Principal,
    /// What it is remembered under, when it is admitted.
    pub(crate) key: &'a mut Key,
    pub(crate) digest: u64,
    pub(crate) sent: Option<Timestamp>,
    pub(crate) ttl: Option<Duration>,
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
    Running,
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
}

#[derive(Debug)]
struct Lane {
    entries: Table<Key, Entry>,
    /// Every entry, oldest first.
    order: VecDeque<Key>,
    /// The entries whose outcome weighs something, oldest first.
    kept: VecDeque<(Key, u64)>,
    bytes: usize,
    floor: Timestamp,
    used: u64,
}

#[derive(Debug)]
struct Entry {
    digest: u64,
    sent: Timestamp,
    /// Tells it from an earlier request with the same serial number.
    turn: u64,
    state: State,
}

#[derive(Debug)]
enum State {
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
enum Kept {
    Result(Json),
    Other(Box<Outcome>),
}

impl Kept {
    fn new(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Result(json) => Kept::Result(json.clone()),
            other => Kept::Other(Box::new(other.clone())),
        }
    }

    fn outcome(&self) -> Outcome {
        match self {
            Kept::Result(json) => Outcome::Result(json.clone()),
            Kept::Other(outcome) => (**outcome).clone(),
        }
    }

    /// The bytes that it keeps, if they are worth counting: small ones are bounded by the number of requests.
    fn weight(&self) -> usize {
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

impl Window {
    pub(crate) fn new(size: WindowSize, fresh: Option<Limits>) -> Self {
        Window { lanes: Table::default(), anonymous: Lane::default(), size, fresh, floor: Timestamp::MIN, turn: 0 }
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
            let by_text = Key { text: Some(candidate.digest), ..candidate.key.clone() };
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
        let entry = Entry { digest: candidate.digest, sent, turn, state };
        match lane.entries.insert(candidate.key.clone(), entry) {
            Some(reused) => lane.bytes -= reused.weight(),
            None => lane.order.push_back(candidate.key.clone()),
        }
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
            State::Running { attached, .. } => attached,
            State::Done(_) | State::Forgotten | State::Barred => Vec::new(),
        }
    }

    /// Moves the replies of a request to another address: to whoever sent it, or may ask for it instead.
    pub(crate) fn resume(&mut self, owners: &[Principal], key: &Key, to: &Address) -> Option<Resumed> {
        owners.iter().find_map(|owner| match &self.lane_of(owner)?.entries.get(key)?.state {
            State::Running { job, .. } => {
                job.moved.set(to.clone());
                Some(Resumed::Running)
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
    pub(crate) fn bar(&mut self, principal: &Principal, key: Key, sent: Timestamp) {
        self.turn += 1;
        let (turn, most) = (self.turn, self.size.requests);
        let lane = self.lane(principal);
        lane.used = turn;
        if lane.entries.insert(key.clone(), Entry { digest: 0, sent, turn, state: State::Barred }).is_none() {
            lane.order.push_back(key);
        }
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
            }
        }
        self.lanes.entry(principal.clone()).or_default()
    }
}

impl Default for Lane {
    fn default() -> Self {
        Lane {
            entries: Table::default(),
            order: VecDeque::new(),
            kept: VecDeque::new(),
            bytes: 0,
            floor: Timestamp::MIN,
            used: 0,
        }
    }
}

impl Entry {
    fn job(&self) -> Option<Arc<Job>> {
        match &self.state {
            State::Running { job, .. } => Some(Arc::clone(job)),
            State::Done(_) | State::Forgotten | State::Barred => None,
        }
    }

    fn weight(&self) -> usize {
        match &self.state {
            State::Done(kept) => kept.weight(),
            State::Running { .. } | State::Forgotten | State::Barred => 0,
        }
    }

    fn again(&mut self, asked: &mut Option<Attached>) -> Verdict {
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
    fn is_idle(&self) -> bool {
        !self.entries.values().any(|e| matches!(e.state, State::Running { .. }))
    }

    fn fresh(&self, it: &Candidate<'_>, now: Timestamp, limits: &Limits, floor: Timestamp) -> Result<(), Rejection> {
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
    fn shrink(&mut self, most: usize) {
        let mut running = 0;
        while self.entries.len() > most && running < self.order.len() {
            let Some(key) = self.order.pop_front() else { return };
            let TableEntry::Occupied(entry) = self.entries.entry(key) else { continue };
            if matches!(entry.get().state, State::Running { .. }) {
                self.order.push_back(entry.key().clone());
                running += 1;
            } else {
                let entry = entry.remove();
                self.bytes -= entry.weight();
                self.floor = self.floor.max(entry.sent);
            }
        }
    }

    /// Makes room for the newest outcome: the oldest outcomes go.
    fn slim(&mut self, most: usize) {
        while self.bytes > most {
            let Some((key, turn)) = self.kept.pop_front() else { return };
            if let Some(entry) = self.entries.get_mut(&key).filter(|e| e.turn == turn) {
                self.bytes -= entry.weight();
                entry.state = State::Forgotten;
            }
        }
        // What was evicted by count is still in this list; it is cleared before it is much longer than the window.
        if self.kept.len() > 2 * self.entries.len() + 64 {
            let entries = &self.entries;
            self.kept.retain(|(key, turn)| entries.get(key).is_some_and(|e| e.turn == *turn));
        }
    }
}

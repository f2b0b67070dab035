use std::collections::BTreeMap;

use crate::{
    address::Address,
    journal::{Accepted, Entry, RequestId},
    message::Outcome,
    seal::Principal,
    text::Text,
    time::Timestamp,
};

/// What was read from a journal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    /// Since when everything that came by a binding is in the journal: the bindings of which that was written down.
    pub since: BTreeMap<Text, Timestamp>,
    /// The requests, in the order in which they were accepted.
    pub requests: Vec<RecoveredRequest>,
    /// Up to which dates requests may have come and been forgotten.
    pub floors: Vec<Floor>,
    /// Requests of which nothing is left that says what they were: what is still there of them is to be forgotten.
    pub stray: Vec<RequestId>,
    /// What could not be read.
    pub lost: Lost,
}

/// A request as the journal knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct RecoveredRequest {
    /// What the journal calls it.
    pub id: RequestId,
    /// What it is known by.
    pub entry: Entry,
    /// What is needed to run it, or to send its outcome: gone when that was confirmed.
    pub accepted: Option<Box<Accepted>>,
    /// How often its method has been started.
    pub attempts: u32,
    /// Its caller wanted it to stop.
    pub cancelled: bool,
    /// Where its replies go, if its caller has said so since.
    pub moved: Option<Address>,
    /// How far it has come.
    pub state: State,
}

/// How far a request had come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has no outcome.
    Open,
    /// It has ended so. If [`RecoveredRequest::accepted`] is still there, nobody has confirmed that the bus has its outcome.
    Concluded(Outcome),
    /// It has run, and its outcome is not kept.
    Faded,
    /// It had not come, and may not run any more.
    Barred,
}

/// Up to which date requests may have come and been forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Floor {
    /// At which binding.
    pub binding: Text,
    /// Whose; everybody's when it is none.
    pub principal: Option<Principal>,
    /// The date.
    pub at: Timestamp,
}

/// What could not be read of a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// How many records.
    pub records: u64,
    /// What they were and why they could not be read, as far as that is known; the first of them when there are many.
    pub named: Vec<String>,
}

impl Lost {
    /// How many are named.
    const NAMED: usize = 64;

    /// One record more.
    pub fn add(&mut self, what: impl Into<String>) {
        self.records += 1;
        if self.named.len() < Self::NAMED {
            self.named.push(what.into());
        }
    }

    /// Whether everything could be read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }
}

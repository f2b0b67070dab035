//! Puts the rows of a store together again.

use std::collections::BTreeMap;

use crate::{
    address::Address,
    journal::{
        Accepted, Entry, Floor, Key, Lost, Recovered, RecoveredRequest, RequestId, State,
        codec::{self, Reader},
        rows::{Named, Part},
    },
    text::Text,
    time::Timestamp,
};

/// Puts the rows of a store together again, in whatever order they come.
///
/// A row that cannot be read is counted and named. Its key alone still says something, and what it says is taken to be so: a
/// request may have been started, may have been cancelled, may have run.
#[derive(Debug, Default)]
pub struct Assembler {
    since: BTreeMap<Text, Timestamp>,
    floors: Vec<Floor>,
    requests: BTreeMap<RequestId, Parts>,
    lost: Lost,
}

#[derive(Debug, Default)]
struct Parts {
    entry: Option<Entry>,
    /// As it was written: it is read when what it is known by is there.
    accepted: Option<Vec<u8>>,
    attempts: u32,
    cancelled: bool,
    moved: Option<Address>,
    state: Option<State>,
}

impl Assembler {
    /// Reads one row. False when it cannot be read, so that the store can set it aside.
    pub fn row(&mut self, key: &[u8], value: &[u8]) -> bool {
        let named = Key::named(key);
        let read = match named {
            Some(named) => codec::opened(key, value)
                .and_then(|content| self.take(named, content).ok_or("it does not have the form that it should have")),
            None => Err("no record has such a key"),
        };
        let Err(why) = read else { return true };
        self.lost.add(match named {
            Some(Named::Request(id, part)) => format!("{part:?} of request {id}: {why}"),
            Some(Named::Floor) => format!("a floor: {why}"),
            Some(Named::Since) => format!("since when everything is there: {why}"),
            None => format!("a row of {} bytes: {why}", value.len()),
        });
        if let Some(Named::Request(id, part)) = named {
            let parts = self.requests.entry(id).or_default();
            match part {
                Part::Started => parts.attempts = parts.attempts.max(1),
                Part::Cancelled => parts.cancelled = true,
                Part::Concluded => parts.state = Some(State::Faded),
                Part::Entry | Part::Accepted | Part::Moved => {}
            }
        }
        false
    }

    fn take(&mut self, named: Named, mut content: Reader<'_>) -> Option<()> {
        match named {
            Named::Since => {
                let (binding, at) = (content.text()?, content.timestamp()?);
                content.end()?;
                self.since.insert(binding, at);
            }
            Named::Floor => {
                let (binding, principal) = (content.text()?, content.option(Reader::principal)?);
                let floor = Floor { binding, principal, at: content.timestamp()? };
                content.end()?;
                self.floors.push(floor);
            }
            Named::Request(id, part) => {
                let parts = self.requests.entry(id).or_default();
                match part {
                    Part::Entry => parts.entry = Some(content.entry()?),
                    Part::Accepted => {
                        parts.accepted = Some(content.rest().to_vec());
                        return Some(());
                    }
                    Part::Started => parts.attempts = u32::try_from(content.number()?).ok()?,
                    Part::Cancelled => parts.cancelled = true,
                    Part::Moved => parts.moved = Some(Address::from(content.text()?)),
                    Part::Concluded => parts.state = Some(content.state()?),
                }
                content.end()?;
            }
        }
        Some(())
    }

    /// Everything that was read.
    #[must_use]
    pub fn finish(self) -> Recovered {
        let Assembler { since, floors, requests, mut lost } = self;
        let (mut whole, mut stray) = (Vec::with_capacity(requests.len()), Vec::new());
        for (id, parts) in requests {
            let Some(entry) = parts.entry else {
                // A mark alone came too late for a request that was forgotten.
                if parts.accepted.is_some() {
                    lost.add(format!("request {id}: what it is known by is gone"));
                }
                stray.push(id);
                continue;
            };
            let accepted = parts.accepted.and_then(|content| {
                let read = accepted(&content, &entry);
                if read.is_none() {
                    lost.add(format!("Accepted of request {id}: it does not have the form that it should have"));
                }
                read
            });
            whole.push(RecoveredRequest {
                id,
                entry,
                accepted: accepted.map(Box::new),
                attempts: parts.attempts,
                cancelled: parts.cancelled,
                moved: parts.moved,
                state: parts.state.unwrap_or(State::Open),
            });
        }
        Recovered { since, requests: whole, floors, stray, lost }
    }
}

fn accepted(content: &[u8], entry: &Entry) -> Option<Accepted> {
    let mut content = Reader::of(content);
    let accepted = content.accepted(entry.clone())?;
    content.end()?;
    Some(accepted)
}

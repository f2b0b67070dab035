//! A journal as it is read when an endpoint starts, and what is written into it before anything else.

use std::sync::Arc;

use crate::{
    endpoint::{patient::Patient, records::Records},
    journal::{JournalError, Recovered, RequestId, Step},
    text::Text,
    time::Timestamp,
};

/// A journal that has been read, and what was in it.
pub(crate) struct Found {
    pub(crate) records: Arc<Records>,
    pub(super) recovered: Recovered,
    steps: Vec<Step>,
}

/// Reads a journal.
pub(crate) async fn read(journal: Arc<Patient>, now: Timestamp) -> Result<Found, JournalError> {
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

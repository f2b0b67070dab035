//! The steps of a request that are written down before they are taken.

use crate::{
    endpoint::{
        records::{self, Records},
        work::{Place, Work},
    },
    journal::{Accepted, Entry, JournalErrorKind, RequestId, Step},
    message::Outcome,
    transport::{Acker, Disposition},
};
use std::sync::Arc;
use tokio::time::Instant;

/// A request as the journal has it, or is to have it.
pub(crate) struct Record {
    pub(crate) id: RequestId,
    pub(crate) records: Arc<Records>,
    /// What is to be written before anybody is responsible for it; none when that has been done.
    pub(crate) unwritten: Option<Box<Accepted>>,
    /// That it starts has been written down.
    pub(crate) started: bool,
    /// The bus, where it is not told yet that it need not keep the request.
    pub(crate) bus: Option<Acker>,
}

impl Work {
    /// Writes down that the request is taken, and that it starts if it does so at once; then the bus need not keep it any
    /// longer. What is returned is its outcome, if it is not taken after all.
    pub(super) async fn take_charge(&mut self) -> Result<(), Outcome> {
        // What was taken before the endpoint was started waits until it can be heard of.
        self.core.stage.started().await;
        let runs_now = self.place == Place::Handler && self.hindrance().is_none();
        let gone = self.job.cancel.is_set() || self.job.deadline.is_some_and(|at| at <= Instant::now());
        let Some(record) = &mut self.record else { return Ok(()) };
        // Nobody has been told that it is taken: what hinders it now is said at once.
        if gone || self.core.stage.is_stopping() {
            return Ok(());
        }
        let Some(request) = record.unwritten.take() else { return Ok(()) };
        let id = record.id;
        let mut steps = vec![Step::Accepted { id, request }];
        if runs_now {
            steps.push(Step::Started { id, attempt: self.job.attempt });
        }
        match record.records.record(steps).await {
            Ok(()) => {
                record.started = runs_now;
                let ours = record.records.acker(id, self.key.is_some());
                record.bus = Some(std::mem::replace(&mut self.acker, ours));
                // While many wait the bus keeps it as well, until it has its turn: so it sends no more than find room.
                let many = self.place == Place::Queued && self.handlers().waiting() > self.core.prefetch;
                if !many {
                    self.free_the_bus();
                }
                Ok(())
            }
            Err(error) => {
                // Should any of it be there in spite of that, it is not to run.
                record.records.note(vec![Step::Forgotten { id }]);
                self.record = None;
                self.binding().counters.unjournalled.add();
                tracing::error!(%error, method = self.method.name, "a request could not be written down; it is not taken");
                Err(records::refusal(&error))
            }
        }
    }

    /// Tells the bus that it need not keep the request any longer.
    pub(super) fn free_the_bus(&mut self) {
        if let Some(bus) = self.record.as_mut().and_then(|record| record.bus.take()) {
            bus.settle(Disposition::Ack);
        }
    }

    /// Writes down that the method starts, unless that has been done. What is returned is its outcome, if it must not.
    pub(super) async fn start(&mut self) -> Result<(), Outcome> {
        let Some(record) = &mut self.record else { return Ok(()) };
        if record.started || record.unwritten.is_some() {
            return Ok(());
        }
        let step = Step::Started { id: record.id, attempt: self.job.attempt };
        match record.records.record(vec![step]).await {
            Ok(()) => {
                record.started = true;
                Ok(())
            }
            // Running it once more does no harm. Not being able to say that it ran would, were it otherwise.
            Err(error) if self.method.idempotent => {
                tracing::error!(%error, method = self.method.name, "that a method starts could not be written down; it is idempotent");
                Ok(())
            }
            Err(error) => {
                self.binding().counters.unjournalled.add();
                tracing::error!(%error, method = self.method.name, "that a method starts could not be written down; it does not run");
                Err(records::refusal(&error))
            }
        }
    }

    /// Whether it is written down that the method starts.
    pub(super) fn has_begun(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.started)
    }

    /// Whether an endpoint that stops keeps the request for its next start.
    pub(super) fn is_kept(&mut self) -> bool {
        let journalled = self.record.as_ref().is_some_and(|record| record.unwritten.is_none());
        let ended = self.job.cancel.is_set() || self.job.deadline.is_some_and(|at| at <= Instant::now());
        // What is written down as started would be told to be interrupted at the next start: it runs now.
        let kept = journalled && !self.has_begun() && !ended && self.core.stage.is_stopping();
        if kept {
            self.free_the_bus();
            self.core.stage.keep();
        }
        kept
    }

    /// Writes down how the request ended, before anybody is told. What cannot be written down is said all the same, as far as it
    /// is sure to stay true.
    pub(super) async fn write_down(&mut self, outcome: Outcome) -> Outcome {
        self.free_the_bus();
        let Some(record) = self.record.take() else { return outcome };
        let Record { id, records, unwritten, .. } = *record;
        if let Some(request) = unwritten {
            self.turn_away(&records, id, request.entry, &outcome).await;
            return outcome;
        }
        let (outcome, written) = conclude(&records, id, outcome).await;
        if !written {
            self.binding().counters.outcomes_unjournalled.add();
        }
        outcome
    }
}

impl Work {
    /// Writes down how a request ended that was never taken: whoever is told that it never ran may send another one, and this one
    /// must not run when it comes again after a restart. Where it cannot be written, the window alone knows it.
    async fn turn_away(&self, records: &Records, id: RequestId, entry: Entry, outcome: &Outcome) {
        if self.key.is_none() {
            // Nobody can ask for it again; but there may be a mark that it was cancelled.
            if self.job.cancel.is_set() {
                records.note(vec![Step::Forgotten { id }]);
            }
            return;
        }
        if let Err(error) = records.record(vec![Step::Refused { id, entry, outcome: outcome.clone() }]).await {
            self.binding().counters.outcomes_unjournalled.add();
            tracing::error!(%error, method = self.method.name, "that a request was rejected could not be written down");
        }
    }
}

/// Writes down how a request ended. What cannot be written is tried again for some time, and said as far as it is sure to stay true.
pub(crate) async fn conclude(records: &Arc<Records>, id: RequestId, outcome: Outcome) -> (Outcome, bool) {
    match records.record(vec![Step::Concluded { id, outcome: outcome.clone() }]).await {
        Ok(()) => (outcome, true),
        Err(error) => {
            let outcome = records::unwritten(outcome);
            let again = error.kind != JournalErrorKind::Stuck && records.conclude_later(id, outcome.clone());
            tracing::error!(%error, request = %id, again, "an outcome could not be written down; it is sent all the same");
            (outcome, false)
        }
    }
}

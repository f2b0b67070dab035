//! What an endpoint writes into its journal, and what it does when it cannot.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Semaphore;

use crate::{
    endpoint::{
        binding::{Answered, Binding},
        patient::Patient,
    },
    journal::{JournalError, JournalErrorKind, RequestId, Step},
    message::{Abort, AbortReason, Outcome, Rejection, RejectionCode},
    transport::{Acker, Disposition, Settle},
};

/// A durable journal, and the numbers that it knows requests by.
#[derive(Debug)]
pub(crate) struct Records {
    journal: Arc<Patient>,
    next: AtomicU64,
    /// How many outcomes that could not be written down, or sent, are tried again at a time.
    late: Arc<Semaphore>,
}

/// How many outcomes that could not be written down, or sent, are kept for that at a time.
const LATE: usize = 1024;
/// The pause before one is tried again, which doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

impl Records {
    /// Goes on after the last number that was used.
    pub(crate) fn new(journal: Arc<Patient>, last: RequestId) -> Arc<Self> {
        let next = AtomicU64::new(last.0.saturating_add(1));
        Arc::new(Records { journal, next, late: Arc::new(Semaphore::new(LATE)) })
    }

    /// A number for another request.
    pub(crate) fn id(&self) -> RequestId {
        RequestId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) async fn record(&self, steps: Vec<Step>) -> Result<(), JournalError> {
        self.journal.record(steps).await
    }

    pub(crate) fn note(&self, steps: Vec<Step>) {
        if !steps.is_empty() {
            self.journal.note(steps);
        }
    }

    /// Who answers for a request now that it is written down: when its outcome has been published, the journal is told.
    pub(crate) fn acker(self: &Arc<Self>, id: RequestId, remembered: bool) -> Acker {
        let tag = id.0 << 1 | u64::from(remembered);
        Acker::new(Arc::clone(self) as Arc<dyn Settle>, tag)
    }

    /// Goes on trying to send an outcome that the bus would not take, in a task of its own: as long as the endpoint lasts. What
    /// there are too many of is sent after a restart, or when its caller asks for it.
    pub(crate) fn tell_later(self: &Arc<Self>, binding: &Arc<Binding>, to: Answered, outcome: Outcome, acker: Acker) {
        let Ok(place) = Arc::clone(&self.late).try_acquire_owned() else { return };
        let binding = Arc::downgrade(binding);
        tokio::spawn(async move {
            let mut pause = PAUSE;
            loop {
                tokio::time::sleep(pause).await;
                let Some(binding) = binding.upgrade() else { break };
                if binding.outcome(&to, outcome.clone()).await {
                    acker.settle(Disposition::Ack);
                    break;
                }
                pause = (2 * pause).min(LONGEST);
            }
            drop(place);
        });
    }

    /// Goes on trying to write down how a request ended, in a task of its own. False when too many are tried already.
    pub(crate) fn conclude_later(self: &Arc<Self>, id: RequestId, outcome: Outcome) -> bool {
        let Ok(place) = Arc::clone(&self.late).try_acquire_owned() else { return false };
        // Not kept alive for this: when the endpoint is gone, so is the reason.
        let records = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut pause = PAUSE;
            loop {
                tokio::time::sleep(pause).await;
                let Some(records) = records.upgrade() else { break };
                match records.record(vec![Step::Concluded { id, outcome: outcome.clone() }]).await {
                    Ok(()) => break,
                    // It is taken, and need not be given again.
                    Err(error) if matches!(error.kind, JournalErrorKind::Closed | JournalErrorKind::Stuck) => break,
                    Err(_) => pause = (2 * pause).min(LONGEST),
                }
            }
            drop(place);
        });
        true
    }
}

impl Settle for Records {
    fn settle(&self, tag: u64, disposition: Disposition) {
        if disposition != Disposition::Ack {
            // Its outcome has not been sent: that is done after a restart, or when its caller asks for it.
            return;
        }
        let (id, remembered) = (RequestId(tag >> 1), tag & 1 == 1);
        // What nobody can ask for again is not known any more by anything.
        self.note(vec![if remembered { Step::Confirmed { id } } else { Step::Forgotten { id } }]);
    }
}

/// Why a request that cannot be written down is not taken.
pub(crate) fn refusal(error: &JournalError) -> Outcome {
    let (code, details) = match error.kind {
        JournalErrorKind::Stuck => {
            let message = "it has not run, but the agent's disk does not answer: it may run when the agent is started again";
            return Abort::new(AbortReason::Interrupted, message).into();
        }
        JournalErrorKind::Full => (RejectionCode::Busy, "too many requests wait to be written down"),
        // What the disk said is for the log: it may hold what no caller should read.
        _ => (RejectionCode::Journal, "its disk may be full or failing; the agent's log says more"),
    };
    Rejection::new(code, details).into()
}

/// What is said of a request whose end could not be written down. If it never ran, it may yet do so after a restart.
pub(crate) fn unwritten(outcome: Outcome) -> Outcome {
    let never_ran = match &outcome {
        Outcome::Rejected(rejection) => rejection.to_string(),
        Outcome::Aborted(abort) if abort.reason == AbortReason::Cancelled => abort.to_string(),
        Outcome::Aborted(_) | Outcome::Result(_) | Outcome::Exception(_) => return outcome,
    };
    let message =
        format!("it has not run, but that could not be written down: it may run when the agent is started again: {never_ran}");
    Abort::new(AbortReason::Interrupted, message).into()
}

//! A journal whose disk is waited for so long and no longer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::journal::{Journal, JournalError, JournalErrorKind, Recovered, Step};

/// How long a disk may take for a commit.
const PATIENCE: Duration = Duration::from_secs(30);

/// A journal whose disk is waited for so long and no longer.
#[derive(Debug)]
pub(crate) struct Patient {
    journal: Arc<dyn Journal>,
    /// The last commit that was waited for has not come.
    stuck: AtomicBool,
}

impl Patient {
    pub(crate) fn new(journal: Arc<dyn Journal>) -> Arc<Self> {
        Arc::new(Patient { journal, stuck: AtomicBool::new(false) })
    }

    /// Writes steps down, and waits for it. [`Stuck`](JournalErrorKind::Stuck): they are taken, and will be there before whatever is
    /// written after them, if the disk ever answers.
    pub(crate) async fn record(&self, steps: Vec<Step>) -> Result<(), JournalError> {
        let answer = tokio::time::timeout(PATIENCE, self.journal.record(steps)).await;
        if self.stuck.load(Ordering::Relaxed) != answer.is_err() {
            self.stuck.store(answer.is_err(), Ordering::Relaxed);
        }
        answer.unwrap_or_else(|_| Err(stuck()))
    }

    pub(crate) fn note(&self, steps: Vec<Step>) {
        self.journal.note(steps);
    }

    pub(crate) fn failing(&self) -> Option<JournalError> {
        self.stuck.load(Ordering::Relaxed).then(stuck).or_else(|| self.journal.failing())
    }

    pub(crate) async fn recover(&self) -> Result<Recovered, JournalError> {
        self.journal.recover().await
    }

    pub(crate) async fn close(&self) -> Result<(), JournalError> {
        self.journal.close().await
    }
}

fn stuck() -> JournalError {
    let message = format!("nothing was written for {PATIENCE:?}: look at the disk, and at what the system says of it");
    JournalError::new(JournalErrorKind::Stuck, message)
}

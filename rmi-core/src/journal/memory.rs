use async_trait::async_trait;

use crate::journal::{Commit, Journal, JournalError, Recovered, Step};

/// No journal: what an endpoint has unless it is given one. It remembers in its duplicate window, in memory, and the bus keeps what
/// it has not concluded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory;

#[async_trait]
impl Journal for Memory {
    fn is_durable(&self) -> bool {
        false
    }

    async fn recover(&self) -> Result<Recovered, JournalError> {
        Ok(Recovered::default())
    }

    fn record(&self, _steps: Vec<Step>) -> Commit {
        Commit::done(Ok(()))
    }

    fn note(&self, _steps: Vec<Step>) {}
}

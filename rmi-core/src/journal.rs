//! What an agent keeps of the requests that it has accepted, so that nothing is lost when it is killed.
//!
//! Without a durable journal the bus keeps a request until its outcome has been published. With one, and a queue of its own
//! ([`Builder::queue_of_its_own`](crate::endpoint::Builder::queue_of_its_own), or a transport of links), an endpoint writes down
//! what it accepts before it acknowledges it, what it starts before it runs it, and how it ended before it says so. After a
//! crash it goes on from there.
//!
//! A [`Journal`] is a place to write [`Step`]s to and to read them back from. [`Step::changes`] says what each step is in a store of
//! keys and values, and [`Assembler`] puts the rows together again, so that an implementation needs nothing but such a store
//! and the care that it is on disk.

mod assembler;
mod codec;
mod commit;
#[cfg(feature = "journal")]
mod durable;
mod error;
mod memory;
mod recovered;
mod rows;
mod step;

use std::fmt::Debug;

use async_trait::async_trait;

pub use self::{
    assembler::Assembler,
    commit::{Commit, Committing},
    error::{JournalError, JournalErrorKind},
    memory::Memory,
    recovered::{Floor, Lost, Recovered, RecoveredRequest, State},
    rows::{Change, Key},
    step::{Accepted, Entry, Received, RequestId, Step},
};

#[cfg(feature = "journal")]
#[cfg_attr(docsrs, doc(cfg(feature = "journal")))]
pub use self::durable::{Durable, DurableFigures};

/// Where an endpoint writes down what becomes of its requests.
///
/// The order of calls is the order on disk: when the steps of one call are there, so are those of every call before it. The
/// steps of one call are there together or not at all.
#[async_trait]
pub trait Journal: Debug + Send + Sync + 'static {
    /// Whether what is recorded outlives the process. An endpoint asks nothing else of a journal that says no.
    fn is_durable(&self) -> bool;

    /// Reads what is there. Called once, before anything is recorded.
    ///
    /// What cannot be read is set aside, counted and named in [`Recovered::lost`]; it does not keep the rest from being read.
    ///
    /// # Errors
    ///
    /// Nothing can be read, or it is not ours to read: another process has it, or a newer version wrote it.
    async fn recover(&self) -> Result<Recovered, JournalError>;

    /// Writes steps down. They are taken in this call; the future is ready when they are on disk, or when it is certain that they
    /// will not be. Dropping it stops the waiting and nothing else.
    ///
    /// Many calls share one commit. How many may wait is bounded: one too many is refused at once with
    /// [`JournalErrorKind::Full`].
    fn record(&self, steps: Vec<Step>) -> Commit;

    /// Writes steps down that nobody waits for: they ride along with a later commit, within a second. When there is no room they are
    /// left out; what they would have said is found out again, or done again, after a restart.
    fn note(&self, steps: Vec<Step>);

    /// Why the journal cannot write just now; `None` when its last attempt succeeded.
    fn failing(&self) -> Option<JournalError> {
        None
    }

    /// Writes down what still waits, and lets go of the store. Nothing is recorded after that.
    ///
    /// # Errors
    ///
    /// What still waited could not be written.
    async fn close(&self) -> Result<(), JournalError> {
        Ok(())
    }
}

/// A journal that somebody else holds as well.
#[async_trait]
impl<J: Journal + ?Sized> Journal for std::sync::Arc<J> {
    fn is_durable(&self) -> bool {
        (**self).is_durable()
    }

    async fn recover(&self) -> Result<Recovered, JournalError> {
        (**self).recover().await
    }

    fn record(&self, steps: Vec<Step>) -> Commit {
        (**self).record(steps)
    }

    fn note(&self, steps: Vec<Step>) {
        (**self).note(steps);
    }

    fn failing(&self) -> Option<JournalError> {
        (**self).failing()
    }

    async fn close(&self) -> Result<(), JournalError> {
        (**self).close().await
    }
}

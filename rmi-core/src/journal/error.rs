use std::sync::Arc;

/// A journal did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{kind}: {message}")]
#[non_exhaustive]
pub struct JournalError {
    /// What kind of failure it is.
    pub kind: JournalErrorKind,
    /// What was tried, where, and what to do.
    pub message: String,
    /// The error below. Many who waited for one commit share it.
    #[source]
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl JournalError {
    /// An error of a kind.
    pub fn new(kind: JournalErrorKind, message: impl Into<String>) -> Self {
        JournalError { kind, message: message.into(), source: None }
    }

    /// The same error with the one that caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }
}

/// What kind of failure a [`JournalError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum JournalErrorKind {
    /// Too much waits to be written.
    #[error("too much waits for the journal")]
    Full,
    /// It could not be written or read: a full disk, a failing one, one that may only be read.
    #[error("the journal's disk failed")]
    Disk,
    /// Its disk does not answer: whether the steps will be there is not known.
    #[error("the journal's disk does not answer")]
    Stuck,
    /// Another process, or another endpoint of this one, has it.
    #[error("the journal is in use")]
    InUse,
    /// It has the form of a version that this one does not know.
    #[error("the journal is of another version")]
    Version,
    /// It was closed.
    #[error("the journal is closed")]
    Closed,
}

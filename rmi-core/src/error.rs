//! What can go wrong with a call, and what that says about whether the method ran.

use std::{convert::Infallible, time::Duration};

use crate::{
    address::Address,
    contract::ErrorType,
    json::JsonError,
    message::{Abort, Exception, Rejection, RejectionCode},
    transport::{TransportError, TransportErrorKind},
};

/// An error of a service: what its methods raise, and what its callers match on.
///
/// Derive it: every variant gets a stable wire name, its fields travel, and what arrives is rebuilt from that name. Nothing
/// that comes from the wire chooses a type.
#[diagnostic::on_unimplemented(
    message = "the error `{Self}` does not travel",
    label = "does not implement `RemoteError`",
    note = "derive it: `#[derive(RemoteError)]`"
)]
pub trait RemoteError: Sized + Send + 'static {
    /// Which exceptions it can be, for descriptions of the contracts that name it.
    const DESCRIPTION: ErrorType = ErrorType::UNDESCRIBED;

    /// Writes the error as an exception of a contract.
    fn to_exception(&self, contract: &str) -> Exception;

    /// Reads an exception back; `None` when it is not one of this type's, so that the caller gets it raw.
    fn from_exception(exception: &Exception, contract: &str) -> Option<Self>;
}

impl RemoteError for Infallible {
    const DESCRIPTION: ErrorType = ErrorType::NONE;

    fn to_exception(&self, _: &str) -> Exception {
        match *self {}
    }

    fn from_exception(_: &Exception, _: &str) -> Option<Self> {
        None
    }
}

/// Every exception, as it is.
impl RemoteError for Exception {
    fn to_exception(&self, _: &str) -> Exception {
        self.clone()
    }

    fn from_exception(exception: &Exception, _: &str) -> Option<Self> {
        Some(exception.clone())
    }
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError<E> {
    /// The method raised an error of its contract.
    #[error("the method failed")]
    Remote(#[source] E),
    /// The method raised something that its contract does not name.
    #[error("the method raised {0}")]
    Exception(Box<Exception>),
    /// The method never ran; unless the code is [`RejectionCode::Stale`], which does not say that it had not run before.
    #[error("the request was rejected: {0}")]
    Rejected(Rejection),
    /// Nobody listens at the address.
    #[error("nobody listens at `{0}`: start the agent, or correct the address")]
    NoAgent(Address),
    /// The answer did not come in time.
    #[error("timed out after {after:?} {phase}")]
    Timeout {
        /// What was waited for.
        phase: Phase,
        /// How long.
        after: Duration,
    },
    /// The link was lost while the call was pending, and the peer cannot be asked for its outcome.
    #[error("the reply was lost with the link: whether the method ran is unknown")]
    ReplyLost,
    /// The request was cancelled before the method started.
    #[error("the request was cancelled before it started")]
    Cancelled,
    /// The agent stopped while the method ran, and the method may not be run twice.
    #[error("the agent stopped while the method ran: {0}")]
    Interrupted(Abort),
    /// The method brought the agent down as often as is allowed.
    #[error("the method brought the agent down too often: {0}")]
    Poisoned(Abort),
    /// The method's handler panicked.
    #[error("the method's handler panicked: {0}")]
    Panicked(Abort),
    /// The request could not be sent.
    #[error("the request could not be sent")]
    Transport(#[source] TransportError),
    /// The arguments, or the message, could not be written.
    #[error("the request could not be written: {0}")]
    Encode(String),
    /// The answer does not have the type that the contract says.
    #[error("the answer does not have the contract's type: {0}")]
    Decode(JsonError),
    /// It was not sent: the time ran out before its turn came, among the calls of a group.
    #[error("the request was not sent: the time ran out before its turn came")]
    NotSent,
    /// It was tried more than once, and the last attempt failed as well.
    #[error("{}", .0.describe())]
    Retried(Box<Retried<E>>),
    /// The endpoint was closed while the call was pending.
    #[error("the endpoint was closed while the call was pending")]
    Closed,
}

/// What a call waited for when its time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Phase {
    /// The bus to take the request.
    #[error("waiting for the bus to take the request")]
    Send,
    /// The agent to accept the request.
    #[error("waiting for the agent to accept the request")]
    Accept,
    /// The method to start.
    #[error("waiting for the method to start")]
    Start,
    /// Any sign of life.
    #[error("without a status")]
    Idle,
    /// The outcome: the whole time of the call.
    #[error("waiting for the outcome")]
    Total,
}

/// What an error says about whether the method ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It never ran and never will: trying again is safe.
    NeverRan,
    /// It is not known.
    MayHaveRun,
    /// It ran.
    Ran,
}

impl<E> CallError<E> {
    /// Whether the method ran, as far as this error tells.
    #[must_use]
    pub fn fate(&self) -> Fate {
        match self {
            // The agent no longer knows: it may be the replay of a request that has run.
            CallError::Rejected(rejection) if rejection.code == RejectionCode::Stale => Fate::MayHaveRun,
            CallError::Rejected(_) | CallError::NoAgent(_) | CallError::NotSent | CallError::Cancelled | CallError::Encode(_) => {
                Fate::NeverRan
            }
            CallError::Retried(retried) => retried.fate,
            CallError::Transport(e) => match e.kind {
                TransportErrorKind::Closed
                | TransportErrorKind::Disconnected
                | TransportErrorKind::Full
                | TransportErrorKind::Refused => Fate::NeverRan,
                TransportErrorKind::Ambiguous => Fate::MayHaveRun,
            },
            CallError::Timeout { .. }
            | CallError::ReplyLost
            | CallError::Interrupted(_)
            | CallError::Poisoned(_)
            | CallError::Closed => Fate::MayHaveRun,
            CallError::Remote(_) | CallError::Exception(_) | CallError::Panicked(_) | CallError::Decode(_) => Fate::Ran,
        }
    }

    /// Whether the same call may be made again without running the method twice, and may do better.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            CallError::Rejected(rejection) => rejection.code.is_transient(),
            CallError::NoAgent(_) | CallError::NotSent => true,
            CallError::Retried(retried) => retried.fate == Fate::NeverRan && retried.last.is_retryable(),
            CallError::Transport(e) => match e.kind {
                TransportErrorKind::Disconnected | TransportErrorKind::Full => true,
                TransportErrorKind::Closed | TransportErrorKind::Refused | TransportErrorKind::Ambiguous => false,
            },
            CallError::Cancelled
            | CallError::Encode(_)
            | CallError::Timeout { .. }
            | CallError::ReplyLost
            | CallError::Interrupted(_)
            | CallError::Poisoned(_)
            | CallError::Closed
            | CallError::Remote(_)
            | CallError::Exception(_)
            | CallError::Panicked(_)
            | CallError::Decode(_) => false,
        }
    }

    /// How many attempts it took to come to this; see [`Call::retry`](crate::Call::retry). What a method itself answered, in
    /// whichever attempt, counts as one.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        match self {
            CallError::Retried(retried) => retried.attempts,
            _ => 1,
        }
    }

    /// The error of the last attempt: this one, when there was one only.
    #[must_use]
    pub fn last(&self) -> &CallError<E> {
        match self {
            CallError::Retried(retried) => &retried.last,
            error => error,
        }
    }

    /// Whether it is unknown if the method ran.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        match self.fate() {
            Fate::MayHaveRun => true,
            Fate::NeverRan | Fate::Ran => false,
        }
    }
}

/// A call that was tried more than once, without an answer of the method.
#[derive(Debug)]
#[non_exhaustive]
pub struct Retried<E> {
    /// How many attempts were made.
    pub attempts: u32,
    /// What all of them together say about whether the method ran.
    pub fate: Fate,
    /// How the last one ended.
    pub last: CallError<E>,
}

impl<E> Retried<E> {
    pub(crate) fn new(attempts: u32, earlier_ambiguous: bool, last: CallError<E>) -> Self {
        let fate = if earlier_ambiguous { Fate::MayHaveRun } else { last.fate() };
        Retried { attempts, fate, last }
    }

    fn describe(&self) -> String {
        let cause = match &self.last {
            CallError::Transport(error) => format!(": {error}"),
            _ => String::new(),
        };
        format!("{} attempts failed, the last so: {}{cause}", self.attempts, self.last)
    }
}

use std::{fmt, time::Duration};

use crate::{json::Json, message::Exception, text::Text};

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The method returned.
    Result(Json),
    /// The method raised.
    Exception(Box<Exception>),
    /// The method never ran.
    Rejected(Rejection),
    /// The method did not come to an end of its own.
    Aborted(Abort),
}

/// Why a request never ran. Sending it again is safe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {description}{}{details}", if details.is_empty() { "" } else { ": " })]
pub struct Rejection {
    /// Stable name of the reason.
    pub code: RejectionCode,
    /// What is wrong, for a person.
    pub description: Text,
    /// Where, or what would have been right.
    pub details: Text,
    /// How long to wait at least before trying again; `None` when the agent did not say. Not every dialect can say it.
    pub retry_after: Option<Duration>,
}

impl Rejection {
    /// A rejection with the code's usual description.
    #[must_use]
    pub fn new(code: RejectionCode, details: impl Into<Text>) -> Self {
        let description = Text::from_static(code.description());
        Rejection { code, description, details: details.into(), retry_after: None }
    }

    /// The same rejection, which says how long to wait before trying again.
    #[must_use]
    pub fn retry_after(self, time: Duration) -> Self {
        Rejection { retry_after: Some(time), ..self }
    }
}

macro_rules! rejection_codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $description:literal;)*) => {
        /// Why a request was rejected: stable names, the same on every wire.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum RejectionCode {
            $($(#[$doc])* $variant,)*
            /// A code that this version does not know.
            Other(Text),
        }

        impl RejectionCode {
            /// The code as it is written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(RejectionCode::$variant => $name,)*
                    RejectionCode::Other(code) => code,
                }
            }

            /// Reads a code.
            #[must_use]
            pub fn from_name(name: &str) -> Self {
                match name {
                    $($name => RejectionCode::$variant,)*
                    other => RejectionCode::Other(Text::from(other)),
                }
            }

            /// What the code means, in a sentence.
            #[must_use]
            pub fn description(&self) -> &'static str {
                match self {
                    $(RejectionCode::$variant => $description,)*
                    RejectionCode::Other(_) => "the request was rejected",
                }
            }
        }
    };
}

rejection_codes! {
    /// The document's version is not one that is read here. gofer's code and description.
    ModelVersion = "model.version", "MODEL: document version not matched";
    /// The signature is missing, wrong, or not by a key of the sender. gofer's code and description.
    Authentication = "security.authentication", "SECURITY: message authentication failed";
    /// The sender may not call this method.
    Authorization = "security.authorization", "SECURITY: the caller may not call this method";
    /// No class of this name is served here.
    UnknownClass = "class.unknown", "no such class is served here";
    /// The class has no method of this name.
    UnknownMethod = "method.unknown", "the class has no such method";
    /// Nobody of the address that is called is here: a message that came by a link was made for somebody else.
    Nobody = "agent.unknown", "nobody of this address is here";
    /// The contract's version that the caller asks for is not served.
    UnknownVersion = "version.unknown", "this version of the contract is not served here";
    /// The arguments do not fit the method.
    Arguments = "request.arguments", "the arguments do not fit the method";
    /// The message is not one of this protocol.
    Malformed = "request.malformed", "the message cannot be read";
    /// The message is larger, deeper or longer than is allowed here.
    Limit = "request.limit", "the message exceeds a limit of the receiver";
    /// The serial number was used before, with other content.
    Reused = "request.reused", "the serial number was used for another request";
    /// The request is too old, from the future, or below the duplicate window: it could be a replay.
    Stale = "request.stale", "the request is too old or too new to be told from a replay";
    /// The time to live had run out before the method started.
    Expired = "request.expired", "the time to live ran out before the method started";
    /// The reply address is one that this endpoint must not send to.
    ReplyAddress = "request.replyto", "replies may not be sent to this address";
    /// There is no room for another request.
    Busy = "agent.busy", "the agent has no room for another request";
    /// The caller sends more requests than it may.
    RateLimited = "agent.rate", "the caller sends more requests than it may";
    /// The agent could not decide, or not in time, whether to take the request.
    Undecided = "agent.undecided", "the agent could not decide whether to take the request";
    /// The agent cannot write down that it has taken the request, and so does not take it.
    Journal = "agent.journal", "the agent cannot write down that it has taken the request";
    /// The agent is shutting down.
    Closing = "agent.closing", "the agent is shutting down";
}

impl RejectionCode {
    /// Whether the same request may be taken later, or by another agent.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            RejectionCode::Busy
            | RejectionCode::RateLimited
            | RejectionCode::Undecided
            | RejectionCode::Journal
            | RejectionCode::Closing
            | RejectionCode::Expired => true,
            RejectionCode::ModelVersion
            | RejectionCode::Authentication
            | RejectionCode::Authorization
            | RejectionCode::UnknownClass
            | RejectionCode::UnknownMethod
            | RejectionCode::UnknownVersion
            | RejectionCode::Nobody
            | RejectionCode::Arguments
            | RejectionCode::Malformed
            | RejectionCode::Limit
            | RejectionCode::Reused
            | RejectionCode::Stale
            | RejectionCode::ReplyAddress
            | RejectionCode::Other(_) => false,
        }
    }
}

impl fmt::Display for RejectionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a method that was accepted did not come to an end of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AbortReason {
    /// It was cancelled before it started.
    Cancelled,
    /// The agent stopped while it ran, and it may not be run twice: whether it did its work is unknown.
    Interrupted,
    /// It brought the agent down as often as is allowed.
    Poisoned,
    /// Its handler panicked.
    Panicked,
}

impl AbortReason {
    /// Every reason.
    pub const ALL: [AbortReason; 4] =
        [AbortReason::Cancelled, AbortReason::Interrupted, AbortReason::Poisoned, AbortReason::Panicked];

    /// The reason as it is written: the class of the exception that stands for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            AbortReason::Cancelled => "Cancelled",
            AbortReason::Interrupted => "Interrupted",
            AbortReason::Poisoned => "Poisoned",
            AbortReason::Panicked => "Panicked",
        }
    }
}

impl From<Rejection> for Outcome {
    fn from(rejection: Rejection) -> Self {
        Outcome::Rejected(rejection)
    }
}

impl From<Exception> for Outcome {
    fn from(exception: Exception) -> Self {
        Outcome::Exception(Box::new(exception))
    }
}

impl From<Abort> for Outcome {
    fn from(abort: Abort) -> Self {
        Outcome::Aborted(abort)
    }
}

/// A method that did not come to an end of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", reason.as_str())]
pub struct Abort {
    /// Why.
    pub reason: AbortReason,
    /// What is known about it, for a person.
    pub message: Text,
}

impl Abort {
    /// An abort with a text.
    #[must_use]
    pub fn new(reason: AbortReason, message: impl Into<Text>) -> Self {
        Abort { reason, message: message.into() }
    }
}

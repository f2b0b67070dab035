//! How a command ends that has no result: its exit status, what people are told, and the line that programs read.

use std::{error::Error, time::Duration};

use rmi_core::{
    CallError, Json,
    endpoint::{PublishError, SubscribeError},
    error::{Fate, Phase},
    message::{Exception, Rejection, RejectionCode},
    transport::{TransportError, TransportErrorKind},
};
use rmi_options::Unusable;
use serde::Serialize;

use crate::exit::Exit;

/// How a command ended without a result.
#[derive(Debug)]
pub(crate) struct Ending {
    exit: Exit,
    line: Line,
    message: String,
    details: Vec<String>,
    advice: Option<String>,
}

/// The line that programs read.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Line {
    /// A rejection is a status, as on the wire.
    Rejected(RejectedLine),
    /// Every other end is an object with one key.
    End(End),
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct RejectedLine {
    status: &'static str,
    code: String,
    description: String,
    details: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    fate: &'static str,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    Exception {
        module: Option<String>,
        class: String,
        message: String,
        args: Json,
        state: Json,
        text: String,
        fate: &'static str,
    },
    Aborted {
        reason: &'static str,
        message: String,
        fate: &'static str,
    },
    NoAgent {
        message: String,
        fate: &'static str,
    },
    Timeout {
        phase: &'static str,
        after_ms: u64,
        message: String,
        fate: &'static str,
    },
    Transport {
        kind: &'static str,
        message: String,
        fate: &'static str,
    },
    Usage {
        message: String,
    },
}

impl From<Unusable> for Box<Ending> {
    fn from(unusable: Unusable) -> Self {
        Ending::unusable(&unusable)
    }
}

impl Ending {
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn line(&self) -> Line {
        self.line.clone()
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn details(&self) -> &[String] {
        &self.details
    }

    pub(crate) fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    /// The same ending, which says what to do.
    pub(crate) fn try_this(mut self: Box<Self>, advice: impl Into<String>) -> Box<Self> {
        self.advice.get_or_insert(advice.into());
        self
    }

    /// The command line, or a file that it names, cannot be used.
    pub(crate) fn usage(message: impl Into<String>) -> Box<Self> {
        let message = message.into();
        Box::new(Ending {
            exit: Exit::Usage,
            line: Line::End(End::Usage { message: message.clone() }),
            message,
            details: Vec::new(),
            advice: None,
        })
    }

    /// A file that the command line names cannot be used.
    pub(crate) fn file(error: &dyn Error) -> Box<Self> {
        let mut ending = Ending::usage(error.to_string());
        ending.details = causes(error);
        ending
    }

    /// What the program was told cannot be used.
    fn unusable(unusable: &Unusable) -> Box<Self> {
        match (unusable, unusable.advice()) {
            (_, Some(advice)) => Ending::usage(unusable.to_string()).try_this(advice),
            (unusable, None) => Ending::file(unusable),
        }
    }

    /// There is no way to the bus, or it was lost.
    pub(crate) fn transport(message: impl Into<String>, error: &dyn Error) -> Box<Self> {
        Ending::lost("disconnected", Fate::NeverRan, message.into(), std::iter::once(error.to_string()).chain(causes(error)))
    }

    fn lost(kind: &'static str, fate: Fate, message: String, details: impl IntoIterator<Item = String>) -> Box<Self> {
        let details: Vec<_> = details.into_iter().collect();
        let whole = std::iter::once(&message).chain(&details).map(String::as_str).collect::<Vec<_>>().join(": ");
        let line = Line::End(End::Transport { kind, message: whole, fate: word(fate) });
        Box::new(Ending { exit: Exit::Transport, line, message, details, advice: None })
    }

    fn of_transport(what: &str, error: &TransportError, fate: Fate) -> Box<Self> {
        let kind = match error.kind {
            TransportErrorKind::Closed => "closed",
            TransportErrorKind::Disconnected => "disconnected",
            TransportErrorKind::Full => "full",
            TransportErrorKind::Ambiguous => "ambiguous",
            TransportErrorKind::Refused => "refused",
            _ => "other",
        };
        Ending::lost(kind, fate, what.to_owned(), std::iter::once(error.to_string()).chain(causes(error)))
    }

    /// How a call ended. `what` is what was called.
    pub(crate) fn of_call(what: &str, error: &CallError<Exception>) -> Box<Self> {
        let fate = error.fate();
        match error.last() {
            CallError::Remote(exception) => Ending::of_exception(what, exception),
            CallError::Exception(exception) => Ending::of_exception(what, exception),
            CallError::Rejected(rejection) => Ending::of_rejection(what, rejection, fate),
            CallError::NoAgent(address) => {
                let message = format!("nobody listens at `{address}`");
                let line = Line::End(End::NoAgent { message: message.clone(), fate: word(fate) });
                let advice = "start the agent, or correct the address: an agent says its own when it starts".to_owned();
                Box::new(Ending { exit: Exit::NoAgent, line, message, details: Vec::new(), advice: Some(advice) })
            }
            CallError::Timeout { phase, after } => Ending::timeout(what, *phase, *after, fate),
            CallError::NotSent => Ending::timeout(what, Phase::Send, Duration::ZERO, fate),
            CallError::Cancelled => Ending::aborted(what, "cancelled", "it was cancelled before it started", fate),
            CallError::Interrupted(abort) => Ending::aborted(what, "interrupted", &abort.message, fate),
            CallError::Poisoned(abort) => Ending::aborted(what, "poisoned", &abort.message, fate),
            CallError::Panicked(abort) => Ending::aborted(what, "panicked", &abort.message, fate),
            CallError::Transport(error) => Ending::of_transport("the request could not be sent", error, fate),
            CallError::ReplyLost => Ending::lost("reply_lost", fate, error.to_string(), None),
            CallError::Closed => Ending::lost("closed", fate, error.to_string(), None),
            CallError::Encode(_) => Ending::usage(error.to_string()),
            error => Ending::lost("unreadable", fate, error.to_string(), None),
        }
    }

    fn of_exception(what: &str, exception: &Exception) -> Box<Self> {
        let (class, message) = (exception.class().to_owned(), exception.message());
        let mut details = Vec::new();
        if !exception.xargs.is_null() && exception.xargs != Json::EMPTY_ARRAY {
            details.push(format!("arguments: {}", crate::json_text::compact(exception.xargs.as_str())));
        }
        // Ours repeat the message there; Python's have the way that it came.
        details.extend(exception.trace().filter(|trace| trace.trim().contains('\n')));
        let line = Line::End(End::Exception {
            module: exception.xmodule.as_deref().map(str::to_owned),
            class: class.clone(),
            message: message.clone(),
            args: exception.xargs.clone(),
            state: exception.xstate.clone(),
            text: exception.exval.to_string(),
            fate: word(Fate::Ran),
        });
        Box::new(Ending {
            exit: Exit::Exception,
            line,
            message: format!("{what} raised {class}: {message}"),
            details,
            advice: None,
        })
    }

    fn of_rejection(what: &str, rejection: &Rejection, fate: Fate) -> Box<Self> {
        let retry_after = rejection.retry_after;
        let advice = match &rejection.code {
            RejectionCode::UnknownClass
            | RejectionCode::UnknownMethod
            | RejectionCode::UnknownVersion
            | RejectionCode::Arguments => Some(
                "`rmi describe` with the same URL and address shows what is served there, and with which arguments".to_owned(),
            ),
            RejectionCode::Authentication => Some(
                "the agent's directory of trusted keys has to have your public key, under the name that you go by (--as)"
                    .to_owned(),
            ),
            RejectionCode::Authorization => Some("ask who runs the agent for the right to call this method".to_owned()),
            RejectionCode::Expired => Some("a longer --ttl, or none".to_owned()),
            code if code.is_transient() => Some(match retry_after {
                Some(time) => format!("again in {time:?}: the request never ran"),
                None => "again: the request never ran".to_owned(),
            }),
            _ => None,
        };
        let line = Line::Rejected(RejectedLine {
            status: "rejected",
            code: rejection.code.to_string(),
            description: rejection.description.to_string(),
            details: rejection.details.to_string(),
            retry_after_ms: retry_after.map(millis),
            fate: word(fate),
        });
        let details = if rejection.details.is_empty() { Vec::new() } else { vec![rejection.details.to_string()] };
        let message = format!("{what} was rejected ({}): {}", rejection.code, rejection.description);
        Box::new(Ending { exit: Exit::Rejected, line, message, details, advice })
    }

    fn timeout(what: &str, phase: Phase, after: Duration, fate: Fate) -> Box<Self> {
        let name = match phase {
            Phase::Send => "send",
            Phase::Accept => "accept",
            Phase::Start => "start",
            Phase::Idle => "idle",
            Phase::Total => "total",
        };
        let message = format!("{what} timed out after {after:?} {phase}");
        let line = Line::End(End::Timeout { phase: name, after_ms: millis(after), message: message.clone(), fate: word(fate) });
        Box::new(Ending { exit: Exit::Timeout, line, message, details: Vec::new(), advice: None })
    }

    fn aborted(what: &str, reason: &'static str, why: &str, fate: Fate) -> Box<Self> {
        let message = format!("{what} was {reason}: {why}");
        let line = Line::End(End::Aborted { reason, message: why.to_owned(), fate: word(fate) });
        Box::new(Ending { exit: Exit::Exception, line, message, details: Vec::new(), advice: None })
    }

    /// An event could not be published.
    pub(crate) fn of_publish(error: &PublishError) -> Box<Self> {
        match error {
            PublishError::Transport(transport) => {
                Ending::of_transport("the event could not be sent", transport, Fate::MayHaveRun)
            }
            PublishError::Timeout(after) => Ending::timeout("the event", Phase::Send, *after, Fate::MayHaveRun),
            PublishError::Unsupported(why) => Ending::lost("refused", Fate::NeverRan, why.clone(), None),
            PublishError::Closed => Ending::lost("closed", Fate::NeverRan, error.to_string(), None),
            error => Ending::file(error),
        }
    }

    /// Events could not be subscribed to.
    pub(crate) fn of_subscribe(error: &SubscribeError) -> Box<Self> {
        match error {
            SubscribeError::Transport(transport) => {
                Ending::of_transport("nothing could be subscribed to", transport, Fate::NeverRan)
            }
            SubscribeError::Unsupported(why) => Ending::lost("refused", Fate::NeverRan, why.clone(), None),
            SubscribeError::Closed => Ending::lost("closed", Fate::NeverRan, error.to_string(), None),
            error => Ending::file(error),
        }
    }
}

/// What lies below an error, outermost first, without what the one above has said already.
fn causes(error: &dyn Error) -> Vec<String> {
    let (mut above, mut below) = (error.to_string(), error.source());
    let mut causes = Vec::new();
    while let Some(cause) = below {
        let text = cause.to_string();
        if !above.ends_with(&text) {
            causes.push(text.clone());
        }
        (above, below) = (text, cause.source());
    }
    causes
}

fn word(fate: Fate) -> &'static str {
    match fate {
        Fate::NeverRan => "never_ran",
        Fate::MayHaveRun => "may_have_run",
        Fate::Ran => "ran",
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmi_core::message::{Abort, AbortReason};

    /// What programs read is written down here once, for every end that there is.
    #[test]
    fn every_end_has_its_status_and_its_line() {
        let abort = |reason| Abort::new(reason, "why");
        let ends: [(CallError<Exception>, Exit, &str); 12] = [
            (
                CallError::Remote(Exception::new("builtins", "ValueError", "no")),
                Exit::Exception,
                r#"{"exception":{"module":"builtins","class":"ValueError","message":"no","args":["no"],"state":{"trace":"ValueError: no"},"text":"ValueError: no","fate":"ran"}}"#,
            ),
            (
                CallError::Rejected(Rejection::new(RejectionCode::Busy, "").retry_after(Duration::from_millis(1500))),
                Exit::Rejected,
                r#"{"status":"rejected","code":"agent.busy","description":"the agent has no room for another request","details":"","retry_after_ms":1500,"fate":"never_ran"}"#,
            ),
            (
                CallError::NoAgent("cat".into()),
                Exit::NoAgent,
                r#"{"no_agent":{"message":"nobody listens at `cat`","fate":"never_ran"}}"#,
            ),
            (
                CallError::Timeout { phase: Phase::Total, after: Duration::from_millis(50) },
                Exit::Timeout,
                r#"{"timeout":{"phase":"total","after_ms":50,"message":"Dog.bark timed out after 50ms waiting for the outcome","fate":"may_have_run"}}"#,
            ),
            (
                CallError::Cancelled,
                Exit::Exception,
                r#"{"aborted":{"reason":"cancelled","message":"it was cancelled before it started","fate":"never_ran"}}"#,
            ),
            (
                CallError::Interrupted(abort(AbortReason::Interrupted)),
                Exit::Exception,
                r#"{"aborted":{"reason":"interrupted","message":"why","fate":"may_have_run"}}"#,
            ),
            (
                CallError::Poisoned(abort(AbortReason::Poisoned)),
                Exit::Exception,
                r#"{"aborted":{"reason":"poisoned","message":"why","fate":"may_have_run"}}"#,
            ),
            (
                CallError::Panicked(abort(AbortReason::Panicked)),
                Exit::Exception,
                r#"{"aborted":{"reason":"panicked","message":"why","fate":"ran"}}"#,
            ),
            (
                CallError::Transport(TransportError::new(TransportErrorKind::Ambiguous, "cut")),
                Exit::Transport,
                r#"{"transport":{"kind":"ambiguous","message":"the request could not be sent: not known to have arrived: cut","fate":"may_have_run"}}"#,
            ),
            (
                CallError::ReplyLost,
                Exit::Transport,
                r#"{"transport":{"kind":"reply_lost","message":"the reply was lost with the link: whether the method ran is unknown","fate":"may_have_run"}}"#,
            ),
            (
                CallError::Closed,
                Exit::Transport,
                r#"{"transport":{"kind":"closed","message":"the endpoint was closed while the call was pending","fate":"may_have_run"}}"#,
            ),
            (
                CallError::Encode("no key".into()),
                Exit::Usage,
                r#"{"usage":{"message":"the request could not be written: no key"}}"#,
            ),
        ];
        for (error, exit, line) in ends {
            let ending = Ending::of_call("Dog.bark", &error);
            assert_eq!(ending.exit(), exit, "{error:?}");
            assert_eq!(serde_json::to_string(&ending.line()).unwrap(), line);
        }
    }
}

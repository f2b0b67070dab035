//! The names that the envelope has for what the model has no words for.

use crate::message::{AbortReason, Exception, Rejection, RejectionCode, Statuses};

/// The module of the exception that stands for an abort.
pub(super) const ABORT_MODULE: &str = "rmi";

/// The module of gofer's two classes for what is not there.
const DISPATCHER: &str = "gofer.rmi.dispatcher";

/// The rejections that gofer says as exceptions.
#[derive(Clone, Copy)]
pub(super) enum Missing {
    Class,
    Method,
}

impl Missing {
    pub(super) fn of(code: &RejectionCode) -> Option<Self> {
        match code {
            RejectionCode::UnknownClass => Some(Missing::Class),
            RejectionCode::UnknownMethod => Some(Missing::Method),
            _ => None,
        }
    }

    /// The rejection in gofer's form: the class, and what is missing as its message.
    pub(super) fn exception(self, rejection: &Rejection) -> Exception {
        let class = match self {
            Missing::Class => "NamespaceNotFound",
            Missing::Method => "MemberNotFound",
        };
        let details = if rejection.details.is_empty() { &rejection.description } else { &rejection.details };
        Exception::new(DISPATCHER, class, details.clone())
    }

    /// The rejection that [`Missing::exception`] wrote. The description is the code's own.
    pub(super) fn rejection(code: RejectionCode, exception: &Exception) -> Rejection {
        let message = exception.message();
        let details = if message == code.description() { String::new() } else { message };
        Rejection::new(code, details)
    }
}

/// The reason behind a name that [`AbortReason::as_str`] gives, in lower case.
pub(super) fn abort_reason(name: &str) -> Option<AbortReason> {
    AbortReason::ALL.into_iter().find(|reason| reason.as_str().to_ascii_lowercase() == name)
}

/// The wanted statuses by name.
pub(super) fn statuses(wanted: Statuses) -> [(bool, &'static str); 3] {
    [(wanted.accepted, "accepted"), (wanted.started, "started"), (wanted.progress, "progress")]
}

/// Whether a text has the form of a W3C `traceparent` of version 00: `00-<32 hex>-<16 hex>-<2 hex>`.
pub(super) fn is_traceparent(text: &str) -> bool {
    let text = text.as_bytes();
    text.len() == 55
        && text.starts_with(b"00-")
        && text[35] == b'-'
        && text[52] == b'-'
        && [3..35, 36..52, 53..55].into_iter().all(|part| text[part].iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// Adds the status of this name, if there is one.
pub(super) fn want(wanted: &mut Statuses, name: &str) {
    match name {
        "accepted" => wanted.accepted = true,
        "started" => wanted.started = true,
        "progress" => wanted.progress = true,
        _ => {}
    }
}

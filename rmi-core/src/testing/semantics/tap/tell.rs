//! Tells messages apart, and what became of them.

use super::Passed;
use crate::message::{Body, Message, Outcome, Request, Sn, Status};

/// What a message says of the end of a request.
pub(in super::super) fn outcome(message: &Message) -> Option<&Outcome> {
    if let Body::Outcome(outcome) = &message.body { Some(outcome) } else { None }
}

pub(in super::super) fn is_outcome(message: &Message) -> bool {
    outcome(message).is_some()
}

pub(in super::super) fn is_progress(message: &Message) -> bool {
    matches!(message.body, Body::Status(Status::Progress(_)))
}

pub(in super::super) fn request(message: &Message) -> Option<&Request> {
    if let Body::Request(request) = &message.body { Some(request) } else { None }
}

/// Tells requests for a method.
pub(in super::super) fn calls(method: &'static str) -> impl Fn(&Message) -> bool + Copy + Send + 'static {
    move |message| request(message).is_some_and(|request| &*request.method == method)
}

/// Tells what was published.
pub(in super::super) fn published(which: impl Fn(&Message) -> bool) -> impl Fn(&Passed) -> bool {
    move |passed| matches!(passed, Passed::Published(message, _) if which(message))
}

/// Tells what is held back.
pub(in super::super) fn held(passed: &Passed) -> bool {
    matches!(passed, Passed::Held(_))
}

/// Tells what arrived.
pub(in super::super) fn delivered(which: impl Fn(&Message) -> bool) -> impl Fn(&Passed) -> bool {
    move |passed| matches!(passed, Passed::Delivered(message, _) if which(message))
}

/// Tells the request of this serial number.
pub(in super::super) fn numbered(sn: &Sn) -> impl Fn(&Message) -> bool + '_ {
    move |message| message.head.sn.as_ref() == Some(sn) && request(message).is_some()
}

//! What went wrong, as an error of the protocol, and back.

use std::{borrow::Cow, time::Duration};

use super::{Profile, line};
use crate::{
    json::Json,
    message::{Abort, AbortReason, Exception, Outcome, Rejection, RejectionCode, missing_in, no_list_in},
    protocol::write::Writer,
    scan::{Scanner, Value},
    text::Text,
};

/// What the code of an abort begins with.
const ABORTED: &str = "aborted.";
/// What the original says of an error that says nothing.
const UNKNOWN: &str = "unknown error";
/// What the original says of a task that ends with its agent.
const CLOSING: &str = "service being shutdown";

/// What went wrong, for a person, in the words of the original where it has some.
fn message<'a>(outcome: &'a Outcome, command: &str) -> Cow<'a, str> {
    match outcome {
        Outcome::Result(_) => Cow::Borrowed(UNKNOWN),
        Outcome::Exception(exception) => Cow::Owned(said(exception)),
        Outcome::Rejected(rejection) => match (missing_in(rejection), no_list_in(rejection)) {
            (Some(name), _) => Cow::Owned(format!("missing parameter \"{name}\" in \"{command}\" command")),
            (_, Some(name)) => Cow::Owned(format!("\"{name}\" must be a list")),
            _ if rejection.code == RejectionCode::Closing => Cow::Borrowed(CLOSING),
            _ if is_unknown(&rejection.code) => Cow::Borrowed(line::fatal::UNKNOWN_METHOD),
            _ if rejection.code == RejectionCode::Arguments => Cow::Borrowed(&*rejection.details),
            _ => Cow::Owned(rejection.to_string()),
        },
        Outcome::Aborted(abort) => Cow::Owned(abort.to_string()),
    }
}

/// Whether nothing of that name is served.
pub(super) fn is_unknown(code: &RejectionCode) -> bool {
    matches!(code, RejectionCode::UnknownClass | RejectionCode::UnknownMethod)
}

/// What an exception says, without its class.
fn said(exception: &Exception) -> String {
    let last = exception.exval.trim_end().lines().last().unwrap_or_default();
    match last.strip_prefix(exception.class()).and_then(|rest| rest.strip_prefix(": ")) {
        Some(said) => said.to_owned(),
        None => exception.message(),
    }
}

/// Writes what went wrong as the value of `error`.
pub(super) fn write(w: &mut Writer, outcome: &Outcome, command: &str, profile: Profile) {
    match profile {
        Profile::Deployed => w.string(&message(outcome, command)),
        Profile::Documented => {
            w.literal("{");
            write_members(w, outcome, command);
            w.literal("}");
        }
    }
}

/// Writes the members of an error that is an object: `msg`, and what makes of it again what it was.
pub(super) fn write_members(w: &mut Writer, outcome: &Outcome, command: &str) {
    w.literal("\"msg\":");
    w.string(&message(outcome, command));
    let mut coded = |code: &str, details: &str| {
        w.literal(",\"code\":");
        w.string(code);
        w.literal(",\"details\":");
        w.string(details);
    };
    match outcome {
        Outcome::Rejected(rejection) => {
            coded(rejection.code.as_str(), &rejection.details);
            if let Some(time) = rejection.retry_after {
                w.literal(",\"retry_after\":");
                w.number(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
            }
        }
        Outcome::Aborted(abort) => {
            coded(&format!("{ABORTED}{}", abort.reason.as_str().to_ascii_lowercase()), &abort.message);
        }
        Outcome::Exception(exception) if exception.xclass.is_some() => {
            w.literal(",\"xmodule\":");
            w.string_or_null(exception.xmodule.as_deref());
            w.literal(",\"xclass\":");
            w.string_or_null(exception.xclass.as_deref());
            w.literal(",\"xargs\":");
            w.raw(&exception.xargs);
            w.literal(",\"xstate\":");
            w.raw(&exception.xstate);
        }
        Outcome::Exception(_) | Outcome::Result(_) => {}
    }
}

/// Reads an error: a string, an object with a `msg`, or whatever else a peer has.
pub(super) fn read(whole: &Text, error: Value<'_>) -> Outcome {
    if error.get().starts_with('{') {
        return read_members(whole, error.get());
    }
    let said = match line::string(error) {
        Some(said) => said,
        None if error.get() == "null" => Cow::Borrowed(UNKNOWN),
        None => Cow::Borrowed(error.get()),
    };
    Outcome::from(plain(&said, Json::EMPTY_OBJECT))
}

/// Reads an error that is an object, or the `task_status` of one.
pub(super) fn read_members(whole: &Text, object: &str) -> Outcome {
    let string = |name| line::member(object, name).and_then(line::string);
    let said = match line::member(object, "msg") {
        Some(msg) => line::string(msg).unwrap_or(Cow::Borrowed(msg.get())),
        None => Cow::Borrowed(if object.len() > 2 { object } else { UNKNOWN }),
    };
    if let Some(code) = string("code") {
        let details = Text::from(&*string("details").unwrap_or(Cow::Borrowed(&*said)));
        return match code.strip_prefix(ABORTED).and_then(reason) {
            Some(reason) => Abort::new(reason, details).into(),
            None => {
                let millis = line::member(object, "retry_after").and_then(|millis| millis.get().parse().ok());
                let rejection = Rejection::new(RejectionCode::from_name(&code), details);
                Rejection { retry_after: millis.map(Duration::from_millis), ..rejection }.into()
            }
        };
    }
    let Some(class) = string("xclass") else {
        return Outcome::from(plain(&said, Json::part(whole, object)));
    };
    let part = |name, open, empty| {
        let value = line::member(object, name).map(Value::get).filter(|text| text.starts_with(open));
        value.map_or(empty, |text| Json::part(whole, text))
    };
    Outcome::from(Exception {
        exval: Text::from(format!("{class}: {said}")),
        xmodule: string("xmodule").map(|module| Text::from(&*module)),
        xclass: Some(Text::from(&*class)),
        xargs: part("xargs", '[', Json::EMPTY_ARRAY),
        xstate: part("xstate", '{', Json::EMPTY_OBJECT),
    })
}

/// An exception of no class.
fn plain(said: &str, xstate: Json) -> Exception {
    let xargs = Json::encode(&[said]).unwrap_or(Json::EMPTY_ARRAY);
    Exception { exval: Text::from(said), xmodule: None, xclass: None, xargs, xstate }
}

fn reason(name: &str) -> Option<AbortReason> {
    AbortReason::ALL.into_iter().find(|reason| reason.as_str().eq_ignore_ascii_case(name))
}

/// An error in a text: what the session answers by itself.
pub(super) fn write_text(w: &mut Writer, said: &str, profile: Profile) {
    match profile {
        Profile::Deployed => w.string(said),
        Profile::Documented => {
            w.literal("{\"msg\":");
            w.string(said);
            w.literal("}");
        }
    }
}

/// The members of an error as an answer has it, without the braces: to say it elsewhere.
pub(super) fn members_of(error: Value<'_>) -> String {
    let object = error.get().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    match object {
        Some(members) => members.to_owned(),
        None => {
            let msg = if Scanner::new(error.get()).peek() == Some(b'"') { error.get() } else { "\"unknown error\"" };
            format!("\"msg\":{msg}")
        }
    }
}

//! Messages to text. Keys are sorted, as gofer sorts them.

use std::time::Duration;

use super::{
    ABORTED, VERSION,
    names::{self, Missing},
};
use crate::{
    json::Json,
    message::{Abort, Body, Event, Exception, Head, Message, Outcome, Progress, Rejection, Request, Status, Statuses},
    protocol::{ProtocolError, write::Writer},
    time::Timestamp,
};

/// What the object `rmi` says.
#[derive(Default)]
struct Extras<'a> {
    code: Option<Code<'a>>,
    event: Option<&'a Event>,
    group: Option<&'a str>,
    retry_after: Option<Duration>,
    statuses: Option<Statuses>,
    trace: Option<&'a str>,
    ttl: Option<Duration>,
    version: Option<&'a str>,
}

#[derive(Clone, Copy)]
enum Code<'a> {
    Rejected(&'a str),
    Aborted(&'a str),
}

/// Writes a message. `kwargs` repeats the named arguments under that key.
pub(super) fn encode(message: &Message, kwargs: bool) -> Result<Vec<u8>, ProtocolError> {
    let head = &message.head;
    let mut w = Writer::with_capacity(capacity(message));
    match &message.body {
        Body::Request(request) => write_request(&mut w, head, request, kwargs)?,
        Body::Status(Status::Accepted) => write_status(&mut w, head, r#","status":"accepted""#),
        Body::Status(Status::Started) => write_status(&mut w, head, r#","status":"started""#),
        Body::Status(Status::Progress(progress)) => write_progress(&mut w, head, progress),
        Body::Outcome(Outcome::Result(value)) => {
            open(&mut w, head);
            w.literal(r#","result":{"retval":"#);
            w.raw(value);
            w.literal("}");
            close_reply(&mut w, head, None, "");
        }
        Body::Outcome(Outcome::Exception(exception)) => write_exception(&mut w, head, exception, None),
        Body::Outcome(Outcome::Rejected(rejection)) => write_rejection(&mut w, head, rejection),
        Body::Outcome(Outcome::Aborted(Abort { reason, message })) => {
            let exception = Exception::new(names::ABORT_MODULE, reason.as_str(), message.clone());
            write_exception(&mut w, head, &exception, Some(Code::Aborted(reason.as_str())));
        }
        Body::Event(event) => write_event(&mut w, head, event)?,
    }
    Ok(w.finish())
}

/// Enough for the keys, the identifiers and the parts, so that the buffer does not grow.
fn capacity(message: &Message) -> usize {
    let parts = match &message.body {
        Body::Request(r) => {
            let cntr = r.cntr.as_ref().map_or(0, |c| c.positional.as_str().len() + c.named.as_str().len());
            r.args.positional.as_str().len() + r.args.named.as_str().len() + cntr
        }
        Body::Status(Status::Progress(progress)) => progress.details.as_str().len(),
        Body::Outcome(Outcome::Result(value)) => value.as_str().len(),
        Body::Outcome(Outcome::Exception(e)) => e.exval.len() + e.xargs.as_str().len() + e.xstate.as_str().len(),
        Body::Event(event) => event.body.as_str().len(),
        Body::Status(Status::Accepted | Status::Started) | Body::Outcome(Outcome::Rejected(_) | Outcome::Aborted(_)) => 0,
    };
    448 + parts + message.head.data.as_ref().map_or(0, |data| data.as_str().len())
}

fn write_request(w: &mut Writer, head: &Head, request: &Request, kwargs: bool) -> Result<(), ProtocolError> {
    open(w, head);
    w.literal(r#","replyto":"#);
    w.string_or_null(head.reply.as_ref().map(|reply| reply.to.as_str()));
    w.literal(r#","request":{"args":"#);
    w.raw(array("args", &request.args.positional)?);
    w.literal(r#","classname":"#);
    w.string(&request.class);
    w.literal(r#","cntr":"#);
    match &request.cntr {
        Some(cntr) => {
            w.literal("[");
            w.raw(array("cntr", &cntr.positional)?);
            w.literal(",");
            w.raw(object("cntr", &cntr.named)?);
            w.literal("]");
        }
        None => w.literal("null"),
    }
    let named = object("kws", &request.args.named)?;
    if kwargs {
        w.literal(r#","kwargs":"#);
        w.raw(named);
    }
    w.literal(r#","kws":"#);
    w.raw(named);
    w.literal(r#","method":"#);
    w.string(&request.method);
    w.literal("}");
    let extras = Extras {
        group: request.group.as_deref(),
        statuses: request.wants,
        trace: trace(head),
        ttl: head.ttl,
        version: request.version.as_deref(),
        ..Extras::default()
    };
    write_extras(w, &extras);
    write_address(w, head);
    write_date(w, head.sent.map(Timestamp::millis));
    close(w);
    Ok(())
}

fn write_status(w: &mut Writer, head: &Head, status: &str) {
    open(w, head);
    close_reply(w, head, None, status);
}

fn write_progress(w: &mut Writer, head: &Head, progress: &Progress) {
    w.literal(r#"{"completed":"#);
    w.number(progress.completed);
    w.literal(r#","data":"#);
    w.raw_or_null(head.data.as_ref());
    w.literal(r#","details":"#);
    w.raw(&progress.details);
    write_extras(w, &Extras { trace: trace(head), ..Extras::default() });
    write_address(w, head);
    w.literal(r#","status":"progress","total":"#);
    w.number(progress.total);
    close(w);
}

fn write_exception(w: &mut Writer, head: &Head, exception: &Exception, code: Option<Code<'_>>) {
    open(w, head);
    w.literal(r#","result":{"exval":"#);
    w.string(&exception.exval);
    w.literal(r#","xargs":"#);
    w.raw(&exception.xargs);
    w.literal(r#","xclass":"#);
    w.string_or_null(exception.xclass.as_deref());
    w.literal(r#","xmodule":"#);
    w.string_or_null(exception.xmodule.as_deref());
    w.literal(r#","xstate":"#);
    w.raw(&exception.xstate);
    w.literal("}");
    close_reply(w, head, code, "");
}

fn write_rejection(w: &mut Writer, head: &Head, rejection: &Rejection) {
    if let Some(missing) = Missing::of(&rejection.code) {
        let code = Code::Rejected(rejection.code.as_str());
        return write_exception(w, head, &missing.exception(rejection), Some(code));
    }
    w.literal(r#"{"code":"#);
    w.string(rejection.code.as_str());
    w.literal(r#","data":"#);
    w.raw_or_null(head.data.as_ref());
    w.literal(r#","description":"#);
    w.string(&rejection.description);
    w.literal(r#","details":"#);
    w.string(&rejection.details);
    write_extras(w, &Extras { retry_after: rejection.retry_after, trace: trace(head), ..Extras::default() });
    write_address(w, head);
    w.literal(r#","status":"rejected""#);
    write_date(w, head.sent.map(Timestamp::seconds));
    close(w);
}

fn write_event(w: &mut Writer, head: &Head, event: &Event) -> Result<(), ProtocolError> {
    object("event.body", &event.body)?;
    open(w, head);
    write_extras(w, &Extras { event: Some(event), trace: trace(head), ttl: head.ttl, ..Extras::default() });
    write_address(w, head);
    write_date(w, head.sent.map(Timestamp::millis));
    close(w);
    Ok(())
}

fn open(w: &mut Writer, head: &Head) {
    w.literal(r#"{"data":"#);
    w.raw_or_null(head.data.as_ref());
}

fn write_address(w: &mut Writer, head: &Head) {
    w.literal(r#","routing":["#);
    w.string_or_null(head.from.as_ref().map(|from| from.as_str()));
    w.literal(",");
    w.string(head.to.as_str());
    w.literal(r#"],"sn":"#);
    match head.reply.as_ref().and_then(|reply| reply.token.as_ref()) {
        // As its request had it: a number.
        Some(number) => w.raw(number),
        None => w.string_or_null(head.sn.as_ref().map(|sn| sn.as_str())),
    }
}

fn write_date<const N: usize>(w: &mut Writer, date: Option<[u8; N]>) {
    if let Some(date) = date {
        w.literal(r#","timestamp":"#);
        w.quoted(&date);
    }
}

fn close_reply(w: &mut Writer, head: &Head, code: Option<Code<'_>>, status: &str) {
    write_extras(w, &Extras { code, trace: trace(head), ..Extras::default() });
    write_address(w, head);
    w.literal(status);
    write_date(w, head.sent.map(Timestamp::seconds));
    close(w);
}

fn close(w: &mut Writer) {
    w.literal(r#","version":""#);
    w.literal(VERSION);
    w.literal(r#""}"#);
}

/// Writes the object `rmi`, unless it would be empty.
fn write_extras(w: &mut Writer, extras: &Extras<'_>) {
    let mut before = r#","rmi":{"#;
    let mut member = |w: &mut Writer, key: &str| {
        w.literal(std::mem::replace(&mut before, ","));
        w.literal(key);
    };
    if let Some(code) = extras.code {
        member(w, r#""code":"#);
        match code {
            Code::Rejected(code) => w.string(code),
            Code::Aborted(reason) => w.string(&format!("{ABORTED}{}", reason.to_ascii_lowercase())),
        }
    }
    if let Some(event) = extras.event {
        member(w, r#""event":{"body":"#);
        w.raw(&event.body);
        w.literal(r#","key":"#);
        w.string(&event.key);
        w.literal("}");
    }
    if let Some(group) = extras.group {
        member(w, r#""group":"#);
        w.string(group);
    }
    if let Some(time) = extras.retry_after {
        member(w, r#""retry_after":"#);
        w.number(millis(time));
    }
    if let Some(statuses) = extras.statuses {
        member(w, r#""statuses":["#);
        let mut before = "";
        for (wanted, name) in names::statuses(statuses) {
            if wanted {
                w.literal(std::mem::replace(&mut before, ","));
                w.quoted(name.as_bytes());
            }
        }
        w.literal("]");
    }
    if let Some(trace) = extras.trace {
        member(w, r#""trace":"#);
        w.quoted(trace.as_bytes());
    }
    if let Some(ttl) = extras.ttl {
        member(w, r#""ttl":"#);
        w.number(millis(ttl));
    }
    if let Some(version) = extras.version {
        member(w, r#""version":"#);
        w.string(version);
    }
    if before == "," {
        w.literal("}");
    }
}

fn trace(head: &Head) -> Option<&str> {
    head.trace.as_deref().filter(|trace| names::is_traceparent(trace))
}

/// Whole milliseconds, rounded up: a time never becomes none by being written.
fn millis(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000).saturating_add(time.subsec_nanos().div_ceil(1_000_000).into())
}

fn array<'a>(name: &str, json: &'a Json) -> Result<&'a Json, ProtocolError> {
    shaped(name, json, '[', "an array")
}

fn object<'a>(name: &str, json: &'a Json) -> Result<&'a Json, ProtocolError> {
    shaped(name, json, '{', "an object")
}

fn shaped<'a>(name: &str, json: &'a Json, first: char, what: &str) -> Result<&'a Json, ProtocolError> {
    if json.as_str().starts_with(first) { Ok(json) } else { Err(ProtocolError(format!("`{name}` is not {what}"))) }
}

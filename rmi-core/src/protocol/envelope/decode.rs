//! Text to messages: as lenient as real peers need it, and never in two ways.

use std::time::Duration;

use super::{
    ABORTED, Native, VERSION,
    fields::{Envelope, EventPart, Extras, ParseError, Part, Raw, RequestPart, ResultPart, pair},
    names::{self, Missing},
    values,
};
use crate::{
    address::Address,
    json::Json,
    message::{
        Abort, Arguments, Body, Constructor, Event, Exception, Head, Message, Outcome, Progress, Rejection, RejectionCode,
        ReplyPath, Request, Sn, Status,
    },
    protocol::{Refused, python},
    scan::Value,
    text::Text,
    time::Timestamp,
    transport::Delivery,
};

/// Reads a message that came by a delivery.
pub(super) fn decode(native: &Native, delivery: &Delivery) -> Result<Message, Refused> {
    let text = delivery.text().map_err(|e| Refused::silently(malformed(e.to_string())))?;
    let mut envelope = Envelope::default();
    let Err(error) = envelope.read(&text) else { return read(native, &text, &envelope, delivery) };
    let refused = |error: ParseError| Refused::silently(malformed(error.to_string()));
    let Some(text) = python::without_special_numbers(&text) else { return Err(refused(error)) };
    let mut envelope = Envelope::default();
    envelope.read(&text).map_err(refused)?;
    read(native, &text, &envelope, delivery)
}

fn read(native: &Native, text: &Text, envelope: &Envelope<'_>, delivery: &Delivery) -> Result<Message, Refused> {
    let none = Extras::default();
    let extras = match &envelope.rmi {
        Part::Object(extras) => extras,
        Part::Absent | Part::Other => &none,
    };
    let kind = Kind::of(envelope, extras);
    let (head, flaw) = read_head(text, envelope, extras, &kind, delivery);
    let body = read_version(native, envelope.version)
        .and(flaw.map_or(Ok(()), Err))
        .and_then(|()| read_body(text, envelope, extras, &kind));
    match body {
        Ok(body) => Ok(Message { head, body }),
        Err(rejection) if head.reply.is_some() => Err(Refused::answering(head, rejection)),
        Err(rejection) => Err(Refused { head: Some(Box::new(head)), ..Refused::silently(rejection) }),
    }
}

/// The kinds, told apart as gofer does.
enum Kind<'e, 'a> {
    Request(&'e Part<RequestPart<'a>>),
    Status(Value<'a>),
    Result(&'e Part<ResultPart<'a>>),
    Event(&'e EventPart<'a>),
    Unknown,
}

impl<'e, 'a> Kind<'e, 'a> {
    fn of(envelope: &'e Envelope<'a>, extras: &'e Extras<'a>) -> Self {
        match (&envelope.request, envelope.status, &envelope.result, &extras.event) {
            (request @ (Part::Object(_) | Part::Other), ..) => Kind::Request(request),
            (_, Some(status), ..) if status.get() != "null" => Kind::Status(status),
            (_, _, result @ (Part::Object(_) | Part::Other), _) => Kind::Result(result),
            (_, _, _, Part::Object(event)) => Kind::Event(event),
            _ => Kind::Unknown,
        }
    }

    /// Whether the sender may wait for an answer. A reply is never answered.
    fn is_answered(&self) -> bool {
        matches!(self, Kind::Request(_) | Kind::Unknown)
    }
}

/// The head, as far as it can be read, and what is wrong with it.
fn read_head(
    text: &Text,
    envelope: &Envelope<'_>,
    extras: &Extras<'_>,
    kind: &Kind<'_, '_>,
    delivery: &Delivery,
) -> (Head, Option<Rejection>) {
    let address = |raw: Raw<'_>| {
        let text = values::string(text, raw?)?;
        (!text.is_empty()).then(|| Address::from(text))
    };
    let mut flaw = None;
    let sn = envelope.sn.map_or(Ok(None), |raw| read_sn(text, raw)).unwrap_or_else(|rejection| {
        flaw = Some(rejection);
        None
    });
    let replyto = envelope.replyto.filter(|raw| kind.is_answered() && !matches!(raw.get(), "null" | r#""""#));
    // Whoever counts its requests finds its replies by a number: that it was one is all that a reply has to know of its request.
    let token = envelope.sn.filter(|raw| sn.is_some() && is_number(*raw)).map(|raw| Json::part(text, raw.get()));
    let reply = address(replyto).map(|to| ReplyPath { to, token });
    if replyto.is_some() && reply.is_none() {
        // Whoever wants an answer and names no address must not see the method run without one.
        flaw = Some(malformed("`replyto` is not an address"));
    }
    let head = Head {
        id: None,
        sn,
        sent: envelope.timestamp.and_then(|raw| match raw.plain() {
            Some(date) => Timestamp::parse(date),
            None => Timestamp::parse(&raw.unescaped()?),
        }),
        from: address(envelope.routing.from),
        to: address(envelope.routing.to).unwrap_or_else(|| delivery.address()),
        reply,
        ttl: extras.ttl.and_then(values::count).map(Duration::from_millis),
        data: envelope.data.filter(|raw| raw.get() != "null").map(|raw| Json::part(text, raw.get())),
        trace: extras.trace.and_then(|raw| values::string(text, raw)).filter(|trace| names::is_traceparent(trace)),
    };
    (head, flaw)
}

fn is_number(raw: Value<'_>) -> bool {
    matches!(raw.get().as_bytes(), [b'-' | b'0'..=b'9', ..])
}

/// A number is taken as its digits, since some peers count their requests.
fn read_sn(text: &Text, raw: Value<'_>) -> Result<Option<Sn>, Rejection> {
    let sn = match raw.get() {
        "null" => return Ok(None),
        digits if is_number(raw) => text.share(digits),
        _ => values::string(text, raw).ok_or_else(|| malformed("`sn` is not a string"))?,
    };
    let length = sn.len();
    Sn::new(sn).map(Some).ok_or_else(|| {
        Rejection::new(RejectionCode::Limit, format!("`sn` has {length} bytes, at most {} are allowed", Sn::MAX_LEN))
    })
}

fn read_version(native: &Native, version: Raw<'_>) -> Result<(), Rejection> {
    if version.is_some_and(|raw| native.reads(raw)) {
        return Ok(());
    }
    let found = values::as_python_shows(version);
    Err(Rejection::new(RejectionCode::ModelVersion, format!("expected:{VERSION}, found:{found}")))
}

fn read_body(text: &Text, envelope: &Envelope<'_>, extras: &Extras<'_>, kind: &Kind<'_, '_>) -> Result<Body, Rejection> {
    match kind {
        Kind::Request(Part::Object(request)) => read_request(text, request, extras).map(Body::Request),
        Kind::Request(_) => Err(malformed("`request` is not an object")),
        Kind::Status(status) => read_status(text, envelope, extras, *status),
        Kind::Result(Part::Object(result)) => read_outcome(text, result, extras).map(Body::Outcome),
        Kind::Result(_) => Err(malformed("`result` is not an object")),
        Kind::Event(event) => read_event(text, event).map(Body::Event),
        Kind::Unknown => Err(malformed("the message is no request, status, result or event")),
    }
}

fn read_request(text: &Text, request: &RequestPart<'_>, extras: &Extras<'_>) -> Result<Request, Rejection> {
    let name = |key: &str, raw: Raw<'_>| {
        let name = raw.and_then(|raw| values::string(text, raw));
        name.ok_or_else(|| malformed(format!("`request.{key}` is missing, or not a string")))
    };
    let positional = values::array(text, request.args).ok_or_else(|| malformed("`request.args` is not an array"))?;
    let named = |key: &str, raw| values::object(text, raw).ok_or_else(|| malformed(format!("`request.{key}` is not an object")));
    let mut keywords = named("kws", request.kws)?;
    if request.kwargs.is_some() && values::is_empty(&keywords) {
        keywords = named("kwargs", request.kwargs)?;
    }
    Ok(Request {
        class: name("classname", request.classname)?,
        method: name("method", request.method)?,
        version: extras.version.and_then(|raw| values::string(text, raw)),
        cntr: read_constructor(text, request.cntr)?,
        args: Arguments { positional, named: keywords, ..Arguments::NONE },
        wants: extras.statuses.statuses,
        group: extras.group.and_then(|raw| values::string(text, raw)),
        contract: None,
    })
}

fn read_constructor(text: &Text, raw: Raw<'_>) -> Result<Option<Constructor>, Rejection> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return Ok(None) };
    if matches!(raw.get(), "[[], {}]" | "[[],{}]") {
        // What gofer writes for a class that is called without arguments: in almost every request.
        return Ok(Some(Constructor::EMPTY));
    }
    let wrong = || malformed("`request.cntr` is neither null nor [[..], {..}]");
    let [positional, named] = pair(raw).ok_or_else(wrong)?;
    let positional = values::array(text, positional).ok_or_else(wrong)?;
    let named = values::object(text, named).ok_or_else(wrong)?;
    Ok(Some(Constructor { positional, named }))
}

fn read_status(text: &Text, envelope: &Envelope<'_>, extras: &Extras<'_>, status: Value<'_>) -> Result<Body, Rejection> {
    let count = |raw: Raw<'_>| raw.and_then(values::count).unwrap_or_default();
    let words = |raw: Raw<'_>| raw.and_then(|raw| values::words(text, raw)).unwrap_or_default();
    let name = values::string(text, status);
    Ok(match name.as_deref() {
        Some("accepted") => Body::Status(Status::Accepted),
        Some("started") => Body::Status(Status::Started),
        Some("progress") => Body::Status(Status::Progress(Progress {
            total: count(envelope.total),
            completed: count(envelope.completed),
            details: envelope.details.map_or(Json::EMPTY_OBJECT, |raw| Json::part(text, raw.get())),
        })),
        Some("rejected") => Body::Outcome(Outcome::Rejected(Rejection {
            code: RejectionCode::from_name(&words(envelope.code)),
            description: words(envelope.description),
            details: words(envelope.details),
            retry_after: extras.retry_after.and_then(values::count).map(Duration::from_millis),
        })),
        _ => return Err(malformed(format!("there is no status {}", values::shortened(status.get())))),
    })
}

fn read_outcome(text: &Text, result: &ResultPart<'_>, extras: &Extras<'_>) -> Result<Outcome, Rejection> {
    if let Some(value) = result.retval {
        return Ok(Outcome::Result(Json::part(text, value.get())));
    }
    let Some(exval) = result.exval else {
        return Err(malformed("`result` has neither `retval` nor `exval`"));
    };
    let words = |raw: Raw<'_>| raw.and_then(|raw| values::words(text, raw));
    let value = |raw: Raw<'_>| raw.map_or(Json::NULL, |raw| Json::part(text, raw.get()));
    let exception = Exception {
        exval: words(Some(exval)).unwrap_or_default(),
        xmodule: words(result.xmodule),
        xclass: words(result.xclass),
        xargs: value(result.xargs),
        xstate: value(result.xstate),
    };
    let Some(code) = extras.code.and_then(|raw| values::string(text, raw)) else {
        return Ok(exception.into());
    };
    if let Some(reason) = code.strip_prefix(ABORTED).and_then(names::abort_reason) {
        return Ok(Outcome::Aborted(Abort::new(reason, exception.message())));
    }
    let code = RejectionCode::from_name(&code);
    Ok(match Missing::of(&code) {
        Some(_) => Outcome::Rejected(Missing::rejection(code, &exception)),
        None => exception.into(),
    })
}

fn read_event(text: &Text, event: &EventPart<'_>) -> Result<Event, Rejection> {
    let key = event.key.and_then(|raw| values::string(text, raw));
    let key = key.ok_or_else(|| malformed("`rmi.event.key` is missing, or not a string"))?;
    let body = values::object(text, event.body).ok_or_else(|| malformed("`rmi.event.body` is not an object"))?;
    Ok(Event { key, body })
}

fn malformed(details: impl Into<Text>) -> Rejection {
    Rejection::new(RejectionCode::Malformed, details)
}

//! Messages to frames.

use std::borrow::Cow;

use rmi_core::{
    json::Json,
    message::{Arguments, Event, Head, Outcome, Request},
    protocol::ProtocolError,
    text::Text,
    transport::{Destination, Frame, Properties},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    RackHd,
    body::{self, Members, Wrapped},
    error_event::{ERROR_EVENT, ErrorEvent},
    key,
    kind::Demands,
    route::{Form, OBJECT, RESULT},
    table::Found,
    token::Token,
};

fn cannot(why: impl Into<String>) -> ProtocolError {
    ProtocolError(why.into())
}

fn unwritten(error: impl std::fmt::Display) -> ProtocolError {
    ProtocolError(error.to_string())
}

/// What is to be sent: the name of a type, and a body of it.
struct Content {
    kind: Text,
    body: String,
}

impl Content {
    fn new(kind: &str, body: &(impl Serialize + ?Sized)) -> Result<Self, ProtocolError> {
        Ok(Content { kind: Text::from(kind), body: body::text(body).map_err(unwritten)? })
    }
}

impl RackHd {
    fn frame(&self, to: Destination, content: Content, correlation: Option<Text>) -> Frame {
        let mut properties = Properties::NONE;
        properties.content_type = Some(Text::from_static("application/json"));
        properties.kind = Some(content.kind);
        properties.correlation_id = correlation.filter(|_| self.profile.correlation_ids);
        properties.headers = self.profile.headers;
        Frame { properties: properties.into(), ..Frame::new(to, content.body) }
    }

    pub(super) fn write_request(&self, head: &Head, request: &Request) -> Result<Frame, ProtocolError> {
        let Request { class, method, .. } = request;
        if request.cntr.is_some() {
            return Err(cannot("RackHD's conventions have no constructor arguments"));
        }
        let route = self.table.of(class, method);
        // Without a contract at hand the dialect may have been told one.
        let told = || self.table.contract(class, method).map_or(&[][..], |method| method.params);
        let params = if request.args.params.is_empty() { told() } else { request.args.params };
        let named = Arguments { params, ..request.args.clone() };
        let mut arguments = named.by_name().map_err(unwritten)?;
        let parameter = |name: &str| take(&mut arguments, name, &route);
        let key = key::fill(&route.key, parameter, |why| cannot(format!("`{class}.{method}`: {why}")))?;
        let content = request_body(&route, arguments)?;
        self.profile.demands().check(&content.kind, &content.body).map_err(|why| cannot(format!("`{class}.{method}`: {why}")))?;
        let to = Destination::Topic { exchange: self.profile.exchange(&route.exchange), key: key.into() };
        let mut frame = self.frame(to, content, head.sn.as_ref().map(|sn| Text::from(sn.as_str())));
        frame.properties.change(|properties| properties.reply_to = head.reply.as_ref().map(|path| path.to.text().clone()));
        // Who is bound cannot tell; whoever calls learns at once that nobody is.
        frame.mandatory = true;
        frame.ttl = head.ttl;
        Ok(frame)
    }

    pub(super) fn write_outcome(&self, head: &Head, outcome: &Outcome) -> Result<Frame, ProtocolError> {
        let token = Token::of(head);
        let content = match (ErrorEvent::of(outcome), outcome) {
            (Some(error), _) => Content::new(ERROR_EVENT, &error)?,
            (None, Outcome::Result(value)) => {
                let token = token.as_ref().ok_or_else(|| cannot("the reply's method is not known"))?;
                result_body(self.table.of(&token.class, &token.method).reply, self.profile.demands(), value)?
            }
            (None, _) => return Err(cannot("there is nothing to say")),
        };
        let (queue, correlation) = token.map_or((None, None), |token| (token.queue, token.correlation));
        let to = match queue {
            Some(queue) => Destination::Queue(queue.into_owned().into()),
            None => Destination::Address(head.to.clone()),
        };
        let mut frame = self.frame(to, content, correlation.map(|id| Text::from(id.into_owned())));
        // A caller that has had its first reply is gone: that is counted, and no error.
        frame.mandatory = true;
        Ok(frame)
    }

    pub(super) fn write_event(&self, head: &Head, event: &Event) -> Result<Frame, ProtocolError> {
        if !event.body.as_str().starts_with('{') {
            return Err(cannot(format!("the body of the event `{}` is not an object", event.key)));
        }
        let (exchange, kind) = self.table.event(&event.key);
        let mut content = Content::new(kind, &event.body)?;
        if !self.profile.demands().meets(kind, &content.body) {
            content.kind = Text::from_static(OBJECT);
        }
        let to = Destination::Topic { exchange: self.profile.exchange(exchange), key: event.key.clone() };
        let frame = self.frame(to, content, head.sn.as_ref().map(|sn| Text::from(sn.as_str())));
        Ok(Frame { ttl: head.ttl, ..frame })
    }
}

type Named<'a> = (Option<Cow<'a, str>>, &'a RawValue);

/// The argument of a key's parameter, as the word that it is.
fn take<'a>(arguments: &mut Vec<Named<'a>>, name: &str, route: &Found<'_>) -> Result<Cow<'a, str>, ProtocolError> {
    let at = arguments.iter().position(|(named, _)| named.as_deref() == Some(name));
    let Some(at) = at else {
        let unnamed = arguments.iter().any(|(name, _)| name.is_none());
        let what = format!("`{}.{}` needs `{name}`, which is in its routing key `{}`", route.class, route.method, route.key);
        return Err(cannot(if unnamed { format!("{what}: {UNNAMED}") } else { what }));
    };
    let (_, value) = arguments.remove(at);
    let value = value.get();
    if !value.starts_with('"') {
        return match value.bytes().next() {
            Some(b'{' | b'[' | b'n') | None => Err(cannot(format!("`{name}` is a word of the routing key, and {value} is none"))),
            Some(_) => Ok(Cow::Borrowed(value)),
        };
    }
    serde_json::from_str::<Word<'_>>(value).map(|word| word.0).map_err(unwritten)
}

#[derive(serde::Deserialize)]
struct Word<'a>(#[serde(borrow)] Cow<'a, str>);

const UNNAMED: &str = "its body says them by name, and they have none: give them by name, or tell `RackHd::contract`";

/// The body of a request: the arguments that are not in its key.
fn request_body(route: &Found<'_>, arguments: Vec<Named<'_>>) -> Result<Content, ProtocolError> {
    let said = |why: &str| cannot(format!("`{}.{}`: {why}", route.class, route.method));
    match route.request {
        Form::Members(kind) => Content::new(kind, &members(arguments).ok_or_else(|| said(UNNAMED))?),
        Form::Nested(kind) => Content::new(kind, &Wrapped { value: Some(members(arguments).ok_or_else(|| said(UNNAMED))?) }),
        Form::Value(kind) => match arguments.as_slice() {
            [] => Content::new(kind, &Members::default()),
            [(_, value)] => Content::new(kind, &Wrapped { value: (value.get() != "null").then_some(*value) }),
            _ => Err(said("its body is one value, and there are more arguments")),
        },
        Form::Whole(kind) => match arguments.as_slice() {
            [] => Content::new(kind, &Members::default()),
            [(_, value)] if value.get().starts_with('{') => Content::new(kind, *value),
            _ => Err(said("its body is its one argument, which is an object")),
        },
    }
}

/// The arguments as members, without those that are nothing; `None` when one has no name.
fn members<'a>(arguments: Vec<Named<'a>>) -> Option<Members<'a>> {
    let there = arguments.into_iter().filter(|(_, value)| value.get() != "null");
    there.map(|(name, value)| Some((name?, value))).collect::<Option<_>>().map(Members)
}

/// What becomes of a result. It is of the method's type, or a `Result` where it is nothing or something else.
fn result_body(form: Form, demands: Demands, value: &Json) -> Result<Content, ProtocolError> {
    let raw: &RawValue = value.decode_borrowed().map_err(unwritten)?;
    match form {
        Form::Members(kind) | Form::Whole(kind) => match value.as_str().as_bytes().first() {
            Some(b'{') => Content::new(kind, raw),
            _ if value.is_null() => Content::new(kind, &Members::default()),
            _ => Err(cannot(format!("a reply of the type `{kind}` is an object, and the result is none"))),
        },
        // RackHD's way to say that there is none of what has a type of its own.
        Form::Value(_) | Form::Nested(_) if value.is_null() && form.is_typed() => {
            Content::new(RESULT, &Wrapped { value: Some(Members::default()) })
        }
        Form::Value(kind) | Form::Nested(kind) => {
            let mut content = Content::new(kind, &Wrapped { value: (!value.is_null()).then_some(raw) })?;
            if !demands.meets(kind, &content.body) {
                content.kind = Text::from_static(RESULT);
            }
            Ok(content)
        }
    }
}

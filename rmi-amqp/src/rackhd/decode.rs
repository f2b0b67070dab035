//! Deliveries to messages.

use std::borrow::Cow;

use rmi_core::{
    json::Json,
    message::{Arguments, Body, Event, Head, Message, Outcome, Rejection, RejectionCode, Request},
    protocol::Refused,
    text::Text,
    transport::{Delivery, Purpose},
};
use serde_json::value::RawValue;

use super::{
    RackHd,
    body::{MOST_MEMBERS, Members, pick},
    error_event::{ERROR_EVENT, ErrorEvent},
    kind::Demands,
    profile::ReplyTypes,
    route::{Form, OBJECT, RESULT},
    table::{Found, Words},
    token::Token,
};

/// What a body has to be called beside it; nothing else is read as JSON.
fn is_json(content_type: Option<&str>) -> bool {
    matches!(content_type, Some("application/json" | "text/json"))
}

fn malformed(details: impl Into<Text>) -> Refused {
    Refused::silently(Rejection::new(RejectionCode::Malformed, details))
}

impl RackHd {
    pub(super) fn read(&self, delivery: &Delivery) -> Result<Message, Refused> {
        match delivery.purpose {
            Purpose::Requests | Purpose::Everything => self.read_request(delivery),
            Purpose::Replies => self.read_reply(delivery),
            Purpose::Events => match object(delivery)? {
                Some(body) => Ok(message(delivery, Body::Event(Event { key: delivery.key.clone(), body }))),
                None => Err(malformed("the event is not JSON by its content type")),
            },
        }
    }

    fn read_request(&self, delivery: &Delivery) -> Result<Message, Refused> {
        let Some(exchange) = self.profile.plain(&delivery.exchange) else {
            return Err(malformed(format!("`{}` is no exchange of the conventions", delivery.exchange)));
        };
        let found = self.table.at(exchange, &delivery.key);
        let kind = delivery.properties.kind.as_deref();
        // Written in two generations in two ways: the type tells them apart.
        let exact = found.iter().position(|(found, _)| Some(found.request.kind()) == kind);
        let Some((route, words)) = found.into_iter().nth(exact.unwrap_or(0)) else {
            let details = format!("nothing is known of `{}` on `{}`", delivery.key, delivery.exchange);
            return Err(Refused::silently(Rejection::new(RejectionCode::UnknownMethod, details)));
        };
        let mut head = Head::to(delivery.address());
        head.reply = delivery
            .properties
            .reply_to
            .as_ref()
            .filter(|queue| !queue.is_empty())
            .map(|queue| Token::path(&route.class, &route.method, queue, delivery.properties.correlation_id.as_ref()));
        let refuse = |rejection| Refused::answering(head.clone(), rejection);
        let body = object(delivery)?.unwrap_or(Json::EMPTY_OBJECT);
        if exact.is_none() && route.request.is_typed() {
            // The first generation did not say where.
            let details = match self.profile.demands() {
                Demands::First => "Invalid Request Type.".to_owned(),
                Demands::Last => format!("Invalid Request Type ({}:{}).", delivery.exchange, delivery.key),
            };
            return Err(refuse(Rejection::new(RejectionCode::Malformed, details)));
        }
        self.profile.demands().check(route.request.kind(), body.as_str()).map_err(|why| refuse(wrong(why)))?;
        let args = self.arguments(&route, &words, &body).map_err(refuse)?;
        let request = Request {
            class: Text::from(&*route.class),
            method: Text::from(&*route.method),
            version: None,
            cntr: None,
            args,
            wants: None,
            group: None,
            contract: None,
        };
        Ok(Message { head, body: Body::Request(request) })
    }

    /// The arguments of a request. What is in the key is not taken from the body.
    fn arguments(&self, route: &Found<'_>, words: &Words<'_>, body: &Json) -> Result<Arguments, Rejection> {
        let lenient = Arguments { lenient: true, ..Arguments::NONE };
        let is_object = body.as_str().starts_with('{');
        let members = match route.request {
            Form::Members(_) if words.is_empty() => {
                return Ok(if is_object { Arguments { named: body.clone(), ..lenient } } else { lenient });
            }
            Form::Members(_) => body.clone(),
            Form::Nested(_) => value(body).map_err(wrong)?.unwrap_or(Json::EMPTY_OBJECT),
            Form::Value(_) => return self.one_and_words(route, words, value(body).map_err(wrong)?),
            Form::Whole(_) => return self.one_and_words(route, words, Some(body.clone())),
        };
        let (members, count) = Members::read(members.as_str()).map_err(|e| wrong(format!("`value` is no object: {e}")))?;
        if count > MOST_MEMBERS {
            let details = format!("{count} members, each of which is an argument: at most {MOST_MEMBERS} are read");
            return Err(Rejection::new(RejectionCode::Limit, details));
        }
        let named = |name: &str| words.iter().any(|(word, _)| *word == name);
        let words = raw(words).map_err(wrong)?;
        let mut all: Members<'_> = Members(words.iter().map(|(name, word)| (Cow::Borrowed(*name), &**word)).collect());
        all.0.extend(members.0.into_iter().filter(|(name, _)| !named(name)));
        Ok(Arguments { named: Json::encode(&all).map_err(wrong)?, ..lenient })
    }

    /// The one argument that is the body, or a member of it, among the parameters of the key.
    fn one_and_words(&self, route: &Found<'_>, words: &Words<'_>, one: Option<Json>) -> Result<Arguments, Rejection> {
        let lenient = Arguments { lenient: true, ..Arguments::NONE };
        if words.is_empty() {
            let positional = one.map_or(Ok(Json::EMPTY_ARRAY), |one| Json::encode(&[one]));
            return Ok(Arguments { positional: positional.map_err(wrong)?, ..lenient });
        }
        let raw = raw(words).map_err(wrong)?;
        let mut all: Members<'_> = Members(raw.iter().map(|(name, word)| (Cow::Borrowed(*name), &**word)).collect());
        if let Some(one) = &one {
            let params = self.table.contract(&route.class, &route.method).map_or(&[][..], |method| method.params);
            let other = params.iter().find(|param| words.iter().all(|(word, _)| *word != param.name));
            let name = other.map(|param| param.name).ok_or_else(|| {
                wrong(format!(
                    "the name of the argument in the body of `{}.{}` is not known here: `RackHd::contract`",
                    route.class, route.method
                ))
            })?;
            all.0.push((Cow::Borrowed(name), one.decode_borrowed().map_err(wrong)?));
        }
        Ok(Arguments { named: Json::encode(&all).map_err(wrong)?, ..lenient })
    }

    fn read_reply(&self, delivery: &Delivery) -> Result<Message, Refused> {
        let body = object(delivery)?;
        let kind = delivery.properties.kind.as_deref();
        let answering = delivery.answering.as_deref();
        let route = answering.map(|call| self.table.of(&call.class, &call.method));
        let outcome = if kind == Some(ERROR_EVENT) {
            let error =
                ErrorEvent::read(body.as_ref().map_or("{}", Json::as_str)).ok_or_else(|| malformed("the error is no object"))?;
            let module = self.module_of(&error.name, answering.map(|call| (&*call.class, &*call.method)));
            Outcome::from(error.into_exception(module))
        } else if let (Some(route), ReplyTypes::Declared) = (&route, self.profile.reply_types)
            && kind != Some(route.reply.kind())
            && kind != Some(RESULT)
        {
            let details = format!("Invalid Response Type ({}:{}).", route.exchange, route.key);
            Outcome::from(ErrorEvent::new("Error", details).into_exception(None))
        } else {
            // Somebody else's call, when there is no route: then the type says what it is.
            let form = route.map_or_else(
                || if kind.is_none_or(|k| k == OBJECT) { Form::Whole(OBJECT) } else { Form::Value(RESULT) },
                |route| route.reply,
            );
            // To RackHD what is not JSON has no value.
            Outcome::Result(body.map_or(Ok(Json::NULL), |body| result(form, kind, body))?)
        };
        let mut message = message(delivery, Body::Outcome(outcome));
        if let Some(answering) = answering {
            message.head.from = Some(answering.agent.clone());
            message.head.sn = Some(answering.sn.clone());
        }
        Ok(message)
    }

    /// The module of an error's class, which is not on the wire: as the contract says, or by its name.
    fn module_of(&self, name: &str, called: Option<(&str, &str)>) -> Option<Text> {
        let (class, method) = called?;
        let variants = self.table.contract(class, method).and_then(|method| method.errors.variants).unwrap_or_default();
        match variants.iter().find(|variant| variant.class == name) {
            Some(variant) => Some(variant.module.map_or_else(|| Text::from(format!("rmi.{class}")), Text::from_static)),
            // No class of another language has a dot in it, and ours have.
            None => name.contains('.').then(|| Text::from(format!("rmi.{class}"))),
        }
    }
}

/// The object that a body is; `None` where it does not call itself JSON. Arrays are objects in JavaScript. What is neither brought the
/// peers of old down: it is refused without a word, as they had none for it.
fn object(delivery: &Delivery) -> Result<Option<Json>, Refused> {
    if !is_json(delivery.properties.content_type.as_deref()) {
        return Ok(None);
    }
    // As JavaScript reads it.
    let text = delivery.text().unwrap_or_else(|_| Text::from(String::from_utf8_lossy(&delivery.payload).into_owned()));
    let body = Json::parse(text).map_err(|e| malformed(format!("the body is not JSON: {e}")))?;
    if body.as_str().starts_with(['{', '[']) { Ok(Some(body)) } else { Err(malformed("the body is no object")) }
}

/// The member `value` of an object.
fn value(body: &Json) -> Result<Option<Json>, serde_json::Error> {
    let [value] = pick(["value"], body.as_str())?;
    Ok(value.map(|value| Json::within(body.text(), value)))
}

fn wrong(why: impl std::fmt::Display) -> Rejection {
    Rejection::new(RejectionCode::Arguments, why.to_string())
}

/// The words of a key as JSON.
fn raw(words: &Words<'_>) -> serde_json::Result<Vec<(&'static str, Box<RawValue>)>> {
    words.iter().map(|(name, word)| Ok((*name, serde_json::value::to_raw_value(word)?))).collect()
}

/// The result in a reply.
fn result(form: Form, kind: Option<&str>, body: Json) -> Result<Json, Refused> {
    match form {
        Form::Members(_) | Form::Whole(_) => Ok(body),
        Form::Value(_) | Form::Nested(_) => Ok(match value(&body).map_err(|e| malformed(e.to_string()))? {
            // RackHD's way to say that there is none of what has a type of its own.
            Some(value) if form.is_typed() && kind == Some(RESULT) && is_empty(&value) => Json::NULL,
            Some(value) => value,
            None => Json::NULL,
        }),
    }
}

/// Whether a value is an object without members.
fn is_empty(value: &Json) -> bool {
    let within = value.as_str().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    within.is_some_and(|within| within.trim_ascii().is_empty())
}

fn message(delivery: &Delivery, body: Body) -> Message {
    Message { head: Head::to(delivery.address()), body }
}

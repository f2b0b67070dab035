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
    body::Members,
    error_event::{ERROR_EVENT, ErrorEvent},
    kind,
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
        let text = delivery.text().map_err(|e| malformed(format!("the body is not UTF-8: {e}")))?;
        let readable = is_json(delivery.properties.content_type.as_deref());
        // What is no object brought the peers of old down. It is refused without a word, as they had none for it.
        let whole = if readable { text } else { Text::from_static("{}") };
        let members: Members<'_> = serde_json::from_str(&whole).map_err(|e| malformed(format!("the body is no object: {e}")))?;
        match delivery.purpose {
            Purpose::Replies => self.read_reply(delivery, &whole, &members, readable),
            Purpose::Events if readable => {
                let body = Json::parse(whole.clone()).map_err(|e| malformed(e.to_string()))?;
                Ok(message(delivery, Body::Event(Event { key: delivery.key.clone(), body })))
            }
            Purpose::Events => Err(malformed("the event is not JSON by its content type")),
            Purpose::Requests | Purpose::Everything => self.read_request(delivery, &whole, &members),
        }
    }

    fn read_request(&self, delivery: &Delivery, whole: &Text, members: &Members<'_>) -> Result<Message, Refused> {
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
        let refuse = |code, details: String| Refused::answering(head.clone(), Rejection::new(code, details));
        if exact.is_none() && route.request.is_typed() {
            let details = format!("Invalid Request Type ({}:{}).", delivery.exchange, delivery.key);
            return Err(refuse(RejectionCode::Malformed, details));
        }
        kind::check(route.request.kind(), whole).map_err(|why| refuse(RejectionCode::Arguments, why))?;
        let args = self.arguments(&route, &words, whole, members).map_err(|why| refuse(RejectionCode::Arguments, why))?;
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
    fn arguments(&self, route: &Found<'_>, words: &Words<'_>, whole: &Text, members: &Members<'_>) -> Result<Arguments, String> {
        let lenient = Arguments { lenient: true, ..Arguments::NONE };
        let value = members.get("value");
        let nested: Members<'_>;
        let members = match route.request {
            Form::Members(_) if words.is_empty() && whole.starts_with('{') => {
                return Ok(Arguments { named: Json::parse(whole.clone()).map_err(|e| e.to_string())?, ..lenient });
            }
            Form::Members(_) => members,
            Form::Nested(_) => {
                let value = value.map_or("{}", RawValue::get);
                nested = serde_json::from_str(value).map_err(|e| format!("`value` is no object: {e}"))?;
                &nested
            }
            Form::Value(_) | Form::Whole(_) => {
                let one = match route.request {
                    Form::Whole(_) => Some(Json::parse(whole.clone()).map_err(|e| e.to_string())?),
                    _ => value.map(|value| Json::within(whole, value)),
                };
                return self.one_and_words(route, words, one);
            }
        };
        let named = |name: &str| words.iter().any(|(word, _)| *word == name);
        let words = words.iter().map(|(name, word)| Ok((*name, serde_json::value::to_raw_value(word)?)));
        let words: Vec<_> = words.collect::<Result<_, serde_json::Error>>().map_err(|e| e.to_string())?;
        let mut all: Members<'_> = Members(words.iter().map(|(name, word)| (Cow::Borrowed(*name), &**word)).collect());
        all.0.extend(members.0.iter().filter(|(name, _)| !named(name)).cloned());
        Ok(Arguments { named: Json::encode(&all).map_err(|e| e.to_string())?, ..lenient })
    }

    /// The one argument that is the body, or a member of it, among the parameters of the key.
    fn one_and_words(&self, route: &Found<'_>, words: &Words<'_>, one: Option<Json>) -> Result<Arguments, String> {
        let lenient = Arguments { lenient: true, ..Arguments::NONE };
        if words.is_empty() {
            let positional = one.map_or(Ok(Json::EMPTY_ARRAY), |one| Json::encode(&[one]));
            return Ok(Arguments { positional: positional.map_err(|e| e.to_string())?, ..lenient });
        }
        let params = self.table.contract(&route.class, &route.method).map_or(&[][..], |method| method.params);
        let other = params.iter().find(|param| words.iter().all(|(word, _)| *word != param.name));
        let mut named = serde_json::Map::new();
        for (name, word) in words {
            named.insert((*name).to_owned(), (*word).into());
        }
        if let Some(one) = one {
            let name = other.map(|param| param.name).ok_or_else(|| {
                format!(
                    "the name of the argument in the body of `{}.{}` is not known here: `RackHd::contract`",
                    route.class, route.method
                )
            })?;
            named.insert(name.to_owned(), one.decode().map_err(|e| e.to_string())?);
        }
        Ok(Arguments { named: Json::from(serde_json::Value::Object(named)), ..lenient })
    }

    fn read_reply(&self, delivery: &Delivery, whole: &Text, members: &Members<'_>, readable: bool) -> Result<Message, Refused> {
        let kind = delivery.properties.kind.as_deref();
        let answering = delivery.answering.as_deref();
        let route = answering.map(|call| self.table.of(&call.class, &call.method));
        let outcome = if kind == Some(ERROR_EVENT) {
            let error = ErrorEvent::read(whole).ok_or_else(|| malformed("the error is no object"))?;
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
            Outcome::Result(result(form, kind, whole, members, readable)?)
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

/// The result in a reply.
fn result(form: Form, kind: Option<&str>, whole: &Text, members: &Members<'_>, readable: bool) -> Result<Json, Refused> {
    match form {
        // To RackHD it has no value.
        _ if !readable => Ok(Json::NULL),
        Form::Members(_) | Form::Whole(_) => Json::parse(whole.clone()).map_err(|e| malformed(e.to_string())),
        Form::Value(_) | Form::Nested(_) => Ok(match members.get("value") {
            // RackHD's way to say that there is none of what has a type of its own.
            Some(value) if form.is_typed() && kind == Some(RESULT) && is_empty(value) => Json::NULL,
            Some(value) => Json::within(whole, value),
            None => Json::NULL,
        }),
    }
}

fn is_empty(value: &RawValue) -> bool {
    value.get().starts_with('{') && serde_json::from_str::<Members<'_>>(value.get()).is_ok_and(|members| members.0.is_empty())
}

fn message(delivery: &Delivery, body: Body) -> Message {
    Message { head: Head::to(delivery.address()), body }
}

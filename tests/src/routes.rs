//! A dialect without envelope and without serial numbers: the method is the routing key, the body is bare JSON, its type travels beside
//! it, and replies are told apart by the address that they come to. Modelled on RackHD's conventions, and smaller.

use std::{borrow::Cow, collections::BTreeMap};

use rmi_core::{
    address::Address,
    json::Json,
    message::{Arguments, Body, Exception, Head, Message, Outcome, Rejection, RejectionCode, ReplyPath, Request},
    protocol::{Features, Protocol, ProtocolError, Refused, Replies, Role, Serials},
    text::Text,
    transport::{Delivery, Destination, Frame, Properties, Purpose, Sharing, Source, Subscription},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Where a method is on the bus, and what its bodies look like.
#[derive(Debug)]
pub struct Route {
    /// The contract's wire name.
    pub class: &'static str,
    /// The method's wire name.
    pub method: &'static str,
    /// The exchange.
    pub exchange: &'static str,
    /// The routing key; `{name}` is the argument of that name.
    pub key: &'static str,
    /// The request's body.
    pub request: Shape,
    /// The reply's body.
    pub reply: Shape,
}

/// What a body looks like, and what its type is called.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// `{"value": ..}`: the one argument that is not in the key, or the result.
    Value(&'static str),
    /// The arguments that are not in the key by their names, or a result that is an object.
    Object(&'static str),
}

impl Shape {
    fn kind(self) -> &'static str {
        match self {
            Shape::Value(kind) | Shape::Object(kind) => kind,
        }
    }
}

/// The dialect, with the routes that it is made with.
#[derive(Clone, Copy, Debug)]
pub struct Routes(pub &'static [Route]);

const ERROR: &str = "ErrorEvent";

#[derive(Serialize, Deserialize)]
struct ErrorEvent<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
    #[serde(borrow, default)]
    stack: Cow<'a, str>,
    #[serde(default)]
    context: serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct Value<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
}

impl Route {
    /// The key as a pattern of topics.
    fn pattern(&self) -> String {
        self.words().map(|word| word.unwrap_or_else(|_| "*".into())).collect::<Vec<_>>().join(".")
    }

    /// The words of the key: a fixed one, or the name of the argument that stands there.
    fn words(&self) -> impl Iterator<Item = Result<String, &'static str>> {
        self.key.split('.').map(|word| match word.strip_prefix('{').and_then(|word| word.strip_suffix('}')) {
            Some(name) => Err(name),
            None => Ok(word.to_owned()),
        })
    }

    /// The key's arguments; `None` when the key is another's.
    fn read(&self, key: &str) -> Option<Vec<(&'static str, String)>> {
        let found: Vec<&str> = key.split('.').collect();
        let words: Vec<_> = self.words().collect();
        if found.len() != words.len() {
            return None;
        }
        let mut arguments = Vec::new();
        for (found, word) in found.into_iter().zip(words) {
            match word {
                Ok(word) if word == found => {}
                Ok(_) => return None,
                Err(name) => arguments.push((name, found.to_owned())),
            }
        }
        Some(arguments)
    }
}

fn cannot(why: impl Into<String>) -> ProtocolError {
    ProtocolError(why.into())
}

/// A frame with a body, its type, and where the reply goes.
#[allow(clippy::useless_conversion)]
fn frame(to: Destination, kind: &str, reply_to: Option<Text>, body: &impl Serialize) -> Result<Frame, ProtocolError> {
    let body = serde_json::to_string(body).map_err(|e| cannot(e.to_string()))?;
    let mut properties = Properties::default();
    properties.content_type = Some(Text::from_static("application/json"));
    properties.kind = Some(kind.into());
    properties.reply_to = reply_to;
    let mut frame = Frame::new(to, body);
    frame.properties = properties.into();
    frame.mandatory = true;
    Ok(frame)
}

impl Routes {
    fn of(&self, class: &str, method: &str) -> Option<&'static Route> {
        self.0.iter().find(|route| route.class == class && route.method == method)
    }

    fn request(&self, head: &Head, request: &Request) -> Result<Frame, ProtocolError> {
        let Request { class, method, .. } = request;
        let route = self.of(class, method).ok_or_else(|| cannot(format!("there is no route for `{class}.{method}`")))?;
        let by_name = request.args.by_name().map_err(|e| cannot(e.to_string()))?;
        let mut arguments = BTreeMap::new();
        for (name, value) in by_name {
            arguments.insert(name.ok_or_else(|| cannot("an argument has no name"))?, value);
        }
        let mut key = Vec::new();
        for word in route.words() {
            key.push(match word {
                Ok(word) => word,
                Err(name) => {
                    let value = arguments.remove(name).ok_or_else(|| cannot(format!("the key needs `{name}`")))?;
                    let word: String =
                        serde_json::from_str(value.get()).map_err(|e| cannot(format!("`{name}` in a key: {e}")))?;
                    // One word, and no pattern: an argument does not choose another route.
                    if word.is_empty() || word.contains(['.', '*', '#']) {
                        return Err(cannot(format!("`{name}` is not a word of a key")));
                    }
                    word
                }
            });
        }
        let to = Destination::Topic { exchange: route.exchange.into(), key: key.join(".").into() };
        let reply_to = head.reply.as_ref().map(|path| path.to.text().clone());
        match route.request {
            Shape::Object(kind) => frame(to, kind, reply_to, &arguments),
            Shape::Value(kind) => {
                let mut rest = arguments.into_values();
                let (Some(value), None) = (rest.next(), rest.next()) else { return Err(cannot("the body has one value")) };
                frame(to, kind, reply_to, &Value { value })
            }
        }
    }

    fn outcome(&self, head: &Head, outcome: &Outcome) -> Result<Frame, ProtocolError> {
        let to = Destination::Address(head.to.clone());
        let failed = |name: &str, message: &str, stack: &str, context| {
            let body = ErrorEvent { name: name.into(), message: message.into(), stack: stack.into(), context };
            frame(to.clone(), ERROR, None, &body)
        };
        match outcome {
            Outcome::Result(value) => {
                // What the reply's body looks like is the method's, which the reply itself does not name.
                let token = head.reply.as_ref().and_then(|path| path.token.as_ref());
                let named: Option<(String, String)> = token.and_then(|token| token.decode().ok());
                let route = named.and_then(|(class, method)| self.of(&class, &method));
                match route.map(|route| route.reply).ok_or_else(|| cannot("the reply's method is not known"))? {
                    Shape::Object(kind) if value.as_str().starts_with('{') => frame(to, kind, None, value),
                    Shape::Object(_) => Err(cannot("the body of a message is an object")),
                    Shape::Value(kind) => {
                        frame(to, kind, None, &Value { value: value.decode_borrowed().map_err(|e| cannot(e.to_string()))? })
                    }
                }
            }
            Outcome::Exception(exception) => {
                let mut context: serde_json::Map<_, _> = exception.xstate.decode().unwrap_or_default();
                context.remove("trace");
                failed(exception.class(), &exception.message(), &exception.exval, context)
            }
            Outcome::Rejected(rejection) => {
                let context = [("code".to_owned(), rejection.code.as_str().into())].into_iter().collect();
                failed("BadRequestError", &rejection.to_string(), "", context)
            }
            Outcome::Aborted(abort) => failed(abort.reason.as_str(), &abort.to_string(), "", serde_json::Map::new()),
        }
    }

    fn read_request(&self, delivery: &Delivery, body: Text) -> Result<Message, Refused> {
        let found = self.0.iter().filter(|route| delivery.exchange == route.exchange);
        let Some((route, in_key)) = found.filter_map(|route| Some((route, route.read(&delivery.key)?))).next() else {
            let details = format!("nothing is known of `{}` on `{}`", delivery.key, delivery.exchange);
            return Err(Refused::silently(Rejection::new(RejectionCode::UnknownMethod, details)));
        };
        let mut head = Head::to(delivery.address());
        head.reply = delivery.properties.reply_to.as_ref().map(|address| {
            let mut path = ReplyPath::to(address.clone());
            path.token = Json::encode(&(route.class, route.method)).ok();
            path
        });
        if delivery.properties.kind.as_deref() != Some(route.request.kind()) {
            let details = format!("Invalid Request Type ({}:{})", route.exchange, route.key);
            return Err(Refused::answering(head, Rejection::new(RejectionCode::Malformed, details)));
        }
        let refuse = |error: serde_json::Error| {
            Refused::answering(head.clone(), Rejection::new(RejectionCode::Malformed, error.to_string()))
        };
        let mut arguments: BTreeMap<&str, Json> = BTreeMap::new();
        for (name, word) in in_key {
            arguments.insert(name, Json::from(serde_json::Value::from(word)));
        }
        let args = match route.request {
            Shape::Object(_) => {
                let named: BTreeMap<&str, &RawValue> = serde_json::from_str(&body).map_err(refuse)?;
                // What is in the key is not taken from the body.
                for (name, value) in named {
                    arguments.entry(name).or_insert_with(|| Json::within(&body, value));
                }
                Arguments { named: Json::encode(&arguments).unwrap_or(Json::EMPTY_OBJECT), ..Arguments::NONE }
            }
            Shape::Value(_) => {
                let Value { value } = serde_json::from_str(&body).map_err(refuse)?;
                let value = Json::within(&body, value);
                let positional = Json::encode(&[value]).unwrap_or(Json::EMPTY_ARRAY);
                let named = Json::encode(&arguments).unwrap_or(Json::EMPTY_OBJECT);
                Arguments { positional, named, ..Arguments::NONE }
            }
        };
        let request = Request {
            class: Text::from_static(route.class),
            method: Text::from_static(route.method),
            version: None,
            cntr: None,
            args,
            wants: None,
            group: None,
            contract: None,
        };
        Ok(Message { head, body: Body::Request(request) })
    }

    fn read_reply(&self, delivery: &Delivery, body: &Text) -> Result<Message, Refused> {
        let refuse = |details: String| Refused::silently(Rejection::new(RejectionCode::Malformed, details));
        let Some(answering) = &delivery.answering else {
            return Err(refuse(format!("no call waits at `{}`", delivery.key)));
        };
        let mut head = Head::to(delivery.address());
        head.from = Some(answering.agent.clone());
        head.sn = Some(answering.sn.clone());
        let outcome = if delivery.properties.kind.as_deref() == Some(ERROR) {
            let error: ErrorEvent<'_> = serde_json::from_str(body).map_err(|e| refuse(e.to_string()))?;
            Outcome::from(Exception {
                exval: error.stack.as_ref().into(),
                xmodule: None,
                xclass: Some(error.name.as_ref().into()),
                xargs: Json::encode(&[error.message]).unwrap_or(Json::EMPTY_ARRAY),
                xstate: Json::encode(&error.context).unwrap_or(Json::EMPTY_OBJECT),
            })
        } else {
            let shape = self.of(&answering.class, &answering.method).map(|route| route.reply);
            Outcome::Result(match shape {
                Some(Shape::Value(_)) => {
                    let Value { value } = serde_json::from_str(body).map_err(|e| refuse(e.to_string()))?;
                    Json::within(body, value)
                }
                Some(Shape::Object(_)) | None => Json::parse(body.clone()).map_err(|e| refuse(e.to_string()))?,
            })
        };
        Ok(Message { head, body: Body::Outcome(outcome) })
    }
}

impl Protocol for Routes {
    fn features(&self) -> Features {
        let mut features = Features::default();
        features.serials = Serials::None;
        features.replies = Replies::PerCall;
        features
    }

    fn listen(&self, role: &Role<'_>) -> Vec<Subscription> {
        let reply_queue = |address: &Address| {
            let source = Source::Address(address.clone());
            vec![Subscription::new(source, Purpose::Replies).sharing(Sharing::Exclusive).acknowledged(false)]
        };
        match role {
            Role::Agent { contracts, .. } => {
                let served = self.0.iter().filter(|route| contracts.iter().any(|contract| contract.name == route.class));
                let topic = |route: &Route| Source::topic(route.exchange, route.pattern());
                served.map(|route| Subscription::new(topic(route), Purpose::Requests).acknowledged(false)).collect()
            }
            Role::Call { address, .. } | Role::Replies { address } => reply_queue(address),
            _ => Vec::new(),
        }
    }

    fn encode(&self, message: &Message) -> Result<Option<Frame>, ProtocolError> {
        match &message.body {
            Body::Request(request) => self.request(&message.head, request).map(Some),
            Body::Outcome(outcome) => self.outcome(&message.head, outcome).map(Some),
            Body::Status(_) | Body::Event(_) => Ok(None),
        }
    }

    fn decode(&self, delivery: &Delivery) -> Result<Message, Refused> {
        let body = Text::from_utf8(delivery.payload.clone())
            .map_err(|e| Refused::silently(Rejection::new(RejectionCode::Malformed, e.to_string())))?;
        match delivery.purpose {
            Purpose::Replies => self.read_reply(delivery, &body),
            Purpose::Requests | Purpose::Events | Purpose::Everything => self.read_request(delivery, body),
        }
    }
}

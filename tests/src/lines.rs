//! A dialect of JSON lines over links: a handshake identifies whoever connects, pings keep the link alive, serial numbers are good on one
//! link, and replies come by the link that the request took. Modelled on the provisioning agent's protocol, and smaller.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rmi_core::{
    json::Json,
    message::{Arguments, Body, Exception, Head, Message, Outcome, Rejection, RejectionCode, ReplyPath, Request, Sn},
    protocol::{Action, Features, LinkEvent, Moment, Protocol, ProtocolError, Refused, Replies, Role, Serials, Session},
    text::Text,
    transport::{Delivery, Destination, Frame, Purpose, Source, Subscription},
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{json, value::RawValue};

/// After this long without a line the link is closed.
pub const SILENCE: Duration = Duration::from_secs(60);
/// How often the connecting side pings.
pub const PING: Duration = Duration::from_secs(20);

/// The dialect, at one end.
#[derive(Clone, Debug)]
pub struct Lines {
    /// The class of the requests that arrive: there is none on the wire.
    class: &'static str,
    seat: Seat,
}

/// Which end of a link a session is at.
#[derive(Clone, Debug)]
pub enum Seat {
    /// The end that is dialled.
    Server,
    /// The end that dials, under a name, a server that is called by a name.
    Agent {
        /// What the agent says it is.
        id: Text,
        /// What the server is called here.
        server: Text,
    },
}

impl Lines {
    /// The end that is dialled, and serves a class.
    #[must_use]
    pub fn server(class: &'static str) -> Self {
        Lines { class, seat: Seat::Server }
    }

    /// The end that dials, and serves a class.
    #[must_use]
    pub fn agent(class: &'static str, id: &str, server: &str) -> Self {
        Lines { class, seat: Seat::Agent { id: id.into(), server: server.into() } }
    }
}

/// A line. `null` is a value, and not the same as nothing.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(default)]
    version: Option<&'a str>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    fatal_error: Option<&'a RawValue>,
}

/// Reads an object: a derived reader would take an array for one as well.
fn object(text: &[u8]) -> Option<Line<'_>> {
    text.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(text).ok()).flatten()
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// What is said in answer: values go out as they came in.
#[derive(Serialize)]
struct Answer<'a> {
    id: &'a Json,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

fn written(line: &impl Serialize) -> Result<Frame, ProtocolError> {
    let text = serde_json::to_string(line).map_err(|e| ProtocolError(e.to_string()))?;
    Ok(Frame::new(Destination::Link, Bytes::from(text)))
}

fn line(value: &serde_json::Value) -> Frame {
    Frame::new(Destination::Link, Bytes::from(value.to_string()))
}

fn fatal(text: &str) -> Frame {
    line(&json!({ "fatal_error": text }))
}

impl Protocol for Lines {
    fn features(&self) -> Features {
        let mut features = Features::default();
        features.serials = Serials::PerLink;
        features.replies = Replies::SameLink;
        features
    }

    fn listen(&self, role: &Role<'_>) -> Vec<Subscription> {
        match role {
            Role::Agent { .. } => {
                vec![Subscription::new(Source::Links, Purpose::Everything).acknowledged(false)]
            }
            _ => Vec::new(),
        }
    }

    fn encode(&self, message: &Message) -> Result<Option<Frame>, ProtocolError> {
        let head = &message.head;
        let outcome = match &message.body {
            Body::Request(request) => {
                let by_name = request.args.by_name().map_err(|e| ProtocolError(e.to_string()))?;
                let mut params = BTreeMap::new();
                for (name, value) in by_name {
                    params.insert(name.ok_or_else(|| ProtocolError("params have names".into()))?, value);
                }
                #[derive(Serialize)]
                struct Command<'a> {
                    id: Option<&'a str>,
                    version: &'static str,
                    method: &'a str,
                    params: BTreeMap<Cow<'a, str>, &'a RawValue>,
                }
                let id = head.sn.as_ref().map(Sn::as_str);
                return written(&Command { id, version: "v1", method: &request.method, params }).map(Some);
            }
            Body::Outcome(outcome) => outcome,
            Body::Status(_) | Body::Event(_) => return Ok(None),
        };
        let token = head.reply.as_ref().and_then(|path| path.token.as_ref());
        let id = token.ok_or_else(|| ProtocolError("an answer needs the id of its request".into()))?;
        let failed = |text: &str| written(&Answer { id, version: "v1", result: None, error: Some(text) });
        match outcome {
            Outcome::Result(value) => written(&Answer { id, version: "v1", result: Some(value), error: None }),
            Outcome::Exception(exception) => failed(&exception.message()),
            Outcome::Rejected(rejection) if rejection.code == RejectionCode::UnknownMethod => Ok(fatal("unknown message method")),
            Outcome::Rejected(rejection) => failed(&rejection.to_string()),
            Outcome::Aborted(abort) => failed(&abort.to_string()),
        }
        .map(Some)
    }

    fn decode(&self, delivery: &Delivery) -> Result<Message, Refused> {
        let refuse = |details: String| Refused::silently(Rejection::new(RejectionCode::Malformed, details));
        let text = Text::from_utf8(delivery.payload.clone()).map_err(|e| refuse(e.to_string()))?;
        let line = object(text.as_bytes()).ok_or_else(|| refuse("it is no object".into()))?;
        let id = line.id.ok_or_else(|| refuse("it has no id".into()))?;
        let mut head = Head::to(Text::EMPTY);
        if let Some(method) = line.method {
            // The raw text tells the number 7 from the string "7".
            let sn = Sn::new(text.share(id.get()));
            head.sn = Some(sn.ok_or_else(|| refuse("its id is too long".into()).closing())?);
            let mut path = ReplyPath::to(Text::EMPTY);
            path.token = Some(Json::within(&text, id));
            head.reply = Some(path);
            let named = line.params.map_or(Json::EMPTY_OBJECT, |params| Json::within(&text, params));
            let request = Request {
                class: Text::from_static(self.class),
                method: text.share(&method),
                version: None,
                cntr: None,
                args: Arguments { named, ..Arguments::NONE },
                wants: None,
                group: None,
                contract: None,
            };
            return Ok(Message { head, body: Body::Request(request) });
        }
        let ours: String = serde_json::from_str(id.get()).map_err(|_| refuse("it is not an id of ours".into()))?;
        head.sn = Sn::new(ours);
        let outcome = match (line.error, line.result) {
            (Some(error), _) => {
                let said = serde_json::from_str::<String>(error.get()).unwrap_or_else(|_| error.get().to_owned());
                let xargs = Json::encode(&[error]).unwrap_or_default();
                let xstate = Json::EMPTY_OBJECT;
                Outcome::from(Exception { exval: said.into(), xmodule: None, xclass: None, xargs, xstate })
            }
            (None, Some(result)) => Outcome::Result(Json::within(&text, result)),
            (None, None) => return Err(refuse("it is neither a command nor an answer".into())),
        };
        Ok(Message { head, body: Body::Outcome(outcome) })
    }

    fn session(&self, _: &Role<'_>) -> Option<Box<dyn Session>> {
        Some(Box::new(Conversation::new(self.seat.clone())))
    }
}

/// What is said about one link: a script without I/O.
#[derive(Debug)]
pub struct Conversation {
    seat: Seat,
    identified: bool,
    heard: Option<Instant>,
    ping_at: Option<Instant>,
    /// The id of the last command of the session's own: its answer is nobody else's.
    asked: Option<Text>,
    over: bool,
}

impl Conversation {
    /// At one end of a link that is not up yet.
    #[must_use]
    pub fn new(seat: Seat) -> Self {
        Conversation { seat, identified: false, heard: None, ping_at: None, asked: None, over: false }
    }

    fn up(&mut self, at: Moment<'_>) -> Vec<Action> {
        self.heard = Some(at.now);
        let Seat::Agent { id, server } = &self.seat else { return Vec::new() };
        self.identified = true;
        self.ping_at = Some(at.now + PING);
        let handshake = self.asked.insert(at.id());
        let said = json!({ "id": *handshake, "version": "v1", "method": "handshake", "params": { "id": id } });
        vec![Action::Send(line(&said)), Action::Identify(server.clone())]
    }

    fn received(&mut self, payload: &[u8], at: Moment<'_>) -> Vec<Action> {
        if self.over {
            return Vec::new();
        }
        self.heard = Some(at.now);
        let Some(line) = object(payload) else {
            return self.end("protocol error: unable to decode message.");
        };
        if let Some(why) = line.fatal_error {
            self.over = true;
            return vec![Action::Close(why.get().into())];
        }
        let (Some(id), Some("v1")) = (line.id, line.version) else {
            return self.end("protocol violation: missing message id.");
        };
        let answer = |result: serde_json::Value| {
            let said = json!({ "id": id, "version": "v1", "result": result });
            Action::Send(self::line(&said))
        };
        match line.method.as_deref() {
            Some("handshake") if !self.identified => {
                #[derive(Deserialize)]
                struct Params {
                    id: String,
                }
                let params = line.params.and_then(|params| serde_json::from_str(params.get()).ok());
                let Some(Params { id }) = params else {
                    return self.end("protocol violation: missing message params.");
                };
                self.identified = true;
                vec![Action::Identify(id.into()), answer(json!({}))]
            }
            // Nobody has said who they are: whatever this is, it is not heard.
            _ if !self.identified => Vec::new(),
            Some("ping") => {
                let params = line.params.and_then(|params| serde_json::from_str(params.get()).ok());
                vec![answer(params.unwrap_or(json!({})))]
            }
            None if self.asked.is_some() && serde_json::from_str::<String>(id.get()).ok().as_deref() == self.asked.as_deref() => {
                self.asked = None;
                Vec::new()
            }
            _ => vec![Action::Pass],
        }
    }

    fn woken(&mut self, at: Moment<'_>) -> Vec<Action> {
        if self.heard.is_some_and(|heard| at.now >= heard + SILENCE) {
            self.over = true;
            return vec![Action::Close("60 seconds of silence".into())];
        }
        if self.ping_at.is_some_and(|due| at.now >= due) {
            self.ping_at = Some(at.now + PING);
            let id = self.asked.insert(at.id());
            let said = json!({ "id": *id, "version": "v1", "method": "ping", "params": {} });
            return vec![Action::Send(line(&said))];
        }
        Vec::new()
    }

    fn end(&mut self, why: &'static str) -> Vec<Action> {
        self.over = true;
        vec![Action::Send(fatal(why)), Action::Close(why.into())]
    }
}

impl Session for Conversation {
    fn on(&mut self, event: LinkEvent<'_>, at: Moment<'_>) -> Vec<Action> {
        match event {
            LinkEvent::Up(_) => self.up(at),
            LinkEvent::Received(delivery) => self.received(&delivery.payload, at),
            LinkEvent::Sent(frame) => {
                let ends = object(&frame.payload).is_some_and(|line| line.fatal_error.is_some());
                if ends && !self.over {
                    self.over = true;
                    return vec![Action::Close("a fatal error was sent".into())];
                }
                Vec::new()
            }
            LinkEvent::Wake => self.woken(at),
            LinkEvent::Leaving => vec![Action::Send(fatal("service being shutdown"))],
            _ => Vec::new(),
        }
    }

    fn wake(&self) -> Option<Instant> {
        let silence = self.heard? + SILENCE;
        let next = self.ping_at.map_or(silence, |ping| ping.min(silence));
        (!self.over).then_some(next)
    }
}

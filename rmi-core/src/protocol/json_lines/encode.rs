//! Messages to lines. What is written is ASCII.

use std::fmt::Write as _;

use super::{
    Settings, VERSION, failure, id, line,
    task::{self, State},
    token::Token,
};
use crate::{
    message::{Body, Head, Message, Outcome, Request, Status},
    protocol::{ProtocolError, write::Writer},
    scan::{Scanner, Value},
    text::Text,
    transport::{Destination, Frame, Properties, SharedProperties},
};

/// What a frame is: in its properties, for the session of the link that it takes.
pub(super) mod kind {
    /// A command whose answer somebody waits for.
    pub(in super::super) const COMMAND: &str = "command";
    /// A command whose answer nobody waits for.
    pub(in super::super) const NOTICE: &str = "notice";
    /// An answer.
    pub(in super::super) const ANSWER: &str = "answer";
    /// An answer that says that a task was accepted.
    pub(in super::super) const ACCEPTED: &str = "accepted";
    /// The `task_status` of a task that goes on.
    pub(in super::super) const RUNNING: &str = "running";
    /// That of a task that has ended.
    pub(in super::super) const ENDED: &str = "ended";
    /// A fatal error.
    pub(in super::super) const FATAL: &str = "fatal";
}

macro_rules! lent {
    ($kind:expr) => {{
        static PROPERTIES: Properties = Properties { kind: Some(Text::from_static($kind)), ..Properties::NONE };
        SharedProperties::from(&PROPERTIES)
    }};
}

/// Writes a message.
pub(super) fn encode(settings: &Settings, message: &Message) -> Result<Option<Frame>, ProtocolError> {
    let head = &message.head;
    match &message.body {
        Body::Request(request) => command(settings, head, request).map(Some),
        Body::Status(status) => state(settings, head, status),
        Body::Outcome(outcome) => end(settings, head, outcome).map(Some),
        Body::Event(_) => Ok(None),
    }
}

fn command(settings: &Settings, head: &Head, request: &Request) -> Result<Frame, ProtocolError> {
    let Request { class, method, .. } = request;
    let refuse = |why: String| Err(ProtocolError(why));
    if request.cntr.is_some() {
        return refuse("the protocol has no constructor arguments".into());
    }
    if head.reply.as_ref().is_some_and(|path| head.from.as_ref() != Some(&path.to)) {
        return refuse("answers come by the link that the command took: the protocol has no reply addresses".into());
    }
    let Some((command, is_task, whole)) = settings.commands.command(class, method, settings.profile) else {
        return refuse(format!("`{class}.{method}` is no command: give `JsonLines` its class, or the method as a `Command`"));
    };
    let Some(serial) = &head.sn else { return refuse("a command needs a serial number".into()) };
    let mut w = Writer::with_capacity(160 + request.args.positional.as_str().len() + request.args.named.as_str().len());
    w.literal("{\"id\":");
    w.string(&id::written(serial.as_str(), is_task && settings.is_documented()));
    w.literal(",\"version\":");
    w.string(VERSION);
    w.literal(",\"method\":");
    w.string(&command);
    w.literal(",\"params\":");
    let named = request.args.by_name().map_err(|e| ProtocolError(e.to_string()))?;
    if whole {
        let params = match named.as_slice() {
            [] => "{}",
            [(_, params)] if params.get().starts_with('{') => params.get(),
            _ => return refuse(format!("`{command}` takes one argument, which is an object: it is the command's params")),
        };
        w.raw_text(params);
    } else {
        w.literal("{");
        let mut separator = "";
        if is_task {
            w.literal("\"task_id\":");
            w.string(serial.as_str());
            separator = ",";
        }
        for (name, value) in named {
            let Some(name) = name else {
                return refuse(format!("the arguments of `{command}` have names: give them as an object"));
            };
            if is_task && name == "task_id" {
                return refuse(format!("`{command}` has a `task_id` of its own, which is no argument"));
            }
            w.literal(std::mem::replace(&mut separator, ","));
            w.string(&name);
            w.literal(":");
            w.raw_text(value.get());
        }
        w.literal("}");
    }
    w.literal("}");
    let properties = if head.reply.is_some() { lent!(kind::COMMAND) } else { lent!(kind::NOTICE) };
    Ok(Frame { ttl: head.ttl, ..frame(w, properties) })
}

/// How far a command is: said only of those that have a task.
fn state(settings: &Settings, head: &Head, status: &Status) -> Result<Option<Frame>, ProtocolError> {
    let token = Token::of(head)?;
    let Some(task) = token.task else { return Ok(None) };
    let state = match status {
        Status::Accepted if settings.is_documented() => {
            return Ok(Some(frame(answer(token.id, "{}"), about(kind::ACCEPTED, &token))));
        }
        Status::Started if settings.is_documented() => State::Begun,
        // There the end is in the answer: nothing has been said before it.
        Status::Accepted | Status::Started => return Ok(None),
        Status::Progress(progress) => State::Running(progress),
    };
    let mut w = Writer::with_capacity(224);
    task::write(&mut w, own(head)?, task, state, &token.command);
    Ok(Some(frame(w, about(kind::RUNNING, &token))))
}

fn end(settings: &Settings, head: &Head, outcome: &Outcome) -> Result<Frame, ProtocolError> {
    let token = Token::of(head)?;
    let properties = match token.task {
        None => lent!(kind::ANSWER),
        Some(task) => {
            // What never ran is the command's error, unless its task was accepted before: that is known to the session.
            if settings.is_documented() && !matches!(outcome, Outcome::Rejected(_)) {
                let mut w = Writer::with_capacity(160);
                task::write(&mut w, own(head)?, task, State::Ended(outcome), &token.command);
                return Ok(frame(w, about(kind::ENDED, &token)));
            }
            about(kind::ANSWER, &token)
        }
    };
    let w = match outcome {
        // A result is an object by the documentation. The deployed agent says `null`, and its server `{}`.
        Outcome::Result(value) if value.is_null() && (settings.is_documented() || settings.is_server()) => answer(token.id, "{}"),
        Outcome::Result(value) => answer(token.id, value.as_str()),
        Outcome::Rejected(rejection) if failure::is_unknown(&rejection.code) && !settings.is_documented() => {
            return Ok(fatal(line::fatal::UNKNOWN_METHOD));
        }
        failed => {
            let mut w = open(token.id);
            w.literal(",\"error\":");
            failure::write(&mut w, failed, &token.command, settings.profile);
            w.literal("}");
            w
        }
    };
    Ok(frame(w, properties))
}

/// The id of a line of the agent's own.
fn own(head: &Head) -> Result<&str, ProtocolError> {
    head.id.as_deref().ok_or_else(|| ProtocolError("a task_status needs an id of its own".into()))
}

/// The properties of a frame about a task.
fn about(kind: &'static str, token: &Token<'_>) -> SharedProperties {
    let kind = Some(Text::from_static(kind));
    SharedProperties::from(Properties { kind, correlation_id: Some(Text::from(token.id)), ..Properties::NONE })
}

fn open(id: &str) -> Writer {
    let mut w = Writer::with_capacity(96 + id.len());
    w.literal("{\"id\":");
    w.raw_text(id);
    w.literal(",\"version\":");
    w.string(VERSION);
    w
}

/// An answer whose result is this value.
fn answer(id: &str, result: &str) -> Writer {
    let mut w = open(id);
    w.literal(",\"result\":");
    w.raw_text(result);
    w.literal("}");
    w
}

/// The result of a command that the session answers by itself.
pub(super) fn result(id: Value<'_>, result: &str) -> Frame {
    result_of(id.get(), result)
}

/// As [`result`], with the id as it was written.
pub(super) fn result_of(id: &str, result: &str) -> Frame {
    frame(answer(id, result), lent!(kind::ANSWER))
}

/// An error of a command that the session answers by itself.
pub(super) fn error(settings: &Settings, id: Value<'_>, said: &str) -> Frame {
    let mut w = open(id.get());
    w.literal(",\"error\":");
    failure::write_text(&mut w, said, settings.profile);
    w.literal("}");
    frame(w, lent!(kind::ANSWER))
}

/// A command of the session's own. `params` is an object.
pub(super) fn own_command(id: &str, method: &str, params: &str) -> Frame {
    let mut w = Writer::with_capacity(128);
    w.literal("{\"id\":");
    w.string(id);
    w.literal(",\"version\":");
    w.string(VERSION);
    w.literal(",\"method\":");
    w.string(method);
    w.literal(",\"params\":");
    w.raw_text(params);
    w.literal("}");
    frame(w, lent!(kind::COMMAND))
}

/// The params of a handshake.
pub(super) fn handshake(id: &str, version: &str) -> String {
    let mut w = Writer::with_capacity(64);
    w.literal("{\"id\":");
    w.string(id);
    w.literal(",\"version\":");
    w.string(version);
    w.literal("}");
    String::from_utf8(w.finish()).unwrap_or_default()
}

/// The last line.
pub(super) fn fatal(said: &str) -> Frame {
    let mut w = Writer::with_capacity(96);
    w.literal("{\"fatal_error\":");
    w.string(said);
    w.literal("}");
    frame(w, lent!(kind::FATAL))
}

fn frame(w: Writer, properties: SharedProperties) -> Frame {
    Frame { properties, ..Frame::new(Destination::Link, ascii(w.finish())) }
}

/// The same JSON in ASCII: other characters stand in strings only.
pub(super) fn ascii(text: Vec<u8>) -> Vec<u8> {
    if text.is_ascii() {
        return text;
    }
    let Ok(text) = String::from_utf8(text) else { return Vec::new() };
    let mut out = String::with_capacity(text.len() + text.len() / 2);
    for character in text.chars() {
        if character.is_ascii() {
            out.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out.into_bytes()
}

/// The id of a line that was written here.
pub(super) fn id_of(line: &str) -> Option<Value<'_>> {
    let mut scanner = Scanner::new(line);
    if !scanner.object().ok()? || !scanner.take_key("\"id\":") {
        return None;
    }
    scanner.value().ok()
}

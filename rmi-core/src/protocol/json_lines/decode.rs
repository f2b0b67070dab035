//! Lines to messages. What ends a link is the session's affair, which has seen a line before it comes here.

use super::{
    Settings, failure, id,
    line::{self, Answer, Said, Spare},
    task,
    token::Token,
};
use crate::{
    json::Json,
    message::{
        Arguments, Body, Head, Message, Outcome, Rejection, RejectionCode, ReplyPath, Request, Sn, Status, Statuses, missing,
    },
    protocol::{Refused, write::Writer},
    scan::Value,
    text::{Text, shown},
    transport::Delivery,
};

fn malformed(details: impl Into<Text>) -> Refused {
    Refused::silently(Rejection::new(RejectionCode::Malformed, details))
}

/// Reads a line.
pub(super) fn decode(settings: &Settings, delivery: &Delivery) -> Result<Message, Refused> {
    let text = delivery.text().map_err(|e| malformed(e.to_string()))?;
    let mut spare = Spare::default();
    let (text, said) = line::read(&text, &mut spare).map_err(malformed)?;
    match said {
        Said::Fatal(why) => Err(malformed(shown(why.get()))),
        Said::Answer { id, answer } => reply(text, id, answer),
        Said::Command { id, method, params, .. } => {
            let method = line::string(method).ok_or_else(|| malformed("its method is no string"))?;
            if method == task::METHOD
                && let Some(serial) = task::of(params.get())
            {
                return Ok(about(Sn::from(serial), task::read(text, params.get())));
            }
            command(settings, text, id, &method, params)
        }
    }
}

fn about(sn: Sn, body: Body) -> Message {
    let head = Head { sn: Some(sn), ..Head::to(Text::EMPTY) };
    Message { head, body }
}

/// What comes of a command of ours.
fn reply(text: &Text, id: Value<'_>, answer: Answer<'_>) -> Result<Message, Refused> {
    let ours = id::ours(id).ok_or_else(|| malformed("it answers what nobody asked"))?;
    let body = match answer {
        Answer::Error(error) => Body::Outcome(failure::read(text, error)),
        Answer::Result(_) if ours.task => Body::Status(Status::Accepted),
        Answer::Result(value) => Body::Outcome(Outcome::Result(Json::part(text, value.get()))),
    };
    Ok(about(Sn::from(ours.serial), body))
}

fn command(settings: &Settings, text: &Text, id: Value<'_>, method: &str, params: Value<'_>) -> Result<Message, Refused> {
    let found = settings.commands.method(method);
    let is_task = found.as_ref().is_some_and(|found| found.task);
    let task = line::member(params.get(), "task_id").filter(|_| is_task);
    let token = Token { id: id.get(), command: method.into(), task: task.map(Value::get) };
    let mut path = ReplyPath::to(Text::EMPTY);
    path.token = Some(token.write());
    let head = Head { sn: id::serial(text, id), reply: Some(path), ..Head::to(Text::EMPTY) };
    let Some(found) = found else {
        let details = format!("\"{}\" is no command that is known here", shown(method));
        return Err(Refused::answering(head, Rejection::new(RejectionCode::UnknownMethod, details)));
    };
    if is_task && task.is_none() {
        return Err(Refused::answering(head, missing("task_id")));
    }
    let mut args = Arguments { lenient: true, ..Arguments::NONE };
    if found.whole {
        args.positional = Json::trusted(format!("[{}]", params.get()));
    } else {
        args.named = named(text, params.get(), is_task);
    }
    let request = Request {
        class: found.class,
        method: found.method,
        version: None,
        cntr: None,
        args,
        // There are words for them only where there is a task.
        wants: Some(if is_task { Statuses::ALL } else { Statuses::NONE }),
        group: None,
        contract: None,
    };
    Ok(Message { head, body: Body::Request(request) })
}

/// The arguments: without the task's id, and of those that have one name the last one.
fn named(text: &Text, params: &str, is_task: bool) -> Json {
    let members = line::members(params);
    let kept = |at: usize| {
        let (name, _) = &members[at];
        let repeated = members[at + 1..].iter().any(|(later, _)| later == name);
        let is_its_own = is_task && name == "task_id";
        !repeated && !is_its_own
    };
    // A limit of the arguments is held by their reader: it is not worth looking for repetitions among more.
    const COMPARED: usize = 256;
    if members.len() > COMPARED || (0..members.len()).all(kept) {
        return Json::part(text, params);
    }
    let mut w = Writer::with_capacity(params.len());
    let mut separator = "{";
    for (at, (name, value)) in members.iter().enumerate() {
        if kept(at) {
            w.literal(std::mem::replace(&mut separator, ","));
            w.string(name);
            w.literal(":");
            w.raw_text(value.get());
        }
    }
    w.literal(if separator == "{" { "{}" } else { "}" });
    String::from_utf8(w.finish()).map_or(Json::EMPTY_OBJECT, Json::trusted)
}

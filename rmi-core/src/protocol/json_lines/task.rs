//! `task_status`: how far a task is, and how it ended.

use uuid::Uuid;

use super::{VERSION, failure, id, line};
use crate::{
    json::Json,
    message::{Body, Outcome, Progress, Status},
    protocol::write::Writer,
    scan::Value,
    text::Text,
};

/// The command.
pub(super) const METHOD: &str = "task_status";

/// What a task's agent has to say.
#[derive(Clone, Copy, Debug)]
pub(super) enum State<'a> {
    /// It has begun.
    Begun,
    /// It goes on.
    Running(&'a Progress),
    /// It has ended: with a result, or not.
    Ended(&'a Outcome),
}

/// Writes the state of a task, whose id is given as it was written. How long it will take is for the link's session to say, which has a
/// clock.
pub(super) fn write(w: &mut Writer, id: &str, task: &str, state: State<'_>, command: &str) {
    open(w, id, task);
    match state {
        State::Begun => w.literal(r#""running","eta":null,"percent":0"#),
        State::Running(progress) => {
            w.literal(r#""running","eta":null,"percent":"#);
            w.literal(&percent(progress));
            if progress.total > 0 {
                w.literal(",\"completed\":");
                w.number(progress.completed);
                w.literal(",\"total\":");
                w.number(progress.total);
            }
            if !progress.details.is_null() {
                w.literal(",\"details\":");
                w.raw(&progress.details);
            }
        }
        State::Ended(Outcome::Result(value)) => {
            w.literal("\"complete\"");
            if !value.is_null() {
                w.literal(",\"result\":");
                w.raw(value);
            }
        }
        State::Ended(outcome) => {
            w.literal("\"error\",");
            failure::write_members(w, outcome, command);
        }
    }
    w.literal("}}");
}

/// Writes that a task has failed, with these members of an error.
pub(super) fn write_error(w: &mut Writer, id: &str, task: &str, members: &str) {
    open(w, id, task);
    w.literal("\"error\",");
    w.raw_text(members);
    w.literal("}}");
}

fn open(w: &mut Writer, id: &str, task: &str) {
    w.literal("{\"id\":");
    w.string(id);
    w.literal(",\"version\":");
    w.string(VERSION);
    w.literal(",\"method\":\"task_status\",\"params\":{\"task_id\":");
    w.raw_text(task);
    w.literal(",\"state\":");
}

/// How much is done, in percent and to a tenth; `null` when nobody knows how much there is.
fn percent(progress: &Progress) -> String {
    if progress.total == 0 {
        return "null".to_owned();
    }
    let done = u128::from(progress.completed.min(progress.total));
    let tenths = done * 1000 / u128::from(progress.total);
    match (tenths / 10, tenths % 10) {
        (whole, 0) => whole.to_string(),
        (whole, tenth) => format!("{whole}.{tenth}"),
    }
}

/// Where the `eta` of a running task stands in a text, and how many percent are done.
pub(super) fn unknown_eta(text: &str, params: &str) -> Option<(usize, f64)> {
    let eta = line::member(params, "eta").filter(|eta| eta.get() == "null")?;
    let percent = line::member(params, "percent")?.get().parse().ok()?;
    let at = (eta.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    Some((at, percent))
}

/// The task that a `task_status` is about, when its id is a serial number as we write it.
pub(super) fn of(params: &str) -> Option<Uuid> {
    id::uuid(&line::string(line::member(params, "task_id")?)?)
}

/// Reads the state of a task. What is not its end is a step.
pub(super) fn read(whole: &Text, params: &str) -> Body {
    let state = line::member(params, "state").and_then(line::string);
    match state.as_deref() {
        Some("complete") => {
            let result = line::member(params, "result");
            Body::Outcome(Outcome::Result(result.map_or(Json::NULL, |value| Json::part(whole, value.get()))))
        }
        Some("error") => Body::Outcome(failure::read_members(whole, params)),
        _ if has_begun(params) => Body::Status(Status::Started),
        _ => Body::Status(Status::Progress(progress(whole, params))),
    }
}

/// Whether nothing is said but that it runs.
fn has_begun(params: &str) -> bool {
    let is_zero = |value: Value<'_>| value.get().parse::<f64>().is_ok_and(|percent| percent == 0.0);
    let says_more = ["total", "details"].iter().any(|name| line::member(params, name).is_some());
    line::member(params, "percent").is_some_and(is_zero) && !says_more
}

fn progress(whole: &Text, params: &str) -> Progress {
    let number = |name| line::member(params, name).and_then(|value| value.get().parse::<u64>().ok());
    // What is only said to be so many percent has a hundred steps.
    let percent = || {
        let percent: f64 = line::member(params, "percent").map(Value::get)?.parse().ok()?;
        // Saturates, and takes what is no number for none.
        Some((100, percent.clamp(0.0, 100.0) as u64))
    };
    let (total, completed) = number("total").zip(number("completed")).or_else(percent).unwrap_or_default();
    let details = line::member(params, "details").map_or(params, Value::get);
    Progress { total, completed, details: Json::part(whole, details) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_whole_or_have_a_tenth() {
        let percent = |completed, total| percent(&Progress { total, completed, details: Json::NULL });
        assert_eq!(percent(0, 0), "null");
        assert_eq!(percent(0, 7), "0");
        assert_eq!(percent(3, 8), "37.5");
        assert_eq!(percent(1, 3), "33.3");
        assert_eq!(percent(u64::MAX - 1, u64::MAX), "99.9");
        assert_eq!(percent(9, 8), "100");
    }

    #[test]
    fn what_a_foreign_agent_says_is_a_step_of_a_hundred() {
        let read = |params: &str| progress(&Text::from(params), params);
        let step = read(r#"{"task_id": "t", "state": "running", "eta": 12, "percent": 37.9}"#);
        assert_eq!((step.completed, step.total), (37, 100));
        for odd in ["{}", r#"{"percent": null}"#, r#"{"percent": "7"}"#, r#"{"total": 7}"#] {
            assert_eq!((read(odd).completed, read(odd).total), (0, 0), "{odd}");
        }
        assert_eq!(read(r#"{"percent": -1e999}"#).completed, 0);
        assert_eq!(read(r#"{"percent": 1e999}"#).completed, 100);
        assert_eq!(read(r#"{"percent": 5, "completed": 1, "total": 2, "details": [1]}"#).details.as_str(), "[1]");
    }
}

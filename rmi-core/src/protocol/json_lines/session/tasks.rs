//! The tasks that were begun by a link and have not ended.

use std::{collections::HashMap, time::Instant};

/// The tasks, by the id of their command as it was written.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    open: HashMap<Box<str>, Task>,
}

#[derive(Debug)]
struct Task {
    /// Its name: no two of one name run at once.
    method: Box<str>,
    id: Box<str>,
    accepted: bool,
    /// When it was first said how far it is, and how far it was.
    first: Option<(Instant, f64)>,
}

/// What becomes of a command that begins a task.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begin {
    New,
    /// One of this name has not ended.
    Taken,
    /// There are as many as there may be.
    Full,
}

/// What had been said of a task when it ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// That it was accepted. This is its id.
    Accepted(Box<str>),
    /// Nothing.
    Unanswered,
    /// It is not known here.
    Unknown,
}

impl Tasks {
    /// How many there may be on one link.
    pub(super) const MOST: usize = 1024;

    pub(super) fn begin(&mut self, command: &str, method: &str, task: &str) -> Begin {
        // The same line again: whoever runs it tells that from another.
        if self.open.get(command).is_some_and(|open| *open.method == *method && *open.id == *task) {
            return Begin::New;
        }
        if self.open.values().any(|open| *open.id == *task && *open.method == *method) {
            return Begin::Taken;
        }
        if self.open.len() >= Self::MOST {
            return Begin::Full;
        }
        let task = Task { method: method.into(), id: task.into(), accepted: false, first: None };
        self.open.insert(command.into(), task);
        Begin::New
    }

    pub(super) fn accepted(&mut self, command: &str) {
        if let Some(task) = self.open.get_mut(command) {
            task.accepted = true;
        }
    }

    pub(super) fn end(&mut self, command: &str) -> Ended {
        match self.open.remove(command) {
            Some(task) if task.accepted => Ended::Accepted(task.id),
            Some(_) => Ended::Unanswered,
            None => Ended::Unknown,
        }
    }

    /// How many seconds are left of a task, by what it did since it was first heard of.
    pub(super) fn eta(&mut self, command: &str, percent: f64, now: Instant) -> Option<u64> {
        let task = self.open.get_mut(command)?;
        let (since, from) = *task.first.get_or_insert((now, percent));
        let elapsed = now.saturating_duration_since(since).as_secs_f64();
        if percent <= from || elapsed <= 0.0 {
            return None;
        }
        let seconds = elapsed * (100.0 - percent) / (percent - from);
        // Saturates.
        Some(seconds.ceil() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_time_that_is_left_is_by_the_rate() {
        let mut tasks = Tasks::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(tasks.eta("1", 50.0, start), None, "nobody has begun it");
        tasks.begin("1", "decom.qc", "\"t\"");
        // Half of it was there before: what counts is what was done since.
        assert_eq!(tasks.eta("1", 50.0, after(10)), None);
        assert_eq!(tasks.eta("1", 50.0, after(11)), None);
        assert_eq!(tasks.eta("1", 60.0, after(20)), Some(40));
        assert_eq!(tasks.eta("1", 100.0, after(30)), Some(0));
    }

    #[test]
    fn no_two_tasks_of_one_name_run_at_once() {
        let mut tasks = Tasks::default();
        assert_eq!(tasks.begin("1", "a.b", "7"), Begin::New);
        assert_eq!(tasks.begin("1", "a.b", "7"), Begin::New, "the same line");
        assert_eq!(tasks.begin("2", "a.b", "7"), Begin::Taken);
        assert_eq!(tasks.begin("2", "a.b", "\"7\""), Begin::New);
        assert_eq!(tasks.begin("3", "a.c", "7"), Begin::New);
        assert_eq!(tasks.end("1"), Ended::Unanswered);
        assert_eq!(tasks.begin("4", "a.b", "7"), Begin::New);
        tasks.accepted("4");
        assert_eq!(tasks.end("4"), Ended::Accepted("7".into()));
        assert_eq!(tasks.end("4"), Ended::Unknown);
        for n in 0..2 * Tasks::MOST {
            tasks.begin(&format!("c{n}"), "a.b", &n.to_string());
        }
        assert_eq!(tasks.begin("last", "a.d", "7"), Begin::Full);
    }
}

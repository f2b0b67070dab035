use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    fs::read_to_string,
    path::Path,
};

use super::ATTEMPTS;

/// What both sides wrote down about one call.
#[derive(Clone, Debug, Default)]
struct Call {
    /// It may run once only.
    once: bool,
    accepted: bool,
    /// How it ended, as often as it did, and whether that says that it ran.
    ended: Vec<(String, String)>,
    /// Whoever made it was killed, and asked for its outcome when it had been started again; how often.
    taken_up: u32,
    begun: u32,
    finished: u32,
}

/// Compares what the callers were told with what the agent did.
#[derive(Debug, Default)]
pub struct Audit(HashMap<u64, Call>);

/// What an audit counted.
#[derive(Debug, Default)]
pub struct Totals {
    /// Calls that were made.
    pub calls: u64,
    /// Those that the agent had accepted.
    pub accepted: u64,
    /// Those whose caller was killed before it knew how they ended.
    pub taken_up: u64,
    /// Of those, the ones that came to a result.
    pub found: u64,
    /// How they ended.
    pub ends: BTreeMap<String, u64>,
    /// Those that ran more than once, and may.
    pub again: u64,
    /// Those that began and did not finish.
    pub cut_off: u64,
    /// What was wrong.
    pub wrong: Vec<String>,
}

impl Audit {
    /// Reads what both sides wrote down.
    #[must_use]
    pub fn read(callers: &Path, agent: &Path) -> Self {
        let mut calls = HashMap::<u64, Call>::new();
        for line in read_to_string(callers).unwrap().lines() {
            let mut words = line.split(' ');
            let (what, id) = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
            let call = calls.entry(id).or_default();
            match what {
                "call" => call.once = words.next() == Some("once"),
                "accepted" => call.accepted = true,
                "again" => call.taken_up += 1,
                "ended" => call.ended.push((words.next().unwrap().to_owned(), words.next().unwrap().to_owned())),
                _ => panic!("a line that no caller writes: {line}"),
            }
        }
        for line in read_to_string(agent).unwrap().lines() {
            let (what, id) = line.split_once(' ').unwrap();
            let call = calls.get_mut(&id.parse().unwrap()).unwrap_or_else(|| panic!("nobody called {id}, and it ran"));
            match what {
                "begin" => call.begun += 1,
                "end" => call.finished += 1,
                _ => panic!("a line that no agent writes: {line}"),
            }
        }
        Audit(calls)
    }

    /// Holds every call to what is promised.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for (id, call) in &self.0 {
            totals.calls += 1;
            totals.accepted += u64::from(call.accepted);
            totals.taken_up += u64::from(call.taken_up > 0);
            totals.found += u64::from(call.taken_up > 0 && call.ended.first().is_some_and(|(end, _)| end == "result"));
            totals.again += u64::from(call.begun > 1);
            totals.cut_off += u64::from(call.begun > call.finished);
            if let Some((end, _)) = call.ended.first() {
                *totals.ends.entry(end.clone()).or_default() += 1;
            }
            if let Some(wrong) = call.wrong() {
                totals.wrong.push(format!("call {id} {wrong}: {call:?}"));
            }
        }
        totals
    }
}

impl Call {
    fn wrong(&self) -> Option<&'static str> {
        let [(end, fate)] = &self.ended[..] else { return Some("has not exactly one outcome") };
        let outcome = matches!(&end[..], "result" | "interrupted" | "poisoned" | "rejected" | "cancelled");
        if self.accepted && !outcome {
            return Some("was accepted, and its caller was not told how it ended");
        }
        if self.begun > 0 && !outcome {
            return Some("ran, and its caller was not told how it ended");
        }
        if self.once && self.begun > 1 {
            return Some("may run once, and ran again");
        }
        if self.begun > ATTEMPTS {
            return Some("was begun more often than is allowed");
        }
        if fate == "never" && self.begun > 0 {
            return Some("was said never to have run, and ran");
        }
        if end == "result" && self.finished == 0 {
            return Some("has a result, and did not run");
        }
        if end == "interrupted" && !self.once {
            return Some("may be repeated, and was given up");
        }
        None
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} calls, {} accepted, {} taken up again (result {})", self.calls, self.accepted, self.taken_up, self.found)?;
        for (end, calls) in &self.ends {
            write!(f, ", {end} {calls}")?;
        }
        write!(f, "; cut off while they ran {}, run again {}; wrong {}", self.cut_off, self.again, self.wrong.len())
    }
}

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
    /// Nobody waits for it.
    note: bool,
    /// The bus has taken it.
    taken: bool,
    /// Steps that were told.
    steps: u64,
    /// A step was told that did not come next, or was another's.
    misstep: bool,
}

/// Compares what the callers were told with what the agent did.
#[derive(Debug)]
pub struct Audit {
    calls: HashMap<u64, Call>,
    attempts: u32,
    losable: Losable,
}

/// Of what nobody waits for, and the bus has taken: what may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Losable {
    Nothing,
    /// What may run once only, and was about to when its agent was killed.
    Once,
    All,
}

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
    /// What nobody waits for, and the bus has taken.
    pub notes: u64,
    /// Of those, the ones that have not run.
    pub lost: u64,
    /// Steps of progress that were told.
    pub steps: u64,
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
                "call" | "walk" => call.once = words.next() == Some("once"),
                "note" => (call.note, call.once) = (true, words.next() == Some("once")),
                "taken" => call.taken = true,
                "refused" => call.ended.push((words.next().unwrap().to_owned(), words.next().unwrap().to_owned())),
                "step" => call.steps += 1,
                "misstep" => call.misstep = true,
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
        Audit { calls, attempts: ATTEMPTS, losable: Losable::Nothing }
    }

    /// Where the bus keeps requests, it delivers them as often as it has to.
    #[must_use]
    pub fn of_a_shared_queue(mut self) -> Self {
        self.attempts = u32::MAX;
        self.of_a_killed_agent()
    }

    /// What may run once, and began when its agent was killed, does not run again; of what nobody waits for nobody is told so.
    #[must_use]
    pub fn of_a_killed_agent(mut self) -> Self {
        self.losable = Losable::Once;
        self
    }

    /// What nobody waits for may be lost after the bus has taken it: with its queue.
    #[must_use]
    pub fn of_a_lost_queue(mut self) -> Self {
        self.losable = Losable::All;
        self
    }

    /// Holds every call to what is promised.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for (id, call) in &self.calls {
            totals.steps += call.steps;
            totals.notes += u64::from(call.taken);
            totals.lost += u64::from(call.taken && call.begun == 0);
            totals.calls += u64::from(!call.note);
            totals.accepted += u64::from(call.accepted);
            totals.taken_up += u64::from(call.taken_up > 0);
            totals.found += u64::from(call.taken_up > 0 && call.ended.first().is_some_and(|(end, _)| end == "result"));
            totals.again += u64::from(call.begun > 1);
            totals.cut_off += u64::from(call.begun > call.finished);
            if let Some((end, _)) = call.ended.first() {
                let end = if call.note { format!("note {end}") } else { end.clone() };
                *totals.ends.entry(end).or_default() += 1;
            }
            if let Some(wrong) = call.wrong(self.attempts, self.losable) {
                totals.wrong.push(format!("call {id} {wrong}: {call:?}"));
            }
        }
        totals
    }
}

impl Call {
    fn wrong(&self, attempts: u32, losable: Losable) -> Option<&'static str> {
        if self.once && self.begun > 1 {
            return Some("may run once, and ran again");
        }
        if self.begun > attempts {
            return Some("was begun more often than is allowed");
        }
        if self.misstep {
            return Some("was told a step that was not its next");
        }
        if self.note {
            return self.wrong_as_note(losable);
        }
        let [(end, fate)] = &self.ended[..] else { return Some("has not exactly one outcome") };
        let outcome = matches!(&end[..], "result" | "interrupted" | "poisoned" | "rejected" | "cancelled");
        if self.accepted && !outcome {
            return Some("was accepted, and its caller was not told how it ended");
        }
        // Whether what was on its way has arrived can be unknown; then it is said to be.
        let unknown = end == "transport" && fate == "may-have" && !self.accepted;
        if self.begun > 0 && !outcome && !unknown {
            return Some("ran, and its caller was not told how it ended");
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

    /// What was sent to be forgotten: taken by the bus it runs, refused for certain it does not.
    fn wrong_as_note(&self, losable: Losable) -> Option<&'static str> {
        let losable = losable == Losable::All || (losable == Losable::Once && self.once);
        match &self.ended[..] {
            [] if !self.taken => Some("was neither taken nor refused"),
            [] if self.begun == 0 && !losable => Some("was taken by the bus, and never ran"),
            [(_, fate)] if fate == "never" && self.begun > 0 => Some("was said never to have left, and ran"),
            [] | [_] => None,
            _ => Some("was refused more than once"),
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} calls, {} accepted, {} taken up again (result {})", self.calls, self.accepted, self.taken_up, self.found)?;
        for (end, calls) in &self.ends {
            write!(f, ", {end} {calls}")?;
        }
        if self.notes > 0 {
            write!(f, "; {} one-way taken, of which lost {}; {} steps", self.notes, self.lost, self.steps)?;
        }
        write!(f, "; cut off while they ran {}, run again {}; wrong {}", self.cut_off, self.again, self.wrong.len())
    }
}

//! The conversations in `docs/teeth.md` are what is said.

use std::{collections::HashMap, time::Duration};

use rmi_core::{
    Json,
    message::{Body, Exception, Message, Outcome, Progress, Status},
    protocol::{JsonLines, json_lines::Profile},
};
use serde_json::Value;

use crate::{conversation::call, desk::Desk};

/// One conversation of the document, as far as it has been played.
struct Played<'a> {
    desk: Desk,
    /// The request that goes on.
    request: Option<Message>,
    /// The ids that were drawn, by those of the document.
    drawn: HashMap<String, String>,
    at: &'a str,
}

impl Played<'_> {
    /// The same line, with the ids that were drawn in the place of those in the document.
    fn ours(&self, line: &str) -> String {
        self.drawn.iter().fold(line.to_owned(), |line, (theirs, ours)| line.replace(theirs, ours))
    }

    fn come(&mut self, line: &str) {
        let line = self.ours(line);
        self.desk.receive_text(&line);
        if let Some(request) = self.desk.running.pop() {
            self.request = Some(request);
        }
    }

    fn said(&mut self, expected: &str) {
        let said = self.desk.sent.pop_front().unwrap_or_else(|| panic!("nothing was said: {}", self.at));
        // An id that has not been seen before was drawn: the first UUID of each.
        let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().map(str::to_owned);
        let drawn = |id: &str| id.len() == 36 && id.starts_with("00000000-0000-4000");
        if let (Some(theirs), Some(ours)) = (id(expected).filter(|id| drawn(id)), id(&said)) {
            self.drawn.entry(theirs).or_insert(ours);
        }
        let result = |line: &str| serde_json::from_str::<Value>(line).unwrap()["result"]["id"].as_str().map(str::to_owned);
        if let (Some(theirs), Some(ours)) = (result(expected).filter(|id| drawn(id)), result(&said)) {
            self.drawn.entry(theirs).or_insert(ours);
        }
        assert_eq!(said, self.ours(expected));
    }

    fn happens(&mut self, what: &str) {
        let (verb, rest) = what.split_once(' ').unwrap_or((what, ""));
        let request = self.request.clone();
        let steps = |text: &str| -> (u64, u64) {
            let (completed, total) = text.split_once(" of ").unwrap();
            (completed.parse().unwrap(), total.parse().unwrap())
        };
        match (verb, rest) {
            (seconds, "s") => self.pass(Duration::from_secs(seconds.parse().unwrap())),
            ("closed", "") => assert!(self.desk.closed.is_some(), "{}", self.at),
            ("accepted", "") => self.desk.status(&request.unwrap(), Status::Accepted),
            ("started", "") => self.desk.status(&request.unwrap(), Status::Started),
            ("progress", rest) => {
                let (numbers, details) = rest.rsplit_once(' ').unwrap();
                let (completed, total) = steps(numbers);
                let details = Json::parse(details.to_owned()).unwrap();
                self.desk.status(&request.unwrap(), Status::Progress(Progress { total, completed, details }));
            }
            ("result", value) => self.desk.conclude(&request.unwrap(), Outcome::Result(Json::parse(value.to_owned()).unwrap())),
            ("fails", text) => {
                let message: String = serde_json::from_str(text).unwrap();
                let raised = Exception::new("rmi.standby", "Standby.Broken", message);
                self.desk.conclude(&request.unwrap(), raised.into());
            }
            ("calls", rest) => {
                let (method, args) = rest.split_once(' ').unwrap();
                let (class, method) = method.split_once('.').unwrap();
                let serial = uuid::uuid!("00000000-0000-4000-8000-000000000009").as_u128();
                self.desk.send(&call(serial, class, method, serde_json::from_str(args).unwrap()));
            }
            ("hears", what) => match (self.desk.passed.remove(0).body, what.split_once(' ')) {
                (Body::Status(Status::Accepted), None) => assert_eq!(what, "accepted"),
                (Body::Outcome(Outcome::Result(value)), Some(("result", expected))) => assert_eq!(value.as_str(), expected),
                (Body::Status(Status::Progress(step)), Some(("progress", numbers))) => {
                    assert_eq!((step.completed, step.total), steps(numbers));
                }
                other => panic!("{other:?}: {}", self.at),
            },
            _ => panic!("nothing happens like `{what}`"),
        }
    }

    /// Lets time pass, and wakes the session whenever it wants to be woken.
    fn pass(&mut self, time: Duration) {
        let then = self.desk.now + time;
        while self.desk.wakes_in().is_some_and(|left| self.desk.now + left <= then) {
            self.desk.wake();
        }
        self.desk.now = then;
    }
}

fn play(conversation: &str) {
    let mut lines = conversation.lines();
    let first = lines.next().unwrap();
    let (end, profile) = first.split_once(' ').unwrap_or_else(|| panic!("which end is `{first}`?"));
    let profile = match profile {
        "deployed" => Profile::Deployed,
        "documented" => Profile::Documented,
        other => panic!("no form is `{other}`"),
    };
    let server = end == "server";
    let protocol = if server { JsonLines::server() } else { JsonLines::agent("a:b:c:d").agent_version("0.1-dev") };
    let desk = Desk::new(protocol.profile(profile), server);
    let mut played = Played { desk, request: None, drawn: HashMap::new(), at: "" };
    for line in lines {
        played.at = line;
        match line.split_at(2) {
            ("< ", line) => played.come(line),
            ("> ", line) => played.said(line),
            ("~ ", what) => played.happens(what),
            other => panic!("{other:?}"),
        }
    }
    assert!(played.desk.sent.is_empty(), "it also said {:?}", played.desk.sent);
}

#[test]
fn the_conversations_of_the_document_are_what_is_said() {
    let document = include_str!("../../../docs/teeth.md");
    let mut count = 0;
    for block in document.split("```text\n").skip(1) {
        play(block.split("\n```").next().unwrap());
        count += 1;
    }
    assert_eq!(count, 8);
}

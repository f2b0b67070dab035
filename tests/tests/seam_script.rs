//! The session of the line dialect by itself: events in, actions out, no I/O.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use rmi_core::{
    protocol::{Action, LinkEvent, Moment, Session},
    text::Text,
    transport::{Acker, Delivery, Link, LinkId, Purpose},
};
use rmi_tests::{
    clock::Counting,
    lines::{Conversation, PING, SILENCE, Seat},
};

struct Script {
    session: Conversation,
    clock: Counting,
    now: Instant,
}

impl Script {
    fn new(seat: Seat) -> Self {
        Script { session: Conversation::new(seat), clock: Counting::default(), now: Instant::now() }
    }

    fn on(&mut self, event: LinkEvent<'_>) -> Vec<String> {
        self.session.on(event, Moment::new(self.now, &self.clock)).iter().map(shown).collect()
    }

    fn up(&mut self) -> Vec<String> {
        self.on(LinkEvent::Up(&Link { id: LinkId(1), generation: 1, peer: None }))
    }

    fn received(&mut self, text: &'static str) -> Vec<String> {
        let delivery = Delivery::new(text.as_bytes(), Text::EMPTY, Purpose::Everything, Acker::settled());
        self.on(LinkEvent::Received(&delivery))
    }

    fn wakes_in(&self) -> Option<Duration> {
        self.session.wake().map(|at| at - self.now)
    }
}

fn shown(action: &Action) -> String {
    match action {
        Action::Send(frame) => format!("send {}", std::str::from_utf8(&frame.payload).unwrap()),
        Action::Identify(name) => format!("identify {name}"),
        Action::Close(why) => format!("close {why}"),
        Action::Pass => "pass".to_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn the_end_that_is_dialled() {
    let mut script = Script::new(Seat::Server);
    assert_eq!(script.wakes_in(), None);
    assert!(script.up().is_empty());
    assert_eq!(script.wakes_in(), Some(SILENCE));
    assert!(script.received(r#"{"id": 1, "version": "v1", "method": "ping", "params": {}}"#).is_empty());

    let handshake = r#"{"id": 2, "version": "v1", "method": "handshake", "params": {"id": "a:b:c:d", "version": "0.1-dev"}}"#;
    assert_eq!(script.received(handshake), ["identify a:b:c:d", r#"send {"id":2,"result":{},"version":"v1"}"#]);
    assert_eq!(script.received(handshake), ["pass"], "nobody becomes somebody else");
    assert_eq!(
        script.received(r#"{"id": 3, "version": "v1", "method": "ping", "params": {"a": 1}}"#),
        [r#"send {"id":3,"result":{"a":1},"version":"v1"}"#],
    );

    script.now += Duration::from_secs(59);
    assert_eq!(script.received(r#"{"id": "x", "version": "v1", "result": null}"#), ["pass"]);
    assert_eq!(script.wakes_in(), Some(SILENCE));
    script.now += SILENCE;
    assert_eq!(script.on(LinkEvent::Wake), ["close 60 seconds of silence"]);
    assert_eq!(script.wakes_in(), None, "it is over");
    assert!(script.received(handshake).is_empty());
}

#[test]
fn the_end_that_dials() {
    let mut script = Script::new(Seat::Agent { id: "rex".into(), server: "manager".into() });
    let handshake = concat!(
        r#"send {"id":"00000000-0000-0000-0000-000000000000","method":"handshake","#,
        r#""params":{"id":"rex"},"version":"v1"}"#
    );
    assert_eq!(script.up(), [handshake, "identify manager"]);
    assert_eq!(script.wakes_in(), Some(PING));
    let answer = r#"{"id": "00000000-0000-0000-0000-000000000000", "version": "v1", "result": {}}"#;
    assert!(script.received(answer).is_empty(), "the answer to the handshake is the session's own");
    assert_eq!(script.received(answer), ["pass"], "it has been answered");

    script.now += PING;
    let ping = r#"send {"id":"00000000-0000-0000-0000-000000000001","method":"ping","params":{},"version":"v1"}"#;
    assert_eq!(script.on(LinkEvent::Wake), [ping]);
    assert_eq!(script.wakes_in(), Some(PING));
    assert_eq!(script.received(r#"{"fatal_error": "no"}"#), [r#"close "no""#]);
    assert_eq!(script.wakes_in(), None);
}

#[test]
fn what_ends_a_link() {
    let ended = |text| Script::new(Seat::Server).received(text);
    let undecodable = r#"send {"fatal_error":"protocol error: unable to decode message."}"#;
    for text in ["", "{", "[]", "null", "\"x\"", "{\"id\": 1,}"] {
        assert_eq!(ended(text), [undecodable, "close protocol error: unable to decode message."], "{text}");
    }
    let unnamed = r#"send {"fatal_error":"protocol violation: missing message id."}"#;
    assert_eq!(ended(r#"{"version": "v1"}"#)[0], unnamed);
    let mut leaving = Script::new(Seat::Server);
    assert_eq!(leaving.on(LinkEvent::Leaving), [r#"send {"fatal_error":"service being shutdown"}"#]);
}

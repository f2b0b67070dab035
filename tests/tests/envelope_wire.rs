//! `docs/wire.md` holds: its golden messages, its tables, and that we write no key that is not in it.
#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support {
    pub mod envelope;
}

use std::{collections::BTreeSet, time::Duration};

use rmi_core::{
    Json, Native,
    address::Address,
    message::{
        Abort, AbortReason, Arguments, Body, Constructor, Event, Exception, Head, Message, Outcome, Progress, Rejection,
        RejectionCode, ReplyPath, Request, Sn, Status, Statuses,
    },
    protocol::{Protocol, Role},
    time::Timestamp,
    transport::{Destination, Purpose, Sharing, Source},
};
use serde_json::{Value, json};
use support::envelope::{decode, encode, kind, outcome, value};

const WIRE: &str = include_str!("../../docs/wire.md");

fn golden() -> Vec<&'static str> {
    let blocks = WIRE.split("```json\n").skip(1);
    blocks.map(|rest| rest.split_once("\n```").expect("the block ends").0).collect()
}

#[test]
fn golden_messages_are_written_as_they_are_read() {
    let mut kinds = BTreeSet::new();
    for text in golden() {
        let message = decode(text);
        let expected: Value = serde_json::from_str(text).unwrap();
        assert_eq!(value(&encode(&message)), expected);
        kinds.insert(kind(&message));
    }
    let all = ["aborted", "accepted", "event", "exception", "progress", "rejected", "request", "result", "started"];
    assert_eq!(kinds, BTreeSet::from(all), "there is one of every kind");
}

/// The rows of the table below a header.
fn table(header: &str) -> Vec<Vec<String>> {
    let (_, rows) = WIRE.split_once(header).expect("there is such a table");
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect();
    rows.lines().skip(2).take_while(|row| row.starts_with('|')).map(cells).collect()
}

#[test]
fn every_code_is_in_the_tables() {
    let documented: Vec<_> = table("| code | description |").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    for (code, description) in &documented {
        let known = RejectionCode::from_name(code);
        assert!(!matches!(known, RejectionCode::Other(_)), "{code} is no code");
        assert_eq!(known.description(), description);
    }
    let source = include_str!("../../rmi-core/src/message/outcome.rs");
    let (_, codes) = source.split_once("rejection_codes! {\n").unwrap();
    let (codes, _) = codes.split_once("\n}").unwrap();
    let defined = codes.lines().filter_map(|line| line.split_once(" = \"")?.1.split('"').next());
    assert_eq!(defined.collect::<Vec<_>>(), documented.iter().map(|(code, _)| code).collect::<Vec<_>>());

    for (row, reason) in table("| code | class | meaning |").iter().zip(AbortReason::ALL) {
        let written = value(&encode(&reply(Outcome::Aborted(Abort::new(reason, "x")))));
        assert_eq!(written["rmi"]["code"], row[0]);
        assert_eq!(written["result"]["xclass"], row[1]);
    }
}

fn head() -> Head {
    Head {
        sn: Sn::new("1"),
        sent: Some(Timestamp::from_millis(1_795_218_960_123)),
        from: Some("me".into()),
        ttl: Some(Duration::from_nanos(1)),
        data: Some(json!({"job": 1}).into()),
        trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        reply: Some(ReplyPath::to("back")),
        ..Head::to("you")
    }
}

fn reply(outcome: impl Into<Outcome>) -> Message {
    Message { head: head(), body: Body::Outcome(outcome.into()) }
}

fn request() -> Message {
    let request = Request {
        class: "Dog".into(),
        method: "bark".into(),
        version: Some("1.0".into()),
        cntr: Some(Constructor { positional: json!(["rover"]).into(), named: json!({"age": 3}).into() }),
        args: Arguments { positional: json!([1]).into(), named: json!({"loud": true}).into(), ..Arguments::NONE },
        wants: Some(Statuses::ALL),
        group: Some("9d1b".into()),
        contract: None,
    };
    Message { head: head(), body: Body::Request(request) }
}

/// One message of each kind, with everything that it can say.
fn everything() -> Vec<Message> {
    let status = |status| Message { head: head(), body: Body::Status(status) };
    let progress = Progress { total: 3, completed: 1, details: Json::NULL };
    let event = Event { key: "a.b".into(), body: json!({"ip": "10.0.0.1"}).into() };
    let mut all = vec![
        request(),
        status(Status::Accepted),
        status(Status::Started),
        status(Status::Progress(progress)),
        reply(Outcome::Result(Json::NULL)),
        reply(Exception::new("builtins", "ValueError", "no")),
        Message { head: head(), body: Body::Event(event) },
    ];
    all.extend(AbortReason::ALL.map(|reason| reply(Abort::new(reason, "x"))));
    for row in table("| code | description |") {
        let rejection = Rejection::new(RejectionCode::from_name(&row[0]), "x");
        all.push(reply(rejection.clone()));
        all.push(reply(rejection.retry_after(Duration::from_millis(5))));
    }
    all
}

/// gofer 3.0's keys by kind: all that may stand beside `rmi`.
fn gofers(message: &Message, written: &Value) -> BTreeSet<&'static str> {
    let common = ["data", "routing", "sn", "version"];
    let own: &[&str] = match kind(message) {
        "request" => &["replyto", "request", "timestamp"],
        "progress" => &["status", "total", "completed", "details"],
        "accepted" | "started" => &["status", "timestamp"],
        "rejected" if written.get("status").is_some() => &["status", "code", "description", "details", "timestamp"],
        "event" => &["timestamp"],
        _ => &["result", "timestamp"],
    };
    common.into_iter().chain(own.iter().copied()).collect()
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn every_key_that_is_written_is_gofers_or_rmi() {
    let mut extras = BTreeSet::new();
    for message in everything() {
        let frame = encode(&message);
        let written = value(&frame);
        let mut found = keys(&written);
        assert!(found.remove("rmi"), "all of these say more than gofer can");
        extras.extend(keys(&written["rmi"]).into_iter().map(str::to_owned));
        assert_eq!(found, gofers(&message, &written), "{written}");
        if let Some(request) = written.get("request") {
            assert_eq!(keys(request), BTreeSet::from(["args", "classname", "cntr", "kws", "method"]));
        }
        if let Some(result) = written.get("result").filter(|result| result.get("retval").is_none()) {
            assert_eq!(keys(result), BTreeSet::from(["exval", "xargs", "xclass", "xmodule", "xstate"]));
        } else if let Some(result) = written.get("result") {
            assert_eq!(keys(result), BTreeSet::from(["retval"]));
        }
        assert!(
            written["status"].is_null()
                || ["accepted", "rejected", "started", "progress"].contains(&written["status"].as_str().unwrap())
        );
        // Sorted at every level, and none twice: that is how a sorted map writes it.
        assert_eq!(std::str::from_utf8(&frame.payload).unwrap(), written.to_string());
    }
    let documented = table("| key | form | in | meaning |");
    assert_eq!(extras.into_iter().collect::<Vec<_>>(), documented.into_iter().map(|row| row[0].clone()).collect::<Vec<_>>());
}

#[test]
fn what_says_nothing_more_than_gofer_has_no_rmi() {
    let Body::Request(request) = request().body else { panic!("a request") };
    let plain = Request { version: None, wants: None, group: None, cntr: None, args: Arguments::NONE, ..request };
    let written = value(&encode(&Message { head: Head::to("dog"), body: Body::Request(plain) }));
    let expected = json!({"data": null, "replyto": null, "routing": [null, "dog"], "sn": null, "version": "2.0",
        "request": {"args": [], "classname": "Dog", "cntr": null, "kws": {}, "method": "bark"}});
    assert_eq!(written, expected);
}

#[test]
fn dates_and_times_to_live_have_their_units() {
    let written = value(&encode(&request()));
    assert_eq!(written["timestamp"], "2026-11-20T23:56:00.123Z");
    assert_eq!(written["rmi"]["ttl"], 1, "a time to live never becomes none");
    assert_eq!(value(&encode(&reply(Outcome::Result(Json::NULL))))["timestamp"], "2026-11-20T23:56:00Z");
}

#[test]
fn frames_carry_what_the_bus_has_to_know() {
    for message in everything() {
        let frame = encode(&message);
        let (is_request, is_event) = (kind(&message) == "request", kind(&message) == "event");
        assert_eq!(frame.mandatory, is_request);
        assert_eq!(frame.persistent, !is_event);
        let is_status = matches!(message.body, Body::Status(_));
        assert_eq!(frame.repeatable, !is_event && !is_status, "nobody drops a second event, or a second step");
        assert_eq!(frame.ttl.is_some(), is_request || is_event);
        assert_eq!(frame.properties.content_encoding.as_deref(), Some("utf-8"));
        assert_eq!((&frame.properties.content_type, &frame.properties.correlation_id, frame.link), (&None, &None, None));
        let expected = match is_event {
            true => Destination::Topic { exchange: "".into(), key: "a.b".into() },
            false => Destination::Address("you".into()),
        };
        assert_eq!(frame.to, expected);
    }
    let mut unnumbered = request();
    unnumbered.head.sn = None;
    assert!(!encode(&unnumbered).repeatable);
}

#[test]
fn a_message_is_one_line_whatever_its_parts_look_like() {
    let mut message = request();
    message.head.data = Some(Json::parse("{\r\n  \"a\": [1,\n 2]\n}".to_owned()).unwrap());
    message.head.from = Some(Address::from("a\nb"));
    let payload = encode(&message).payload;
    assert!(!payload.contains(&b'\n') && !payload.contains(&b'\r'));
    let read = decode(&payload);
    assert_eq!(read.head.data.unwrap().decode::<Value>().unwrap(), json!({"a": [1, 2]}));
    assert_eq!(read.head.from.unwrap(), "a\nb");
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let broken = |change: fn(&mut Request)| {
        let mut message = request();
        let Body::Request(request) = &mut message.body else { panic!("a request") };
        change(request);
        Native::new().encode(&message).expect_err("not written").to_string()
    };
    assert_eq!(broken(|r| r.args.positional = Json::NULL), "`args` is not an array");
    assert_eq!(broken(|r| r.args.named = Json::EMPTY_ARRAY), "`kws` is not an object");
    assert_eq!(broken(|r| r.cntr = Some(Constructor { named: Json::NULL, ..Constructor::EMPTY })), "`cntr` is not an object");
    let event = Event { key: "k".into(), body: Json::NULL };
    assert!(Native::new().encode(&Message { head: head(), body: Body::Event(event) }).is_err());
}

#[test]
fn endpoints_listen_as_their_role_needs() {
    let (native, address) = (Native::new(), Address::from("dog"));
    let one = |role: Role<'_>| {
        let [subscription] = native.listen(&role).try_into().expect("one subscription");
        assert_eq!(subscription.source, Source::Address(address.clone()));
        subscription
    };
    let agent = one(Role::Agent { address: &address, contracts: &[], prefetch: 7 });
    assert_eq!((agent.purpose, agent.sharing, agent.prefetch), (Purpose::Requests, Sharing::Competing, 7));
    assert!(agent.acknowledged && agent.durable);
    let caller = one(Role::Caller { address: &address });
    assert_eq!((caller.purpose, caller.sharing), (Purpose::Replies, Sharing::Exclusive));
    assert!(!caller.acknowledged && !caller.durable);
    let replies = one(Role::Replies { address: &address });
    assert_eq!((replies.purpose, replies.acknowledged, replies.durable), (Purpose::Replies, true, true));
    let request = request();
    assert!(native.listen(&Role::Call { address: &address, request: support::envelope::request(&request) }).is_empty());
}

#[test]
fn a_rejection_in_gofers_form_keeps_what_it_says() {
    for details in ["\"Cat\" not provided by plugin.", ""] {
        let rejection = Rejection::new(RejectionCode::UnknownClass, details);
        let message = reply(rejection.clone());
        let written = value(&encode(&message));
        assert_eq!(written["result"]["xclass"], "NamespaceNotFound");
        assert_ne!(written["result"]["xargs"], json!([""]), "a gofer caller is told something");
        assert_eq!(*outcome(&decode(written.to_string())), Outcome::Rejected(rejection));
    }
}

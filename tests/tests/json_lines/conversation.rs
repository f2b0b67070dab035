//! What is said about a link, by a clock that is set by hand.

use std::time::Duration;

use rmi_core::{
    json::Json,
    message::{
        AbortReason, Arguments, Body, Head, Message, Outcome, Progress, Rejection, RejectionCode, ReplyPath, Request, Sn, Status,
    },
    protocol::{JsonLines, json_lines::Profile},
};
use serde_json::{Value, json};

use crate::desk::Desk;

const SECOND: Duration = Duration::from_secs(1);

fn agent() -> Desk {
    Desk::new(JsonLines::agent("a:b:c:d").agent_version("0.1-dev"), false)
}

fn server() -> Desk {
    Desk::new(JsonLines::server(), true)
}

fn documented(lines: JsonLines) -> JsonLines {
    lines.profile(Profile::Documented)
}

fn handshake(id: &str) -> String {
    json!({ "id": "h", "version": "v1", "method": "handshake", "params": { "id": id, "version": "0.1-dev" } }).to_string()
}

fn id_of(line: &str) -> String {
    serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned()
}

/// A call of ours, as an endpoint makes it.
pub(crate) fn call(serial: u128, class: &str, method: &str, args: Value) -> Message {
    let mut head = Head::to("agent");
    head.sn = Some(Sn::from(uuid::Uuid::from_u128(serial)));
    head.from = Some("us".into());
    head.reply = Some(ReplyPath::to("us"));
    let args = Arguments { named: args.into(), ..Arguments::NONE };
    let request = Request {
        class: class.into(),
        method: method.into(),
        version: None,
        cntr: None,
        args,
        wants: None,
        group: None,
        contract: None,
    };
    Message { head, body: Body::Request(request) }
}

#[test]
fn an_agent_shakes_hands_and_pings_at_once_and_every_20_seconds() {
    let mut desk = agent();
    let said = desk.said();
    let first = r#"{"id":"00000000-0000-0000-0000-000000000000","version":"v1","method":"handshake","params":{"id":"a:b:c:d","version":"0.1-dev"}}"#;
    assert_eq!(said, [first]);
    assert_eq!(desk.peer.as_deref(), Some("server"));
    assert_eq!(desk.wakes_in(), Some(60 * SECOND), "nothing but silence");

    desk.receive_text(&json!({ "id": id_of(first), "version": "v1", "result": { "id": "conn-1" } }).to_string());
    let ping = r#"{"id":"00000000-0000-0000-0000-000000000001","version":"v1","method":"ping","params":{}}"#;
    assert_eq!(desk.said(), [ping]);
    for _ in 0..2 {
        assert_eq!(desk.wakes_in(), Some(20 * SECOND));
        desk.wake();
        assert!(desk.said()[0].contains("\"method\":\"ping\""));
    }
    // None of them is answered: what ends the link is silence.
    desk.wake();
    if desk.closed.is_none() {
        desk.wake();
    }
    assert_eq!(desk.closed.as_deref(), Some("nothing was heard for 60s"));
    assert_eq!(desk.wakes_in(), None);
}

#[test]
fn a_line_puts_silence_off_and_a_blank_one_does_too() {
    let mut desk = server();
    for line in [" ", r#"{"id": 1, "version": "v1", "method": "ping", "params": {}}"#] {
        desk.now += 59 * SECOND;
        desk.receive_text(line);
        assert_eq!(desk.wakes_in(), Some(60 * SECOND));
    }
    assert_eq!(desk.said().len(), 1, "a blank line is not answered");
    desk.wake();
    assert!(desk.closed.is_some());
    let patient = JsonLines::server().silence(90 * SECOND);
    assert_eq!(Desk::new(patient, true).wakes_in(), Some(90 * SECOND));
    let eager = JsonLines::agent("a").profile(Profile::Documented).ping_every(SECOND);
    assert_eq!(Desk::new(eager, false).wakes_in(), Some(SECOND));
}

#[test]
fn a_refused_handshake_closes_the_link() {
    let mut desk = agent();
    let first = desk.said().remove(0);
    desk.receive_text(&json!({ "id": id_of(&first), "version": "v1", "error": "not you" }).to_string());
    assert_eq!(desk.closed.as_deref(), Some("the server refused the handshake: \"not you\""));
    assert!(desk.said().is_empty(), "no pings");
}

#[test]
fn a_server_knows_an_agent_by_its_handshake() {
    let mut desk = server();
    assert_eq!(desk.peer, None);
    for (id, why) in [
        (json!(""), "\\\"id\\\" must be a string of 1 to 256 bytes without control characters"),
        (json!(7), "\\\"id\\\" must be a string"),
        (json!("a\nb"), "\\\"id\\\" must be a string"),
        (json!("x".repeat(257)), "\\\"id\\\" must be a string"),
    ] {
        desk.receive_text(&json!({ "id": 1, "version": "v1", "method": "handshake", "params": { "id": id } }).to_string());
        let said = desk.said().remove(0);
        assert!(said.starts_with(r#"{"id":1,"version":"v1","error":""#) && said.contains(why), "{said}");
    }
    desk.receive_text(r#"{"id": 1, "version": "v1", "method": "handshake", "params": {}}"#);
    assert_eq!(desk.said(), [r#"{"id":1,"version":"v1","error":"missing parameter \"id\" in \"handshake\" command"}"#]);
    assert_eq!(desk.peer, None);

    desk.receive_text(&handshake("a:b:c:d"));
    assert_eq!(desk.peer.as_deref(), Some("a:b:c:d"));
    let answer = r#"{"id":"h","version":"v1","result":{"id":"00000000-0000-0000-0000-000000000000"}}"#;
    assert_eq!(desk.said(), [answer]);
    // The same again is answered again; nobody becomes somebody else.
    desk.receive_text(&handshake("a:b:c:d"));
    assert!(desk.said()[0].contains("result"));
    desk.receive_text(&handshake("e:f"));
    assert!(desk.said()[0].contains("under another"));
    assert_eq!(desk.peer.as_deref(), Some("a:b:c:d"));
}

#[test]
fn a_name_that_the_transport_vouches_for_is_the_only_one() {
    let mut desk = Desk::vouched(JsonLines::server(), true, Some("rex.example"));
    assert_eq!(desk.peer.as_deref(), Some("rex.example"));
    desk.receive_text(&handshake("max"));
    assert_eq!(desk.said(), [r#"{"id":"h","version":"v1","error":"\"id\" is not the name that the transport vouches for"}"#]);
    assert_eq!(desk.peer.as_deref(), Some("rex.example"));
    desk.receive_text(&handshake("rex.example"));
    assert!(desk.said()[0].contains("result"));
}

#[test]
fn where_nobody_shakes_hands_a_link_has_a_number() {
    let mut desk = Desk::new(documented(JsonLines::server()), true);
    assert_eq!(desk.peer.as_deref(), Some("link.7"));
    desk.receive_text(&handshake("rex"));
    assert_eq!(desk.peer.as_deref(), Some("rex"), "an agent that does is known by its name");
}

#[test]
fn a_fatal_error_is_said_once_and_nothing_after_it() {
    let mut desk = agent();
    desk.said();
    let status = r#"{"id": 1, "version": "v1", "method": "status", "params": {}}"#;
    desk.receive_text(
        r#"{"id": 1, "version": "v1", "method": "standby.prepare_image", "params": {"task_id": 1, "image_id": "i"}}"#,
    );
    desk.receive_text("x");
    assert_eq!(desk.said(), [r#"{"fatal_error":"protocol error: unable to decode message."}"#]);
    assert!(desk.closed.is_some());
    desk.receive_text("y");
    desk.receive_text(status);
    // What runs ends, and has nobody to tell it to.
    let request = desk.running.remove(0);
    desk.conclude(&request, Outcome::Result(Json::NULL));
    assert!(desk.said().is_empty());
    assert_eq!(desk.wakes_in(), None);
}

#[test]
fn a_peers_fatal_error_closes_the_link_without_an_answer() {
    for line in [r#"{"fatal_error": ""}"#, r#"{"fatal_error": null, "id": 1, "version": "v1", "method": "status", "params": {}}"#]
    {
        let mut desk = agent();
        desk.said();
        desk.receive_text(line);
        assert!(desk.closed.is_some() && desk.said().is_empty(), "{line}");
    }
}

#[test]
fn what_is_nested_too_deep_or_is_no_text_cannot_be_decoded() {
    let deep = |levels: usize| {
        let nested = "[".repeat(levels) + &"]".repeat(levels);
        format!(r#"{{"id": 1, "version": "v1", "method": "ping", "params": {{"x": {nested}}}}}"#)
    };
    let mut desk = agent();
    desk.said();
    desk.receive_text(&deep(62));
    assert!(desk.said()[0].contains("[[[["));
    for line in [deep(63), deep(500), deep(200_000)] {
        let mut desk = agent();
        desk.said();
        desk.receive_text(&line);
        assert_eq!(desk.said(), [r#"{"fatal_error":"protocol error: unable to decode message."}"#]);
    }
}

#[test]
fn an_answer_that_nobody_waits_for_is_fatal_once_and_a_late_one_is_not() {
    let mut desk = server();
    let answer =
        |serial: u128| json!({ "id": uuid::Uuid::from_u128(serial).to_string(), "version": "v1", "result": 1 }).to_string();
    desk.send(&call(7, "agent", "status", json!({})));
    desk.receive_text(&answer(7));
    assert_eq!(desk.passed.len(), 1);
    desk.receive_text(&answer(7));
    assert_eq!(desk.said()[1], r#"{"fatal_error":"protocol violation: unknown message id referenced."}"#);

    // So many are asked that the first are forgotten: their answers are too late, and no offence.
    let mut desk = server();
    for serial in 1..=5000 {
        desk.send(&call(serial, "agent", "status", json!({})));
    }
    desk.receive_text(&answer(1));
    assert_eq!((desk.passed.len(), &desk.closed), (1, &None));
    desk.receive_text(r#"{"id": "x", "version": "v1", "result": 1}"#);
    assert!(desk.closed.is_some(), "that is none of ours in any case");
}

#[test]
fn the_time_that_a_task_will_take_is_by_its_rate() {
    for (lines, first) in [(documented(JsonLines::agent("a")), 0), (JsonLines::agent("a"), 1)] {
        let mut desk = Desk::new(lines, false);
        desk.receive_text(
            r#"{"id": 1, "version": "v1", "method": "standby.prepare_image", "params": {"task_id": "t", "image_id": "i"}}"#,
        );
        let request = desk.running.remove(0);
        desk.status(&request, Status::Accepted);
        desk.status(&request, Status::Started);
        desk.said();
        let mut etas = Vec::new();
        for completed in [10, 20, 50, 100] {
            desk.now += 10 * SECOND;
            let step = Progress { total: 100, completed, details: Json::NULL };
            desk.status(&request, Status::Progress(step));
            let said: Value = serde_json::from_str(&desk.said()[0]).unwrap();
            etas.push(said["params"]["eta"].clone());
        }
        let by_rate = [json!(90), json!(80), json!(30), json!(0)];
        if first == 0 {
            assert_eq!(etas, by_rate);
        } else {
            // It is not said when it began: what counts is what was done since it was first heard of.
            assert_eq!(etas, [json!(null), json!(80), json!(25), json!(0)]);
        }
    }
}

#[test]
fn a_task_that_was_accepted_and_never_ran_fails_in_its_status() {
    let mut desk = Desk::new(documented(JsonLines::agent("a")), false);
    let line = r#"{"id": 1, "version": "v1", "method": "standbye.prepare_image", "params": {"task_id": "t", "image_id": "i"}}"#;
    desk.receive_text(line);
    desk.said();
    let rejection = Rejection::new(RejectionCode::Closing, "");
    let request = desk.running.remove(0);
    desk.status(&request, Status::Accepted);
    desk.conclude(&request, rejection.clone().into());
    let said = desk.said();
    assert_eq!(said[0], r#"{"id":1,"version":"v1","result":{}}"#);
    let failed: Value = serde_json::from_str(&said[1]).unwrap();
    let params =
        json!({ "task_id": "t", "state": "error", "msg": "service being shutdown", "code": "agent.closing", "details": "" });
    assert_eq!((&failed["method"], &failed["params"]), (&json!("task_status"), &params));

    // One that was not is an error of its command.
    desk.receive_text(line);
    let request = desk.running.remove(0);
    desk.conclude(&request, rejection.into());
    let said: Value = serde_json::from_str(&desk.said()[0]).unwrap();
    assert_eq!((&said["id"], &said["error"]["code"]), (&json!(1), &json!("agent.closing")));
}

#[test]
fn no_two_tasks_of_one_name_run_at_once() {
    for (lines, documented) in [(JsonLines::agent("a"), false), (documented(JsonLines::agent("a")), true)] {
        let mut desk = Desk::new(lines, false);
        let prepare = |id: u32, task: Value| {
            let params = json!({ "task_id": task, "image_id": "i" });
            json!({ "id": id, "version": "v1", "method": "standby.prepare_image", "params": params }).to_string()
        };
        desk.receive_text(&prepare(1, json!("t1")));
        desk.said();
        desk.receive_text(&prepare(2, json!("t1")));
        let why = "cannot have two services with same name 'prepare_image.t1'";
        let said: Value = serde_json::from_str(&desk.said()[0]).unwrap();
        assert_eq!(said["error"], if documented { json!({ "msg": why }) } else { json!(why) });
        desk.receive_text(&prepare(3, json!(["t", 1])));
        assert_eq!(desk.running.len(), 2, "an id is any value");
        let request = desk.running.remove(0);
        desk.conclude(&request, Outcome::Result(Json::NULL));
        desk.receive_text(&prepare(4, json!("t1")));
        assert_eq!(desk.running.len(), 2, "the first has ended");
    }
}

#[test]
fn an_unknown_method_is_fatal_where_it_was_deployed_and_an_error_where_it_is_documented() {
    let line = r#"{"id": {"a": 1}, "version": "v1", "method": "decom.disk_erase", "params": {"task_id": 1}}"#;
    let mut desk = agent();
    desk.said();
    desk.receive_text(line);
    assert_eq!(desk.said(), [r#"{"fatal_error":"unknown message method"}"#]);
    let mut desk = Desk::new(documented(JsonLines::agent("a")), false);
    desk.said();
    desk.receive_text(line);
    let said = desk.said().remove(0);
    assert!(
        said.starts_with(r#"{"id":{"a": 1},"version":"v1","error":{"msg":"unknown message method","code":"class.unknown""#),
        "{said}"
    );
    assert_eq!(desk.closed, None);
}

#[test]
fn a_log_that_nobody_reads_and_a_foreign_task_are_acknowledged() {
    let mut desk = Desk::new(JsonLines::server().no_commands(), true);
    desk.receive_text(r#"{"id": 1, "version": "v1", "method": "log", "params": {"message": "x"}}"#);
    desk.receive_text(r#"{"id": 2, "version": "v1", "method": "task_status", "params": {"task_id": "t1", "state": "complete"}}"#);
    desk.receive_text(r#"{"id": 3, "version": "v1", "method": "task_status", "params": {"state": "complete"}}"#);
    let said = desk.said();
    assert_eq!(said[0], r#"{"id":1,"version":"v1","result":{}}"#);
    assert_eq!(said[1], r#"{"id":2,"version":"v1","result":{}}"#);
    assert_eq!(said[2], r#"{"id":3,"version":"v1","error":"missing parameter \"task_id\" in \"task_status\" command"}"#);
    assert!(desk.passed.is_empty());
}

#[test]
fn ids_of_any_kind_and_length_come_back() {
    let mut desk = agent();
    desk.said();
    let long = format!("\"{}\"", "x".repeat(5000));
    for id in ["7", "7.0", "\"7\"", "true", "[0]", r#"{"b": 1, "a": [1.50, "\u00e9"]}"#, "123456789012345678901234567890", &long]
    {
        desk.receive_text(&format!(r#"{{"id": {id}, "version": "v1", "method": "cache", "params": {{}}, "method": "status"}}"#));
        let said = desk.said().remove(0);
        assert!(said.starts_with(&format!(r#"{{"id":{id},"version":"v1","result":{{"#)), "{said}");
    }
    // What is not ASCII is the same value in ASCII.
    desk.receive_text("{\"id\": \"ü🐕\", \"version\": \"v1\", \"method\": \"status\", \"params\": {}}");
    assert!(desk.said()[0].starts_with(r#"{"id":"\u00fc\ud83d\udc15","#));
}

#[test]
fn of_two_members_of_one_name_the_last_one_counts() {
    let mut desk = agent();
    desk.said();
    let line = r#"{"id": 1, "version": "v1", "method": "standby.prepare_image",
        "params": {"image_id": "a", "task_id": "t", "image_id": "b", "task_id": "u", "more": NaN}}"#;
    desk.receive_text(&line.replace('\n', " "));
    let Body::Request(request) = &desk.running[0].body else { panic!() };
    assert_eq!(request.args.named.as_str(), r#"{"image_id":"b","more":null}"#);
    assert_eq!(request.args.reader(64).unwrap().required::<String>("image_id").unwrap(), "b");
}

#[test]
fn an_abort_is_read_back_where_there_are_words_for_it() {
    let mut agent = Desk::new(documented(JsonLines::agent("a")), false);
    let mut server = Desk::new(documented(JsonLines::server()), true);
    server.send(&call(9, "standby", "prepare_image", json!({ "image_id": "i" })));
    agent.said();
    agent.receive_text(&server.said()[0]);
    let request = agent.running.remove(0);
    agent.status(&request, Status::Accepted);
    agent.conclude(&request, rmi_core::message::Abort::new(AbortReason::Panicked, "it did").into());
    for line in agent.said() {
        server.receive_text(&line);
    }
    let bodies: Vec<_> = server.passed.iter().map(|message| message.body.clone()).collect();
    let aborted = rmi_core::message::Abort::new(AbortReason::Panicked, "it did");
    assert_eq!(bodies, [Body::Status(Status::Accepted), Body::Outcome(aborted.into())]);
    assert!(server.passed.iter().all(|message| message.head.sn == Some(Sn::from(uuid::Uuid::from_u128(9)))));
}

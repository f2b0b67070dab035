//! Every end of a call that is not a result: its exit status, what people are told, and what programs read.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::{
    agent::Agent,
    program::{Ended, rmi, words},
};

/// The same call for people and for programs.
#[track_caller]
fn both(agent: &Agent, address: &str, arguments: &str, status: i32) -> (Ended, Value) {
    let line = format!("call {} {address} {arguments} --insecure", agent.url);
    let (people, programs) = (rmi(words(&line)), rmi(words(&format!("{line} --json"))));
    assert_eq!((people.status, programs.status), (status, status), "{people:?} {programs:?}");
    assert_eq!(people.stdout, "", "standard output is for results");
    let end = programs.end();
    (people, end)
}

#[test]
fn an_exception_is_status_1() {
    let agent = Agent::insecure();
    let (people, mut end) = both(&agent, "dog", "Dog.sit", 1);
    assert!(people.stderr.starts_with("rmi: Dog.sit raised ValueError: I do not sit\n"), "{people:?}");
    assert!(people.stderr.contains(r#"arguments: ["I do not sit",42]"#), "{people:?}");
    let exception = &mut end["exception"];
    assert!(exception["state"].is_object() && exception["text"].is_string(), "{exception}");
    exception["state"] = Value::Null;
    exception["text"] = Value::Null;
    let expected = json!({"module": "builtins", "class": "ValueError", "message": "I do not sit", "args": ["I do not sit", 42], "state": null, "text": null, "fate": "ran"});
    assert_eq!(*exception, expected);
}

#[test]
fn the_command_line_is_status_2_and_says_what_to_do() {
    let cases = [
        ("", "Usage: rmi call"),
        ("tcp://127.0.0.1:1 dog --insecure", "<CLASS.METHOD>"),
        ("127.0.0.1:1 dog Dog.bark --insecure", "tcp://127.0.0.1:7000"),
        ("amqp://127.0.0.1:x dog Dog.bark --insecure", "a number from 1 to 65535"),
        ("mqtt://127.0.0.1:1 dog Dog.bark --insecure", "MQTT is not built into this program yet"),
        ("http://127.0.0.1:1 dog Dog.bark --insecure", "there is no transport for `http://`"),
        ("tcp://127.0.0.1:1 dog bark --insecure", "as in `Dog.bark`"),
        ("tcp://127.0.0.1:1 dog Dog.bark --timeout 10 --insecure", "10s, 250ms or 1m30s"),
        ("tcp://127.0.0.1:1 dog Dog.bark --kw x --insecure", "as in `times=3`"),
        ("tcp://127.0.0.1:1 dog Dog.bark --dialect latin --insecure", "native"),
        ("tcp://127.0.0.1:1 dog Dog.bark --no-wait --watch --insecure", "cannot be used with"),
        ("tcp://127.0.0.1:1 dog Dog.bark --insecure --key ann.key", "cannot be used with"),
        ("tcp://127.0.0.1:1 dog Dog.bark", "--insecure, to believe everybody"),
        ("tcp://127.0.0.1:1 dog Dog.bark --key ann.key", "--trust DIR as well"),
        ("tcp://127.0.0.1:1 dog Dog.bark --trust trusted", "--key FILE as well"),
    ];
    for (arguments, advice) in cases {
        let ended = rmi(words(&format!("call {arguments}")));
        assert_eq!((ended.status, ended.stdout.as_str()), (2, ""), "{arguments}: {ended:?}");
        assert!(ended.stderr.contains(advice), "{arguments}: {ended:?}");
    }
    let ended = rmi(words("call tcp://127.0.0.1:1 dog bark --insecure --json"));
    assert_eq!(ended.status, 2);
    let message = ended.end()["usage"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("as in `Dog.bark`"), "{message}");
    let ended = rmi(words("call tcp://127.0.0.1:1 dog Dog.bark --json"));
    assert_eq!((ended.status, ended.end()), (2, json!({"usage": {"message": "it is not said whether messages are signed"}})));
}

#[test]
fn a_rejection_is_status_3() {
    let agent = Agent::insecure();
    let (people, mut end) = both(&agent, "dog", "Dog.fly", 3);
    assert!(people.stderr.contains("Dog.fly was rejected (method.unknown)"), "{people:?}");
    assert!(people.stderr.contains("try: `rmi describe`"), "{people:?}");
    assert!(end["details"].is_string(), "{end}");
    end["details"] = Value::Null;
    let expected = json!({"status": "rejected", "code": "method.unknown", "description": "the class has no such method", "details": null, "fate": "never_ran"});
    assert_eq!(end, expected);
    for (arguments, code) in
        [("Cat.bark", "class.unknown"), ("Dog.bark", "request.arguments"), ("Dog.bark a --contract 9.0", "version.unknown")]
    {
        assert_eq!(both(&agent, "dog", arguments, 3).1["code"], code);
    }
}

#[test]
fn nobody_there_is_status_4_and_not_a_timeout() {
    let agent = Agent::insecure();
    let (people, end) = both(&agent, "cat", "Dog.bark hello", 4);
    assert!(people.stderr.contains("nobody listens at `cat`") && people.stderr.contains("try:"), "{people:?}");
    assert_eq!(end, json!({"no_agent": {"message": "nobody listens at `cat`", "fate": "never_ran"}}));
}

#[test]
fn too_late_is_status_5() {
    let agent = Agent::insecure();
    let (people, end) = both(&agent, "dog", "Dog.nap 30 --timeout 200ms", 5);
    assert!(people.stderr.contains("Dog.nap timed out after 200ms waiting for the outcome"), "{people:?}");
    assert_eq!(end["timeout"]["phase"], "total");
    assert_eq!(end["timeout"]["after_ms"], 200);
    assert_eq!(end["timeout"]["fate"], "may_have_run");
}

#[test]
fn no_way_to_the_bus_is_status_6_at_once() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for command in
        ["call {} dog Dog.bark hello", "describe {} dog", "cancel {} dog 1", "publish {} a.b", "subscribe {}", "bench {} dog"]
    {
        let line = command.replace("{}", &format!("tcp://127.0.0.1:{port}"));
        let ended = rmi(words(&format!("{line} --insecure")));
        assert_eq!(ended.status, 6, "{ended:?}");
        assert!(ended.stderr.contains("cannot be reached") && ended.stderr.contains("is an agent listening"), "{ended:?}");
        let end = rmi(words(&format!("{line} --insecure --json"))).end();
        assert_eq!((&end["transport"]["kind"], &end["transport"]["fate"]), (&json!("disconnected"), &json!("never_ran")));
    }
}

//! Calls that have a result, in every form of arguments.

use serde_json::json;

use crate::{agent::Agent, program::rmi};

#[test]
fn two_processes_call_each_other_without_a_broker() {
    let agent = Agent::insecure();
    let ended = agent.call("Dog.bark hello");
    assert_eq!(ended.status, 0, "{ended:?}");
    assert_eq!(ended.stdout, "\"Yes master.  I will bark because that is what dogs do. \\\"hello\\\"\"\n");
    assert_eq!(ended.stderr, "");
}

#[test]
fn arguments_are_json_where_they_are_json() {
    let agent = Agent::insecure();
    for (argument, expected) in [
        ("7", "7"),
        ("-7.50", "-7.50"),
        ("\"7\"", "\"7\""),
        ("seven", "\"seven\""),
        ("{\"a\":[1,2]}", "{\"a\":[1,2]}"),
        ("9007199254740993", "9007199254740993"),
        ("null", "null"),
    ] {
        let ended = rmi(["call", &agent.url, "dog", "dog.echo", argument, "--insecure"]);
        assert_eq!((ended.status, ended.stdout.trim_end()), (0, expected), "{ended:?}");
    }
}

#[test]
fn arguments_are_given_by_position_and_by_name() {
    let agent = Agent::insecure();
    assert_eq!(agent.call("Dog.bark_times wuff --kw times=3").stdout, "\"wuff wuff wuff\"\n");
    assert_eq!(agent.call("Dog.bark_times --kw times=2 --kw words=wuff").stdout, "\"wuff wuff\"\n");
    let twice = agent.call("Dog.bark_times --kw words=a --kw words=b");
    assert_eq!(twice.status, 2, "{twice:?}");
}

#[test]
fn constructor_arguments_are_given_by_name_and_by_position() {
    let agent = Agent::insecure();
    let ended = rmi(["call", &agent.url, "dog", "Dog.who", "--cntr", r#"{"name":"rex","age":3}"#, "--insecure"]);
    assert_eq!(ended.end(), json!({"name": "rex", "age": 3}));
    let ended = rmi(["call", &agent.url, "dog", "Dog.who", "--cntr", r#"["rex",3]"#, "--insecure"]);
    assert_eq!(ended.end(), json!({"name": "rex", "age": 3}));
    let ended = rmi(["call", &agent.url, "dog", "Dog.who", "--cntr", "rex", "--insecure"]);
    assert_eq!(ended.status, 2, "{ended:?}");
}

#[test]
fn a_string_is_printed_raw_when_that_is_wanted() {
    let agent = Agent::insecure();
    assert_eq!(agent.call("dog.echo hello --raw").stdout, "hello\n");
    assert_eq!(agent.call("dog.echo [1] --raw").stdout, "[1]\n");
}

#[test]
fn programs_get_every_status_and_the_result_line_by_line() {
    let agent = Agent::insecure();
    let ended = agent.call("Dog.wag 3 --kw delay=0 --json");
    assert_eq!((ended.status, ended.stderr.as_str()), (0, ""), "{ended:?}");
    let mut lines = ended.lines();
    assert!(lines[0]["sn"].as_str().is_some_and(|sn| !sn.is_empty()), "{ended:?}");
    lines[0]["sn"] = json!("..");
    let progress = |at| json!({"status": "progress", "total": 3, "completed": at, "details": format!("for: {}", at - 1)});
    assert_eq!(
        lines,
        [
            json!({"status": "accepted", "sn": ".."}),
            json!({"status": "started"}),
            progress(1),
            progress(2),
            progress(3),
            json!({"result": "wagged 3"}),
        ]
    );
}

#[test]
fn what_is_not_waited_for_has_a_serial_number() {
    let agent = Agent::insecure();
    let ended = agent.call("Dog.bark nobody --no-wait");
    assert_eq!((ended.status, ended.stdout.trim_end().len()), (0, 36), "{ended:?}");
    let ended = agent.call("Dog.bark nobody --no-wait --json").end();
    assert_eq!((&ended["status"], ended["sn"].as_str().map(str::len)), (&json!("sent"), Some(36)));
}

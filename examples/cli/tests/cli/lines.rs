//! The provisioning agent's lines: an agent that dials, played line by line.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread::{self, JoinHandle},
};

use serde_json::{Value, json};

use crate::program::{rmi, words};

const ID: &str = "52:54:00:12:34:56";

/// A port that was free a moment ago.
fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An agent that dials until somebody listens, shakes hands, and answers one command with these lines. Gives the command.
fn agent(port: u16, answers: impl Fn(&Value) -> Vec<Value> + Send + 'static) -> JoinHandle<Value> {
    thread::spawn(move || {
        let mut stream = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => break stream,
                Err(_) => thread::yield_now(),
            }
        };
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut hear = move || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
        let mut say = |line: &Value| writeln!(stream, "{line}").unwrap();
        say(&json!({"id": "1", "version": "v1", "method": "handshake", "params": {"id": ID, "version": "0.1"}}));
        assert_eq!(hear()["id"], "1");
        let command = hear();
        answers(&command).iter().for_each(&mut say);
        // Whoever listens leaves first.
        let mut rest = String::new();
        let _ = std::io::Read::read_to_string(&mut stream, &mut rest);
        command
    })
}

#[test]
fn an_agent_that_dials_is_waited_for_and_watched() {
    let port = free();
    let agent = agent(port, |command| {
        let task = command["params"]["task_id"].clone();
        let status = |at: u64| json!({"id": format!("s{at}"), "version": "v1", "method": "task_status", "params": {"task_id": task, "state": "running", "eta": 1, "percent": at * 50}});
        vec![status(1), json!({"id": command["id"], "version": "v1", "result": "prepared"})]
    });
    let line = format!(
        "call tcp://127.0.0.1:{port} {ID} standby.prepare_image --kw image_id=i1 --watch --listen --dialect teeth --insecure"
    );
    let ended = rmi(words(&line));
    assert_eq!((ended.status, ended.stdout.as_str()), (0, "\"prepared\"\n"), "{ended:?}");
    assert!(ended.stderr.contains("50/100"), "{ended:?}");
    let command = agent.join().unwrap();
    assert_eq!((&command["method"], &command["params"]["image_id"]), (&json!("standby.prepare_image"), &json!("i1")));
}

#[test]
fn a_class_that_the_protocol_does_not_have_is_a_prefix() {
    let port = free();
    let agent = agent(port, |command| vec![json!({"id": command["id"], "version": "v1", "error": "no such lamp"})]);
    let line = format!("call tcp://127.0.0.1:{port} {ID} rack.beacon --kw on=true --json --listen --dialect teeth --insecure");
    let ended = rmi(words(&line));
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.end()["exception"]["message"].as_str().is_some_and(|message| message.contains("no such lamp")), "{ended:?}");
    assert_eq!(agent.join().unwrap()["method"], "rack.beacon");
}

#[test]
fn nobody_who_dials_in_time_is_nobody_there() {
    let line = format!("call tcp://127.0.0.1:{} {ID} agent.status --timeout 200ms --listen --dialect teeth --insecure", free());
    let ended = rmi(words(&line));
    assert_eq!((ended.status, ended.stdout.as_str()), (4, ""), "{ended:?}");
}

#[test]
fn what_cannot_be_signed_is_not_said_to_be() {
    let here = tempfile::tempdir().unwrap();
    let key = here.path().join("ann").display().to_string();
    assert_eq!(rmi(["keygen", &key]).status, 0);
    let trusted = here.path().display().to_string();
    let line = format!("call tcp://127.0.0.1:1 {ID} agent.status --dialect teeth --key {key}.key --trust {trusted}");
    let ended = rmi(words(&line));
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("no place for signatures"), "{ended:?}");
}

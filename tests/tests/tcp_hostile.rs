//! What peers do that nobody should, to an agent that listens: it stays small, says what it was, and serves others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{process::Command, time::Duration};

use rmi_tests::{
    probe::ProbeClient,
    soon::soon,
    tcp::{Listening, Raw, quick, request, until},
};
use serde_json::json;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_line_of_a_gibibyte_closes_its_link() {
    let agent = Listening::start("agent", quick()).await;
    let mut raw = agent.raw().await;
    let piece = vec![b'x'; 1 << 20];
    let mut sent = 0;
    while sent < 1024 && raw.send(&piece).await {
        sent += 1;
        assert!(agent.tcp.counters().held <= (16 << 20) + (64 << 10), "no more is kept than the longest line");
    }
    assert!(sent < 128, "the peer was read for {sent} MiB");
    let counters = agent.until("the link is closed", |counters| counters.too_long == 1 && counters.links == 0).await;
    assert_eq!((counters.held, counters.received), (0, 0));
    agent.serves().await;
}

#[tokio::test]
async fn what_came_before_a_line_that_is_too_long_is_handled() {
    let mut agent = Listening::start("agent", quick().max_line(1000)).await;
    let mut raw = agent.raw().await;
    let note = json!({ "version": "2.0", "routing": ["raw", "agent"],
        "request": { "classname": "probe", "method": "note", "args": ["before"] } });
    raw.send(format!("{note}\n{}\n{note}\n", "x".repeat(1001))).await;
    raw.is_closed().await;
    agent.watch.ended("before").await;
    assert_eq!((agent.tcp.counters().too_long, agent.watch.ran()), (1, 1));
}

#[tokio::test]
async fn a_line_without_an_end_closes_its_link() {
    let agent = Listening::start("agent", quick().line_time(Duration::from_millis(50))).await;
    let mut raw = agent.raw().await;
    soon("the link is closed", async { while raw.send("x").await && agent.tcp.counters().unfinished == 0 {} }).await;
    raw.is_closed().await;
    assert_eq!(agent.tcp.counters().unfinished, 1);
    agent.serves().await;
}

#[tokio::test]
async fn what_is_no_message_is_counted_and_harms_nobody() {
    let agent = Listening::start("agent", quick()).await;
    let mut raw = agent.raw().await;
    let lines: [&[u8]; 10] = [
        b"\0\0\0\0\n",
        b"\xff\xfe\xc3\x28\n",
        b"hello?\n",
        b"{\n",
        b"[[[[[[\n",
        b"null\n",
        b"{}\n",
        b"{\"version\":\"2.0\"}\n",
        b"\"\\ud800\"\n",
        b"GET / HTTP/1.1\r\n",
    ];
    for line in lines {
        assert!(raw.send(line).await);
    }
    raw.send("\n\r\n\n\n").await;
    // The same link still serves whoever has come to their senses.
    raw.say(&request("raw", "agent", "1", "echo", &json!(["sane"]))).await;
    assert_eq!(raw.hear().await.unwrap()["result"]["retval"], "sane");
    assert_eq!(agent.tcp.counters().received, 11);
    assert_eq!(agent.endpoint.figures()[0].malformed, 10);
}

#[tokio::test]
async fn ten_thousand_connections_that_say_nothing_make_room() {
    let agent = Listening::start("agent", quick().max_links(128)).await;
    let caller = agent.caller("caller").await;
    let probe: ProbeClient = caller.client("agent");
    probe.echo("I have spoken").await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..10_000 {
        silent.push(TcpStream::connect(agent.at()).await.unwrap());
        if silent.len() > 4000 {
            silent.drain(..2000);
        }
    }
    let counters = agent.until("all of them are seen", |c| c.opened + c.refused + c.not_accepted >= 10_001).await;
    assert!(counters.links <= 128, "{counters:?}");
    assert!(counters.silent + counters.refused > 5_000, "{counters:?}");
    assert_eq!(probe.echo("still").await.unwrap(), "still", "whoever has spoken stays");
    agent.serves().await;
}

#[tokio::test]
async fn who_connects_and_vanishes_leaves_nothing() {
    let agent = Listening::start("agent", quick()).await;
    for number in 0..600 {
        let mut raw = agent.raw().await;
        match number % 4 {
            0 => drop(raw),
            1 => raw.reset(),
            2 => drop(raw.send("{\"version\":").await),
            _ => {
                raw.say(&request("raw", "agent", &number.to_string(), "echo", &json!(["x"]))).await;
                raw.reset();
            }
        }
    }
    let gone = agent.until("all of them are gone", |counters| counters.links == 0).await;
    assert_eq!((gone.opened, gone.closed, gone.held), (gone.opened, gone.opened, 0));
    agent.serves().await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_closed_and_holds_up_nobody() {
    let options = quick().queue(64 << 10).wait(Duration::from_millis(300));
    let agent = Listening::start("agent", options).await;
    let caller = agent.caller("caller").await;
    let probe: ProbeClient = caller.client("agent");
    let mut raw = agent.raw().await;
    for number in 0..200 {
        raw.say(&request("deaf", "agent", &number.to_string(), "big", &json!([1 << 20]))).await;
    }
    // Others are answered while it is stalled, and after.
    while agent.tcp.counters().stalled == 0 {
        assert_eq!(soon("others are answered", probe.echo("x").into_future()).await.unwrap(), "x");
    }
    raw.is_closed().await;
    let counters = agent.until("nothing is left of it", |counters| counters.links == 1 && counters.held == 0).await;
    assert_eq!(counters.stalled, 1);
    agent.serves().await;
}

#[tokio::test]
async fn a_peer_that_sends_more_than_is_handled_is_not_read() {
    let mut agent = Listening::start("agent", quick().unsettled(16)).await;
    let mut raw = agent.raw().await;
    for number in 0..200 {
        raw.say(&request("eager", "agent", &number.to_string(), "hold", &json!([number.to_string()]))).await;
    }
    for _ in 0..16 {
        agent.watch.began().await;
    }
    // What has been read when it is enough is handed on as well.
    let begun = 16 + agent.watch.seen().len();
    agent.serves().await;
    assert!(begun < 200, "all of them have begun: {begun}");
    agent.watch.open(200);
    for _ in 0..200 {
        assert!(raw.hear().await.is_some());
    }
}

#[tokio::test]
async fn long_lines_of_many_links_share_what_memory_there_is() {
    let options = quick().memory(1 << 20).line_time(Duration::from_secs(3600));
    let agent = Listening::start("agent", options).await;
    let mut greedy = Vec::new();
    for _ in 0..32 {
        let mut raw = agent.raw().await;
        let piece = vec![b'x'; 200 << 10];
        // The systems' buffers take what the agent does not.
        tokio::time::timeout(Duration::from_millis(20), raw.send(&piece)).await.ok();
        greedy.push(raw);
    }
    let held = agent.until("memory is used up", |counters| counters.held >= 1 << 20).await.held;
    assert!(held < (1 << 20) + 32 * (128 << 10), "{held}");
    agent.serves().await;
    // A long line waits, and comes when there is room again.
    let caller = agent.caller("caller").await;
    let probe: ProbeClient = caller.client("agent");
    let long = "x".repeat(300 << 10);
    let waiting = tokio::spawn(async move { probe.echo(&long).await });
    drop(greedy);
    assert_eq!(soon("it comes", waiting).await.unwrap().unwrap().len(), 300 << 10);
}

/// Run in a process of its own, which may open few files.
#[tokio::test]
async fn out_of_file_descriptors() {
    if std::env::var_os("RMI_TESTS_FEW_FILES").is_none() {
        return;
    }
    let agent = Listening::start("agent", quick()).await;
    let early = agent.caller("early").await;
    let probe: ProbeClient = early.client("agent");
    let mut many = Vec::new();
    while let Ok(stream) = TcpStream::connect(agent.at()).await {
        many.push(stream);
    }
    until(&agent.tcp, "accepting fails", |counters| counters.not_accepted > 0).await;
    assert_eq!(probe.echo("meanwhile").await.unwrap(), "meanwhile");
    drop(many);
    agent.serves().await;
}

#[test]
fn who_has_no_file_descriptors_left_accepts_when_there_are_some() {
    let test = std::env::current_exe().unwrap();
    let run = Command::new("sh")
        .args(["-c", "ulimit -n 60 && exec \"$0\" --exact out_of_file_descriptors --nocapture"])
        .arg(test)
        .env("RMI_TESTS_FEW_FILES", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
}

#[tokio::test]
async fn a_stranger_is_nobody_elses_name() {
    let agent = Listening::start("agent", quick()).await;
    let (mut first, mut second) = (agent.raw().await, agent.raw().await);
    let hello = |raw: &'static str, sn: &'static str| request(raw, "agent", sn, "echo", &json!([raw]));
    first.say(&hello("dog", "1")).await;
    assert_eq!(first.hear().await.unwrap()["sn"], "1");
    // A second one under the same name is answered, and gets nothing that is the first one's.
    second.say(&hello("dog", "2")).await;
    assert_eq!(second.hear().await.unwrap()["sn"], "2");
    let dog: ProbeClient = agent.endpoint.client("dog");
    let calling = tokio::spawn(async move { dog.echo("are you the dog?").await });
    let asked = first.hear().await.unwrap();
    let sn = asked["sn"].clone();
    let answer = |said: &str| json!({ "version": "2.0", "sn": sn, "routing": ["dog", "agent"], "result": { "retval": said } });
    second.say(&answer("I am")).await;
    second.say(&request("dog", "agent", "3", "echo", &json!(["after that"]))).await;
    assert_eq!(second.hear().await.unwrap()["sn"], "3");
    assert_eq!(agent.endpoint.figures()[0].orphans, 1, "what came by another link is nobody's reply");
    first.say(&answer("it is me")).await;
    assert_eq!(calling.await.unwrap().unwrap(), "it is me");
    // With its link the name is free.
    drop(first);
    agent.until("the first is gone", |counters| counters.links == 1).await;
    second.say(&hello("dog", "4")).await;
    assert_eq!(second.hear().await.unwrap()["sn"], "4");
    assert_eq!(agent.endpoint.linked(), ["dog"]);
    drop::<Raw>(second);
}

//! What a journal keeps of requests that come over a broker, and how long a call waits there: what gofer loses, or never ends.

use std::time::{Duration, Instant};

use rmi_amqp::Amqp;
use rmi_core::{
    CallError, Endpoint, Native, Trust,
    endpoint::Builder,
    error::Phase,
    journal::Durable,
    transport::{LinkChange, Transport},
};
use rmi_tests::{
    amqp::{proxied, url},
    gofer::Peer,
    journal::{Paper, started},
    probe::{ProbeServer, Watch},
    proxy::Proxy,
    raw::kind,
    soon::soon,
};
use serde_json::{Value, json};

use super::stage::{SECOND, client, depth, options, ours, unique};

/// A client of gofer's that hears what is said at a queue.
async fn hearing(queue: &str) -> Peer {
    let client = client(Value::Null).await;
    client.ask(json!({"do": "listen", "queue": queue})).await;
    client
}

/// What it hears next: `accepted`, `exception Poisoned`.
async fn said(client: &mut Peer) -> String {
    let message = client.heard().await["heard"].take();
    match kind(&message) {
        "exception" => format!("exception {}", message["result"]["xclass"].as_str().unwrap()),
        kind => kind.to_owned(),
    }
}

/// An agent of ours with a journal, whose link can be cut.
async fn agent(address: &str, special: impl FnOnce(Builder) -> Builder) -> (Endpoint, Watch, Proxy) {
    let (proxy, through) = proxied(&url().await).await;
    let amqp = Amqp::connect(through).options(options()).await.unwrap();
    let (probing, watch) = Watch::new();
    let builder = Endpoint::builder(address.to_owned()).bind(Native::default(), amqp, Trust::insecure()).queue_of_its_own();
    (special(builder).serve(ProbeServer::new(probing)).start().await.unwrap(), watch, proxy)
}

#[tokio::test]
async fn what_brings_an_agent_down_does_not_run_for_ever() {
    let (address, queue) = (unique("probe"), unique("replies"));
    let (mut client, mut paper) = (hearing(&queue).await, Paper::default());
    for attempt in 1..=2 {
        let (agent, mut watch, proxy) = agent(&address, |b| b.attempts(2).journal(paper.clone())).await;
        if attempt == 1 {
            client.call(&address, "probe.hold_again", json!(["it"]), json!({"reply": queue, "sn": "it"})).await;
            assert_eq!(said(&mut client).await, "accepted");
        }
        assert_eq!(watch.began().await, "it");
        assert_eq!(said(&mut client).await, "started");
        // It is gone: nothing that it does after this is seen by anybody.
        let left = paper.crash();
        proxy.refuse(true);
        proxy.cut();
        drop(agent);
        paper = left;
    }
    let (agent, watch, _proxy) = agent(&address, |b| b.attempts(2).journal(paper)).await;
    assert_eq!(said(&mut client).await, "exception Poisoned");
    let behind = client.call(&address, "probe.echo", json!(["behind"]), json!({})).await;
    assert_eq!((&behind["retval"], watch.ran()), (&json!("behind"), 1));
    let _ = agent.shutdown(SECOND).await.unwrap();
    depth(&client, &address, 0).await;
}

#[tokio::test]
async fn a_result_that_cannot_be_sent_is_sent_later() {
    let (address, queue, home) = (unique("probe"), unique("replies"), tempfile::tempdir().unwrap());
    let mut client = hearing(&queue).await;
    let (_agent, mut watch, proxy) = agent(&address, |b| b.journal(Durable::open(home.path()).unwrap())).await;
    client.call(&address, "probe.hold", json!(["it"]), json!({"reply": queue, "sn": "it"})).await;
    assert_eq!(watch.began().await, "it");
    assert_eq!((said(&mut client).await, said(&mut client).await), ("accepted".to_owned(), "started".to_owned()));
    proxy.refuse(true);
    proxy.cut();
    watch.open(1);
    watch.ended("it").await;
    // The broker had been told that the request is taken: it does not bring it again.
    depth(&client, &address, 0).await;
    proxy.refuse(false);
    assert_eq!(said(&mut client).await, "result");
    assert_eq!(watch.ran(), 1);
}

#[tokio::test]
async fn what_is_accepted_is_on_paper() {
    let (address, queue, paper) = (unique("probe"), unique("replies"), Paper::default());
    let client = client(Value::Null).await;
    client.ask(json!({"do": "declare", "queue": queue})).await;
    let (_agent, watch, _proxy) = agent(&address, |b| b.journal(paper.clone())).await;
    paper.hold();
    client.call(&address, "probe.echo", json!(["it"]), json!({"reply": queue, "sn": "it"})).await;
    paper.until_waiting(1, "it is to be written", started).await;
    // What is not written down itself is answered meanwhile, behind it.
    let hello = client.call(&address, "Admin.hello", json!([]), json!({})).await;
    assert!(hello["retval"].is_string(), "{hello}");
    depth(&client, &queue, 0).await;
    assert_eq!(watch.ran(), 0);
    paper.release();
    depth(&client, &queue, 3).await;
    assert_eq!(watch.ran(), 1);
}

/// gofer rounds down to whole seconds, and waits ten for a broker that is not there, whatever the call's own time is.
#[tokio::test]
async fn a_call_has_its_time_to_the_millisecond_with_a_broker_or_without() {
    let timed = async |caller: &Endpoint, address: &str, time: Duration| {
        let began = Instant::now();
        let call = caller.peer(address).class("probe").call::<Value>("echo", ["x"]).timeout(time);
        let ended = soon("it ends by itself", call.into_future()).await;
        assert!(began.elapsed() >= time, "it has all of its time");
        match ended {
            Err(CallError::Timeout { phase, after }) if after == time => phase,
            other => panic!("{other:?}"),
        }
    };
    // Nobody answers.
    let silent = unique("silent");
    client(Value::Null).await.ask(json!({"do": "declare", "queue": silent})).await;
    let caller = ours(&unique("caller"), Trust::insecure()).await.start().await.unwrap();
    for time in [1, 900, 1900] {
        timed(&caller, &silent, Duration::from_millis(time)).await;
    }
    // There is no broker.
    let (proxy, through) = proxied(&url().await).await;
    let amqp = Amqp::connect(through).options(options()).await.unwrap();
    let mut links = amqp.links();
    let builder = Endpoint::builder(unique("caller")).bind(Native::gofer(), amqp, Trust::insecure());
    let caller = builder.start().await.unwrap();
    proxy.refuse(true);
    proxy.cut();
    soon("the link is down", async { while !matches!(links.next().await, Some(LinkChange::Down(..))) {} }).await;
    assert_eq!(timed(&caller, &silent, Duration::from_millis(300)).await, Phase::Send);
}

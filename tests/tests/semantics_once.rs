//! One outcome: who asks again is answered, and nothing runs twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::HashMap, convert::Infallible, time::Duration};

use rmi_core::{
    CallError,
    error::Fate,
    remote,
    transport::{Disposition, TransportErrorKind, memory::Options},
};
use rmi_tests::{
    probe::{ProbeClient, Seen},
    raw::{is_outcome, kind},
    tap::{Event, Tap},
    world::World,
};
use serde_json::{Value, json};

/// What an agent of a later time serves.
#[remote(name = "later")]
trait Later {
    async fn nothing(&self) -> Result<(), Infallible>;
}

struct Without;

impl Later for Without {
    async fn nothing(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_has_one_outcome() {
    for sealed in [true, false] {
        let world = World::with(sealed, Options::default().max_payload(100_000));
        let (agent, mut replies) = (world.agent("agent").await, world.mailbox("box").await);
        let cases = [
            ("a result", "echo", json!(["x"]), "result"),
            ("an exception", "fail", json!([7]), "exception"),
            ("a rejection", "echo", json!([7]), "rejected"),
            ("another class's", "nothing", json!([]), "exception"),
            ("an abort", "explode", json!(["x"]), "exception"),
            ("more than the bus can carry", "big", json!([200_000]), "exception"),
        ];
        for (sn, method, args, _) in &cases {
            world.post(&world.request(method, args.clone()).sn(sn).reply_to("box")).await;
        }
        world.settle().await;
        // Every request is acknowledged, and its outcome published, when the endpoint is drained.
        let drained = agent.endpoint.shutdown(Duration::from_secs(50)).await.unwrap();
        assert_eq!((drained.left_behind, agent.endpoint.running()), (0, 0));
        world.post(&world.request("echo", json!(["end"])).with("routing", json!(["caller", "box"]))).await;
        let mut outcomes: HashMap<String, Vec<Value>> = HashMap::new();
        loop {
            let message = replies.next().await;
            match kind(&message) {
                "request" => break,
                _ if is_outcome(&message) => {
                    outcomes.entry(message["sn"].as_str().unwrap().to_owned()).or_default().push(message);
                }
                _ => {}
            }
        }
        for (sn, _, _, expected) in cases {
            let outcomes = outcomes.remove(sn).unwrap_or_default();
            let kinds: Vec<&str> = outcomes.iter().map(kind).collect();
            assert_eq!(kinds, [expected], "{sn}: {outcomes:?}");
        }
        assert_eq!(agent.watch.ran(), 4, "echo, fail, explode and big, once each");
    }
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_of_a_running_call_gets_its_outcome() {
    for world in World::both() {
        let (mut agent, mut replies) = (world.agent("agent").await, world.mailbox("box").await);
        let request = world.request("hold", json!(["it"])).sn("again").reply_to("box").wants(&[]);
        world.post(&request).await;
        assert_eq!(agent.watch.began().await, "it");
        // However often: nobody is told that it was rejected while it runs.
        for _ in 0..40 {
            world.post(&request).await;
        }
        world.settle().await;
        assert_eq!((agent.watch.ran(), agent.endpoint.figures()[0].attached), (1, 40));
        agent.watch.open(2);
        let outcome = replies.next().await;
        assert_eq!((kind(&outcome), &outcome["result"]["retval"], &outcome["sn"]), ("result", &json!("it"), &json!("again")));
        agent.tap.until(42, "everything is acknowledged", |event| *event == Event::Settled(Disposition::Ack)).await;
        assert_eq!((agent.watch.ran(), world.bus.counters().unsettled), (1, 0));
        // All of them named one address, which is told once.
        assert_eq!(agent.tap.published().iter().filter(|message| message["sn"] == "again").count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_of_a_finished_call_gets_the_stored_outcome() {
    for world in World::both() {
        let (agent, mut replies) = (world.agent("agent").await, world.mailbox("box").await);
        for (sn, method, args, expected) in [("1", "fail", json!([7]), "exception"), ("2", "explode", json!(["x"]), "exception")]
        {
            let request = world.request(method, args).sn(sn).reply_to("box").wants(&[]);
            world.post(&request).await;
            let first = replies.next().await;
            assert_eq!(kind(&first), expected);
            for _ in 0..3 {
                world.post(&request).await;
                assert_eq!(replies.next().await["result"], first["result"]);
            }
        }
        assert_eq!((agent.watch.ran(), agent.endpoint.figures()[0].repeated), (2, 6));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reused_serial_number_is_told_by_its_text() {
    for world in World::both() {
        let (mut agent, mut replies) = (world.agent("agent").await, world.mailbox("box").await);
        let request = |text: &str| world.request("echo", json!([text])).sn("7").reply_to("box").wants(&[]);
        let hold = world.request("hold", json!(["held"])).sn("7").reply_to("box").wants(&[]);
        world.post(&hold).await;
        assert_eq!(agent.watch.began().await, "held");
        // While the first one runs, and when it has ended.
        for round in 0..2 {
            for text in ["one", "two", "one"] {
                world.post(&request(text)).await;
                let outcome = replies.next().await;
                if world.is_sealed() {
                    assert_eq!((kind(&outcome), &outcome["code"]), ("rejected", &json!("request.reused")));
                } else {
                    assert_eq!(outcome["result"]["retval"], text);
                }
            }
            if round == 0 {
                agent.watch.open(1);
                assert_eq!(replies.next().await["result"]["retval"], "held");
            }
        }
        // Its own text is still told its own outcome where numbers are not reused; nothing ran because it came again.
        if world.is_sealed() {
            world.post(&hold).await;
            assert_eq!(replies.next().await["result"]["retval"], "held");
            assert_eq!(agent.watch.ran(), 1);
        }
        assert_eq!(agent.endpoint.running(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_serial_number_is_served() {
    let world = World::unsealed();
    let (agent, mut replies) = (world.agent("agent").await, world.mailbox("box").await);
    let request = world.request("echo", json!(["x"])).reply_to("box").wants(&[]);
    for again in 1..=3 {
        world.post(&request).await;
        let outcome = replies.next().await;
        assert_eq!((&outcome["result"]["retval"], &outcome["sn"]), (&json!("x"), &Value::Null));
        assert_eq!(agent.watch.ran(), again);
    }

    let world = World::sealed();
    let (agent, mut replies) = (world.agent("agent").await, world.mailbox("box").await);
    world.post(&world.request("echo", json!(["x"])).reply_to("box").wants(&[])).await;
    let outcome = replies.next().await;
    assert_eq!((kind(&outcome), &outcome["code"]), ("rejected", &json!("request.stale")));
    assert_eq!(agent.watch.ran(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_is_acknowledged_after_its_outcome() {
    for world in World::both() {
        let (mut agent, mut replies) = (world.agent("agent").await, world.mailbox("box").await);
        agent.tap.hold(is_outcome);
        world.post(&world.request("echo", json!(["plain"])).sn("0").reply_to("box").wants(&[])).await;
        agent.tap.until(1, "the outcome is on its way", |event| matches!(event, Event::Held(_))).await;
        assert_eq!(world.bus.counters().unsettled, 1, "the bus keeps the request");
        agent.tap.release();
        assert_eq!(replies.next().await["result"]["retval"], "plain");
        agent.tap.until(1, "it is settled", |event| *event == Event::Settled(Disposition::Ack)).await;

        agent.watch.seen();
        world.post(&world.request("hold", json!(["it"])).sn("1").reply_to("box").wants(&[])).await;
        assert_eq!(agent.watch.began().await, "it");
        // The link is lost and comes back: what the bus holds now is the second delivery.
        agent.tap.lose(Duration::from_millis(10)).await;
        agent.tap.until(2, "it is delivered again", |event| matches!(event, Event::Delivered(m) if m["sn"] == "1")).await;
        world.settle().await;
        agent.tap.hold(is_outcome);
        agent.watch.open(1);
        let second = |event: &Event| matches!(event, Event::Held(m) if m["sn"] == "1");
        agent.tap.until(1, "the outcome is on its way", second).await;
        assert_eq!(world.bus.counters().unsettled, 1, "the bus keeps the request");

        // An outcome that the bus refuses for a while changes nothing.
        agent.tap.break_with(Some(TransportErrorKind::Disconnected));
        agent.tap.release();
        agent.tap.until(2, "the bus refuses it", |event| matches!(event, Event::Refused(_))).await;
        assert_eq!(world.bus.counters().unsettled, 1, "the bus keeps the request");
        agent.tap.break_with(None);
        assert_eq!(replies.next().await["result"]["retval"], "it");
        agent.tap.until(4, "both deliveries are settled", |event| matches!(event, Event::Settled(_))).await;
        assert_eq!((agent.watch.ran(), world.bus.counters().unsettled), (2, 0));
        let mut since = agent.tap.events().into_iter().skip_while(|event| !second(event));
        let first = since.find(|event| matches!(event, Event::Published(_) | Event::Settled(_)));
        assert!(matches!(first, Some(Event::Published(_))), "{first:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_redelivered_request_runs_again_only_if_idempotent() {
    for world in World::both() {
        let (mut first, caller) = (world.agent("agent").await, world.caller("caller").await);
        let once = caller.probe().hold("once").send().await.unwrap();
        let again = caller.probe().hold_again("again").send().await.unwrap();
        first.watch.began_all(["once", "again"]).await;
        drop(first.endpoint);
        first.tap.until(1, "the first agent is gone", |event| *event == Event::Left).await;

        let mut second = world.agent("agent").await;
        second.watch.open(2);
        let error = once.await.unwrap_err();
        assert_eq!(error.fate(), Fate::MayHaveRun);
        assert!(matches!(error, CallError::Interrupted(_)), "{error:?}");
        assert_eq!(again.await.unwrap(), "again");
        assert_eq!(second.watch.next().await, Seen::Began("again".to_owned()));
        assert_eq!(second.watch.ran(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_redelivered_request_is_not_said_never_to_have_run() {
    for world in World::both() {
        let (mut first, caller) = (world.agent("agent").await, world.caller("caller").await);
        let one = caller.probe().hold_again("one").send().await.unwrap();
        let two = caller.probe().hold_again("two").send().await.unwrap();
        first.watch.began_all(["one", "two"]).await;
        drop(first.endpoint);
        first.tap.until(1, "the first agent is gone", |event| *event == Event::Left).await;
        let mut next = world.agent_with("agent", |b| b.concurrency(1)).await;
        assert!(["one", "two"].contains(&next.watch.began().await.as_str()), "one of them runs again");
        let delivered = |event: &Event| matches!(event, Event::Delivered(_));
        next.tap.until(2, "both are delivered again", delivered).await;
        // What waits meets the drain.
        let endpoint = next.endpoint.clone();
        let drain = tokio::spawn(async move { endpoint.shutdown(Duration::from_secs(30)).await });
        tokio::task::yield_now().await;
        next.watch.open(1);
        let mut ends = vec![one.await, two.await];
        assert_eq!(drain.await.unwrap().unwrap().left_behind, 0);
        ends.sort_by_key(Result::is_ok);
        let waited = ends.remove(0).unwrap_err();
        assert!(matches!(waited, CallError::Interrupted(_)), "{waited:?}");
        assert_eq!(waited.fate(), Fate::MayHaveRun);
        assert!(ends[0].is_ok());
        assert_eq!(next.watch.ran(), 1);

        // Nor if who comes next does not even know the method.
        let (mut first, caller) = (world.agent("other").await, world.caller("caller").await);
        let call = caller.endpoint.client::<ProbeClient>("other").hold("it").send().await.unwrap();
        assert_eq!(first.watch.began().await, "it");
        drop(first.endpoint);
        let tap = Tap::on(&world.bus);
        let _next = world.builder("other", &tap).serve(LaterServer::new(Without)).start().await.unwrap();
        let end = call.await.unwrap_err();
        assert!(matches!(&end, CallError::Interrupted(_)), "{end:?}");
    }
}

//! Freshness: what may be a replay does not run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rmi_core::{endpoint::WindowSize, time::Timestamp};
use rmi_tests::{
    raw::{Mailbox, Raw, kind},
    world::World,
};
use serde_json::{Value, json};

const DAY: Duration = Duration::from_secs(24 * 3600);
const SKEW: Duration = Duration::from_secs(60);
const MILLI: Duration = Duration::from_millis(1);

/// What an echo comes to: its text, or the code of its rejection.
async fn said(world: &World, replies: &mut Mailbox, request: &Raw) -> String {
    world.post(request).await;
    let outcome = replies.next().await;
    assert_eq!(outcome["sn"], request.0["sn"]);
    let value = if kind(&outcome) == "rejected" { &outcome["code"] } else { &outcome["result"]["retval"] };
    value.as_str().unwrap_or_else(|| panic!("{outcome}")).to_owned()
}

fn echo(world: &World, sn: &str, sent: Timestamp) -> Raw {
    world.request("echo", json!([sn])).sn(sn).sent(sent).reply_to("box").wants(&[])
}

#[tokio::test(start_paused = true)]
async fn a_request_is_fresh_within_its_age_and_the_skew() {
    let world = World::sealed();
    let (agent, mut replies) = (world.agent("agent").await, world.mailbox("box").await);
    let (clock, short) = (&world.clock, Duration::from_secs(5));
    let cases = [
        ("now", clock.ago(Duration::ZERO), None, true),
        ("a day old", clock.ago(DAY), None, true),
        ("a day and the skew old", clock.ago(DAY + SKEW), None, true),
        ("older", clock.ago(DAY + SKEW + MILLI), None, false),
        ("ahead by the skew", clock.ahead(SKEW), None, true),
        ("from the future", clock.ahead(SKEW + MILLI), None, false),
        ("its ttl old", clock.ago(short), Some(short), true),
        ("its ttl and the skew old", clock.ago(short + SKEW), Some(short), true),
        ("older than its ttl", clock.ago(short + SKEW + MILLI), Some(short), false),
        ("older than a day, as its ttl says", clock.ago(DAY + DAY), Some(DAY + DAY), true),
    ];
    for (sn, sent, ttl, fresh) in cases {
        let request = echo(&world, sn, sent);
        let request = ttl.map_or(request.clone(), |ttl| request.ttl(ttl));
        let expected = if fresh { sn } else { "request.stale" };
        assert_eq!(said(&world, &mut replies, &request).await, expected, "{sn}");
    }
    let undated = world.request("echo", json!(["undated"])).sn("undated").reply_to("box").with("timestamp", Value::Null);
    assert_eq!(said(&world, &mut replies, &undated).await, "request.stale");
    assert_eq!(agent.endpoint.figures()[0].stale, 4);
    assert_eq!(agent.watch.ran(), 7);

    // Where nobody signs there is nothing to protect.
    let world = World::unsealed();
    let (_agent, mut replies) = (world.agent("agent").await, world.mailbox("box").await);
    let old = echo(&world, "old", world.clock.ago(DAY * 1000));
    assert_eq!(said(&world, &mut replies, &old).await, "old");
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_is_answered_however_old() {
    let world = World::sealed();
    let (agent, mut replies) = (world.agent("agent").await, world.mailbox("box").await);
    let request = echo(&world, "it", world.clock.ago(Duration::ZERO));
    assert_eq!(said(&world, &mut replies, &request).await, "it");
    world.clock.advance(DAY * 3);
    assert_eq!(said(&world, &mut replies, &request).await, "it");
    assert_eq!(agent.watch.ran(), 1);
    let new = echo(&world, "new", world.clock.ago(DAY * 3));
    assert_eq!(said(&world, &mut replies, &new).await, "request.stale");
    assert_eq!(agent.watch.ran(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_evicted_request_raises_the_floor() {
    let world = World::sealed();
    let two = WindowSize::default().requests(2);
    let (mut agent, mut replies) = (world.agent_with("agent", |b| b.window(two)).await, world.mailbox("box").await);
    let at = |millis: u64| world.clock.ago(SKEW).plus(Duration::from_millis(millis));
    let [first, second, third] = [("first", 10), ("second", 20), ("third", 30)].map(|(sn, millis)| echo(&world, sn, at(millis)));
    for request in [&first, &second, &third] {
        assert_eq!(said(&world, &mut replies, request).await, request.0["sn"]);
    }
    assert_eq!(agent.endpoint.figures()[0].remembered, 2);
    // The first one had to go: what is as old or older may be it.
    assert_eq!(said(&world, &mut replies, &first).await, "request.stale");
    for (sn, millis, expected) in [("as old", 10, "request.stale"), ("older", 9, "request.stale"), ("above", 11, "above")] {
        assert_eq!(said(&world, &mut replies, &echo(&world, sn, at(millis))).await, expected);
    }
    // That let the second one go; what is remembered is not asked for its date.
    assert_eq!(said(&world, &mut replies, &second).await, "request.stale");
    assert_eq!(said(&world, &mut replies, &third).await, "third");
    assert_eq!(agent.watch.ran(), 4);

    // What runs never has to go.
    agent.watch.seen();
    let hold = world.request("hold", json!(["held"])).sn("held").sent(at(40)).reply_to("box").wants(&[]);
    world.post(&hold).await;
    assert_eq!(agent.watch.began().await, "held");
    for (sn, millis) in [("a", 50), ("b", 60), ("c", 70)] {
        assert_eq!(said(&world, &mut replies, &echo(&world, sn, at(millis))).await, sn);
    }
    world.post(&hold).await;
    agent.watch.open(2);
    assert_eq!(replies.next().await["result"]["retval"], "held");
    assert_eq!(agent.watch.ran(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_outcome_is_not_run_for() {
    let world = World::sealed();
    let small = WindowSize::default().bytes(1000);
    let (agent, mut replies) = (world.agent_with("agent", |b| b.window(small)).await, world.mailbox("box").await);
    let request = |sn: &str, bytes: usize| world.request("big", json!([bytes - 2])).sn(sn).reply_to("box").wants(&[]);
    let [small, long, one, two] = [request("small", 256), request("long", 1001), request("one", 500), request("two", 500)];
    let code = async |replies: &mut Mailbox, request: &Raw| {
        world.post(request).await;
        replies.next().await["code"].clone()
    };
    assert_eq!(code(&mut replies, &small).await, Value::Null);
    assert_eq!(code(&mut replies, &long).await, Value::Null);
    assert_eq!(code(&mut replies, &long).await, "request.stale");
    // These two fit; a third makes the oldest go.
    for request in [&one, &two, &one, &two] {
        assert_eq!(code(&mut replies, request).await, Value::Null);
    }
    assert_eq!(agent.watch.ran(), 4);
    assert_eq!(code(&mut replies, &request("three", 300)).await, Value::Null);
    assert_eq!(code(&mut replies, &one).await, "request.stale");
    assert_eq!(code(&mut replies, &two).await, Value::Null);
    // Small ones are not counted, and stay as long as their requests do.
    assert_eq!(code(&mut replies, &small).await, Value::Null);
    assert_eq!((agent.watch.ran(), agent.endpoint.figures()[0].remembered), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn one_principal_does_not_push_out_another() {
    let world = World::sealed();
    let two = WindowSize::default().requests(2);
    let (agent, mut replies) = (world.agent_with("agent", |b| b.window(two)).await, world.mailbox("box").await);
    let now = world.clock.ago(Duration::ZERO);
    let mine = echo(&world, "mine", now);
    assert_eq!(said(&world, &mut replies, &mine).await, "mine");
    for number in 0..10 {
        // The same serial numbers too: each has its own.
        let sn = if number == 5 { "mine".to_owned() } else { format!("other {number}") };
        let others = echo(&world, &sn, now.plus(Duration::from_millis(number))).from("somebody else");
        assert_eq!(said(&world, &mut replies, &others).await, sn);
    }
    assert_eq!(agent.watch.ran(), 11);
    assert_eq!(said(&world, &mut replies, &mine).await, "mine");
    let old = echo(&world, "as old", now);
    assert_eq!(said(&world, &mut replies, &old).await, "as old");
    assert_eq!(agent.watch.ran(), 12);
}

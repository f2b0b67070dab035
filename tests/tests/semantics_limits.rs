//! Limits: what is too much is refused, and what is admitted is held in bounds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;

use rmi_core::{CallError, Limits, message::RejectionCode};
use rmi_tests::{probe::Seen, raw::publish, world::World};
use serde_json::{Value, json};

#[tokio::test(start_paused = true)]
async fn limits_are_held() {
    for world in World::both() {
        let limits = Limits::default().payload(2000).depth(8).arguments(3);
        let agent = world.agent_with("agent", |b| b.limits(limits)).await;
        let caller = world.caller("caller").await;
        let mut before = 0;
        let mut refused = async |many: u64| {
            world.settle().await;
            before += many;
            assert_eq!(agent.endpoint.figures()[0].malformed, before);
        };
        // Too long: as a message, and as anything.
        caller.probe().echo(&"x".repeat(2000)).notify().await.unwrap();
        publish(&world.bus, "agent", "x".repeat(2001)).await;
        refused(2).await;
        // Too deep: inside the arguments, and where nobody would look.
        let deep = (0..20).fold(json!("x"), |inner, _| json!([inner]));
        caller.endpoint.peer("agent").class("probe").call::<Value>("echo", [&deep]).notify().await.unwrap();
        world.post(&world.request("echo", json!(["x"])).sn("1").with("ignored", deep)).await;
        publish(&world.bus, "agent", "[".repeat(1000)).await;
        refused(3).await;
        // Too many: by position, by name, and both together.
        let probe = caller.endpoint.peer("agent").class("probe");
        let calls = [
            probe.call::<Value>("echo", [1, 2, 3, 4]),
            probe.call("echo", json!({"a": 1, "b": 2, "c": 3, "d": 4})),
            probe.call_with("echo", [1, 2], json!({"c": 3, "d": 4})),
        ];
        for call in calls {
            match call.await {
                Err(CallError::Rejected(rejection)) => {
                    assert_eq!(rejection.code, RejectionCode::Limit);
                    assert_eq!(rejection.details.as_str(), "4 arguments, at most 3 are allowed");
                }
                other => panic!("{other:?}"),
            }
        }
        // What is just within them is served.
        assert_eq!(agent.watch.ran(), 0);
        assert_eq!(caller.probe().echo(&"x".repeat(1000)).await.unwrap().len(), 1000);
        refused(0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_held() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent_with("agent", |b| b.concurrency(3)).await, world.caller("caller").await);
        let mut calls = Vec::new();
        for number in 0..7 {
            calls.push(caller.probe().hold(&number.to_string()).send().await.unwrap());
        }
        world.settle().await;
        assert_eq!((agent.watch.ran(), agent.endpoint.running()), (3, 7));
        // Each that ends lets one start.
        let mut began = HashSet::new();
        for ended in 0..7 {
            agent.watch.open(1);
            while !matches!(agent.watch.next().await, Seen::Ended(_)) {}
            world.settle().await;
            assert_eq!(agent.watch.ran(), (ended + 4).min(7));
            began.insert(ended);
        }
        for (number, call) in calls.into_iter().enumerate() {
            assert_eq!(call.await.unwrap(), number.to_string());
        }
        assert_eq!(agent.endpoint.running(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_inline_handler_that_waits_moves_away() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let probe = caller.probe();
        // Ready at once: always the receiver's task. Otherwise: always another.
        let inline = probe.task_inline().await.unwrap();
        assert_ne!(inline, "none");
        assert_eq!(probe.task_inline().await.unwrap(), inline);
        let tasks = [inline.clone(), probe.task().await.unwrap(), probe.task().await.unwrap()];
        assert_eq!(HashSet::from(tasks).len(), 3);
        // Not ready at once: it holds up nobody, itself included.
        let held = [probe.hold_inline("one").send().await.unwrap(), probe.hold_inline("two").send().await.unwrap()];
        assert_eq!([agent.watch.began().await, agent.watch.began().await], ["one", "two"]);
        assert_eq!(probe.task_inline().await.unwrap(), inline);
        assert_eq!(probe.echo("meanwhile").await.unwrap(), "meanwhile");
        agent.watch.open(2);
        for (call, name) in held.into_iter().zip(["one", "two"]) {
            assert_eq!(call.await.unwrap(), name);
        }
    }
}

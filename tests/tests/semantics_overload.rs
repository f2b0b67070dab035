//! Overload: what finds no room is told so, and when to come back; the rest goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{convert::Infallible, time::Duration};

use rmi_core::{
    CallError, Endpoint, Native, Update,
    call::Retry,
    endpoint::{Builder, Criteria, QueueSize},
    error::Fate,
    message::{Rejection, RejectionCode},
    remote,
};
use rmi_tests::{
    eager::Eager,
    probe::{ProbeServer, Probing, Watch},
    world::World,
};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// An agent that a link would overrun.
async fn agent(world: &World, special: impl FnOnce(Builder) -> Builder) -> (Endpoint, Watch) {
    let (probing, watch) = Watch::new();
    let agent = Endpoint::builder("agent").bind(Native::default(), Eager(world.bus.clone()), world.trust("agent"));
    let agent = agent.clock(world.clock.clone()).serve(ProbeServer::new(probing));
    (special(agent).start().await.unwrap(), watch)
}

fn queue(requests: usize) -> QueueSize {
    QueueSize::default().requests(requests)
}

fn busy<T: std::fmt::Debug, E: std::fmt::Debug>(answer: Result<T, CallError<E>>) -> Rejection {
    match answer {
        Err(CallError::Rejected(rejection)) if rejection.code == RejectionCode::Busy => rejection,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_is_rejected_with_a_hint() {
    for world in World::both() {
        let (agent, mut watch) = agent(&world, |b| b.concurrency(1).queue(queue(3))).await;
        let caller = world.caller("caller").await;
        let mut calls = vec![caller.probe().hold("first").send().await.unwrap()];
        assert_eq!(watch.began().await, "first");
        for name in ["second", "third", "fourth"] {
            let mut call = caller.probe().hold(name).send().await.unwrap();
            assert_eq!(call.next().await.unwrap().unwrap(), Update::Accepted);
            calls.push(call);
        }
        let mut late = caller.probe().hold("fifth").send().await.unwrap();
        // Not accepted before it is rejected.
        let error = late.next().await.unwrap().unwrap_err();
        assert_eq!((error.fate(), error.is_retryable()), (Fate::NeverRan, true));
        let rejection = busy::<(), _>(Err(error));
        assert_eq!(rejection.details.as_str(), "too many requests wait for a handler");
        assert!(rejection.retry_after.unwrap() >= Duration::from_millis(100), "{rejection:?}");
        // Nobody waits for this one: it is only counted.
        caller.probe().note("nobody").await.unwrap();
        world.settle().await;
        assert_eq!((agent.queued(), agent.running(), agent.figures()[0].overloaded), (3, 4, 2));
        // What was taken is done.
        watch.open(4);
        for call in calls {
            call.await.unwrap();
        }
        assert_eq!(caller.probe().echo("room").await.unwrap(), "room");
        assert_eq!((agent.queued(), watch.ran()), (0, 5));
    }
}

#[tokio::test(start_paused = true)]
async fn who_tries_again_waits_as_long_as_an_overloaded_agent_says() {
    let world = World::unsealed();
    let (agent, watch) = agent(&world, |b| b.concurrency(1).queue(queue(4))).await;
    let caller = world.caller("caller").await;
    // Each takes ten seconds: the agent learns how long a place takes to come free.
    let doze = |name: &str| caller.probe().doze(name, 10_000).timeout(SECOND * 600);
    for name in ["a", "b"] {
        let (one, two) = (doze(name).send().await.unwrap(), doze(name).send().await.unwrap());
        let _ = (one.await.unwrap(), two.await.unwrap());
    }
    let mut calls = Vec::new();
    for name in ["running", "1", "2", "3"] {
        calls.push(doze(name).send().await.unwrap());
    }
    let hint = busy(doze("late").await).retry_after.unwrap();
    assert!(hint >= Duration::from_millis(100) && hint <= SECOND * 30, "{hint:?}");
    let began = Instant::now();
    // Its own pauses would be over long before.
    let policy = Retry::default().attempts(30).pause(Duration::from_millis(1), Duration::from_millis(1));
    assert_eq!(doze("patient").retry(policy).await.unwrap(), "patient");
    assert!(began.elapsed() >= hint);
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!((watch.ran(), agent.queued()), (9, 0));
    // It was told a few times, and not thousands.
    assert!(agent.figures()[0].overloaded < 30, "{:?}", agent.figures());
}

#[tokio::test(start_paused = true)]
async fn one_principal_leaves_room_for_others() {
    let world = World::sealed();
    let (agent, mut watch) = agent(&world, |b| b.concurrency(1).queue(queue(40))).await;
    let (greedy, modest) = (world.caller("greedy").await, world.caller("modest").await);
    let mut calls = vec![greedy.probe().hold("first").send().await.unwrap()];
    assert_eq!(watch.began().await, "first");
    for _ in 0..30 {
        let mut call = greedy.probe().echo("x").send().await.unwrap();
        assert_eq!(call.next().await.unwrap().unwrap(), Update::Accepted);
        calls.push(call);
    }
    let rejection = busy(greedy.probe().echo("x").await);
    assert_eq!(rejection.details.as_str(), "too many of the caller's requests wait for a handler");
    // Somebody else is let in all the same.
    let mut other = modest.probe().echo("modest").send().await.unwrap();
    assert_eq!(other.next().await.unwrap().unwrap(), Update::Accepted);
    assert_eq!(agent.queued(), 31);
    watch.open(1);
    assert_eq!(other.await.unwrap(), "modest");
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn admin_reaches_an_overloaded_agent() {
    for world in World::both() {
        let (agent, mut watch) = agent(&world, |b| b.concurrency(1).queue(queue(0))).await;
        let caller = world.caller("caller").await;
        let held = caller.probe().listen("held").data(7).send().await.unwrap();
        assert_eq!(watch.began().await, "held");
        for _ in 0..10 {
            busy(caller.probe().echo("x").await);
        }
        let admin = caller.endpoint.peer("agent").admin();
        assert_eq!(admin.hello().await.unwrap(), "Hello, I am agent");
        assert_eq!(admin.cancel_where(&Criteria::eq(7).unwrap()).await.unwrap(), [held.sn().clone()]);
        // At its own address as well.
        let hello = caller.endpoint.peer("agent").class("Admin").call::<String>("hello", ());
        assert_eq!(hello.await.unwrap(), "Hello, I am agent");
        assert_eq!(held.await.unwrap(), "held was cancelled");
        assert_eq!((agent.queued(), agent.figures()[0].overloaded), (0, 10));
    }
}

#[tokio::test(start_paused = true)]
async fn a_bus_keeps_what_finds_no_room() {
    for world in World::both() {
        for (size, most) in [(queue(0), 2), (queue(4), 3), (QueueSize::default(), 64)] {
            let mut agent = world.agent_with("agent", |b| b.concurrency(2).queue(size)).await;
            let caller = world.caller("caller").await;
            let mut calls = Vec::new();
            for name in 0..80 {
                calls.push(caller.probe().hold(&name.to_string()).send().await.unwrap());
            }
            let began = [agent.watch.began().await, agent.watch.began().await];
            assert_eq!(began, ["0", "1"]);
            // Nobody is rejected, and what the agent has not taken another one could.
            let waiting = || world.bus.counters().waiting;
            assert!(agent.endpoint.running() <= most, "{size:?}");
            assert_eq!(agent.endpoint.figures()[0].overloaded, 0);
            assert!(waiting() >= 80 - most, "{} wait on the bus", waiting());
            agent.watch.open(80);
            for (name, call) in calls.into_iter().enumerate() {
                assert_eq!(call.await.unwrap(), name.to_string());
            }
            assert_eq!(agent.endpoint.figures()[0].overloaded, 0);
            let _ = agent.endpoint.shutdown(SECOND).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn long_requests_wait_within_a_bound_of_their_own() {
    for world in World::both() {
        let size = QueueSize::default().bytes(10_000);
        let mut agent = world.agent_with("agent", |b| b.concurrency(1).queue(size)).await;
        let caller = world.caller("caller").await;
        let held = caller.probe().hold("held").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "held");
        let long = "x".repeat(4_000);
        let mut one = caller.probe().echo(&long).send().await.unwrap();
        assert_eq!(one.next().await.unwrap().unwrap(), Update::Accepted);
        let mut two = caller.probe().echo(&long).send().await.unwrap();
        assert_eq!(two.next().await.unwrap().unwrap(), Update::Accepted);
        busy(caller.probe().echo(&long).await);
        agent.watch.open(1);
        assert_eq!((one.await.unwrap(), two.await.unwrap()), (long.clone(), long.clone()));
        // However long one is, it may wait alone.
        let again = caller.probe().hold("again").send().await.unwrap();
        assert_eq!(agent.watch.next().await, rmi_tests::probe::Seen::Ended("held".to_owned()));
        agent.watch.ended(&long).await;
        agent.watch.ended(&long).await;
        assert_eq!(agent.watch.began().await, "again");
        let mut whole = caller.probe().echo(&"x".repeat(20_000)).send().await.unwrap();
        assert_eq!(whole.next().await.unwrap().unwrap(), Update::Accepted);
        busy(caller.probe().echo("x").await);
        agent.watch.open(1);
        let _ = (held.await.unwrap(), again.await.unwrap());
        assert_eq!(whole.await.unwrap().len(), 20_000);
    }
}

/// One at a time.
#[remote(name = "press", sequential)]
trait Press {
    async fn hold(&self, name: &str) -> Result<String, Infallible>;
}

impl Press for Probing {
    async fn hold(&self, name: &str) -> Result<String, Infallible> {
        rmi_tests::probe::Probe::hold(self, name).await
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_the_queue_gives_back_its_place() {
    for world in World::both() {
        let ((probing, mut pressed), size) = (Watch::new(), queue(3));
        let serve = |b: Builder| b.concurrency(1).queue(size).serve(PressServer::new(probing));
        let (agent, mut watch) = agent(&world, serve).await;
        let caller = world.caller("caller").await;
        let held = caller.probe().hold("held").send().await.unwrap();
        assert_eq!(watch.began().await, "held");
        let fill = async || {
            let mut waiting = Vec::new();
            for _ in 0..3 {
                let mut call = caller.probe().echo("x").ttl(SECOND * 5).send().await.unwrap();
                assert_eq!(call.next().await.unwrap().unwrap(), Update::Accepted);
                waiting.push(call);
            }
            busy(caller.probe().echo("x").await);
            assert_eq!(agent.queued(), 3);
            waiting
        };
        // Cancelled.
        for call in fill().await {
            assert!(call.cancel().await.unwrap());
            assert!(matches!(call.await, Err(CallError::Cancelled)));
        }
        assert_eq!(agent.queued(), 0);
        // Expired.
        for call in fill().await {
            assert!(matches!(call.await, Err(CallError::Rejected(r)) if r.code == RejectionCode::Expired));
        }
        assert_eq!(agent.queued(), 0);
        // Those that wait for their turn count as well; one that is rejected leaves no gap among them.
        let press: PressClient = caller.endpoint.client("agent");
        watch.open(1);
        assert_eq!(held.await.unwrap(), "held");
        let mut turns = vec![press.hold("0").send().await.unwrap()];
        assert_eq!(pressed.began().await, "0");
        for name in ["1", "2", "3"] {
            let mut call = press.hold(name).send().await.unwrap();
            assert_eq!(call.next().await.unwrap().unwrap(), Update::Accepted);
            turns.push(call);
        }
        busy(press.hold("4").await);
        pressed.open(1);
        assert_eq!(turns.remove(0).await.unwrap(), "0");
        turns.push(press.hold("5").send().await.unwrap());
        pressed.open(4);
        for (call, name) in turns.into_iter().zip(["1", "2", "3", "5"]) {
            assert_eq!(call.await.unwrap(), name);
        }
        assert_eq!(agent.queued(), 0);
        // A drain.
        let held = caller.probe().hold("held").send().await.unwrap();
        let waiting = fill().await;
        let draining = agent.clone();
        let drain = tokio::spawn(async move { draining.shutdown(SECOND * 30).await });
        for call in waiting {
            assert!(matches!(call.await, Err(CallError::Rejected(r)) if r.code == RejectionCode::Closing));
        }
        watch.open(1);
        assert_eq!(held.await.unwrap(), "held");
        assert_eq!((drain.await.unwrap().unwrap().left_behind, agent.queued()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejection_for_want_of_room_is_the_requests_one_outcome() {
    for world in World::both() {
        let (_agent, mut watch) = agent(&world, |b| b.concurrency(1).queue(queue(0))).await;
        let (caller, mut replies) = (world.caller("caller").await, world.mailbox("box").await);
        let held = caller.probe().hold("held").send().await.unwrap();
        assert_eq!(watch.began().await, "held");
        let request = world.request("echo", serde_json::json!(["x"])).sn("1").reply_to("box");
        world.post(&request).await;
        assert_eq!(replies.next().await["code"], "agent.busy");
        watch.open(1);
        assert_eq!(held.await.unwrap(), "held");
        // There is room now; but it was said that it never ran, and whoever was told so may have sent it anew.
        world.post(&request).await;
        let said = replies.next().await;
        assert_eq!((&said["code"], &said["rmi"]["retry_after"]), (&"agent.busy".into(), &100.into()));
        assert_eq!(watch.ran(), 1);
    }
}

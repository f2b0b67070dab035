//! Overload: what finds no room is told so, and when to come back; the rest goes on.

use std::{fmt::Debug, time::Duration};

use tokio::time::Instant;

use super::{
    Agent, Setting, agent_with, calling,
    probe::{ProbeServer, Seen, Watch},
    sequence::{PressClient, press},
    tap::{calls, delivered, numbered, tapped},
};
use crate::{
    CallError, Update,
    call::{Pending, Retry},
    endpoint::{Builder, Criteria, QueueSize},
    error::Fate,
    message::{Outcome, Rejection, RejectionCode},
    testing::conformance::soon,
};

/// An agent that is brought everything at once, however much has not been settled: as by a link.
async fn overrun<S: Setting>(setting: &S, special: impl FnOnce(Builder) -> Builder) -> Agent {
    let (probing, watch) = Watch::new();
    let (builder, tap) = tapped(setting.endpoint("agent").await.serve(ProbeServer::new(probing)));
    tap.take_everything();
    Agent { endpoint: special(builder).start().await.expect("an agent starts"), watch, tap }
}

fn queue(requests: usize) -> QueueSize {
    QueueSize::default().requests(requests)
}

fn busy<T: Debug, E: Debug>(answer: Result<T, CallError<E>>) -> Rejection {
    match answer {
        Err(CallError::Rejected(rejection)) if rejection.code == RejectionCode::Busy => rejection,
        other => panic!("{other:?}, and not that the agent has no room"),
    }
}

/// Waits until a call's request has a place.
async fn accepted<T: serde::de::DeserializeOwned + Debug, E: crate::error::RemoteError>(call: &mut Pending<T, E>) {
    assert!(matches!(soon("it is accepted", call.next()).await, Some(Ok(Update::Accepted))));
}

pub(super) async fn a_bus_keeps_what_finds_no_room<S: Setting>(setting: &S) {
    for (size, most) in [(queue(0), 2), (queue(4), 3), (QueueSize::default(), 64)] {
        let mut agent = agent_with(setting, |builder| builder.concurrency(2).queue(size)).await;
        let caller = calling(setting, "caller").await;
        let mut waiting = Vec::new();
        for name in 0..80 {
            waiting.push(caller.probe.hold(&name.to_string()).send().await.unwrap());
        }
        agent.watch.began_all(["0", "1"]).await;
        // What the agent has not taken another one could have.
        agent.tap.until(most, "it takes what it has room for", delivered(calls("hold"))).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(agent.tap.count(delivered(calls("hold"))), most, "{size:?}");
        agent.watch.open(80);
        for (name, call) in waiting.into_iter().enumerate() {
            assert_eq!(soon("it has its turn", call).await.unwrap(), name.to_string());
        }
        assert_eq!((agent.endpoint.figures()[0].overloaded, agent.watch.ran()), (0, 80));
        let _ = caller.endpoint.shutdown(Duration::ZERO).await.unwrap();
        let _ = agent.endpoint.shutdown(Duration::from_secs(5)).await.unwrap();
    }
}

pub(super) async fn what_finds_no_room_is_rejected_with_a_hint<S: Setting>(setting: &S) {
    let mut agent = overrun(setting, |builder| builder.concurrency(1).queue(queue(3))).await;
    let caller = calling(setting, "caller").await;
    let mut waiting = vec![caller.probe.hold("first").send().await.unwrap()];
    assert_eq!(agent.watch.began().await, "first");
    for name in ["second", "third", "fourth"] {
        let mut call = caller.probe.hold(name).send().await.unwrap();
        accepted(&mut call).await;
        waiting.push(call);
    }
    let mut late = caller.probe.hold("fifth").send().await.unwrap();
    // Not accepted before it is rejected.
    let error = soon("it is rejected", late.next()).await.unwrap().unwrap_err();
    assert_eq!((error.fate(), error.is_retryable()), (Fate::NeverRan, true));
    let rejection = busy::<(), _>(Err(error));
    assert_eq!(rejection.details.as_str(), "too many requests wait for a handler");
    assert!(rejection.retry_after.unwrap() >= Duration::from_millis(100), "{rejection:?}");
    // Nobody waits for this one: it is only counted.
    caller.probe.note("nobody").await.unwrap();
    soon("it is counted", async {
        while agent.endpoint.figures()[0].overloaded < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert_eq!((agent.endpoint.queued(), agent.endpoint.running()), (3, 4));
    // What was taken is done.
    agent.watch.open(4);
    for call in waiting {
        soon("it has its turn", call).await.unwrap();
    }
    assert_eq!(caller.probe.echo("room").await.unwrap(), "room");
    assert_eq!((agent.endpoint.queued(), agent.watch.ran()), (0, 5));
}

pub(super) async fn who_tries_again_waits_as_long_as_an_overloaded_agent_says<S: Setting>(setting: &S) {
    let agent = overrun(setting, |builder| builder.concurrency(1).queue(queue(4))).await;
    let caller = calling(setting, "caller").await;
    // The agent learns how long a place takes to come free.
    let doze = |name: &str| caller.probe.doze(name, 300).timeout(Duration::from_secs(60));
    for name in ["a", "b"] {
        let (one, two) = (doze(name).send().await.unwrap(), doze(name).send().await.unwrap());
        let _ = (one.await.unwrap(), two.await.unwrap());
    }
    let mut waiting = Vec::new();
    for name in ["running", "1", "2", "3"] {
        waiting.push(doze(name).send().await.unwrap());
    }
    let hint = busy(doze("late").await).retry_after.unwrap();
    assert!(hint >= Duration::from_millis(100) && hint <= Duration::from_secs(30), "{hint:?}");
    // Its own pauses would be over long before.
    let began = Instant::now();
    let policy = Retry::default().attempts(30).pause(Duration::from_millis(1), Duration::from_millis(1));
    assert_eq!(doze("patient").retry(policy).await.unwrap(), "patient");
    assert!(began.elapsed() >= hint);
    for call in waiting {
        call.await.unwrap();
    }
    // It was told a few times, and not hundreds.
    assert_eq!((agent.watch.ran(), agent.endpoint.queued()), (9, 0));
    assert!(agent.endpoint.figures()[0].overloaded < 30, "{:?}", agent.endpoint.figures());
}

pub(super) async fn one_principal_leaves_room_for_others<S: Setting>(setting: &S) {
    let mut agent = overrun(setting, |builder| builder.concurrency(1).queue(queue(40))).await;
    let (greedy, modest) = (calling(setting, "caller").await, calling(setting, "other").await);
    let held = greedy.probe.hold("first").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "first");
    let mut waiting = Vec::new();
    for _ in 0..30 {
        let mut call = greedy.probe.echo("x").send().await.unwrap();
        accepted(&mut call).await;
        waiting.push(call);
    }
    let rejection = busy(greedy.probe.echo("x").await);
    assert_eq!(rejection.details.as_str(), "too many of the caller's requests wait for a handler");
    // Somebody else is let in all the same.
    let mut other = modest.probe.echo("modest").send().await.unwrap();
    accepted(&mut other).await;
    assert_eq!(agent.endpoint.queued(), 31);
    agent.watch.open(1);
    assert_eq!((other.await.unwrap(), held.await.unwrap()), ("modest".to_owned(), "first".to_owned()));
    for call in waiting {
        call.await.unwrap();
    }
}

pub(super) async fn admin_reaches_an_overloaded_agent<S: Setting>(setting: &S) {
    let mut agent = overrun(setting, |builder| builder.concurrency(1).queue(queue(0))).await;
    let caller = calling(setting, "caller").await;
    let held = caller.probe.listen("held").data(7).send().await.unwrap();
    assert_eq!(agent.watch.began().await, "held");
    for _ in 0..10 {
        busy(caller.probe.echo("x").await);
    }
    let admin = caller.endpoint.peer("agent").admin();
    assert_eq!(admin.hello().await.unwrap(), "Hello, I am agent");
    assert_eq!(admin.cancel_where(&Criteria::eq(7).unwrap()).await.unwrap(), [held.sn().clone()]);
    // At its own address as well.
    let hello = caller.endpoint.peer("agent").class("Admin").call::<String>("hello", ());
    assert_eq!(hello.await.unwrap(), "Hello, I am agent");
    assert_eq!(held.await.unwrap(), "held was cancelled");
    assert_eq!((agent.endpoint.queued(), agent.endpoint.figures()[0].overloaded), (0, 10));
}

pub(super) async fn long_requests_wait_within_a_bound_of_their_own<S: Setting>(setting: &S) {
    let size = QueueSize::default().bytes(10_000);
    let mut agent = agent_with(setting, |builder| builder.concurrency(1).queue(size)).await;
    let caller = calling(setting, "caller").await;
    let held = caller.probe.hold("held").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "held");
    let long = "x".repeat(4_000);
    let (mut one, mut two) = (caller.probe.echo(&long).send().await.unwrap(), caller.probe.echo(&long).send().await.unwrap());
    accepted(&mut one).await;
    accepted(&mut two).await;
    busy(caller.probe.echo(&long).await);
    agent.watch.open(1);
    assert_eq!((one.await.unwrap(), two.await.unwrap()), (long.clone(), long.clone()));
    // However long one is, it may wait alone.
    let again = caller.probe.hold("again").send().await.unwrap();
    assert_eq!(agent.watch.next().await, Seen::Ended("held".to_owned()));
    agent.watch.ended(&long).await;
    agent.watch.ended(&long).await;
    assert_eq!(agent.watch.began().await, "again");
    let mut whole = caller.probe.echo(&"x".repeat(20_000)).send().await.unwrap();
    accepted(&mut whole).await;
    busy(caller.probe.echo("x").await);
    agent.watch.open(1);
    let _ = (held.await.unwrap(), again.await.unwrap());
    assert_eq!(whole.await.unwrap().len(), 20_000);
}

pub(super) async fn whoever_leaves_the_queue_gives_back_its_place<S: Setting>(setting: &S) {
    let (server, mut pressed) = press();
    let mut agent = overrun(setting, |builder| builder.concurrency(1).queue(queue(3)).serve(server)).await;
    let (caller, endpoint) = (calling(setting, "caller").await, agent.endpoint.clone());
    let held = caller.probe.hold("held").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "held");
    let fill = async |ttl: Duration| {
        let mut waiting = Vec::new();
        for _ in 0..3 {
            let mut call = caller.probe.echo("x").ttl(ttl).send().await.unwrap();
            accepted(&mut call).await;
            waiting.push(call);
        }
        busy(caller.probe.echo("x").await);
        assert_eq!(endpoint.queued(), 3);
        waiting
    };
    // Cancelled.
    let long = Duration::from_secs(60);
    for call in fill(long).await {
        assert!(call.cancel().await.unwrap());
        assert!(matches!(call.await, Err(CallError::Cancelled)));
    }
    assert_eq!(endpoint.queued(), 0);
    // Expired.
    for call in fill(Duration::from_secs(1)).await {
        assert!(matches!(call.await, Err(CallError::Rejected(why)) if why.code == RejectionCode::Expired));
    }
    assert_eq!(endpoint.queued(), 0);
    // Those that wait for their turn count as well; one that is rejected leaves no gap among them.
    let press: PressClient = caller.endpoint.client("agent");
    agent.watch.open(1);
    assert_eq!(held.await.unwrap(), "held");
    let first = press.hold("0").send().await.unwrap();
    assert_eq!(pressed.began().await, "0");
    let mut turns = Vec::new();
    for name in ["1", "2", "3"] {
        let mut call = press.hold(name).send().await.unwrap();
        accepted(&mut call).await;
        turns.push((name, call));
    }
    busy(press.hold("4").await);
    pressed.open(1);
    assert_eq!(first.await.unwrap(), "0");
    assert_eq!(pressed.next().await, Seen::Ended("0".to_owned()));
    assert_eq!(pressed.began().await, "1");
    turns.push(("5", press.hold("5").send().await.unwrap()));
    pressed.open(4);
    for (name, call) in turns {
        assert_eq!(call.await.unwrap(), name);
    }
    assert_eq!(endpoint.queued(), 0);
    // A drain.
    let held = caller.probe.hold("held").send().await.unwrap();
    while agent.watch.next().await != Seen::Began("held".to_owned()) {}
    let waiting = fill(long).await;
    let draining = endpoint.clone();
    let drain = tokio::spawn(async move { draining.shutdown(Duration::from_secs(20)).await });
    for call in waiting {
        assert!(matches!(call.await, Err(CallError::Rejected(why)) if why.code == RejectionCode::Closing));
    }
    agent.watch.open(1);
    assert_eq!(held.await.unwrap(), "held");
    assert_eq!((drain.await.unwrap().unwrap().left_behind, endpoint.queued()), (0, 0));
}

pub(super) async fn a_rejection_for_want_of_room_is_the_requests_one_outcome<S: Setting>(setting: &S) {
    let mut agent = overrun(setting, |builder| builder.concurrency(1).queue(queue(0))).await;
    let caller = calling(setting, "caller").await;
    let held = caller.probe.hold("held").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "held");
    let call = caller.probe.echo("x").send().await.unwrap();
    let (_, request) = caller.tap.last(numbered(call.sn()));
    busy(call.await);
    let sn = agent.tap.arrived_as(&request).head.sn.clone();
    agent.watch.open(1);
    assert_eq!(held.await.unwrap(), "held");
    // There is room now; but it was said that it never ran, and whoever was told so may have sent it anew.
    caller.tap.replay(&request).await;
    let no_room = |outcome: &Outcome| matches!(outcome, Outcome::Rejected(why) if why.code == RejectionCode::Busy && why.retry_after.is_some());
    assert!(agent.tap.until_outcomes(2, sn.as_ref()).await.iter().all(no_room));
    assert_eq!(agent.watch.ran(), 1);
}

//! Cancelling: explicit, cooperative, and by nobody else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{future::Future, time::Duration};

use rmi_core::{CallError, Update, error::Fate, message::Exception};
use rmi_tests::{
    probe::Seen,
    tap::Event,
    world::{Caller, World},
};
use serde_json::json;

/// So many, one after the other.
async fn futures<F: Future<Output = Result<T, E>>, T, E: std::fmt::Debug>(each: impl Fn() -> F, many: usize) -> Vec<T> {
    let mut all = Vec::new();
    for _ in 0..many {
        all.push(each().await.unwrap());
    }
    all
}

/// Asks for a cancellation by serial number.
async fn cancel(caller: &Caller, sn: &str) -> Result<Vec<String>, CallError<Exception>> {
    caller.endpoint.peer("agent").class("Admin").call("cancel", [sn]).await
}

fn assert_unknown(answer: Result<Vec<String>, CallError<Exception>>, sn: &str) {
    match answer {
        Err(CallError::Remote(exception)) => {
            assert!(exception.is("builtins", "Exception"), "{exception:?}");
            assert_eq!(exception.message(), format!("serial number ({sn}), not-found"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_told_that_it_is_cancelled() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        // One that looks ends as it likes.
        let listening = caller.probe().listen("listening").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "listening");
        assert!(listening.cancel().await.unwrap());
        assert_eq!(agent.watch.next().await, Seen::Cancelled("listening".to_owned()));
        assert_eq!(listening.await.unwrap(), "listening was cancelled");
        assert_eq!(agent.watch.next().await, Seen::Ended("listening".to_owned()));

        // One that does not look runs to its end.
        let deaf = caller.probe().hold("deaf").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "deaf");
        assert!(deaf.cancel().await.unwrap());
        world.settle().await;
        assert_eq!(agent.watch.seen(), []);
        agent.watch.open(1);
        assert_eq!(deaf.await.unwrap(), "deaf");
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_stops_nothing() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let watched = caller.probe().listen("watched").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "watched");
        drop(watched);
        let awaited = tokio::time::timeout(Duration::from_secs(1), caller.probe().listen("awaited")).await;
        assert!(awaited.is_err());
        assert_eq!(agent.watch.began().await, "awaited");
        assert_eq!(caller.endpoint.figures()[0].calls_waiting, 0);
        world.settle().await;
        assert_eq!((agent.watch.seen(), agent.endpoint.running()), (vec![], 2));
        agent.watch.open(2);
        for name in ["watched", "awaited"] {
            assert_eq!(agent.watch.next().await, Seen::Ended(name.to_owned()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn cancelled_before_its_start_it_never_runs() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent_with("agent", |b| b.concurrency(1)).await, world.caller("caller").await);
        let held = caller.probe().hold("held").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "held");
        let mut waiting = caller.probe().echo("waiting").send().await.unwrap();
        assert_eq!(waiting.next().await.unwrap().unwrap(), Update::Accepted);
        assert!(waiting.cancel().await.unwrap());
        // While the other one still runs.
        let error = waiting.await.unwrap_err();
        assert_eq!(error.fate(), Fate::NeverRan);
        assert!(matches!(error, CallError::Cancelled), "{error:?}");
        assert_eq!((agent.watch.ran(), agent.endpoint.running()), (1, 1));
        agent.watch.open(1);
        assert_eq!(held.await.unwrap(), "held");
        assert_eq!(caller.probe().echo("next").await.unwrap(), "next");
        assert_eq!(agent.watch.ran(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn only_its_own_principal_cancels() {
    let world = World::sealed();
    let (mut agent, owner, other) = (world.agent("agent").await, world.caller("owner").await, world.caller("other").await);
    let call = owner.probe().listen("it").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    assert_unknown(cancel(&other, call.sn().as_str()).await, call.sn().as_str());
    // Nor by saying that it is somebody else.
    let mut replies = world.mailbox("box").await;
    let mut forged = world.request("cancel", json!([call.sn().as_str()])).from("owner").sn("forged").reply_to("box");
    forged.0["request"]["classname"] = "Admin".into();
    let forged = forged.signed(&world.signer("other"));
    rmi_tests::raw::publish(&world.bus, "agent", forged).await;
    assert_eq!(replies.next().await["code"], "security.authentication");
    world.settle().await;
    assert_eq!(agent.watch.seen(), []);
    // Another endpoint with the owner's key is the owner.
    let (sn, owner_again) = (call.sn().clone(), world.caller("owner").await);
    assert_eq!(cancel(&owner_again, sn.as_str()).await.unwrap(), [sn.as_str()]);
    assert_eq!(call.await.unwrap(), "it was cancelled");
}

#[tokio::test(start_paused = true)]
async fn admin_reaches_a_busy_agent() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent_with("agent", |b| b.concurrency(1)).await, world.caller("caller").await);
        let held = caller.probe().listen("held").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "held");
        // As many wait as the agent takes: the bus keeps what is more.
        let mut waiting = Vec::new();
        for number in 0..62 {
            waiting.push(caller.probe().echo(&number.to_string()).send().await.unwrap());
        }
        for waiting in &mut waiting {
            assert_eq!(waiting.next().await.unwrap().unwrap(), Update::Accepted);
        }
        let (admin, tap) = (caller.endpoint.peer("agent").class("Admin"), &agent.tap);
        for _ in 0..10 {
            let hello: String = admin.call("hello", ()).await.unwrap();
            assert_eq!(hello, "Hello, I am agent");
        }
        assert_eq!(agent.watch.ran(), 1);
        assert!(held.cancel().await.unwrap());
        assert_eq!(held.await.unwrap(), "held was cancelled");
        for waiting in waiting {
            waiting.await.unwrap();
        }
        assert_eq!((agent.watch.ran(), agent.watch.seen().len()), (63, 126));

        // More than 64 are not taken from the bus, whoever they are for.
        let holding = futures(|| caller.probe().hold("held").send(), 64).await;
        agent.watch.began().await;
        let delivered = |event: &Event| matches!(event, Event::Delivered(_));
        tap.until(63 + 11 + 64, "they are taken", delivered).await;
        let mut late = admin.call::<String>("hello", ()).send().await.unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(1), late.next()).await.is_err(), "not even accepted");
        agent.watch.open(64);
        assert_eq!(late.await.unwrap(), "Hello, I am agent");
        for held in holding {
            held.await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_second_cancel_says_so() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let call = caller.probe().hold("it").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "it");
        assert!(call.cancel().await.unwrap(), "the first one");
        assert!(!call.cancel().await.unwrap(), "the second one");
        let sn = call.sn().clone();
        assert_eq!(cancel(&caller, sn.as_str()).await.unwrap(), Vec::<String>::new());
        agent.watch.open(1);
        assert_eq!(call.await.unwrap(), "it");
        // And when it has ended, or never was, it is unknown.
        assert_unknown(cancel(&caller, sn.as_str()).await, sn.as_str());
        assert_unknown(cancel(&caller, "nonsense").await, "nonsense");
    }
}

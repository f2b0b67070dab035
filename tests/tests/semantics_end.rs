//! The end: what runs may finish, what has not started is given back, and nobody waits for ever.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rmi_core::{
    CallError, Update,
    error::Fate,
    message::RejectionCode,
    transport::{Receipt, Transport, TransportErrorKind},
};
use rmi_tests::{probe::Seen, raw::kind, tap::Event, world::World};
use serde_json::json;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_drain_lets_running_handlers_finish() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent_with("agent", |b| b.concurrency(1)).await, world.caller("caller").await);
        let running = caller.probe().hold("running").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "running");
        let mut waiting = caller.probe().echo("waiting").send().await.unwrap();
        assert_eq!(waiting.next().await.unwrap().unwrap(), Update::Accepted);

        let endpoint = agent.endpoint.clone();
        let drain = tokio::spawn(async move { endpoint.shutdown(SECOND * 30).await });
        let error = waiting.await.unwrap_err();
        assert_eq!((error.fate(), error.is_retryable()), (Fate::NeverRan, true));
        assert!(matches!(error, CallError::Rejected(rejection) if rejection.code == RejectionCode::Closing));
        // What comes now is another's, who gets nothing of what still runs here.
        let late = caller.probe().echo("late").send().await.unwrap();
        let mut next = world.agent("agent").await;
        assert_eq!(late.await.unwrap(), "late");
        assert_eq!(next.watch.seen(), [Seen::Began("late".to_owned()), Seen::Ended("late".to_owned())]);
        assert_eq!((world.bus.counters().redelivered, agent.endpoint.running()), (0, 1));
        assert!(!drain.is_finished());

        agent.watch.open(1);
        assert_eq!(running.await.unwrap(), "running");
        assert_eq!(drain.await.unwrap().unwrap().left_behind, 0);
        assert_eq!((agent.watch.ran(), next.watch.ran()), (1, 1));
        let counters = world.bus.counters();
        assert_eq!((counters.unsettled, counters.waiting, counters.redelivered), (0, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_gives_back_what_it_has_not_admitted() {
    for world in World::both() {
        let (mut agent, mut replies) = (world.agent_with("agent", |b| b.concurrency(1)).await, world.mailbox("box").await);
        let request =
            |number: usize| world.request("hold", json!([number.to_string()])).sn(&number.to_string()).reply_to("box").wants(&[]);
        // 64 are admitted: one runs, and 63 wait. The bus has 10 more.
        for number in 0..74 {
            assert_eq!(world.post(&request(number)).await, Receipt::Stored);
        }
        assert_eq!(agent.watch.began().await, "0");
        let delivered = |event: &Event| matches!(event, Event::Delivered(_));
        agent.tap.until(64, "it has taken what it takes", delivered).await;
        // The drain begins just before the first one ends: nobody takes its place.
        agent.watch.open(74);
        assert_eq!(agent.endpoint.shutdown(SECOND * 30).await.unwrap().left_behind, 0);
        let mut rejected = 0;
        for _ in 0..64 {
            rejected += usize::from(replies.next().await["code"] == "agent.closing");
        }
        assert_eq!((rejected, agent.tap.published().len()), (63, 64));
        let counters = world.bus.counters();
        assert_eq!((agent.watch.ran(), counters.waiting, counters.unsettled), (1, 10, 0));

        // The next start finds them as if nobody had ever had them: methods run that may run once.
        let next = world.agent("agent").await;
        next.watch.open(74);
        for _ in 0..10 {
            assert!(replies.next().await["result"].is_object());
        }
        assert_eq!(next.watch.ran(), 10);
        assert_eq!((world.bus.counters().redelivered, world.bus.counters().waiting), (0, 0));

        // So do what has been taken from the bus and was not looked at yet: 64 answers wait aside, and the receiver with the next.
        next.tap.hold(|message| kind(message) == "exception");
        for number in 0..65 {
            world.post(&world.request("nothing", json!([])).sn(&format!("front {number}")).reply_to("box")).await;
        }
        for number in 100..103 {
            world.post(&request(number)).await;
        }
        next.tap.until(65, "those in front are answered", |event| matches!(event, Event::Held(_))).await;
        let endpoint = next.endpoint.clone();
        let drain = tokio::spawn(async move { endpoint.shutdown(SECOND * 30).await });
        tokio::task::yield_now().await;
        next.tap.release();
        assert_eq!(drain.await.unwrap().unwrap().left_behind, 0);
        let last = world.agent("agent").await;
        last.watch.open(3);
        let mut ran = Vec::new();
        while ran.len() < 3 {
            let outcome = replies.next().await;
            ran.extend(outcome["result"]["retval"].as_str().map(str::to_owned));
        }
        assert_eq!((ran.join(" "), next.watch.ran(), last.watch.ran()), ("100 101 102".to_owned(), 10, 3));
        assert_eq!((world.bus.counters().redelivered, world.bus.counters().waiting), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_with_its_grace() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let calls = [caller.probe().hold("one").send().await.unwrap(), caller.probe().hold("two").send().await.unwrap()];
        agent.watch.began_all(["one", "two"]).await;
        let before = Instant::now();
        assert_eq!(agent.endpoint.shutdown(SECOND * 2).await.unwrap().left_behind, 2);
        assert_eq!(before.elapsed(), SECOND * 2);
        // Their requests are the bus's again, which has delivered them before.
        assert_eq!((world.bus.counters().waiting, world.bus.counters().unsettled), (2, 0));
        let next = world.agent("agent").await;
        for call in calls {
            let error = call.await.unwrap_err();
            assert!(matches!(error, CallError::Interrupted(_)), "{error:?}");
        }
        assert_eq!(next.watch.ran(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn pending_calls_end_with_the_endpoint() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let probe = caller.probe();
        let watched = probe.hold("watched").send().await.unwrap();
        let awaited = tokio::spawn(probe.hold("awaited").into_future());
        agent.watch.began_all(["watched", "awaited"]).await;
        // One that waits for its link.
        caller.tap.lose(SECOND * 5).await;
        world.settle().await;
        let connecting = tokio::spawn(probe.echo("connecting").into_future());
        tokio::task::yield_now().await;
        let _ = caller.endpoint.shutdown(Duration::ZERO).await.unwrap();
        let connecting = connecting.await.unwrap().unwrap_err();
        assert!(matches!(connecting, CallError::Closed), "{connecting:?}");
        // As do those that were sent, and would have been asked for when there is a link again.
        for error in [watched.await.unwrap_err(), awaited.await.unwrap().unwrap_err()] {
            assert!(matches!(error, CallError::Closed), "{error:?}");
        }

        let caller = world.caller("caller").await;
        let probe = caller.probe();
        let shut = probe.hold("shut").send().await.unwrap();
        let _ = caller.endpoint.shutdown(Duration::ZERO).await.unwrap();
        let error = shut.await.unwrap_err();
        assert_eq!(error.fate(), Fate::MayHaveRun);
        assert!(matches!(error, CallError::Closed), "{error:?}");
        match probe.echo("after").await {
            Err(CallError::Transport(error)) => assert_eq!(error.kind, TransportErrorKind::Closed),
            other => panic!("{other:?}"),
        }

        let caller = world.caller("caller").await;
        let dropped = caller.probe().hold("dropped").send().await.unwrap();
        drop(caller.endpoint);
        assert!(matches!(dropped.await, Err(CallError::Closed)));
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_the_endpoint_stops_it() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let running = caller.probe().hold("running").send().await.unwrap();
        let inline = caller.probe().hold_inline("inline").send().await.unwrap();
        agent.watch.began_all(["running", "inline"]).await;
        let clone = agent.endpoint.clone();
        drop(agent.endpoint);
        assert_eq!(caller.probe().echo("a clone is left").await.unwrap(), "a clone is left");
        agent.watch.seen();

        drop(clone);
        let mut dropped = [agent.watch.next().await, agent.watch.next().await];
        dropped.sort_by_key(|seen| format!("{seen:?}"));
        assert_eq!(dropped, ["inline", "running"].map(|name| Seen::Dropped(name.to_owned())));
        agent.tap.until(2, "it has left the bus", |event| *event == Event::Left).await;
        // What it had is the bus's again.
        assert_eq!((world.bus.counters().waiting, world.bus.counters().unsettled), (2, 0));
        let late = caller.probe().echo("late").send().await.unwrap();
        assert_eq!(agent.watch.seen(), []);
        let next = world.agent("agent").await;
        assert_eq!(late.await.unwrap(), "late");
        for call in [running, inline] {
            assert!(matches!(call.await, Err(CallError::Interrupted(_))));
        }
        assert_eq!(next.watch.ran(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_subscription_is_begun_again() {
    for world in World::both() {
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        agent.tap.end_subscriptions(Some(TransportErrorKind::Refused));
        tokio::time::sleep(SECOND * 60).await;
        let error = caller.probe().echo("x").timeout(SECOND).await.unwrap_err();
        assert!(matches!(error, CallError::Timeout { .. }), "{error:?}");
        agent.tap.end_subscriptions(None);
        // What came meanwhile is found.
        assert_eq!(caller.probe().echo("y").await.unwrap(), "y");
        assert_eq!(agent.endpoint.figures()[0].subscriptions_lost, 3, "its own address, the one for `Admin`, and replies");
        // Nor does one that ends without a word leave an agent deaf.
        agent.tap.end_subscriptions_quietly();
        assert_eq!(caller.probe().echo("z").await.unwrap(), "z");
        assert_eq!(agent.endpoint.figures()[0].subscriptions_lost, 6);
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_without_requests_says_so() {
    for world in World::both() {
        let agent = world.agent("agent").await;
        let (endpoint, tap) = (agent.endpoint.clone(), agent.tap.clone());
        let running = tokio::spawn(async move { endpoint.run_until(std::future::pending::<()>()).await });
        tokio::task::yield_now().await;
        tap.end_subscriptions(Some(TransportErrorKind::Closed));
        let error = rmi_tests::soon::soon("it ends", running).await.unwrap().unwrap_err();
        assert_eq!(error.kind, TransportErrorKind::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn replies_that_come_no_more_are_asked_for() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let mut named = caller.endpoint.replies("log").await.unwrap();
        for quiet in [false, true] {
            let call = caller.probe().hold("it").send().await.unwrap();
            assert_eq!(agent.watch.began().await, "it");
            let before = Instant::now();
            if quiet {
                caller.tap.end_subscriptions_quietly();
            } else {
                caller.tap.end_subscriptions(Some(TransportErrorKind::Refused));
                tokio::time::sleep(SECOND * 5).await;
                caller.tap.end_subscriptions(None);
            }
            world.settle().await;
            agent.watch.open(1);
            assert_eq!(call.await.unwrap(), "it");
            assert!(before.elapsed() < SECOND * 60, "{:?}", before.elapsed());
            // So is an address with a name listened at again.
            caller.probe().echo("logged").reply_to("log").send().await.unwrap();
            assert!(rmi_tests::soon::soon("a reply", named.next()).await.is_some());
            world.settle().await;
            agent.watch.seen();
        }
        let _ = caller.endpoint.shutdown(Duration::ZERO).await.unwrap();
        assert!(named.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn calls_end_with_the_transport() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let call = caller.probe().hold("it").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "it");
        let before = Instant::now();
        caller.tap.close().await.unwrap();
        let error = call.await.unwrap_err();
        assert!(matches!(error, CallError::Closed), "{error:?}");
        let error = caller.probe().hold("later").await.unwrap_err();
        assert!(matches!(error, CallError::Closed), "{error:?}");
        assert_eq!(before.elapsed(), Duration::ZERO);
    }
}

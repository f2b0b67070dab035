//! The end: what runs may finish, what has not started is given back, and nobody waits for ever.

use std::{collections::BTreeSet, future::pending, time::Duration};

use super::{
    OUTAGE, Setting, agent, agent_with, calling,
    needs::Powers,
    probe::Seen,
    tap::{Passed, calls, is_outcome, published},
};
use crate::{
    CallError, Update,
    error::Fate,
    message::{Outcome, RejectionCode},
    testing::conformance::soon,
    transport::{Disposition, Transport, TransportErrorKind},
};

const SECOND: Duration = Duration::from_secs(1);

pub(super) async fn a_drain_lets_running_handlers_finish<S: Setting>(setting: &S) {
    let (mut agent, caller) = (agent_with(setting, |builder| builder.concurrency(1)).await, calling(setting, "caller").await);
    let running = caller.probe.hold("running").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "running");
    let mut waiting = caller.probe.echo("waiting").send().await.unwrap();
    // Taken by the agent: what the bus still has would be the next agent's.
    assert_eq!(soon("it is accepted", waiting.next()).await.unwrap().unwrap(), Update::Accepted);
    let endpoint = agent.endpoint.clone();
    let drain = tokio::spawn(async move { endpoint.shutdown(SECOND * 20).await });
    let error = soon("what has not started is told", waiting).await.unwrap_err();
    assert_eq!((error.fate(), error.is_retryable()), (Fate::NeverRan, true));
    assert!(matches!(&error, CallError::Rejected(why) if why.code == RejectionCode::Closing), "{error:?}");
    assert!(!drain.is_finished());
    agent.watch.open(1);
    assert_eq!(running.await.unwrap(), "running");
    assert_eq!(drain.await.unwrap().unwrap().left_behind, 0);
    assert_eq!(agent.watch.ran(), 1);
}

pub(super) async fn a_drain_gives_back_what_it_has_not_admitted<S: Setting>(setting: &S) {
    let (mut first, caller) = (agent_with(setting, |builder| builder.concurrency(1)).await, calling(setting, "caller").await);
    // 64 are admitted: one runs, and 63 wait. The bus has 10 more.
    let mut waiting = Vec::new();
    for number in 0..74 {
        waiting.push(caller.probe.hold(&number.to_string()).send().await.unwrap());
    }
    assert_eq!(first.watch.began().await, "0");
    soon("it has taken what it takes", async {
        while first.endpoint.running() < 64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    // The drain begins just before the first one ends: nobody takes its place.
    first.watch.open(74);
    assert_eq!(first.endpoint.shutdown(SECOND * 20).await.unwrap().left_behind, 0);
    let closing = |outcome: &Outcome| matches!(outcome, Outcome::Rejected(no) if no.code == RejectionCode::Closing);
    let told = |passed: &Passed| published(|message| super::tap::outcome(message).is_some_and(closing))(passed);
    assert_eq!((first.tap.count(told), first.tap.count(published(is_outcome)), first.watch.ran()), (63, 64, 1));

    // The next start finds the others as if nobody had ever had them: methods run that may run once.
    let next = agent(setting).await;
    next.watch.open(74);
    let mut ran = BTreeSet::new();
    for (number, call) in waiting.into_iter().enumerate() {
        match soon("each is told", call).await {
            Ok(said) => assert!(ran.insert(said.parse::<usize>().unwrap())),
            Err(CallError::Rejected(no)) => assert_eq!(no.code, RejectionCode::Closing, "{number}"),
            other => panic!("{number}: {other:?}"),
        }
    }
    assert_eq!((ran.len(), next.watch.ran()), (11, 10), "the first one, and those that the bus had");
}

pub(super) async fn a_drain_ends_with_its_grace<S: Setting>(setting: &S) {
    let redelivers = Powers::of(setting).await.redelivers();
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let call = caller.probe.hold("it").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    let drained = soon("the drain ends", agent.endpoint.shutdown(Duration::from_millis(100))).await;
    assert_eq!(drained.unwrap().left_behind, 1);
    if redelivers {
        // Its request is the bus's again, which has delivered it before.
        let next = super::agent(setting).await;
        let error = soon("another agent has it", call).await.unwrap_err();
        assert!(matches!(error, CallError::Interrupted(_)), "{error:?}");
        assert_eq!(next.watch.ran(), 0);
    }
}

pub(super) async fn pending_calls_end_with_the_endpoint<S: Setting>(setting: &S) {
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let probe = caller.probe.clone();
    let watched = probe.hold("watched").send().await.unwrap();
    let awaited = tokio::spawn(probe.hold("awaited").into_future());
    agent.watch.began_all(["watched", "awaited"]).await;
    let _ = soon("the caller ends", caller.endpoint.shutdown(Duration::ZERO)).await.unwrap();
    let awaited = soon("a pending call ends", awaited).await.unwrap();
    for error in [soon("a pending call ends", watched).await.unwrap_err(), awaited.unwrap_err()] {
        assert_eq!(error.fate(), Fate::MayHaveRun);
        assert!(matches!(error, CallError::Closed), "{error:?}");
    }
    assert!(probe.echo("after").await.is_err(), "it is closed");

    // One that waits for its link; and those whose endpoint is dropped.
    let caller = calling(setting, "caller").await;
    let dropped = caller.probe.hold("dropped").send().await.unwrap();
    caller.tap.lose(SECOND * 20).await;
    let connecting = tokio::spawn(caller.probe.echo("connecting").into_future());
    tokio::task::yield_now().await;
    let _ = soon("the caller ends", caller.endpoint.shutdown(Duration::ZERO)).await.unwrap();
    assert!(matches!(soon("it ends", dropped).await, Err(CallError::Closed)));
    let connecting = soon("it ends", connecting).await.unwrap().unwrap_err();
    assert!(matches!(connecting, CallError::Closed), "{connecting:?}");
}

pub(super) async fn dropping_the_endpoint_stops_it<S: Setting>(setting: &S) {
    let redelivers = Powers::of(setting).await.redelivers();
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let running = caller.probe.hold("running").send().await.unwrap();
    let inline = caller.probe.hold_inline("inline").send().await.unwrap();
    agent.watch.began_all(["running", "inline"]).await;
    let clone = agent.endpoint.clone();
    drop(agent.endpoint);
    assert_eq!(caller.probe.echo("a clone is left").await.unwrap(), "a clone is left");
    agent.watch.ended("a clone is left").await;
    if redelivers {
        // Which the bus need not deliver again.
        let done = |passed: &Passed| matches!(passed, Passed::Settled(message, Disposition::Ack) if calls("echo")(message));
        agent.tap.until(1, "it is acknowledged", done).await;
    }
    drop(clone);
    let mut dropped = [agent.watch.next().await, agent.watch.next().await];
    dropped.sort_by_key(|seen| format!("{seen:?}"));
    assert_eq!(dropped, ["inline", "running"].map(|name| Seen::Dropped(name.to_owned())));
    if redelivers {
        // What it had is the bus's again.
        agent.tap.until(1, "it has left the bus", |passed| matches!(passed, Passed::Left)).await;
        let mut next = super::agent(setting).await;
        for call in [running, inline] {
            let ended = soon("another agent has it", call).await;
            assert!(matches!(ended, Err(CallError::Interrupted(_))), "{ended:?}");
        }
        // The end may have overtaken an acknowledgement: what may run again then does.
        let again = next.watch.seen();
        assert!(!again.iter().any(|seen| matches!(seen, Seen::Began(name) if name != "a clone is left")), "{again:?}");
    }
}

pub(super) async fn a_lost_subscription_is_begun_again<S: Setting>(setting: &S) {
    let (agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let lost = || agent.endpoint.figures()[0].subscriptions_lost;
    agent.tap.end_subscriptions(Some(TransportErrorKind::Refused));
    agent.tap.until(6, "it is tried again", |passed| matches!(passed, Passed::Unsubscribable)).await;
    agent.tap.let_subscribe();
    // What came meanwhile is found.
    assert_eq!(soon("it is answered", caller.probe.echo("y")).await.unwrap(), "y");
    let first = lost();
    assert!(first > 0);
    // Nor does one that ends without a word leave an agent deaf.
    agent.tap.end_subscriptions_quietly();
    assert_eq!(soon("it is answered", caller.probe.echo("z")).await.unwrap(), "z");
    assert!(lost() > first);
}

pub(super) async fn replies_that_come_no_more_are_asked_for<S: Setting>(setting: &S) {
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let mut named = caller.endpoint.replies("log").await.unwrap();
    for quiet in [false, true] {
        let call = caller.probe.hold("it").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "it");
        let asked = caller.tap.count(published(calls("resume")));
        if quiet {
            caller.tap.end_subscriptions_quietly();
        } else {
            caller.tap.end_subscriptions(Some(TransportErrorKind::Refused));
            caller.tap.until(4, "it is tried again", |passed| matches!(passed, Passed::Unsubscribable)).await;
            caller.tap.let_subscribe();
        }
        caller.tap.until(asked + 1, "it asks", published(calls("resume"))).await;
        agent.watch.open(1);
        assert_eq!(soon("it ends", call).await.unwrap(), "it");
        // So is an address with a name listened at again.
        caller.probe.echo("logged").reply_to("log").send().await.unwrap();
        assert!(soon("a reply", named.next()).await.is_some());
        agent.watch.ended("logged").await;
    }
    let _ = caller.endpoint.shutdown(Duration::ZERO).await.unwrap();
    assert!(soon("its end", named.next()).await.is_none());
}

pub(super) async fn calls_end_with_the_transport<S: Setting>(setting: &S) {
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let call = caller.probe.hold("it").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    caller.tap.transport().close().await.unwrap();
    let error = soon("it ends with its transport", call).await.unwrap_err();
    assert!(matches!(error, CallError::Closed), "{error:?}");
    let error = soon("it ends at once", caller.probe.hold("later")).await.unwrap_err();
    assert!(matches!(error, CallError::Closed), "{error:?}");
}

pub(super) async fn an_agent_without_requests_says_so<S: Setting>(setting: &S) {
    let agent = agent(setting).await;
    let endpoint = agent.endpoint.clone();
    let running = tokio::spawn(async move { endpoint.run_until(pending::<()>()).await });
    tokio::time::sleep(OUTAGE / 10).await;
    agent.tap.end_subscriptions(Some(TransportErrorKind::Closed));
    let error = soon("it ends", running).await.unwrap().unwrap_err();
    assert_eq!(error.kind, TransportErrorKind::Closed);
}

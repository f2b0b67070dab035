//! Time: every wait ends when it was told to.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    OUTAGE, Setting, agent, agent_with, caller, calling,
    needs::{Need, Powers},
    tap::{Passed, calls, delivered},
};
use crate::{
    CallError,
    error::{Fate, Phase},
    message::RejectionCode,
    testing::conformance::soon,
};

pub(super) async fn the_total_time_covers_everything<S: Setting>(setting: &S) {
    let bus = Powers::of(setting).await.lack(&[Need::Bus]).is_none();
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let (time, began) = (Duration::from_millis(200), Instant::now());
    // The outcome.
    let error = caller.probe.hold("held").timeout(time).await.unwrap_err();
    assert_eq!(error.fate(), Fate::MayHaveRun);
    assert!(matches!(error, CallError::Timeout { phase: Phase::Total, after } if after == time), "{error:?}");
    assert!(began.elapsed() >= time);
    assert_eq!(caller.endpoint.figures()[0].calls_waiting, 0);
    assert_eq!(agent.watch.began().await, "held");
    // Any time, however long.
    assert_eq!(caller.probe.echo("x").timeout(Duration::MAX).ttl(Duration::MAX).await.unwrap(), "x");
    // Sending: the bus does not take it.
    caller.tap.hold(calls("echo"));
    let error = soon("its time ends it", caller.probe.echo("x").timeout(time)).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { phase: Phase::Send, after } if after == time), "{error:?}");
    caller.tap.release();
    // Connecting: the link is away for longer.
    if bus {
        caller.tap.lose(OUTAGE * 10).await;
        let error = soon("its time ends it", caller.probe.echo("x").timeout(time)).await.unwrap_err();
        assert!(matches!(error, CallError::Timeout { phase: Phase::Send, after } if after == time), "{error:?}");
        // And for less: it is waited for.
        assert_eq!(soon("there is a link again", caller.probe.echo("x")).await.unwrap(), "x");
    }
}

pub(super) async fn no_time_is_rounded<S: Setting>(setting: &S) {
    let (agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    for millis in [1, 99, 101, 150] {
        let (time, began) = (Duration::from_millis(millis), Instant::now());
        let error = caller.probe.hold("x").timeout(time).await.unwrap_err();
        assert!(matches!(error, CallError::Timeout { after, .. } if after == time), "{error:?}");
        assert!(began.elapsed() >= time);
    }
    // On the wire too: in milliseconds, and never none.
    let cases = [(1_000, 1), (1_500_000, 1500), (1, 1), (1501, 2)];
    for (micros, _) in cases {
        caller.probe.echo("x").ttl(Duration::from_micros(micros)).notify().await.unwrap();
    }
    caller.probe.who().await.unwrap();
    let ttls: Vec<_> = agent
        .tap
        .passed()
        .into_iter()
        .filter_map(|passed| match passed {
            Passed::Delivered(message, _) if calls("echo")(&message) => Some(message.head.ttl),
            _ => None,
        })
        .collect();
    // One that has expired on the bus need not come.
    let expected: Vec<_> = cases.iter().map(|(_, millis)| Some(Duration::from_millis(*millis))).collect();
    assert!(ttls.iter().all(|ttl| expected.contains(ttl)) && ttls.contains(&expected[1]), "{ttls:?}");
    let left = caller.probe.remaining().ttl(Duration::from_secs(60)).await.unwrap().unwrap();
    assert!(left > 50_000 && left <= 60_000, "{left}");
}

pub(super) async fn an_expired_request_never_runs<S: Setting>(setting: &S) {
    let expires = Powers::of(setting).await.expires();
    let (mut agent, caller) = (agent_with(setting, |builder| builder.concurrency(1)).await, calling(setting, "caller").await);
    let held = caller.probe.hold("held").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "held");
    // At the agent, from its receipt on.
    let late = caller.probe.echo("late").ttl(Duration::from_millis(100)).send().await.unwrap();
    match late.await {
        Err(CallError::Rejected(rejection)) => assert_eq!(rejection.code, RejectionCode::Expired),
        other => panic!("{other:?}"),
    }
    agent.watch.open(1);
    assert_eq!(held.await.unwrap(), "held");
    assert_eq!(caller.probe.echo("next").ttl(Duration::from_secs(60)).await.unwrap(), "next");
    assert_eq!(agent.watch.ran(), 2);
    if expires {
        // On the bus, where nobody takes it.
        let _ = agent.endpoint.shutdown(Duration::from_secs(10)).await.unwrap();
        let lost = caller.probe.echo("lost").ttl(Duration::from_millis(50)).timeout(Duration::from_millis(400)).await;
        assert!(matches!(lost, Err(CallError::Timeout { phase: Phase::Total, .. })), "{lost:?}");
        let agent = super::agent(setting).await;
        assert_eq!(caller.probe.echo("found").await.unwrap(), "found");
        assert_eq!(agent.watch.ran(), 1);
        assert_eq!(agent.tap.count(delivered(calls("echo"))), 1);
    }
}

pub(super) async fn the_phases_of_a_call_have_their_own_times<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) =
        (agent_with(setting, |builder| builder.concurrency(1)).await, caller(setting, "caller").await);
    let time = Duration::from_millis(300);
    // What the agent says ends a phase: its time is not that of the whole call.
    assert_eq!(probe.doze("long", 900).accept_within(time).start_within(time).await.unwrap(), "long");
    agent.watch.ended("long").await;
    let held = probe.hold("held").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "held");
    // An acceptance is no start; and what has started says nothing more for a while.
    let error = probe.echo("waits").start_within(time).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { phase: Phase::Start, after } if after == time), "{error:?}");
    let error = probe.echo("waits").idle(time).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { phase: Phase::Idle, after } if after == time), "{error:?}");
    agent.watch.open(1);
    assert_eq!(held.await.unwrap(), "held");
}

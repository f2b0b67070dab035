use std::time::Duration;

use tokio::time::Instant;

use super::{Setting, agent, agent_with, caller};
use crate::{
    CallError,
    error::{Fate, Phase},
    message::RejectionCode,
};

pub(super) async fn the_total_time_covers_everything<S: Setting>(setting: &S) {
    let (mut agent, (endpoint, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let (time, began) = (Duration::from_millis(200), Instant::now());
    let error = probe.hold("held").timeout(time).await.unwrap_err();
    assert_eq!(error.fate(), Fate::MayHaveRun);
    assert!(matches!(error, CallError::Timeout { phase: Phase::Total, after } if after == time), "{error:?}");
    assert!(began.elapsed() >= time);
    assert_eq!(endpoint.figures()[0].calls_waiting, 0);
    assert_eq!(probe.echo("x").timeout(Duration::MAX).await.unwrap(), "x");
    assert_eq!(agent.watch.began().await, "held");
}

pub(super) async fn an_expired_request_never_runs<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) =
        (agent_with(setting, |builder| builder.concurrency(1)).await, caller(setting, "caller").await);
    let held = probe.hold("held").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "held");
    let late = probe.echo("late").ttl(Duration::from_millis(100)).send().await.unwrap();
    match late.await {
        Err(CallError::Rejected(rejection)) => assert_eq!(rejection.code, RejectionCode::Expired),
        other => panic!("{other:?}"),
    }
    agent.watch.open(1);
    assert_eq!(held.await.unwrap(), "held");
    assert_eq!(probe.echo("next").ttl(Duration::from_secs(60)).await.unwrap(), "next");
    assert_eq!(agent.watch.ran(), 2);
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

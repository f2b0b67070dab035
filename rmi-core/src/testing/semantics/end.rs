use std::time::Duration;

use super::{Setting, agent, agent_with, caller, probe::Seen};
use crate::{CallError, error::Fate, message::RejectionCode, testing::conformance::soon};

pub(super) async fn a_drain_lets_running_handlers_finish<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) =
        (agent_with(setting, |builder| builder.concurrency(1)).await, caller(setting, "caller").await);
    let running = probe.hold("running").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "running");
    let mut waiting = probe.echo("waiting").send().await.unwrap();
    // Taken by the agent: what the bus still has would be the next agent's.
    assert_eq!(soon("it is accepted", waiting.next()).await.unwrap().unwrap(), crate::Update::Accepted);
    let endpoint = agent.endpoint.clone();
    let drain = tokio::spawn(async move { endpoint.shutdown(Duration::from_secs(20)).await });
    let error = soon("what has not started is told", waiting).await.unwrap_err();
    assert_eq!(error.fate(), Fate::NeverRan);
    assert!(matches!(&error, CallError::Rejected(why) if why.code == RejectionCode::Closing), "{error:?}");
    agent.watch.open(1);
    assert_eq!(running.await.unwrap(), "running");
    assert_eq!(drain.await.unwrap().unwrap().left_behind, 0);
    assert_eq!(agent.watch.ran(), 1);
}

pub(super) async fn a_drain_ends_with_its_grace<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let _call = probe.hold("it").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    let drained = soon("the drain ends", agent.endpoint.shutdown(Duration::from_millis(100))).await;
    assert_eq!(drained.unwrap().left_behind, 1);
}

pub(super) async fn pending_calls_end_with_the_endpoint<S: Setting>(setting: &S) {
    let (mut agent, (endpoint, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let call = probe.hold("it").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    let _ = soon("the caller ends", endpoint.shutdown(Duration::ZERO)).await.unwrap();
    let error = soon("a pending call ends", call).await.unwrap_err();
    assert_eq!(error.fate(), Fate::MayHaveRun);
    assert!(matches!(error, CallError::Closed), "{error:?}");
    assert!(probe.echo("after").await.is_err(), "it is closed");
}

pub(super) async fn dropping_the_endpoint_stops_it<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let _call = probe.hold("running").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "running");
    let clone = agent.endpoint.clone();
    drop(agent.endpoint);
    assert_eq!(probe.echo("a clone is left").await.unwrap(), "a clone is left");
    agent.watch.ended("a clone is left").await;
    drop(clone);
    assert_eq!(agent.watch.next().await, Seen::Dropped("running".to_owned()));
}

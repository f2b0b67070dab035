//! Groups: one call, many agents, partial failures. A pair has one agent here, which may be in a group more than once.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;

use super::{Setting, agent, agent_with, caller, probe::Seen};
use crate::{
    CallError, Context,
    call::Retry,
    error::Fate,
    layer::{Layer, Next},
    message::Outcome,
    service::Invocation,
};

/// Remembers the serial number and the group of what runs.
#[derive(Default)]
struct Numbers(Mutex<Vec<(String, Option<String>)>>);

#[async_trait]
impl Layer for Numbers {
    async fn call(&self, call: Invocation, next: Next<'_>) -> Outcome {
        let cx: Context = call.context();
        self.0.lock().unwrap().push((cx.sn().map(ToString::to_string).unwrap_or_default(), cx.group().map(str::to_owned)));
        next.run(call).await
    }
}

pub(super) async fn a_group_is_one_call_to_many_agents<S: Setting>(setting: &S) {
    let numbers = Arc::new(Numbers::default());
    let _agent = agent_with(setting, |builder| builder.layer(Arc::clone(&numbers))).await;
    let (_caller, probe) = caller(setting, "caller").await;
    let group = probe.echo("x").group(["agent"; 3]);
    let id = group.id();
    let all = group.gather().await.into_result().unwrap();
    assert_eq!(all.iter().map(|(at, x)| (at.as_str(), x.as_str())).collect::<Vec<_>>(), [("agent", "x"); 3]);
    let seen = std::mem::take(&mut *numbers.0.lock().unwrap());
    assert_eq!(seen.iter().map(|(sn, _)| sn).collect::<HashSet<_>>().len(), 3);
    assert!(seen.iter().all(|(_, group)| group.as_deref() == Some(&id)), "{seen:?}");
    // A call that belongs to none says so.
    probe.echo("x").await.unwrap();
    assert_eq!(numbers.0.lock().unwrap()[0].1, None);
}

pub(super) async fn answers_come_as_they_come<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let mut outcomes = probe.hold("x").group(["agent", "nobody", "agent"]).send().await;
    let (at, answer) = outcomes.next().await.unwrap();
    assert!(at.as_str() == "nobody" && matches!(answer, Err(CallError::NoAgent(_))), "{answer:?}");
    agent.watch.began_all(["x", "x"]).await;
    for left in [1, 0] {
        agent.watch.open(1);
        let (at, answer) = outcomes.next().await.unwrap();
        assert_eq!((at.as_str(), answer.unwrap().as_str(), outcomes.remaining()), ("agent", "x", left));
    }
    assert!(outcomes.next().await.is_none());
}

pub(super) async fn some_may_fail_and_the_others_are_there<S: Setting>(setting: &S) {
    let (_agent, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let all = probe.echo("x").group(["nobody", "agent", "missing", "agent"]).gather().await;
    assert_eq!((all.len(), all.is_ok()), (4, false));
    assert_eq!(all.ok().map(|(at, _)| at.as_str()).collect::<Vec<_>>(), ["agent", "agent"]);
    assert_eq!(all.failed().map(|(at, _)| at.as_str()).collect::<Vec<_>>(), ["nobody", "missing"]);
    assert!(matches!(all.get("agent"), Some(Ok(x)) if x == "x") && all.get("somebody").is_none());
    let failed = all.into_result().unwrap_err();
    assert!(failed.to_string().starts_with("2 of 4 agents failed: `nobody`: "), "{failed}");
}

pub(super) async fn the_first_result_is_enough<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    // The other runs on, and is not waited for.
    let first = tokio::spawn(probe.listen("x").group(["nobody", "agent", "agent"]).first());
    agent.watch.began_all(["x", "x"]).await;
    agent.watch.open(1);
    assert_eq!(first.await.unwrap().unwrap().1, "x");
    assert_eq!(agent.watch.next().await, Seen::Ended("x".to_owned()));
    agent.watch.open(1);
    assert_eq!(agent.watch.next().await, Seen::Ended("x".to_owned()));
    // Nobody succeeds.
    let failed = probe.echo("x").group(["nobody", "missing"]).first().await.unwrap_err();
    assert_eq!(failed.gathered.failed().count(), 2);
}

pub(super) async fn the_rest_of_a_group_is_cancelled<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let first = tokio::spawn(probe.listen("y").group(["agent", "nobody", "agent"]).cancel_rest().first());
    agent.watch.began_all(["y", "y"]).await;
    agent.watch.open(1);
    assert_eq!(first.await.unwrap().unwrap().1, "y");
    let mut seen = vec![agent.watch.next().await, agent.watch.next().await, agent.watch.next().await];
    seen.retain(|seen| *seen == Seen::Cancelled("y".to_owned()));
    assert_eq!(seen.len(), 1);
    // Nobody else's.
    assert_eq!(probe.echo("x").await.unwrap(), "x");
}

pub(super) async fn a_quorum_is_so_many_results<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let two = tokio::spawn(probe.hold("x").group(["agent"; 3]).quorum(2));
    agent.watch.began_all(["x"; 3]).await;
    agent.watch.open(2);
    assert_eq!(two.await.unwrap().unwrap().ok().count(), 2);
    // It ends as soon as there cannot be as many.
    let failed = probe.hold("y").group(["nobody", "missing", "agent"]).quorum(2).await.unwrap_err();
    assert_eq!(failed.gathered.len(), 2);
    // Where there never can, nobody is called. What was called besides may still be on its way.
    let failed = probe.hold("z").group(["agent"]).quorum(2).await.unwrap_err();
    assert_eq!((failed.gathered.len(), failed.missing), (0, 1));
    probe.who().await.unwrap();
    assert!(!agent.watch.seen().contains(&Seen::Began("z".to_owned())));
}

pub(super) async fn a_group_tries_each_agent_again<S: Setting>(setting: &S) {
    let (_agent, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let retry = Retry::default().attempts(3).pause(Duration::from_millis(1), Duration::from_millis(2));
    let all = probe.echo("x").group(["agent", "nobody"]).retry(retry).gather().await;
    assert_eq!(all.ok().count(), 1);
    let (at, error) = all.failed().next().unwrap();
    assert_eq!((at.as_str(), error.attempts(), error.fate()), ("nobody", 3, Fate::NeverRan));
}

pub(super) async fn a_large_group_is_sent_in_parts<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) =
        (agent_with(setting, |builder| builder.concurrency(64)).await, caller(setting, "caller").await);
    let mut outcomes = probe.hold("x").group(vec!["agent"; 10]).parallel(3).send().await;
    agent.watch.began_all(["x"; 3]).await;
    // What is called besides goes the same way: a fourth of the group would have come before it.
    assert_eq!(probe.echo("besides").await.unwrap(), "besides");
    agent.watch.ended("besides").await;
    assert_eq!(agent.watch.ran(), 4);
    agent.watch.open(1);
    outcomes.next().await.unwrap().1.unwrap();
    agent.watch.open(9);
    while let Some((_, answer)) = outcomes.next().await {
        answer.unwrap();
    }
    assert_eq!(agent.watch.ran(), 11);
}

pub(super) async fn the_time_is_the_whole_groups<S: Setting>(setting: &S) {
    let (agent, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let all = probe.hold("x").timeout(Duration::from_millis(500)).group(vec!["agent"; 3]).parallel(2).gather().await;
    let fates: Vec<_> = all.failed().map(|(_, error)| error.fate()).collect();
    assert_eq!(fates, [Fate::MayHaveRun, Fate::MayHaveRun, Fate::NeverRan]);
    assert!(matches!(all.into_iter().last(), Some((_, Err(CallError::NotSent)))));
    // Nor is it called later.
    probe.echo("behind them").await.unwrap();
    assert_eq!(agent.watch.ran(), 3);
}

pub(super) async fn dropping_a_group_stops_nothing<S: Setting>(setting: &S) {
    let (mut agent, (endpoint, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let outcomes = probe.listen("x").group(["agent"]).send().await;
    assert_eq!(agent.watch.began().await, "x");
    drop(outcomes);
    agent.watch.open(1);
    assert_eq!(agent.watch.next().await, Seen::Ended("x".to_owned()));
    assert_eq!(endpoint.figures()[0].calls_waiting, 0);
}

use std::time::Duration;

use serde_json::json;

use super::{Setting, agent, agent_with, caller, probe::Seen};
use crate::{CallError, Update, endpoint::Criteria, error::Fate, testing::conformance::soon};

pub(super) async fn a_handler_is_told_that_it_is_cancelled<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let call = probe.listen("it").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    assert!(call.cancel().await.unwrap());
    assert_eq!(agent.watch.next().await, Seen::Cancelled("it".to_owned()));
    assert_eq!(call.await.unwrap(), "it was cancelled");
}

pub(super) async fn dropping_a_call_stops_nothing<S: Setting>(setting: &S) {
    let (mut agent, (endpoint, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let call = probe.listen("dropped").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "dropped");
    drop(call);
    assert_eq!(endpoint.figures()[0].calls_waiting, 0);
    assert_eq!(probe.echo("meanwhile").await.unwrap(), "meanwhile");
    agent.watch.open(1);
    agent.watch.ended("meanwhile").await;
    assert_eq!(agent.watch.next().await, Seen::Ended("dropped".to_owned()));
}

pub(super) async fn cancelled_before_its_start_it_never_runs<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) =
        (agent_with(setting, |builder| builder.concurrency(1)).await, caller(setting, "caller").await);
    let held = probe.hold("held").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "held");
    let mut waiting = probe.echo("waiting").send().await.unwrap();
    assert_eq!(soon("it is accepted", waiting.next()).await.unwrap().unwrap(), Update::Accepted);
    assert!(waiting.cancel().await.unwrap());
    let error = waiting.await.unwrap_err();
    assert_eq!(error.fate(), Fate::NeverRan);
    assert!(matches!(error, CallError::Cancelled), "{error:?}");
    agent.watch.open(1);
    assert_eq!(held.await.unwrap(), "held");
    assert_eq!(agent.watch.ran(), 1);
}

pub(super) async fn only_its_own_principal_cancels<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe), (other, _)) =
        (agent(setting).await, caller(setting, "caller").await, caller(setting, "other").await);
    let call = probe.listen("it").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    let admin = other.peer("agent").class("Admin");
    let refused = admin.call::<Vec<String>>("cancel", [call.sn().as_str()]).await;
    assert!(refused.is_err(), "somebody else has cancelled it: {refused:?}");
    assert_eq!(agent.watch.seen(), []);
    agent.watch.open(1);
    assert_eq!(call.await.unwrap(), "it");
}

pub(super) async fn admin_reaches_a_busy_agent<S: Setting>(setting: &S) {
    let (mut agent, (endpoint, probe)) =
        (agent_with(setting, |builder| builder.concurrency(1)).await, caller(setting, "caller").await);
    let held = probe.hold("held").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "held");
    let waiting = probe.echo("waiting").send().await.unwrap();
    let hello: String = endpoint.peer("agent").class("Admin").call("hello", ()).timeout(Duration::from_secs(10)).await.unwrap();
    assert_eq!(hello, "Hello, I am agent");
    assert_eq!(agent.watch.ran(), 1);
    agent.watch.open(1);
    assert_eq!((held.await.unwrap(), waiting.await.unwrap()), ("held".to_owned(), "waiting".to_owned()));
}

pub(super) async fn the_second_cancel_says_so<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let call = probe.hold("it").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    assert!(call.cancel().await.unwrap(), "the first one");
    assert!(!call.cancel().await.unwrap(), "the second one");
    agent.watch.open(1);
    assert_eq!(call.await.unwrap(), "it");
}

pub(super) async fn criteria_choose_by_the_data<S: Setting>(setting: &S) {
    let (mut agent, (endpoint, probe)) =
        (agent_with(setting, |builder| builder.concurrency(2)).await, caller(setting, "caller").await);
    let mut calls = Vec::new();
    // The last two wait for their turn.
    for (name, data) in
        [("a", json!({"job": 7})), ("b", json!({"job": 8})), ("c", json!({"job": 7})), ("d", json!({"user": "ann"}))]
    {
        let mut call = probe.listen(name).data(data).send().await.unwrap();
        assert_eq!(soon("it is accepted", call.next()).await.unwrap().unwrap(), Update::Accepted);
        calls.push(call);
    }
    agent.watch.began_all(["a", "b"]).await;
    let mut expected = vec![calls[0].sn().clone(), calls[2].sn().clone()];
    expected.sort_unstable();
    let admin = endpoint.peer("agent").admin();
    // Waiting ones too; a member that is missing is no match.
    let mut cancelled = admin.cancel_where(&Criteria::has("job", 7).unwrap()).await.unwrap();
    cancelled.sort_unstable();
    assert_eq!(cancelled, expected);
    agent.watch.open(2);
    let mut said = Vec::new();
    for call in calls {
        said.push(soon("it ends", call).await.ok());
    }
    assert_eq!(said, [Some("a was cancelled".to_owned()), Some("b".to_owned()), None, Some("d".to_owned())]);
}

//! Trying again: what never ran, and what may run twice.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::json;
use tokio::time::Instant;

use super::{
    OUTAGE, Setting, agent, agent_with, caller, calling,
    probe::Seen,
    tap::{Passed, calls},
};
use crate::{
    CallError,
    call::Retry,
    error::{Fate, Phase},
    layer::{Incoming, Layer},
    message::{Rejection, RejectionCode},
    transport::TransportErrorKind,
};

/// Long enough for a call and its answer.
const EACH: Duration = Duration::from_millis(250);

/// Rejects so many requests with this, and remembers the numbers and the times of all.
struct Rejects {
    rejection: Rejection,
    times: usize,
    seen: Mutex<Vec<(String, Instant)>>,
}

impl Rejects {
    fn new(rejection: Rejection, times: usize) -> Arc<Self> {
        Arc::new(Rejects { rejection, times, seen: Mutex::default() })
    }

    fn pauses(&self) -> Vec<Duration> {
        self.seen.lock().unwrap().windows(2).map(|two| two[1].1 - two[0].1).collect()
    }
}

#[async_trait]
impl Layer for Rejects {
    async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
        let mut seen = self.seen.lock().unwrap();
        seen.push((request.sn().map(ToString::to_string).unwrap_or_default(), Instant::now()));
        if seen.len() <= self.times { Err(self.rejection.clone()) } else { Ok(()) }
    }
}

fn busy() -> Rejection {
    Rejection::new(RejectionCode::Busy, "not now")
}

pub(super) async fn what_never_ran_is_tried_again_under_a_new_number<S: Setting>(setting: &S) {
    let layer = Rejects::new(busy(), 2);
    let agent = agent_with(setting, |builder| builder.layer(Arc::clone(&layer))).await;
    let (_caller, probe) = caller(setting, "caller").await;
    // Not idempotent: it never ran, so it may.
    agent.watch.open(1);
    assert_eq!(probe.hold("it").retry(Retry::default()).await.unwrap(), "it");
    let seen = layer.seen.lock().unwrap();
    assert_eq!((seen.len(), agent.watch.ran()), (3, 1));
    assert!(seen[0].0 != seen[1].0 && seen[1].0 != seen[2].0, "{seen:?}");
}

pub(super) async fn pauses_grow_and_differ_and_honour_a_hint<S: Setting>(setting: &S) {
    let (least, most) = (Duration::from_millis(20), Duration::from_millis(80));
    let (layer, hint) = (Rejects::new(busy().retry_after(most * 3), 1), most * 3);
    let agent = agent_with(setting, |builder| builder.layer(Arc::clone(&layer))).await;
    let (endpoint, probe) = caller(setting, "caller").await;
    probe.echo("x").retry(Retry::default().pause(least, most)).await.unwrap();
    assert!(layer.pauses().iter().all(|pause| *pause >= hint), "{:?}", layer.pauses());
    drop((agent, endpoint));

    let layer = Rejects::new(busy(), 6);
    let _agent = agent_with(setting, |builder| builder.layer(Arc::clone(&layer))).await;
    let (_caller, probe) = caller(setting, "other").await;
    probe.echo("x").retry(Retry::default().attempts(7).pause(least, most)).await.unwrap();
    for (pause, times) in layer.pauses().iter().zip([1, 2, 4, 4, 4, 4]) {
        assert!(*pause >= least * times / 2, "{:?}", layer.pauses());
    }
}

pub(super) async fn what_may_have_run_is_tried_again_only_if_it_is_idempotent<S: Setting>(setting: &S) {
    let (mut agent, (endpoint, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let policy = Retry::default().each(EACH).attempts(3).pause(Duration::from_millis(1), Duration::from_millis(2));
    // Not idempotent: once, and the first error as it is.
    let error = probe.hold("once").retry(policy).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { phase: Phase::Total, after } if after == EACH), "{error:?}");
    assert_eq!((error.fate(), error.attempts()), (Fate::MayHaveRun, 1));
    assert_eq!(agent.watch.began().await, "once");
    // Without a contract nobody knows whether it is.
    let dynamic = endpoint.peer("agent").class("probe").call::<String>("hold_again", json!({"name": "unknown"}));
    assert_eq!(dynamic.retry(policy).await.unwrap_err().attempts(), 1);
    assert_eq!(agent.watch.began().await, "unknown");
    // Idempotent: it is.
    let error = probe.hold_again("often").retry(policy).await.unwrap_err();
    assert_eq!((error.fate(), error.attempts(), error.is_retryable()), (Fate::MayHaveRun, 3, false));
    assert!(matches!(error.last(), CallError::Timeout { .. }));
    assert!(error.to_string().starts_with("3 attempts failed, the last so: timed out after 250ms"), "{error}");
    assert_eq!(agent.watch.began().await, "often");
}

pub(super) async fn a_late_outcome_is_asked_for_again_and_not_run_again<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let call = tokio::spawn(probe.hold_again("x").retry(Retry::default().each(EACH).attempts(9)).into_future());
    assert_eq!(agent.watch.began().await, "x");
    // Longer than an attempt: the answer is to one that came later.
    tokio::time::sleep(EACH * 4).await;
    agent.watch.open(1);
    assert_eq!(call.await.unwrap().unwrap(), "x");
    assert_eq!(agent.watch.ran(), 1);
    assert!(agent.endpoint.figures()[0].attached >= 1);
}

pub(super) async fn no_attempt_outlasts_the_total_time<S: Setting>(setting: &S) {
    // The agent's hint is beyond the call's time, and not waited for.
    let layer = Rejects::new(busy().retry_after(Duration::from_secs(600)), 1000);
    let agent = agent_with(setting, |builder| builder.layer(Arc::clone(&layer))).await;
    let (_caller, probe) = caller(setting, "caller").await;
    let (time, began) = (Duration::from_secs(30), Instant::now());
    let error = probe.hold("x").timeout(time).retry(Retry::default().attempts(1000)).await.unwrap_err();
    assert!(began.elapsed() < time);
    // Nothing ran: as safe to try again as before.
    assert_eq!((error.attempts(), error.fate(), error.is_retryable()), (1, Fate::NeverRan, true));
    assert_eq!(agent.watch.ran(), 0);
}

pub(super) async fn one_ambiguous_attempt_makes_the_whole_call_ambiguous<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let policy = Retry::default().each(EACH).attempts(3).pause(EACH, EACH);
    let call = tokio::spawn(probe.hold_again("x").retry(policy).into_future());
    assert_eq!(agent.watch.began().await, "x");
    drop(agent.endpoint);
    // Whether the last attempt waited for nobody or found nobody: the first may have run.
    let error = call.await.unwrap().unwrap_err();
    assert_eq!((error.fate(), error.is_retryable()), (Fate::MayHaveRun, false), "{error}");
    assert!(error.is_ambiguous() && error.attempts() > 1, "{error}");
}

pub(super) async fn what_the_method_answered_is_never_tried_again<S: Setting>(setting: &S) {
    let (agent, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let error = probe.fail(7).retry(Retry::default()).await.unwrap_err();
    assert_eq!((error.attempts(), error.fate()), (1, Fate::Ran), "{error:?}");
    assert_eq!(agent.watch.ran(), 1);
}

pub(super) async fn a_one_way_call_is_sent_again_only_if_it_never_left<S: Setting>(setting: &S) {
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let policy = Retry::default().attempts(100).pause(Duration::from_millis(20), Duration::from_millis(20));
    let refused = |passed: &Passed| matches!(passed, Passed::Refused(message) if calls("note")(message));
    // The link is down, and comes back.
    caller.tap.break_with(Some(TransportErrorKind::Disconnected));
    let note = tokio::spawn(caller.probe.note("at last").retry(policy).into_future());
    caller.tap.until(2, "it is tried again", refused).await;
    caller.tap.break_with(None);
    let sn = note.await.unwrap().unwrap();
    assert_eq!(agent.watch.began().await, "at last");
    // Each attempt is a request of its own, and the serial number is that of the last.
    assert_eq!(caller.tap.last(calls("note")).0.head.sn, Some(sn.clone()));
    let tried = caller.tap.passed().into_iter().filter_map(|passed| match passed {
        Passed::Refused(message) | Passed::Published(message, _) if calls("note")(&message) => message.head.sn.clone(),
        _ => None,
    });
    let tried: Vec<_> = tried.collect();
    let numbers: HashSet<_> = tried.iter().collect();
    assert!(tried.len() > 2 && numbers.len() == tried.len() && tried.last() == Some(&sn), "{tried:?}");
    let before = caller.tap.count(refused);
    // Whether it left is not known.
    caller.tap.break_with(Some(TransportErrorKind::Ambiguous));
    let error = caller.probe.note("perhaps").retry(policy).await.unwrap_err();
    assert_eq!((error.attempts(), error.fate()), (1, Fate::MayHaveRun), "{error:?}");
    // And never: as often as it may be tried.
    caller.tap.break_with(Some(TransportErrorKind::Disconnected));
    let error = caller.probe.note("never").retry(policy.attempts(3)).await.unwrap_err();
    assert_eq!((error.attempts(), error.fate(), error.is_retryable()), (3, Fate::NeverRan, true), "{error:?}");
    assert_eq!(caller.tap.count(refused), before + 4);
    caller.tap.break_with(None);
    assert_eq!(caller.probe.echo("behind them").await.unwrap(), "behind them");
    assert_eq!(agent.watch.ran(), 2);
}

pub(super) async fn a_lost_reply_is_asked_for_under_a_new_number<S: Setting>(setting: &S) {
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    // Where nobody can be asked what became of it.
    caller.tap.misroute(calls("resume"));
    let call = tokio::spawn(caller.probe.hold_again("x").retry(Retry::default()).into_future());
    assert_eq!(agent.watch.began().await, "x");
    caller.tap.lose(OUTAGE).await;
    assert_eq!(agent.watch.began().await, "x");
    agent.watch.open(2);
    assert_eq!(call.await.unwrap().unwrap(), "x");
    // What is not idempotent is not.
    let call = tokio::spawn(caller.probe.hold("y").retry(Retry::default()).into_future());
    while agent.watch.next().await != Seen::Began("y".to_owned()) {}
    caller.tap.lose(OUTAGE).await;
    let answer = call.await.unwrap();
    assert!(matches!(answer, Err(CallError::ReplyLost)), "{answer:?}");
}

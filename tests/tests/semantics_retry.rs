//! Trying again: what never ran, and what may run twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    future::IntoFuture,
    sync::{Arc, Mutex},
    time::Duration,
};

use rmi_core::{
    CallError,
    call::Retry,
    error::{Fate, Phase},
    layer::{Incoming, Layer, async_trait},
    message::{Rejection, RejectionCode},
};
use rmi_tests::world::World;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// Rejects so many requests with this, and remembers the numbers and the times of all.
struct Rejects {
    rejection: Rejection,
    times: usize,
    seen: Mutex<Vec<(String, Instant)>>,
}

impl Rejects {
    fn new(code: RejectionCode, times: usize) -> Self {
        Rejects { rejection: Rejection::new(code, "x"), times, seen: Mutex::default() }
    }

    fn seen(&self) -> Vec<(String, Instant)> {
        self.seen.lock().unwrap().clone()
    }
}

#[async_trait]
impl Layer for Rejects {
    async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
        let mut seen = self.seen.lock().unwrap();
        seen.push((request.sn().unwrap().to_string(), Instant::now()));
        if seen.len() <= self.times { Err(self.rejection.clone()) } else { Ok(()) }
    }
}

/// An agent that cannot be asked for lost outcomes.
struct NoAdmin;

#[async_trait]
impl Layer for NoAdmin {
    async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
        match request.contract().name {
            "Admin" => Err(Rejection::new(RejectionCode::Authorization, "not here")),
            _ => Ok(()),
        }
    }
}

fn pauses(seen: &[(String, Instant)]) -> Vec<Duration> {
    seen.windows(2).map(|two| two[1].1 - two[0].1).collect()
}

#[tokio::test(start_paused = true)]
async fn what_never_ran_is_tried_again_under_a_new_number() {
    for world in World::both() {
        let layer = Arc::new(Rejects::new(RejectionCode::Busy, 2));
        let agent = world.agent_with("agent", |b| b.layer(Arc::clone(&layer))).await;
        let caller = world.caller("caller").await;
        // Not idempotent: it never ran, so it may.
        assert_ne!(caller.probe().task().retry(Retry::default()).await.unwrap(), "none");
        let seen = layer.seen();
        assert_eq!(seen.len(), 3);
        assert!(seen[0].0 != seen[1].0 && seen[1].0 != seen[2].0);
        assert_eq!(agent.endpoint.figures()[0].rejected, 2);
    }
    // Nobody there, until somebody is.
    for world in World::both() {
        let caller = world.caller("caller").await;
        let call = caller.probe().task().retry(Retry::default().attempts(20).pause(SECOND, SECOND)).timeout(SECOND * 60);
        let late = async {
            sleep(SECOND * 5).await;
            world.agent("agent").await
        };
        let (answer, _agent) = tokio::join!(call.into_future(), late);
        assert_ne!(answer.unwrap(), "none");
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_and_differ_and_honour_a_hint() {
    for world in World::both() {
        let layer = Arc::new(Rejects::new(RejectionCode::Busy, 9));
        let _agent = world.agent_with("agent", |b| b.layer(Arc::clone(&layer))).await;
        let caller = world.caller("caller").await;
        let policy = Retry::default().attempts(10).pause(SECOND, SECOND * 4);
        caller.probe().task().timeout(SECOND * 90).retry(policy).await.unwrap();
        let pauses = pauses(&layer.seen());
        for (pause, most) in pauses.iter().zip([1, 2, 4, 4, 4, 4, 4, 4, 4]) {
            assert!(*pause >= SECOND * most / 2 && *pause <= SECOND * most + Duration::from_millis(2), "{pauses:?}");
        }
        assert!(pauses[2..].windows(2).any(|two| two[0].abs_diff(two[1]) > Duration::from_millis(5)), "{pauses:?}");
    }
    for world in World::both() {
        let rejects = Rejects::new(RejectionCode::RateLimited, 2);
        let layer = Arc::new(Rejects { rejection: rejects.rejection.clone().retry_after(SECOND * 7), ..rejects });
        let _agent = world.agent_with("agent", |b| b.layer(Arc::clone(&layer))).await;
        let caller = world.caller("caller").await;
        caller.probe().task().retry(Retry::default()).await.unwrap();
        assert!(pauses(&layer.seen()).iter().all(|pause| *pause >= SECOND * 7));
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_have_run_is_tried_again_only_if_it_is_idempotent() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let policy = Retry::default().each(SECOND);
        // Not idempotent: once, and the first error as it is.
        let error = caller.probe().hold("once").retry(policy).await.unwrap_err();
        assert!(matches!(error, CallError::Timeout { phase: Phase::Total, after } if after == SECOND), "{error:?}");
        assert_eq!((error.fate(), error.attempts()), (Fate::MayHaveRun, 1));
        // Without a contract nobody knows whether it is.
        let dynamic = caller.endpoint.peer("agent").class("probe").call::<String>("hold_again", ["unknown"]);
        assert_eq!(dynamic.retry(policy).await.unwrap_err().attempts(), 1);
        assert_eq!(agent.watch.ran(), 2);
        // Idempotent: it is.
        let error = caller.probe().hold_again("often").retry(policy).await.unwrap_err();
        assert_eq!((error.fate(), error.attempts(), error.is_retryable()), (Fate::MayHaveRun, 4, false));
        assert!(matches!(error.last(), CallError::Timeout { .. }));
        assert!(error.to_string().starts_with("4 attempts failed, the last so: timed out after 1s"), "{error}");
        agent.watch.began_all(["once", "unknown", "often"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_outcome_is_asked_for_again_and_not_run_again() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let call = caller.probe().hold_again("x").retry(Retry::default().each(SECOND).attempts(9));
        let open = async {
            sleep(SECOND * 3).await;
            agent.watch.open(1);
        };
        let (answer, ()) = tokio::join!(call.into_future(), open);
        assert_eq!(answer.unwrap(), "x");
        agent.watch.ended("x").await;
        let figures = agent.endpoint.figures()[0];
        assert_eq!(agent.watch.ran(), 1);
        assert!(figures.attached >= 1, "{figures:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_asked_for_under_a_new_number() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent_with("agent", |b| b.layer(NoAdmin)).await, world.caller("caller").await);
        let call = caller.probe().hold_again("x").retry(Retry::default()).into_future();
        let break_it = async {
            assert_eq!(agent.watch.began().await, "x");
            caller.tap.lose(SECOND).await;
            assert_eq!(agent.watch.began().await, "x");
            agent.watch.open(2);
        };
        let (answer, ()) = tokio::join!(call, break_it);
        assert_eq!(answer.unwrap(), "x");
        // What is not idempotent is not.
        let call = caller.probe().hold("y").retry(Retry::default()).into_future();
        let break_it = async {
            while agent.watch.next().await != rmi_tests::probe::Seen::Began("y".to_owned()) {}
            caller.tap.lose(SECOND).await;
        };
        let (answer, ()) = tokio::join!(call, break_it);
        assert!(matches!(answer, Err(CallError::ReplyLost)), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_attempt_outlasts_the_total_time() {
    for world in World::both() {
        let layer = Arc::new(Rejects::new(RejectionCode::Busy, 1000));
        let agent = world.agent_with("agent", |b| b.layer(Arc::clone(&layer))).await;
        let caller = world.caller("caller").await;
        let began = Instant::now();
        let policy = Retry::default().attempts(1000).pause(SECOND, SECOND);
        let error = caller.probe().task().timeout(SECOND * 10).retry(policy).await.unwrap_err();
        assert!(began.elapsed() > SECOND * 8 && began.elapsed() <= SECOND * 10);
        // Nothing ran in any attempt: as safe to try again as the first.
        assert_eq!((error.fate(), error.is_retryable()), (Fate::NeverRan, true));
        assert_eq!(error.attempts() as usize, layer.seen().len());
        // A hint that is beyond the time is not waited for.
        drop(agent);
        let caller = world.caller("other").await;
        let rejects = Rejects::new(RejectionCode::Busy, 1000);
        let patient = Rejects { rejection: rejects.rejection.clone().retry_after(SECOND * 60), ..rejects };
        let _agent = world.agent_with("agent", |b| b.layer(patient)).await;
        let began = Instant::now();
        let error = caller.probe().task().timeout(SECOND * 30).retry(policy).await.unwrap_err();
        assert_eq!((error.attempts(), began.elapsed().as_secs()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn one_ambiguous_attempt_makes_the_whole_call_ambiguous() {
    for world in World::both() {
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let call = caller.probe().hold_again("x").retry(Retry::default().each(SECOND).attempts(3).pause(SECOND, SECOND));
        let leave = async {
            sleep(SECOND + Duration::from_millis(100)).await;
            drop(agent.endpoint);
        };
        let (answer, ()) = tokio::join!(call.into_future(), leave);
        let error = answer.unwrap_err();
        // Whether the last attempt waited for nobody or found nobody: the first may have run.
        assert_eq!((error.fate(), error.is_retryable()), (Fate::MayHaveRun, false), "{error}");
        assert!(error.is_ambiguous() && error.attempts() > 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_method_answered_is_never_tried_again() {
    for world in World::both() {
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let error = caller.probe().fail(7).retry(Retry::default()).await.unwrap_err();
        assert!(matches!(error, CallError::Remote(rmi_tests::probe::ProbeError::Broken { code: 7 })));
        assert_eq!(agent.watch.ran(), 1);
        let error = caller.endpoint.peer("agent").class("probe").call::<()>("missing", ()).retry(Retry::default()).await;
        assert_eq!(error.unwrap_err().attempts(), 1);
    }
}

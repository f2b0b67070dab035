//! Pauses and attempts by a paused clock: their exact bounds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    future::IntoFuture,
    sync::{Arc, Mutex},
    time::Duration,
};

use rmi_core::{
    call::Retry,
    error::Fate,
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

fn pauses(seen: &[(String, Instant)]) -> Vec<Duration> {
    seen.windows(2).map(|two| two[1].1 - two[0].1).collect()
}

#[tokio::test(start_paused = true)]
async fn pauses_are_between_half_and_all_of_what_the_policy_says() {
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
async fn attempts_go_on_until_the_total_time() {
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
async fn who_is_not_there_is_called_until_he_is() {
    for world in World::both() {
        let caller = world.caller("caller").await;
        let call = caller.probe().task().retry(Retry::default().attempts(20).pause(SECOND, SECOND)).timeout(SECOND * 60);
        let note = caller.probe().note("late").retry(Retry::default().attempts(20).pause(SECOND, SECOND)).timeout(SECOND * 60);
        let late = async {
            sleep(SECOND * 5).await;
            world.agent("agent").await
        };
        let (answer, noted, agent) = tokio::join!(call.into_future(), note.into_future(), late);
        assert_ne!(answer.unwrap(), "none");
        noted.unwrap();
        world.settle().await;
        assert_eq!(agent.watch.ran(), 1, "the note: `task` is not counted");
    }
}

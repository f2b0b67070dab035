//! What was rejected before it was taken stays so over a restart: its caller was told that it never ran, and may have sent another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rmi_core::{
    journal::{JournalErrorKind, Step},
    layer::{Incoming, Layer, async_trait},
    message::{Rejection, RejectionCode},
};
use rmi_tests::{
    journal::{Paper, crash, durable, durable_with, how, outcome, request},
    raw::is_outcome,
    tap::Event,
    world::World,
};

/// Lets nobody in.
struct Forbids;

#[async_trait]
impl Layer for Forbids {
    async fn admit(&self, _request: &Incoming) -> Result<(), Rejection> {
        Err(Rejection::new(RejectionCode::Authorization, "not yet"))
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_rejected_stays_rejected_over_a_restart() {
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let agent = durable_with(&world, &paper, |b| b.layer(Forbids)).await;
        let it = request(&world, "hold", "it");
        world.post(&it).await;
        assert_eq!(how(&outcome(&mut replies).await), "rejected security.authorization");
        let mut paper = crash(agent, &paper);
        for _ in 0..2 {
            let agent = durable(&world, &paper).await;
            agent.watch.open(1);
            world.post(&it).await;
            assert_eq!(how(&outcome(&mut replies).await), "rejected security.authorization");
            world.settle().await;
            assert_eq!(agent.watch.ran(), 0);
            paper = crash(agent, &paper);
        }
    }
}

/// Told first, it would be believed before it is so.
#[tokio::test(start_paused = true)]
async fn a_rejection_is_written_down_before_it_is_told() {
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let agent = durable_with(&world, &paper, |b| b.layer(Forbids)).await;
        paper.hold();
        world.post(&request(&world, "hold", "it")).await;
        paper.until_waiting(1, "it is to be written", |step| matches!(step, Step::Refused { .. })).await;
        let told = |event: &Event| matches!(event, Event::Published(m) if is_outcome(m));
        assert_eq!(agent.tap.count(told), 0);
        paper.release();
        assert_eq!(how(&outcome(&mut replies).await), "rejected security.authorization");
        // Where it cannot be written it is told all the same, and counted.
        paper.fail(Some(JournalErrorKind::Disk));
        world.post(&request(&world, "hold", "another")).await;
        assert_eq!(how(&outcome(&mut replies).await), "rejected security.authorization");
        assert_eq!(agent.endpoint.figures()[0].outcomes_unjournalled, 1);
    }
}

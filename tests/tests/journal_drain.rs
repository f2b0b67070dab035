//! How an endpoint with a journal ends: what it keeps, what it runs, and that it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use async_trait::async_trait;
use rmi_core::journal::{Commit, Journal, JournalError, Recovered, Step};
use rmi_tests::{
    journal::{Paper, durable, how, outcome, request, started},
    soon::soon,
    world::World,
};

#[tokio::test(start_paused = true)]
async fn a_drain_runs_what_is_written_down_as_started() {
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let agent = durable(&world, &paper).await;
        paper.hold();
        world.post(&request(&world, "hold", "it")).await;
        paper.until_waiting(1, "it is to be written", started).await;
        let endpoint = agent.endpoint.clone();
        let mut drain = Box::pin(async move { endpoint.shutdown(Duration::from_secs(30)).await });
        assert!(waits(&mut drain).await, "it waits for what is being written");
        agent.watch.open(1);
        paper.release();
        let drained = drain.await.unwrap();
        assert_eq!((drained.left_behind, drained.kept, agent.watch.ran()), (0, 0, 1));
        assert_eq!(how(&outcome(&mut replies).await), "result");
    }
}

/// Polls it once. True when it is not ready.
async fn waits<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending())).await
}

/// A journal on a disk that does not answer any more.
#[derive(Debug, Default)]
struct Stuck(Paper);

#[async_trait]
impl Journal for Stuck {
    fn is_durable(&self) -> bool {
        true
    }

    async fn recover(&self) -> Result<Recovered, JournalError> {
        self.0.recover().await
    }

    fn record(&self, steps: Vec<Step>) -> Commit {
        self.0.record(steps)
    }

    fn note(&self, steps: Vec<Step>) {
        self.0.note(steps);
    }

    async fn close(&self) -> Result<(), JournalError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_whatever_the_disk_does() {
    let world = World::unsealed();
    let agent = world.agent_with("agent", |b| b.journal(Stuck::default()).queue_of_its_own()).await;
    let drained = soon("the drain", agent.endpoint.shutdown(Duration::from_secs(30))).await.unwrap();
    assert_eq!(drained.left_behind, 0);
}

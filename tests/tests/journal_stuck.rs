//! A disk that does not answer: nothing waits for it for ever, and nothing is said that may turn out to be wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rmi_core::journal::JournalErrorKind;
use rmi_tests::{
    journal::{Paper, accepted, concluded, durable, how, outcome, request, started},
    world::World,
};

#[tokio::test(start_paused = true)]
async fn a_disk_that_does_not_answer_is_waited_for_so_long() {
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let mut agent = durable(&world, &paper).await;
        world.post(&request(&world, "hold", "runs")).await;
        agent.watch.began_all(["runs"]).await;
        paper.hold();
        assert!(agent.endpoint.journal_failing().is_none());
        world.post(&request(&world, "hold", "new")).await;
        paper.until_waiting(1, "it is to be written", accepted).await;
        // Whether it is on the disk nobody knows: so it is not said that it never runs.
        let told = outcome(&mut replies).await;
        assert_eq!((how(&told).as_str(), told["sn"].as_str()), ("exception Interrupted", Some("new")));
        assert_eq!(agent.endpoint.journal_failing().unwrap().kind, JournalErrorKind::Stuck);
        // What runs comes to its end, and its caller is told.
        agent.watch.open(1);
        let told = outcome(&mut replies).await;
        assert_eq!((how(&told).as_str(), told["sn"].as_str()), ("result", Some("runs")));
        let figures = agent.endpoint.figures()[0];
        assert_eq!((agent.watch.ran(), figures.unjournalled, figures.outcomes_unjournalled), (1, 1, 1));
        // When the disk answers, everything is as it was told, and requests are taken.
        paper.release();
        world.post(&request(&world, "echo", "well")).await;
        assert_eq!(how(&outcome(&mut replies).await), "result");
        assert!(agent.endpoint.journal_failing().is_none());
        paper.until(2, "the outcomes are written, once each", concluded).await;
        assert_eq!((paper.count(concluded), paper.count(started), agent.watch.ran()), (2, 3, 2), "it has not run");
        let left: Vec<_> = paper.read().requests.into_iter().map(|it| it.entry.sn).collect();
        assert!(!left.iter().flatten().any(|sn| sn.as_str() == "new"), "it will not run: {left:?}");
    }
}

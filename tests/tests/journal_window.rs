//! The duplicate window and its floors are after a restart what they were before it, and bound the journal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rmi_core::{
    endpoint::{Builder, WindowSize},
    journal::{JournalErrorKind, State, Step},
    time::Clock,
};
use rmi_tests::{
    journal::{Paper, concluded, crash, durable_with, how, outcome, request},
    world::World,
};

fn window(requests: usize) -> impl Fn(Builder) -> Builder {
    move |builder| builder.window(WindowSize::default().requests(requests))
}

#[tokio::test(start_paused = true)]
async fn the_window_is_after_a_restart_as_it_was_before() {
    let world = World::sealed();
    let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
    let agent = durable_with(&world, &paper, window(3)).await;
    let mut posted = Vec::new();
    for number in 0..80 {
        world.clock.advance(Duration::from_millis(10));
        posted.push(request(&world, "echo", &number.to_string()));
        world.post(&posted[number]).await;
        assert_eq!(how(&outcome(&mut replies).await), "result");
    }
    let again = |agent: &rmi_tests::world::Agent| agent.watch.ran();
    let mut expected = Vec::new();
    let (mut agent, mut paper) = (agent, paper);
    for round in 0..3 {
        let ran = again(&agent);
        let mut told = Vec::new();
        for it in [&posted[79], &posted[77], &posted[76], &posted[0]] {
            world.post(it).await;
            told.push(how(&outcome(&mut replies).await));
        }
        // The same number with another text.
        let other = request(&world, "echo", "other").sn("78");
        world.post(&other).await;
        told.push(how(&outcome(&mut replies).await));
        if round == 0 {
            assert_eq!(told[..4], ["result", "result", "rejected request.stale", "rejected request.stale"]);
            assert_eq!(told[4], "rejected request.reused");
            expected.clone_from(&told);
        }
        assert_eq!((told, again(&agent)), (expected.clone(), ran), "round {round}");
        // What has been confirmed is written down, so that nothing is sent again.
        world.settle().await;
        paper.release();
        paper = crash(agent, &paper);
        agent = durable_with(&world, &paper, window(3)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_leaves_the_window_leaves_the_journal() {
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let small = |b: Builder| b.window(WindowSize::default().requests(20).bytes(3000));
        let agent = durable_with(&world, &paper, small).await;
        for number in 0..500 {
            // Every hundredth has an outcome that weighs something.
            let name = if number % 100 == 0 { format!("{number}{}", "x".repeat(1000)) } else { number.to_string() };
            world.clock.advance(Duration::from_millis(10));
            world.post(&request(&world, "echo", &name).sn(&number.to_string())).await;
            assert_eq!(how(&outcome(&mut replies).await), "result");
        }
        let known = paper.read();
        assert!(known.requests.len() <= 20 + 64, "{}", known.requests.len());
        assert!(known.requests.len() >= 20);
        assert_eq!(paper.count(|step| matches!(step, Step::Faded { .. })), 0);
        // What is written down of each outcome once it is confirmed is the outcome alone.
        let confirmed = known.requests.iter().filter(|r| r.accepted.is_none()).count();
        assert!(confirmed >= known.requests.len() - 2, "{confirmed}");
        let mut big = Vec::new();
        for number in 0..9 {
            let name = format!("{number}{}", "y".repeat(1000));
            world.clock.advance(Duration::from_millis(10));
            big.push(request(&world, "echo", &name).sn(&format!("big {number}")));
            world.post(&big[number]).await;
            assert_eq!(how(&outcome(&mut replies).await), "result");
        }
        paper.release();
        let known = paper.read();
        let kept: usize =
            known.requests.iter().filter(|r| matches!(&r.state, State::Concluded(o) if format!("{o:?}").len() > 999)).count();
        assert!(kept <= 3, "{kept}");
        assert!(known.requests.iter().any(|r| r.state == State::Faded));
        let ran = agent.watch.ran();
        let agent_after = durable_with(&world, &crash(agent, &paper), small).await;
        // It is known that it ran, and not how it ended.
        world.post(&big[3]).await;
        assert_eq!((how(&outcome(&mut replies).await).as_str(), agent_after.watch.ran()), ("rejected request.stale", 0));
        assert_eq!(ran, 509);
    }
}

#[tokio::test(start_paused = true)]
async fn floors_outlast_those_who_were_forgotten() {
    let world = World::sealed();
    let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
    let agent = durable_with(&world, &paper, window(2)).await;
    let first = request(&world, "echo", "first");
    world.post(&first).await;
    assert_eq!(how(&outcome(&mut replies).await), "result");
    for number in 0..200 {
        world.clock.advance(Duration::from_millis(10));
        world.post(&request(&world, "echo", &number.to_string())).await;
        assert_eq!(how(&outcome(&mut replies).await), "result");
    }
    paper.release();
    // It is neither in the journal any more, nor is it new.
    assert!(paper.read().requests.iter().all(|r| r.entry.sn.as_ref().unwrap().as_str() != "first"));
    let paper = crash(agent, &paper);
    let agent = durable_with(&world, &paper, window(50_000)).await;
    world.post(&first).await;
    assert_eq!(how(&outcome(&mut replies).await), "rejected request.stale");
    assert_eq!(agent.watch.ran(), 0);
    // Another principal's floor is its own.
    world.post(&request(&world, "echo", "other").from("other").sent(first_date(&first))).await;
    assert_eq!(how(&outcome(&mut replies).await), "result");
    assert_eq!(paper.count(concluded), paper.read().requests.len() + paper.count(|s| matches!(s, Step::Forgotten { .. })));
}

fn first_date(request: &rmi_tests::raw::Raw) -> rmi_core::time::Timestamp {
    rmi_core::time::Timestamp::parse(request.0["timestamp"].as_str().unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn where_records_are_lost_nothing_that_came_before_is_taken_for_new() {
    let world = World::sealed();
    let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
    let agent = durable_with(&world, &paper, |b| b).await;
    let old = request(&world, "hold", "old");
    agent.watch.open(1);
    world.post(&old).await;
    assert_eq!(how(&outcome(&mut replies).await), "result");
    world.clock.advance(Duration::from_secs(1));
    let paper = crash(agent, &paper);
    paper.lose(1);
    let agent = durable_with(&world, &paper, |b| b).await;
    world.post(&old).await;
    assert_eq!(how(&outcome(&mut replies).await), "rejected request.stale");
    world.clock.advance(Duration::from_secs(1));
    agent.watch.open(1);
    world.post(&request(&world, "hold", "new")).await;
    assert_eq!(how(&outcome(&mut replies).await), "result");
    // So it stays.
    let paper = crash(agent, &paper);
    let agent = durable_with(&world, &paper, |b| b).await;
    world.post(&old).await;
    assert_eq!(how(&outcome(&mut replies).await), "rejected request.stale");
    assert_eq!(agent.watch.ran(), 0);
}

/// The disk can be read when the endpoint starts, and written later only.
#[tokio::test(start_paused = true)]
async fn what_follows_from_a_loss_is_written_when_it_can_be() {
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let agent = durable_with(&world, &paper, |b| b).await;
        world.clock.advance(Duration::from_secs(120));
        let paper = crash(agent, &paper);
        paper.lose(1);
        paper.fail(Some(JournalErrorKind::Disk));
        let restarted = world.clock.now();
        let agent = durable_with(&world, &paper, |b| b).await;
        paper.fail(None);
        agent.watch.open(1);
        world.clock.advance(Duration::from_secs(1));
        world.post(&request(&world, "hold", "new")).await;
        assert_eq!(how(&outcome(&mut replies).await), "result");
        let known = paper.read();
        assert_eq!(known.since.values().copied().collect::<Vec<_>>(), [restarted], "what came before may have been lost");
        if world.is_sealed() {
            assert!(known.floors.iter().any(|floor| floor.principal.is_none() && floor.at == restarted));
        }
        drop(crash(agent, &paper));
    }
}

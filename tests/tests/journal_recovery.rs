//! What a durable journal keeps over a crash, whatever the moment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rmi_core::{
    endpoint::Builder,
    journal::{JournalErrorKind, Step},
    transport::Disposition,
};
use rmi_tests::{
    journal::Paper,
    raw::{Mailbox, Raw, is_outcome, kind},
    tap::Event,
    world::{Agent, World},
};
use serde_json::{Value, json};

/// An agent that writes down what it does, at a queue of its own.
async fn agent(world: &World, paper: &Paper) -> Agent {
    agent_with(world, paper, |builder| builder).await
}

async fn agent_with(world: &World, paper: &Paper, special: impl FnOnce(Builder) -> Builder) -> Agent {
    let durable = |builder: Builder| special(builder.journal(paper.clone()).queue_of_its_own());
    world.agent_with("agent", durable).await
}

/// The process is killed: nothing that it does after this is seen by anybody.
fn crash(agent: Agent, paper: &Paper) -> Paper {
    let left = paper.crash();
    agent.tap.hold(|_| true);
    drop(agent);
    left
}

async fn outcome(replies: &mut Mailbox) -> Value {
    replies.conversation().await.pop().unwrap()
}

/// What kind of an outcome it is, with the class of an exception.
fn how(outcome: &Value) -> String {
    match kind(outcome) {
        "exception" => format!("exception {}", outcome["result"]["xclass"].as_str().unwrap_or_default()),
        kind => kind.to_owned(),
    }
}

fn accepted(step: &Step) -> bool {
    matches!(step, Step::Accepted { .. })
}

fn started(step: &Step) -> bool {
    matches!(step, Step::Started { .. })
}

fn concluded(step: &Step) -> bool {
    matches!(step, Step::Concluded { .. })
}

fn acked(event: &Event) -> bool {
    *event == Event::Settled(Disposition::Ack)
}

fn request(world: &World, method: &str, name: &str) -> Raw {
    world.request(method, json!([name])).sn(name).reply_to("box").wants(&[])
}

#[tokio::test(start_paused = true)]
async fn what_is_accepted_is_written_down_before_the_bus_forgets_it() {
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let mut agent = agent(&world, &paper).await;
        paper.hold();
        world.post(&world.request("hold", json!(["it"])).sn("it").reply_to("box")).await;
        paper.until_waiting(1, "it is to be written", started).await;
        world.settle().await;
        // Neither has it run, nor does the bus know, nor the caller.
        assert_eq!((agent.watch.ran(), agent.tap.count(acked)), (0, 1), "the settling request is Admin's");
        paper.release();
        assert_eq!(agent.watch.began().await, "it");
        // The bus is done with it, while it runs.
        agent.tap.until(2, "it is acknowledged", acked).await;
        paper.hold();
        agent.watch.open(1);
        paper.until_waiting(1, "its outcome is to be written", concluded).await;
        world.settle().await;
        let said = |event: &Event| matches!(event, Event::Published(m) if is_outcome(m) && m["sn"] == "it");
        assert_eq!(agent.tap.count(said), 0, "nobody is told before it is written");
        paper.release();
        let told = replies.conversation().await;
        assert_eq!(told.iter().map(kind).collect::<Vec<_>>(), ["accepted", "started", "result"]);
        assert_eq!(agent.endpoint.figures()[0].outcomes_unjournalled, 0);
    }
}

/// Every method to its end, and then a crash at each of its steps.
#[tokio::test(start_paused = true)]
async fn after_a_crash_at_any_step_each_request_has_its_outcome() {
    for world in World::both() {
        let mut replies = world.mailbox("box").await;
        for (method, may_run_twice, name) in [("hold", false, "once"), ("hold_again", true, "again")] {
            let paper = Paper::default();
            let whole = agent(&world, &paper).await;
            let request = request(&world, method, name);
            whole.watch.open(1);
            world.post(&request).await;
            assert_eq!(how(&outcome(&mut replies).await), "result");
            let _ = whole.endpoint.shutdown(Duration::ZERO).await.unwrap();
            let steps = paper.steps();
            let kinds: Vec<&str> = steps
                .iter()
                .map(|step| match step {
                    Step::Since(_) => "since",
                    Step::Accepted { .. } => "accepted",
                    Step::Started { .. } => "started",
                    Step::Concluded { .. } => "concluded",
                    Step::Confirmed { .. } => "confirmed",
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(kinds, ["since", "accepted", "started", "concluded", "confirmed"]);
            for left in 0..=steps.len() {
                let paper = Paper::with(&steps[..left]);
                let mut agent = agent(&world, &paper).await;
                agent.watch.open(9);
                let (runs, comes) = match left {
                    0 | 1 => (0, None),
                    2 => (1, Some("result")),
                    3 if may_run_twice => (1, Some("result")),
                    3 => (0, Some("exception Interrupted")),
                    4 => (0, Some("result")),
                    _ => (0, None),
                };
                let at = format!("{method} after {left} steps, sealed: {}", world.is_sealed());
                if let Some(comes) = comes {
                    assert_eq!(how(&outcome(&mut replies).await), comes, "{at}");
                }
                assert_eq!(agent.watch.ran(), runs, "{at}");
                // Whoever asks again is told the same, and nothing runs any more.
                world.post(&request).await;
                let (again, known) = (how(&outcome(&mut replies).await), left >= 2);
                assert_eq!(again, comes.unwrap_or("result"), "{at}");
                assert_eq!(agent.watch.ran(), if known { runs } else { 1 }, "{at}");
                assert_eq!(agent.endpoint.figures()[0].repeated, u64::from(known), "{at}");
                drop(agent.watch.seen());
                let paper = crash(agent, &paper);
                // And so it is after the next crash.
                let agent = agent_with(&world, &paper, |b| b).await;
                world.post(&request).await;
                loop {
                    // What was not confirmed comes twice.
                    let told = outcome(&mut replies).await;
                    assert_eq!(how(&told), again, "{at}");
                    if agent.endpoint.figures()[0].repeated == 1 {
                        break;
                    }
                }
                world.settle().await;
                drop(crash(agent, &paper));
                drop(replies);
                replies = world.mailbox("box").await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_brings_the_agent_down_too_often_is_poisoned() {
    for world in World::both() {
        let (mut paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        for attempt in 1..=2 {
            let mut agent = agent_with(&world, &paper, |b| b.attempts(2)).await;
            if attempt == 1 {
                world.post(&request(&world, "hold_again", "it")).await;
            }
            assert_eq!(agent.watch.began().await, "it");
            let attempts = paper.count(|s| matches!(s, Step::Started { attempt: a, .. } if *a == attempt));
            assert_eq!(attempts, 1, "counted before it runs");
            paper = crash(agent, &paper);
        }
        let agent = agent_with(&world, &paper, |b| b.attempts(2)).await;
        assert_eq!(how(&outcome(&mut replies).await), "exception Poisoned");
        world.settle().await;
        assert_eq!(agent.watch.ran(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_takes_no_more_requests_and_loses_no_outcome() {
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let mut agent = agent_with(&world, &paper, |b| b.concurrency(2)).await;
        world.post(&request(&world, "hold", "runs")).await;
        world.post(&request(&world, "hold", "runs too")).await;
        agent.watch.began_all(["runs", "runs too"]).await;
        world.post(&request(&world, "hold", "waits")).await;
        world.post(&request(&world, "hold_again", "waits and may run twice")).await;
        paper.until(4, "all are written down", accepted).await;
        paper.fail(Some(JournalErrorKind::Disk));
        assert!(agent.endpoint.journal_failing().is_some());
        world.post(&request(&world, "echo", "late")).await;
        let refused = outcome(&mut replies).await;
        assert_eq!((kind(&refused), &refused["sn"]), ("rejected", &json!("late")));
        assert_eq!(refused["code"], "agent.journal", "{refused}");
        // What runs comes to its end, and its caller is told; what cannot be said to run does not, unless it may run twice.
        agent.watch.open(3);
        let mut told = Vec::new();
        for _ in 0..4 {
            let outcome = outcome(&mut replies).await;
            told.push((outcome["sn"].as_str().unwrap().to_owned(), how(&outcome)));
        }
        told.sort();
        let expected = [
            ("runs", "result"),
            ("runs too", "result"),
            // It may yet run when the agent is started again.
            ("waits", "exception Interrupted"),
            ("waits and may run twice", "result"),
        ];
        assert_eq!(told, expected.map(|(sn, how)| (sn.to_owned(), how.to_owned())));
        let figures = agent.endpoint.figures()[0];
        assert_eq!((agent.watch.ran(), figures.unjournalled, figures.outcomes_unjournalled), (3, 2, 4));
        // When the disk is well again the outcomes are written down after all, and requests are taken.
        paper.fail(None);
        paper.until(4, "the outcomes are written", concluded).await;
        world.post(&request(&world, "echo", "well")).await;
        assert_eq!(how(&outcome(&mut replies).await), "result");
        let paper = crash(agent, &paper);
        let agent = agent_with(&world, &paper, |b| b).await;
        world.settle().await;
        assert_eq!((agent.watch.ran(), agent.endpoint.figures()[0].recovered), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_cancelled_before_it_starts_stays_so_after_a_restart() {
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let mut agent = agent_with(&world, &paper, |b| b.concurrency(1)).await;
        world.post(&request(&world, "hold", "first")).await;
        assert_eq!(agent.watch.began().await, "first");
        world.post(&request(&world, "hold", "second")).await;
        paper.until(2, "both are written down", accepted).await;
        let mut cancelling = world.mailbox("cancelling").await;
        let mut cancel = world.request("cancel", json!(["second"])).sn("cancel").reply_to("cancelling").wants(&[]);
        cancel.0["request"]["classname"] = "Admin".into();
        // Whoever is told that it is cancelled can rely on it.
        paper.hold();
        world.post(&cancel).await;
        paper.until_waiting(1, "the mark is to be written", |s| matches!(s, Step::Cancelled { .. })).await;
        let answered = |event: &Event| matches!(event, Event::Published(m) if m["sn"] == "cancel");
        assert_eq!(agent.tap.count(answered), 0);
        paper.release();
        assert_eq!(how(&outcome(&mut cancelling).await), "result");
        // Its own outcome is not written yet.
        let cut = paper.steps().iter().rposition(|s| matches!(s, Step::Cancelled { .. })).unwrap();
        let steps: Vec<Step> = paper.steps().into_iter().take(cut + 1).filter(|step| !concluded(step)).collect();
        drop(crash(agent, &paper));
        drop(replies);
        replies = world.mailbox("box").await;
        let again = agent_with(&world, &Paper::with(&steps), |b| b).await;
        let mut told = [outcome(&mut replies).await, outcome(&mut replies).await].map(|o| (o["sn"].to_string(), how(&o)));
        told.sort();
        assert_eq!(told[0], ("\"first\"".to_owned(), "exception Interrupted".to_owned()));
        assert_eq!(told[1], ("\"second\"".to_owned(), "exception Cancelled".to_owned()));
        assert_eq!(again.watch.ran(), 0);
    }
}

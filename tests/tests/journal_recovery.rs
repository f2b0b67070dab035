//! What a durable journal keeps over a crash, whatever the moment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{convert::Infallible, time::Duration};

use rmi_core::{
    Endpoint, Native, Trust,
    journal::{JournalErrorKind, Step},
    layer::{Incoming, Layer, async_trait},
    message::{Rejection, RejectionCode},
    remote,
    transport::{Disposition, TransportErrorKind},
};
use rmi_tests::{
    journal::{Paper, accepted, concluded, crash, durable, durable_with, how, outcome, outcomes, request, started},
    probe::{ProbeServer, Watch},
    raw::{is_outcome, kind},
    tap::{Event, Tap},
    world::World,
};
use serde_json::json;

fn acked(event: &Event) -> bool {
    *event == Event::Settled(Disposition::Ack)
}

#[tokio::test(start_paused = true)]
async fn what_is_accepted_is_written_down_before_the_bus_forgets_it() {
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let mut agent = durable(&world, &paper).await;
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
            let whole = durable(&world, &paper).await;
            let request = request(&world, method, name);
            whole.watch.open(1);
            world.post(&request).await;
            assert_eq!(how(&outcome(&mut replies).await), "result");
            let _ = whole.endpoint.shutdown(Duration::ZERO).await.unwrap();
            let steps = paper.steps();
            let kinds: Vec<&str> = steps
                .iter()
                .map(|step| match step {
                    Step::Since { .. } => "since",
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
                let mut agent = durable(&world, &paper).await;
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
                let agent = durable_with(&world, &paper, |b| b).await;
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
            let mut agent = durable_with(&world, &paper, |b| b.attempts(2)).await;
            if attempt == 1 {
                world.post(&request(&world, "hold_again", "it")).await;
            }
            assert_eq!(agent.watch.began().await, "it");
            let attempts = paper.count(|s| matches!(s, Step::Started { attempt: a, .. } if *a == attempt));
            assert_eq!(attempts, 1, "counted before it runs");
            paper = crash(agent, &paper);
        }
        let agent = durable_with(&world, &paper, |b| b.attempts(2)).await;
        assert_eq!(how(&outcome(&mut replies).await), "exception Poisoned");
        world.settle().await;
        assert_eq!(agent.watch.ran(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_takes_no_more_requests_and_loses_no_outcome() {
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let mut agent = durable_with(&world, &paper, |b| b.concurrency(2)).await;
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
        assert_eq!((how(&refused).as_str(), &refused["sn"]), ("rejected agent.journal", &json!("late")));
        // What runs comes to its end, and its caller is told; what cannot be said to run does not, unless it may run twice.
        agent.watch.open(3);
        let told = outcomes(&mut replies, 4).await;
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
        let agent = durable_with(&world, &paper, |b| b).await;
        world.settle().await;
        assert_eq!((agent.watch.ran(), agent.endpoint.figures()[0].recovered), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_cancelled_before_it_starts_stays_so_after_a_restart() {
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let mut agent = durable_with(&world, &paper, |b| b.concurrency(1)).await;
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
        let again = durable_with(&world, &Paper::with(&steps), |b| b).await;
        let told = outcomes(&mut replies, 2).await;
        let expected = [("first", "exception Interrupted"), ("second", "exception Cancelled")];
        assert_eq!(told, expected.map(|(sn, how)| (sn.to_owned(), how.to_owned())));
        assert_eq!(again.watch.ran(), 0);
    }
}

/// An agent that has so many requests waiting when it is killed, behind one that runs.
async fn killed_with(world: &World, waiting: &[rmi_tests::raw::Raw]) -> Paper {
    let paper = Paper::default();
    let mut agent = durable_with(world, &paper, |b| b.concurrency(1)).await;
    world.post(&request(world, "hold_again", "first")).await;
    assert_eq!(agent.watch.began().await, "first");
    for request in waiting {
        world.post(request).await;
    }
    paper.until(1 + waiting.len(), "they are taken", accepted).await;
    crash(agent, &paper)
}

/// Lets nobody call this method.
struct Forbids(&'static str);

#[async_trait]
impl Layer for Forbids {
    async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
        let forbidden = request.method().name == self.0;
        if forbidden { Err(Rejection::new(RejectionCode::Authorization, "not any more")) } else { Ok(()) }
    }
}

#[tokio::test(start_paused = true)]
async fn who_may_call_is_asked_again_after_a_restart() {
    for world in World::both() {
        let mut replies = world.mailbox("box").await;
        let paper = killed_with(&world, &[request(&world, "hold", "it")]).await;
        let agent = durable_with(&world, &paper, |b| b.layer(Forbids("hold"))).await;
        agent.watch.open(2);
        let expected = [("first", "result"), ("it", "rejected security.authorization")];
        assert_eq!(outcomes(&mut replies, 2).await, expected.map(|(sn, how)| (sn.to_owned(), how.to_owned())));
        assert_eq!(agent.watch.ran(), 1);
    }
    // Whose key has been revoked meanwhile is not heard any more either.
    let world = World::sealed();
    let mut replies = world.mailbox("box").await;
    let paper = killed_with(&world, &[request(&world, "hold", "it")]).await;
    for key in world.keyring.live("caller") {
        world.keyring.revoke(key.key().fingerprint());
    }
    let agent = durable(&world, &paper).await;
    let expected = [("first", "exception Interrupted"), ("it", "rejected security.authentication")];
    assert_eq!(outcomes(&mut replies, 2).await, expected.map(|(sn, how)| (sn.to_owned(), how.to_owned())));
    assert_eq!(agent.watch.ran(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_expires_while_the_agent_is_away_never_runs() {
    for world in World::both() {
        let mut replies = world.mailbox("box").await;
        let short = request(&world, "hold", "short").ttl(Duration::from_secs(5));
        let paper = killed_with(&world, &[short, request(&world, "hold", "long").ttl(Duration::from_secs(60))]).await;
        world.clock.advance(Duration::from_secs(6));
        let agent = durable(&world, &paper).await;
        agent.watch.open(3);
        let expected = [("first", "result"), ("long", "result"), ("short", "rejected request.expired")];
        assert_eq!(outcomes(&mut replies, 3).await, expected.map(|(sn, how)| (sn.to_owned(), how.to_owned())));
        assert_eq!(agent.watch.ran(), 2);
    }
}

/// What an agent of a later version serves.
#[remote(name = "other")]
trait Other {
    async fn nothing(&self) -> Result<(), Infallible>;
}

struct Nothing;

impl Other for Nothing {
    async fn nothing(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_served_after_a_restart_has_an_outcome_that_says_so() {
    for world in World::both() {
        let mut replies = world.mailbox("box").await;
        let paper = killed_with(&world, &[request(&world, "hold", "it")]).await;
        let builder = world.builder("agent", &Tap::on(&world.bus)).serve(OtherServer::new(Nothing));
        let _agent = builder.journal(paper).queue_of_its_own().start().await.unwrap();
        // Of the one that had started nobody can say that it never ran.
        let expected = [("first", "exception Interrupted"), ("it", "exception NamespaceNotFound")];
        assert_eq!(outcomes(&mut replies, 2).await, expected.map(|(sn, how)| (sn.to_owned(), how.to_owned())));
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_by_another_binding_waits_for_that_binding() {
    let world = World::sealed();
    let mut replies = world.mailbox("box").await;
    let paper = killed_with(&world, &[request(&world, "hold", "it")]).await;
    // What only a signature let in is not let in where nobody signs.
    let (probing, watch) = Watch::new();
    let open = Endpoint::builder("agent").bind(Native::default(), Tap::on(&world.bus), Trust::insecure());
    let open = open.serve(ProbeServer::new(probing)).journal(paper.clone()).queue_of_its_own().start().await.unwrap();
    watch.open(9);
    assert_eq!(open.peer("agent").admin().hello().await.unwrap(), "Hello, I am agent");
    assert_eq!((watch.ran(), open.figures()[0].recovered, open.figures()[0].remembered), (0, 0, 1), "the greeting");
    let paper = paper.crash();
    drop(open);
    let agent = durable(&world, &paper).await;
    agent.watch.open(2);
    let expected = [("first", "result"), ("it", "result")];
    assert_eq!(outcomes(&mut replies, 2).await, expected.map(|(sn, how)| (sn.to_owned(), how.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_drain_keeps_what_is_written_down() {
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let mut agent = durable_with(&world, &paper, |b| b.concurrency(1)).await;
        world.post(&request(&world, "hold", "runs")).await;
        assert_eq!(agent.watch.began().await, "runs");
        for waits in ["b", "c"] {
            world.post(&request(&world, "hold", waits)).await;
        }
        paper.until(3, "they are taken", accepted).await;
        let endpoint = agent.endpoint.clone();
        let drain = tokio::spawn(async move { endpoint.shutdown(Duration::from_secs(30)).await });
        agent.watch.open(1);
        let drained = drain.await.unwrap().unwrap();
        assert_eq!((drained.left_behind, drained.kept, agent.watch.ran()), (0, 2, 1));
        assert_eq!(how(&outcome(&mut replies).await), "result");
        let again = durable(&world, &paper.crash()).await;
        again.watch.open(2);
        let expected = [("b", "result"), ("c", "result")];
        assert_eq!(outcomes(&mut replies, 2).await, expected.map(|(sn, how)| (sn.to_owned(), how.to_owned())));
        assert_eq!(again.endpoint.figures()[0].recovered, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_never_taken_runs_when_the_bus_delivers_it_again() {
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let agent = durable(&world, &paper).await;
        // Later than any two clocks may be apart.
        world.clock.advance(Duration::from_secs(120));
        paper.hold();
        world.post(&request(&world, "hold", "it")).await;
        paper.until_waiting(1, "it is to be written", accepted).await;
        let paper = crash(agent, &paper);
        let agent = durable(&world, &paper).await;
        agent.watch.open(1);
        assert_eq!(how(&outcome(&mut replies).await), "result", "it is not idempotent, and it never ran");
        assert_eq!(agent.watch.ran(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn where_agents_share_a_queue_the_bus_keeps_requests() {
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let mut agent = world.agent_with("agent", |b| b.journal(paper.clone())).await;
        world.post(&request(&world, "hold", "it")).await;
        assert_eq!(agent.watch.began().await, "it");
        world.settle().await;
        let before = agent.tap.count(acked);
        agent.watch.open(1);
        assert_eq!(how(&outcome(&mut replies).await), "result");
        agent.tap.until(before + 1, "it is acknowledged after its outcome", acked).await;
        assert_eq!(paper.count(|step| !matches!(step, Step::Since { .. })), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_with_odd_serial_numbers_are_served_safely() {
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let mut agent = durable(&world, &paper).await;
        let longest = "x".repeat(256);
        for (round, sn) in ["../../etc/passwd", "not a UUID", "\u{0}\n", "", &longest].into_iter().enumerate() {
            let it = world.request("hold_again", json!([sn])).sn(sn).reply_to("box").wants(&[]);
            world.post(&it).await;
            assert_eq!(agent.watch.began().await, sn);
            paper.until(round + 1, "it is written down", accepted).await;
        }
        // What is longer, or neither a text nor a number, is refused.
        for sn in [json!("y".repeat(257)), json!({})] {
            world.post(&request(&world, "hold", "odd").with("sn", sn).with("replyto", json!(null))).await;
        }
        world.settle().await;
        let (before, refused) = (agent.watch.ran(), agent.endpoint.figures()[0].malformed);
        let paper = crash(agent, &paper);
        let agent = durable(&world, &paper).await;
        agent.watch.open(99);
        for _ in 0..5 {
            assert_eq!(how(&outcome(&mut replies).await), "result");
        }
        assert_eq!((before, refused, agent.watch.ran()), (5, 2, 5));
        if world.is_sealed() {
            continue;
        }
        // Without one it is served each time that it comes, and forgotten when its outcome has been sent.
        for _ in 0..2 {
            world.post(&request(&world, "echo", "none").with("sn", json!(null))).await;
            assert_eq!(how(&outcome(&mut replies).await), "result");
        }
        let _ = agent.endpoint.shutdown(Duration::ZERO).await.unwrap();
        assert_eq!(paper.read().requests.len(), 5, "those that can be asked for again");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_down_is_not_promised() {
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let mut agent = durable_with(&world, &paper, |b| b.concurrency(1)).await;
        world.post(&request(&world, "hold", "runs")).await;
        assert_eq!(agent.watch.began().await, "runs");
        world.post(&request(&world, "hold", "waits")).await;
        paper.until(2, "both are taken", accepted).await;
        paper.fail(Some(JournalErrorKind::Disk));
        let mut cancel = world.request("cancel", json!(["waits"])).sn("cancel").wants(&[]);
        cancel.0["request"]["classname"] = "Admin".into();
        world.post(&cancel).await;
        let told = outcome(&mut replies).await;
        assert_eq!((told["sn"].as_str(), how(&told).as_str()), (Some("waits"), "exception Interrupted"));
        // And that was well said: the journal knows nothing of it.
        let paper = crash(agent, &paper);
        let agent = durable(&world, &paper).await;
        agent.watch.open(1);
        let expected = [("runs", "exception Interrupted"), ("waits", "result")];
        assert_eq!(outcomes(&mut replies, 2).await, expected.map(|(sn, how)| (sn.to_owned(), how.to_owned())));
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_the_bus_refuses_is_sent_again() {
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let mut agent = durable(&world, &paper).await;
        world.post(&request(&world, "hold", "it")).await;
        assert_eq!(agent.watch.began().await, "it");
        agent.tap.break_with(Some(TransportErrorKind::Full));
        agent.watch.open(1);
        agent.tap.until(20, "it is refused", |event| matches!(event, Event::Refused(_))).await;
        agent.tap.break_with(None);
        assert_eq!(how(&outcome(&mut replies).await), "result");
        world.settle().await;
        paper.release();
        assert_eq!(paper.count(|step| matches!(step, Step::Confirmed { .. })), 1);
        assert_eq!(agent.watch.ran(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_bus_keeps_what_finds_no_room() {
    const MANY: usize = 2000;
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let agent = durable_with(&world, &paper, |b| b.concurrency(4)).await;
        for number in 0..MANY {
            world.post(&request(&world, "hold", &number.to_string())).await;
        }
        paper.until(100, "it takes some", accepted).await;
        // It takes no more than it has room for, and rejects nothing.
        assert!(agent.endpoint.queued() < 200, "{}", agent.endpoint.queued());
        agent.watch.open(MANY);
        for _ in 0..MANY {
            assert_eq!(how(&outcome(&mut replies).await), "result");
        }
        assert_eq!((agent.watch.ran(), agent.endpoint.figures()[0].overloaded), (MANY, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_recovered_has_its_turn_before_what_is_new() {
    for world in World::both() {
        let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
        let sequential = |paper: &Paper| {
            let (probing, watch) = Watch::new();
            let tap = Tap::on(&world.bus);
            let builder = world.builder("agent", &tap).serve_sequential(ProbeServer::new(probing));
            (builder.journal(paper.clone()).queue_of_its_own(), watch, tap)
        };
        let (builder, mut watch, tap) = sequential(&paper);
        let agent = builder.start().await.unwrap();
        for name in ["a", "b", "c"] {
            world.post(&request(&world, "hold_again", name)).await;
        }
        assert_eq!(watch.began().await, "a");
        paper.until(3, "they are taken", accepted).await;
        let left = paper.crash();
        tap.hold(|_| true);
        drop(agent);
        let (builder, mut watch, _tap) = sequential(&left);
        let _agent = builder.start().await.unwrap();
        world.post(&request(&world, "hold_again", "new")).await;
        for name in ["a", "b", "c", "new"] {
            assert_eq!(watch.began().await, name);
            watch.open(1);
            assert_eq!(outcome(&mut replies).await["sn"], name);
            watch.ended(name).await;
        }
    }
}

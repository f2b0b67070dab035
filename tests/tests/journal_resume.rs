//! Who lost its link, or was started again, finds its outcome at an agent that was started again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rmi_core::{
    CallError, Endpoint, Native, Trust, Update,
    call::ResumeError,
    endpoint::{Known, WindowSize},
    error::Fate,
    journal::{JournalErrorKind, Step},
    message::Sn,
    time::{Clock, SystemClock, Timestamp},
    transport::{
        Transport,
        tcp::{Options, Tcp},
    },
};
use rmi_tests::{
    journal::{Paper, crash, durable, durable_with, how, outcome, request, started},
    probe::{ProbeClient, ProbeServer, Watch},
    raw::is_outcome,
    soon::soon,
    tap::Event,
    world::World,
};
use serde_json::json;

/// An agent at a port that is written down by a journal: where replies go by links, and links end with their process.
async fn listening(at: &str, paper: &Paper) -> (Tcp, Endpoint, Watch) {
    let tcp = Tcp::listen(at).await.unwrap();
    let (probing, watch) = Watch::new();
    let builder = Endpoint::builder("agent").bind(Native::new(), tcp.clone(), Trust::insecure()).journal(paper.clone());
    let endpoint = builder.serve(ProbeServer::new(probing)).start().await.unwrap();
    (tcp, endpoint, watch)
}

#[tokio::test]
async fn a_call_by_a_link_survives_its_agent() {
    let paper = Paper::default();
    let (tcp, agent, mut watch) = listening("127.0.0.1:0", &paper).await;
    let at = tcp.local_addr().unwrap().to_string();
    let quick = Duration::from_millis(10);
    let dialled = Tcp::connect(at.clone()).options(Options::default().pauses(quick, quick)).await.unwrap();
    let caller = Endpoint::builder("caller").bind(Native::new(), dialled, Trust::insecure()).start().await.unwrap();
    let probe: ProbeClient = caller.client("agent");
    let (once, again) = (probe.hold("once").send().await.unwrap(), probe.hold_again("again").send().await.unwrap());
    watch.began_all(["once", "again"]).await;
    let left = paper.crash();
    tcp.close().await.unwrap();
    drop((tcp, agent));
    let (_tcp, _agent, mut watch) = listening(&at, &left).await;
    assert_eq!(watch.began().await, "again");
    let error = soon("the interrupted one", once.into_future()).await.unwrap_err();
    assert!(matches!(error, CallError::Interrupted(_)), "{error:?}");
    watch.open(1);
    assert_eq!(soon("the one that runs again", again.into_future()).await.unwrap(), "again");
    assert_eq!(watch.ran(), 1);
}

const A_WHILE: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn a_call_survives_its_agent() {
    for world in World::both() {
        let paper = Paper::default();
        let (mut agent, caller) = (durable_with(&world, &paper, |b| b.concurrency(1)).await, world.caller("caller").await);
        let first = caller.probe().hold_again("first").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "first");
        let second = caller.probe().hold("second").send().await.unwrap();
        world.settle().await;
        let mut agent = durable(&world, &crash(agent, &paper)).await;
        agent.watch.began_all(["first", "second"]).await;
        agent.watch.open(2);
        assert_eq!((first.await.unwrap(), second.await.unwrap()), ("first".to_owned(), "second".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_survives_its_agent_and_its_link() {
    for world in World::both() {
        let paper = Paper::default();
        let (mut agent, caller) = (durable(&world, &paper).await, world.caller("caller").await);
        let done = caller.probe().hold("done").send().await.unwrap();
        let running = caller.probe().hold_again("running").send().await.unwrap();
        agent.watch.began_all(["done", "running"]).await;
        // Its address is gone for good when the outcomes come there.
        caller.tap.lose(A_WHILE).await;
        let paper = crash(agent, &paper);
        let mut agent = durable(&world, &paper).await;
        assert_eq!(agent.watch.began().await, "running");
        let error = done.await.unwrap_err();
        assert!(matches!(error, CallError::Interrupted(_)), "{error:?}");
        agent.watch.open(1);
        assert_eq!(running.await.unwrap(), "running");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_address_is_remembered_over_a_restart() {
    for world in World::both() {
        let paper = Paper::default();
        let (mut agent, caller) = (durable(&world, &paper).await, world.caller("caller").await);
        let call = caller.probe().hold_again("it").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "it");
        caller.tap.lose(A_WHILE).await;
        paper.until(1, "the new address is written down", |step| matches!(step, Step::Moved { .. })).await;
        world.settle().await;
        let mut agent = durable(&world, &crash(agent, &paper)).await;
        assert_eq!(agent.watch.began().await, "it");
        agent.watch.open(1);
        assert_eq!(call.await.unwrap(), "it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_was_started_again_finds_its_outcomes() {
    for world in World::both() {
        let paper = Paper::default();
        let (mut agent, caller) = (durable(&world, &paper).await, world.caller("caller").await);
        let (done, runs) =
            (caller.probe().hold("done").send().await.unwrap(), caller.probe().hold_again("runs").send().await.unwrap());
        let sns: [Sn; 2] = [done.sn().clone(), runs.sn().clone()];
        agent.watch.began_all(["done", "runs"]).await;
        drop((done, runs, caller));
        let mut agent = durable(&world, &crash(agent, &paper)).await;
        assert_eq!(agent.watch.began().await, "runs");
        let caller = world.caller("caller").await;
        let mut replies = caller.endpoint.replies("kept").await.unwrap();
        world.settle().await;
        let known = caller.endpoint.peer("agent").admin().resume(&sns, "kept").await.unwrap();
        assert_eq!(known, [Known::Done, Known::Running]);
        assert_eq!(soon("the interrupted one", replies.next()).await.unwrap().sn.as_ref(), Some(&sns[0]));
        agent.watch.open(1);
        assert_eq!(soon("the one that runs", replies.next()).await.unwrap().sn.as_ref(), Some(&sns[1]));
    }
}

/// The program that called is started again, with nothing but what it wrote down: serial numbers and dates.
#[tokio::test(start_paused = true)]
async fn a_call_is_taken_up_by_a_caller_that_was_started_again() {
    for world in World::both() {
        let paper = Paper::default();
        let (mut agent, caller) = (durable(&world, &paper).await, world.caller("caller").await);
        world.clock.advance(Duration::from_secs(120));
        let sent = world.clock.now();
        let (done, once, again) = (
            caller.probe().hold("done").send().await.unwrap(),
            caller.probe().hold("once").send().await.unwrap(),
            caller.probe().hold_again("again").send().await.unwrap(),
        );
        let sns = [&done, &once, &again].map(|call| call.sn().clone());
        agent.watch.began().await;
        agent.watch.open(1);
        assert_eq!(soon("one is done", done.into_future()).await.unwrap(), "done");
        world.settle().await;
        // It knows that it waits here.
        assert_eq!(caller.probe().hold("").resume(&sns[1], sent).unwrap_err(), ResumeError::Waits);
        assert_eq!(caller.probe().hold("").resume(&Sn::new("7").unwrap(), sent).unwrap_err(), ResumeError::NotACall);
        drop((once, again, caller));
        let mut agent = durable(&world, &crash(agent, &paper)).await;
        assert_eq!(agent.watch.began().await, "again");
        let caller = world.caller("caller").await;
        let up = |sn: &Sn| caller.probe().hold("").resume(sn, sent).unwrap();
        let [done, once, mut again] = [0, 1, 2].map(|n| up(&sns[n]));
        assert_eq!(soon("what had ended", done.into_future()).await.unwrap(), "done");
        assert!(matches!(soon("what ran", once.into_future()).await, Err(CallError::Interrupted(_))));
        // What runs goes on, over a loss of the link and another crash.
        caller.tap.lose(A_WHILE).await;
        agent.watch.open(1);
        while let Some(update) = again.next().await {
            if let Update::Done(ended) = update.unwrap() {
                assert_eq!(ended, "again");
            }
        }
        // What never came is safe to make again: it does not run if it comes after all.
        let (sn, sent) = (Sn::from(world.clock.id()), world.clock.now());
        let error = soon("what never came", up(&sn).into_future()).await.unwrap_err();
        assert_eq!(error.fate(), Fate::NeverRan, "{error:?}");
        let ran = agent.watch.ran();
        let mut replies = world.mailbox("box").await;
        world.post(&request(&world, "hold", "late").sn(sn.as_str()).sent(sent)).await;
        assert_eq!(how(&outcome(&mut replies).await), "rejected request.stale");
        assert_eq!(agent.watch.ran(), ran);
    }
}

/// By links there is nobody but the caller itself to whom an outcome could be sent.
#[tokio::test]
async fn a_call_by_a_link_is_taken_up_by_a_caller_that_was_started_again() {
    let paper = Paper::default();
    let (tcp, _agent, mut watch) = listening("127.0.0.1:0", &paper).await;
    let at = tcp.local_addr().unwrap().to_string();
    let dial = || async {
        let dialled = Tcp::connect(at.clone()).await.unwrap();
        let caller = Endpoint::builder("caller").bind(Native::new(), dialled.clone(), Trust::insecure()).start().await.unwrap();
        (dialled, caller)
    };
    let (dialled, caller) = dial().await;
    let sent = SystemClock.now();
    let call = caller.client::<ProbeClient>("agent").hold("it").send().await.unwrap();
    let sn = call.sn().clone();
    assert_eq!(watch.began().await, "it");
    dialled.close().await.unwrap();
    drop((call, caller));
    let (_dialled, caller) = dial().await;
    let call = caller.client::<ProbeClient>("agent").hold("").resume(&sn, sent).unwrap();
    watch.open(1);
    assert_eq!(soon("its outcome", call.into_future()).await.unwrap(), "it");
    assert_eq!(watch.ran(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_never_came_is_known_over_a_restart() {
    for world in World::both() {
        let paper = Paper::default();
        let agent = durable(&world, &paper).await;
        world.clock.advance(Duration::from_secs(120));
        // Sent before the restart, and lost on its way.
        let sent = world.clock.now();
        let sn = world.clock.id().to_string();
        world.clock.advance(Duration::from_secs(1));
        let paper = crash(agent, &paper);
        let agent = durable(&world, &paper).await;
        let mut replies = world.mailbox("box").await;
        let ask = |paper: &Paper| {
            paper.hold();
            let mut ask = world.request("resume", json!([[[sn, sent.to_millis()]], "elsewhere", true]));
            ask.0["request"]["classname"] = "Admin".into();
            ask.sn(&world.clock.id().to_string()).reply_to("box").wants(&[])
        };
        world.post(&ask(&paper)).await;
        paper.until_waiting(1, "it is barred", |step| matches!(step, Step::Barred { .. })).await;
        let answered = |event: &Event| matches!(event, Event::Published(m) if is_outcome(m));
        assert_eq!(agent.tap.count(answered), 0, "nothing is promised before it is written");
        paper.release();
        assert_eq!(replies.next().await["result"]["retval"], json!(["unknown"]));
        // The promise holds over the next crash.
        let paper = crash(agent, &paper);
        let agent = durable(&world, &paper).await;
        world.post(&request(&world, "hold", "late").sn(&sn).sent(sent)).await;
        assert_eq!(how(&outcome(&mut replies).await), "rejected request.stale");
        assert_eq!(agent.watch.ran(), 0);
        // What cannot be written is not promised.
        paper.fail(Some(JournalErrorKind::Disk));
        let mut ask = world.request("resume", json!([[["another", sent.to_millis()]], "elsewhere", true]));
        ask.0["request"]["classname"] = "Admin".into();
        world.post(&ask.sn("ask").reply_to("box").wants(&[])).await;
        assert_eq!(replies.next().await["result"]["retval"], json!(["unsure"]));
    }
}

/// Whatever has come and is forgotten is dated at its principal's floor or before, by the same clock as what is asked for.
#[tokio::test(start_paused = true)]
async fn what_never_came_is_known_at_a_busy_agent() {
    for world in World::both() {
        let (paper, caller) = (Paper::default(), world.caller("caller").await);
        let agent = durable_with(&world, &paper, |b| b.window(WindowSize::default().requests(3))).await;
        world.clock.advance(Duration::from_secs(120));
        agent.watch.open(9);
        for name in ["a", "b", "c", "d", "e"] {
            caller.probe().hold(name).await.unwrap();
            world.clock.advance(Duration::from_millis(10));
        }
        let lost = |sent| caller.probe().hold("").resume(&Sn::from(world.clock.id()), sent).unwrap();
        let error = soon("what never came", lost(world.clock.now()).into_future()).await.unwrap_err();
        assert_eq!(error.fate(), Fate::NeverRan, "{error:?}");
        // Of what is older than what is remembered nobody knows.
        let long_ago = Timestamp::from_millis(world.clock.now().as_millis() - 45);
        let error = soon("what is too old", lost(long_ago).into_future()).await.unwrap_err();
        assert!(matches!(error, CallError::ReplyLost), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_is_kept_for_the_window_and_no_longer() {
    let world = World::sealed();
    let paper = Paper::default();
    let agent = durable_with(&world, &paper, |b| b.window(WindowSize::default().requests(2))).await;
    let caller = world.caller("caller").await;
    let mut replies = caller.endpoint.replies("kept").await.unwrap();
    agent.watch.open(9);
    let mut sns = Vec::new();
    for name in ["a", "b", "c"] {
        let call = caller.probe().hold(name).send().await.unwrap();
        sns.push(call.sn().clone());
        call.await.unwrap();
        world.clock.advance(Duration::from_millis(5));
    }
    paper.until(3, "all have run", started).await;
    let agent = durable_with(&world, &crash(agent, &paper), |b| b.window(WindowSize::default().requests(3))).await;
    let known = caller.endpoint.peer("agent").admin().resume(&sns, "kept").await.unwrap();
    assert_eq!(known, [Known::Unsure, Known::Done, Known::Done]);
    for sn in &sns[1..] {
        assert_eq!(soon("a stored one", replies.next()).await.unwrap().sn.as_ref(), Some(sn));
    }
    assert_eq!(agent.watch.ran(), 0);
}

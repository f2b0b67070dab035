//! After a link loss: an agent is asked for the outcomes of the calls that wait.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use rmi_core::{
    CallError, Update,
    endpoint::{Known, WindowSize},
    error::Fate,
    layer::{Incoming, Layer, async_trait},
    message::{Rejection, RejectionCode},
    time::Clock,
    transport::TransportErrorKind,
};
use rmi_tests::{
    probe::ProbeClient,
    raw::{Raw, is_outcome, kind},
    soon::soon,
    tap::{Event, Tap},
    world::{Caller, World},
};
use serde_json::{Value, json};
use tokio::time::Instant;

const A_WHILE: Duration = Duration::from_secs(5);

/// The requests that ask for outcomes, as a caller has sent them.
fn asked(tap: &Tap) -> Vec<Value> {
    let mut requests = tap.published();
    requests.retain(|message| message["request"]["method"] == "resume");
    requests
}

/// A request of the probe's method.
fn is(method: &'static str) -> impl Fn(&Value) -> bool + Send + 'static {
    move |message| message["request"]["method"] == method
}

fn assert_lost<T: std::fmt::Debug>(ended: Result<T, CallError<Infallible>>) {
    let error = ended.unwrap_err();
    assert_eq!(error.fate(), Fate::MayHaveRun);
    assert!(matches!(error, CallError::ReplyLost), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_survives_the_loss_of_its_link() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let mut running = caller.probe().listen("running").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "running");
        for expected in [Update::Accepted, Update::Started] {
            assert_eq!(running.next().await.unwrap().unwrap(), expected);
        }
        let over = caller.probe().hold("over").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "over");
        // Calls of its own wait to be sent while the link is lost, and name the address that is about to go.
        caller.tap.hold(is("echo"));
        let late = tokio::spawn(caller.probe().echo("late").into_future());
        caller.tap.until(1, "it is on its way", |event| matches!(event, Event::Held(_))).await;

        caller.tap.lose(A_WHILE).await;
        // One of them ends while nobody can be told.
        agent.watch.open(1);
        let gone = |event: &Event| matches!(event, Event::Published(m) if is_outcome(m));
        agent.tap.until(1, "its outcome goes nowhere", gone).await;
        caller.tap.release();
        let ended = [running.sn().clone(), over.sn().clone()];
        let one_ended = agent.watch.seen().len();
        assert_eq!(one_ended, 1, "one of {ended:?}");
        agent.watch.open(1);
        let (first, second) = tokio::join!(running.into_future(), over.into_future());
        assert_eq!((first.unwrap(), second.unwrap()), ("running".to_owned(), "over".to_owned()));
        assert_eq!(late.await.unwrap().unwrap(), "late");
        assert_eq!((agent.watch.ran(), caller.endpoint.figures()[0].calls_waiting), (3, 0));
        assert!(!asked(&caller.tap).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn statuses_follow_a_call_to_its_new_address() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent_with("agent", |b| b.concurrency(1)).await, world.caller("caller").await);
        let held = caller.probe().hold("held").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "held");
        let mut steps = caller.probe().steps(3).send().await.unwrap();
        assert_eq!(steps.next().await.unwrap().unwrap(), Update::Accepted);
        caller.tap.lose(A_WHILE).await;
        caller.tap.until(1, "it asks", |event| matches!(event, Event::Published(m) if is("resume")(m))).await;
        world.settle().await;
        agent.watch.open(1);
        let mut heard = 0;
        loop {
            match steps.next().await.unwrap().unwrap() {
                Update::Done(n) => break assert_eq!(n, 3),
                Update::Started | Update::Progress(_) => heard += 1,
                Update::Accepted => panic!("it was accepted before"),
            }
        }
        assert_eq!(heard, 4, "started and three steps");
        assert_eq!(held.await.unwrap(), "held");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_still_waits_on_the_bus_is_found() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent_with("agent", |b| b.concurrency(1)).await, world.caller("caller").await);
        let mut holding = Vec::new();
        for _ in 0..64 {
            holding.push(caller.probe().hold_again("held").timeout(Duration::from_secs(600)).send().await.unwrap());
        }
        agent.watch.began().await;
        let delivered = |event: &Event| matches!(event, Event::Delivered(_));
        agent.tap.until(64, "the agent takes no more", delivered).await;
        let behind = caller.probe().echo("behind").timeout(Duration::from_secs(600)).send().await.unwrap();
        caller.tap.lose(A_WHILE).await;
        // In the lane it is not known; then it is asked for behind it.
        caller.tap.until(2, "it asks twice", |event| matches!(event, Event::Published(m) if is("resume")(m))).await;
        agent.watch.open(64);
        assert_eq!(behind.await.unwrap(), "behind");
        for held in holding {
            assert_eq!(held.await.unwrap(), "held");
        }
        assert_eq!(agent.watch.ran(), 65, "each of them once");
    }
}

#[tokio::test(start_paused = true)]
async fn what_never_arrived_is_safe_to_repeat() {
    for world in World::both() {
        let agent = world.agent_with("agent", |b| b.queue_of_its_own()).await;
        let caller = world.caller("caller").await;
        // Later than any two clocks may be apart.
        world.clock.advance(Duration::from_secs(120));
        caller.tap.swallow(Some(Box::new(is("hold"))));
        let lost = caller.probe().hold("lost").send().await.unwrap();
        caller.tap.swallow(None);
        caller.tap.lose(A_WHILE).await;
        let sn = lost.sn().clone();
        let error = lost.await.unwrap_err();
        assert_eq!((error.fate(), error.is_retryable()), (Fate::NeverRan, true), "{error:?}");
        assert!(matches!(&error, CallError::Transport(e) if e.kind == TransportErrorKind::Disconnected), "{error:?}");
        // That is a promise: it does not run if it comes after all.
        let late = world.request("hold", json!(["lost"])).sn(sn.as_str()).reply_to("box").wants(&[]);
        let mut replies = world.mailbox("box").await;
        world.post(&late).await;
        let outcome = replies.next().await;
        assert_eq!((kind(&outcome), &outcome["code"]), ("rejected", &json!("request.stale")));
        assert_eq!(agent.watch.ran(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_agent_cannot_know_is_unknown() {
    for world in World::both() {
        // It may have come to another agent, or before this one was started, or so long ago that it is forgotten.
        let window = WindowSize::default().requests(2);
        let cases: [(&str, bool, u64, usize); 3] = [("shared", false, 120, 0), ("young", true, 0, 0), ("full", true, 120, 3)];
        for (name, own, age, others) in cases {
            let special = |b: rmi_core::endpoint::Builder| if own { b.queue_of_its_own().window(window) } else { b };
            let agent = world.agent_with(name, special).await;
            let caller = world.caller("caller").await;
            let probe = || caller.endpoint.client::<ProbeClient>(name);
            world.clock.advance(Duration::from_secs(age));
            caller.tap.swallow(Some(Box::new(is("hold"))));
            let lost = probe().hold("lost").send().await.unwrap();
            caller.tap.swallow(None);
            for _ in 0..others {
                probe().echo("x").await.unwrap();
            }
            world.clock.advance(Duration::from_secs(1));
            caller.tap.lose(A_WHILE).await;
            assert_lost(lost.await);
            assert_eq!(asked(&caller.tap).len(), 2, "{name}: in the lane and behind it");
            assert_eq!(agent.watch.ran(), others);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_cannot_be_asked_loses_replies() {
    let world = World::unsealed();
    let (caller, mut agent) = (world.caller("caller").await, world.mailbox("agent").await);
    let call = caller.probe().hold("it").send().await.unwrap();
    agent.next().await;
    let before = Instant::now();
    caller.tap.lose(A_WHILE).await;
    let request = agent.next().await;
    assert_eq!(request["request"]["method"], "resume");
    let keys = json!({"exval": "", "xmodule": "gofer.rmi.dispatcher", "xclass": "MethodNotFound", "xstate": {}, "xargs": []});
    world.post(&Raw::reply(&request, "agent", json!({"result": keys}))).await;
    assert_lost(call.await);
    assert_eq!(before.elapsed(), A_WHILE);

    // Nor can one that is not there any more.
    let call = caller.probe().hold("it").send().await.unwrap();
    drop(agent);
    caller.tap.lose(A_WHILE).await;
    assert_lost(call.await);
}

#[tokio::test(start_paused = true)]
async fn only_its_own_principal_resumes() {
    let world = World::sealed();
    let (mut agent, owner, other) = (world.agent("agent").await, world.caller("owner").await, world.caller("other").await);
    let call = owner.probe().hold("it").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    let mut replies = other.endpoint.replies("log").await.unwrap();
    let admin = |caller: &Caller| caller.endpoint.peer("agent").admin();
    let sns = [call.sn().clone()];
    assert_eq!(admin(&other).resume(&sns, "log").await.unwrap(), [Known::Unsure]);
    // Its owner may send it there.
    assert_eq!(admin(&owner).resume(&sns, "log").await.unwrap(), [Known::Running]);
    agent.watch.open(1);
    let reply = soon("a reply", replies.next()).await.unwrap();
    assert_eq!(reply.sn.as_ref(), Some(call.sn()));
    assert_eq!(admin(&owner).resume(&sns, "log").await.unwrap(), [Known::Done]);
    assert_eq!(soon("the stored one", replies.next()).await.unwrap().body, reply.body);
    // But not to an address that the agent serves, and not too many at once.
    for (sns, to) in [(sns.to_vec(), "agent"), (sns.to_vec(), "agent.admin"), (vec![sns[0].clone(); 257], "log")] {
        let error = admin(&owner).resume(&sns, to).await.unwrap_err();
        assert!(
            matches!(&error, CallError::Rejected(r) if matches!(r.code, RejectionCode::ReplyAddress | RejectionCode::Limit)),
            "{error:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_loss_begins_it_anew() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let call = caller.probe().hold("it").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "it");
        for round in 1..=3 {
            // The answer is on its way when the link is lost once more.
            agent.tap.hold(is_outcome);
            caller.tap.lose(A_WHILE).await;
            agent.tap.until(round, "an answer", |event| matches!(event, Event::Held(_))).await;
            caller.tap.lose(A_WHILE).await;
            agent.tap.release();
            caller.tap.until(2 * round, "it asks again", |e| matches!(e, Event::Published(m) if is("resume")(m))).await;
            world.settle().await;
        }
        agent.watch.open(1);
        assert_eq!(call.await.unwrap(), "it");
        assert_eq!(agent.watch.ran(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_total_time_holds_over_a_loss() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let began = Instant::now();
        let calls = [3, 8].map(|secs| caller.probe().hold("it").timeout(Duration::from_secs(secs)).into_future());
        let calls = calls.map(tokio::spawn);
        agent.watch.began_all(["it", "it"]).await;
        caller.tap.lose(A_WHILE).await;
        for (call, secs) in calls.into_iter().zip([3, 8]) {
            let error = call.await.unwrap().unwrap_err();
            assert!(matches!(error, CallError::Timeout { .. }), "{error:?}");
            assert!(began.elapsed().as_secs() == secs, "{:?}", began.elapsed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_calls_are_asked_for_together() {
    const MANY: usize = 2000;
    let world = World::unsealed();
    let agent = world.agent_with("agent", |b| b.concurrency(MANY)).await;
    let caller = world.caller("caller").await;
    let mut calls = Vec::new();
    for number in 0..MANY {
        calls.push(caller.probe().hold(&number.to_string()).send().await.unwrap());
    }
    world.settle().await;
    caller.tap.lose(A_WHILE).await;
    agent.watch.open(MANY);
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap(), number.to_string());
    }
    assert_eq!((agent.watch.ran(), asked(&caller.tap).len()), (MANY, MANY.div_ceil(256)));
}

#[tokio::test(start_paused = true)]
async fn an_agent_without_room_is_asked_again() {
    /// Has no room for the first so many that ask for outcomes.
    struct Crowded(AtomicUsize);
    #[async_trait]
    impl Layer for Crowded {
        async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
            let full = request.method().name == "resume" && self.0.fetch_add(1, Ordering::SeqCst) < 3;
            if full { Err(Rejection::new(RejectionCode::Busy, "not now")) } else { Ok(()) }
        }
    }
    for world in World::both() {
        let mut agent = world.agent_with("agent", |b| b.layer(Crowded(AtomicUsize::new(0)))).await;
        let caller = world.caller("caller").await;
        let call = caller.probe().hold("it").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "it");
        caller.tap.lose(A_WHILE).await;
        caller.tap.until(4, "it asks again", |event| matches!(event, Event::Published(m) if is("resume")(m))).await;
        world.settle().await;
        agent.watch.open(1);
        assert_eq!(call.await.unwrap(), "it");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_promised_of_what_is_still_to_be_sent() {
    for world in World::both() {
        let _agent = world.agent_with("agent", |b| b.queue_of_its_own()).await;
        world.clock.advance(Duration::from_secs(120));
        let mut replies = world.mailbox("box").await;
        let now = world.clock.now();
        for (sent, known) in [(now, "unknown"), (now.plus(Duration::from_secs(3600)), "unsure")] {
            let sn = world.clock.id().to_string();
            let mut request = world.request("resume", json!([[[sn, sent.to_millis()]], "elsewhere", true]));
            request.0["request"]["classname"] = "Admin".into();
            world.post(&request.sn(&world.clock.id().to_string()).reply_to("box").wants(&[])).await;
            assert_eq!(replies.next().await["result"]["retval"], json!([known]));
        }
    }
}

//! After a link loss: an agent is asked for the outcomes of the calls that wait.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::json;
use tokio::time::Instant;

use super::{
    Caller, OUTAGE, Setting, agent, agent_with, calling, calling_with,
    needs::{Need, Powers},
    probe::Seen,
    tap::{calls, delivered, held, is_outcome, published},
};
use crate::{
    CallError, Update,
    endpoint::{Builder, Known, WindowSize},
    error::Fate,
    layer::{Incoming, Layer, Next},
    message::{Exception, Outcome, Rejection, RejectionCode},
    service::Invocation,
    testing::{ManualClock, conformance::soon},
    time::Clock,
    transport::TransportErrorKind,
};

/// Later than any two clocks may be apart.
const LATER: Duration = Duration::from_secs(120);

/// How often a caller has asked for outcomes.
fn asked(caller: &Caller) -> usize {
    caller.tap.count(published(calls("resume")))
}

fn assert_lost<T: std::fmt::Debug>(ended: Result<T, CallError<Infallible>>) {
    let error = ended.unwrap_err();
    assert_eq!(error.fate(), Fate::MayHaveRun);
    assert!(matches!(error, CallError::ReplyLost), "{error:?}");
}

/// Everything that was sent to the agent before has been looked at.
async fn settle(caller: &Caller) {
    assert_eq!(soon("it is answered", caller.probe.echo("behind it")).await.unwrap(), "behind it");
}

pub(super) async fn a_call_survives_the_loss_of_its_link<S: Setting>(setting: &S) {
    let bus = Powers::of(setting).await.lack(&[Need::Bus]).is_none();
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let mut running = caller.probe.listen("running").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "running");
    for expected in [Update::Accepted, Update::Started] {
        assert_eq!(soon("a status", running.next()).await.unwrap().unwrap(), expected);
    }
    let over = caller.probe.hold("over").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "over");
    // One of its own waits to be sent while the link is lost, and names the address that is about to go.
    caller.tap.hold(calls("echo"));
    let late = tokio::spawn(caller.probe.echo("late").into_future());
    caller.tap.until(1, "it is on its way", held).await;
    caller.tap.lose(OUTAGE).await;
    // One of them ends while nobody can be told.
    agent.watch.open(1);
    let Seen::Ended(_) = agent.watch.next().await else { panic!("one of them has ended") };
    agent.tap.until(1, "its outcome goes nowhere", published(is_outcome)).await;
    caller.tap.release();
    agent.watch.open(1);
    let (first, second) = tokio::join!(soon("it ends", running), soon("it ends", over));
    assert_eq!((first.unwrap(), second.unwrap()), ("running".to_owned(), "over".to_owned()));
    let went = match soon("it ends", late).await.unwrap() {
        Ok(late) => late == "late",
        // It was to go by a link that is gone, where nobody dials another: it never did.
        Err(error) => {
            assert!(!bus && error.fate() == Fate::NeverRan, "{error:?}");
            false
        }
    };
    assert_eq!((agent.watch.ran(), caller.endpoint.figures()[0].calls_waiting), (2 + usize::from(went), 0));
    assert!(asked(&caller) > 0);
}

pub(super) async fn statuses_follow_a_call_to_its_new_address<S: Setting>(setting: &S) {
    let mut agent = agent_with(setting, |builder| builder.concurrency(1)).await;
    let caller = calling(setting, "caller").await;
    let held = caller.probe.hold("held").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "held");
    let mut steps = caller.probe.steps(3).send().await.unwrap();
    assert_eq!(soon("it is accepted", steps.next()).await.unwrap().unwrap(), Update::Accepted);
    caller.tap.lose(OUTAGE).await;
    caller.tap.until(1, "it asks", published(calls("resume"))).await;
    agent
        .tap
        .until(1, "it has been told", published(|m| is_outcome(m) && m.head.sn == caller.tap.last(calls("resume")).0.head.sn))
        .await;
    agent.watch.open(1);
    let mut heard = 0;
    loop {
        match soon("it goes on", steps.next()).await.unwrap().unwrap() {
            Update::Done(n) => break assert_eq!(n, 3),
            Update::Started | Update::Progress(_) => heard += 1,
            Update::Accepted => panic!("it was accepted before"),
        }
    }
    assert_eq!(heard, 4, "started and three steps");
    assert_eq!(held.await.unwrap(), "held");
}

pub(super) async fn a_request_that_still_waits_on_the_bus_is_found<S: Setting>(setting: &S) {
    // One that could say what never came, and may not before it has looked at what was sent to its own address.
    for own in [false, true] {
        let clock = ManualClock::default();
        let special = |builder: Builder| if own { builder.queue_of_its_own() } else { builder };
        let mut agent = agent_with(setting, |builder| special(builder).concurrency(1).clock(clock.clone())).await;
        let caller = calling_with(setting, "caller", |builder| builder.clock(clock.clone())).await;
        clock.advance(LATER);
        let mut holding = Vec::new();
        for _ in 0..64 {
            holding.push(caller.probe.hold_again("held").send().await.unwrap());
        }
        agent.watch.began().await;
        agent.tap.until(64, "the agent takes no more", delivered(calls("hold_again"))).await;
        let behind = caller.probe.echo("behind").send().await.unwrap();
        caller.tap.lose(OUTAGE).await;
        // In the lane it is not known; then it is asked for behind it.
        caller.tap.until(2, "it asks twice", published(calls("resume"))).await;
        agent.watch.open(64);
        assert_eq!(soon("it ends", behind).await.unwrap(), "behind");
        for held in holding {
            assert_eq!(soon("it ends", held).await.unwrap(), "held");
        }
        assert_eq!(agent.watch.ran(), 65, "each of them once");
        let _ = caller.endpoint.shutdown(Duration::ZERO).await.unwrap();
        let _ = agent.endpoint.shutdown(Duration::ZERO).await.unwrap();
    }
}

pub(super) async fn what_never_arrived_is_safe_to_repeat<S: Setting>(setting: &S) {
    let clock = ManualClock::default();
    let agent = agent_with(setting, |builder| builder.queue_of_its_own().clock(clock.clone())).await;
    let caller = calling_with(setting, "caller", |builder| builder.clock(clock.clone())).await;
    clock.advance(LATER);
    caller.tap.swallow(calls("hold"));
    let lost = caller.probe.hold("lost").send().await.unwrap();
    caller.tap.swallow_nothing();
    let (sn, request) = (lost.sn().clone(), caller.tap.last_written(calls("hold")));
    caller.tap.lose(OUTAGE).await;
    let error = soon("it ends", lost).await.unwrap_err();
    assert_eq!((error.fate(), error.is_retryable()), (Fate::NeverRan, true), "{error:?}");
    assert!(matches!(&error, CallError::Transport(e) if e.kind == TransportErrorKind::Disconnected), "{error:?}");
    // That is a promise: it does not run if it comes after all.
    caller.tap.post(&request, super::tap::By::Own).await;
    match agent.tap.until_outcomes(1, Some(&sn)).await.remove(0) {
        Outcome::Rejected(rejection) => assert_eq!(rejection.code, RejectionCode::Stale),
        other => panic!("{other:?}"),
    }
    assert_eq!(agent.watch.ran(), 0);
}

pub(super) async fn what_an_agent_cannot_know_is_unknown<S: Setting>(setting: &S) {
    // It may have come to another agent, or before this one was started, or so long ago that it is forgotten.
    let window = WindowSize::default().requests(2);
    let cases: [(&str, bool, Duration, usize); 3] =
        [("shared", false, LATER, 0), ("young", true, Duration::ZERO, 0), ("full", true, LATER, 3)];
    for (name, own, age, others) in cases {
        let clock = ManualClock::default();
        let special = |b: Builder| if own { b.queue_of_its_own().window(window) } else { b };
        let agent = agent_with(setting, |builder| special(builder).clock(clock.clone())).await;
        let caller = calling_with(setting, "caller", |builder| builder.clock(clock.clone())).await;
        clock.advance(age);
        caller.tap.swallow(calls("hold"));
        let lost = caller.probe.hold("lost").send().await.unwrap();
        caller.tap.swallow_nothing();
        for _ in 0..others {
            caller.probe.echo("x").await.unwrap();
        }
        clock.advance(Duration::from_secs(1));
        caller.tap.lose(OUTAGE).await;
        assert_lost(soon("it ends", lost).await);
        assert_eq!(asked(&caller), 2, "{name}: in the lane and behind it");
        assert_eq!(agent.watch.ran(), others);
        let _ = caller.endpoint.shutdown(Duration::ZERO).await.unwrap();
        let _ = agent.endpoint.shutdown(Duration::ZERO).await.unwrap();
    }
}

pub(super) async fn nothing_is_promised_of_what_is_still_to_be_sent<S: Setting>(setting: &S) {
    let clock = ManualClock::default();
    let _agent = agent_with(setting, |builder| builder.queue_of_its_own().clock(clock.clone())).await;
    let caller = calling_with(setting, "caller", |builder| builder.clock(clock.clone())).await;
    clock.advance(LATER);
    let now = clock.now();
    for (sent, known) in [(now, "unknown"), (now.plus(Duration::from_secs(3600)), "unsure")] {
        let calls = json!([[clock.id().to_string(), sent.to_millis()]]);
        let admin = caller.endpoint.peer("agent").class("Admin");
        let said: Vec<String> = admin.call("resume", json!([calls, "elsewhere", true])).await.unwrap();
        assert_eq!(said, [known]);
    }
}

/// What agents of gofer's say when they are asked for outcomes, which they cannot be.
struct Gofer;

#[async_trait]
impl Layer for Gofer {
    async fn call(&self, call: Invocation, next: Next<'_>) -> Outcome {
        match call.method().name {
            "resume" => Exception::new("gofer.rmi.dispatcher", "MethodNotFound", "resume").into(),
            _ => next.run(call).await,
        }
    }
}

pub(super) async fn a_peer_that_cannot_be_asked_loses_replies<S: Setting>(setting: &S) {
    let mut agent = agent_with(setting, |builder| builder.layer(Gofer)).await;
    let caller = calling(setting, "caller").await;
    let call = caller.probe.hold("it").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    caller.tap.lose(OUTAGE).await;
    assert_lost(soon("it ends", call).await);
    // Nor can one that is not there any more.
    let call = caller.probe.hold("it").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    caller.tap.misroute(calls("resume"));
    caller.tap.lose(OUTAGE).await;
    assert_lost(soon("it ends", call).await);
}

pub(super) async fn only_its_own_principal_resumes<S: Setting>(setting: &S) {
    let mut agent = agent(setting).await;
    let (owner, other) = (calling(setting, "caller").await, calling(setting, "other").await);
    let call = owner.probe.hold("it").send().await.unwrap();
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
        let told =
            matches!(&error, CallError::Rejected(r) if matches!(r.code, RejectionCode::ReplyAddress | RejectionCode::Limit));
        assert!(told, "{error:?}");
    }
}

pub(super) async fn a_second_loss_begins_it_anew<S: Setting>(setting: &S) {
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let call = caller.probe.hold("it").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    for round in 1..=3 {
        // The answer is on its way when the link is lost once more.
        agent.tap.hold(is_outcome);
        caller.tap.lose(OUTAGE).await;
        agent.tap.until(round, "an answer", held).await;
        let before = asked(&caller);
        caller.tap.lose(OUTAGE).await;
        agent.tap.release();
        caller.tap.until(before + 1, "it asks again", published(calls("resume"))).await;
        settle(&caller).await;
    }
    agent.watch.open(1);
    assert_eq!(soon("it ends", call).await.unwrap(), "it");
    assert_eq!(agent.watch.ran(), 4, "it, and three that were waited for");
}

pub(super) async fn the_total_time_holds_over_a_loss<S: Setting>(setting: &S) {
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let (began, times) = (Instant::now(), [OUTAGE, OUTAGE * 16]);
    let calls = times.map(|time| tokio::spawn(caller.probe.hold("it").timeout(time).into_future()));
    agent.watch.began_all(["it", "it"]).await;
    caller.tap.lose(OUTAGE * 8).await;
    for (call, (time, with_its_link)) in calls.into_iter().zip(times.into_iter().zip([false, true])) {
        let error = soon("its time ends it", call).await.unwrap().unwrap_err();
        assert!(matches!(error, CallError::Timeout { after, .. } if after == time), "{error:?}");
        assert!(began.elapsed() >= time);
        assert_eq!(asked(&caller) > 0, with_its_link, "the one that has less time does not wait for the link");
    }
}

pub(super) async fn many_calls_are_asked_for_together<S: Setting>(setting: &S) {
    const MANY: usize = 600;
    let mut agent = agent_with(setting, |builder| builder.concurrency(MANY)).await;
    let caller = calling(setting, "caller").await;
    let mut calls = Vec::new();
    for number in 0..MANY {
        calls.push(caller.probe.hold(&number.to_string()).send().await.unwrap());
    }
    for _ in 0..MANY {
        agent.watch.began().await;
    }
    caller.tap.lose(OUTAGE).await;
    agent.watch.open(MANY);
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(soon("it ends", call).await.unwrap(), number.to_string());
    }
    assert_eq!((agent.watch.ran(), asked(&caller)), (MANY, MANY.div_ceil(256)));
}

/// Has no room for the first so many that ask for outcomes.
struct Crowded(AtomicUsize);

#[async_trait]
impl Layer for Crowded {
    async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
        let full = request.method().name == "resume" && self.0.fetch_add(1, Ordering::SeqCst) < 3;
        if full { Err(Rejection::new(RejectionCode::Busy, "not now")) } else { Ok(()) }
    }
}

pub(super) async fn an_agent_that_does_not_answer_is_asked_again<S: Setting>(setting: &S) {
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let call = caller.probe.hold("it").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    // What was asked is lost on its way, as it is with the lane of an agent that loses its link.
    let first = AtomicBool::new(true);
    caller.tap.swallow(move |message| calls("resume")(message) && first.swap(false, Ordering::Relaxed));
    caller.tap.lose(OUTAGE).await;
    caller.tap.until(1, "it asks again", published(calls("resume"))).await;
    agent.watch.open(1);
    assert_eq!(soon("it ends", call).await.unwrap(), "it");
}

pub(super) async fn an_agent_without_room_is_asked_again<S: Setting>(setting: &S) {
    let mut agent = agent_with(setting, |builder| builder.layer(Crowded(AtomicUsize::new(0)))).await;
    let caller = calling(setting, "caller").await;
    let call = caller.probe.hold("it").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    caller.tap.lose(OUTAGE).await;
    caller.tap.until(4, "it asks again", published(calls("resume"))).await;
    let (last, _) = caller.tap.last(calls("resume"));
    agent.tap.until_outcomes(1, last.head.sn.as_ref()).await;
    agent.watch.open(1);
    assert_eq!(soon("it ends", call).await.unwrap(), "it");
}

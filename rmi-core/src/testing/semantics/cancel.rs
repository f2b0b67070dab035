//! Cancelling: explicit, cooperative, and by nobody else.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout};

use super::{
    Caller, OUTAGE, Setting, agent, agent_with, caller, calling,
    needs::{Need, Powers},
    probe::Seen,
    tap::{By, calls, delivered, held, outcome, published},
};
use crate::{
    CallError, Memory, Native, Principal, Trust, Update,
    endpoint::{Builder, Criteria, Operators},
    error::Fate,
    message::{Body, Exception, Message, Outcome, RejectionCode, Sn},
    testing::conformance::soon,
};

/// Asks for a cancellation by serial number.
async fn cancel(caller: &Caller, sn: &str) -> Result<Vec<String>, CallError<Exception>> {
    caller.endpoint.peer("agent").class("Admin").call("cancel", [sn]).await
}

fn assert_unknown(answer: Result<Vec<String>, CallError<Exception>>, sn: &str) {
    match answer {
        Err(CallError::Remote(exception)) => {
            assert!(exception.is("builtins", "Exception"), "{exception:?}");
            assert_eq!(exception.message(), format!("serial number ({sn}), not-found"));
        }
        other => panic!("{other:?}"),
    }
}

pub(super) async fn a_handler_is_told_that_it_is_cancelled<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    // One that looks ends as it likes.
    let listening = probe.listen("listening").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "listening");
    assert!(listening.cancel().await.unwrap());
    assert_eq!(agent.watch.next().await, Seen::Cancelled("listening".to_owned()));
    assert_eq!(listening.await.unwrap(), "listening was cancelled");
    assert_eq!(agent.watch.next().await, Seen::Ended("listening".to_owned()));
    // One that does not look runs to its end.
    let deaf = probe.hold("deaf").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "deaf");
    assert!(deaf.cancel().await.unwrap());
    probe.who().await.unwrap();
    assert_eq!(agent.watch.seen(), []);
    agent.watch.open(1);
    assert_eq!(deaf.await.unwrap(), "deaf");
}

pub(super) async fn dropping_a_call_stops_nothing<S: Setting>(setting: &S) {
    let (mut agent, (endpoint, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let watched = probe.listen("watched").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "watched");
    drop(watched);
    let awaited = timeout(OUTAGE, probe.listen("awaited")).await;
    assert!(awaited.is_err());
    assert_eq!(agent.watch.began().await, "awaited");
    assert_eq!(endpoint.figures()[0].calls_waiting, 0);
    probe.who().await.unwrap();
    agent.at_most(2).await;
    assert_eq!((agent.watch.seen(), agent.endpoint.running()), (vec![], 2));
    agent.watch.open(2);
    for name in ["watched", "awaited"] {
        assert_eq!(agent.watch.next().await, Seen::Ended(name.to_owned()));
    }
}

pub(super) async fn cancelled_before_its_start_it_never_runs<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) =
        (agent_with(setting, |builder| builder.concurrency(1)).await, caller(setting, "caller").await);
    let held = probe.hold("held").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "held");
    let mut waiting = probe.echo("waiting").send().await.unwrap();
    assert_eq!(soon("it is accepted", waiting.next()).await.unwrap().unwrap(), Update::Accepted);
    assert!(waiting.cancel().await.unwrap());
    let error = waiting.await.unwrap_err();
    assert_eq!(error.fate(), Fate::NeverRan);
    assert!(matches!(error, CallError::Cancelled), "{error:?}");
    // While the other one still runs.
    agent.at_most(1).await;
    assert_eq!((agent.watch.ran(), agent.endpoint.running()), (1, 1));
    agent.watch.open(1);
    assert_eq!(held.await.unwrap(), "held");
    assert_eq!(probe.echo("next").await.unwrap(), "next");
    assert_eq!(agent.watch.ran(), 2);
}

pub(super) async fn only_its_own_principal_cancels<S: Setting>(setting: &S) {
    let sealed = Powers::of(setting).await.lack(&[Need::Sealed]).is_none();
    let (mut agent, owner, other) = (agent(setting).await, calling(setting, "caller").await, calling(setting, "other").await);
    let call = owner.probe.listen("it").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    assert_unknown(cancel(&other, call.sn().as_str()).await, call.sn().as_str());
    if sealed {
        // Nor by saying that it is somebody else.
        let (asked, _) = other.tap.last(calls("cancel"));
        let mut forged = (*asked).clone();
        forged.head.sn = Sn::new("forged");
        forged.head.from = Some("caller".into());
        other.tap.post(&forged, By::Own).await;
        assert_unknown(cancel(&other, call.sn().as_str()).await, call.sn().as_str());
        assert_eq!(agent.endpoint.figures()[0].unverified, 1);
    }
    assert_eq!(agent.watch.seen(), []);
    // Another endpoint of the owner's is the owner.
    let (sn, again) = (call.sn().clone(), calling(setting, "caller").await);
    assert_eq!(cancel(&again, sn.as_str()).await.unwrap(), [sn.as_str()]);
    assert_eq!(call.await.unwrap(), "it was cancelled");
}

pub(super) async fn a_policy_lets_others_cancel<S: Setting>(setting: &S) {
    let operators = || Operators::new([Principal::Key("other".into())]);
    let mut agent = agent_with(setting, |builder| builder.admin(operators())).await;
    let (owner, operator) = (calling(setting, "caller").await, calling(setting, "other").await);
    let one = owner.probe.listen("one").data(json!({"job": 1})).send().await.unwrap();
    let two = operator.probe.listen("two").data(json!({"job": 2})).send().await.unwrap();
    agent.watch.began_all(["one", "two"]).await;
    // Who is not among them cancels its own.
    let all = Criteria::has("job", 2).unwrap().or(Criteria::has("job", 1).unwrap());
    let admin = |caller: &Caller| caller.endpoint.peer("agent").admin();
    assert_unknown(cancel(&owner, two.sn().as_str()).await, two.sn().as_str());
    assert_eq!(admin(&owner).cancel_where(&Criteria::has("job", 2).unwrap()).await.unwrap(), []);
    assert_eq!(admin(&operator).cancel(one.sn()).await.unwrap(), [one.sn().clone()]);
    assert_eq!(admin(&operator).cancel_where(&all).await.unwrap(), [two.sn().clone()]);
    assert_eq!(one.await.unwrap(), "one was cancelled");
    assert_eq!(two.await.unwrap(), "two was cancelled");
}

pub(super) async fn requests_of_one_number_are_cancelled_together<S: Setting>(setting: &S) {
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    caller.tap.change(|message| {
        if matches!(&message.body, Body::Request(request) if &*request.method == "listen") {
            message.head.sn = Sn::new("7");
        }
    });
    for name in ["one", "two", "three"] {
        drop(caller.probe.listen(name).send().await.unwrap());
    }
    agent.watch.began_all(["one", "two", "three"]).await;
    assert_eq!(cancel(&caller, "7").await.unwrap(), ["7"]);
    for _ in 0..3 {
        while !matches!(agent.watch.next().await, Seen::Cancelled(_)) {}
    }
    agent.tap.until_outcomes(3, Sn::new("7").as_ref()).await;
    assert_unknown(cancel(&caller, "7").await, "7");
}

pub(super) async fn a_name_is_somebodys_at_its_own_binding<S: Setting>(setting: &S) {
    // The pair's own binding, and one in memory where anybody may say that it is the owner.
    let there = Memory::new();
    let bound = |builder: Builder| builder.bind(Native::default(), there.clone(), Trust::insecure());
    let mut agent = agent_with(setting, bound).await;
    let owner = calling(setting, "caller").await;
    let other = bound(crate::Endpoint::builder("caller")).start().await.unwrap();
    let call = owner.probe.listen("it").data(1).send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    let asked = other.peer("agent").class("Admin").call("cancel", [call.sn().as_str()]).await;
    assert_unknown(asked, call.sn().as_str());
    let all = Criteria::eq(1).unwrap();
    assert_eq!(other.peer("agent").admin().cancel_where(&all).await.unwrap(), []);
    assert_eq!(owner.endpoint.peer("agent").admin().cancel_where(&all).await.unwrap(), [call.sn().clone()]);
    assert_eq!(call.await.unwrap(), "it was cancelled");
}

pub(super) async fn admin_reaches_a_busy_agent<S: Setting>(setting: &S) {
    let lane = Powers::of(setting).await.lack(&[Need::Lane]).is_none();
    let mut agent = agent_with(setting, |builder| builder.concurrency(1)).await;
    let caller = calling(setting, "caller").await;
    let held = caller.probe.listen("held").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "held");
    let waiting = caller.probe.echo("waiting").send().await.unwrap();
    let admin = caller.endpoint.peer("agent").class("Admin");
    for _ in 0..10 {
        let hello: String = soon("it is answered", admin.call("hello", ())).await.unwrap();
        assert_eq!(hello, "Hello, I am agent");
    }
    assert_eq!(agent.watch.ran(), 1);
    assert!(held.cancel().await.unwrap());
    assert_eq!((held.await.unwrap(), waiting.await.unwrap()), ("held was cancelled".to_owned(), "waiting".to_owned()));
    if !lane {
        return;
    }
    // More than 64 are not taken from the bus: at the agent's own address nobody is answered, at the one for `Admin` as ever.
    agent.watch.ended("waiting").await;
    let mut holding = Vec::new();
    for _ in 0..64 {
        holding.push(caller.probe.listen("held").send().await.unwrap());
    }
    agent.watch.began().await;
    agent.tap.until(65, "they are taken", delivered(calls("listen"))).await;
    let mut late = admin.call::<String>("hello", ()).send().await.unwrap();
    assert!(timeout(OUTAGE, late.next()).await.is_err(), "not even accepted");
    assert_eq!(soon("it is answered", caller.endpoint.peer("agent").admin().hello()).await.unwrap(), "Hello, I am agent");
    assert!(soon("it is cancelled", holding.remove(63).cancel()).await.unwrap());
    agent.watch.open(64);
    assert_eq!(late.await.unwrap(), "Hello, I am agent");
    for held in holding {
        soon("it ends", held).await.unwrap();
    }
    // Nothing else is served there.
    if Powers::of(setting).await.lack(&[Need::Unsealed]).is_none() {
        let error = caller.endpoint.peer("agent.admin").class("probe").call::<String>("echo", ["x"]).await.unwrap_err();
        assert!(matches!(&error, CallError::Rejected(why) if why.code == RejectionCode::UnknownClass), "{error:?}");
    }
}

pub(super) async fn admin_falls_back_to_the_agents_own_address<S: Setting>(setting: &S) {
    let (agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    // As it is at an agent of gofer's.
    caller.tap.misroute(|message| message.head.to == "agent.admin");
    assert_eq!(caller.endpoint.peer("agent").admin().hello().await.unwrap(), "Hello, I am agent");
    let at = |message: &Message| calls("hello")(message) && message.head.to == "agent";
    assert_eq!(agent.tap.count(delivered(at)), 1);
}

pub(super) async fn what_waits_on_the_bus_is_cancelled_as_it_comes<S: Setting>(setting: &S) {
    let mut agent = agent_with(setting, |builder| builder.concurrency(1)).await;
    let caller = calling(setting, "caller").await;
    let mut holding = Vec::new();
    for _ in 0..64 {
        holding.push(caller.probe.hold("held").send().await.unwrap());
    }
    agent.watch.began().await;
    agent.tap.until(64, "the agent takes no more", delivered(calls("hold"))).await;
    let behind = caller.probe.listen("behind").send().await.unwrap();
    let (cancelled, ()) = tokio::join!(behind.cancel(), async {
        caller.tap.until(2, "it asks in the lane, and behind it", published(calls("cancel"))).await;
        agent.watch.open(64);
    });
    assert!(cancelled.unwrap());
    for held in holding {
        soon("it ends", held).await.unwrap();
    }
    match soon("it ends", behind).await {
        Ok(said) => assert_eq!(said, "behind was cancelled"),
        Err(error) => assert!(matches!(error, CallError::Cancelled), "{error:?}"),
    }
}

pub(super) async fn the_second_cancel_says_so<S: Setting>(setting: &S) {
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let call = caller.probe.hold("it").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    assert!(call.cancel().await.unwrap(), "the first one");
    assert!(!call.cancel().await.unwrap(), "the second one");
    let sn = call.sn().clone();
    assert_eq!(cancel(&caller, sn.as_str()).await.unwrap(), Vec::<String>::new());
    agent.watch.open(1);
    assert_eq!(call.await.unwrap(), "it");
    // And when it has ended, or never was, it is unknown.
    assert_unknown(cancel(&caller, sn.as_str()).await, sn.as_str());
    assert_unknown(cancel(&caller, "nonsense").await, "nonsense");
}

pub(super) async fn asking_an_agent_takes_no_longer_than_it_may<S: Setting>(setting: &S) {
    let (agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    // It says in its lane, late, that it knows nothing; behind what waits on the bus it never says anything.
    let answers = |message: &Message| matches!(outcome(message), Some(Outcome::Exception(_)));
    agent.tap.hold(answers);
    let (time, unknown) = (Duration::from_secs(3), Sn::new("unknown").unwrap());
    let (admin, began) = (caller.endpoint.peer("agent").admin().timeout(time), Instant::now());
    let (answer, ()) = tokio::join!(admin.cancel(&unknown), async {
        agent.tap.until(1, "it says that it knows nothing", held).await;
        tokio::time::sleep(time * 2 / 3).await;
        agent.tap.release();
        agent.tap.hold(answers);
    });
    assert!(matches!(answer, Err(CallError::Timeout { after, .. }) if after == time), "{answer:?}");
    assert!(began.elapsed() < time * 4 / 3, "{:?}", began.elapsed());
}

//! Trust: what is let in, what is said to the rest, and what is never sent.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    Caller, OUTAGE, Setting, agent, agent_with, calling, calling_with,
    needs::Powers,
    tap::{By, Passed, calls, numbered, request},
};
use crate::{
    CallError, Memory, Native, Trust,
    endpoint::Builder,
    error::Fate,
    json::Json,
    message::{Body, Head, Message, Outcome, RejectionCode, Status},
    seal::{AuthError, Authenticator, Demands, Principal, Sealed, Signature},
    testing::{ManualClock, conformance::soon},
    transport::Disposition,
};

/// Puts another authenticator in the place of a binding's own.
fn trusting<A: Authenticator>(builder: Builder, other: impl Fn(Arc<dyn Authenticator>) -> A) -> Builder {
    builder.rewire(|_, _, trust| {
        let own = trust.authenticator.take().expect("the pair is sealed");
        trust.authenticator = Some(Arc::new(other(own)));
    })
}

/// An answer to a request, as an agent would write it.
fn answer(asked: &Message, body: Body) -> Message {
    let reply = asked.head.reply.clone().expect("somebody waits for it");
    let mut head = Head::to(reply.to.clone());
    head.reply = Some(reply);
    head.sn.clone_from(&asked.head.sn);
    head.sent = asked.head.sent;
    head.from = Some(asked.head.to.clone());
    Message { head, body }
}

fn forged() -> Body {
    Body::Outcome(Outcome::Result(Json::encode("forged").unwrap()))
}

/// A request that a caller has written, signed and not sent: what others may bring.
async fn unsent(caller: &Caller, secret: &str) -> Arc<Message> {
    caller.tap.swallow(calls("echo"));
    drop(caller.probe.echo(secret).data(json!({"secret": secret})).send().await.unwrap());
    caller.tap.swallow_nothing();
    caller.tap.last_written(calls("echo"))
}

pub(super) async fn a_sealed_binding_lets_nothing_else_in<S: Setting>(setting: &S) {
    let mut agent = agent(setting).await;
    let (caller, other) = (calling(setting, "caller").await, calling(setting, "other").await);
    let good = unsent(&caller, "swordfish").await;
    let signed = caller.tap.frame(&good, By::Own);
    let from = |name: Option<&'static str>| {
        let mut message = (*good).clone();
        message.head.from = name.map(Into::into);
        message
    };
    let tampered = |from: &str, to: &str| {
        let text = std::str::from_utf8(&signed.payload).unwrap();
        let changed = text.replace(from, to);
        assert_ne!(changed, text);
        changed
    };
    let mut unverified = vec![
        caller.tap.frame(&good, By::Nobody).payload,
        caller.tap.frame(&good, By::Other(&other.tap)).payload,
        caller.tap.frame(&from(Some("stranger")), By::Own).payload,
        caller.tap.frame(&from(None), By::Own).payload,
    ];
    // A good signature of another text.
    unverified.push(tampered("swordfish", "swordfisk").into());
    for payload in &unverified {
        caller.tap.post_in_place_of(&signed, payload.clone()).await;
    }
    // What its sender made for another is not for this one, whoever brings it.
    let mut elsewhere = (*good).clone();
    elsewhere.head.to = "elsewhere".into();
    other.tap.post_in_place_of(&signed, caller.tap.frame(&elsewhere, By::Own).payload).await;
    // No message at all.
    for payload in ["7", "{", r#"{"message": "{}"}"#, r#"{"message": {}, "signature": ""}"#] {
        caller.tap.post_in_place_of(&signed, payload).await;
    }
    assert_eq!(caller.probe.who().await.unwrap(), "key:caller");
    // What another has brought by a link of its own may come a moment later.
    soon("what is for another is counted", async {
        while agent.endpoint.figures()[0].misdirected == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let figures = agent.endpoint.figures()[0];
    assert_eq!((figures.unverified, figures.misdirected), (unverified.len() as u64, 1));
    assert_eq!((agent.watch.ran(), figures.remembered), (0, 1), "the last one alone is remembered");
    // What is signed as it must be is served, whoever brings it.
    other.tap.post_in_place_of(&signed, signed.payload.clone()).await;
    agent.watch.ended("swordfish").await;
    assert_eq!(agent.watch.ran(), 1);
}

pub(super) async fn the_unverified_are_told_little_and_seldom<S: Setting>(setting: &S) {
    let clock = ManualClock::default();
    let agent = agent_with(setting, |builder| builder.clock(clock.clone())).await;
    let caller = calling_with(setting, "caller", |builder| builder.clock(clock.clone())).await;
    let good = unsent(&caller, "swordfish").await;
    let plain = caller.tap.frame(&good, By::Nobody);
    for told in [10, 20] {
        // Ten in this second.
        for _ in 0..30 {
            caller.tap.replay(&plain).await;
        }
        let outcomes = agent.tap.until_outcomes(told, good.head.sn.as_ref()).await;
        assert!(outcomes.iter().all(|outcome| matches!(
            outcome,
            Outcome::Rejected(rejection) if rejection.code == RejectionCode::Authentication && rejection.details.is_empty()
        )));
        caller.probe.who().await.unwrap();
        assert_eq!(agent.tap.outcomes(good.head.sn.as_ref()).len(), told);
        clock.advance(Duration::from_secs(1));
    }
    let about = |message: &&Arc<Message>| message.head.sn == good.head.sn;
    assert!(agent.tap.published().iter().filter(about).all(|message| message.head.data.is_none()));
    // The verified are told everything, as often as they ask.
    for _ in 0..15 {
        match caller.endpoint.peer("agent").class("probe").call::<Value>("echo", json!({"txt": "x"})).await {
            Err(CallError::Rejected(rejection)) => assert!(!rejection.details.is_empty()),
            other => panic!("{other:?}"),
        }
    }
}

pub(super) async fn an_unsigned_reply_does_not_count<S: Setting>(setting: &S) {
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let call = caller.probe.hold("signed").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "signed");
    let (asked, _) = caller.tap.last(numbered(call.sn()));
    agent.tap.post(&answer(&asked, forged()), By::Nobody).await;
    // By somebody else's key, in the agent's name.
    agent.tap.post(&answer(&asked, forged()), By::Other(&caller.tap)).await;
    agent.watch.open(1);
    assert_eq!(call.await.unwrap(), "signed");
    assert_eq!(caller.endpoint.figures()[0].unverified, 2);
}

/// Lets everybody answer for everybody.
#[derive(Debug)]
struct Lenient(Arc<dyn Authenticator>);

impl Authenticator for Lenient {
    fn sign(&self, texts: &[&[u8]]) -> Result<Vec<Signature>, AuthError> {
        self.0.sign(texts)
    }

    fn verify(&self, sealed: &[Sealed<'_>]) -> Vec<Result<Principal, AuthError>> {
        self.0.verify(sealed)
    }

    fn answers(&self, _: &str, _: &str) -> bool {
        true
    }

    fn demands(&self) -> Demands {
        self.0.demands()
    }
}

pub(super) async fn a_reply_by_an_impostor_does_not_count<S: Setting>(setting: &S) {
    let mut agent = agent(setting).await;
    let (caller, other) = (calling(setting, "caller").await, calling(setting, "other").await);
    let call = caller.probe.hold("genuine").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "genuine");
    let (asked, _) = caller.tap.last(numbered(call.sn()));
    let by_other = |body| {
        let mut message = answer(&asked, body);
        message.head.from = Some("other".into());
        message
    };
    // Somebody with a key of its own, as itself and as the agent.
    other.tap.post(&by_other(forged()), By::Own).await;
    other.tap.post(&by_other(Body::Status(Status::Started)), By::Own).await;
    other.tap.post(&answer(&asked, forged()), By::Own).await;
    agent.watch.open(1);
    assert_eq!(call.await.unwrap(), "genuine");
    let figures = caller.endpoint.figures()[0];
    assert_eq!((figures.impostors, figures.unverified), (2, 1));

    // A caller may know better who answers for whom.
    drop(caller);
    let caller = calling_with(setting, "caller", |builder| trusting(builder, Lenient)).await;
    let call = caller.probe.hold("genuine").send().await.unwrap();
    let (asked, _) = caller.tap.last(numbered(call.sn()));
    let mut message = answer(&asked, forged());
    message.head.from = Some("other".into());
    other.tap.post(&message, By::Own).await;
    assert_eq!(call.await.unwrap(), "forged");
}

/// Signs until its key is taken away.
#[derive(Debug)]
struct Losing(Arc<dyn Authenticator>, Arc<AtomicBool>);

impl Authenticator for Losing {
    fn sign(&self, texts: &[&[u8]]) -> Result<Vec<Signature>, AuthError> {
        if self.1.load(Ordering::SeqCst) {
            return Err(AuthError::Failed("there is no key".into()));
        }
        self.0.sign(texts)
    }

    fn verify(&self, sealed: &[Sealed<'_>]) -> Vec<Result<Principal, AuthError>> {
        self.0.verify(sealed)
    }

    fn answers(&self, sender: &str, address: &str) -> bool {
        self.0.answers(sender, address)
    }

    fn demands(&self) -> Demands {
        self.0.demands()
    }
}

pub(super) async fn signing_fails_closed<S: Setting>(setting: &S) {
    let lost = Arc::new(AtomicBool::new(false));
    let losing = |builder| trusting(builder, |own| Losing(own, Arc::clone(&lost)));
    let mut agent = agent_with(setting, losing).await;
    let caller = calling_with(setting, "caller", losing).await;
    let held = caller.probe.hold("held").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "held");
    agent.tap.until(2, "its statuses are sent", |passed| matches!(passed, Passed::Published(..))).await;
    let before = (agent.tap.published().len(), caller.tap.published().len());

    // A caller sends nothing.
    lost.store(true, Ordering::SeqCst);
    for error in [caller.probe.echo("x").await.unwrap_err(), caller.probe.echo("x").notify().await.unwrap_err()] {
        assert_eq!(error.fate(), Fate::NeverRan);
        assert!(matches!(error, CallError::Encode(_)), "{error:?}");
    }
    // An agent neither: the outcome waits until it can be signed.
    agent.watch.open(1);
    agent.watch.ended("held").await;
    tokio::time::sleep(OUTAGE).await;
    assert_eq!((agent.tap.published().len(), caller.tap.published().len()), before);
    let settled = |passed: &Passed| matches!(passed, Passed::Settled(message, Disposition::Ack) if request(message).is_some());
    assert_eq!(agent.tap.count(settled), 0);
    lost.store(false, Ordering::SeqCst);
    assert_eq!(held.await.unwrap(), "held");
    assert_eq!(agent.watch.ran(), 1);
}

pub(super) async fn an_unverified_name_is_nobody<S: Setting>(setting: &S) {
    let sealed = Powers::of(setting).await.is_sealed();
    let (_agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let who = caller.probe.who().await.unwrap();
    if sealed {
        assert_eq!(who, "key:caller");
        return;
    }
    assert!(!who.starts_with("key:"), "{who}");
    for claimed in ["key:boss", "boss"] {
        caller.tap.change(move |message| message.head.from = Some(claimed.into()));
        assert_eq!(caller.probe.who().await.unwrap(), who);
    }
}

fn unauthorized<T: std::fmt::Debug, E: std::fmt::Debug>(answer: Result<T, CallError<E>>) {
    match answer {
        Err(CallError::Rejected(rejection)) => assert_eq!(rejection.code, RejectionCode::Authorization),
        other => panic!("{other:?}"),
    }
}

/// Lets callers reach these methods alone.
fn only(builder: Builder, methods: &[&str]) -> Builder {
    builder.rewire(|_, _, trust| *trust = trust.clone().only(methods.iter().copied()))
}

pub(super) async fn a_binding_can_be_narrowed<S: Setting>(setting: &S) {
    {
        let agent = agent_with(setting, |builder| only(builder, &["probe.echo", "Admin.hello"])).await;
        let caller = calling(setting, "caller").await;
        assert_eq!(caller.probe.echo("open").await.unwrap(), "open");
        unauthorized(caller.probe.hold("closed").await);
        // Nobody is told of one that nobody waits for; it does not run either.
        caller.probe.note("closed").await.unwrap();
        let admin = caller.endpoint.peer("agent").class("Admin");
        assert_eq!(admin.call::<String>("hello", ()).await.unwrap(), "Hello, I am agent");
        unauthorized(admin.call::<Value>("cancel", ["1"]).await);
        assert_eq!(agent.watch.ran(), 1);
        let _ = caller.endpoint.shutdown(Duration::ZERO).await.unwrap();
        let _ = agent.endpoint.shutdown(Duration::from_secs(1)).await.unwrap();
    }
    // A whole class; and what is not served is not given away by it.
    let agent = agent_with(setting, |builder| only(builder, &["probe.*"])).await;
    let caller = calling(setting, "caller").await;
    assert_eq!(caller.probe.echo("open").await.unwrap(), "open");
    unauthorized(caller.endpoint.peer("agent").class("Admin").call::<Value>("hello", ()).await);
    assert_eq!(agent.watch.ran(), 1);
}

pub(super) async fn callers_are_shown_what_they_can_reach<S: Setting>(setting: &S) {
    let reach = ["probe.echo", "Admin.describe", "Admin.help"];
    let agent = agent_with(setting, |builder| only(builder, &reach)).await;
    let caller = calling(setting, "caller").await;
    let admin = caller.endpoint.peer("agent").admin();
    let told = admin.describe(None).await.unwrap();
    let methods =
        told.contracts.iter().flat_map(|of| of.methods.iter().map(move |method| format!("{}.{}", of.class, method.name)));
    assert_eq!(methods.collect::<Vec<_>>(), ["Admin.help", "Admin.describe", "probe.echo"]);
    let help: String = caller.endpoint.peer("agent").class("Admin").call("help", ()).await.unwrap();
    assert!(help.contains("    echo(") && !help.contains("hold") && !help.contains("cancel"), "{help}");
    // The agent itself sees all of it.
    assert!(agent.endpoint.describe().contracts.iter().any(|of| of.methods.iter().any(|method| method.name == "hold")));
}

pub(super) async fn bindings_have_their_own_trust<S: Setting>(setting: &S) {
    // The pair's own, and one in memory, which is open to everybody for some of it.
    let (outside, sealed) = (Memory::new(), Powers::of(setting).await.is_sealed());
    let open = || Trust::insecure().only(["probe.echo", "probe.who"]);
    let agent = agent_with(setting, |builder| builder.bind(Native::default(), outside.clone(), open())).await;
    let bound = |builder: Builder| builder.bind(Native::default(), outside.clone(), Trust::insecure());
    let caller = calling_with(setting, "caller", bound).await;
    let plain: super::ProbeClient = caller.endpoint.client_over(1, "agent");
    let signed = caller.probe.who().await.unwrap();
    if sealed {
        assert_eq!(signed, "key:caller");
    }
    assert_eq!(plain.who().await.unwrap(), "anonymous");
    assert_eq!(caller.probe.fail(1).await.unwrap_err().fate(), Fate::Ran);
    unauthorized(plain.fail(1).await);
    assert_eq!(plain.echo("open").await.unwrap(), "open");
    let figures = agent.endpoint.figures();
    assert_eq!((figures.len(), figures[0].rejected, figures[1].rejected), (2, 0, 1));
    assert_eq!(agent.watch.ran(), 2, "one that failed, and an echo");
}

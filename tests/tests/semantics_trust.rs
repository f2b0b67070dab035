//! Trust: what is let in, what is said to the rest, and what is never sent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rmi_core::{
    CallError, Ed25519, Endpoint, Keyring, Memory, Native, Principal, Trust,
    error::Fate,
    message::{Exception, RejectionCode},
    seal::{AuthError, Authenticator, PrivateKey, Sealed, Signature},
};
use rmi_tests::{
    probe::{ProbeClient, ProbeServer, Watch},
    raw::{Raw, kind, publish},
    tap::{Event, Tap},
    world::World,
};
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);

/// A key of somebody whom nobody knows.
fn stranger(world: &World) -> Ed25519 {
    Ed25519::new(PrivateKey::generate().unwrap(), world.keyring.clone())
}

fn authorization<T: std::fmt::Debug, E: std::fmt::Debug>(answer: Result<T, CallError<E>>) {
    match answer {
        Err(CallError::Rejected(rejection)) => assert_eq!(rejection.code, RejectionCode::Authorization),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_sealed_binding_lets_nothing_else_in() {
    let world = World::sealed();
    let agent = world.agent("agent").await;
    let (caller, other) = (world.signer("caller"), world.signer("other"));
    let request = || world.request("echo", json!(["x"])).sn("1");
    let nobody = request().with("routing", json!([null, "agent"]));
    let signed = request().signed(&caller);
    let unverified = [
        request().plain(),
        request().signed(&other),
        request().signed(&stranger(&world)),
        request().from("stranger").signed(&stranger(&world)),
        nobody.signed(&caller),
        // A good signature of another text.
        signed.replace(r#"[\"x\"]"#, r#"[\"y\"]"#),
        // And another's in the place of one's own.
        signed.replace(r#"\"caller\""#, r#"\"other\""#),
    ];
    for payload in &unverified {
        assert_ne!(payload, &signed);
        publish(&world.bus, "agent", payload.clone()).await;
    }
    // What its sender made for another is not for this one, whoever brings it.
    publish(&world.bus, "agent", Raw::request("elsewhere", "echo", json!(["x"])).sn("2").signed(&caller)).await;
    // No message at all.
    for payload in ["", "7", "{", r#"{"message": "{}"}"#, r#"{"message": {}, "signature": ""}"#] {
        publish(&world.bus, "agent", payload).await;
    }
    world.settle().await;
    let figures = agent.endpoint.figures()[0];
    assert_eq!((figures.unverified, figures.misdirected), (unverified.len() as u64, 1));
    assert_eq!((agent.watch.ran(), figures.remembered), (0, 1), "the settler alone is remembered");
    // All of it is among the dead letters, and what is signed as it must be is served.
    assert_eq!(world.bus.counters().dead_lettered, unverified.len() as u64 + 6);
    publish(&world.bus, "agent", signed).await;
    world.settle().await;
    assert_eq!(agent.watch.ran(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_unverified_are_told_little_and_seldom() {
    let world = World::sealed();
    let (agent, mut replies) = (world.agent("agent").await, world.mailbox("box").await);
    let forged = world.request("echo", json!(["x"])).sn("1").reply_to("box").with("data", json!({"secret": "swordfish"}));
    let old = forged.clone().with("version", "9.9");
    let malformed = forged.clone().with("request", json!("swordfish"));
    let told = |message: &Value| {
        assert_eq!((kind(message), &message["data"], &message["details"]), ("rejected", &Value::Null, &json!("")));
        assert!(!message.to_string().contains("swordfish"), "{message}");
        message["code"].as_str().unwrap().to_owned()
    };
    // A third thing that can be wrong is not told.
    for payload in [forged.plain(), malformed.plain(), old.plain(), old.signed(&stranger(&world))] {
        publish(&world.bus, "agent", payload).await;
    }
    for expected in ["security.authentication", "model.version", "model.version"] {
        assert_eq!(told(&replies.next().await), expected);
    }
    // Ten in this second, whatever they are for.
    for _ in 0..30 {
        publish(&world.bus, "agent", forged.plain()).await;
    }
    world.settle().await;
    world.clock.advance(SECOND);
    for _ in 0..30 {
        publish(&world.bus, "agent", old.plain()).await;
    }
    world.settle().await;
    let by_agent = agent.tap.published();
    let codes = |code: &str| by_agent.iter().filter(|message| message["code"] == code).count();
    assert_eq!((codes("security.authentication"), codes("model.version")), (8, 12));
    assert_eq!(agent.endpoint.figures()[0].rejected, 20);
    // The verified are told everything, as often as they ask.
    for number in 0..15 {
        let wrong =
            world.request("echo", json!([7])).sn(&format!("verified {number}")).reply_to("box").with("data", json!("mine"));
        world.post(&wrong).await;
    }
    let told = |event: &Event| matches!(event, Event::Published(m) if m["data"] == "mine" && m["code"] == "request.arguments");
    agent.tap.until(15, "they are told", told).await;
}

#[tokio::test(start_paused = true)]
async fn an_unsigned_reply_does_not_count() {
    let world = World::sealed();
    let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
    let call = caller.probe().hold("signed").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "signed");
    let reply = Raw::reply(&caller.tap.published()[0], "agent", json!({"result": {"retval": "plain"}}));
    publish(&world.bus, reply.destination(), reply.plain()).await;
    publish(&world.bus, reply.destination(), reply.signed(&stranger(&world))).await;
    agent.watch.open(1);
    assert_eq!(call.await.unwrap(), "signed");
    assert_eq!(caller.endpoint.figures()[0].unverified, 2);
}

/// Signs until its key is taken away.
#[derive(Clone, Debug)]
struct Losing(Ed25519, Arc<AtomicBool>);

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
}

#[tokio::test(start_paused = true)]
async fn signing_fails_closed() {
    let world = World::sealed();
    let lost = Arc::new(AtomicBool::new(false));
    let endpoint = |name: &str, tap: &Tap| {
        let trust = Losing(world.signer(name), Arc::clone(&lost));
        Endpoint::builder(name.to_owned()).bind(Native::default(), tap.clone(), trust).clock(world.clock.clone())
    };
    let (at, by, (probing, mut watch)) = (Tap::on(&world.bus), Tap::on(&world.bus), Watch::new());
    let _agent = endpoint("agent", &at).serve(ProbeServer::new(probing)).start().await.unwrap();
    let caller = endpoint("caller", &by).start().await.unwrap();
    let probe: ProbeClient = caller.client("agent");
    let held = probe.hold("held").send().await.unwrap();
    assert_eq!(watch.began().await, "held");
    let before = (at.published().len(), by.published().len());

    // A caller sends nothing.
    lost.store(true, Ordering::SeqCst);
    for error in [probe.echo("x").await.unwrap_err(), probe.echo("x").notify().await.unwrap_err()] {
        assert_eq!(error.fate(), Fate::NeverRan);
        assert!(matches!(error, CallError::Encode(_)), "{error:?}");
    }
    // An agent neither; the bus keeps the request until its outcome can be signed.
    watch.open(1);
    watch.ended("held").await;
    tokio::time::sleep(SECOND * 20).await;
    assert_eq!((at.published().len(), by.published().len()), before);
    assert_eq!(at.count(|event| *event == Event::Settled(rmi_core::transport::Disposition::Ack)), 0);
    assert!(at.count(|event| matches!(event, Event::Delivered(_))) < 20, "it is not tried without a pause");
    lost.store(false, Ordering::SeqCst);
    assert_eq!(held.await.unwrap(), "held");
    assert_eq!(watch.ran(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_unverified_name_is_nobody() {
    let world = World::unsealed();
    let (_agent, caller) = (world.agent("agent").await, world.caller("boss").await);
    assert_eq!(caller.probe().who().await.unwrap(), "anonymous");
    let mut replies = world.mailbox("box").await;
    world.post(&world.request("who", json!([])).from("key:boss").reply_to("box").wants(&[])).await;
    assert_eq!(replies.next().await["result"]["retval"], "anonymous");

    let world = World::sealed();
    let (_agent, caller) = (world.agent("agent").await, world.caller("boss").await);
    assert_eq!(caller.probe().who().await.unwrap(), "key:boss");
}

#[tokio::test(start_paused = true)]
async fn a_binding_can_be_narrowed() {
    for world in World::both() {
        let (tap, (probing, watch)) = (Tap::on(&world.bus), Watch::new());
        let trust = world.trust("agent").only(["probe.echo", "Admin.hello"]);
        let agent = Endpoint::builder("agent")
            .bind(Native::default(), tap, trust)
            .clock(world.clock.clone())
            .serve(ProbeServer::new(probing));
        let _agent = agent.start().await.unwrap();
        let caller = world.caller("caller").await;
        assert_eq!(caller.probe().echo("open").await.unwrap(), "open");
        authorization(caller.probe().hold("closed").await);
        authorization(
            caller.probe().note("closed").timeout(SECOND).await.map(|_| ()).and(caller.probe().hold("closed").await.map(drop)),
        );
        let admin = caller.endpoint.peer("agent").class("Admin");
        assert_eq!(admin.call::<String>("hello", ()).await.unwrap(), "Hello, I am agent");
        authorization(admin.call::<Value>("cancel", ["1"]).await);
        assert_eq!(watch.ran(), 1);

        // A whole class; and what is not served is not given away by it.
        let (tap, (probing, watch)) = (Tap::on(&world.bus), Watch::new());
        let trust = world.trust("all").only(["probe.*"]);
        let all = Endpoint::builder("all")
            .bind(Native::default(), tap, trust)
            .clock(world.clock.clone())
            .serve(ProbeServer::new(probing));
        let _all = all.start().await.unwrap();
        let probe: ProbeClient = caller.endpoint.client("all");
        assert_eq!(probe.echo("open").await.unwrap(), "open");
        authorization(caller.endpoint.peer("all").class("Admin").call::<Value>("hello", ()).await);
        assert_eq!(watch.ran(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn bindings_have_their_own_trust() {
    let (inside, outside) = (Memory::new(), Memory::new());
    let keyring = Keyring::new();
    let key = |name: &str| {
        let key = PrivateKey::generate().unwrap();
        keyring.trust(name.to_owned(), key.public()).unwrap();
        Ed25519::new(key, keyring.clone())
    };
    let (probing, watch) = Watch::new();
    let agent = Endpoint::builder("agent")
        .bind(Native::default(), inside.clone(), key("agent"))
        .bind(Native::default(), outside.clone(), Trust::insecure().only(["probe.echo", "probe.who"]))
        .serve(ProbeServer::new(probing))
        .start()
        .await
        .unwrap();
    let caller = Endpoint::builder("caller")
        .bind(Native::default(), inside.clone(), key("caller"))
        .bind(Native::default(), outside.clone(), Trust::insecure())
        .start()
        .await
        .unwrap();
    let signed: ProbeClient = caller.client("agent");
    let plain: ProbeClient = caller.client_over(1, "agent");
    assert_eq!(signed.who().await.unwrap(), "key:caller");
    assert_eq!(plain.who().await.unwrap(), "anonymous");
    assert_eq!(signed.fail(1).await.unwrap_err().fate(), Fate::Ran);
    authorization(plain.fail(1).await);
    // What is let in on the one is not on the other: plain text inside, and a signature changes nothing outside.
    let request = Raw::request("agent", "echo", json!(["x"])).sn("1");
    publish(&inside, "agent", request.plain()).await;
    publish(&outside, "agent", request.signed(&key("stranger"))).await;
    let waited: Result<String, CallError<Exception>> = caller.peer("agent").over(1).class("probe").call("echo", ["after"]).await;
    assert_eq!(waited.unwrap(), "after");
    assert_eq!(signed.echo("after").await.unwrap(), "after");
    let [first, second] = agent.figures().try_into().unwrap();
    assert_eq!((first.unverified, second.unverified), (1, 0));
    assert_eq!(watch.ran(), 4, "fail, two echoes, and the one that nobody had to sign");
}

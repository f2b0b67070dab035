//! gofer's signing scheme, both ways: with a secret that all share, and with keys of each.

use std::path::{Path, PathBuf};

use kennel::DogClient;
use rmi_core::{
    CallError, Keyring, Trust,
    error::Phase,
    seal::{Authenticator, DigestKeys, Gofer, PrivateKey, PublicKey, wrap},
};
use rmi_tests::{clock::FakeClock, gofer::came, raw::kind};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::stage::{SECOND, Secret, agent, amqp, caller, client, depth, kennel, keys, ours, serving, unique};

fn secret() -> Trust {
    Trust::sealed(Gofer::new(Secret("mycathas9lives")))
}

#[tokio::test]
async fn everybody_who_has_the_secret_is_understood() {
    let (dog, theirs) = (unique("dog"), unique("theirs"));
    let _agent = kennel(&dog, secret()).await;
    let authenticator = json!({"secret": "mycathas9lives"});
    let said = client(authenticator.clone()).await.call(&dog, "Dog.wag", json!([1]), json!({"kws": {"delay": 0}})).await;
    assert_eq!(said["retval"], "wagged 1", "{said}");
    // Every answer is signed, statuses as well, in gofer's wrapper.
    let wrapped = said["came"].as_array().unwrap().iter().map(|seen| seen["text"].as_str().unwrap());
    let wrapped: Vec<Value> = wrapped.map(|text| serde_json::from_str(text).unwrap()).collect();
    assert_eq!(wrapped.len(), 4);
    assert!(wrapped.iter().all(|outer| keys(outer) == ["message", "signature"]), "{wrapped:?}");

    let mut peer = agent(&theirs, json!({"authenticator": authenticator})).await;
    let caller = caller(secret()).await;
    let dogs: DogClient = caller.client(theirs.as_str());
    assert!(dogs.bark("signed").await.unwrap().contains("signed"));
    let (_, seen) = peer.got().await;
    assert_eq!(keys(&serde_json::from_str(seen["text"].as_str().unwrap()).unwrap()), ["message", "signature"]);
}

/// `routing` names the queue with its exchange, or without: it is the same agent.
#[tokio::test]
async fn what_is_signed_goes_through_exchanges_as_well() {
    let (dog, theirs, authenticator) = (unique("dog"), unique("theirs"), json!({"secret": "mycathas9lives"}));
    let through = format!("amq.direct/{dog}");
    let _agent = serving(ours(&through, secret()).await.reply_exchanges(["amq.direct"])).start().await.unwrap();
    let client = client(authenticator.clone()).await;
    for address in [&through, &dog] {
        for exchange in [Value::Null, json!("amq.direct")] {
            let said = client.call(address, "Dog.bark", json!(["x"]), json!({"exchange": exchange})).await;
            assert!(said["retval"].is_string(), "{said}");
        }
    }
    let _peer = agent(&format!("amq.direct/{theirs}"), json!({"authenticator": authenticator})).await;
    let native = rmi_core::Native::gofer().reply_exchange("amq.direct");
    let caller = rmi_core::Endpoint::builder(unique("caller")).bind(native, amqp().await, secret()).start().await.unwrap();
    for address in [format!("amq.direct/{theirs}"), theirs] {
        assert!(caller.client::<DogClient>(address.as_str()).bark("x").await.is_ok(), "{address}");
    }
}

/// The keys of two, as files.
struct Files {
    home: TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Files { home: TempDir::new().unwrap() };
        for name in ["walker", "dog", "stranger"] {
            let key = PrivateKey::generate().unwrap();
            key.save(files.path(name, "key")).unwrap();
            std::fs::write(files.path(name, "pem"), key.public().to_pem().unwrap()).unwrap();
        }
        files
    }

    fn path(&self, name: &str, ending: &str) -> PathBuf {
        Path::new(self.home.path()).join(format!("{name}.{ending}"))
    }

    /// What a peer in Python has: its own key, and another's under the name that it is called by.
    fn theirs(&self, name: &str, (trusted, file): (&str, &str)) -> Value {
        json!({"name": name, "key": self.path(name, "key"), "ring": {trusted: self.path(file, "pem")}})
    }

    fn public(&self, name: &str) -> PublicKey {
        PublicKey::from_pem(&std::fs::read_to_string(self.path(name, "pem")).unwrap()).unwrap()
    }

    /// What ours signs with, under a name, and whom it believes.
    fn ours(&self, name: &str, file: &str, keyring: Keyring) -> Trust {
        let key = PrivateKey::load(self.path(file, "key")).unwrap();
        Trust::sealed(Gofer::new(DigestKeys::new(name.to_owned(), key, keyring)))
    }
}

/// Everybody signs with a key of his own, and is known by it, although gofer's messages name nobody.
#[tokio::test]
async fn keys_say_who_speaks() {
    let (files, dog, theirs) = (Files::new(), unique("dog"), unique("theirs"));
    let keyring = Keyring::new();
    keyring.trust("walker", files.public("walker")).unwrap();
    let _agent = kennel(&dog, files.ours(&dog, "dog", keyring)).await;
    let walker = client(files.theirs("walker", (&dog, "dog"))).await;
    assert!(walker.call(&dog, "Dog.bark", json!(["x"]), json!({})).await["retval"].is_string());
    // Whoever has another key is nobody, also under a name that is known.
    for name in ["stranger", "walker"] {
        let mut stranger = files.theirs("stranger", (&dog, "dog"));
        stranger["name"] = name.into();
        let said = client(stranger).await.call(&dog, "Dog.bark", json!(["x"]), json!({})).await;
        assert_eq!((&said["raised"], &said["args"][0]), (&json!("DocumentError"), &json!("security.authentication")), "{name}");
    }

    // An agent of gofer's that has a key is heard when it may answer for the address.
    let authenticator = files.theirs("dog", ("walker", "walker"));
    let _peer = agent(&theirs, json!({"authenticator": authenticator})).await;
    let keyring = Keyring::new();
    keyring.trust("dog", files.public("dog")).unwrap();
    let trust = files.ours("walker", "walker", keyring.clone());
    let builder = rmi_core::Endpoint::builder("walker").bind(rmi_core::Native::gofer(), amqp().await, trust);
    let caller = builder.start().await.unwrap();
    let dogs: DogClient = caller.client(theirs.as_str());
    match dogs.bark("x").timeout(SECOND / 2).await {
        Err(CallError::Timeout { phase: Phase::Total, .. }) => {}
        other => panic!("{other:?}: it may not answer for {theirs}"),
    }
    keyring.allow_answers("dog", theirs.clone());
    assert!(dogs.bark("x").await.unwrap().contains('x'));
}

#[tokio::test]
async fn who_is_not_verified_is_told_so_and_no_more() {
    let (dog, clock) = (unique("dog"), FakeClock::default());
    let _agent = serving(ours(&dog, secret()).await.clock(clock)).start().await.unwrap();
    for authenticator in [Value::Null, json!({"secret": "guessed"})] {
        let client = client(authenticator.clone()).await;
        let said = client.call(&dog, "Dog.bark", json!(["x"]), json!({"data": {"secret": "swordfish"}, "wait": 5})).await;
        if authenticator.is_null() {
            let expected = json!(["security.authentication", "SECURITY: message authentication failed", null, ""]);
            assert_eq!((&said["raised"], &said["args"]), (&json!("DocumentError"), &expected));
            let told = came(&said);
            assert_eq!((kind(&told[0]), &told[0]["data"]), ("rejected", &Value::Null));
        } else {
            // It does not believe the answer either: the secrets are not the same.
            assert_eq!(said["args"][0], "security.authentication");
        }
    }
    // Ten in a second: this clock stands still, and two are gone.
    let (client, queue) = (client(Value::Null).await, unique("replies"));
    client.ask(json!({"do": "declare", "queue": queue})).await;
    let forged = json!({
        "data": null, "replyto": queue, "routing": [null, dog], "sn": "1", "version": "2.0",
        "request": {"args": ["x"], "classname": "Dog", "cntr": null, "kws": {}, "method": "bark"},
    });
    client.ask(json!({"do": "send", "address": dog, "text": forged.to_string(), "times": 30})).await;
    depth(&client, &queue, 8).await;
    depth(&client, &dog, 0).await;
    // What was read after the last of them has come through as well.
    let verified = super::stage::client(json!({"secret": "mycathas9lives"})).await;
    assert!(verified.call(&dog, "Dog.bark", json!(["x"]), json!({})).await["retval"].is_string());
    depth(&client, &queue, 8).await;
}

#[tokio::test]
async fn an_answer_that_is_not_signed_is_none() {
    let dog = unique("dog");
    let mut peer = agent(&dog, json!({})).await;
    let caller = caller(secret()).await;
    let dogs: DogClient = caller.client(dog.as_str());
    // An agent without a plug-in takes what is signed, unverified, as gofer does.
    match dogs.bark("x").timeout(SECOND / 2).await {
        Err(CallError::Timeout { phase: Phase::Total, .. }) => {}
        other => panic!("{other:?}"),
    }
    peer.got().await;
    assert!(caller.figures()[0].unverified >= 1);
}

/// As gofer's does: where nothing is demanded, a signature is taken off and not looked at.
/// Requests whose signature is written in other ways than by our peers.
fn wrapped(address: &str, queue: &str, signature: Value) -> String {
    let request = json!({"classname": "Dog", "method": "bark", "args": ["x"]});
    let message = json!({"version": "2.0", "sn": unique("sn"), "replyto": queue, "request": request, "routing": [null, address]})
        .to_string();
    json!({"message": message, "signature": signature}).to_string()
}

#[tokio::test]
async fn a_signature_is_read_as_gofer_reads_it() {
    let (sealed, plain, queue) = (unique("sealed"), unique("plain"), unique("replies"));
    let _sealed = serving(ours(&sealed, secret()).await).start().await.unwrap();
    let _plain = kennel(&plain, Trust::insecure()).await;
    let mut client = client(Value::Null).await;
    client.ask(json!({"do": "listen", "queue": queue})).await;
    for unread in [json!("not base64"), json!("c2l"), json!("ü"), json!(7), json!({}), json!([])] {
        // Who verifies says that it does not hold; who does not has no need to look at it.
        client.ask(json!({"do": "send", "address": sealed, "text": wrapped(&sealed, &queue, unread.clone())})).await;
        let told = client.heard().await["heard"].clone();
        assert_eq!((kind(&told), &told["code"]), ("rejected", &json!("security.authentication")), "{unread}");
        client.ask(json!({"do": "send", "address": plain, "text": wrapped(&plain, &queue, unread.clone())})).await;
        for expected in ["accepted", "started", "result"] {
            assert_eq!(kind(&client.heard().await["heard"]), expected, "{unread}");
        }
    }
    // Base64 in lines, as Python's `encodebytes` writes it.
    let text = wrapped(&sealed, &queue, Value::Null);
    let message = serde_json::from_str::<Value>(&text).unwrap()["message"].as_str().unwrap().to_owned();
    let signature = Gofer::new(Secret("mycathas9lives")).sign(&[message.as_bytes()]).unwrap().remove(0);
    let mut document: Value = serde_json::from_slice(&wrap(&message, &signature)).unwrap();
    let (first, second) = document["signature"].as_str().unwrap().split_at(76);
    document["signature"] = json!(format!("{first}\n{second}\n"));
    client.ask(json!({"do": "send", "address": sealed, "text": document.to_string()})).await;
    let told = client.heard().await["heard"].clone();
    assert_eq!(kind(&told), "accepted", "{told}");
}

#[tokio::test]
async fn where_nothing_is_signed_what_is_signed_is_taken() {
    let dog = unique("dog");
    let _agent = kennel(&dog, Trust::insecure()).await;
    let client = client(json!({"secret": "whatever"})).await;
    let said = client.call(&dog, "Dog.bark", json!(["x"]), json!({"wait": 5})).await;
    // It ran; but this client demands signatures of its agents, and does not believe it.
    assert_eq!(said["args"][0], "security.authentication");
    assert_eq!(kind(&came(&said)[0]), "accepted");
}

//! What the unverified are told, by the native envelope: one of two codes, both at one rate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rmi_core::{Ed25519, seal::PrivateKey};
use rmi_tests::{
    raw::{kind, publish},
    tap::Event,
    world::World,
};
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);

/// A key of somebody whom nobody knows.
fn stranger(world: &World) -> Ed25519 {
    Ed25519::new(PrivateKey::generate().unwrap(), world.keyring.clone())
}

#[tokio::test(start_paused = true)]
async fn both_codes_share_one_rate() {
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

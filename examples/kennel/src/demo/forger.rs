//! Somebody who can read and write the bus, and has no key that counts.

use std::{
    error::Error,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use rmi_core::{
    Ed25519, Endpoint, Keyring, Memory, Native,
    endpoint::{Replies, Reply, ReplyBody},
    message::{Arguments, Body, Head, Message, Outcome, ReplyPath, Request, Statuses},
    protocol::Protocol,
    seal::{Authenticator, PrivateKey, wrap},
    time::{Clock, SystemClock, Timestamp},
    transport::{Frame, Transport},
};

use super::{heard, say};

/// What is tried, and what comes of it.
pub(super) async fn run(
    bus: &Memory,
    walker: &Endpoint,
    agent: &Endpoint,
    key: PrivateKey,
    keyring: Keyring,
    barks: &Arc<AtomicU64>,
) -> Result<(), Box<dyn Error>> {
    let mut replies = walker.replies("walker.watch").await?;
    let now = SystemClock.now();

    let forged = bark(&Ed25519::new(PrivateKey::generate()?, keyring.clone()), now)?;
    let before = heard(barks);
    bus.publish(forged).await?;
    say("forgery", &format!("{}; barks heard: {}", next(&mut replies).await?, heard(barks) - before));

    // A request that the walker really signed, as somebody who listens on the bus records it.
    let walkers = Ed25519::new(key, keyring);
    let recorded = bark(&walkers, now)?;
    let before = heard(barks);
    for _ in 0..2 {
        bus.publish(recorded.clone()).await?;
        next(&mut replies).await?;
    }
    let repeated = agent.figures()[0].repeated;
    say("replay", &format!("played twice, barks heard: {}, answered from memory: {repeated}", heard(barks) - before));

    let stale = bark(&walkers, Timestamp::from_millis(now.as_millis() - 2 * 24 * 3600 * 1000))?;
    let before = heard(barks);
    bus.publish(stale).await?;
    say("stale", &format!("{}; barks heard: {}", next(&mut replies).await?, heard(barks) - before));
    Ok(())
}

/// A request to bark, signed by whoever has the key, as it travels.
fn bark(signer: &Ed25519, sent: Timestamp) -> Result<Frame, Box<dyn Error>> {
    let message = Message {
        head: Head {
            sn: Some(SystemClock.id().into()),
            sent: Some(sent),
            from: Some("walker".into()),
            reply: Some(ReplyPath::to("walker.watch")),
            ..Head::to("dog")
        },
        body: Body::Request(Request {
            class: "Dog".into(),
            method: "bark".into(),
            version: None,
            cntr: None,
            args: Arguments { positional: serde_json::json!(["give me the keys"]).into(), ..Arguments::NONE },
            wants: Some(Statuses::NONE),
            group: None,
            contract: None,
        }),
    };
    let mut frame = Native::default().encode(&message)?.ok_or("no such message")?;
    let signature = signer.sign(&[&frame.payload])?.pop().ok_or("no signature")?;
    frame.payload = wrap(std::str::from_utf8(&frame.payload)?, &signature);
    Ok(frame)
}

async fn next(replies: &mut Replies) -> Result<String, Box<dyn Error>> {
    let reply: Reply = tokio::time::timeout(Duration::from_secs(5), replies.next()).await?.ok_or("no reply")?;
    Ok(match reply.body {
        ReplyBody::Outcome(Outcome::Result(words)) => words.to_string(),
        ReplyBody::Outcome(Outcome::Rejected(rejection)) => rejection.to_string(),
        other => format!("{other:?}"),
    })
}

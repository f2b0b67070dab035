//! What a bus delivers again to an agent that would know whether it had come before.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rmi_core::{
    Address,
    transport::{Purpose, Sharing, Source, Subscription, Transport},
};
use rmi_tests::{
    journal::{how, outcome},
    world::{Agent, World},
};
use serde_json::json;

/// What has been delivered to somebody at the agent's queue who has gone without a word, and is delivered to the agent now.
async fn delivered_again(world: &World, sn: &str, own: bool) -> (Agent, String) {
    let mut replies = world.mailbox("box").await;
    let agent = world.agent_with("agent", |b| if own { b.queue_of_its_own() } else { b }).await;
    // Later than any two clocks may be apart.
    world.clock.advance(Duration::from_secs(120));
    let queue = Source::Address(Address::from("agent"));
    let queue = Subscription::new(queue, Purpose::Requests).sharing(Sharing::Competing).acknowledged(true).durable(true);
    let mut gone = world.bus.subscribe(queue).await.unwrap();
    // They take turns: one of two comes to each.
    for sn in [sn, &format!("{sn}, too")] {
        world.post(&world.request("hold", json!([sn])).sn(sn).reply_to("box").wants(&[])).await;
    }
    let mut taken = Vec::new();
    gone.recv(&mut taken, 1).await.unwrap();
    assert_eq!(taken.len(), 1);
    drop((taken, gone));
    agent.watch.open(2);
    let mut told = [how(&outcome(&mut replies).await).to_owned(), how(&outcome(&mut replies).await).to_owned()];
    told.sort();
    (agent, told.join(", "))
}

#[tokio::test(start_paused = true)]
async fn what_an_agent_would_know_and_does_not_has_never_run() {
    for world in World::both() {
        let (agent, told) = delivered_again(&world, "it", true).await;
        assert_eq!((told.as_str(), agent.watch.ran()), ("result, result", 2));
    }
}

#[tokio::test(start_paused = true)]
async fn where_others_take_requests_as_well_it_may_have_run() {
    for world in World::both() {
        let (agent, told) = delivered_again(&world, "it", false).await;
        assert_eq!((told.as_str(), agent.watch.ran()), ("exception Interrupted, result", 1));
    }
}

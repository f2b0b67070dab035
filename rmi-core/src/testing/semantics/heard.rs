//! Events that are not let in: not signed, under another key, or played again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    Agent, Setting, agent_with, calling, calling_with,
    events::{Lease, bound, numbers, until},
    tap::{By, Passed},
};
use crate::{
    endpoint::Builder,
    message::{Body, Message},
    seal::{AuthError, Authenticator, Demands, Principal, Sealed, Signature},
    testing::ManualClock,
    transport::{Destination, Frame},
};

fn is_event(message: &Message) -> bool {
    matches!(message.body, Body::Event(_))
}

/// Publishes an event, and gives what went over the bus.
async fn published(agent: &Agent, number: u64) -> (Arc<Message>, Frame) {
    agent.endpoint.publish(&bound(number)).await.unwrap();
    agent.tap.last(is_event)
}

pub(super) async fn an_event_under_another_key_is_refused<S: Setting>(setting: &S) {
    let (agent, caller) = (super::agent(setting).await, calling(setting, "caller").await);
    let (_, frame) = published(&agent, 1).await;
    let mut events = caller.endpoint.subscribe::<Lease>().await.unwrap();
    for other in ["dhcp.bind.n2", "dhcp.free.n1"] {
        let mut moved = frame.clone();
        let Destination::Topic { key, .. } = &mut moved.to else { panic!("events go to topics") };
        assert!(key.as_str().contains("dhcp.bind.n1"), "{key}");
        *key = key.replace("dhcp.bind.n1", other).into();
        agent.tap.replay(&moved).await;
    }
    agent.tap.replay(&frame).await;
    assert_eq!(numbers(&mut events, 1).await, [1]);
    assert_eq!((events.figures().refused, caller.endpoint.figures()[0].misdirected), (2, 2));
}

/// Counts what it signs.
#[derive(Debug)]
struct Counting(Arc<dyn Authenticator>, Arc<AtomicUsize>);

impl Authenticator for Counting {
    fn sign(&self, texts: &[&[u8]]) -> Result<Vec<Signature>, AuthError> {
        self.1.fetch_add(texts.len(), Ordering::SeqCst);
        self.0.sign(texts)
    }

    fn verify(&self, sealed: &[Sealed<'_>]) -> Vec<Result<Principal, AuthError>> {
        self.0.verify(sealed)
    }

    fn demands(&self) -> Demands {
        self.0.demands()
    }
}

pub(super) async fn an_event_is_signed_once_for_all_its_subscribers<S: Setting>(setting: &S) {
    let signed = Arc::new(AtomicUsize::new(0));
    let counting = |builder: Builder| {
        builder.rewire(|_, _, trust| {
            let own = trust.authenticator.take().expect("the pair is sealed");
            trust.authenticator = Some(Arc::new(Counting(own, Arc::clone(&signed))));
        })
    };
    let (agent, caller) = (agent_with(setting, counting).await, calling(setting, "caller").await);
    let mut subscribers = Vec::new();
    for _ in 0..16 {
        subscribers.push(caller.endpoint.subscribe::<Lease>().await.unwrap());
    }
    agent.endpoint.publish(&bound(1)).await.unwrap();
    for events in &mut subscribers {
        assert_eq!(numbers(events, 1).await, [1]);
    }
    assert_eq!((signed.load(Ordering::SeqCst), agent.tap.published().len()), (1, 1));
}

pub(super) async fn an_unsigned_event_is_not_let_in<S: Setting>(setting: &S) {
    let (agent, caller) = (super::agent(setting).await, calling(setting, "caller").await);
    let mut events = caller.endpoint.subscribe::<Lease>().await.unwrap();
    let (good, frame) = published(&agent, 1).await;
    let mut claimed = (*good).clone();
    claimed.head.from = Some("nobody".into());
    for forged in
        [agent.tap.frame(&good, By::Nobody), agent.tap.frame(&good, By::Other(&caller.tap)), agent.tap.frame(&claimed, By::Own)]
    {
        agent.tap.post_in_place_of(&frame, forged.payload).await;
    }
    agent.endpoint.publish(&bound(2)).await.unwrap();
    assert_eq!(numbers(&mut events, 2).await, [1, 2]);
    assert_eq!((events.figures().refused, caller.endpoint.figures()[0].unverified), (3, 3));
}

pub(super) async fn a_replayed_event_is_not_taken_again<S: Setting>(setting: &S) {
    let clock = ManualClock::default();
    let agent = agent_with(setting, |builder| builder.clock(clock.clone())).await;
    let caller = calling_with(setting, "caller", |builder| builder.clock(clock.clone())).await;
    let mut events = caller.endpoint.subscribe::<Lease>().await.unwrap();
    let (_, frame) = published(&agent, 1).await;
    agent.tap.replay(&frame).await;
    agent.endpoint.publish(&bound(2)).await.unwrap();
    assert_eq!(numbers(&mut events, 2).await, [1, 2]);
    assert_eq!((events.figures().replayed, caller.endpoint.figures()[0].stale), (1, 1));
    // To a subscription that was made long after it, it is no news either; the clocks may differ by a minute.
    clock.advance(Duration::from_secs(61));
    let mut later = caller.endpoint.subscribe::<Lease>().await.unwrap();
    agent.tap.replay(&frame).await;
    agent.endpoint.publish(&bound(3)).await.unwrap();
    assert_eq!((numbers(&mut later, 1).await, numbers(&mut events, 1).await), (vec![3], vec![3]));
    assert_eq!((events.figures().replayed, later.figures().replayed), (2, 1));
}

pub(super) async fn in_a_pool_each_member_knows_only_its_own_replays<S: Setting>(setting: &S) {
    let clock = ManualClock::default();
    let agent = agent_with(setting, |builder| builder.clock(clock.clone())).await;
    let caller = calling_with(setting, "caller", |builder| builder.clock(clock.clone())).await;
    let pool = || caller.endpoint.subscribe::<Lease>().pool("workers");
    let mut first = pool().await.unwrap();
    let (_, frame) = published(&agent, 1).await;
    assert_eq!(numbers(&mut first, 1).await, [1]);
    agent.tap.replay(&frame).await;
    until(&first, "it is told", |figures| figures.replayed == 1).await;
    let mut second = pool().await.unwrap();
    drop(first);
    caller.tap.until(1, "it has left", |passed| matches!(passed, Passed::Left)).await;
    agent.tap.replay(&frame).await;
    assert_eq!(numbers(&mut second, 1).await, [1], "another member cannot know");
    // Only its age gives it away.
    clock.advance(Duration::from_secs(24 * 3600 + 61));
    let third = pool().await.unwrap();
    drop(second);
    caller.tap.until(2, "it has left", |passed| matches!(passed, Passed::Left)).await;
    agent.tap.replay(&frame).await;
    until(&third, "it is told", |figures| figures.replayed == 1).await;
}

pub(super) async fn an_unsealed_binding_cannot_tell_a_replayed_event<S: Setting>(setting: &S) {
    let (agent, caller) = (super::agent(setting).await, calling(setting, "caller").await);
    let mut events = caller.endpoint.subscribe::<Lease>().await.unwrap();
    let (_, frame) = published(&agent, 1).await;
    agent.tap.replay(&frame).await;
    assert_eq!(numbers(&mut events, 2).await, [1, 1]);
    assert_eq!(events.figures().replayed, 0);
}

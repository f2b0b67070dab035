//! Events that come too fast, on the bus in memory; and bindings that have none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rmi_core::{
    Endpoint, Limits, Memory, Native, RemoteEvent, Trust,
    endpoint::{EventFigures, Events, Missed, PublishError, Received, SubscribeError},
    transport::{
        Capabilities, Deliveries, Frame, LinkId, Links, Receipt, Subscription, Transport, TransportError, memory::Options,
    },
};
use rmi_tests::{
    lines::Lines,
    soon::soon,
    tap::{self, Tap},
    wires::Listener,
    world::World,
};
use serde_json::json;

/// What the tests tell each other.
#[derive(Clone, Debug, PartialEq, RemoteEvent)]
enum Lease {
    /// A lease was bound.
    #[remote(key = "dhcp.bind.{node}")]
    Bound { node: String, number: u64 },
    /// A lease was given back.
    #[remote(key = "dhcp.free.{node}")]
    Freed { node: String },
}

fn bound(number: u64) -> Lease {
    Lease::Bound { node: "n1".to_owned(), number }
}

async fn next<E: RemoteEvent>(events: &mut Events<E>) -> Result<Received<E>, Missed> {
    soon("an event comes", events.next()).await.expect("the subscription is open")
}

async fn event<E: RemoteEvent>(events: &mut Events<E>) -> E {
    next(events).await.unwrap().event
}

/// The numbers of the next so many leases.
async fn numbers(events: &mut Events<Lease>, many: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    for _ in 0..many {
        match event(events).await {
            Lease::Bound { number, .. } => numbers.push(number),
            other => panic!("{other:?}"),
        }
    }
    numbers
}

/// Waits until a subscription has counted something.
async fn until<E>(events: &Events<E>, what: &str, counted: impl Fn(EventFigures) -> bool) {
    soon(what, async {
        while !counted(events.figures()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn long_events_fill_the_room_before_there_are_many() {
    for world in World::both() {
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let mut slow = caller.endpoint.subscribe::<Lease>().capacity(2).await.unwrap();
        let mut quick = caller.endpoint.subscribe::<Lease>().await.unwrap();
        for number in 0..100 {
            agent.endpoint.publish(&bound(number)).await.unwrap();
            assert_eq!(numbers(&mut quick, 1).await, [number]);
        }
        assert!(slow.figures().waiting <= 2);
        assert_eq!(numbers(&mut slow, 100).await, (0..100).collect::<Vec<_>>());
        assert_eq!((slow.figures().dropped, slow.figures().received), (0, 100));

        // Long events fill the room before there are many: what is too much is held where it was received.
        let tap = Tap::on(&world.bus);
        let limited = world.builder("limited", &tap).limits(Limits::default().payload(2000)).start().await.unwrap();
        let mut slow = limited.subscribe_raw("long").await.unwrap();
        let mut left = limited.subscribe_raw("long").await.unwrap();
        for _ in 0..10 {
            agent.endpoint.publish_raw("long", json!({"text": "x".repeat(1000)})).await.unwrap();
        }
        assert!(!next(&mut left).await.unwrap().redelivered);
        tap.until(20, "all have come", |event| matches!(event, tap::Event::Delivered(_))).await;
        until(&left, "one waits", |figures| figures.waiting == 1).await;
        drop(left);
        tap.until(1, "it has left the bus, whatever it held", |event| *event == tap::Event::Left).await;
        for _ in 0..10 {
            assert!(slow.figures().waiting <= 1);
            assert!(!next(&mut slow).await.unwrap().redelivered);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_mailbox_drops_is_told() {
    for sealed in [true, false] {
        let world = World::with(sealed, Options::default().mailbox_frames(8));
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let mut slow = caller.endpoint.subscribe::<Lease>().capacity(2).await.unwrap();
        agent.endpoint.publish(&bound(0)).await.unwrap();
        agent.endpoint.publish(&bound(1)).await.unwrap();
        until(&slow, "two wait", |figures| figures.waiting == 2).await;
        for number in 2..20 {
            agent.endpoint.publish(&bound(number)).await.unwrap();
        }
        assert_eq!(numbers(&mut slow, 2).await, [0, 1]);
        let lost = match next(&mut slow).await {
            Err(Missed::Lagged(lost)) => lost,
            other => panic!("{other:?}"),
        };
        let rest = numbers(&mut slow, 18 - usize::try_from(lost).unwrap()).await;
        assert_eq!(rest, (2 + lost..20).collect::<Vec<_>>());
        assert_eq!(slow.figures().dropped, lost);
    }
}

/// A seat on a bus that has no topics.
#[derive(Debug)]
struct Queues(Memory);

#[async_trait::async_trait]
impl Transport for Queues {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.0.capabilities();
        capabilities.topics = false;
        capabilities
    }

    async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        self.0.publish(frame).await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Deliveries>, TransportError> {
        self.0.subscribe(subscription).await
    }

    fn links(&self) -> Links {
        self.0.links()
    }

    async fn pause(&self, link: LinkId, resume: Option<Duration>) -> Result<(), TransportError> {
        self.0.pause(link, resume).await
    }

    async fn close(&self) -> Result<(), TransportError> {
        self.0.close().await
    }
}

#[tokio::test(start_paused = true)]
async fn each_binding_says_what_it_has_no_events_for() {
    let endpoint = Endpoint::builder("agent")
        .bind(Lines::server("probe"), Listener::new(), Trust::insecure())
        .bind(Native::default(), Queues(Memory::new()), Trust::insecure())
        .bind(Native::default(), Memory::new(), Trust::insecure())
        .start()
        .await
        .unwrap();
    for (binding, expected) in [(0, "the protocol of binding 0 has no events"), (1, "the transport of binding 1 has no topics")] {
        let published = endpoint.publish(&bound(1)).over(binding).await.unwrap_err();
        assert!(matches!(&published, PublishError::Unsupported(why) if why.starts_with(expected)), "{published:?}");
        let subscribed = endpoint.subscribe::<Lease>().over(binding).await.unwrap_err();
        assert!(matches!(&subscribed, SubscribeError::Unsupported(why) if why.starts_with(expected)), "{subscribed:?}");
    }
    let mut events = endpoint.subscribe::<Lease>().over(2).await.unwrap();
    endpoint.publish(&bound(1)).over(2).await.unwrap();
    assert_eq!(numbers(&mut events, 1).await, [1]);
}

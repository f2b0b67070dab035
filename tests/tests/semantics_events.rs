//! Events: who gets them, what a slow subscriber meets, and what is not let in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rmi_core::{
    Client as _, Context, Endpoint, Limits, Memory, Native, Principal, RemoteEvent, Trust,
    endpoint::{EventFigures, Events, Missed, Overflow, PublishError, Received, SubscribeError},
    event::{EventError, KeyFlaw},
    message::Event,
    remote,
    seal::{AuthError, Authenticator, PrivateKey, Sealed, Signature},
    transport::{
        Capabilities, Deliveries, Destination, Frame, LinkId, Links, Purpose, Receipt, Sharing, Source, Subscription, Transport,
        TransportError, memory::Options,
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

/// What went over the bus, as it travelled.
fn frame(key: &str, payload: impl Into<bytes::Bytes>) -> Frame {
    Frame::new(Destination::Topic { exchange: "".into(), key: key.to_owned().into() }, payload)
}

/// Everything that is published, for a test that plays it again.
async fn recorded(world: &World, publish: impl AsyncFnOnce()) -> bytes::Bytes {
    let everything = Subscription::new(Source::topic("", "#"), Purpose::Events).sharing(Sharing::Broadcast).acknowledged(false);
    let mut wire = world.bus.subscribe(everything).await.unwrap();
    publish().await;
    let mut taken = Vec::new();
    soon("it is on the bus", wire.recv(&mut taken, 1)).await.unwrap();
    taken.remove(0).payload
}

#[tokio::test(start_paused = true)]
async fn an_event_goes_to_everybody_who_has_subscribed_to_its_key() {
    for world in World::both() {
        let (agent, one, other) = (world.agent("agent").await, world.caller("one").await, world.caller("other").await);
        let mut all = one.endpoint.subscribe::<Lease>().await.unwrap();
        let mut freed = one.endpoint.subscribe::<Lease>().key("dhcp.free.*").await.unwrap();
        let mut of_one_node = other.endpoint.subscribe::<Lease>().key("dhcp.*.n1").key("#.n1").await.unwrap();
        let mut raw = other.endpoint.subscribe_raw("#").await.unwrap();
        let mut own = agent.endpoint.subscribe::<Lease>().await.unwrap();
        world.clock.advance(Duration::from_millis(1));
        let publish = agent.endpoint.publish(&bound(1)).data(json!({"job": 7}));
        assert_eq!(publish.await.unwrap(), Receipt::Stored);
        let freeing = Lease::Freed { node: "n2".to_owned() };
        agent.endpoint.publish(&freeing).await.unwrap();

        let first = next(&mut all).await.unwrap();
        assert_eq!((&first.event, &*first.key), (&bound(1), "dhcp.bind.n1"));
        assert_eq!(first.from.as_ref().map(|from| from.as_str()), Some("agent"));
        assert_eq!(first.data, Some(json!({"job": 7}).into()));
        assert_eq!(first.sent, Some(world.clock.ago(Duration::ZERO)));
        let principal = if world.is_sealed() { Principal::Key("agent".into()) } else { Principal::Anonymous };
        assert_eq!((first.principal, first.redelivered), (principal, false));
        assert_eq!(event(&mut all).await, freeing);
        assert_eq!(event(&mut freed).await, freeing);
        assert_eq!(event(&mut of_one_node).await, bound(1));
        assert_eq!((event(&mut own).await, event(&mut own).await), (bound(1), freeing.clone()));
        let expected = Event { key: "dhcp.bind.n1".into(), body: json!({"number": 1}).into() };
        assert_eq!(event(&mut raw).await, expected);
        // Once, however many of its patterns match.
        agent.endpoint.publish(&bound(2)).await.unwrap();
        assert_eq!(numbers(&mut of_one_node, 1).await, [2]);
        assert_eq!(of_one_node.figures().received, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn events_come_in_the_order_of_their_publisher() {
    for world in World::both() {
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let mut events = caller.endpoint.subscribe::<Lease>().await.unwrap();
        let all: Vec<Lease> =
            (0..100).map(|n| if n % 3 == 0 { Lease::Freed { node: n.to_string() } } else { bound(n) }).collect();
        for event in &all {
            agent.endpoint.publish(event).await.unwrap();
        }
        for expected in all {
            assert_eq!(event(&mut events).await, expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_to_hear_an_event_is_no_error() {
    for world in World::both() {
        let agent = world.agent("agent").await;
        assert_eq!(agent.endpoint.publish(&bound(1)).await.unwrap(), Receipt::NoRoute);
    }
}

#[remote(events = Lease)]
trait Dhcp {
    async fn bind(&self, #[remote(context)] cx: &Context, number: u64) -> Result<(), Infallible>;
}

struct Leases;

impl Dhcp for Leases {
    async fn bind(&self, cx: &Context, number: u64) -> Result<(), Infallible> {
        cx.publish(&bound(number)).await.unwrap();
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_publishes() {
    for world in World::both() {
        let (tap, caller) = (Tap::on(&world.bus), world.caller("caller").await);
        let _agent = world.builder("agent", &tap).serve(DhcpServer::new(Leases)).start().await.unwrap();
        let mut events = caller.endpoint.subscribe::<Lease>().await.unwrap();
        let dhcp: DhcpClient = caller.endpoint.client("agent");
        dhcp.bind(7).await.unwrap();
        let received = next(&mut events).await.unwrap();
        assert_eq!((received.event, received.from.as_ref().map(|from| from.as_str())), (bound(7), Some("agent")));
        assert_eq!(DhcpClient::CONTRACT.events, Some(Lease::EVENTS));
    }
}

#[tokio::test(start_paused = true)]
async fn one_of_a_pool_gets_an_event() {
    for world in World::both() {
        let (agent, one, other) = (world.agent("agent").await, world.caller("one").await, world.caller("other").await);
        let mut pool = [
            one.endpoint.subscribe::<Lease>().pool("workers").await.unwrap(),
            other.endpoint.subscribe::<Lease>().pool("workers").await.unwrap(),
        ];
        let mut second = other.endpoint.subscribe::<Lease>().pool("auditors").await.unwrap();
        let mut everybody = other.endpoint.subscribe::<Lease>().await.unwrap();
        for number in 0..10 {
            agent.endpoint.publish(&bound(number)).await.unwrap();
        }
        let all: Vec<u64> = (0..10).collect();
        assert_eq!(numbers(&mut everybody, 10).await, all);
        assert_eq!(numbers(&mut second, 10).await, all);
        soon("all are taken", async {
            while pool.iter().map(|member| member.figures().received).sum::<u64>() < 10 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let mut taken = Vec::new();
        for member in &mut pool {
            let many = member.figures().waiting as usize;
            taken.extend(numbers(member, many).await);
        }
        taken.sort_unstable();
        assert_eq!(taken, all);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_member_of_a_pool_leaves_is_for_the_others() {
    for world in World::both() {
        let (agent, one, other) = (world.agent("agent").await, world.caller("one").await, world.caller("other").await);
        let mut leaving = one.endpoint.subscribe::<Lease>().pool("workers").await.unwrap();
        for number in 0..5 {
            agent.endpoint.publish(&bound(number)).await.unwrap();
        }
        assert_eq!(numbers(&mut leaving, 2).await, [0, 1]);
        until(&leaving, "the others wait", |figures| figures.waiting == 3).await;
        let mut staying = other.endpoint.subscribe::<Lease>().pool("workers").await.unwrap();
        drop(leaving);
        for number in 2..5 {
            let received = next(&mut staying).await.unwrap();
            assert_eq!((received.event, received.redelivered), (bound(number), true));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_of_a_pool_that_is_closed_takes_nothing_more() {
    for world in World::both() {
        let (agent, one, other) = (world.agent("agent").await, world.caller("one").await, world.caller("other").await);
        let mut closing = one.endpoint.subscribe::<Lease>().pool("workers").await.unwrap();
        for number in 0..5 {
            agent.endpoint.publish(&bound(number)).await.unwrap();
        }
        assert_eq!(numbers(&mut closing, 2).await, [0, 1]);
        until(&closing, "the others wait", |figures| figures.waiting == 3).await;
        let mut staying = other.endpoint.subscribe::<Lease>().pool("workers").await.unwrap();
        let _ = one.endpoint.shutdown(Duration::from_secs(1)).await.unwrap();
        assert!(soon("the end", closing.next()).await.is_none(), "each event is for one of the pool");
        assert_eq!(numbers(&mut staying, 3).await, [2, 3, 4]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_waits_loses_nothing_and_holds_up_nobody() {
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
async fn what_the_bus_drops_the_subscriber_is_told() {
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

#[tokio::test(start_paused = true)]
async fn what_the_bus_drops_is_told_whatever_comes_after_it() {
    for sealed in [true, false] {
        let world = World::with(sealed, Options::default().mailbox_frames(8));
        let (agent, other, caller) = (world.agent("agent").await, world.caller("other").await, world.caller("caller").await);
        let mut slow = caller.endpoint.subscribe::<Lease>().from(["agent"]).capacity(2).await.unwrap();
        agent.endpoint.publish(&bound(0)).await.unwrap();
        agent.endpoint.publish(&bound(1)).await.unwrap();
        until(&slow, "two wait", |figures| figures.waiting == 2).await;
        for number in 2..20 {
            other.endpoint.publish(&bound(number)).await.unwrap();
        }
        assert_eq!(numbers(&mut slow, 2).await, [0, 1]);
        // What came after those that are lost is none that this subscriber wants.
        let Err(Missed::Lagged(lost)) = next(&mut slow).await else { panic!("it is told") };
        until(&slow, "the rest is looked at", |figures| figures.unwanted + lost == 18).await;
        agent.endpoint.publish(&bound(20)).await.unwrap();
        assert_eq!(numbers(&mut slow, 1).await, [20]);
        assert_eq!(slow.figures().dropped, lost);
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_event_in_a_long_message_counts_with_all_of_it() {
    let world = World::unsealed();
    let agent = world.agent("agent").await;
    let caller = world.builder("caller", &Tap::on(&world.bus)).limits(Limits::default().payload(8 << 10)).start().await.unwrap();
    let mut events = caller.subscribe::<Lease>().overflow(Overflow::DropOldest).await.unwrap();
    let payload = recorded(&world, async || assert_eq!(agent.endpoint.publish(&bound(1)).await.unwrap(), Receipt::Stored)).await;
    let text = std::str::from_utf8(&payload).unwrap();
    // Nobody reads this key, and what was read lies in the same buffer.
    let padded = format!("{{\"padding\":\"{}\",{}", "x".repeat(5 << 10), &text[1..]);
    for _ in 0..3 {
        world.bus.publish(frame("dhcp.bind.n1", padded.clone())).await.unwrap();
    }
    until(&events, "all have come", |figures| figures.received == 4).await;
    assert_eq!((events.figures().waiting, events.figures().dropped), (1, 3));
    assert!(matches!(next(&mut events).await, Err(Missed::Lagged(3))));
    assert_eq!(numbers(&mut events, 1).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_are_dropped_and_counted() {
    for world in World::both() {
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let dropping = caller.endpoint.subscribe::<Lease>().capacity(3).overflow(Overflow::DropOldest);
        let mut events = dropping.await.unwrap();
        for number in 0..10 {
            agent.endpoint.publish(&bound(number)).await.unwrap();
        }
        until(&events, "all have come", |figures| figures.received == 10).await;
        assert!(matches!(next(&mut events).await, Err(Missed::Lagged(7))));
        assert_eq!(numbers(&mut events, 3).await, [7, 8, 9]);
        agent.endpoint.publish(&bound(10)).await.unwrap();
        assert_eq!(numbers(&mut events, 1).await, [10], "it is told once");
        assert_eq!(events.figures().dropped, 7);
        assert_eq!(world.bus.counters().waiting + world.bus.counters().unsettled, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_fails_ends_when_it_is_full() {
    for world in World::both() {
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let mut events = caller.endpoint.subscribe::<Lease>().capacity(2).overflow(Overflow::Fail).await.unwrap();
        for number in 0..3 {
            agent.endpoint.publish(&bound(number)).await.unwrap();
        }
        caller.tap.until(1, "it has left the bus", |event| *event == tap::Event::Left).await;
        assert_eq!(numbers(&mut events, 2).await, [0, 1]);
        let end = next(&mut events).await.unwrap_err();
        assert!(matches!(end, Missed::Overflowed) && end.is_end());
        assert!(soon("the end", events.next()).await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_is_skipped_and_counted() {
    for world in World::both() {
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let mut events = caller.endpoint.subscribe::<Lease>().key("dhcp.#").await.unwrap();
        agent.endpoint.publish_raw("dhcp.renamed.n1", json!({"number": 7})).await.unwrap();
        agent.endpoint.publish_raw("dhcp.bind.n1.twice", json!({"number": 7})).await.unwrap();
        agent.endpoint.publish(&bound(1)).await.unwrap();
        assert_eq!(numbers(&mut events, 1).await, [1]);
        assert_eq!((events.figures().unknown, events.figures().received), (2, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_event_is_told_and_the_next_one_comes() {
    for world in World::both() {
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let mut events = caller.endpoint.subscribe::<Lease>().await.unwrap();
        agent.endpoint.publish_raw("dhcp.bind.n1", json!({"number": "seven"})).await.unwrap();
        agent.endpoint.publish_raw("dhcp.bind.n1", json!({})).await.unwrap();
        agent.endpoint.publish_raw("dhcp.bind.n1", json!({"number": 1, "since": "later"})).await.unwrap();
        for (error, expected) in
            [(next(&mut events).await, "`number`: invalid type"), (next(&mut events).await, "`number` is missing")]
        {
            let error = error.unwrap_err();
            assert!(matches!(&error, Missed::Unreadable(EventError::Read { key, .. }) if key == "dhcp.bind.n1"), "{error:?}");
            assert!(error.to_string().contains(expected) && !error.is_end(), "{error}");
        }
        assert_eq!(numbers(&mut events, 1).await, [1], "a field that is not known is no mistake");
        assert_eq!(events.figures().unreadable, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_that_breaks_the_key_is_not_published() {
    for world in World::both() {
        let agent = world.agent("agent").await;
        let long = "x".repeat(250);
        for (node, expected) in [
            ("", KeyFlaw::Empty),
            ("a.b", KeyFlaw::Character('.')),
            ("*", KeyFlaw::Character('*')),
            ("#", KeyFlaw::Character('#')),
            ("a/b", KeyFlaw::Character('/')),
            ("+", KeyFlaw::Character('+')),
            ("a\0", KeyFlaw::Character('\0')),
            (&long, KeyFlaw::TooLong(260)),
        ] {
            let error = agent.endpoint.publish(&Lease::Freed { node: node.to_owned() }).await.unwrap_err();
            assert!(
                matches!(&error, PublishError::Event(EventError::Word { field: "node", flaw, .. }) if *flaw == expected),
                "{node}: {error:?}"
            );
            assert!(error.to_string().starts_with("the field `node` cannot be a word of the event's key"), "{error}");
        }
        for key in ["", "a..b", "a.*", "a/b", &"x".repeat(256)] {
            let error = agent.endpoint.publish_raw(key, json!({})).await.unwrap_err();
            assert!(matches!(error, PublishError::Event(EventError::Key { .. })), "{key}: {error:?}");
        }
        let error = agent.endpoint.publish_raw("a.b", json!([1])).await.unwrap_err();
        assert!(matches!(error, PublishError::Encode(_)), "{error:?}");
        assert_eq!(agent.tap.published().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_under_another_key_is_refused() {
    for world in World::both() {
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let payload =
            recorded(&world, async || assert_eq!(agent.endpoint.publish(&bound(1)).await.unwrap(), Receipt::Stored)).await;
        let mut events = caller.endpoint.subscribe::<Lease>().await.unwrap();
        world.bus.publish(frame("dhcp.bind.n2", payload.clone())).await.unwrap();
        world.bus.publish(frame("dhcp.free.n1", payload.clone())).await.unwrap();
        world.bus.publish(frame("dhcp.bind.n1", payload)).await.unwrap();
        assert_eq!(numbers(&mut events, 1).await, [1]);
        assert_eq!((events.figures().refused, caller.endpoint.figures()[0].misdirected), (2, 2));
    }
}

/// Counts what it signs.
#[derive(Clone, Debug)]
struct Counting(rmi_core::Ed25519, Arc<AtomicUsize>);

impl Authenticator for Counting {
    fn sign(&self, texts: &[&[u8]]) -> Result<Vec<Signature>, AuthError> {
        self.1.fetch_add(texts.len(), Ordering::SeqCst);
        self.0.sign(texts)
    }

    fn verify(&self, sealed: &[Sealed<'_>]) -> Vec<Result<Principal, AuthError>> {
        self.0.verify(sealed)
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_is_signed_once_for_all_its_subscribers() {
    let world = World::sealed();
    let signed = Arc::new(AtomicUsize::new(0));
    let tap = Tap::on(&world.bus);
    let trust = Counting(world.signer("agent"), Arc::clone(&signed));
    let agent = Endpoint::builder("agent").bind(Native::default(), tap.clone(), trust).clock(world.clock.clone());
    let agent = agent.start().await.unwrap();
    let caller = world.caller("caller").await;
    let mut subscribers = Vec::new();
    for _ in 0..16 {
        subscribers.push(caller.endpoint.subscribe::<Lease>().await.unwrap());
    }
    agent.publish(&bound(1)).await.unwrap();
    for events in &mut subscribers {
        assert_eq!(numbers(events, 1).await, [1]);
    }
    assert_eq!((signed.load(Ordering::SeqCst), tap.published().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_unsigned_event_is_not_let_in() {
    let world = World::sealed();
    let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
    let mut events = caller.endpoint.subscribe::<Lease>().await.unwrap();
    let stranger = rmi_core::Ed25519::new(PrivateKey::generate().unwrap(), world.keyring.clone());
    for (name, trust) in [("agent", Trust::insecure()), ("agent", stranger.clone().into()), ("nobody", stranger.into())] {
        let forger = Endpoint::builder(name).bind(Native::default(), world.bus.clone(), trust).clock(world.clock.clone());
        let forger = forger.start().await.unwrap();
        assert_eq!(forger.publish(&bound(666)).await.unwrap(), Receipt::Stored);
    }
    agent.endpoint.publish(&bound(1)).await.unwrap();
    assert_eq!(numbers(&mut events, 1).await, [1]);
    assert_eq!((events.figures().refused, caller.endpoint.figures()[0].unverified), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_replayed_event_is_not_taken_again() {
    let world = World::sealed();
    let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
    let mut events = caller.endpoint.subscribe::<Lease>().await.unwrap();
    let payload = recorded(&world, async || assert_eq!(agent.endpoint.publish(&bound(1)).await.unwrap(), Receipt::Stored)).await;
    world.bus.publish(frame("dhcp.bind.n1", payload.clone())).await.unwrap();
    agent.endpoint.publish(&bound(2)).await.unwrap();
    assert_eq!(numbers(&mut events, 2).await, [1, 2]);
    assert_eq!((events.figures().replayed, caller.endpoint.figures()[0].stale), (1, 1));
    // To a subscription that was made long after it, it is no news either; the clocks may differ by a minute.
    world.clock.advance(Duration::from_secs(61));
    let mut later = caller.endpoint.subscribe::<Lease>().await.unwrap();
    world.bus.publish(frame("dhcp.bind.n1", payload)).await.unwrap();
    agent.endpoint.publish(&bound(3)).await.unwrap();
    assert_eq!((numbers(&mut later, 1).await, numbers(&mut events, 1).await), (vec![3], vec![3]));
    assert_eq!((events.figures().replayed, later.figures().replayed), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn in_a_pool_each_member_knows_only_its_own_replays() {
    let world = World::sealed();
    let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
    let pool = || caller.endpoint.subscribe::<Lease>().pool("workers");
    let mut first = pool().await.unwrap();
    let payload = recorded(&world, async || assert_eq!(agent.endpoint.publish(&bound(1)).await.unwrap(), Receipt::Stored)).await;
    assert_eq!(numbers(&mut first, 1).await, [1]);
    world.bus.publish(frame("dhcp.bind.n1", payload.clone())).await.unwrap();
    until(&first, "it is told", |figures| figures.replayed == 1).await;
    drop(first);
    let mut second = pool().await.unwrap();
    world.bus.publish(frame("dhcp.bind.n1", payload.clone())).await.unwrap();
    assert_eq!(numbers(&mut second, 1).await, [1], "another member cannot know");
    // Only its age gives it away.
    world.clock.advance(Duration::from_secs(24 * 3600 + 61));
    let third = pool().await.unwrap();
    drop(second);
    world.bus.publish(frame("dhcp.bind.n1", payload)).await.unwrap();
    until(&third, "it is told", |figures| figures.replayed == 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_unsealed_binding_cannot_tell_a_replayed_event() {
    let world = World::unsealed();
    let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
    let mut events = caller.endpoint.subscribe::<Lease>().await.unwrap();
    let payload = recorded(&world, async || assert_eq!(agent.endpoint.publish(&bound(1)).await.unwrap(), Receipt::Stored)).await;
    world.bus.publish(frame("dhcp.bind.n1", payload)).await.unwrap();
    assert_eq!(numbers(&mut events, 2).await, [1, 1]);
    assert_eq!(events.figures().replayed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_may_choose_its_publishers() {
    for world in World::both() {
        let (agent, other, caller) = (world.agent("agent").await, world.caller("other").await, world.caller("caller").await);
        let mut events = caller.endpoint.subscribe::<Lease>().from(["agent", "caller"]).await.unwrap();
        other.endpoint.publish(&bound(1)).await.unwrap();
        agent.endpoint.publish(&bound(2)).await.unwrap();
        caller.endpoint.publish(&bound(3)).await.unwrap();
        assert_eq!(numbers(&mut events, 2).await, [2, 3]);
        assert_eq!(events.figures().unwanted, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_a_subscription_unsubscribes() {
    for world in World::both() {
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let before = world.bus.counters().subscribers;
        let mut events = caller.endpoint.subscribe::<Lease>().capacity(1).await.unwrap();
        assert_eq!(world.bus.counters().subscribers, before + 1);
        // One that waits for room as well.
        for number in 0..10 {
            agent.endpoint.publish(&bound(number)).await.unwrap();
        }
        assert_eq!(numbers(&mut events, 1).await, [0]);
        until(&events, "another one waits", |figures| figures.waiting == 1).await;
        drop(events);
        caller.tap.until(1, "it has left the bus", |event| *event == tap::Event::Left).await;
        assert_eq!(world.bus.counters().subscribers, before);
        assert_eq!(agent.endpoint.publish(&bound(2)).await.unwrap(), Receipt::NoRoute);
    }
}

#[tokio::test(start_paused = true)]
async fn closing_the_endpoint_ends_the_subscription() {
    for world in World::both() {
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let mut events = caller.endpoint.subscribe::<Lease>().await.unwrap();
        agent.endpoint.publish(&bound(1)).await.unwrap();
        until(&events, "it has come", |figures| figures.waiting == 1).await;
        let _ = caller.endpoint.shutdown(Duration::from_secs(1)).await.unwrap();
        assert_eq!(numbers(&mut events, 1).await, [1], "what has come can be taken");
        assert!(soon("the end", events.next()).await.is_none());
        assert!(soon("the end", events.next()).await.is_none());
        assert!(matches!(caller.endpoint.publish(&bound(2)).await, Err(PublishError::Closed)));
        assert!(matches!(caller.endpoint.subscribe::<Lease>().await, Err(SubscribeError::Closed)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_the_transport_gives_up_says_so() {
    let world = World::unsealed();
    let caller = world.caller("caller").await;
    let mut events = caller.endpoint.subscribe::<Lease>().await.unwrap();
    caller.tap.pause(caller.tap.link(), None).await.unwrap();
    let end = next(&mut events).await.unwrap_err();
    assert!(matches!(end, Missed::Ended) && end.is_end());
    assert!(soon("the end", events.next()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_pattern_that_can_never_match_is_an_error() {
    let world = World::unsealed();
    let caller = world.caller("caller").await;
    let error = caller.endpoint.subscribe::<Lease>().key("dhcp.unbind.*").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no `Lease` has a key that matches `dhcp.unbind.*`; their keys are `dhcp.bind.*`, `dhcp.free.*`"
    );
    for wrong in ["", "a..b", "dhcp.bind*", "dhcp/bind"] {
        let error = caller.endpoint.subscribe::<Lease>().key(wrong).await.unwrap_err();
        assert!(matches!(error, SubscribeError::Pattern { .. }), "{wrong}: {error:?}");
    }
    let error = caller.endpoint.subscribe::<Lease>().pool("").await.unwrap_err();
    assert!(matches!(error, SubscribeError::Pool { .. }), "{error:?}");
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
async fn a_binding_without_events_says_so() {
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

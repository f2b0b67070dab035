//! Events: who gets them, in which order, and what is no event.

use std::convert::Infallible;

use serde_json::json;

use super::{Setting, agent, agent_with, caller, needs::Powers};
use crate::{
    Context, RemoteEvent,
    endpoint::{EventFigures, Events, Missed, PublishError, Received, SubscribeError},
    event::{EventError, KeyFlaw},
    remote,
    seal::Principal,
    testing::conformance::soon,
    transport::Receipt,
};

/// What the endpoints tell each other.
#[derive(Clone, Debug, PartialEq, RemoteEvent)]
#[remote(crate = "crate")]
pub(super) enum Lease {
    /// A lease was bound.
    #[remote(key = "dhcp.bind.{node}")]
    Bound { node: String, number: u64 },
    /// A lease was given back.
    #[remote(key = "dhcp.free.{node}")]
    Freed { node: String },
}

/// Who publishes while it runs.
#[remote(name = "leases", events = Lease, crate = "crate")]
trait Leases {
    async fn bind(&self, #[remote(context)] cx: &Context, number: u64) -> Result<(), Infallible>;
}

struct Leasing;

impl Leases for Leasing {
    async fn bind(&self, cx: &Context, number: u64) -> Result<(), Infallible> {
        cx.publish(&bound(number)).await.expect("it is published");
        Ok(())
    }
}

pub(super) fn bound(number: u64) -> Lease {
    Lease::Bound { node: "n1".to_owned(), number }
}

pub(super) fn freed(node: &str) -> Lease {
    Lease::Freed { node: node.to_owned() }
}

pub(super) async fn next(events: &mut Events<Lease>) -> Result<Received<Lease>, Missed> {
    soon("an event comes", events.next()).await.expect("the subscription is open")
}

pub(super) async fn event(events: &mut Events<Lease>) -> Lease {
    next(events).await.unwrap().event
}

/// Waits until a subscription has counted something.
pub(super) async fn until<E>(events: &Events<E>, what: &str, counted: impl Fn(EventFigures) -> bool) {
    soon(what, async {
        while !counted(events.figures()) {
            // In real time, a broker has something to do meanwhile.
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// The numbers of the next so many leases.
pub(super) async fn numbers(events: &mut Events<Lease>, many: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    for _ in 0..many {
        match event(events).await {
            Lease::Bound { number, .. } => numbers.push(number),
            other => panic!("{other:?}"),
        }
    }
    numbers
}

pub(super) async fn an_event_goes_to_everybody_who_has_subscribed_to_its_key<S: Setting>(setting: &S) {
    let sealed = Powers::of(setting).await.is_sealed();
    let (agent, (one, _), (other, _)) = (agent(setting).await, caller(setting, "caller").await, caller(setting, "other").await);
    let mut raw = other.subscribe_raw("#").await.unwrap();
    let mut all = one.subscribe::<Lease>().await.unwrap();
    let mut of_others = one.subscribe::<Lease>().key("dhcp.free.*").await.unwrap();
    let mut of_one_node = other.subscribe::<Lease>().key("dhcp.*.n1").key("#.n1").await.unwrap();
    let mut own = agent.endpoint.subscribe::<Lease>().await.unwrap();
    for event in [bound(1), freed("n2"), bound(2)] {
        agent.endpoint.publish(&event).data(json!({"job": 7})).await.unwrap();
    }
    let first = next(&mut all).await.unwrap();
    assert_eq!((&first.event, &*first.key), (&bound(1), "dhcp.bind.n1"));
    assert_eq!(first.from.as_ref().map(|from| from.as_str()), Some("agent"));
    assert_eq!(first.data, Some(json!({"job": 7}).into()));
    assert!(first.sent.is_some() && !first.redelivered);
    assert_eq!(matches!(&first.principal, Principal::Key(name) if name == "agent"), sealed);
    let same = soon("an event comes", raw.next()).await.unwrap().unwrap();
    assert_eq!((&*same.event.key, same.event.body), ("dhcp.bind.n1", json!({"number": 1}).into()));
    assert_eq!((event(&mut all).await, event(&mut all).await), (freed("n2"), bound(2)));
    assert_eq!(event(&mut of_others).await, freed("n2"));
    // Once, however many of its patterns match.
    assert_eq!(numbers(&mut of_one_node, 2).await, [1, 2]);
    assert_eq!((event(&mut own).await, event(&mut own).await), (bound(1), freed("n2")));
}

pub(super) async fn events_come_in_the_order_of_their_publisher<S: Setting>(setting: &S) {
    let (agent, (endpoint, _)) = (agent(setting).await, caller(setting, "caller").await);
    let mut events = endpoint.subscribe::<Lease>().await.unwrap();
    let all: Vec<Lease> = (0..50).map(|n| if n % 3 == 0 { freed(&n.to_string()) } else { bound(n) }).collect();
    for event in &all {
        agent.endpoint.publish(event).await.unwrap();
    }
    for expected in all {
        assert_eq!(event(&mut events).await, expected);
    }
}

pub(super) async fn a_binding_without_events_says_so<S: Setting>(setting: &S) {
    let agent = agent(setting).await;
    for error in [
        agent.endpoint.publish(&bound(1)).await.map(drop).map_err(|error| error.to_string()),
        agent.endpoint.subscribe::<Lease>().await.map(drop).map_err(|error| error.to_string()),
    ] {
        let said = error.expect_err("there are no events here");
        assert!(said.contains("binding 0 ") && said.contains("`.over(number)`"), "which binding, and what to do: {said}");
    }
}

pub(super) async fn nobody_to_hear_an_event_is_no_error<S: Setting>(setting: &S) {
    let agent = agent(setting).await;
    // What the bus knows of it is the transport's: not every broker says that there is nobody.
    let _: Receipt = agent.endpoint.publish(&bound(1)).await.expect("it is no error");
}

pub(super) async fn a_handler_publishes<S: Setting>(setting: &S) {
    let _agent = agent_with(setting, |builder| builder.serve(LeasesServer::new(Leasing))).await;
    let (endpoint, _) = caller(setting, "caller").await;
    let mut events = endpoint.subscribe::<Lease>().await.unwrap();
    endpoint.client::<LeasesClient>("agent").bind(7).await.unwrap();
    let received = next(&mut events).await.unwrap();
    assert_eq!((received.event, received.from.as_ref().map(|from| from.as_str())), (bound(7), Some("agent")));
}

pub(super) async fn one_of_a_pool_gets_an_event<S: Setting>(setting: &S) {
    let (agent, (one, _), (other, _)) = (agent(setting).await, caller(setting, "caller").await, caller(setting, "other").await);
    let mut pool =
        [one.subscribe::<Lease>().pool("workers").await.unwrap(), other.subscribe::<Lease>().pool("workers").await.unwrap()];
    let mut second = other.subscribe::<Lease>().pool("auditors").await.unwrap();
    let mut everybody = other.subscribe::<Lease>().await.unwrap();
    let all: Vec<u64> = (0..10).collect();
    for number in &all {
        agent.endpoint.publish(&bound(*number)).await.unwrap();
    }
    assert_eq!(numbers(&mut everybody, 10).await, all);
    assert_eq!(numbers(&mut second, 10).await, all);
    let [first, second] = &mut pool;
    let mut taken = Vec::new();
    while taken.len() < 10 {
        let received = tokio::select! {
            received = next(first) => received,
            received = next(second) => received,
        };
        match received.unwrap().event {
            Lease::Bound { number, .. } => taken.push(number),
            other => panic!("{other:?}"),
        }
    }
    taken.sort_unstable();
    assert_eq!(taken, all);
}

pub(super) async fn an_unknown_key_is_skipped_and_counted<S: Setting>(setting: &S) {
    let (agent, (endpoint, _)) = (agent(setting).await, caller(setting, "caller").await);
    let mut events = endpoint.subscribe::<Lease>().key("dhcp.#").await.unwrap();
    agent.endpoint.publish_raw("dhcp.renamed.n1", json!({"number": 7})).await.unwrap();
    agent.endpoint.publish_raw("dhcp.bind.n1.twice", json!({"number": 7})).await.unwrap();
    agent.endpoint.publish(&bound(1)).await.unwrap();
    assert_eq!(numbers(&mut events, 1).await, [1]);
    assert_eq!((events.figures().unknown, events.figures().received), (2, 1));
}

pub(super) async fn an_unreadable_event_is_told_and_the_next_one_comes<S: Setting>(setting: &S) {
    let (agent, (endpoint, _)) = (agent(setting).await, caller(setting, "caller").await);
    let mut events = endpoint.subscribe::<Lease>().await.unwrap();
    agent.endpoint.publish_raw("dhcp.bind.n1", json!({"number": "seven"})).await.unwrap();
    agent.endpoint.publish_raw("dhcp.bind.n1", json!({})).await.unwrap();
    agent.endpoint.publish_raw("dhcp.bind.n1", json!({"number": 1, "since": "later"})).await.unwrap();
    for expected in ["`number`: invalid type", "`number` is missing"] {
        let error = next(&mut events).await.unwrap_err();
        assert!(matches!(&error, Missed::Unreadable(EventError::Read { key, .. }) if key == "dhcp.bind.n1"), "{error:?}");
        assert!(error.to_string().contains(expected) && !error.is_end(), "{error}");
    }
    assert_eq!(numbers(&mut events, 1).await, [1], "a field that is not known is no mistake");
    assert_eq!(events.figures().unreadable, 2);
}

pub(super) async fn a_value_that_breaks_the_key_is_not_published<S: Setting>(setting: &S) {
    let (agent, (endpoint, _)) = (agent(setting).await, caller(setting, "caller").await);
    let mut events = endpoint.subscribe::<Lease>().await.unwrap();
    for (node, expected) in [
        ("", KeyFlaw::Empty),
        ("a.b", KeyFlaw::Character('.')),
        ("*", KeyFlaw::Character('*')),
        ("#", KeyFlaw::Character('#')),
        ("a/b", KeyFlaw::Character('/')),
        ("+", KeyFlaw::Character('+')),
        ("a\0", KeyFlaw::Character('\0')),
        (&"x".repeat(250), KeyFlaw::TooLong(260)),
    ] {
        let error = agent.endpoint.publish(&freed(node)).await.unwrap_err();
        let named = |error: &PublishError| matches!(error, PublishError::Event(EventError::Word { field: "node", flaw, .. }) if *flaw == expected);
        assert!(named(&error), "{node}: {error:?}");
        assert!(error.to_string().starts_with("the field `node` cannot be a word of the event's key"), "{error}");
    }
    for key in ["", "a..b", "a.*", "a/b", &"x".repeat(256)] {
        let error = agent.endpoint.publish_raw(key, json!({})).await.unwrap_err();
        assert!(matches!(error, PublishError::Event(EventError::Key { .. })), "{key}: {error:?}");
    }
    let error = agent.endpoint.publish_raw("a.b", json!([1])).await.unwrap_err();
    assert!(matches!(error, PublishError::Encode(_)), "{error:?}");
    agent.endpoint.publish(&bound(1)).await.unwrap();
    assert_eq!(numbers(&mut events, 1).await, [1], "the first that is published");
}

pub(super) async fn a_pattern_that_can_never_match_is_an_error<S: Setting>(setting: &S) {
    let (endpoint, _) = caller(setting, "caller").await;
    let error = endpoint.subscribe::<Lease>().key("dhcp.unbind.*").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no `Lease` has a key that matches `dhcp.unbind.*`; their keys are `dhcp.bind.*`, `dhcp.free.*`"
    );
    for wrong in ["", "a..b", "dhcp.bind*", "dhcp/bind"] {
        let error = endpoint.subscribe::<Lease>().key(wrong).await.unwrap_err();
        assert!(matches!(error, SubscribeError::Pattern { .. }), "{wrong}: {error:?}");
    }
    let error = endpoint.subscribe::<Lease>().pool("").await.unwrap_err();
    assert!(matches!(error, SubscribeError::Pool { .. }), "{error:?}");
    // Nothing of the binding's is in the way.
    drop(endpoint.subscribe::<Lease>().key("dhcp.bind.*").await.unwrap());
}

pub(super) async fn a_subscriber_may_choose_its_publishers<S: Setting>(setting: &S) {
    let (agent, (one, _), (other, _)) = (agent(setting).await, caller(setting, "caller").await, caller(setting, "other").await);
    let mut events = one.subscribe::<Lease>().from(["agent", "caller"]).await.unwrap();
    let mut everything = one.subscribe::<Lease>().await.unwrap();
    // One after the other: each comes before the next is published.
    for (publisher, number) in [(&other, 1), (&agent.endpoint, 2), (&one, 3)] {
        publisher.publish(&bound(number)).await.unwrap();
        assert_eq!(numbers(&mut everything, 1).await, [number]);
    }
    assert_eq!(numbers(&mut events, 2).await, [2, 3]);
    assert_eq!(events.figures().unwanted, 1);
}

pub(super) async fn closing_the_endpoint_ends_the_subscription<S: Setting>(setting: &S) {
    let (agent, (endpoint, _)) = (agent(setting).await, caller(setting, "caller").await);
    let mut events = endpoint.subscribe::<Lease>().await.unwrap();
    agent.endpoint.publish(&bound(1)).await.unwrap();
    until(&events, "it has come", |figures| figures.waiting == 1).await;
    let _ = endpoint.shutdown(std::time::Duration::from_secs(1)).await.unwrap();
    assert_eq!(numbers(&mut events, 1).await, [1], "what has come can be taken");
    assert!(soon("the end", events.next()).await.is_none());
    assert!(matches!(endpoint.publish(&bound(2)).await, Err(PublishError::Closed)));
    assert!(matches!(endpoint.subscribe::<Lease>().await, Err(SubscribeError::Closed)));
}

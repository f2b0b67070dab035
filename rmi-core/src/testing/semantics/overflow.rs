//! Events that come too fast, are lost, or were left by somebody else.

use std::time::Duration;

use serde_json::json;

use super::{
    OUTAGE, Setting, agent, calling, calling_with,
    events::{Lease, bound, event, next, numbers, until},
    needs::{Need, Powers},
    tap::Passed,
};
use crate::{
    Limits,
    endpoint::{Missed, Overflow},
    testing::conformance::soon,
    transport::{Receipt, TransportErrorKind},
};

pub(super) async fn what_a_member_of_a_pool_leaves_is_for_the_others<S: Setting>(setting: &S) {
    let (agent, one, other) = (agent(setting).await, calling(setting, "caller").await, calling(setting, "other").await);
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

pub(super) async fn a_member_of_a_pool_that_is_closed_takes_nothing_more<S: Setting>(setting: &S) {
    let (agent, one, other) = (agent(setting).await, calling(setting, "caller").await, calling(setting, "other").await);
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

pub(super) async fn a_subscriber_that_waits_loses_nothing_and_holds_up_nobody<S: Setting>(setting: &S) {
    let (agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let mut slow = caller.endpoint.subscribe::<Lease>().capacity(2).await.unwrap();
    let mut quick = caller.endpoint.subscribe::<Lease>().await.unwrap();
    for number in 0..100 {
        agent.endpoint.publish(&bound(number)).await.unwrap();
        assert_eq!(numbers(&mut quick, 1).await, [number]);
    }
    assert!(slow.figures().waiting <= 2);
    assert_eq!(numbers(&mut slow, 100).await, (0..100).collect::<Vec<_>>());
    assert_eq!((slow.figures().dropped, slow.figures().received), (0, 100));
}

pub(super) async fn what_the_bus_drops_the_subscriber_is_told<S: Setting>(setting: &S) {
    let (agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let mut events = caller.endpoint.subscribe::<Lease>().await.unwrap();
    agent.endpoint.publish(&bound(0)).await.unwrap();
    until(&events, "it has come", |figures| figures.received == 1).await;
    // As a bus says that has no more room for what is not taken.
    caller.tap.miss(7);
    agent.endpoint.publish(&bound(8)).await.unwrap();
    until(&events, "it has come", |figures| figures.received == 2).await;
    assert_eq!(numbers(&mut events, 1).await, [0], "where they are missing");
    assert!(matches!(next(&mut events).await, Err(Missed::Lagged(7))));
    assert_eq!(numbers(&mut events, 1).await, [8]);
    assert_eq!(events.figures().dropped, 7);
}

pub(super) async fn what_the_bus_drops_is_told_whatever_comes_after_it<S: Setting>(setting: &S) {
    let (agent, caller, other) = (agent(setting).await, calling(setting, "caller").await, calling(setting, "other").await);
    let mut events = caller.endpoint.subscribe::<Lease>().from(["agent"]).await.unwrap();
    // What comes after those that are lost is none that this subscriber wants.
    caller.tap.miss(7);
    other.endpoint.publish(&bound(8)).await.unwrap();
    let Err(Missed::Lagged(7)) = next(&mut events).await else { panic!("it is told") };
    agent.endpoint.publish(&bound(9)).await.unwrap();
    assert_eq!(numbers(&mut events, 1).await, [9]);
    assert_eq!((events.figures().dropped, events.figures().unwanted), (7, 1));
}

pub(super) async fn a_lost_link_is_told_to_subscribers<S: Setting>(setting: &S) {
    let (agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let mut events = caller.endpoint.subscribe::<Lease>().await.unwrap();
    agent.endpoint.publish(&bound(1)).await.unwrap();
    until(&events, "it has come", |figures| figures.received == 1).await;
    caller.tap.lose(OUTAGE).await;
    agent.endpoint.publish(&bound(2)).await.unwrap();
    assert_eq!(numbers(&mut events, 1).await, [1]);
    let told = next(&mut events).await.unwrap_err();
    assert!(matches!(told, Missed::LinkLost) && !told.is_end(), "{told:?}");
    // It goes on: whether the second was kept for it is the bus's affair.
    caller.probe.echo("the link is back").await.unwrap();
    agent.endpoint.publish(&bound(3)).await.unwrap();
    let mut came = numbers(&mut events, 1).await;
    if came == [2] {
        came = numbers(&mut events, 1).await;
    }
    assert_eq!((came, events.figures().links_lost), (vec![3], 1));
}

pub(super) async fn a_small_event_in_a_long_message_counts_with_all_of_it<S: Setting>(setting: &S) {
    let agent = agent(setting).await;
    let limits = Limits::default().payload(8 << 10);
    let caller = calling_with(setting, "caller", |builder| builder.limits(limits)).await;
    let mut events = caller.endpoint.subscribe::<Lease>().overflow(Overflow::DropOldest).await.unwrap();
    // What was read lies in the same buffer as what nobody asked for.
    for number in 1..=4 {
        agent.endpoint.publish(&bound(number)).data(json!({"padding": "x".repeat(5 << 10)})).await.unwrap();
    }
    until(&events, "all have come", |figures| figures.received == 4).await;
    assert_eq!((events.figures().waiting, events.figures().dropped), (1, 3));
    assert!(matches!(next(&mut events).await, Err(Missed::Lagged(3))));
    assert_eq!(numbers(&mut events, 1).await, [4]);
}

pub(super) async fn the_oldest_are_dropped_and_counted<S: Setting>(setting: &S) {
    let (agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let mut events = caller.endpoint.subscribe::<Lease>().capacity(3).overflow(Overflow::DropOldest).await.unwrap();
    for number in 0..10 {
        agent.endpoint.publish(&bound(number)).await.unwrap();
    }
    until(&events, "all have come", |figures| figures.received == 10).await;
    assert!(matches!(next(&mut events).await, Err(Missed::Lagged(7))));
    assert_eq!(numbers(&mut events, 3).await, [7, 8, 9]);
    agent.endpoint.publish(&bound(10)).await.unwrap();
    assert_eq!(numbers(&mut events, 1).await, [10], "it is told once");
    assert_eq!(events.figures().dropped, 7);
}

pub(super) async fn a_subscription_that_fails_ends_when_it_is_full<S: Setting>(setting: &S) {
    let (agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let mut events = caller.endpoint.subscribe::<Lease>().capacity(2).overflow(Overflow::Fail).await.unwrap();
    for number in 0..3 {
        agent.endpoint.publish(&bound(number)).await.unwrap();
    }
    caller.tap.until(1, "it has left the bus", |passed| matches!(passed, Passed::Left)).await;
    assert_eq!(numbers(&mut events, 2).await, [0, 1]);
    let end = next(&mut events).await.unwrap_err();
    assert!(matches!(end, Missed::Overflowed) && end.is_end());
    assert!(soon("the end", events.next()).await.is_none());
}

pub(super) async fn dropping_a_subscription_unsubscribes<S: Setting>(setting: &S) {
    let tells = Powers::of(setting).await.lack(&[Need::Unroutable]).is_none();
    let (agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let mut events = caller.endpoint.subscribe::<Lease>().capacity(1).await.unwrap();
    // One that waits for room as well.
    for number in 0..10 {
        agent.endpoint.publish(&bound(number)).await.unwrap();
    }
    assert_eq!(event(&mut events).await, bound(0));
    until(&events, "another one waits", |figures| figures.waiting == 1).await;
    drop(events);
    caller.tap.until(1, "it has left the bus", |passed| matches!(passed, Passed::Left)).await;
    let told = agent.endpoint.publish(&bound(11)).await.unwrap();
    // Nobody asked to be told of an event: some buses say so nevertheless.
    assert!(!tells || told != Receipt::Stored, "{told:?}");
}

pub(super) async fn a_subscription_that_the_transport_gives_up_says_so<S: Setting>(setting: &S) {
    let (_agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let mut events = caller.endpoint.subscribe::<Lease>().await.unwrap();
    caller.tap.end_subscriptions(Some(TransportErrorKind::Refused));
    let end = next(&mut events).await.unwrap_err();
    assert!(matches!(end, Missed::Ended) && end.is_end());
    assert!(soon("the end", events.next()).await.is_none());
    // Also without a word.
    caller.tap.let_subscribe();
    let mut events = caller.endpoint.subscribe::<Lease>().await.unwrap();
    caller.tap.end_subscriptions_quietly();
    assert!(matches!(next(&mut events).await, Err(Missed::Ended)));
}

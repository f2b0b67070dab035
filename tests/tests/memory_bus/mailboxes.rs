use std::time::Duration;

use bytes::Bytes;
use rmi_core::transport::{Sharing, TransportErrorKind, memory::Options};
use tokio::time::{Instant, advance};

use super::*;

#[tokio::test]
async fn a_frame_arrives_whole() {
    let bus = Memory::new();
    let mut inbox = bus.clone().subscribe(at("ex/dog").acknowledged(false)).await.unwrap();
    let mut frame = to("ex/dog", "bark");
    frame.properties.change(|properties| {
        properties.reply_to = Some("cat".into());
        properties.correlation_id = Some("7".into());
    });
    let properties = frame.properties.clone();
    assert_eq!(publish(&bus, frame).await, Receipt::Stored);
    let delivery = one(&mut inbox).await;
    assert_eq!(text(&delivery), "bark");
    assert_eq!(delivery.properties, properties);
    assert_eq!((delivery.exchange.as_str(), delivery.key.as_str()), ("", "ex/dog"));
    assert_eq!(delivery.purpose, Purpose::Requests);
    assert!(!delivery.redelivered);
    assert_empty(bus.counters(), 1);
}

#[tokio::test]
async fn a_payload_of_a_mebibyte_is_shared_and_not_copied() {
    let bus = Memory::new();
    let mut inbox = bus.subscribe(at("dog")).await.unwrap();
    let payload = Bytes::from(vec![7; 1 << 20]);
    let frame = Frame::new(Destination::Address("dog".into()), payload.clone());
    assert_eq!(publish(&bus, frame).await, Receipt::Stored);
    assert_eq!(bus.counters().bytes, 1 << 20);
    let delivery = one(&mut inbox).await;
    assert_eq!(delivery.payload, payload);
    assert_eq!(delivery.payload.as_ptr(), payload.as_ptr());
    settle(vec![delivery], Disposition::Ack);
    assert_empty(bus.counters(), 1);
}

#[tokio::test]
async fn what_is_too_long_or_has_no_place_here_is_refused() {
    let bus = Memory::with(Options::default().max_payload(10));
    let _inbox = bus.subscribe(at("dog")).await.unwrap();
    assert_eq!(bus.capabilities().max_payload, 10);
    assert_eq!(publish(&bus, to("dog", "0123456789")).await, Receipt::Stored);
    let refused = error(bus.publish(to("dog", "0123456789a"))).await;
    assert_eq!(refused.kind, TransportErrorKind::Refused);
    assert!(refused.message.contains("11 bytes") && refused.message.contains("at most 10"), "{refused}");

    let mut other_link = to("dog", "x");
    other_link.link = Some(bus.clone().link());
    for frame in [Frame::new(Destination::Link, ""), to(&"d".repeat(1025), ""), to_topic("ex", &"d".repeat(1025), ""), other_link]
    {
        assert_eq!(error(bus.publish(frame)).await.kind, TransportErrorKind::Refused);
    }
    for subscription in [
        Subscription::new(Source::Links, Purpose::Everything),
        at("dog").sharing(Sharing::Broadcast),
        at(&"d".repeat(1025)),
        topic("ex", "a.b").sharing(Sharing::Broadcast).durable(true),
    ] {
        assert_eq!(bus.subscribe(subscription).await.unwrap_err().kind, TransportErrorKind::Refused);
    }
    assert_eq!(bus.counters().mailboxes, 1);
}

#[tokio::test]
async fn nobody_there_is_said_at_once() {
    let bus = Memory::new();
    assert!(bus.capabilities().unroutable);
    assert_eq!(publish(&bus, to("dog", "1")).await, Receipt::NoRoute);
    let inbox = bus.subscribe(at("dog")).await.unwrap();
    let other = bus.clone().subscribe(at("dog")).await.unwrap();
    assert_eq!(publish(&bus, to("dog", "2")).await, Receipt::Stored);
    drop(inbox);
    assert_eq!(publish(&bus, to("dog", "3")).await, Receipt::Stored);
    drop(other);
    assert_eq!(publish(&bus, to("dog", "4")).await, Receipt::NoRoute);
    let counters = bus.counters();
    assert_eq!((counters.unroutable, counters.lost, counters.published), (2, 2, 2));
    assert_empty(counters, 0);
    // A new mailbox of that name knows nothing of the old one.
    assert_nothing(&mut bus.subscribe(at("dog")).await.unwrap());
}

#[tokio::test]
async fn a_durable_mailbox_outlives_its_subscribers() {
    let bus = Memory::new();
    drop(bus.subscribe(at("dog").durable(true)).await.unwrap());
    assert_eq!(publish(&bus, to("dog", "kept")).await, Receipt::Stored);
    // A subscriber that does not ask for it does not undo it.
    drop(bus.subscribe(at("dog")).await.unwrap());
    let mut inbox = bus.subscribe(at("dog")).await.unwrap();
    assert_eq!(text(&one(&mut inbox).await), "kept");
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_expires_without_a_subscriber() {
    let bus = Memory::new();
    let hour = Duration::from_secs(3600);
    for (name, durable) in [("kept", true), ("plain", false)] {
        let inbox = bus.subscribe(at(name).durable(durable).expires(hour)).await.unwrap();
        advance(2 * hour).await;
        drop(inbox);
        advance(hour - Duration::from_millis(1)).await;
        assert_eq!(publish(&bus, to(name, "1")).await, Receipt::Stored);
        // Whoever comes back in time starts it anew.
        drop(bus.subscribe(at(name).acknowledged(false)).await.unwrap());
        advance(hour - Duration::from_millis(1)).await;
        assert_eq!(publish(&bus, to(name, "2")).await, Receipt::Stored);
        advance(Duration::from_millis(1)).await;
        assert_eq!(publish(&bus, to(name, "3")).await, Receipt::NoRoute);
        assert_empty(bus.counters(), 0);
    }
    drop(bus.subscribe(at("counted").expires(hour)).await.unwrap());
    assert_eq!(bus.counters().mailboxes, 1);
    advance(hour).await;
    assert_eq!(bus.counters().mailboxes, 0);
    drop(bus.subscribe(at("again").expires(hour)).await.unwrap());
    assert_eq!(publish(&bus, to("again", "old")).await, Receipt::Stored);
    advance(hour).await;
    assert_nothing(&mut bus.subscribe(at("again")).await.unwrap());
}

#[tokio::test]
async fn there_are_so_many_mailboxes_and_no_more() {
    let bus = Memory::with(Options::default().max_mailboxes(2));
    let first = bus.subscribe(at("a")).await.unwrap();
    let _second = bus.subscribe(topic("ex", "#")).await.unwrap();
    let _shared = bus.subscribe(at("a")).await.unwrap();
    let refused = bus.subscribe(at("b")).await.unwrap_err();
    assert_eq!(refused.kind, TransportErrorKind::Refused);
    drop((first, _shared));
    let _third = bus.subscribe(at("b")).await.unwrap();
    assert_eq!(bus.counters().mailboxes, 2);
}

#[tokio::test]
async fn an_exclusive_subscriber_is_alone() {
    let bus = Memory::new();
    let exclusive = || at("dog").sharing(Sharing::Exclusive);
    let shared = bus.subscribe(at("dog")).await.unwrap();
    assert_eq!(bus.subscribe(exclusive()).await.unwrap_err().kind, TransportErrorKind::Refused);
    drop(shared);
    let alone = bus.subscribe(exclusive()).await.unwrap();
    for second in [exclusive(), at("dog")] {
        let refused = bus.clone().subscribe(second).await.unwrap_err();
        assert_eq!(refused.kind, TransportErrorKind::Refused);
        assert!(refused.message.contains("`dog`"), "{refused}");
    }
    drop(alone);
    assert!(bus.subscribe(exclusive()).await.is_ok());
}

#[tokio::test]
async fn competing_consumers_share() {
    let bus = Memory::new();
    let mut first = bus.subscribe(at("dog")).await.unwrap();
    let mut second = bus.clone().subscribe(at("dog")).await.unwrap();
    for n in 0..10 {
        publish(&bus, to("dog", n.to_string())).await;
    }
    // The one that comes first does not take it all.
    let (mine, yours) = (take(&mut first, 100).await, take(&mut second, 100).await);
    assert_eq!(texts(&mine), ["0", "1", "2", "3", "4"]);
    assert_eq!(texts(&yours), ["5", "6", "7"]);
    drop((mine, yours));
}

#[tokio::test]
async fn a_wake_up_goes_to_the_consumer_that_has_waited_longest() {
    let bus = Memory::new();
    let (sender, mut got) = tokio::sync::mpsc::unbounded_channel();
    for name in 0..3 {
        let mut inbox = bus.subscribe(at("dog").acknowledged(false)).await.unwrap();
        let sender = sender.clone();
        tokio::spawn(async move {
            loop {
                let delivery = one(&mut inbox).await;
                sender.send((name, text(&delivery).to_owned())).unwrap();
            }
        });
    }
    // The runtime has one thread: every task waits before the test goes on.
    tokio::task::yield_now().await;
    for n in 0..6 {
        publish(&bus, to("dog", n.to_string())).await;
        assert_eq!(got.recv().await.unwrap(), (n % 3, n.to_string()));
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_frame_is_not_delivered() {
    let bus = Memory::new();
    let mut inbox = bus.subscribe(at("dog")).await.unwrap();
    let ttl = Duration::from_secs(5);
    for (payload, ttl) in [("short", Some(ttl)), ("long", Some(3 * ttl)), ("endless", Some(Duration::MAX)), ("none", None)] {
        publish(&bus, Frame { ttl, ..to("dog", payload) }).await;
    }
    advance(ttl - Duration::from_millis(1)).await;
    let first = one(&mut inbox).await;
    assert_eq!(text(&first), "short");
    advance(Duration::from_millis(1)).await;
    // It expires where it waits to be delivered again, too.
    first.acker.settle(Disposition::Requeue);
    assert_eq!(bus.counters().expired, 1);
    advance(3 * ttl).await;
    let rest = take(&mut inbox, 10).await;
    assert_eq!(texts(&rest), ["endless", "none"]);
    settle(rest, Disposition::Ack);
    assert_eq!(bus.counters().expired, 2);
    assert_empty(bus.counters(), 1);
}

#[tokio::test(start_paused = true)]
async fn expired_frames_take_no_room() {
    let bus = Memory::with(Options::default().mailbox_frames(3));
    let mut inbox = bus.subscribe(at("dog")).await.unwrap();
    let ttl = Some(Duration::from_secs(5));
    for n in 0..3 {
        publish(&bus, Frame { ttl, ..to("dog", n.to_string()) }).await;
    }
    // One that waits for room gets it when they expire, though nobody takes anything.
    let start = Instant::now();
    assert_eq!(publish(&bus, to("dog", "late")).await, Receipt::Stored);
    assert!(start.elapsed() >= Duration::from_secs(5) && start.elapsed() < Duration::from_secs(6));
    for n in 0..2 {
        publish(&bus, Frame { ttl, ..to("dog", n.to_string()) }).await;
    }
    advance(Duration::from_secs(5)).await;
    assert!(matches!(poll_once(bus.publish(to("dog", "last")).as_mut()), Poll::Ready(Ok(Receipt::Stored))));
    assert_eq!(bus.counters().expired, 5);
    assert_eq!(texts(&take(&mut inbox, 10).await), ["late", "last"]);
}

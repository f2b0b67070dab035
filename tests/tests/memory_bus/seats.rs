use std::{sync::Arc, time::Duration};

use rmi_core::transport::{Link, LinkChange, Sharing, TransportErrorKind, memory::Options};
use tokio::{task::yield_now, time::advance};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

async fn ended(inbox: &mut Inbox) -> bool {
    take(inbox, 1).await.is_empty()
}

#[tokio::test]
async fn closing_ends_this_seat_only() {
    let bus = Memory::new();
    let other = bus.clone();
    let mut mine = bus.subscribe(at("dog")).await.unwrap();
    let mut yours = other.subscribe(at("dog")).await.unwrap();
    let waiting = tokio::spawn({
        let mut inbox = bus.subscribe(at("cat")).await.unwrap();
        async move { ended(&mut inbox).await }
    });
    yield_now().await;
    publish(&bus, to("dog", "1")).await;
    let held = one(&mut mine).await;
    bus.close().await.unwrap();
    bus.close().await.unwrap();
    assert!(ended(&mut mine).await && ended(&mut mine).await);
    assert!(waiting.await.unwrap());
    assert_eq!(error(bus.publish(to("dog", ""))).await.kind, TransportErrorKind::Closed);
    assert_eq!(bus.subscribe(at("dog")).await.unwrap_err().kind, TransportErrorKind::Closed);

    let again = one(&mut yours).await;
    assert!(again.redelivered);
    held.acker.settle(Disposition::Discard);
    again.acker.settle(Disposition::Ack);
    assert_eq!(publish(&other, to("dog", "2")).await, Receipt::Stored);
    settle(take(&mut yours, 1).await, Disposition::Ack);
    assert_eq!(publish(&other, to("cat", "")).await, Receipt::NoRoute);
    assert_empty(other.counters(), 1);
    assert_eq!(other.counters().subscribers, 1);
}

#[tokio::test]
async fn deliveries_keep_their_seat() {
    let bus = Memory::new();
    let mut inbox = bus.clone().subscribe(at("dog")).await.unwrap();
    publish(&bus, to("dog", "1")).await;
    assert_eq!(text(&one(&mut inbox).await), "1");
}

#[tokio::test]
async fn each_seat_has_a_link_of_its_own() {
    let bus = Memory::new();
    let other = bus.clone();
    assert_ne!(bus.link(), other.link());
    assert!(!bus.capabilities().links);
    let mut links = bus.links();
    assert_eq!(links.next().await, Some(LinkChange::Up(Link { id: bus.link(), generation: 1, peer: None })));
    let mut inbox = bus.subscribe(at("dog")).await.unwrap();
    publish(&other, Frame { link: Some(other.link()), ..to("dog", "1") }).await;
    assert_eq!(one(&mut inbox).await.link, bus.link());
    bus.close().await.unwrap();
    assert_eq!(links.next().await, Some(LinkChange::Down(bus.link(), "closed".into())));
    assert_eq!(links.next().await, None);
    assert_eq!(bus.links().next().await, None);
    assert!(other.links().next().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_the_loss_of_a_link() {
    let bus = Memory::new();
    let other = bus.clone();
    let mut links = bus.links();
    links.next().await;
    let mut shared = bus.subscribe(at("shared")).await.unwrap();
    let mut alone = bus.subscribe(at("alone").sharing(Sharing::Exclusive)).await.unwrap();
    let mut kept = bus.subscribe(at("kept").durable(true)).await.unwrap();
    let mut colleague = other.subscribe(at("shared")).await.unwrap();
    publish(&bus, to("shared", "1")).await;
    publish(&bus, to("kept", "2")).await;
    publish(&bus, to("alone", "3")).await;
    let held = [one(&mut shared).await, one(&mut kept).await];

    bus.pause(bus.link(), Some(MINUTE / 3)).await.unwrap();
    assert_eq!(links.next().await, Some(LinkChange::Down(bus.link(), "paused".into())));
    // What was unsettled is there for others; a mailbox that was ours alone is gone, as on a broker.
    let again = one(&mut colleague).await;
    assert!(again.redelivered);
    assert_eq!(publish(&other, to("alone", "")).await, Receipt::NoRoute);
    assert_eq!(publish(&other, to("kept", "4")).await, Receipt::Stored);
    for inbox in [&mut shared, &mut alone, &mut kept] {
        assert_nothing(inbox);
    }
    settle(held.into(), Disposition::Ack);
    settle(vec![again], Disposition::Ack);

    let publishing = bus.publish(to("shared", "5"));
    tokio::pin!(publishing);
    assert!(poll_once(publishing.as_mut()).is_pending());
    assert_eq!(other.counters().waiting, 2);
    assert_eq!(publishing.await.unwrap(), Receipt::Stored);
    assert_eq!(links.next().await, Some(LinkChange::Up(Link { id: bus.link(), generation: 2, peer: None })));
    let back = take(&mut kept, 10).await;
    assert_eq!(texts(&back), ["2", "4"]);
    assert!(back[0].redelivered && !back[1].redelivered);
    assert_eq!(publish(&other, to("alone", "6")).await, Receipt::Stored);
    assert_eq!(text(&one(&mut alone).await), "6");
    assert_eq!(text(&one(&mut shared).await), "5");
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_waits_for_room_is_withdrawn_when_its_seat_leaves() {
    let bus = Memory::with(Options::default().mailbox_frames(1));
    let (seat, closing) = (Arc::new(bus.clone()), Arc::new(bus.clone()));
    let mut inbox = bus.subscribe(at("dog")).await.unwrap();
    let mut events = bus.subscribe(topic("ex", "#")).await.unwrap();
    let _more_events = bus.subscribe(topic("ex", "a")).await.unwrap();
    publish(&bus, to("dog", "0")).await;
    publish(&bus, to_topic("ex", "b", "0")).await;
    let mut tasks = Vec::new();
    for seat in [&seat, &closing] {
        for frame in [to("dog", "1"), to_topic("ex", "a", "1")] {
            let seat = Arc::clone(seat);
            tasks.push(tokio::spawn(async move { seat.publish(frame).await }));
        }
    }
    while bus.counters().blocked < 4 {
        yield_now().await;
    }
    closing.close().await.unwrap();
    for task in tasks.drain(2..) {
        assert_eq!(task.await.unwrap().unwrap_err().kind, TransportErrorKind::Closed);
    }
    seat.pause(seat.link(), Some(MINUTE / 3)).await.unwrap();
    while bus.counters().blocked > 0 {
        yield_now().await;
    }
    // There is room now, and nobody is on the bus to take it.
    settle(vec![one(&mut inbox).await, one(&mut events).await], Disposition::Ack);
    assert_eq!(bus.counters().waiting, 0);
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), Receipt::Stored);
    }
    assert_eq!((text(&one(&mut inbox).await), text(&one(&mut events).await)), ("1", "1"));
}

#[tokio::test(start_paused = true)]
async fn who_was_away_for_too_long_is_told_so() {
    let bus = Memory::new();
    bus.pause(bus.link(), Some(2 * MINUTE)).await.unwrap();
    assert_eq!(error(bus.publish(to("dog", ""))).await.kind, TransportErrorKind::Disconnected);
    assert_eq!(bus.subscribe(at("dog")).await.unwrap_err().kind, TransportErrorKind::Disconnected);
    let mut links = bus.links();
    assert_eq!(links.next().await, Some(LinkChange::Up(Link { id: bus.link(), generation: 2, peer: None })));
    assert!(bus.subscribe(at("dog")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_second_pause_replaces_the_first() {
    let bus = Memory::new();
    let mut links = bus.links();
    links.next().await;
    bus.pause(bus.link(), Some(MINUTE)).await.unwrap();
    bus.pause(bus.link(), Some(3 * MINUTE)).await.unwrap();
    links.next().await;
    advance(2 * MINUTE).await;
    yield_now().await;
    let start = tokio::time::Instant::now();
    assert_eq!(links.next().await, Some(LinkChange::Up(Link { id: bus.link(), generation: 2, peer: None })));
    assert!(start.elapsed() >= MINUTE - Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_cannot_come_back_says_so_once() {
    let bus = Memory::new();
    let mut inbox = bus.subscribe(at("dog")).await.unwrap();
    bus.pause(bus.link(), Some(MINUTE)).await.unwrap();
    let _squatter = bus.clone().subscribe(at("dog").sharing(Sharing::Exclusive)).await.unwrap();
    let refused = inbox.recv(&mut Vec::new(), 1).await.unwrap_err();
    assert_eq!(refused.kind, TransportErrorKind::Refused);
    assert!(ended(&mut inbox).await);
}

#[tokio::test]
async fn a_pause_without_an_end_is_a_close() {
    let bus = Memory::new();
    let mut inbox = bus.subscribe(at("dog")).await.unwrap();
    let stranger = bus.clone().link();
    assert_eq!(bus.pause(stranger, None).await.unwrap_err().kind, TransportErrorKind::Refused);
    bus.pause(bus.link(), None).await.unwrap();
    assert!(ended(&mut inbox).await);
    for resume in [None, Some(MINUTE)] {
        assert_eq!(bus.pause(bus.link(), resume).await.unwrap_err().kind, TransportErrorKind::Closed);
    }
    assert_empty(bus.counters(), 0);
}

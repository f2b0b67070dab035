use std::time::Duration;

use rmi_core::transport::{Attempt, TransportErrorKind, memory::Options};
use tokio::{
    task::{JoinHandle, yield_now},
    time::Instant,
};

use super::*;

async fn full(frames: usize, subscription: Subscription) -> (Memory, Inbox) {
    let bus = Memory::with(Options::default().mailbox_frames(frames));
    let inbox = bus.subscribe(subscription).await.unwrap();
    for n in 0..frames {
        publish(&bus, to("dog", n.to_string())).await;
    }
    (bus, inbox)
}

/// Starts to publish, and comes back when that waits.
async fn waiting(bus: &Memory, frame: Frame) -> JoinHandle<Result<Receipt, TransportError>> {
    let (bus, blocked) = (bus.clone(), bus.counters().blocked);
    let seat = bus.clone();
    let publishing = tokio::spawn(async move { seat.publish(frame).await });
    while bus.counters().blocked == blocked {
        assert!(!publishing.is_finished(), "there was room");
        yield_now().await;
    }
    publishing
}

#[tokio::test(start_paused = true)]
async fn without_room_a_publish_waits_and_then_fails() {
    let (bus, mut inbox) = full(2, at("dog")).await;
    let start = Instant::now();
    let full = error(bus.publish(to("dog", "too much"))).await;
    assert_eq!(full.kind, TransportErrorKind::Full);
    assert_eq!(start.elapsed().as_secs(), 30);
    assert!(full.message.contains("dog"), "{full}");
    let there = take(&mut inbox, 10).await;
    assert_eq!(texts(&there), ["0", "1"]);
    settle(there, Disposition::Ack);
    assert_nothing(&mut inbox);
}

#[tokio::test]
async fn what_is_unsettled_takes_room_until_it_is_acknowledged() {
    let (bus, mut inbox) = full(2, at("dog")).await;
    let held = take(&mut inbox, 2).await;
    let publishing = waiting(&bus, to("dog", "2")).await;
    assert_eq!(bus.counters().waiting, 0);
    settle(held, Disposition::Ack);
    assert_eq!(publishing.await.unwrap().unwrap(), Receipt::Stored);
    assert_eq!(text(&one(&mut inbox).await), "2");
}

#[tokio::test]
async fn a_frame_is_taken_without_waiting_or_comes_back_whole() {
    let (bus, mut inbox) = full(1, at("dog")).await;
    assert!(matches!(bus.try_publish(to("cat", "nobody")), Attempt::Done(Ok(Receipt::NoRoute))));
    let Attempt::Waits(frame) = bus.try_publish(to("dog", "1")) else { panic!("there was room") };
    assert_eq!((&frame.payload[..], bus.counters().blocked), (&b"1"[..], 0));
    let publishing = waiting(&bus, frame).await;
    settle(take(&mut inbox, 1).await, Disposition::Ack);
    // There is room for one, and one has waited for it.
    assert!(matches!(bus.try_publish(to("dog", "2")), Attempt::Waits(_)));
    assert_eq!(publishing.await.unwrap().unwrap(), Receipt::Stored);
    settle(take(&mut inbox, 1).await, Disposition::Ack);
    assert!(matches!(bus.try_publish(to("dog", "2")), Attempt::Done(Ok(Receipt::Stored))));
    assert_eq!(text(&one(&mut inbox).await), "2");
    bus.close().await.unwrap();
    let Attempt::Done(Err(closed)) = bus.try_publish(to("dog", "3")) else { panic!("the seat is closed") };
    assert_eq!(closed.kind, TransportErrorKind::Closed);
}

#[tokio::test]
async fn room_comes_with_taking_discarding_and_settled_deliveries() {
    let (bus, mut inbox) = full(1, at("dog").acknowledged(false)).await;
    let publishing = waiting(&bus, to("dog", "1")).await;
    assert_eq!(text(&one(&mut inbox).await), "0");
    assert_eq!(publishing.await.unwrap().unwrap(), Receipt::Stored);
    drop(inbox);

    let (bus, mut inbox) = full(1, at("dog")).await;
    let publishing = waiting(&bus, to("dog", "1")).await;
    one(&mut inbox).await.acker.settle(Disposition::Discard);
    assert_eq!(publishing.await.unwrap().unwrap(), Receipt::Stored);
}

#[tokio::test]
async fn those_who_wait_are_let_in_in_their_order_and_nobody_overtakes_them() {
    let (bus, mut inbox) = full(2, at("dog")).await;
    let mut publishing = Vec::new();
    for n in 2..6 {
        publishing.push(waiting(&bus, to("dog", n.to_string())).await);
    }
    let mut got = Vec::new();
    for n in 6..10 {
        let delivery = one(&mut inbox).await;
        got.push(text(&delivery).to_owned());
        delivery.acker.settle(Disposition::Ack);
        // There was room for one, and it is taken.
        publishing.push(waiting(&bus, to("dog", n.to_string())).await);
    }
    while got.len() < 10 {
        let delivery = one(&mut inbox).await;
        got.push(text(&delivery).to_owned());
        delivery.acker.settle(Disposition::Ack);
    }
    assert_eq!(got, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
    for publishing in publishing {
        assert_eq!(publishing.await.unwrap().unwrap(), Receipt::Stored);
    }
    assert_empty(bus.counters(), 1);
}

#[tokio::test]
async fn when_the_last_consumer_goes_those_who_wait_learn_that_nobody_is_there() {
    let (bus, inbox) = full(1, at("dog")).await;
    let (first, second) = (waiting(&bus, to("dog", "1")).await, waiting(&bus, to("dog", "2")).await);
    drop(inbox);
    assert_eq!(first.await.unwrap().unwrap(), Receipt::NoRoute);
    assert_eq!(second.await.unwrap().unwrap(), Receipt::NoRoute);
    assert_empty(bus.counters(), 0);
}

#[tokio::test]
async fn a_consumer_that_goes_leaves_the_line_of_a_durable_mailbox_as_it_was() {
    let (bus, mut inbox) = full(1, at("dog").durable(true)).await;
    let held = one(&mut inbox).await;
    let publishing = waiting(&bus, to("dog", "1")).await;
    drop(inbox);
    assert_eq!(bus.counters().blocked, 1);
    let mut other = bus.subscribe(at("dog")).await.unwrap();
    settle(vec![one(&mut other).await], Disposition::Ack);
    assert_eq!(publishing.await.unwrap().unwrap(), Receipt::Stored);
    assert_eq!(text(&one(&mut other).await), "1");
    drop(held);
}

#[tokio::test]
async fn a_publish_that_is_dropped_while_it_waits_leaves_no_trace() {
    let (bus, mut inbox) = full(1, at("dog")).await;
    let dropped = waiting(&bus, to("dog", "dropped")).await;
    let second = waiting(&bus, to("dog", "second")).await;
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    assert_eq!(bus.counters().blocked, 1);
    for expected in ["0", "second"] {
        let delivery = one(&mut inbox).await;
        assert_eq!(text(&delivery), expected);
        delivery.acker.settle(Disposition::Ack);
    }
    assert_eq!(second.await.unwrap().unwrap(), Receipt::Stored);
    assert_empty(bus.counters(), 1);
}

#[tokio::test]
async fn a_publish_that_is_dropped_after_its_turn_was_handed_over() {
    let (bus, mut inbox) = full(1, at("dog")).await;
    {
        let publishing = bus.publish(to("dog", "1"));
        tokio::pin!(publishing);
        assert!(poll_once(publishing.as_mut()).is_pending());
        settle(vec![one(&mut inbox).await], Disposition::Ack);
    }
    assert_eq!(bus.counters().published, 2);
    settle(vec![one(&mut inbox).await], Disposition::Ack);
    assert_empty(bus.counters(), 1);
}

#[tokio::test]
async fn bytes_are_bounded_and_a_smaller_frame_moves_up_when_a_larger_one_gives_up() {
    let bus = Memory::with(Options::default().mailbox_bytes(10));
    let mut inbox = bus.subscribe(at("dog")).await.unwrap();
    publish(&bus, to("dog", "12345")).await;
    let large = waiting(&bus, to("dog", "123456")).await;
    let small = waiting(&bus, to("dog", "12345")).await;
    large.abort();
    assert_eq!(small.await.unwrap().unwrap(), Receipt::Stored);
    settle(take(&mut inbox, 10).await, Disposition::Ack);
    // One that is longer than the bound is carried alone.
    assert_eq!(publish(&bus, to("dog", "0123456789abcdef")).await, Receipt::Stored);
    assert_eq!(bus.counters().bytes, 16);
    let next = waiting(&bus, to("dog", "x")).await;
    settle(take(&mut inbox, 10).await, Disposition::Ack);
    assert_eq!(next.await.unwrap().unwrap(), Receipt::Stored);
}

#[tokio::test(start_paused = true)]
async fn a_topics_frame_goes_to_all_or_to_none() {
    let bus = Memory::with(Options::default().mailbox_frames(1));
    let mut exact = bus.subscribe(topic("ex", "a.b")).await.unwrap();
    let mut wild = bus.subscribe(topic("ex", "a.*").acknowledged(false)).await.unwrap();
    assert_eq!(publish(&bus, to_topic("ex", "a.b", "1")).await, Receipt::Stored);
    settle(vec![one(&mut wild).await], Disposition::Ack);
    // There is room in one of the two: its place is held, and given back when the other has none in time.
    let full = tokio::spawn({
        let bus = bus.clone();
        async move { bus.publish(to_topic("ex", "a.b", "2")).await }
    });
    assert_eq!(full.await.unwrap().unwrap_err().kind, TransportErrorKind::Full);
    assert_nothing(&mut wild);
    assert_eq!(bus.counters().bytes, 1);
    assert_eq!(publish(&bus, to_topic("ex", "a.c", "3")).await, Receipt::Stored);
    // Now both are full; the frame is there when both have room.
    let both = waiting(&bus, to_topic("ex", "a.b", "4")).await;
    settle(vec![one(&mut exact).await], Disposition::Ack);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_nothing(&mut exact);
    assert_eq!(text(&one(&mut wild).await), "3");
    assert_eq!(both.await.unwrap().unwrap(), Receipt::Stored);
    assert_eq!((text(&one(&mut exact).await), text(&one(&mut wild).await)), ("4", "4"));
    // One that goes meanwhile is not waited for.
    assert_eq!(publish(&bus, to_topic("ex", "a.c", "5")).await, Receipt::Stored);
    let rest = waiting(&bus, to_topic("ex", "a.b", "6")).await;
    drop(exact);
    assert_eq!(text(&one(&mut wild).await), "5");
    assert_eq!(rest.await.unwrap().unwrap(), Receipt::Stored);
    assert_eq!(text(&one(&mut wild).await), "6");
    assert_empty(bus.counters(), 1);
}

#[tokio::test]
async fn a_topic_publish_that_is_dropped_gives_its_places_back() {
    let bus = Memory::with(Options::default().mailbox_frames(1));
    let _first = bus.subscribe(topic("ex", "#")).await.unwrap();
    let mut second = bus.subscribe(topic("ex", "a")).await.unwrap();
    publish(&bus, to_topic("ex", "b", "1")).await;
    let dropped = waiting(&bus, to_topic("ex", "a", "2")).await;
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    let counters = bus.counters();
    assert_eq!((counters.blocked, counters.bytes, counters.published), (0, 1, 1));
    assert_nothing(&mut second);
}

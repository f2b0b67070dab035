use rmi_core::transport::memory::Options;

use super::*;

/// A mailbox `dog` with frames `0..n`.
async fn dogs(subscription: Subscription, n: usize) -> (Memory, Inbox) {
    let bus = Memory::new();
    let inbox = bus.subscribe(subscription).await.unwrap();
    for n in 0..n {
        publish(&bus, to("dog", n.to_string())).await;
    }
    (bus, inbox)
}

#[tokio::test]
async fn prefetch_bounds_what_is_unsettled() {
    let (bus, mut inbox) = dogs(at("dog").prefetch(3), 10).await;
    let mut held = take(&mut inbox, 10).await;
    assert_eq!(texts(&held), ["0", "1", "2"]);
    assert_nothing(&mut inbox);
    assert_eq!(bus.counters().unsettled, 3);
    held.remove(1).acker.settle(Disposition::Ack);
    let more = take(&mut inbox, 10).await;
    assert_eq!(texts(&more), ["3"]);
    assert_nothing(&mut inbox);
    settle(held, Disposition::Ack);
    settle(more, Disposition::Ack);
    assert_eq!(texts(&take(&mut inbox, 2).await), ["4", "5"]);
}

#[tokio::test]
async fn without_prefetch_only_the_mailbox_bounds_it() {
    let (_bus, mut inbox) = dogs(at("dog").prefetch(0), 1000).await;
    assert_eq!(take(&mut inbox, 1000).await.len(), 1000);
}

#[tokio::test]
async fn settling_wakes_a_consumer_that_has_used_up_its_prefetch() {
    let (bus, mut inbox) = dogs(at("dog").prefetch(1), 2).await;
    let first = one(&mut inbox).await;
    let second = tokio::spawn(async move { (text(&one(&mut inbox).await).to_owned(), inbox) });
    tokio::task::yield_now().await;
    first.acker.settle(Disposition::Ack);
    let (second, mut inbox) = second.await.unwrap();
    assert_eq!(second, "1");
    // Dropped there, so it is back; and one that waits with an empty queue behind it is woken by a later frame.
    let again = one(&mut inbox).await;
    let third = tokio::spawn(async move { text(&one(&mut inbox).await).to_owned() });
    tokio::task::yield_now().await;
    again.acker.settle(Disposition::Ack);
    tokio::task::yield_now().await;
    publish(&bus, to("dog", "2")).await;
    assert_eq!(third.await.unwrap(), "2");
}

#[tokio::test]
async fn a_consumer_with_full_prefetch_is_passed_over() {
    let (bus, mut busy) = dogs(at("dog").prefetch(1), 1).await;
    let held = one(&mut busy).await;
    let busy = tokio::spawn(async move { one(&mut busy).await.payload });
    let mut free = bus.subscribe(at("dog")).await.unwrap();
    let free = tokio::spawn(async move { one(&mut free).await.payload });
    tokio::task::yield_now().await;
    publish(&bus, to("dog", "for the free one")).await;
    assert_eq!(free.await.unwrap(), "for the free one");
    assert!(!busy.is_finished());
    drop(held);
    assert_eq!(busy.await.unwrap(), "0");
}

/// The first consumer takes a frame that another one was woken for, and so keeps its place in the line of those who wait; when its turn
/// comes it is full.
#[tokio::test]
async fn a_place_in_line_that_is_of_no_use_does_not_swallow_a_wake_up() {
    let bus = Memory::new();
    let mut first = bus.subscribe(at("dog").prefetch(1)).await.unwrap();
    let mut second = bus.subscribe(at("dog")).await.unwrap();
    let second = tokio::spawn(async move { one(&mut second).await.payload });
    tokio::task::yield_now().await;
    assert_nothing(&mut first);
    publish(&bus, to("dog", "0")).await;
    let held = one(&mut first).await;
    tokio::task::yield_now().await;
    let mut none = Vec::new();
    let full = first.recv(&mut none, 1);
    tokio::pin!(full);
    assert!(poll_once(full.as_mut()).is_pending());
    publish(&bus, to("dog", "1")).await;
    assert_eq!(second.await.unwrap(), "1");
    drop(held);
}

#[tokio::test]
async fn what_is_requeued_is_back_at_its_place_and_marked() {
    let (bus, mut inbox) = dogs(at("dog"), 5).await;
    let mut held = take(&mut inbox, 4).await;
    for n in [1, 0] {
        held.remove(n).acker.settle(Disposition::Requeue);
    }
    let three = held.pop().unwrap();
    drop(held);
    three.acker.settle(Disposition::Ack);
    let again = take(&mut inbox, 10).await;
    assert_eq!(texts(&again), ["0", "1", "2", "4"]);
    assert_eq!(again.iter().map(|delivery| delivery.redelivered).collect::<Vec<_>>(), [true, true, true, false]);
    let counters = bus.counters();
    assert_eq!((counters.delivered, counters.redelivered, counters.settled, counters.published), (8, 3, 1, 5));
    settle(again, Disposition::Ack);
    assert_empty(bus.counters(), 1);
}

#[tokio::test]
async fn what_is_released_is_back_as_if_nothing_had_been() {
    let (_bus, mut inbox) = dogs(at("dog"), 2).await;
    settle(take(&mut inbox, 2).await, Disposition::Release);
    let again = take(&mut inbox, 2).await;
    assert_eq!(texts(&again), ["0", "1"]);
    assert!(again.iter().all(|delivery| !delivery.redelivered));
    settle(again, Disposition::Requeue);
    settle(take(&mut inbox, 2).await, Disposition::Release);
    assert!(take(&mut inbox, 2).await.iter().all(|delivery| delivery.redelivered));
}

#[tokio::test]
async fn what_a_consumer_leaves_unsettled_goes_to_another_one() {
    let (bus, mut inbox) = dogs(at("dog"), 4).await;
    let held = take(&mut inbox, 3).await;
    let mut other = bus.subscribe(at("dog")).await.unwrap();
    let waiting = tokio::spawn(async move {
        let mut all = Vec::new();
        while all.len() < 4 {
            all.extend(take(&mut other, 10).await);
        }
        (all, other)
    });
    tokio::task::yield_now().await;
    drop(inbox);
    let (all, mut other) = waiting.await.unwrap();
    let mut order = texts(&all);
    order.sort_unstable();
    assert_eq!(order, ["0", "1", "2", "3"]);
    assert_eq!(all.iter().filter(|delivery| delivery.redelivered).count(), 3);
    // Those who held them have no say any more.
    settle(held, Disposition::Discard);
    settle(all, Disposition::Ack);
    assert_nothing(&mut other);
    assert_eq!(bus.counters().dead_lettered, 0);
    assert_empty(bus.counters(), 1);
}

#[tokio::test]
async fn settling_after_the_mailbox_has_gone_is_harmless() {
    for disposition in [Disposition::Ack, Disposition::Requeue, Disposition::Release, Disposition::Discard] {
        let (bus, mut inbox) = dogs(at("dog"), 3).await;
        let held = take(&mut inbox, 2).await;
        drop(inbox);
        settle(held, disposition);
        assert_eq!(bus.counters().lost, 3);
        assert_empty(bus.counters(), 0);
    }
}

#[tokio::test]
async fn dead_letters_are_bounded_and_counted() {
    let bus = Memory::with(Options::default().dead_letters(3));
    let mut inbox = bus.subscribe(at("dog")).await.unwrap();
    let mut events = bus.subscribe(topic("ex", "#")).await.unwrap();
    for n in 0..5 {
        publish(&bus, to("dog", n.to_string())).await;
    }
    publish(&bus, to_topic("ex", "a.b", "event")).await;
    settle(take(&mut inbox, 5).await, Disposition::Discard);
    settle(take(&mut events, 5).await, Disposition::Discard);
    let letters = bus.dead_letters();
    let seen: Vec<_> =
        letters.iter().map(|letter| (letter.exchange.as_str(), letter.key.as_str(), &letter.payload[..])).collect();
    assert_eq!(seen, [("", "dog", &b"3"[..]), ("", "dog", b"4"), ("ex", "a.b", b"event")]);
    let counters = bus.counters();
    assert_eq!((counters.dead_lettered, counters.dead_letters), (6, 3));
    assert_empty(counters, 2);
}

#[tokio::test]
async fn dead_letters_hold_no_more_bytes_than_a_mailbox() {
    let bus = Memory::with(Options::default().mailbox_bytes(10));
    let mut inbox = bus.subscribe(at("dog").durable(true)).await.unwrap();
    for payload in ["12345", "67890", "abcde"] {
        publish(&bus, to("dog", payload)).await;
        settle(vec![one(&mut inbox).await], Disposition::Discard);
    }
    assert_eq!(bus.dead_letters().iter().map(|letter| &letter.payload[..]).collect::<Vec<_>>(), [b"67890", b"abcde"]);
}

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use rmi_core::transport::memory::Options;
use tokio::task::JoinSet;

use super::*;

#[tokio::test]
async fn a_hundred_thousand_frames_leave_nothing_behind() {
    let bus = Memory::new();
    let mut inbox = bus.subscribe(at("dog").prefetch(100)).await.unwrap();
    let mut events = bus.subscribe(topic("ex", "#").acknowledged(false)).await.unwrap();
    let mut deliveries = Vec::new();
    for round in 0..1000 {
        for n in 0..50 {
            publish(&bus, to("dog", (round * 50 + n).to_string())).await;
            publish(&bus, to_topic("ex", "a.b", "event")).await;
        }
        assert_eq!(inbox.recv(&mut deliveries, 50).await.unwrap(), 50);
        settle(std::mem::take(&mut deliveries), Disposition::Ack);
        assert_eq!(take(&mut events, 50).await.len(), 50);
    }
    let counters = bus.counters();
    assert_eq!((counters.published, counters.delivered, counters.settled), (100_000, 100_000, 100_000));
    assert_empty(counters, 2);
    drop((inbox, events));
    assert_empty(bus.counters(), 0);
}

/// Producers on seats of their own, consumers that requeue, release, drop and are dropped: each frame is settled once, in the order of
/// its producer unless it was delivered again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_and_nothing_is_settled_twice() {
    const PRODUCERS: usize = 6;
    const FRAMES: usize = 3000;
    let bus = Memory::with(Options::default().mailbox_frames(64));
    let keeper = bus.subscribe(at("dog").durable(true)).await.unwrap();
    drop(keeper);
    let settled = Arc::new(Mutex::new(HashMap::<String, usize>::new()));
    let done = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for producer in 0..PRODUCERS {
        let seat = bus.clone();
        tasks.spawn(async move {
            for n in 0..FRAMES {
                assert_eq!(publish(&seat, to("dog", format!("{producer}.{n}"))).await, Receipt::Stored);
            }
        });
    }
    for consumer in 0..4 {
        let (seat, settled, done) = (bus.clone(), Arc::clone(&settled), Arc::clone(&done));
        tasks.spawn(async move {
            let subscription = at("dog").prefetch(7);
            let mut inbox = seat.subscribe(subscription.clone()).await.unwrap();
            let mut turn: usize = consumer;
            while done.load(Ordering::Acquire) < PRODUCERS * FRAMES {
                turn += 1;
                if turn.is_multiple_of(50) {
                    // A whole inbox is dropped with what it holds.
                    let _held = poll_once(inbox.recv(&mut Vec::new(), 5).as_mut());
                    inbox = seat.subscribe(subscription.clone()).await.unwrap();
                }
                if turn.is_multiple_of(11) {
                    // A wait that is given up.
                    let mut deliveries = Vec::new();
                    let _ = poll_once(inbox.recv(&mut deliveries, 3).as_mut());
                    settle(deliveries, Disposition::Release);
                }
                let mut deliveries = Vec::new();
                tokio::select! {
                    biased;
                    taken = inbox.recv(&mut deliveries, 5) => { taken.unwrap(); }
                    () = async { while done.load(Ordering::Acquire) < PRODUCERS * FRAMES { tokio::task::yield_now().await } } => {}
                }
                for (n, delivery) in deliveries.into_iter().enumerate() {
                    match (turn + n) % 17 {
                        0 => delivery.acker.settle(Disposition::Requeue),
                        1 => delivery.acker.settle(Disposition::Release),
                        2 => drop(delivery),
                        _ => {
                            *settled.lock().unwrap().entry(text(&delivery).to_owned()).or_default() += 1;
                            delivery.acker.settle(Disposition::Ack);
                            done.fetch_add(1, Ordering::AcqRel);
                        }
                    }
                }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let settled = settled.lock().unwrap();
    assert_eq!(settled.len(), PRODUCERS * FRAMES);
    assert!(settled.values().all(|times| *times == 1));
    let counters = bus.counters();
    assert_eq!(counters.published, (PRODUCERS * FRAMES) as u64);
    assert!(counters.redelivered > 0);
    assert_empty(counters, 1);
}

/// Without anything that is delivered again, each producer's frames stay in order, however small the mailbox and whoever wakes whom.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_order_of_each_sender_is_kept() {
    const PRODUCERS: usize = 8;
    const FRAMES: usize = 3000;
    let bus = Memory::with(Options::default().mailbox_frames(5));
    let mut inbox = bus.subscribe(at("dog").acknowledged(false)).await.unwrap();
    let mut events = bus.subscribe(topic("ex", "a.*")).await.unwrap();
    let mut copies = bus.subscribe(topic("ex", "#")).await.unwrap();
    let mut tasks = JoinSet::new();
    for producer in 0..PRODUCERS {
        let seat = bus.clone();
        tasks.spawn(async move {
            for n in 0..FRAMES {
                assert_eq!(publish(&seat, to("dog", format!("{producer}.{n}"))).await, Receipt::Stored);
                assert_eq!(publish(&seat, to_topic("ex", "a.b", format!("{producer}.{n}"))).await, Receipt::Stored);
            }
        });
    }
    async fn check(inbox: &mut Inbox) {
        let mut next = [0; PRODUCERS];
        while next.iter().sum::<usize>() < PRODUCERS * FRAMES {
            for delivery in take(inbox, 3).await {
                let (producer, n) = text(&delivery).split_once('.').unwrap();
                let expected = &mut next[producer.parse::<usize>().unwrap()];
                assert_eq!(n.parse::<usize>().unwrap(), *expected);
                *expected += 1;
                delivery.acker.settle(Disposition::Ack);
            }
        }
    }
    tokio::join!(check(&mut inbox), check(&mut events), check(&mut copies));
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert_empty(bus.counters(), 3);
}

/// Subscriptions and whole mailboxes that come and go under a publisher: every publish is answered, every frame is accounted for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mailboxes_that_come_and_go_under_their_publishers() {
    let bus = Memory::with(Options::default().mailbox_frames(4));
    let mut tasks = JoinSet::new();
    let ended = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let (seat, ended) = (bus.clone(), Arc::clone(&ended));
        tasks.spawn(async move {
            for n in 0..4000 {
                publish(&seat, if n % 2 == 0 { to("dog", "x") } else { to_topic("ex", "a.b", "x") }).await;
            }
            ended.fetch_add(1, Ordering::Release);
        });
    }
    for subscription in [at("dog"), at("dog").acknowledged(false), topic("ex", "a.b"), topic("ex", "#"), topic("ex", "a.*")] {
        let (seat, ended) = (bus.clone(), Arc::clone(&ended));
        tasks.spawn(async move {
            while ended.load(Ordering::Acquire) < 3 {
                let mut inbox = seat.subscribe(subscription.clone()).await.unwrap();
                let mut held = Vec::new();
                for _ in 0..3 {
                    let _ = poll_once(inbox.recv(&mut held, 4).as_mut());
                    held.pop();
                    tokio::task::yield_now().await;
                }
                drop(inbox);
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert_empty(bus.counters(), 0);
}

#[tokio::test]
async fn a_wait_that_is_dropped_loses_nothing_and_passes_its_wake_up_on() {
    let bus = Memory::new();
    let mut first = bus.subscribe(at("dog")).await.unwrap();
    let mut second = bus.subscribe(at("dog")).await.unwrap();
    let mut none = Vec::new();
    let mut given_up = first.recv(&mut none, 10);
    assert!(poll_once(given_up.as_mut()).is_pending());
    let waiting = tokio::spawn(async move {
        let delivery = one(&mut second).await;
        delivery.acker.settle(Disposition::Ack);
        delivery.payload
    });
    tokio::task::yield_now().await;
    // The first one is woken, and gone before it comes for the frame.
    publish(&bus, to("dog", "1")).await;
    drop(given_up);
    assert_eq!(waiting.await.unwrap(), "1");
    assert!(none.is_empty());
    // A wait that was never woken leaves nothing behind either.
    assert_nothing(&mut first);
    publish(&bus, to("dog", "2")).await;
    assert_eq!(take(&mut first, 10).await.len(), 1);
}

#[tokio::test]
async fn an_inbox_that_is_dropped_passes_its_wake_up_on() {
    let bus = Memory::new();
    let mut first = bus.subscribe(at("dog")).await.unwrap();
    let mut second = bus.subscribe(at("dog")).await.unwrap();
    let first = tokio::spawn(async move { first.recv(&mut Vec::new(), 1).await });
    tokio::task::yield_now().await;
    let second = tokio::spawn(async move { one(&mut second).await.payload });
    tokio::task::yield_now().await;
    publish(&bus, to("dog", "1")).await;
    first.abort();
    assert_eq!(second.await.unwrap(), "1");
}

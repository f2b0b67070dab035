//! Floods: of replies that nobody takes, or not fast enough, and of events.

use rmi_core::transport::{Deliveries, Delivery, Purpose, Receipt, Sharing, Source, Subscription, Transport, WhenFull};
use rmi_tests::{
    amqp::{name, options, text},
    soon::soon,
};

use super::{amqp, broker, event, events, frame};

fn replies(address: &str) -> Subscription {
    Subscription::new(Source::Address(address.into()), Purpose::Replies).sharing(Sharing::Exclusive).acknowledged(false)
}

/// Everything that comes until the subscription ends.
async fn all(inbox: &mut Box<dyn Deliveries>) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while soon("it ends", inbox.recv(&mut taken, 7)).await.unwrap() > 0 {}
    taken
}

/// Whoever knows a reply address and sends what nobody takes gets no memory: the subscription ends, and its address with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_that_nobody_takes_are_bounded() {
    let (_, _turn) = broker().await;
    for (messages, bytes, length) in [(100, usize::MAX, 1), (usize::MAX, 1 << 20, 100_000)] {
        let (caller, peer) = (amqp(options().backlog(messages, bytes)).await, amqp(options()).await);
        let address = name("replies");
        let mut inbox = caller.subscribe(replies(&address)).await.unwrap();
        let mut sent = 0;
        soon("it is ended", async {
            while caller.counters().flooded == 0 {
                peer.publish(frame(&address, "x".repeat(length))).await.unwrap();
                sent += 1;
            }
        })
        .await;
        soon("its address is gone", async { while peer.publish(frame(&address, "x")).await.unwrap() != Receipt::NoRoute {} })
            .await;
        let taken = all(&mut inbox).await;
        assert!((10..=101).contains(&taken.len()), "{} of {sent}", taken.len());
        assert_eq!(caller.counters().flooded, 1);
        // The connection goes on.
        let mut inbox = caller.subscribe(replies(&address)).await.unwrap();
        assert_eq!(peer.publish(frame(&address, "again")).await.unwrap(), Receipt::Stored);
        let mut again = Vec::new();
        assert_eq!(soon("it comes", inbox.recv(&mut again, 1)).await.unwrap(), 1);
        assert_eq!(text(&again[0]), "again");
    }
}

/// The same where somebody takes what comes, and not fast enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_that_come_faster_than_they_are_taken_are_bounded() {
    let (_, _turn) = broker().await;
    let (caller, peer) = (amqp(options().backlog(100, usize::MAX)).await, amqp(options()).await);
    let address = name("replies");
    let mut inbox = caller.subscribe(replies(&address)).await.unwrap();
    let mut taken = Vec::new();
    soon("it is ended", async {
        while caller.counters().flooded == 0 {
            for _ in 0..10 {
                peer.publish(frame(&address, "x")).await.unwrap();
            }
            inbox.recv(&mut taken, 1).await.unwrap();
        }
    })
    .await;
}

/// A burst that fits is no flood, however slowly it is taken, and keeps its order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_replies_that_fits_is_received_in_order() {
    const MANY: usize = 1000;
    let (_, _turn) = broker().await;
    let (caller, peer) = (amqp(options().backlog(MANY, usize::MAX)).await, amqp(options()).await);
    let address = name("replies");
    let mut inbox = caller.subscribe(replies(&address)).await.unwrap();
    let mut taken = Vec::new();
    for number in 0..MANY {
        peer.publish(frame(&address, number.to_string())).await.unwrap();
        if number % 100 == 99 {
            soon("some come", inbox.recv(&mut taken, 3)).await.unwrap();
        }
    }
    while taken.len() < MANY {
        soon("all come", inbox.recv(&mut taken, 3)).await.unwrap();
    }
    let numbers: Vec<_> = taken.iter().map(text).collect();
    assert_eq!(numbers, (0..MANY).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(caller.counters().flooded, 0);
}

/// Whoever lets the oldest events be dropped keeps the newest, and is told how many there were before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_nobody_takes_make_room_for_newer_ones() {
    const ROOM: usize = 100;
    let (_, _turn) = broker().await;
    let (subscriber, peer) = (amqp(options().backlog(ROOM, usize::MAX)).await, amqp(options()).await);
    let exchange = name("exchange");
    let subscription = events(&exchange).acknowledged(false).when_full(WhenFull::DropOldest);
    let mut inbox = subscriber.subscribe(subscription).await.unwrap();
    let mut sent = 0;
    soon("some are dropped", async {
        while subscriber.counters().dropped == 0 {
            peer.publish(event(&exchange, sent.to_string())).await.unwrap();
            sent += 1;
        }
    })
    .await;
    let mut taken = Vec::new();
    while taken.last().map(text) != Some((sent - 1).to_string()) {
        soon("the rest comes", inbox.recv(&mut taken, 7)).await.unwrap();
    }
    let missed: u64 = taken.iter().map(|delivery| delivery.missed).sum();
    assert!(taken[0].missed > 0 && missed == subscriber.counters().dropped, "{missed}: {:?}", subscriber.counters());
    assert_eq!(missed + taken.len() as u64, sent);
    assert_eq!(subscriber.counters().flooded, 0);
}

//! What a connection to RabbitMQ declares, what it finds, and what becomes of frames that nobody is there for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{sync::Arc, time::Duration};

use lapin::{
    ExchangeKind,
    options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::FieldTable,
};
use rmi_amqp::{Exchange, Queues};
use rmi_core::transport::{
    Destination, Disposition, Frame, Purpose, Receipt, Sharing, Source, Subscription, Transport, TransportErrorKind, WhenFull,
};
use rmi_tests::{
    amqp::{by_hand, connect, name, next, options, text},
    soon::soon,
};

fn requests(address: &str) -> Subscription {
    Subscription::new(Source::Address(address.into()), Purpose::Requests).durable(true)
}

fn frame(address: &str, payload: impl Into<String>) -> Frame {
    let mut frame = Frame::new(Destination::Address(address.into()), payload.into());
    (frame.mandatory, frame.persistent) = (true, true);
    frame
}

/// How many messages wait in a queue; declared as it is.
async fn waiting(queue: &str) -> u32 {
    let (_connection, channel) = by_hand().await;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), passive, FieldTable::default()).await.unwrap().message_count()
}

#[tokio::test]
async fn a_request_queue_is_as_gofer_declares_it() {
    let (amqp, address) = (connect(options()).await, name("dog"));
    let _inbox = amqp.subscribe(requests(&address)).await.unwrap();
    let (_connection, channel) = by_hand().await;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(address.as_str().into(), durable, FieldTable::default()).await.expect("the same queue");
}

#[tokio::test]
async fn a_queue_with_other_properties_is_refused_with_advice() {
    let address = name("dog");
    let first = connect(options()).await;
    drop(first.subscribe(requests(&address)).await.unwrap());
    let quorum = connect(options().queues(Queues::default().quorum())).await;
    let error = quorum.subscribe(requests(&address)).await.unwrap_err();
    assert_eq!(error.kind, TransportErrorKind::Refused);
    for part in [address.as_str(), "x-queue-type", "other properties"] {
        assert!(error.message.contains(part), "`{part}` is missing: {error}");
    }
    let passive = connect(options().queues(Queues::default().quorum().passive())).await;
    passive.subscribe(requests(&address)).await.expect("as it is");
    let error = passive.subscribe(requests(&name("nobody"))).await.unwrap_err();
    assert_eq!(error.kind, TransportErrorKind::Refused, "{error}");
}

#[tokio::test]
async fn what_can_never_be_handled_is_kept_within_bounds() {
    let (address, dead) = (name("dog"), name("dead"));
    let queues = Queues::default().quorum().delivery_limit(2).dead_letters(dead.as_str(), 2);
    let amqp = connect(options().queues(queues)).await;
    let mut inbox = amqp.subscribe(requests(&address)).await.unwrap();
    for number in 0..3 {
        assert_eq!(amqp.publish(frame(&address, number.to_string())).await.unwrap(), Receipt::Stored);
        next(&mut inbox).await.acker.settle(Disposition::Discard);
    }
    // And what has been delivered too often.
    amqp.publish(frame(&address, "poison")).await.unwrap();
    for _ in 0..3 {
        let delivery = next(&mut inbox).await;
        assert_eq!(text(&delivery), "poison");
        delivery.acker.settle(Disposition::Requeue);
    }
    let graves = Subscription::new(Source::Address(dead.as_str().into()), Purpose::Everything);
    soon("two are kept", async {
        while waiting(&dead).await != 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    // The queue is there, and is not this subscription's to declare.
    let passive = connect(options().queues(Queues::default().passive())).await;
    let mut inbox = passive.subscribe(graves.durable(true)).await.unwrap();
    let mut kept = Vec::new();
    loop {
        let delivery = next(&mut inbox).await;
        let last = text(&delivery);
        delivery.acker.settle(Disposition::Ack);
        kept.push(last.clone());
        if last == "poison" {
            break;
        }
    }
    assert!(kept.len() <= 3, "two are kept at a time: {kept:?}");
}

#[tokio::test]
async fn a_full_queue_says_so() {
    let address = name("dog");
    let amqp = connect(options().queues(Queues::default().max_length(2))).await;
    let _inbox = amqp.subscribe(requests(&address).prefetch(1)).await.unwrap();
    let mut told = Vec::new();
    for number in 0..6 {
        told.push(amqp.publish(frame(&address, number.to_string())).await);
    }
    let error = told.into_iter().find_map(Result::err).expect("three have room");
    assert_eq!(error.kind, TransportErrorKind::Full, "{error}");
    assert!(amqp.counters().full > 0);
}

#[tokio::test]
async fn a_queue_that_was_deleted_is_declared_again() {
    let (amqp, address) = (connect(options()).await, name("dog"));
    let mut inbox = amqp.subscribe(requests(&address)).await.unwrap();
    let (_connection, channel) = by_hand().await;
    channel.queue_delete(address.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    let receiving = tokio::spawn(async move { text(&next(&mut inbox).await) });
    soon("it is there again", async {
        while amqp.publish(frame(&address, "again")).await.unwrap() == Receipt::NoRoute {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(soon("it is received again", receiving).await.unwrap(), "again");
    assert_eq!(amqp.counters().channels_lost, 1);
    assert_eq!(amqp.counters().lost, 0, "the connection is the same");
}

/// Each frame is told what became of itself, however many are on their way and whatever is acknowledged together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn among_many_each_is_told_what_became_of_it() {
    const MANY: usize = 2000;
    let amqp = Arc::new(connect(options()).await);
    let (here, nowhere) = (name("here"), name("nowhere"));
    let mut inbox = amqp.subscribe(requests(&here).prefetch(0)).await.unwrap();
    let publishing: Vec<_> = (0..MANY)
        .map(|number| {
            let absent = number % 3 == 0;
            let mut frame = frame(if absent { &nowhere } else { &here }, number.to_string());
            frame.persistent = number % 2 == 0;
            let amqp = Arc::clone(&amqp);
            (absent, tokio::spawn(async move { amqp.publish(frame).await }))
        })
        .collect();
    for (number, (absent, publish)) in publishing.into_iter().enumerate() {
        let told = soon("a publish ends", publish).await.unwrap().unwrap();
        assert_eq!(told, if absent { Receipt::NoRoute } else { Receipt::Stored }, "frame {number}");
    }
    let mut taken = Vec::new();
    while taken.len() < MANY - MANY.div_ceil(3) {
        soon("a delivery comes", inbox.recv(&mut taken, 64)).await.unwrap();
    }
    taken.into_iter().for_each(|delivery| delivery.acker.settle(Disposition::Ack));
    let figures = amqp.counters();
    assert_eq!(figures.no_route, MANY.div_ceil(3) as u64);
    assert_eq!(figures.confirmed, MANY as u64);
}

#[tokio::test]
async fn without_its_exchange_nobody_is_there_and_nobody_else_suffers() {
    let amqp = Arc::new(connect(options()).await);
    let (exchange, here) = (name("exchange"), name("here"));
    let _inbox = amqp.subscribe(requests(&here)).await.unwrap();
    let to = |key: &str| Destination::Topic { exchange: exchange.as_str().into(), key: key.into() };
    let topic = |payload: &str| {
        let mut frame = Frame::new(to("a.b"), payload.to_owned());
        frame.mandatory = true;
        frame
    };
    assert_eq!(amqp.publish(topic("before")).await.unwrap(), Receipt::NoRoute);
    assert_eq!(amqp.counters().channels_lost, 0, "it was looked for first");

    let events = Subscription::new(Source::topic(exchange.as_str(), "a.*"), Purpose::Events).sharing(Sharing::Broadcast);
    let mut inbox = amqp.subscribe(events).await.unwrap();
    assert_eq!(amqp.publish(topic("heard")).await.unwrap(), Receipt::Stored);
    assert_eq!(text(&next(&mut inbox).await), "heard");

    // Now it is known, and goes: whoever publishes to it is told, and what else is on its way is sent again where that is allowed.
    let (_connection, channel) = by_hand().await;
    channel.exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default()).await.unwrap();
    let mut others = Vec::new();
    for number in 0..20 {
        let mut frame = frame(&here, number.to_string());
        frame.repeatable = true;
        let amqp = Arc::clone(&amqp);
        others.push(tokio::spawn(async move { amqp.publish(frame).await }));
    }
    let refused = amqp.publish(topic("gone")).await;
    match &refused {
        Err(error) => assert!(error.kind == TransportErrorKind::Refused && error.message.contains(&exchange), "{error}"),
        Ok(receipt) => assert_eq!(*receipt, Receipt::NoRoute),
    }
    for other in others {
        assert_eq!(soon("a publish ends", other).await.unwrap().unwrap(), Receipt::Stored);
    }
    assert_eq!(amqp.publish(topic("gone")).await.unwrap(), Receipt::NoRoute, "it is looked for anew");
}

#[tokio::test]
async fn an_address_leads_to_an_exchange_only_where_the_options_say_so() {
    let (exchange, queue) = (name("exchange"), name("queue"));
    let (_connection, channel) = by_hand().await;
    let declare = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(exchange.as_str().into(), ExchangeKind::Direct, declare, FieldTable::default()).await.unwrap();

    let listed = connect(options().exchange(exchange.as_str(), Exchange::direct().passive())).await;
    let mut inbox = listed.subscribe(requests(&queue)).await.unwrap();
    let (queue_name, bind) = (queue.as_str().into(), QueueBindOptions::default());
    channel.queue_bind(queue_name, exchange.as_str().into(), queue.as_str().into(), bind, FieldTable::default()).await.unwrap();
    let address = format!("{exchange}/{queue}");
    assert_eq!(listed.publish(frame(&address, "by the exchange")).await.unwrap(), Receipt::Stored);
    assert_eq!(text(&next(&mut inbox).await), "by the exchange");

    let other = connect(options()).await;
    let error = other.publish(frame(&address, "not")).await.unwrap_err();
    assert_eq!(error.kind, TransportErrorKind::Refused, "{error}");
    let error = other.subscribe(requests(&address)).await.unwrap_err();
    assert_eq!(error.kind, TransportErrorKind::Refused, "{error}");
}

#[tokio::test]
async fn an_exchange_is_declared_as_the_options_say() {
    let exchange = name("exchange");
    let amqp = connect(options().exchange(exchange.as_str(), Exchange::topic().durable(false).auto_delete(true))).await;
    let events = Subscription::new(Source::topic(exchange.as_str(), "#"), Purpose::Events).sharing(Sharing::Broadcast);
    let inbox = amqp.subscribe(events).await.unwrap();
    let (_connection, channel) = by_hand().await;
    let same = ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(exchange.as_str().into(), ExchangeKind::Topic, same, FieldTable::default()).await.expect("the same");
    drop(inbox);
    soon("it goes with its last queue", async {
        let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        loop {
            let (_connection, channel) = by_hand().await;
            let looked = channel.exchange_declare(exchange.as_str().into(), ExchangeKind::Topic, passive, FieldTable::default());
            if looked.await.is_err() {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn one_who_is_too_slow_for_events_loses_the_oldest() {
    let amqp = connect(options().events(3)).await;
    let (exchange, mut frames) = (name("exchange"), Vec::new());
    let slow = Subscription::new(Source::topic(exchange.as_str(), "#"), Purpose::Events)
        .sharing(Sharing::Broadcast)
        .when_full(WhenFull::DropOldest)
        .prefetch(1);
    let mut inbox = amqp.subscribe(slow).await.unwrap();
    for number in 0..10 {
        let to = Destination::Topic { exchange: exchange.as_str().into(), key: "a".into() };
        let mut frame = Frame::new(to, number.to_string());
        frame.mandatory = true;
        amqp.publish(frame).await.unwrap();
    }
    while frames.last().is_none_or(|last| last != "9") {
        let delivery = next(&mut inbox).await;
        frames.push(text(&delivery));
        delivery.acker.settle(Disposition::Ack);
    }
    assert_eq!(frames, ["0", "7", "8", "9"], "the first was on its way");
}

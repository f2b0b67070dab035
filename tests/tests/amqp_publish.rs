//! What becomes of a publish over RabbitMQ, whatever happens to the link, the channel and whoever published.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use lapin::{
    ExchangeKind,
    options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::FieldTable,
};
use rmi_amqp::Amqp;
use rmi_core::transport::{Attempt, Destination, Frame, LinkChange, Receipt, Transport, TransportErrorKind};
use rmi_tests::{
    amqp::{by_hand, connect, name, options, proxied, url},
    soon::soon,
};

fn frame(to: &str, payload: impl Into<String>) -> Frame {
    let mut frame = Frame::new(Destination::Address(to.into()), payload.into());
    (frame.mandatory, frame.repeatable) = (true, true);
    frame
}

/// Polls something once: it has begun, and has not ended.
async fn begun<F: Future + Unpin>(something: &mut F) {
    let pending = poll_fn(|cx| Poll::Ready(Pin::new(&mut *something).poll(cx).is_pending())).await;
    assert!(pending, "it has ended");
}

/// It was confirmed by nobody and sent again, and then its queue had gone: that says nothing of the first time.
#[tokio::test]
async fn what_was_sent_again_and_found_nobody_may_have_been_there_before() {
    let (proxy, through) = proxied(&url().await).await;
    let amqp = Amqp::connect(through).options(options()).await.unwrap();
    let (queue, (_connection, channel)) = (name("gone"), by_hand().await);
    let declared = QueueDeclareOptions::default();
    channel.queue_declare(queue.as_str().into(), declared, FieldTable::default()).await.unwrap();
    assert_eq!(amqp.publish(frame(&queue, "first")).await.unwrap(), Receipt::Stored);
    let mut links = amqp.links();
    assert!(matches!(links.next().await, Some(LinkChange::Up(_))));
    proxy.stall();
    let mut publishing = Box::pin(amqp.publish(frame(&queue, "second")));
    begun(&mut publishing).await;
    soon("it is on its way", async {
        while amqp.counters().published < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    proxy.reset();
    proxy.flow();
    let told = soon("a publish ends", publishing).await.unwrap_err();
    assert_eq!(told.kind, TransportErrorKind::Ambiguous, "{told}");
    assert_eq!(amqp.counters().repeated, 1);
}

/// Whoever waits for room when the transport is closed is told so, however long a publish may wait.
#[tokio::test]
async fn closing_ends_the_wait_for_room() {
    let (proxy, through) = proxied(&url().await).await;
    let patient = options().window(1).waiting(1, 1 << 20).wait(Duration::from_secs(600)).linger(Duration::from_secs(600));
    let amqp = Amqp::connect(through).options(patient).await.unwrap();
    let mut links = amqp.links();
    assert!(matches!(links.next().await, Some(LinkChange::Up(_))));
    proxy.refuse(true);
    proxy.cut();
    assert!(matches!(soon("it goes down", links.next()).await, Some(LinkChange::Down(..))));
    let publish = |payload: &str| Box::pin(amqp.publish(frame("publish.nobody", payload)));
    let (mut first, mut second, mut third) = (publish("1"), publish("2"), publish("3"));
    for one in [&mut first, &mut second, &mut third] {
        begun(one).await;
    }
    // What has room is to be sent, if the link comes back while closing may wait for it.
    let mut closing = Box::pin(amqp.close());
    begun(&mut closing).await;
    assert_eq!(soon("a publish ends", third).await.unwrap_err().kind, TransportErrorKind::Closed);
    proxy.refuse(false);
    assert_eq!(soon("a publish ends", first).await.unwrap(), Receipt::NoRoute);
    assert_eq!(soon("a publish ends", second).await.unwrap(), Receipt::NoRoute);
    soon("it is closed", closing).await.unwrap();
}

/// After an outage everybody looks for the exchange that all publish to: one of them asks the broker, and not each by a channel of its
/// own, of which a connection has 2047.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_publish_to_an_exchange_look_for_it_once() {
    const MANY: usize = 3000;
    let amqp = Arc::new(connect(options()).await);
    let (exchange, (_connection, channel)) = (name("exchange"), by_hand().await);
    let declare = ExchangeDeclareOptions { auto_delete: false, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(exchange.as_str().into(), ExchangeKind::Topic, declare, FieldTable::default()).await.unwrap();
    let publishing: Vec<_> = (0..MANY)
        .map(|number| {
            let to = Destination::Topic { exchange: exchange.as_str().into(), key: "a.b".into() };
            let (amqp, frame) = (Arc::clone(&amqp), Frame::new(to, number.to_string()));
            tokio::spawn(async move { amqp.publish(frame).await })
        })
        .collect();
    for publish in publishing {
        assert_eq!(soon("a publish ends", publish).await.unwrap().unwrap(), Receipt::Handed);
    }
    channel.exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default()).await.unwrap();
}

/// A publish that was given up is told apart from those that still wait: what was dropped before it was sent is not sent, and what was
/// dropped on its way does no harm to others.
#[tokio::test]
async fn what_is_given_up_before_it_is_sent_is_not_sent() {
    let (proxy, through) = proxied(&url().await).await;
    let amqp = Amqp::connect(through).options(options()).await.unwrap();
    let (queue, (_connection, channel)) = (name("given-up"), by_hand().await);
    let declared = QueueDeclareOptions::default();
    channel.queue_declare(queue.as_str().into(), declared, FieldTable::default()).await.unwrap();
    let mut links = amqp.links();
    assert!(matches!(links.next().await, Some(LinkChange::Up(_))));
    proxy.refuse(true);
    proxy.cut();
    assert!(matches!(soon("it goes down", links.next()).await, Some(LinkChange::Down(..))));
    for number in 0..50 {
        let mut given_up = Box::pin(amqp.publish(frame(&queue, number.to_string())));
        begun(&mut given_up).await;
    }
    let mut kept = Box::pin(amqp.publish(frame(&queue, "kept")));
    begun(&mut kept).await;
    proxy.refuse(false);
    assert_eq!(soon("a publish ends", kept).await.unwrap(), Receipt::Stored);
    let left = channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    assert_eq!(left, 1, "only what was waited for was sent");
}

/// What takes no waiting takes no future: what is not confirmed is on its way, and of what is the broker has its say later.
#[tokio::test]
async fn what_takes_no_waiting_is_given_to_the_broker_at_once() {
    let (proxy, through) = proxied(&url().await).await;
    let amqp = Amqp::connect(through).options(options().window(4)).await.unwrap();
    let (queue, (_connection, channel)) = (name("once"), by_hand().await);
    channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::default(), FieldTable::default()).await.unwrap();
    let unconfirmed = |payload: &str| Frame::new(Destination::Address(queue.as_str().into()), payload.to_owned());
    // There is a link, and soon there is a channel as well.
    soon("a frame is taken at once", async {
        while !matches!(amqp.try_publish(unconfirmed("0")), Attempt::Done(Ok(Receipt::Handed))) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let given = |attempt| match attempt {
        Attempt::Given(receipt) => receipt,
        other => panic!("{other:?}"),
    };
    let (stored, nobody) = (given(amqp.try_publish(frame(&queue, "1"))), given(amqp.try_publish(frame(&name("none"), "2"))));
    assert_eq!((stored.await.unwrap(), nobody.await.unwrap()), (Receipt::Stored, Receipt::NoRoute));
    let Attempt::Done(Err(refused)) = amqp.try_publish(frame("", "3")) else { panic!("an address without a name") };
    assert_eq!(refused.kind, TransportErrorKind::Refused);

    // The broker says nothing: so many are on their way, and no more.
    proxy.stall();
    let receipts: Vec<_> = (0..4).map(|n| given(amqp.try_publish(frame(&queue, n.to_string())))).collect();
    assert!(matches!(amqp.try_publish(unconfirmed("5")), Attempt::Waits(_)), "the window is full");
    proxy.flow();
    for receipt in receipts {
        assert_eq!(receipt.await.unwrap(), Receipt::Stored);
    }
    amqp.close().await.unwrap();
    assert!(matches!(amqp.try_publish(unconfirmed("6")), Attempt::Done(Err(error)) if error.kind == TransportErrorKind::Closed));
    let held = channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    assert_eq!(held, 6, "what is not confirmed came as well");
}

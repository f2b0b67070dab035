//! Queues that are deleted, left, or still held by a connection that has gone; subscriptions that are stopped or given up; pauses within
//! pauses.

use std::time::Duration;

use rmi_amqp::Amqp;
use rmi_core::{
    Endpoint, Native, Trust,
    endpoint::Missed,
    prelude::*,
    transport::{
        Disposition, LinkChange, LinkId, Purpose, Receipt, Sharing, Source, Subscription, Transport, TransportErrorKind,
    },
};
use rmi_tests::{
    amqp::{name, options, proxied},
    soon::soon,
};
use tokio::task::block_in_place;

use super::{amqp, broker, change, event, events, frame};

/// Whoever is told to leave while it is away stays away, and both who told it are answered.
#[tokio::test]
async fn a_pause_within_a_pause_is_one() {
    let (_, _turn) = broker().await;
    let amqp = amqp(options().wait(Duration::from_millis(300))).await;
    let mut links = amqp.links();
    assert!(matches!(change(&mut links).await, LinkChange::Up(_)));
    amqp.pause(LinkId(1), Some(Duration::from_secs(3600))).await.unwrap();
    assert!(matches!(change(&mut links).await, LinkChange::Down(..)));
    soon("it is answered", amqp.pause(LinkId(1), Some(Duration::from_millis(1)))).await.unwrap();
    soon("it is answered", amqp.disconnect(LinkId(1))).await.unwrap();
    let error = amqp.publish(frame("nobody", "x")).await.unwrap_err();
    assert_eq!(error.kind, TransportErrorKind::Disconnected, "it is still away: {error}");
    assert_eq!(amqp.counters().connected, 1);
    // And it ends at once when it is told to.
    soon("it is closed", amqp.close()).await.unwrap();
    assert_eq!(links.next().await, None);
}

/// The broker still takes a connection for alive that has gone, with its queue: the next one has a queue of another name, and misses no
/// more than it must.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_does_not_wait_for_its_own_queue() {
    let (broker, _turn) = broker().await;
    let (proxy, through) = proxied(&broker.url()).await;
    let subscriber = Amqp::connect(through).options(options()).await.unwrap();
    let exchange = name("exchange");
    let mut inbox = subscriber.subscribe(events(&exchange)).await.unwrap();
    let mut links = subscriber.links();
    assert!(matches!(change(&mut links).await, LinkChange::Up(_)));
    proxy.orphan();
    assert!(matches!(change(&mut links).await, LinkChange::Down(..)));
    assert!(matches!(change(&mut links).await, LinkChange::Up(_)));
    let peer = amqp(options()).await;
    assert_eq!(peer.publish(event(&exchange, "x")).await.unwrap(), Receipt::Stored);
    let mut taken = Vec::new();
    soon("it comes", inbox.recv(&mut taken, 1)).await.unwrap();
    assert_eq!(subscriber.counters().resubscribe_failed, 0, "its old queue was in its way");
    drop(proxy);
}

#[derive(Debug, RemoteEvent)]
enum Lamp {
    #[remote(key = "lamp.on.{room}")]
    On { room: String },
}

/// A subscriber to events is told that its queue was deleted, and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_queue_is_deleted_is_told_that_events_are_missing() {
    let (broker, _turn) = broker().await;
    let start = async |name: &'static str| {
        let bus = amqp(options()).await;
        Endpoint::builder(name).bind(Native::default(), bus, Trust::insecure()).start().await.unwrap()
    };
    let (hall, lights) = (start("hall").await, start("lights").await);
    let before = block_in_place(|| broker.queues());
    let mut events = hall.subscribe::<Lamp>().await.unwrap();
    let on = |room: &str| Lamp::On { room: room.to_owned() };
    lights.publish(&on("cellar")).await.unwrap();
    let Lamp::On { room } = soon("it comes", events.next()).await.unwrap().unwrap().event;
    assert_eq!(room, "cellar");
    block_in_place(|| {
        let queues = broker.queues();
        let is_its_own = |name: &&String| name.starts_with("rmi.events:") && !before.contains(*name);
        broker.delete_queue(queues.iter().find(is_its_own).expect("it has a queue"));
    });
    // At once, and not with the next event.
    let told = soon("it is told", events.next()).await.unwrap().unwrap_err();
    assert!(matches!(told, Missed::Interrupted) && !told.is_end(), "{told:?}");
    let mut room = None;
    soon("it goes on", async {
        while room.is_none() {
            lights.publish(&on("attic")).await.unwrap();
            room = tokio::time::timeout(Duration::from_millis(20), events.next()).await.ok();
        }
    })
    .await;
    let Lamp::On { room } = room.unwrap().unwrap().unwrap().event;
    assert_eq!((room.as_str(), events.figures().interrupted, events.figures().links_lost), ("attic", 1, 0));
    for endpoint in [hall, lights] {
        let _ = endpoint.shutdown(Duration::from_secs(5)).await.unwrap();
    }
}

/// What is stopped brings nothing more, and leaves what it did not bring to others.
#[tokio::test]
async fn what_is_given_back_unsettled_is_for_others() {
    let (_, _turn) = broker().await;
    let (first, second, address) = (amqp(options()).await, amqp(options()).await, name("shared"));
    let subscription = || Subscription::new(Source::Address(address.as_str().into()), Purpose::Requests).prefetch(1);
    let mut leaving = first.subscribe(subscription()).await.unwrap();
    leaving.stop();
    let mut staying = second.subscribe(subscription()).await.unwrap();
    for number in 0..4 {
        first.publish(frame(&address, number.to_string())).await.unwrap();
        let mut taken = Vec::new();
        soon("the other one has it", staying.recv(&mut taken, 1)).await.unwrap();
        taken.pop().unwrap().acker.settle(Disposition::Ack);
    }
}

/// Whoever gives up subscribing, at whatever moment, leaves no queue behind: nobody would ever consume it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_is_given_up_leaves_no_queue() {
    let (broker, _turn) = broker().await;
    let amqp = amqp(options()).await;
    for round in 0..60u64 {
        let replies = Subscription::new(Source::Address(format!("given-up.{round}").as_str().into()), Purpose::Replies);
        let subscribing = amqp.subscribe(replies.sharing(Sharing::Exclusive));
        let _ = tokio::time::timeout(Duration::from_micros(100 * round), subscribing).await;
    }
    soon("no queue is left", async {
        while block_in_place(|| broker.queues()).iter().any(|name| name.starts_with("given-up.")) {}
    })
    .await;
    amqp.close().await.unwrap();
}

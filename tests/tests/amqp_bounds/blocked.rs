//! A broker that takes nothing.

use std::time::Duration;

use rmi_core::transport::{Link, LinkChange, Purpose, Receipt, Source, Subscription, Transport, TransportErrorKind};
use rmi_tests::{
    amqp::{name, options},
    soon::soon,
};
use tokio::task::block_in_place;

use super::{BROKER, amqp, broker, change, event, frame};

/// The broker is short of memory, for as long as this is kept.
struct Alarm;

impl Alarm {
    fn sounds() -> Self {
        BROKER.memory_limit(0.0);
        Alarm
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        BROKER.memory_limit(0.6);
    }
}

/// Alarms are told to whoever watches the links; what is published meanwhile ends in its time, and says why; and all goes on after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_takes_nothing_is_told_of_and_not_waited_for_too_long() {
    let (_, _turn) = broker().await;
    let wait = Duration::from_millis(500);
    let amqp = amqp(options().wait(wait)).await;
    let address = name("requests");
    let inbox = amqp.subscribe(Subscription::new(Source::Address(address.as_str().into()), Purpose::Requests)).await.unwrap();
    let mut links = amqp.links();
    let LinkChange::Up(Link { id, .. }) = change(&mut links).await else { panic!("it is up") };
    let alarm = block_in_place(Alarm::sounds);
    // Who publishes is told, and not before.
    let blocked = soon("it is told", async {
        loop {
            let _ = amqp.publish(frame(&address, "x")).await;
            if amqp.blocked().is_some() {
                break change(&mut links).await;
            }
        }
    })
    .await;
    let LinkChange::Blocked(link, why) = blocked else { panic!("it is blocked: {blocked:?}") };
    assert!(link == id && why.contains("memory"), "{why}");
    for frame in [frame(&address, "x"), event(&name("exchange"), "x")] {
        let error = soon("it is not waited for too long", amqp.publish(frame)).await.unwrap_err();
        assert_eq!(error.kind, TransportErrorKind::Disconnected);
        assert!(error.message.contains("takes nothing") && error.message.contains("memory"), "{error}");
    }
    // Whoever begins to watch now is told as well.
    let mut late = amqp.links();
    assert!(matches!(change(&mut late).await, LinkChange::Up(_)));
    assert!(matches!(change(&mut late).await, LinkChange::Blocked(..)));
    block_in_place(|| drop(alarm));
    for links in [&mut links, &mut late] {
        assert_eq!(change(links).await, LinkChange::Unblocked(id));
    }
    assert_eq!(amqp.publish(frame(&address, "x")).await.unwrap(), Receipt::Stored);
    assert_eq!(amqp.counters().lost, 0);
    drop(inbox);
}

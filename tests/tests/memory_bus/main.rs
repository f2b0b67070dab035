//! The in-memory bus keeps what a broker promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod mailboxes;
mod room;
mod seats;
mod settling;
mod stress;
mod topics;

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use rmi_core::{
    Address,
    transport::{
        Deliveries, Delivery, Destination, Disposition, Frame, Purpose, Receipt, Source, Subscription, Transport, TransportError,
        memory::{Counters, Memory},
    },
};
use tokio::time::sleep;

type Inbox = Box<dyn Deliveries>;

/// A subscription to an address, with the transport's defaults.
fn at(address: &str) -> Subscription {
    Subscription::new(Source::Address(Address::from(address)), Purpose::Requests)
}

/// A subscription to topics.
fn topic(exchange: &str, pattern: &str) -> Subscription {
    Subscription::new(Source::topic(exchange, pattern), Purpose::Events)
}

fn to(address: &str, payload: impl Into<String>) -> Frame {
    Frame::new(Destination::Address(Address::from(address)), payload.into())
}

fn to_topic(exchange: &str, key: &str, payload: impl Into<String>) -> Frame {
    Frame::new(Destination::Topic { exchange: exchange.into(), key: key.into() }, payload.into())
}

async fn publish(bus: &Memory, frame: Frame) -> Receipt {
    bus.publish(frame).await.unwrap()
}

/// Waits for deliveries, at most `max`. A wake-up that was lost is a failure: the time is looked at first, since a second look at the
/// inbox would find what it was not woken for.
async fn take(inbox: &mut Inbox, max: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    let taken = tokio::select! {
        biased;
        () = sleep(Duration::from_secs(30)) => panic!("nothing came"),
        taken = inbox.recv(&mut deliveries, max) => taken.unwrap(),
    };
    assert_eq!(taken, deliveries.len());
    assert!(taken <= max);
    deliveries
}

/// Waits for one delivery.
async fn one(inbox: &mut Inbox) -> Delivery {
    take(inbox, 1).await.pop().expect("the subscription has ended")
}

fn text(delivery: &Delivery) -> &str {
    std::str::from_utf8(&delivery.payload).unwrap()
}

fn texts(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(text).collect()
}

fn settle(deliveries: Vec<Delivery>, disposition: Disposition) {
    deliveries.into_iter().for_each(|delivery| delivery.acker.settle(disposition));
}

/// Polls once, with a waker that wakes nobody.
fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// There is nothing to receive.
fn assert_nothing(inbox: &mut Inbox) {
    let mut none = Vec::new();
    assert!(poll_once(inbox.recv(&mut none, 16).as_mut()).is_pending(), "there is something: {none:?}");
}

/// Nothing is left on the bus but so many mailboxes, and nothing is unaccounted for.
fn assert_empty(counters: Counters, mailboxes: usize) {
    assert_eq!(counters.mailboxes, mailboxes);
    assert_eq!((counters.waiting, counters.unsettled, counters.bytes, counters.blocked), (0, 0, 0, 0), "{counters:?}");
    assert_accounted(counters);
}

fn assert_accounted(c: Counters) {
    let somewhere = c.settled + c.expired + c.dead_lettered + c.dropped + c.lost + c.waiting as u64 + c.unsettled as u64;
    assert_eq!(c.published, somewhere, "{c:?}");
}

async fn error(publish: impl Future<Output = Result<Receipt, TransportError>>) -> TransportError {
    publish.await.expect_err("it was published")
}

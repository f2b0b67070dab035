use std::{future::IntoFuture, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{task::JoinHandle, time::timeout};

use super::{Harness, link};
use crate::transport::{
    Deliveries, Delivery, Destination, Disposition, Frame, Purpose, Receipt, Source, Subscription, Transport, TransportError,
};

/// Longer than anything takes that happens at all. Where time is paused it is over as soon as nothing happens any more.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// More frames than any check publishes.
const ENDLESS: usize = 100_000;

/// Waits for what has to happen, and fails when it does not.
pub(crate) async fn soon<F: IntoFuture>(what: &str, future: F) -> F::Output {
    match timeout(PATIENCE, future.into_future()).await {
        Ok(output) => output,
        Err(_) => panic!("it did not happen in {PATIENCE:?}: {what}"),
    }
}

/// A way from one transport to another: an address on a bus, or a link.
#[derive(Clone)]
pub(super) struct Lane {
    pub(super) receiver: Arc<dyn Transport>,
    pub(super) sender: Arc<dyn Transport>,
    pub(super) address: String,
    quiet: Duration,
}

impl Lane {
    pub(super) async fn new<H: Harness>(harness: &H) -> Self {
        let (receiver, sender) = harness.ends().await;
        Lane { receiver, sender, address: harness.name("lane"), quiet: H::QUIET }
    }

    pub(super) fn has_links(&self) -> bool {
        self.sender.capabilities().links
    }

    /// What is received at the end of this lane, settled one by one where the transport can redeliver.
    pub(super) fn subscription(&self) -> Subscription {
        let redelivery = self.receiver.capabilities().redelivery;
        if self.has_links() {
            Subscription::new(Source::Links, Purpose::Everything).acknowledged(redelivery)
        } else {
            self.at(&self.address).acknowledged(redelivery)
        }
    }

    pub(super) fn at(&self, address: &str) -> Subscription {
        Subscription::new(Source::Address(address.into()), Purpose::Requests)
    }

    pub(super) async fn inbox(&self) -> Inbox {
        self.inbox_with(self.subscription()).await
    }

    pub(super) async fn inbox_with(&self, subscription: Subscription) -> Inbox {
        Inbox::open(&self.receiver, subscription, self.quiet).await
    }

    pub(super) async fn frame(&self, payload: impl Into<Bytes>) -> Frame {
        if self.has_links() {
            let mut frame = Frame::new(Destination::Link, payload);
            frame.link = link(&self.sender).await;
            frame
        } else {
            Frame::new(Destination::Address(self.address.as_str().into()), payload)
        }
    }

    pub(super) async fn publish(&self, payload: impl Into<Bytes>) -> Result<Receipt, TransportError> {
        let frame = self.frame(payload).await;
        soon("a publish ends", self.sender.publish(frame)).await
    }

    /// Publishes what has to be taken.
    pub(super) async fn send(&self, payload: impl Into<Bytes>) {
        let receipt = self.publish(payload).await.expect("a publish to a subscriber that receives");
        assert_ne!(receipt, Receipt::NoRoute, "somebody is there");
    }

    /// Publishes all of these, in their order, beside whatever else happens.
    pub(super) fn send_all(&self, payloads: Vec<String>) -> JoinHandle<()> {
        let lane = self.clone();
        tokio::spawn(async move {
            for payload in payloads {
                lane.send(payload).await;
            }
        })
    }
}

/// The end of a subscription.
pub(super) struct Inbox {
    pub(super) deliveries: Box<dyn Deliveries>,
    quiet: Duration,
}

impl Inbox {
    pub(super) async fn open(at: &Arc<dyn Transport>, subscription: Subscription, quiet: Duration) -> Self {
        let subscribed = soon("a subscribe ends", at.subscribe(subscription.clone())).await;
        let deliveries = subscribed.unwrap_or_else(|error| panic!("{subscription:?} cannot be subscribed to: {error}"));
        Inbox { deliveries, quiet }
    }

    /// The next delivery, unsettled.
    pub(super) async fn next(&mut self) -> Delivery {
        let mut taken = Vec::new();
        let count = soon("a frame arrives", self.deliveries.recv(&mut taken, 1)).await;
        assert_eq!(count.expect("the subscription is kept up"), taken.len(), "`recv` says how many it appended");
        assert!(taken.len() <= 1, "one was asked for, and {} came", taken.len());
        taken.pop().expect("the subscription has ended")
    }

    /// The payload of the next delivery, as text; it is acknowledged.
    pub(super) async fn text(&mut self) -> String {
        let delivery = self.next().await;
        let text = text(&delivery);
        delivery.acker.settle(Disposition::Ack);
        text
    }

    /// So many payloads.
    pub(super) async fn texts(&mut self, many: usize) -> Vec<String> {
        let mut texts = Vec::with_capacity(many);
        for _ in 0..many {
            texts.push(self.text().await);
        }
        texts
    }

    /// The payloads of all that come until nothing does any more; acknowledged.
    pub(super) async fn rest(&mut self) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(delivery) = self.maybe().await {
            texts.push(text(&delivery));
            delivery.acker.settle(Disposition::Ack);
            assert!(texts.len() < ENDLESS, "frames come without end: `{}` for the last one", texts[texts.len() - 1]);
        }
        texts
    }

    /// The next delivery, if there is one at all.
    pub(super) async fn maybe(&mut self) -> Option<Delivery> {
        let mut taken = Vec::new();
        match timeout(self.quiet, self.deliveries.recv(&mut taken, 1)).await {
            Ok(count) => {
                count.expect("the subscription is kept up");
                taken.pop()
            }
            Err(_) => {
                assert!(taken.is_empty(), "a `recv` that was dropped had appended something");
                None
            }
        }
    }

    /// Nothing comes.
    pub(super) async fn nothing(&mut self, why: &str) {
        if let Some(delivery) = self.maybe().await {
            panic!("`{}` came, redelivered: {}; {why}", text(&delivery), delivery.redelivered);
        }
    }
}

pub(super) fn text(delivery: &Delivery) -> String {
    String::from_utf8_lossy(&delivery.payload).into_owned()
}

/// `0`, `1`, …
pub(super) fn numbers(many: usize) -> Vec<String> {
    (0..many).map(|number| number.to_string()).collect()
}

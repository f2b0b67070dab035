//! A tapped endpoint's protocol and transport.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Inner, Passed, Tap};
use crate::{
    lock::lock,
    message::Message,
    protocol::{Features, Protocol, ProtocolError, Refused, Role, Session},
    transport::{
        Acker, Capabilities, Deliveries, Delivery, Disposition, Frame, Interruptions, LinkId, Links, Purpose, Receipt, Settle,
        Subscription, Transport, TransportError, TransportErrorKind,
    },
};

impl Protocol for Tap {
    fn features(&self) -> Features {
        self.0.protocol.features()
    }

    fn listen(&self, role: &Role<'_>) -> Vec<Subscription> {
        self.0.protocol.listen(role)
    }

    fn encode(&self, message: &Message) -> Result<Option<Frame>, ProtocolError> {
        let mut message = message.clone();
        if let Some(change) = lock(&self.0.change).as_ref() {
            change(&mut message)?;
        }
        let frame = self.0.protocol.encode(&message)?;
        if let Some(frame) = &frame {
            let mut written = lock(&self.0.written);
            let number = written.len();
            written.insert(frame.payload.clone(), (number, Arc::new(message)));
        }
        Ok(frame)
    }

    fn decode(&self, delivery: &Delivery) -> Result<Message, Refused> {
        self.0.protocol.decode(delivery)
    }

    fn session(&self, role: &Role<'_>) -> Option<Box<dyn Session>> {
        self.0.protocol.session(role)
    }
}

/// The transport of a tapped endpoint. The tap alone does not keep it: it goes with its endpoint.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) tap: Arc<Inner>,
    pub(super) transport: Arc<dyn Transport>,
}

#[async_trait]
impl Transport for Wire {
    fn capabilities(&self) -> Capabilities {
        self.transport.capabilities()
    }

    async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        let tap = &self.tap;
        let Some(message) = tap.sent(&frame) else { return self.transport.publish(frame).await };
        let held = lock(&tap.held).as_ref().is_some_and(|which| which(&message));
        if held {
            tap.saw(Passed::Held(Arc::clone(&message)));
            let _ = tap.open.subscribe().wait_for(|open| *open).await;
        }
        let swallowed = lock(&tap.swallowed).as_ref().and_then(|(which, receipt)| which(&message).then_some(*receipt));
        if let Some(receipt) = swallowed {
            return Ok(receipt);
        }
        let broken = *lock(&tap.broken);
        let receipt = match broken {
            Some(kind) => Err(TransportError::new(kind, "broken by the test")),
            None => {
                let mut publishing = self.transport.publish(frame.clone());
                match poll_fn(|cx| Poll::Ready(publishing.as_mut().poll(cx))).await {
                    Poll::Ready(receipt) => receipt,
                    Poll::Pending => {
                        // The bus has it, and has yet to say so: what it is for may happen before that, or nobody may wait for it.
                        let place = tap.saw(Passed::Published(Arc::clone(&message), frame));
                        let receipt = publishing.await;
                        if receipt.is_err() {
                            lock(&tap.passed)[place] = Passed::Refused(message);
                            tap.changed.notify_waiters();
                        }
                        return receipt;
                    }
                }
            }
        };
        tap.saw(if receipt.is_ok() { Passed::Published(message, frame) } else { Passed::Refused(message) });
        receipt
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Deliveries>, TransportError> {
        let unsubscribable = *lock(&self.tap.unsubscribable);
        if let Some(kind) = unsubscribable {
            self.tap.saw(Passed::Unsubscribable);
            return Err(TransportError::new(kind, "broken by the test"));
        }
        let mut ended = self.tap.ended.subscribe();
        ended.mark_unchanged();
        let eager = subscription.purpose == Purpose::Requests && self.tap.eager.load(Ordering::SeqCst);
        let subscription = if eager { subscription.prefetch(0) } else { subscription };
        let deliveries = self.transport.subscribe(subscription).await?;
        let settling = Arc::new(Settling { tap: Arc::clone(&self.tap), held: Mutex::default(), next: AtomicU64::new(0) });
        Ok(Box::new(Tapped { deliveries, settling, ended }))
    }

    fn links(&self) -> Links {
        self.transport.links()
    }

    async fn pause(&self, link: LinkId, resume: Option<Duration>) -> Result<(), TransportError> {
        self.transport.pause(link, resume).await
    }

    async fn will(&self, link: LinkId, frame: Frame) -> Result<(), TransportError> {
        self.transport.will(link, frame).await
    }

    async fn close(&self) -> Result<(), TransportError> {
        self.transport.close().await
    }
}

#[derive(Debug)]
struct Tapped {
    deliveries: Box<dyn Deliveries>,
    settling: Arc<Settling>,
    ended: watch::Receiver<Option<TransportErrorKind>>,
}

#[async_trait]
impl Deliveries for Tapped {
    async fn recv(&mut self, into: &mut Vec<Delivery>, max: usize) -> Result<usize, TransportError> {
        let taken = tokio::select! {
            biased;
            _ = self.ended.changed() => {
                let kind = *self.ended.borrow_and_update();
                return kind.map_or(Ok(0), |kind| Err(TransportError::new(kind, "ended by the test")));
            }
            taken = self.deliveries.recv(into, max) => taken?,
        };
        let from = into.len() - taken;
        for delivery in &mut into[from..] {
            delivery.missed += self.settling.tap.missed.swap(0, Ordering::SeqCst);
            let Some(message) = self.settling.tap.arrived(delivery) else { continue };
            self.settling.tap.saw(Passed::Delivered(Arc::clone(&message), delivery.payload.clone()));
            let tag = self.settling.next.fetch_add(1, Ordering::Relaxed);
            let acker = std::mem::replace(&mut delivery.acker, Acker::new(Arc::<Settling>::clone(&self.settling), tag));
            lock(&self.settling.held).insert(tag, (message, acker));
        }
        Ok(taken)
    }

    fn stop(&mut self) {
        self.deliveries.stop();
    }

    fn interruptions(&self) -> Option<Interruptions> {
        self.deliveries.interruptions()
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        self.settling.tap.saw(Passed::Left);
    }
}

#[derive(Debug)]
struct Settling {
    tap: Arc<Inner>,
    held: Mutex<HashMap<u64, (Arc<Message>, Acker)>>,
    next: AtomicU64,
}

impl Settle for Settling {
    fn settle(&self, tag: u64, disposition: Disposition) {
        let held = lock(&self.held).remove(&tag);
        if let Some((message, acker)) = held {
            self.tap.saw(Passed::Settled(message, disposition));
            acker.settle(disposition);
        }
    }
}

//! A part of a bus that many tests share: each has names of its own, and does not know it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rmi_core::transport::{
    Attempt, Capabilities, Deliveries, Delivery, Destination, Frame, Interruptions, LinkId, Links, Receipt, Source, Subscription,
    Transport, TransportError,
};

/// A transport on which every address and every topic's key begins with the scope.
#[derive(Clone, Debug)]
pub struct Scoped {
    inner: Arc<dyn Transport>,
    /// With a `.` at its end.
    scope: Arc<str>,
}

impl Scoped {
    /// On this bus, among names that begin with the scope.
    #[must_use]
    pub fn new(inner: Arc<dyn Transport>, scope: &str) -> Self {
        Scoped { inner, scope: format!("{scope}.").into() }
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.scope)
    }

    fn frame(&self, mut frame: Frame) -> Frame {
        frame.to = match frame.to {
            Destination::Address(address) => Destination::Address(self.name(address.as_str()).into()),
            Destination::Topic { exchange, key } => Destination::Topic { exchange, key: self.name(&key).into() },
            other => other,
        };
        frame
    }
}

#[async_trait]
impl Transport for Scoped {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        self.inner.publish(self.frame(frame)).await
    }

    fn try_publish(&self, frame: Frame) -> Attempt {
        Attempt::Waits(frame)
    }

    async fn subscribe(&self, mut subscription: Subscription) -> Result<Box<dyn Deliveries>, TransportError> {
        subscription.source = match subscription.source {
            Source::Address(address) => Source::Address(self.name(address.as_str()).into()),
            Source::Topic { exchange, patterns } => {
                Source::Topic { exchange, patterns: patterns.iter().map(|pattern| self.name(pattern).into()).collect() }
            }
            other => other,
        };
        let inner = self.inner.subscribe(subscription).await?;
        Ok(Box::new(Inbox { inner, scope: Arc::clone(&self.scope) }))
    }

    fn links(&self) -> Links {
        self.inner.links()
    }

    async fn pause(&self, link: LinkId, resume: Option<Duration>) -> Result<(), TransportError> {
        self.inner.pause(link, resume).await
    }

    async fn disconnect(&self, link: LinkId) -> Result<(), TransportError> {
        self.inner.disconnect(link).await
    }

    async fn will(&self, link: LinkId, frame: Frame) -> Result<(), TransportError> {
        self.inner.will(link, self.frame(frame)).await
    }

    async fn close(&self) -> Result<(), TransportError> {
        self.inner.close().await
    }
}

#[derive(Debug)]
struct Inbox {
    inner: Box<dyn Deliveries>,
    scope: Arc<str>,
}

#[async_trait]
impl Deliveries for Inbox {
    async fn recv(&mut self, into: &mut Vec<Delivery>, max: usize) -> Result<usize, TransportError> {
        let before = into.len();
        let count = self.inner.recv(into, max).await?;
        for delivery in &mut into[before..] {
            if let Some(name) = delivery.key.strip_prefix(&*self.scope) {
                delivery.key = name.into();
            }
        }
        Ok(count)
    }

    fn stop(&mut self) {
        self.inner.stop();
    }

    fn interruptions(&self) -> Option<Interruptions> {
        self.inner.interruptions()
    }
}

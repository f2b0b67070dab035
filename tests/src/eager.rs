//! A bus that knows no back pressure.

use std::time::Duration;

use async_trait::async_trait;
use rmi_core::{
    Memory,
    transport::{
        Attempt, Capabilities, Deliveries, Frame, LinkId, Links, Purpose, Receipt, Subscription, Transport, TransportError,
    },
};

/// A seat on a bus that brings requests at once, however many have not been settled: as a link does.
#[derive(Clone, Debug)]
pub struct Eager(pub Memory);

#[async_trait]
impl Transport for Eager {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        self.0.publish(frame).await
    }

    fn try_publish(&self, frame: Frame) -> Attempt {
        self.0.try_publish(frame)
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Deliveries>, TransportError> {
        let eager = subscription.purpose == Purpose::Requests;
        self.0.subscribe(if eager { subscription.prefetch(0) } else { subscription }).await
    }

    fn links(&self) -> Links {
        self.0.links()
    }

    async fn pause(&self, link: LinkId, resume: Option<Duration>) -> Result<(), TransportError> {
        self.0.pause(link, resume).await
    }

    async fn close(&self) -> Result<(), TransportError> {
        self.0.close().await
    }
}

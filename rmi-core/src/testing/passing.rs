use std::time::Duration;

use async_trait::async_trait;

use crate::{
    Memory,
    transport::{Capabilities, Deliveries, Frame, LinkId, Links, Receipt, Subscription, Transport, TransportError},
};

/// A seat whose addresses go with their subscribers, so that whoever leaves is not there any more. On a real bus an agent's requests
/// wait for its next start; in a test there is none.
#[derive(Debug)]
pub(super) struct Passing(pub(super) Memory);

#[async_trait]
impl Transport for Passing {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        self.0.publish(frame).await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Deliveries>, TransportError> {
        self.0.subscribe(subscription.durable(false)).await
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

use std::sync::Arc;

use rmi_amqp::Amqp;
use rmi_benches::{
    Error,
    broker::unique,
    flow::{ON_THE_WAY, Publisher, Way},
};
use rmi_core::transport::{Destination, Frame, Purpose, Sharing, Source, Subscription, Transport};

/// Frames to a topic by the transport alone, with one who gets them: nothing is written, read, admitted or run.
#[derive(Clone, Debug)]
pub(crate) struct Frames {
    amqp: Arc<Amqp>,
    to: Destination,
    confirmed: bool,
    besides: usize,
    way: Way,
}

impl Frames {
    /// `besides` is what a body has besides its text, in bytes.
    pub(crate) async fn start(publishes: Amqp, listens: Amqp, confirmed: bool, besides: usize) -> Result<Self, Error> {
        let key = unique("frames");
        let topic = Source::topic("amq.topic", key.as_str());
        let heard = Subscription::new(topic, Purpose::Events).sharing(Sharing::Broadcast).acknowledged(false);
        let mut inbox = listens.subscribe(heard).await?;
        let way = Way::new(1);
        let receiving = way.clone();
        tokio::spawn(async move {
            let (_listens, mut taken) = (listens, Vec::new());
            while inbox.recv(&mut taken, ON_THE_WAY).await.is_ok_and(|came| came > 0) {
                receiving.received(taken.len());
                taken.clear();
            }
        });
        let to = Destination::Topic { exchange: "amq.topic".into(), key: key.into() };
        Ok(Frames { amqp: Arc::new(publishes), to, confirmed, besides, way })
    }

    pub(crate) fn way(&self) -> &Way {
        &self.way
    }

    pub(crate) async fn stop(self) -> Result<(), Error> {
        Ok(self.amqp.close().await?)
    }
}

impl Publisher for Frames {
    async fn publish(&self, text: String) -> Result<(), Error> {
        let mut body = text.into_bytes();
        body.resize(body.len() + self.besides, b'.');
        let mut frame = Frame::new(self.to.clone(), body);
        frame.mandatory = self.confirmed;
        self.amqp.publish(frame).await?;
        Ok(())
    }
}

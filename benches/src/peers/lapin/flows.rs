use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use lapin::{
    Channel, Consumer,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions},
    types::{FieldTable, ShortString},
};

use super::{Guarantees, Held, PREFETCH, body, channel, open, parts, properties, publish};
use crate::{
    Error,
    broker::unique,
    flow::{Publisher, Way},
};

/// Messages that nobody answers: to the one who has a queue, or to everybody who wants them.
#[derive(Clone, Debug)]
pub struct LapinFlow {
    channel: Channel,
    to: (ShortString, ShortString),
    guarantees: Guarantees,
    besides: usize,
    way: Way,
    _held: Arc<Held>,
}

impl LapinFlow {
    /// To everybody: each has a queue of its own, which is exclusive, and takes its messages without acknowledgement. `besides` is what
    /// a body has besides its text, in bytes.
    ///
    /// # Errors
    ///
    /// The broker cannot be reached, or does not do what it is asked.
    pub async fn to_all(url: &str, receivers: u32, confirmed: bool, besides: usize) -> Result<Self, Error> {
        let key = ShortString::from(unique("raw.event"));
        let topics = ShortString::from("amq.topic");
        let (publishing, channel) = channel(url, confirmed).await?;
        let receiving = lapin::Connection::connect(url, lapin::ConnectionProperties::default()).await?;
        let way = Way::new(receivers);
        for _ in 0..receivers {
            let channel = open(&receiving, false).await?;
            let queue = ShortString::from(unique("raw.events"));
            let declare = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(queue.clone(), declare, FieldTable::default()).await?;
            let options = QueueBindOptions::default();
            channel.queue_bind(queue.clone(), topics.clone(), key.clone(), options, FieldTable::default()).await?;
            let consume = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
            let inbox = channel.basic_consume(queue, "".into(), consume, FieldTable::default()).await?;
            tokio::spawn(receive(inbox, None, way.clone(), besides));
        }
        let _held = Arc::new(Held(vec![publishing, receiving]));
        Ok(LapinFlow { channel, to: (topics, key), guarantees: Guarantees::NONE, besides, way, _held })
    }

    /// To one who has a durable queue, and acknowledges. Mandatory and confirmed.
    ///
    /// # Errors
    ///
    /// The broker cannot be reached, or does not do what it is asked.
    pub async fn to_one(url: &str, guarantees: Guarantees, besides: usize) -> Result<Self, Error> {
        let queue = ShortString::from(unique("raw.one-way"));
        let (publishing, channel) = channel(url, true).await?;
        let receiving = lapin::Connection::connect(url, lapin::ConnectionProperties::default()).await?;
        let consuming = open(&receiving, false).await?;
        let declare = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        consuming.queue_declare(queue.clone(), declare, FieldTable::default()).await?;
        consuming.basic_qos(PREFETCH, BasicQosOptions { global: false }).await?;
        let options = BasicConsumeOptions::default();
        let inbox = consuming.basic_consume(queue.clone(), "".into(), options, FieldTable::default()).await?;
        let way = Way::new(1);
        tokio::spawn(receive(inbox, Some(consuming), way.clone(), besides));
        let _held = Arc::new(Held(vec![publishing, receiving]));
        Ok(LapinFlow { channel, to: (ShortString::default(), queue), guarantees, besides, way, _held })
    }

    /// What is on its way.
    #[must_use]
    pub fn way(&self) -> &Way {
        &self.way
    }
}

/// Takes what there is, and acknowledges it together.
async fn receive(mut inbox: Consumer, acks: Option<Channel>, way: Way, besides: usize) -> Result<(), Error> {
    while let Some(first) = inbox.next().await {
        let (mut last, mut count) = (first?, 1);
        let mut text = String::from_utf8(parts(&last.data, besides)?.1.to_vec())?;
        while let Some(Some(next)) = inbox.next().now_or_never() {
            last = next?;
            text = String::from_utf8(parts(&last.data, besides)?.1.to_vec())?;
            count += 1;
        }
        std::hint::black_box(&text);
        if let Some(channel) = &acks {
            channel.basic_ack(last.delivery_tag, BasicAckOptions { multiple: true }).await?;
        }
        way.received(count);
    }
    Ok(())
}

impl Publisher for LapinFlow {
    async fn publish(&self, text: String) -> Result<(), Error> {
        let Guarantees { persistent, acknowledged } = self.guarantees;
        let body = body(0, text.as_bytes(), self.besides);
        publish(&self.channel, self.to.clone(), &body, acknowledged, properties(persistent)).await
    }
}

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use lapin::{
    Channel, Connection, Consumer,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions},
    types::{FieldTable, ShortString},
};
use tokio::sync::oneshot;

use super::{Bodies, Guarantees, Held, PREFETCH, body, channel, open, parts, properties, publish};
use crate::{Error, broker::unique, load::Echo};

/// Calls: a queue of requests, and an exclusive one of replies, which are taken without acknowledgement. Each end has a connection of
/// its own, and one for what it publishes.
#[derive(Clone, Debug)]
pub struct LapinCalls {
    requests: Channel,
    queue: ShortString,
    replies: ShortString,
    waiting: Waiting,
    next: Arc<AtomicU64>,
    guarantees: Guarantees,
    bodies: Bodies,
    _held: Arc<Held>,
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<String>>>>;

impl LapinCalls {
    /// Starts an agent and a caller.
    ///
    /// # Errors
    ///
    /// The broker cannot be reached, or does not do what it is asked.
    pub async fn start(url: &str, guarantees: Guarantees, bodies: Bodies) -> Result<Self, Error> {
        let (agent, serving) = channel(url, guarantees.persistent).await?;
        let (caller, requests) = channel(url, guarantees.acknowledged).await?;
        let queue = ShortString::from(unique("raw"));
        tokio::spawn(serve(consumer(&serving, &queue, guarantees).await?, serving, guarantees, bodies));
        let (replies, inbox) = replies(&caller).await?;
        let waiting = Waiting::default();
        tokio::spawn(receive(inbox, Arc::clone(&waiting), bodies));
        let _held = Arc::new(Held(vec![agent, caller]));
        Ok(LapinCalls { requests, queue, replies, waiting, next: Arc::default(), guarantees, bodies, _held })
    }
}

async fn consumer(channel: &Channel, queue: &ShortString, guarantees: Guarantees) -> Result<Consumer, Error> {
    let declare = if guarantees.acknowledged {
        QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() }
    } else {
        QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() }
    };
    channel.queue_declare(queue.clone(), declare, FieldTable::default()).await?;
    if guarantees.acknowledged {
        channel.basic_qos(PREFETCH, BasicQosOptions { global: false }).await?;
    }
    let consume = BasicConsumeOptions { no_ack: !guarantees.acknowledged, ..BasicConsumeOptions::default() };
    Ok(channel.basic_consume(queue.clone(), "".into(), consume, FieldTable::default()).await?)
}

async fn replies(caller: &Connection) -> Result<(ShortString, Consumer), Error> {
    let channel = open(caller, false).await?;
    let queue = ShortString::from(unique("raw.replies"));
    let declare = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.clone(), declare, FieldTable::default()).await?;
    let consume = BasicConsumeOptions { no_ack: true, exclusive: true, ..BasicConsumeOptions::default() };
    let inbox = channel.basic_consume(queue.clone(), "".into(), consume, FieldTable::default()).await?;
    Ok((queue, inbox))
}

/// Answers each request, acknowledges it when its reply is published (and confirmed, where that is wanted), and several at once where
/// they are done with in their order.
async fn serve(mut inbox: Consumer, channel: Channel, guarantees: Guarantees, bodies: Bodies) -> Result<(), Error> {
    let mut replying = FuturesUnordered::new();
    let (mut done, mut up_to) = (BTreeSet::new(), 0);
    loop {
        let request = tokio::select! {
            biased;
            Some(replied) = replying.next(), if !replying.is_empty() => {
                done.insert(replied?);
                while let Some(Some(replied)) = replying.next().now_or_never() {
                    done.insert(replied?);
                }
                if guarantees.acknowledged {
                    let before = up_to;
                    while done.remove(&(up_to + 1)) {
                        up_to += 1;
                    }
                    if up_to > before {
                        channel.basic_ack(up_to, BasicAckOptions { multiple: true }).await?;
                    }
                }
                continue;
            }
            request = inbox.next() => request.ok_or("the consumer has ended")??,
        };
        let channel = &channel;
        replying.push(async move {
            let (id, text) = parts(&request.data, bodies.request)?;
            let back = request.properties.reply_to().clone().ok_or("a request without a reply address")?;
            let reply = body(id, text, bodies.reply);
            publish(channel, (ShortString::default(), back), &reply, false, properties(guarantees.persistent)).await?;
            Ok::<_, Error>(request.delivery_tag)
        });
    }
}

async fn receive(mut inbox: Consumer, waiting: Waiting, bodies: Bodies) -> Result<(), Error> {
    while let Some(reply) = inbox.next().await {
        let reply = reply?;
        let (id, text) = parts(&reply.data, bodies.reply)?;
        let text = String::from_utf8(text.to_vec())?;
        if let Some(back) = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id) {
            // Nobody waits any more: that is the caller's affair.
            let _ = back.send(text);
        }
    }
    Ok(())
}

impl Echo for LapinCalls {
    async fn echo(&self, text: String) -> Result<String, Error> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (back, reply) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, back);
        let request = body(id, text.as_bytes(), self.bodies.request);
        let properties = properties(self.guarantees.persistent).with_reply_to(self.replies.clone());
        let to = (ShortString::default(), self.queue.clone());
        publish(&self.requests, to, &request, self.guarantees.acknowledged, properties).await?;
        Ok(reply.await?)
    }
}

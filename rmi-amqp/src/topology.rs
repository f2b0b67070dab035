//! What a subscription needs at the broker, as plain values: it is declared again after every reconnect.

mod exchange;
mod queues;

use std::{fmt::Write as _, time::Duration};

use lapin::{
    Channel,
    options::{QueueBindOptions, QueueDeclareOptions},
    protocol::AMQPSoftError,
    types::{FieldTable, ShortString},
};
use rmi_core::{
    text::Text,
    transport::{Sharing, Source, Subscription, TransportError, WhenFull},
};
use sha2::{Digest, Sha256};

pub(crate) use self::exchange::{TOPICS, is_builtin};
pub use self::{exchange::Exchange, queues::Queues};
use self::{
    exchange::declared,
    queues::{millis, put, put_number},
};
use crate::{
    convert::{self, short},
    error::{disconnected, refused, said, soft, told},
    options::Options,
};

/// What one subscription needs at the broker.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) queue: ShortString,
    declare: QueueDeclareOptions,
    arguments: FieldTable,
    dead: Option<(ShortString, u32)>,
    exchange: Option<(Text, Option<Exchange>, Vec<ShortString>)>,
    /// The queue has a name of its own, which begins so.
    named: Option<String>,
    /// One consumer, and no second one.
    pub(crate) alone: bool,
    pub(crate) acknowledged: bool,
    pub(crate) prefetch: u16,
}

impl Plan {
    /// Reads what is wanted, and refuses what this bus cannot be asked for.
    pub(crate) fn of(subscription: &Subscription, options: &Options) -> Result<Self, TransportError> {
        let mut named = None;
        let (queue, exchange) = match &subscription.source {
            Source::Address(address) => {
                if subscription.sharing == Sharing::Broadcast {
                    return Err(refused("an address is one queue: what everybody is to get is published to a topic"));
                }
                let known = |exchange: &str| options.exchanges.get(exchange);
                match address.as_str().split_once('/') {
                    // As gofer does: the queue has the key's name, and is bound by it.
                    Some((exchange, _)) if known(exchange).is_some() => {
                        let queue = convert::queue(address.key())?;
                        let declare = known(exchange).filter(|_| !is_builtin(exchange)).cloned();
                        (queue.clone(), Some((Text::from(exchange), declare, vec![queue])))
                    }
                    _ => (convert::queue(address.as_str())?, None),
                }
            }
            Source::Topic { exchange, patterns } => {
                let (name, bound) = topics(subscription, exchange, patterns, options)?;
                let queue = convert::queue(&name)?;
                if subscription.sharing != Sharing::Competing {
                    named = Some(name);
                }
                (named.as_deref().map_or(Ok(queue), own_name)?, Some(bound))
            }
            Source::Links => return Err(refused("a broker has no links with peers: subscribe to an address or a topic")),
            _ => return Err(refused("RabbitMQ knows no such source")),
        };
        let own = subscription.sharing != Sharing::Competing;
        if subscription.sharing == Sharing::Broadcast && subscription.durable {
            return Err(refused(
                "what everybody gets goes to queues of their own, which cannot be durable: name a group, or compete",
            ));
        }
        let durable = subscription.durable;
        let (declare, mut arguments, mut dead) = if durable {
            let queues = &options.queues;
            // What expires by itself is this program's own, and nobody else has made it.
            let passive = queues.passive && subscription.expires.is_none();
            let auto_delete = queues.auto_delete && subscription.expires.is_none();
            let declare = QueueDeclareOptions { passive, durable: true, auto_delete, ..QueueDeclareOptions::default() };
            let dead = queues.dead_letters.as_ref().map(|(queue, room)| Ok((convert::queue(queue)?, *room))).transpose()?;
            (declare, queues.arguments(subscription.expires), dead)
        } else if own {
            let declare = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
            (declare, FieldTable::default(), None)
        } else {
            // Durable in name only: later RabbitMQ knows no other queues that connections share. It goes with its last subscriber; the
            // time is for one that a restart has left over.
            let declare = QueueDeclareOptions { durable: true, auto_delete: true, ..QueueDeclareOptions::default() };
            let mut arguments = FieldTable::default();
            put_number(&mut arguments, "x-expires", millis(subscription.expires.unwrap_or(LEFT_OVER)));
            (declare, arguments, None)
        };
        if declare.passive {
            (arguments, dead) = (FieldTable::default(), None);
        } else if subscription.when_full == WhenFull::DropOldest {
            put_number(&mut arguments, "x-max-length", options.events.into());
            put(&mut arguments, "x-overflow", "drop-head");
        }
        Ok(Plan {
            queue,
            declare,
            arguments,
            dead,
            exchange,
            named,
            alone: own,
            acknowledged: subscription.acknowledged,
            // As much as there can be is still a bound.
            prefetch: u16::try_from(subscription.prefetch).ok().filter(|prefetch| *prefetch > 0).unwrap_or(u16::MAX),
        })
    }

    /// Gives a queue that is for one connection another name: the broker may still take the one before for alive, with its queue.
    pub(crate) fn renew(&mut self) {
        if let Some(Ok(queue)) = self.named.as_deref().map(own_name) {
            self.queue = queue;
        }
    }

    /// Declares all of it.
    pub(crate) async fn declare(&self, channel: &Channel) -> Result<(), TransportError> {
        if let Some((queue, room)) = &self.dead {
            let declare = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            let mut arguments = FieldTable::default();
            put_number(&mut arguments, "x-max-length", (*room).into());
            let declared = channel.queue_declare(queue.clone(), declare, arguments).await;
            declared.map_err(|error| told(&format!("the queue `{queue}` of dead letters cannot be declared"), error))?;
        }
        let declared = channel.queue_declare(self.queue.clone(), self.declare, self.arguments.clone()).await;
        declared.map_err(|error| told(&format!("the queue `{}` cannot be declared", self.queue), error))?;
        let Some((exchange, declare, patterns)) = &self.exchange else { return Ok(()) };
        if let Some(declare) = declare {
            let declared = declare.declare(channel, exchange).await;
            declared.map_err(|error| told(&format!("the exchange `{exchange}` cannot be declared"), error))?;
        }
        for pattern in patterns {
            let options = QueueBindOptions::default();
            let bound = channel.queue_bind(self.queue.clone(), short(exchange)?, pattern.clone(), options, FieldTable::default());
            bound.await.map_err(|error| {
                let what = format!("`{pattern}` of the exchange `{exchange}` cannot be bound");
                match soft(&error) {
                    // One that goes with its last queue may have gone since it was declared: it is declared again.
                    Some((AMQPSoftError::NOTFOUND, _)) if declare.is_some() => disconnected(format!("{what}: {}", said(&error))),
                    _ => told(&what, error),
                }
            })?;
        }
        Ok(())
    }
}

/// How long a queue stays that should have gone with its subscribers.
const LEFT_OVER: Duration = Duration::from_secs(60 * 60);

type Bound = (Text, Option<Exchange>, Vec<ShortString>);

/// A queue that nobody else has.
fn own_name(begins: &str) -> Result<ShortString, TransportError> {
    convert::queue(&format!("{begins}{}", uuid::Uuid::new_v4().simple()))
}

/// The queue for topics: how the name of one's own begins, or one that all share who want the same.
fn topics(
    subscription: &Subscription,
    exchange: &Text,
    patterns: &[Text],
    options: &Options,
) -> Result<(String, Bound), TransportError> {
    if patterns.is_empty() {
        return Err(refused("a subscription to topics names at least one pattern"));
    }
    let exchange = if exchange.is_empty() { Text::from_static(TOPICS) } else { exchange.clone() };
    let keys: Result<Vec<_>, _> = patterns.iter().map(|pattern| short(pattern)).collect();
    let name = if subscription.sharing == Sharing::Competing {
        // Members of a group find each other by what they want.
        let mut hash = Sha256::new();
        let group = subscription.group.as_deref().unwrap_or("");
        // With their names: a `:` in one of them is not what parts them.
        for text in [&*exchange, group].into_iter().chain(patterns.iter().map(|pattern| &**pattern)) {
            hash.update(text.as_bytes());
            hash.update([0]);
        }
        let mut digest = String::new();
        for byte in &hash.finalize()[..8] {
            let _ = write!(digest, "{byte:02x}");
        }
        format!("rmi.pool:{exchange}:{group}:{digest}")
    } else {
        format!("rmi.events:{exchange}:")
    };
    let declare = declared(&exchange, &options.exchanges);
    Ok((name, (exchange, declare, keys?)))
}

//! What queues are like.

use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable};
use rmi_core::text::Text;

/// What queues are like that outlive their subscribers: those of agents, and of replies that are waited for under a name.
///
/// Unless told otherwise they are durable classic queues without arguments, which is what gofer's agents declare: a queue can be
/// taken over from one, and back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    quorum: bool,
    pub(super) passive: bool,
    pub(super) auto_delete: bool,
    expires: Option<Duration>,
    delivery_limit: Option<u32>,
    max_length: Option<u32>,
    pub(super) dead_letters: Option<(Text, u32)>,
}

impl Queues {
    /// Replicated over the nodes of a cluster.
    #[must_use]
    pub fn quorum(mut self) -> Self {
        self.quorum = true;
        self
    }

    /// Somebody else's: they are taken as they are, and have to be there.
    #[must_use]
    pub fn passive(mut self) -> Self {
        self.passive = true;
        self
    }

    /// Says how long they live without a subscriber, where a subscription does not say so itself: from one millisecond to 49 days. For
    /// ever unless told otherwise.
    #[must_use]
    pub fn expires(mut self, after: Duration) -> Self {
        self.expires = Some(after);
        self
    }

    /// They go with their last subscriber, and what waits in them goes as well: gofer has it so together with an
    /// [expiry](Queues::expires), for agents whose `[model] expiration` is set.
    #[must_use]
    pub fn auto_delete(mut self) -> Self {
        self.auto_delete = true;
        self
    }

    /// Says how often a message is delivered again before it is dead. Of quorum queues only: others do not count. Unless told
    /// otherwise the broker's own bound holds: none before RabbitMQ 4, 20 times since.
    #[must_use]
    pub fn delivery_limit(mut self, times: u32) -> Self {
        self.delivery_limit = Some(times);
        self
    }

    /// Says how many messages they hold: a publish to a full one fails with
    /// [`Full`](rmi_core::transport::TransportErrorKind::Full). Say it where one publishes as well: elsewhere what is refused is
    /// [`Ambiguous`](rmi_core::transport::TransportErrorKind::Ambiguous), because a queue that fails refuses in the same words.
    #[must_use]
    pub fn max_length(mut self, messages: u32) -> Self {
        self.max_length = Some(messages.max(1));
        self
    }

    /// Keeps what can never be handled (what cannot be read or verified), and what expires, in this queue: so many messages, the oldest
    /// of which make room.
    #[must_use]
    pub fn dead_letters(mut self, queue: impl Into<Text>, messages: u32) -> Self {
        self.dead_letters = Some((queue.into(), messages.max(1)));
        self
    }

    /// Whether what is not taken is a sign of that.
    pub(crate) fn may_be_full(&self) -> bool {
        self.max_length.is_some()
    }

    pub(super) fn arguments(&self, expires: Option<Duration>) -> FieldTable {
        let mut arguments = FieldTable::default();
        if self.quorum {
            put(&mut arguments, "x-queue-type", "quorum");
        }
        if let Some(expires) = expires.or(self.expires) {
            put_number(&mut arguments, "x-expires", millis(expires));
        }
        if let Some(times) = self.delivery_limit.filter(|_| self.quorum) {
            put_number(&mut arguments, "x-delivery-limit", times.into());
        }
        if let Some(messages) = self.max_length {
            put_number(&mut arguments, "x-max-length", messages.into());
            put(&mut arguments, "x-overflow", "reject-publish");
        }
        if let Some((queue, _)) = &self.dead_letters {
            put(&mut arguments, "x-dead-letter-exchange", "");
            put(&mut arguments, "x-dead-letter-routing-key", queue);
        }
        arguments
    }
}

pub(super) fn put(arguments: &mut FieldTable, key: &str, value: &str) {
    arguments.insert(key.into(), AMQPValue::LongString(value.into()));
}

pub(super) fn put_number(arguments: &mut FieldTable, key: &str, value: i64) {
    arguments.insert(key.into(), AMQPValue::LongLongInt(value));
}

pub(super) fn millis(time: Duration) -> i64 {
    // RabbitMQ takes no more than 2^32 - 1, and no zero where a queue expires.
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).clamp(1, i64::from(u32::MAX))
}

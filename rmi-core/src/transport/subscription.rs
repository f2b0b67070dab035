use std::time::Duration;

use crate::{address::Address, text::Text};

/// What is to be received, as a plain value: a transport declares it again after every reconnect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subscription {
    /// What to receive.
    pub source: Source,
    /// What it is received for; copied into each delivery.
    pub purpose: Purpose,
    /// Who else may receive it.
    pub sharing: Sharing,
    /// Deliveries are settled one by one; what is not is delivered again. Otherwise a delivery is settled when it is made.
    pub acknowledged: bool,
    /// The address outlives its subscribers.
    pub durable: bool,
    /// How long the address lives without a subscriber.
    pub expires: Option<Duration>,
    /// How many deliveries may be unsettled at a time.
    pub prefetch: u32,
    /// Tells several groups of competing subscribers of the same topics apart: each group gets everything, and each delivery goes to
    /// one of its members, who all subscribe to the same topics.
    pub group: Option<Text>,
    /// What the bus does when it holds as much for this subscription as it may.
    pub when_full: WhenFull,
}

impl Subscription {
    /// Receives what is sent to a source: shared, acknowledged, not durable, with room for 64 unsettled deliveries.
    #[must_use]
    pub fn new(source: Source, purpose: Purpose) -> Self {
        Subscription {
            source,
            purpose,
            sharing: Sharing::Competing,
            acknowledged: true,
            durable: false,
            expires: None,
            prefetch: 64,
            group: None,
            when_full: WhenFull::Wait,
        }
    }

    /// Says who else may receive it.
    #[must_use]
    pub fn sharing(mut self, sharing: Sharing) -> Self {
        self.sharing = sharing;
        self
    }

    /// Says whether deliveries are settled one by one.
    #[must_use]
    pub fn acknowledged(mut self, acknowledged: bool) -> Self {
        self.acknowledged = acknowledged;
        self
    }

    /// Says whether the address outlives its subscribers.
    #[must_use]
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Says how long the address lives without a subscriber.
    #[must_use]
    pub fn expires(mut self, after: Duration) -> Self {
        self.expires = Some(after);
        self
    }

    /// Says how many deliveries may be unsettled at a time.
    #[must_use]
    pub fn prefetch(mut self, deliveries: u32) -> Self {
        self.prefetch = deliveries;
        self
    }

    /// Names the group of competing subscribers that this one belongs to.
    #[must_use]
    pub fn group(mut self, name: impl Into<Text>) -> Self {
        self.group = Some(name.into());
        self
    }

    /// Says what the bus does when it holds as much for this subscription as it may.
    #[must_use]
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }
}

/// What a subscription receives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// A mailbox.
    Address(Address),
    /// Topics: an AMQP exchange and its binding keys, or MQTT topic filters with no exchange. In a key, `*` stands for one word and
    /// `#` for any number of them. Whatever the patterns are, a frame is received once, and the order of publishing is kept.
    Topic {
        /// The exchange; empty where there are none.
        exchange: Text,
        /// The patterns of keys, at least one.
        patterns: Vec<Text>,
    },
    /// Everything that comes by any link.
    Links,
}

impl Source {
    /// The topics of an exchange whose keys match a pattern.
    pub fn topic(exchange: impl Into<Text>, pattern: impl Into<Text>) -> Self {
        Source::Topic { exchange: exchange.into(), patterns: vec![pattern.into()] }
    }
}

/// What a subscription is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Requests to an agent.
    Requests,
    /// Replies to a caller's requests.
    Replies,
    /// Events.
    Events,
    /// Everything: the source does not tell them apart.
    Everything,
}

/// Who else may receive from a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// Several subscribers share it; each delivery goes to one.
    Competing,
    /// One subscriber alone; a second one is refused.
    Exclusive,
    /// Each subscriber gets every delivery.
    Broadcast,
}

/// What the bus does with a frame for a subscription that holds as much as it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WhenFull {
    /// The publisher waits for room, as long as the bus lets it.
    #[default]
    Wait,
    /// What has waited longest makes room (RabbitMQ's `drop-head`): a subscriber that is too slow holds up nobody else.
    DropOldest,
}

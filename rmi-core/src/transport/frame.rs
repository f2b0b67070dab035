use std::{ops::Deref, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{address::Address, text::Text, transport::LinkId};

/// What a transport carries: a payload, and what the bus has to know about it.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Where it goes.
    pub to: Destination,
    /// The payload: from here on only carried.
    pub payload: Bytes,
    /// What travels beside the payload, where the bus has a place for it: shared, because most frames of a protocol have the
    /// same.
    pub properties: SharedProperties,
    /// How long it may wait on the bus.
    pub ttl: Option<Duration>,
    /// The sender wants to know when nobody is there.
    pub mandatory: bool,
    /// The bus is to keep it over a restart, if it can.
    pub persistent: bool,
    /// It may be sent again when its fate is unknown: the receiver drops duplicates.
    pub repeatable: bool,
    /// The link it must take; `None` for any.
    pub link: Option<LinkId>,
}

impl Frame {
    /// A frame with a payload and nothing special about it.
    #[must_use]
    pub fn new(to: Destination, payload: impl Into<Bytes>) -> Self {
        Frame {
            to,
            payload: payload.into(),
            properties: Properties::none(),
            ttl: None,
            mandatory: false,
            persistent: false,
            repeatable: false,
            link: None,
        }
    }
}

/// Where a frame goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Destination {
    /// A mailbox; the transport knows how it is called on its bus.
    Address(Address),
    /// A mailbox by its exact name on the bus, whatever characters that has: no part of it is an exchange.
    Queue(Text),
    /// A topic by its exact coordinates: an AMQP exchange and routing key, or an MQTT topic with no exchange.
    Topic {
        /// The exchange; empty where there are none.
        exchange: Text,
        /// The routing key or topic.
        key: Text,
    },
    /// Whoever is at the other end of [`Frame::link`].
    Link,
}

impl Properties {
    /// No properties at all.
    pub const NONE: Properties = Properties {
        content_type: None,
        content_encoding: None,
        kind: None,
        reply_to: None,
        correlation_id: None,
        headers: false,
        retain: false,
    };

    /// No properties at all, for a frame.
    #[must_use]
    pub fn none() -> SharedProperties {
        static NONE: Properties = Properties::NONE;
        SharedProperties::from(&NONE)
    }
}

/// The properties of a frame: those that all frames of a protocol have are lent, so that no two threads count them; others are
/// counted.
#[derive(Clone, Debug)]
pub struct SharedProperties(Holding);

#[derive(Clone, Debug)]
enum Holding {
    Lent(&'static Properties),
    Counted(Arc<Properties>),
}

impl SharedProperties {
    /// Changes the properties of this frame, and of no other.
    pub fn change(&mut self, change: impl FnOnce(&mut Properties)) {
        match &mut self.0 {
            Holding::Counted(properties) => change(Arc::make_mut(properties)),
            Holding::Lent(properties) => {
                let mut changed = properties.clone();
                change(&mut changed);
                self.0 = Holding::Counted(Arc::new(changed));
            }
        }
    }
}

impl Deref for SharedProperties {
    type Target = Properties;

    fn deref(&self) -> &Properties {
        match &self.0 {
            Holding::Lent(properties) => properties,
            Holding::Counted(properties) => properties,
        }
    }
}

impl From<&'static Properties> for SharedProperties {
    fn from(properties: &'static Properties) -> Self {
        SharedProperties(Holding::Lent(properties))
    }
}

impl From<Properties> for SharedProperties {
    fn from(properties: Properties) -> Self {
        SharedProperties(Holding::Counted(Arc::new(properties)))
    }
}

impl PartialEq for SharedProperties {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for SharedProperties {}

/// What travels beside a payload, under the names that AMQP 0-9-1 and MQTT 5 have for it. A transport carries what it can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Properties {
    /// The media type of the payload.
    pub content_type: Option<Text>,
    /// The encoding of the payload's text.
    pub content_encoding: Option<Text>,
    /// The message type.
    pub kind: Option<Text>,
    /// Where the sender wants its reply.
    pub reply_to: Option<Text>,
    /// What the reply is to be correlated by.
    pub correlation_id: Option<Text>,
    /// A table of headers goes with the message, with nothing in it (AMQP): peers of old have one. Not every transport tells whether
    /// one has come.
    pub headers: bool,
    /// The message is kept by the bus until the next one on its topic (MQTT).
    pub retain: bool,
}

//! Frames as the broker's client library wants them, and its deliveries as ours.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use lapin::{
    BasicProperties,
    types::{FieldTable, ShortString},
};
use rmi_core::{
    text::Text,
    transport::{Acker, Delivery, Destination, Frame, Properties, Purpose, Settle, SharedProperties, TransportError},
};

use crate::{error::refused, link::LINK, options::Options, settle::Settler, topology::TOPICS};

/// The longest name of a queue or an exchange, routing key or property, in bytes (AMQP 0-9-1, section 4.2.5.3).
const SHORT: usize = 255;

/// A short string of AMQP.
pub(crate) fn short(text: &str) -> Result<ShortString, TransportError> {
    ShortString::try_new(text).map_err(|_| too_long(text))
}

fn too_long(text: &str) -> TransportError {
    let begin: String = text.chars().take(40).collect();
    refused(format!("`{begin}…` has {} bytes: AMQP carries names and properties of at most {SHORT}", text.len()))
}

/// A text that is no longer than a short string.
fn fitting(text: &str) -> Result<&str, TransportError> {
    if text.len() > SHORT { Err(too_long(text)) } else { Ok(text) }
}

/// The name of a queue, from the address that it is.
pub(crate) fn queue(address: &str) -> Result<ShortString, TransportError> {
    if address.is_empty() {
        return Err(refused("an address without a name: the broker would make one up"));
    }
    if address.contains('/') {
        return Err(refused(format!(
            "the address `{address}` has a `/`, which parts an exchange from a key, and the options say nothing of that exchange: a queue has none"
        )));
    }
    if address.starts_with("amq.") {
        return Err(refused(format!("the address `{address}` begins with `amq.`, which the broker keeps for itself")));
    }
    short(address)
}

/// Where a frame goes: an exchange and a routing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route<'a> {
    pub(crate) exchange: &'a str,
    pub(crate) key: &'a str,
}

impl<'a> Route<'a> {
    pub(crate) fn of(to: &'a Destination, options: &Options) -> Result<Self, TransportError> {
        match to {
            Destination::Address(address) => match address.as_str().split_once('/') {
                None if address.as_str().is_empty() => Err(refused("an address without a name")),
                None => Ok(Route { exchange: "", key: fitting(address.as_str())? }),
                // What is between the exchange and the key leads nowhere, as with gofer.
                Some((exchange, _)) if options.exchanges.contains_key(exchange) => {
                    Ok(Route { exchange: fitting(exchange)?, key: fitting(address.key())? })
                }
                Some((exchange, _)) => Err(refused(format!(
                    "the address `{address}` leads to the exchange `{exchange}`, of which the options say nothing: nobody is led there by an address"
                ))),
            },
            Destination::Queue(name) if name.is_empty() => Err(refused("a queue without a name")),
            Destination::Queue(name) => Ok(Route { exchange: "", key: fitting(name)? }),
            Destination::Topic { exchange, key } if exchange.is_empty() => Ok(Route { exchange: TOPICS, key: fitting(key)? }),
            Destination::Topic { exchange, key } => Ok(Route { exchange: fitting(exchange)?, key: fitting(key)? }),
            Destination::Link => Err(refused("a broker has no links with peers: publish to an address or a topic")),
            _ => Err(refused("RabbitMQ knows no such destination")),
        }
    }

    /// The exchange and the key.
    pub(crate) fn strings(self) -> Result<(ShortString, ShortString), TransportError> {
        Ok((short(self.exchange)?, short(self.key)?))
    }
}

/// Refuses what would not fit into [`properties`].
pub(crate) fn check_properties(frame: &Frame) -> Result<(), TransportError> {
    let given = &*frame.properties;
    let texts = [&given.content_type, &given.content_encoding, &given.kind, &given.reply_to, &given.correlation_id];
    texts.into_iter().flatten().try_for_each(|text| fitting(text).map(drop))
}

/// What travels beside a payload, as AMQP has it, with the time that is left of what it may wait.
pub(crate) fn properties(frame: &Frame, ttl: Option<Duration>, options: &Options) -> Result<BasicProperties, TransportError> {
    let given = &*frame.properties;
    let mut properties = BasicProperties::default();
    if let Some(text) = &given.content_type {
        properties = properties.with_content_type(short(text)?);
    }
    if let Some(text) = &given.content_encoding {
        properties = properties.with_content_encoding(short(text)?);
    }
    if let Some(text) = &given.kind {
        properties = properties.with_type(short(text)?);
    }
    if let Some(text) = &given.reply_to {
        properties = properties.with_reply_to(short(text)?);
    }
    if let Some(text) = &given.correlation_id {
        properties = properties.with_correlation_id(short(text)?);
    }
    if given.headers {
        properties = properties.with_headers(FieldTable::default());
    }
    if let Some(ttl) = ttl {
        properties = properties.with_expiration(expiration(ttl));
    }
    if frame.persistent && options.persistent {
        properties = properties.with_delivery_mode(2);
    }
    Ok(properties)
}

/// Milliseconds as text, and never none; RabbitMQ takes no more than 2^32 - 1.
fn expiration(ttl: Duration) -> ShortString {
    ShortString::from(ttl.as_millis().max(1).min(u128::from(u32::MAX)).to_string())
}

/// What came beside a payload. What most messages have costs nothing.
pub(crate) fn received(properties: &BasicProperties) -> SharedProperties {
    static UTF8: LazyLock<Properties> = LazyLock::new(|| {
        let mut properties = Properties::NONE;
        properties.content_encoding = Some(Text::from_static("utf-8"));
        properties
    });
    let text = |short: &Option<ShortString>| short.as_ref().map(|short| Text::from(short.as_str()));
    let plain = properties.content_type().is_none()
        && properties.kind().is_none()
        && properties.reply_to().is_none()
        && properties.correlation_id().is_none();
    match properties.content_encoding() {
        None if plain => Properties::none(),
        Some(encoding) if plain && encoding.as_str() == "utf-8" => SharedProperties::from(&*UTF8),
        encoding => {
            let mut received = Properties::NONE;
            received.content_type = text(properties.content_type());
            received.content_encoding = text(encoding);
            received.kind = text(properties.kind());
            received.reply_to = text(properties.reply_to());
            received.correlation_id = text(properties.correlation_id());
            SharedProperties::from(received)
        }
    }
}

/// What the broker delivered. A payload is not copied.
pub(crate) fn delivery(
    given: lapin::message::Delivery,
    address: Option<&Text>,
    purpose: Purpose,
    settler: Option<&Arc<Settler>>,
) -> Delivery {
    let acker = match settler {
        Some(settler) => Acker::new(Arc::clone(settler) as Arc<dyn Settle>, given.delivery_tag),
        None => Acker::settled(),
    };
    let key = address.map_or_else(|| Text::from(given.routing_key.as_str()), Text::clone);
    let mut delivery = Delivery::new(given.data, key, purpose, acker);
    if address.is_none() {
        delivery.exchange = Text::from(given.exchange.as_str());
    }
    delivery.properties = received(&given.properties);
    delivery.link = LINK;
    delivery.redelivered = given.redelivered;
    // The broker lets nobody put another's name there.
    delivery.peer = given.properties.user_id().as_ref().map(|user| Text::from(user.as_str()));
    delivery
}

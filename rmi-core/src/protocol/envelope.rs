//! The native envelope: one JSON object per message, as gofer has spoken it since 2015, and one key beside it for what
//! gofer has no words for.
//!
//! Every key, kind and tolerance is written down in `docs/wire.md`.

mod decode;
mod encode;
mod fields;
mod names;
mod values;

use std::time::Duration;

use crate::{
    address::Address,
    message::{Body, Message},
    protocol::{Features, Protocol, ProtocolError, Refused, Replies, Role, Serials},
    text::Text,
    transport::{Delivery, Destination, Frame, Properties, Purpose, SharedProperties, Sharing, Source, Subscription, WhenFull},
};

/// The version that is written, and by default the only one that is read.
const VERSION: &str = "2.0";

/// What the code of an abort begins with.
const ABORTED: &str = "aborted.";

/// The native envelope, which gofer 2.3 and later speak.
///
/// ```
/// use rmi_core::protocol::Native;
///
/// let native = Native::new();
/// let patient = Native::new().reads_version("0.2");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Native {
    further: Vec<Text>,
    kwargs: bool,
    exchange: Text,
    reply_exchange: Text,
    replies_last: Option<Duration>,
}

impl Native {
    /// The envelope as it is written and read by default: version "2.0".
    #[must_use]
    pub fn new() -> Self {
        Native::default()
    }

    /// The envelope towards agents of gofer's: named arguments are [written twice](Native::repeat_keywords), and replies are
    /// [kept](Native::keep_replies) for ten minutes, because such an agent cannot be asked for them again.
    #[must_use]
    pub fn gofer() -> Self {
        Native::new().repeat_keywords().keep_replies(Duration::from_secs(600))
    }

    /// Also reads messages of another version, which have the same form. What is written stays version "2.0".
    #[must_use]
    pub fn reads_version(mut self, version: impl Into<Text>) -> Self {
        self.further.push(version.into());
        self
    }

    /// Writes the named arguments of requests twice, as `kws` and as `kwargs`: agents of gofer 2.12 to 3.0 read the second
    /// only, and drop the first without a word.
    #[must_use]
    pub fn repeat_keywords(mut self) -> Self {
        self.kwargs = true;
        self
    }

    /// Has replies to the endpoint's calls come by a durable queue that outlives a loss of the link by so long, and is acknowledged:
    /// a reply that is sent meanwhile comes later. It costs the bus more than a queue that goes with its link, for which agents of ours
    /// are asked again instead.
    #[must_use]
    pub fn keep_replies(mut self, after: Duration) -> Self {
        self.replies_last = Some(after);
        self
    }

    /// Has replies to the endpoint's calls come through this exchange: their address is `<exchange>/<queue>`. On AMQP the options of the
    /// transport say what the exchange is like.
    #[must_use]
    pub fn reply_exchange(mut self, exchange: impl Into<Text>) -> Self {
        self.reply_exchange = exchange.into();
        self
    }

    /// The exchange that events are published to and received from. Unless it is set it has no name, and the transport takes the
    /// one that it has for topics: `amq.topic` on AMQP, where every broker has it.
    #[must_use]
    pub fn events_exchange(mut self, exchange: impl Into<Text>) -> Self {
        self.exchange = exchange.into();
        self
    }

    /// Whether a value of the key `version` is one that is read. The number 2.0 is none, as in gofer.
    fn reads(&self, version: crate::scan::Value<'_>) -> bool {
        let quoted = version.get();
        let plain = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        plain == Some(VERSION)
            || serde_json::from_str::<String>(quoted).is_ok_and(|v| v == VERSION || self.further.iter().any(|f| *f == *v))
    }
}

impl Protocol for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn features(&self) -> Features {
        Features {
            serials: Serials::Global,
            replies: Replies::Shared,
            replies_last: self.replies_last.is_some(),
            statuses: true,
            rejections: true,
            admin: true,
            events: true,
            sealable: true,
            ids: false,
            lossy: false,
            timeout: None,
        }
    }

    fn listen(&self, role: &Role<'_>) -> Vec<Subscription> {
        let at = |address: &Address, purpose| Subscription::new(Source::Address(address.clone()), purpose);
        match role {
            // Durable, as gofer declares it: an agent finds what was sent while it was away.
            Role::Agent { address, prefetch, .. } => vec![
                at(address, Purpose::Requests).sharing(Sharing::Competing).acknowledged(true).durable(true).prefetch(*prefetch),
            ],
            Role::Admin { address, prefetch } => {
                vec![
                    at(address, Purpose::Requests)
                        .sharing(Sharing::Competing)
                        .acknowledged(true)
                        .durable(false)
                        .prefetch(*prefetch),
                ]
            }
            Role::Caller { address } => {
                let replies = at(address, Purpose::Replies).sharing(Sharing::Exclusive);
                vec![match self.replies_last {
                    Some(after) => replies.acknowledged(true).durable(true).expires(after),
                    None => replies.acknowledged(false).durable(false),
                }]
            }
            Role::Call { .. } => Vec::new(),
            Role::Events { patterns, pool, acknowledged, prefetch } => {
                let source = Source::Topic { exchange: self.exchange.clone(), patterns: patterns.to_vec() };
                // A subscriber that is too slow is its own affair: neither publishers nor other subscribers wait for it.
                let events = Subscription::new(source, Purpose::Events)
                    .acknowledged(*acknowledged)
                    .prefetch(*prefetch)
                    .when_full(WhenFull::DropOldest);
                vec![match pool {
                    Some(pool) => events.sharing(Sharing::Competing).group((*pool).clone()),
                    None => events.sharing(Sharing::Broadcast),
                }]
            }
            Role::Replies { address } => {
                vec![at(address, Purpose::Replies).sharing(Sharing::Competing).acknowledged(true).durable(true)]
            }
        }
    }

    fn reply_address(&self, own: &Address, id: &str) -> Address {
        let queue = format!("{}.replies.{id}", own.key());
        Address::from(if self.reply_exchange.is_empty() { queue } else { format!("{}/{queue}", self.reply_exchange) })
    }

    fn encode(&self, message: &Message) -> Result<Option<Frame>, ProtocolError> {
        let payload = encode::encode(message, self.kwargs)?;
        let Message { head, body } = message;
        let to = match body {
            Body::Event(event) => Destination::Topic { exchange: self.exchange.clone(), key: event.key.clone() },
            Body::Request(_) | Body::Status(_) | Body::Outcome(_) => Destination::Address(head.to.clone()),
        };
        let (is_request, is_event) = (matches!(body, Body::Request(_)), matches!(body, Body::Event(_)));
        static PROPERTIES: Properties = Properties { content_encoding: Some(Text::from_static("utf-8")), ..Properties::NONE };
        Ok(Some(Frame {
            properties: SharedProperties::from(&PROPERTIES),
            // A reply is never too late: whoever waits decides.
            ttl: if is_request || is_event { head.ttl } else { None },
            mandatory: is_request,
            persistent: !is_event,
            // Requests and outcomes are told apart by their serial number; a second `progress` would be taken for another step.
            repeatable: head.sn.is_some() && !is_event && !matches!(body, Body::Status(_)),
            ..Frame::new(to, payload)
        }))
    }

    fn decode(&self, delivery: &Delivery) -> Result<Message, Refused> {
        decode::decode(self, delivery)
    }
}

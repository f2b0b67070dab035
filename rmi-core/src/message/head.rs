use std::{fmt, time::Duration};

use crate::{address::Address, json::Json, text::Text, time::Timestamp};

/// A request's serial number: opaque text of at most [`Sn::MAX_LEN`] bytes. We write UUIDs; peers write what they like.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sn(Text);

impl Sn {
    /// The longest serial number that is taken from the wire, in bytes.
    pub const MAX_LEN: usize = 256;

    /// A serial number as a peer wrote it; `None` when it is longer than [`Sn::MAX_LEN`].
    #[must_use]
    pub fn new(text: impl Into<Text>) -> Option<Self> {
        let text = text.into();
        (text.len() <= Self::MAX_LEN).then_some(Sn(text))
    }

    /// The serial number's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The same serial number in a buffer of its own; see [`Text::detached`].
    #[must_use]
    pub fn detached(&self) -> Sn {
        Sn(self.0.detached())
    }
}

impl From<uuid::Uuid> for Sn {
    fn from(id: uuid::Uuid) -> Self {
        let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
        Sn(Text::from(&*id.hyphenated().encode_lower(&mut buffer)))
    }
}

impl fmt::Debug for Sn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Sn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where replies go, and what they need of their request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReplyPath {
    /// The address that waits for the replies.
    pub to: Address,
    /// What the protocol needs of the request to write its replies (a raw id, a correlation id, a directive): opaque to
    /// everything but the protocol, and kept with the request wherever it is kept.
    pub token: Option<Json>,
}

impl ReplyPath {
    /// Replies go to an address; the protocol needs nothing else.
    #[must_use]
    pub fn to(address: impl Into<Address>) -> Self {
        ReplyPath { to: address.into(), token: None }
    }
}

/// What every message says about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The identity of this very message, for protocols that have one.
    pub id: Option<Text>,
    /// The serial number of the request that the message is, or is about.
    pub sn: Option<Sn>,
    /// When it was sent, by the sender's clock.
    pub sent: Option<Timestamp>,
    /// The sender's address, as claimed; a verified sender is a [`Principal`](crate::seal::Principal).
    pub from: Option<Address>,
    /// The address it was sent to.
    pub to: Address,
    /// Where the replies to a request go; `None` when nobody waits.
    pub reply: Option<ReplyPath>,
    /// How long a request may wait before it starts.
    pub ttl: Option<Duration>,
    /// The caller's own data, echoed in every reply.
    pub data: Option<Json>,
    /// The W3C `traceparent` of the sender's span.
    pub trace: Option<Text>,
}

impl Head {
    /// A head with a destination and nothing else.
    #[must_use]
    pub fn to(address: impl Into<Address>) -> Self {
        Head { id: None, sn: None, sent: None, from: None, to: address.into(), reply: None, ttl: None, data: None, trace: None }
    }
}

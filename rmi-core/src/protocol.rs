//! How messages are written and addressed: the map between [`Message`] and [`Frame`].
//!
//! A protocol is pure: it does no I/O, reads no clock, draws no random number and never waits.

pub mod depth;
pub mod envelope;
pub mod json_lines;
pub(crate) mod python;
mod session;
pub(crate) mod write;

use std::{fmt::Debug, time::Duration};

pub use self::{
    depth::within_depth,
    envelope::Native,
    json_lines::JsonLines,
    session::{Action, LinkEvent, Moment, Session},
};
use crate::{
    address::Address,
    contract::Contract,
    message::{Head, Message, Rejection, Request},
    text::Text,
    transport::{Delivery, Frame, Subscription},
};

/// A wire format: gofer's envelope, RackHD's conventions, Cloud Connector, the provisioning agent's lines.
pub trait Protocol: Send + Sync + Debug + 'static {
    /// What the dialect is called, in logs and in journals: the same in every process and every version of a program. Without a name of its
    /// own it is called by its type, which a later compiler may write otherwise.
    fn name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }

    /// What the dialect can say.
    fn features(&self) -> Features;

    /// What an endpoint in this role has to subscribe to.
    fn listen(&self, role: &Role<'_>) -> Vec<Subscription>;

    /// The address for replies to an endpoint's own calls; `id` is unlike any other.
    fn reply_address(&self, own: &Address, id: &str) -> Address {
        Address::from(format!("{}.replies.{id}", own.key()))
    }

    /// Writes a message. `None` when the dialect has no such message, so that nothing is sent.
    ///
    /// # Errors
    ///
    /// The dialect has such messages, but cannot say this one.
    fn encode(&self, message: &Message) -> Result<Option<Frame>, ProtocolError>;

    /// Reads a message.
    ///
    /// # Errors
    ///
    /// The delivery is not a message of this dialect. What was read of its head comes with the refusal, so that it can be
    /// answered.
    fn decode(&self, delivery: &Delivery) -> Result<Message, Refused>;

    /// What the dialect says about each link itself, if it says anything.
    fn session(&self, _role: &Role<'_>) -> Option<Box<dyn Session>> {
        None
    }
}

/// What an endpoint wants to receive.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Role<'a> {
    /// Requests to these contracts at an address.
    Agent {
        /// The endpoint's address.
        address: &'a Address,
        /// What it serves.
        contracts: &'a [&'static Contract],
        /// How many requests it may hold unsettled.
        prefetch: u32,
    },
    /// Requests to the class `Admin` alone, at an address of their own that lives as long as its subscriber: they reach an agent
    /// that holds as many other requests as it takes. A dialect without such an address returns no subscription.
    Admin {
        /// The address: see [`Address::admin`].
        address: &'a Address,
        /// How many requests it may hold unsettled.
        prefetch: u32,
    },
    /// Replies to calls, at an address that lives as long as the link does, or longer: [`Features::replies_last`].
    Caller {
        /// The reply address.
        address: &'a Address,
    },
    /// Replies to one call, for [`Replies::PerCall`].
    Call {
        /// The reply address.
        address: &'a Address,
        /// The call.
        request: &'a Request,
    },
    /// Events. Asked only of a dialect that has them.
    Events {
        /// The patterns of their keys, at least one: `*` stands for one word and `#` for any number of them.
        patterns: &'a [Text],
        /// The name of the pool of subscribers that share them; each subscriber gets all of them when there is none.
        pool: Option<&'a Text>,
        /// Whether they are settled one by one.
        acknowledged: bool,
        /// How many may be unsettled at a time.
        prefetch: u32,
    },
    /// Replies to anybody's calls, at an address with a name, that outlives its subscriber.
    Replies {
        /// The reply address.
        address: &'a Address,
    },
}

/// What a dialect can say, and how it tells things apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Features {
    /// What a request's serial number is good for.
    pub serials: Serials,
    /// Where replies come.
    pub replies: Replies,
    /// With [`Replies::Shared`]: the address outlives a loss of the link. What is sent there meanwhile comes later.
    pub replies_last: bool,
    /// It has `accepted`, `started` and `progress`.
    pub statuses: bool,
    /// It can say that a request was rejected, so that it is not read back as an exception.
    pub rejections: bool,
    /// It has a built-in way to cancel: the class `Admin`.
    pub admin: bool,
    /// It has events.
    pub events: bool,
    /// Its messages can be put into the signing wrapper.
    pub sealable: bool,
    /// Every message has an identity of its own: [`Head::id`].
    pub ids: bool,
    /// What is not UTF-8 is read with U+FFFD in its place, as its peers read it; otherwise it is refused. Only where nothing is sealable.
    pub lossy: bool,
    /// How long its callers wait for an outcome when nobody says so; `None` for as long as those of other dialects.
    pub timeout: Option<Duration>,
}

impl Default for Features {
    /// Requests with serial numbers, answered with their outcome at a shared address, and nothing else.
    fn default() -> Self {
        Features {
            serials: Serials::Global,
            replies: Replies::Shared,
            replies_last: false,
            statuses: false,
            rejections: false,
            admin: false,
            events: false,
            sealable: false,
            ids: false,
            lossy: false,
            timeout: None,
        }
    }
}

/// What a serial number is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Serials {
    /// It names one request of its sender, for ever.
    Global,
    /// It names one request on one link: the same number on a new link is a new request.
    PerLink,
    /// There is none on the wire.
    None,
}

/// Where the replies to a call come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Replies {
    /// At one address for all calls; the serial number tells them apart.
    Shared,
    /// At an address for each call, which tells them apart.
    PerCall,
    /// By the link that the request took.
    SameLink,
}

/// A message that a dialect cannot say.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ProtocolError(pub String);

/// A delivery that is not a message of the dialect.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Refused {
    /// What could be read of the head: enough to answer, or not.
    pub head: Option<Box<Head>>,
    /// What is wrong.
    pub rejection: Box<Rejection>,
    /// Whether the dialect answers such a message.
    pub answer: bool,
    /// Whether the dialect closes the link over it.
    pub close: bool,
}

impl Refused {
    /// Refuses without an answer.
    #[must_use]
    pub fn silently(rejection: Rejection) -> Self {
        Refused { head: None, rejection: Box::new(rejection), answer: false, close: false }
    }

    /// Refuses with an answer to what could be read.
    #[must_use]
    pub fn answering(head: Head, rejection: Rejection) -> Self {
        Refused { head: Some(Box::new(head)), rejection: Box::new(rejection), answer: true, close: false }
    }

    /// The same refusal, after which the link is closed.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }
}

/// What is read at most of one message. Set when a binding is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest payload, in bytes.
    pub payload: usize,
    /// The deepest nesting of arrays and objects.
    pub depth: usize,
    /// The most arguments of a call, by position and by name together.
    pub arguments: usize,
    /// How long a signed request counts as fresh when it names no ttl.
    pub max_age: Duration,
    /// How far the clocks of two peers may be apart.
    pub skew: Duration,
}

impl Default for Limits {
    /// 16 MiB, 64 levels, 64 arguments, 24 hours, 60 seconds.
    fn default() -> Self {
        Limits {
            payload: 16 << 20,
            depth: 64,
            arguments: 64,
            max_age: Duration::from_secs(24 * 3600),
            skew: Duration::from_secs(60),
        }
    }
}

impl Limits {
    /// Sets the longest payload, in bytes.
    #[must_use]
    pub fn payload(mut self, bytes: usize) -> Self {
        self.payload = bytes;
        self
    }

    /// Sets the deepest nesting of arrays and objects.
    #[must_use]
    pub fn depth(mut self, levels: usize) -> Self {
        self.depth = levels;
        self
    }

    /// Sets the most arguments of a call.
    #[must_use]
    pub fn arguments(mut self, count: usize) -> Self {
        self.arguments = count;
        self
    }

    /// Sets how long a signed request counts as fresh when it names no ttl.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Sets how far the clocks of two peers may be apart.
    #[must_use]
    pub fn skew(mut self, skew: Duration) -> Self {
        self.skew = skew;
        self
    }
}

//! Where endpoints are reached.

use std::fmt;

use crate::text::Text;

/// The address of a mailbox on the bus: an agent's request queue, or a caller's reply queue.
///
/// An address is `queue` or, where the bus has exchanges, `exchange/key`. What it becomes on the wire (an AMQP queue, an MQTT
/// topic, a link) is the transport's affair.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(Text);

impl Address {
    /// An address known at compile time.
    #[must_use]
    pub const fn from_static(address: &'static str) -> Self {
        Address(Text::from_static(address))
    }

    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The whole address, shared.
    #[must_use]
    pub fn text(&self) -> &Text {
        &self.0
    }

    /// The exchange part of `exchange/key`; `None` for a plain queue.
    #[must_use]
    pub fn exchange(&self) -> Option<&str> {
        self.0.split_once('/').map(|(exchange, _)| exchange)
    }

    /// The last part: the queue or the routing key.
    #[must_use]
    pub fn key(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.0.as_str(), |(_, key)| key)
    }

    /// Where the agent at this address also takes requests to its class `Admin`, apart from all others: the last part of the
    /// address with `.admin` behind it. An endpoint should have no such name itself.
    #[must_use]
    pub fn admin(&self) -> Address {
        Address::from(format!("{}.admin", self.key()))
    }

    /// The same address in a buffer of its own; see [`Text::detached`].
    #[must_use]
    pub fn detached(&self) -> Address {
        Address(self.0.detached())
    }
}

impl<T: Into<Text>> From<T> for Address {
    fn from(address: T) -> Self {
        Address(address.into())
    }
}

impl From<&Address> for Address {
    fn from(address: &Address) -> Self {
        address.clone()
    }
}

impl PartialEq<str> for Address {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Address {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for Address {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

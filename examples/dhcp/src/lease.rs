use std::{net::Ipv4Addr, time::Duration};

use rackhd_api::{MacAddress, NodeId};
use rmi_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::DhcpError;

/// An address that somebody has for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// Who has it.
    pub mac: MacAddress,
    /// The address.
    pub ip: Ipv4Addr,
    /// Which machine that is, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// How far it has got.
    pub state: State,
    /// When it was offered, bound or last renewed, in milliseconds since 1970.
    pub since: i64,
    /// When it ends, in milliseconds since 1970.
    pub until: i64,
}

/// How far a lease has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It was offered (DHCPOFFER), and is kept until its holder takes it or has waited too long.
    Offered,
    /// Its holder uses it (DHCPACK).
    Bound,
}

impl Lease {
    /// Whether it has not ended.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.until > now.as_millis()
    }

    /// Whether it is in use.
    #[must_use]
    pub fn is_bound(&self, now: Timestamp) -> bool {
        self.state == State::Bound && self.is_live(now)
    }

    /// When its holder asks to keep it: T1 of RFC 2131, section 4.4.5.
    #[must_use]
    pub fn renew_at(&self) -> Timestamp {
        Timestamp::from_millis(self.since).plus(renewal(self.time()))
    }

    /// When its holder asks anybody to let it keep it: T2 of RFC 2131, section 4.4.5.
    #[must_use]
    pub fn rebind_at(&self) -> Timestamp {
        Timestamp::from_millis(self.since).plus(rebinding(self.time()))
    }

    fn time(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.until.saturating_sub(self.since)).unwrap_or(0))
    }
}

/// The longest id of a machine, in bytes.
const LONGEST_NODE: usize = 64;

/// Whether a machine's id is one that is kept, and told in the key of an event.
pub(crate) fn check_node(NodeId(node): &NodeId) -> Result<(), DhcpError> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !node.is_empty() && node.len() <= LONGEST_NODE && node.bytes().all(word) {
        return Ok(());
    }
    Err(DhcpError::NotANode { node: node.chars().take(LONGEST_NODE).collect() })
}

/// How long leases are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long an address is kept for whom it was offered.
    pub offer: Duration,
    /// How long a lease is.
    pub lease: Duration,
}

impl Terms {
    /// After how long a lease's holder asks to keep it.
    #[must_use]
    pub fn renewal(&self) -> Duration {
        renewal(self.lease)
    }

    /// After how long a lease's holder asks anybody to let it keep it.
    #[must_use]
    pub fn rebinding(&self) -> Duration {
        rebinding(self.lease)
    }
}

impl Default for Terms {
    /// 30 seconds and a day, as RackHD's service had them.
    fn default() -> Self {
        Terms { offer: Duration::from_secs(30), lease: Duration::from_secs(86_400) }
    }
}

fn renewal(lease: Duration) -> Duration {
    lease / 2
}

fn rebinding(lease: Duration) -> Duration {
    lease / 8 * 7
}

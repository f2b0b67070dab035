use std::{collections::BTreeMap, net::Ipv4Addr};

use rmi_amqp::rackhd::ErrorEvent;
use rmi_core::{RemoteEvent, remote};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{MacAddress, NodeId};

/// The leases of the DHCP service.
#[remote(name = "dhcp", version = "1.0", rename_all = "camelCase", events = DhcpEvent)]
pub trait Dhcp {
    /// Who has an address, if anybody has.
    #[remote(idempotent, timeout = "1s")]
    async fn lookup_ip_lease(&self, ip: Ipv4Addr) -> Result<Option<MacAddress>, ErrorEvent>;

    /// Whether an address is one that the service leases.
    #[remote(idempotent, timeout = "1s")]
    async fn ip_in_range(&self, ip: Ipv4Addr) -> Result<bool, ErrorEvent>;

    /// All leases, and which addresses are pinned.
    #[remote(idempotent, timeout = "1s")]
    async fn peek_lease_table(&self) -> Result<LeaseTable, ErrorEvent>;

    /// Removes the lease of a MAC address, and says which that was.
    #[remote(timeout = "1s")]
    async fn remove_lease(&self, mac: MacAddress) -> Result<Option<Lease>, ErrorEvent>;

    /// Removes the lease of an address, and says which that was.
    #[remote(timeout = "1s")]
    async fn remove_lease_by_ip(&self, ip: Ipv4Addr) -> Result<Option<Lease>, ErrorEvent>;

    /// Pins to a MAC address for good what it has leased now.
    #[remote(idempotent, timeout = "1s")]
    async fn pin_mac(&self, mac: MacAddress) -> Result<Option<Pinned>, ErrorEvent>;

    /// Undoes the pinning of a MAC address, and says which address that was.
    #[remote(timeout = "1s")]
    async fn unpin_mac(&self, mac: MacAddress) -> Result<Option<Pinned>, ErrorEvent>;

    /// Pins an address for good to who has leased it now.
    #[remote(idempotent, timeout = "1s")]
    async fn pin_ip(&self, ip: Ipv4Addr) -> Result<Option<Pinned>, ErrorEvent>;

    /// Undoes the pinning of an address, and says whose that was.
    #[remote(timeout = "1s")]
    async fn unpin_ip(&self, ip: Ipv4Addr) -> Result<Option<Pinned>, ErrorEvent>;
}

/// What the DHCP service tells.
#[derive(Clone, Debug, PartialEq, RemoteEvent)]
pub enum DhcpEvent {
    /// A machine has got its address.
    #[remote(key = "dhcp.bind.success.{node}")]
    Bound {
        /// The machine.
        node: NodeId,
        /// The address.
        #[remote(default)]
        ip: Option<Ipv4Addr>,
        /// Its MAC address.
        #[remote(default)]
        mac: Option<MacAddress>,
    },
}

/// All leases.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeaseTable {
    /// By MAC address.
    pub leases: BTreeMap<MacAddress, Lease>,
    /// Which address a MAC address has for good.
    pub pinned: BTreeMap<MacAddress, Ipv4Addr>,
}

/// What a MAC address has leased.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// Who has it.
    pub mac: MacAddress,
    /// The address.
    pub ip_address: Ipv4Addr,
    /// How long an address that was offered is kept for who was offered it, in seconds.
    #[serde(default)]
    pub reservation_timer: u64,
    /// Until when it is kept, in milliseconds since 1970.
    #[serde(default, with = "blank")]
    pub reservation_expires_at: Option<i64>,
    /// After how long its holder asks to keep it, in seconds.
    #[serde(default)]
    pub renewal_timer: u64,
    /// After how long its holder asks anybody to keep it, in seconds.
    #[serde(default)]
    pub rebinding_timer: u64,
    /// How long the lease is, in seconds.
    #[serde(default)]
    pub expiration_timer: u64,
    /// When its holder asks to keep it, in milliseconds since 1970.
    #[serde(default, with = "blank")]
    pub renewal_expires_at: Option<i64>,
    /// When its holder asks anybody to keep it, in milliseconds since 1970.
    #[serde(default, with = "blank")]
    pub rebind_expires_at: Option<i64>,
    /// When the lease ends, in milliseconds since 1970.
    #[serde(default, with = "blank")]
    pub lease_expires_at: Option<i64>,
    /// It is in use.
    #[serde(default)]
    pub bound_flag: bool,
    /// It was offered, and not taken yet.
    #[serde(default)]
    pub reserved_flag: bool,
    /// When the offer ends, in milliseconds since 1970.
    #[serde(default, with = "blank")]
    pub reserve_timer: Option<i64>,
}

/// A time that is an empty string where there is none.
mod blank {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Time {
        At(f64),
        Never(String),
        Nothing(()),
    }

    #[expect(clippy::ref_option, reason = "the signature is serde's")]
    pub(super) fn serialize<S: Serializer>(time: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(millis) => serializer.serialize_i64(*millis),
            None => serializer.serialize_str(""),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
        Ok(match Time::deserialize(deserializer)? {
            // JavaScript has one kind of number.
            #[expect(clippy::cast_possible_truncation, reason = "milliseconds are whole")]
            Time::At(millis) => Some(millis as i64),
            Time::Never(_) | Time::Nothing(()) => None,
        })
    }
}

/// What was pinned, or is pinned no more: a service says one or both, or only that it has done so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pinned {
    /// The address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<Ipv4Addr>,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddress>,
}

impl<'de> Deserialize<'de> for Pinned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Said {
            Done(#[expect(dead_code, reason = "it says no more")] bool),
            Pair { ip: Option<Ipv4Addr>, mac: Option<MacAddress> },
        }
        Ok(match Said::deserialize(deserializer)? {
            Said::Done(_) => Pinned::default(),
            Said::Pair { ip, mac } => Pinned { ip, mac },
        })
    }
}

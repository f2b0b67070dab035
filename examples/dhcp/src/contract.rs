use std::{convert::Infallible, net::Ipv4Addr};

use rackhd_api::{DhcpEvent, MacAddress, NodeId};
use rmi_core::{Context, remote};
use serde::{Deserialize, Serialize};

use crate::{DhcpError, Lease, Pin};

/// The lease table, with errors that say what was wrong.
///
/// It is the second major of the service of which [`rackhd_api::Dhcp`] is the first. Both are served by one endpoint: who names no
/// version, as nobody does in RackHD's conventions, gets the first, and is answered as RackHD's service answered.
#[remote(name = "dhcp", version = "2.0", rename_all = "camelCase", events = DhcpEvent)]
pub trait Dhcp {
    /// Who uses an address.
    #[remote(idempotent, timeout = "1s")]
    async fn lookup_ip_lease(&self, ip: Ipv4Addr) -> Result<MacAddress, DhcpError>;

    /// What a MAC address has, offered or bound.
    #[remote(idempotent, timeout = "1s")]
    async fn lookup_mac_lease(&self, mac: MacAddress) -> Result<Lease, DhcpError>;

    /// Whether an address is one that the service leases.
    #[remote(idempotent, timeout = "1s")]
    async fn ip_in_range(&self, ip: Ipv4Addr) -> Result<bool, Infallible>;

    /// A part of the table: what is known of the MAC addresses after one of them, of so many at most.
    #[remote(idempotent, timeout = "5s")]
    async fn peek_lease_table(
        &self,
        #[remote(default)] after: Option<MacAddress>,
        #[remote(default = 1000)] limit: u32,
    ) -> Result<Page, Infallible>;

    /// Gives a MAC address an address, or renews what it has: for who leases by other means than DHCP, or knows of leases that another
    /// server gave. Which address is chosen as for DHCP, unless one is named. Everybody is told, by [`DhcpEvent::Bound`].
    #[remote(idempotent, timeout = "5s")]
    async fn bind_lease(
        &self,
        #[remote(context)] cx: &Context,
        mac: MacAddress,
        ip: Option<Ipv4Addr>,
        node: Option<NodeId>,
    ) -> Result<Lease, DhcpError>;

    /// Removes the lease of a MAC address, and says which that was. What is pinned stays so.
    #[remote(timeout = "5s")]
    async fn remove_lease(&self, mac: MacAddress) -> Result<Lease, DhcpError>;

    /// Removes the lease of an address, and says which that was. What is pinned stays so.
    #[remote(timeout = "5s")]
    async fn remove_lease_by_ip(&self, ip: Ipv4Addr) -> Result<Lease, DhcpError>;

    /// Pins to a MAC address for good what it uses now.
    #[remote(idempotent, timeout = "5s")]
    async fn pin_mac(&self, mac: MacAddress) -> Result<Pin, DhcpError>;

    /// Undoes the pinning of a MAC address, and says which address that was.
    #[remote(timeout = "5s")]
    async fn unpin_mac(&self, mac: MacAddress) -> Result<Pin, DhcpError>;

    /// Pins an address for good to who uses it now.
    #[remote(idempotent, timeout = "5s")]
    async fn pin_ip(&self, ip: Ipv4Addr) -> Result<Pin, DhcpError>;

    /// Undoes the pinning of an address, and says whose that was.
    #[remote(timeout = "5s")]
    async fn unpin_ip(&self, ip: Ipv4Addr) -> Result<Pin, DhcpError>;
}

/// A part of the table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// By MAC address.
    pub entries: Vec<Known>,
    /// There is more after the last of them.
    pub more: bool,
}

/// What is known of a MAC address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// Whose it is.
    pub mac: MacAddress,
    /// What it has leased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// What it has for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Ipv4Addr>,
}

use std::net::Ipv4Addr;

use rackhd_api::MacAddress;
use rmi_core::RemoteError;

/// What the lease table says no with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, RemoteError)]
pub enum DhcpError {
    /// A MAC address has leased nothing, or its lease has ended.
    #[error("{mac} has no lease")]
    NoLease {
        /// Who was asked for.
        mac: MacAddress,
    },
    /// Nobody has leased an address.
    #[error("{ip} is not leased")]
    NotLeased {
        /// The address.
        ip: Ipv4Addr,
    },
    /// An address is not one of those that are leased.
    #[error("{ip} is outside the pool {pool}")]
    OutOfPool {
        /// The address.
        ip: Ipv4Addr,
        /// Those that are leased.
        pool: String,
    },
    /// No address is pinned to a MAC address.
    #[error("no address is pinned to {mac}")]
    NotPinned {
        /// Who was asked for.
        mac: MacAddress,
    },
    /// An address is pinned to nobody.
    #[error("{ip} is pinned to nobody")]
    AddressNotPinned {
        /// The address.
        ip: Ipv4Addr,
    },
    /// An address is leased by somebody else, or pinned to somebody else.
    #[error("{ip} is taken by {holder}")]
    Taken {
        /// The address.
        ip: Ipv4Addr,
        /// Whose it is.
        holder: MacAddress,
    },
    /// A MAC address has another address for good.
    #[error("{mac} has {pinned} for good: unpin it first")]
    PinnedElsewhere {
        /// Who.
        mac: MacAddress,
        /// What is pinned to it.
        pinned: Ipv4Addr,
    },
    /// The id of a machine is one of the words of an event's key, and of such an id it cannot be made.
    #[error("{node:?} is no id of a machine: write 1 to 64 letters, digits, `-` or `_`, as in 507f191e810c19729de860ea")]
    NotANode {
        /// How it begins.
        node: String,
    },
    /// All addresses are taken.
    #[error("no address of the pool {pool} is free")]
    Exhausted {
        /// Those that are leased.
        pool: String,
    },
    /// The table could not be written, and is as it was before. The service's log says more.
    #[error("the lease table could not be written: {reason}")]
    Store {
        /// Why.
        reason: String,
    },
}

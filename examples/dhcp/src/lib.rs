//! The lease table of a DHCP service.
//!
//! [`Table`] is who has which address: it reads no clock and does no I/O. [`Store`] is its file, [`Ledger`] both together, and [`Leases`]
//! the service that is called: by the native envelope with typed errors ([`Dhcp`]), in RackHD's words as RackHD's own service answered
//! ([`rackhd_api::Dhcp`]). One endpoint serves both, as two majors of one contract.
//!
//! What gives leases by DHCP uses [`Table::offer`] and [`Table::bind`] of the same [`Ledger`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod contract;
pub mod demo;
mod error;
mod lease;
pub mod lease_command;
mod ledger;
mod on_rackhd;
mod pool;
mod serve;
mod service;
mod store;
mod table;
mod wire;

pub use self::{
    contract::{Dhcp, DhcpClient, DhcpServer, Known, Page},
    error::DhcpError,
    lease::{Lease, State, Terms},
    ledger::Ledger,
    pool::{NotAPool, Pool, Range},
    serve::Serve,
    service::Leases,
    store::{Store, StoreError},
    table::{Change, Pin, Planned, Table},
};

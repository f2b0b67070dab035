//! What the suite shares.

use std::{net::Ipv4Addr, path::Path, sync::Arc};

use dhcp::{DhcpServer, Leases, Ledger, Pool, Terms};
use rackhd_api::MacAddress;
use rmi_core::{Endpoint, endpoint::Builder, testing::ManualClock};

pub(crate) const POOL: &str = "10.1.1.0/29";

pub(crate) fn pool() -> Pool {
    POOL.parse().unwrap()
}

pub(crate) fn mac(last: u8) -> MacAddress {
    MacAddress([0x08, 0, 0x27, 0, 0, last])
}

pub(crate) fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 1, 1, last)
}

pub(crate) fn ledger(path: &Path, clock: &ManualClock) -> Ledger {
    Ledger::open(path, pool(), Terms::default(), clock.clone()).unwrap()
}

/// An endpoint that serves both majors of a table, by all that it is bound to.
pub(crate) async fn serve(builder: Builder, ledger: Ledger, wires: usize) -> Endpoint {
    let leases = Leases::new(Arc::new(ledger), wires);
    builder.serve(DhcpServer::new(leases.clone())).serve(rackhd_api::DhcpServer::new(leases)).start().await.unwrap()
}

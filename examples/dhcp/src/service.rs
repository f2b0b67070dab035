//! The table as a service: the second major, with errors of its own.

use std::{convert::Infallible, net::Ipv4Addr, sync::Arc, time::Duration};

use rackhd_api::{DhcpEvent, MacAddress, NodeId};
use rmi_core::{Context, endpoint::PublishError, time::Timestamp};

use crate::{Dhcp, DhcpError, Known, Lease, Ledger, Page, Pin, Planned, Table, lease::check_node};

/// How many MAC addresses are told of at once.
const LARGEST_PAGE: usize = 10_000;

/// How long a bus may take to take an event.
const TELLING: Duration = Duration::from_secs(1);

/// Who is meant by an event about a machine that nobody knows.
const UNKNOWN: &str = "external";

/// The service: what is called, in any dialect. Its clones have the same table.
#[derive(Clone, Debug)]
pub struct Leases {
    ledger: Arc<Ledger>,
    wires: usize,
}

impl Leases {
    /// Serves a table by an endpoint of so many bindings: each of them is told what is to be told.
    #[must_use]
    pub fn new(ledger: Arc<Ledger>, wires: usize) -> Self {
        Leases { ledger, wires }
    }

    pub(crate) fn read<T>(&self, what: impl FnOnce(&Table, Timestamp) -> T) -> T {
        self.ledger.read(what)
    }

    /// Alters the table where that holds up nobody. Who stops waiting for it does not stop it.
    pub(crate) async fn write<T, P>(&self, plan: P) -> Result<T, DhcpError>
    where
        P: FnOnce(&Table, Timestamp) -> Result<Planned<T>, DhcpError> + Send + 'static,
        T: Send + 'static,
    {
        let ledger = Arc::clone(&self.ledger);
        let written = tokio::task::spawn_blocking(move || ledger.write(plan)).await;
        written.unwrap_or_else(|_| Err(DhcpError::Store { reason: "the service ends".to_owned() }))
    }

    /// Tells everybody that a machine has got its address. The lease is there, whoever hears of it.
    async fn tell(&self, cx: &Context, lease: &Lease) {
        let node = lease.node.clone().unwrap_or_else(|| NodeId::from(UNKNOWN));
        let event = DhcpEvent::Bound { node, ip: Some(lease.ip), mac: Some(lease.mac) };
        for wire in 0..self.wires {
            match cx.publish(&event).over(wire).timeout(TELLING).await {
                // Not every wire has events.
                Ok(_) | Err(PublishError::Unsupported(_)) => {}
                Err(error) => tracing::warn!(wire, %error, mac = %lease.mac, "nobody was told of a lease"),
            }
        }
    }
}

impl Dhcp for Leases {
    async fn lookup_ip_lease(&self, ip: Ipv4Addr) -> Result<MacAddress, DhcpError> {
        self.read(|table, now| table.lookup(ip, now))
    }

    async fn lookup_mac_lease(&self, mac: MacAddress) -> Result<Lease, DhcpError> {
        self.read(|table, now| table.lease(mac, now).cloned().ok_or(DhcpError::NoLease { mac }))
    }

    async fn ip_in_range(&self, ip: Ipv4Addr) -> Result<bool, Infallible> {
        Ok(self.read(|table, _| table.pool().contains(ip)))
    }

    async fn peek_lease_table(&self, after: Option<MacAddress>, limit: u32) -> Result<Page, Infallible> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).clamp(1, LARGEST_PAGE);
        Ok(self.read(|table, now| {
            let mut known = table.known(after, now);
            let told = known.by_ref().take(limit);
            let entries = told.map(|mac| Known { mac, lease: table.lease(mac, now).cloned(), pinned: table.pin(mac) }).collect();
            Page { entries, more: known.next().is_some() }
        }))
    }

    async fn bind_lease(
        &self,
        cx: &Context,
        mac: MacAddress,
        ip: Option<Ipv4Addr>,
        node: Option<NodeId>,
    ) -> Result<Lease, DhcpError> {
        node.as_ref().map_or(Ok(()), check_node)?;
        let lease = self.write(move |table, now| table.bind(mac, ip, node, now)).await?;
        self.tell(cx, &lease).await;
        Ok(lease)
    }

    async fn remove_lease(&self, mac: MacAddress) -> Result<Lease, DhcpError> {
        self.write(move |table, now| table.remove(mac, now)).await
    }

    async fn remove_lease_by_ip(&self, ip: Ipv4Addr) -> Result<Lease, DhcpError> {
        self.write(move |table, now| table.remove_by_ip(ip, now)).await
    }

    async fn pin_mac(&self, mac: MacAddress) -> Result<Pin, DhcpError> {
        self.write(move |table, now| table.pin_mac(mac, now)).await
    }

    async fn unpin_mac(&self, mac: MacAddress) -> Result<Pin, DhcpError> {
        self.write(move |table, _| table.unpin_mac(mac)).await
    }

    async fn pin_ip(&self, ip: Ipv4Addr) -> Result<Pin, DhcpError> {
        self.write(move |table, now| table.pin_ip(ip, now)).await
    }

    async fn unpin_ip(&self, ip: Ipv4Addr) -> Result<Pin, DhcpError> {
        self.write(move |table, _| table.unpin_ip(ip)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rmi_core::{CallError, Endpoint, Memory, Native, Trust, testing::ManualClock};

    use super::*;
    use crate::{DhcpClient, DhcpServer, Terms, store::failing};

    #[tokio::test]
    async fn nobody_is_told_of_what_is_not_on_the_disk() {
        let directory = tempfile::tempdir().unwrap();
        let fails = Arc::new(AtomicBool::new(false));
        let (store, rows) = failing::store(directory.path().join("leases.redb"), Arc::clone(&fails)).unwrap();
        let clock = Arc::new(ManualClock::default());
        let ledger = Ledger::of(store, rows, "10.1.1.0/29".parse().unwrap(), Terms::default(), clock).unwrap();
        let bus = Memory::new();
        let at = |name: &'static str| Endpoint::builder(name).bind(Native::default(), bus.clone(), Trust::insecure());
        let service = at("dhcp").serve(DhcpServer::new(Leases::new(Arc::new(ledger), 1))).start().await.unwrap();
        let caller = at("caller").start().await.unwrap();
        let mut told = caller.subscribe::<DhcpEvent>().await.unwrap();
        let (dhcp, mac): (DhcpClient, _) = (caller.client("dhcp"), |last| MacAddress([2, 0, 0, 0, 0, last]));
        fails.store(true, Ordering::SeqCst);
        match dhcp.bind_lease(mac(1), None, None).await {
            Err(CallError::Remote(DhcpError::Store { .. })) => {}
            other => panic!("{other:?}"),
        }
        fails.store(false, Ordering::SeqCst);
        let lease = dhcp.bind_lease(mac(2), None, None).await.unwrap();
        let heard = told.next().await.unwrap().unwrap().event;
        assert!(matches!(heard, DhcpEvent::Bound { mac, .. } if mac == Some(lease.mac)), "the first that is told: {heard:?}");
        drop(service);
    }
}

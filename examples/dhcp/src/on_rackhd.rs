//! The table as RackHD's service answered for it: the first major. What there is none of is no error there, but nothing.

use std::net::Ipv4Addr;

use rackhd_api::{Dhcp, ErrorEvent, LeaseTable, MacAddress, Pinned};

use crate::{DhcpError, Lease, Leases, Pin, State, Terms};

impl Dhcp for Leases {
    async fn lookup_ip_lease(&self, ip: Ipv4Addr) -> Result<Option<MacAddress>, ErrorEvent> {
        there(self.read(|table, now| table.lookup(ip, now)))
    }

    async fn ip_in_range(&self, ip: Ipv4Addr) -> Result<bool, ErrorEvent> {
        Ok(self.read(|table, _| table.pool().contains(ip)))
    }

    async fn peek_lease_table(&self) -> Result<LeaseTable, ErrorEvent> {
        Ok(self.read(|table, now| LeaseTable {
            leases: table.leases(now).map(|lease| (lease.mac, told(lease.clone(), table.terms()))).collect(),
            pinned: table.pins().map(|pin| (pin.mac, pin.ip)).collect(),
        }))
    }

    async fn remove_lease(&self, mac: MacAddress) -> Result<Option<rackhd_api::Lease>, ErrorEvent> {
        let terms = self.terms();
        there(crate::Dhcp::remove_lease(self, mac).await.map(|lease| told(lease, terms)))
    }

    async fn remove_lease_by_ip(&self, ip: Ipv4Addr) -> Result<Option<rackhd_api::Lease>, ErrorEvent> {
        let terms = self.terms();
        there(crate::Dhcp::remove_lease_by_ip(self, ip).await.map(|lease| told(lease, terms)))
    }

    async fn pin_mac(&self, mac: MacAddress) -> Result<Option<Pinned>, ErrorEvent> {
        there(crate::Dhcp::pin_mac(self, mac).await.map(its_mac))
    }

    async fn unpin_mac(&self, mac: MacAddress) -> Result<Option<Pinned>, ErrorEvent> {
        there(crate::Dhcp::unpin_mac(self, mac).await.map(its_ip))
    }

    async fn pin_ip(&self, ip: Ipv4Addr) -> Result<Option<Pinned>, ErrorEvent> {
        there(crate::Dhcp::pin_ip(self, ip).await.map(its_ip))
    }

    async fn unpin_ip(&self, ip: Ipv4Addr) -> Result<Option<Pinned>, ErrorEvent> {
        there(crate::Dhcp::unpin_ip(self, ip).await.map(its_mac))
    }
}

impl Leases {
    fn terms(&self) -> Terms {
        self.read(|table, _| table.terms())
    }
}

/// RackHD's API makes a 404 of nothing; other errors it has to be told.
fn there<T>(answer: Result<T, DhcpError>) -> Result<Option<T>, ErrorEvent> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(
            DhcpError::NoLease { .. }
            | DhcpError::NotLeased { .. }
            | DhcpError::OutOfPool { .. }
            | DhcpError::NotPinned { .. }
            | DhcpError::AddressNotPinned { .. },
        ) => Ok(None),
        Err(error @ (DhcpError::Taken { .. } | DhcpError::PinnedElsewhere { .. } | DhcpError::Exhausted { .. })) => {
            Err(ErrorEvent::conflict(error.to_string()))
        }
        Err(error @ DhcpError::NotANode { .. }) => Err(ErrorEvent::bad_request(error.to_string())),
        Err(error @ DhcpError::Store { .. }) => Err(ErrorEvent::internal(error.to_string())),
    }
}

/// A pinned address, of which one half is told: what was asked for when it is pinned, the other one when it is pinned no more.
fn its_mac(pin: Pin) -> Pinned {
    Pinned { mac: Some(pin.mac), ip: None }
}

fn its_ip(pin: Pin) -> Pinned {
    Pinned { ip: Some(pin.ip), mac: None }
}

/// A lease in RackHD's words, which count seconds and date in milliseconds.
fn told(lease: Lease, terms: Terms) -> rackhd_api::Lease {
    let bound = lease.state == State::Bound;
    let at = |time: i64| bound.then_some(time);
    rackhd_api::Lease {
        mac: lease.mac,
        ip_address: lease.ip,
        reservation_timer: terms.offer.as_secs(),
        reservation_expires_at: (!bound).then_some(lease.until),
        renewal_timer: terms.renewal().as_secs(),
        rebinding_timer: terms.rebinding().as_secs(),
        expiration_timer: terms.lease.as_secs(),
        renewal_expires_at: at(lease.renew_at().as_millis()),
        rebind_expires_at: at(lease.rebind_at().as_millis()),
        lease_expires_at: at(lease.until),
        bound_flag: bound,
        reserved_flag: !bound,
        reserve_timer: None,
    }
}

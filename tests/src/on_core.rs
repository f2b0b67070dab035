//! A RackHD responder as the vectors have heard it, as an implementation of the contract.

use std::{net::Ipv4Addr, sync::Mutex};

use rackhd_api::{Dhcp, ErrorEvent, Lease, LeaseTable, MacAddress, Pinned};
use serde_json::Value;

/// The leases of the vectors.
#[derive(Debug)]
pub struct Leases(Mutex<LeaseTable>);

impl Default for Leases {
    fn default() -> Self {
        Leases(Mutex::new(table()))
    }
}

/// What `peekLeaseTable` says in the vectors.
#[must_use]
pub fn table() -> LeaseTable {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/rackhd.json")).unwrap();
    let messages = vectors["head"]["messages"].as_array().unwrap();
    let said = messages.iter().find(|m| m["n"] == 17).unwrap();
    serde_json::from_value(said["body"]["value"].clone()).unwrap()
}

impl Leases {
    fn with<T>(&self, change: impl FnOnce(&mut LeaseTable) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }
}

impl Dhcp for Leases {
    async fn lookup_ip_lease(&self, ip: Ipv4Addr) -> Result<Option<MacAddress>, ErrorEvent> {
        if ip == Ipv4Addr::new(10, 1, 1, 99) {
            return Err(ErrorEvent::not_found(format!("no such lease: {ip}")).with("ip", ip.to_string()));
        }
        Ok(self.with(|table| table.leases.values().find(|lease| lease.ip_address == ip).map(|lease| lease.mac)))
    }

    async fn ip_in_range(&self, ip: Ipv4Addr) -> Result<bool, ErrorEvent> {
        Ok(ip.octets().starts_with(&[10, 1, 1]))
    }

    async fn peek_lease_table(&self) -> Result<LeaseTable, ErrorEvent> {
        Ok(self.with(|table| table.clone()))
    }

    async fn remove_lease(&self, mac: MacAddress) -> Result<Option<Lease>, ErrorEvent> {
        Ok(self.with(|table| table.leases.remove(&mac)))
    }

    async fn remove_lease_by_ip(&self, ip: Ipv4Addr) -> Result<Option<Lease>, ErrorEvent> {
        let mac = self.with(|table| table.leases.values().find(|lease| lease.ip_address == ip).map(|lease| lease.mac));
        Ok(mac.and_then(|mac| self.with(|table| table.leases.remove(&mac))))
    }

    async fn pin_mac(&self, mac: MacAddress) -> Result<Option<Pinned>, ErrorEvent> {
        Ok(Some(Pinned { mac: Some(mac), ip: None }))
    }

    async fn unpin_mac(&self, mac: MacAddress) -> Result<Option<Pinned>, ErrorEvent> {
        let ip = self.with(|table| table.pinned.get(&mac).copied());
        Ok(ip.map(|ip| Pinned { ip: Some(ip), mac: None }))
    }

    async fn pin_ip(&self, ip: Ipv4Addr) -> Result<Option<Pinned>, ErrorEvent> {
        Ok(Some(Pinned { ip: Some(ip), mac: None }))
    }

    async fn unpin_ip(&self, ip: Ipv4Addr) -> Result<Option<Pinned>, ErrorEvent> {
        let mac = self.with(|table| table.pinned.iter().find(|(_, pinned)| **pinned == ip).map(|(mac, _)| *mac));
        Ok(mac.map(|mac| Pinned { mac: Some(mac), ip: None }))
    }
}

/// What is left of an error in the vectors: stacks differ.
#[must_use]
pub fn without_stack(mut body: Value) -> Value {
    if let Some(body) = body.as_object_mut() {
        let stack = body.remove("stack");
        assert!(stack.is_none_or(|stack| stack.as_str().is_some_and(|stack| !stack.is_empty())), "a stack is a text");
    }
    body
}

//! Says where every method and every event of the contracts is on RackHD's bus, and shows a call and an event on the in-memory bus.

#![allow(clippy::print_stdout)]

use std::{convert::Infallible, error::Error};

use rackhd_api::{DhcpEvent, MacAddress, NodeId};
use rmi_amqp::rackhd::Silence;
use rmi_core::{Client, Endpoint, Memory, Trust, remote};

/// The part of the lease service that this shows.
#[remote(name = "dhcp", rename_all = "camelCase")]
trait Lookup {
    async fn lookup_ip_lease(&self, ip: std::net::Ipv4Addr) -> Result<Option<MacAddress>, Infallible>;
}

struct Leases;

impl Lookup for Leases {
    async fn lookup_ip_lease(&self, ip: std::net::Ipv4Addr) -> Result<Option<MacAddress>, Infallible> {
        Ok((ip.octets() == [10, 1, 1, 2]).then_some(MacAddress([0x08, 0x00, 0x27, 0x52, 0xd2, 0xa4])))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("exchanges of the last release, as they are declared:");
    for (name, exchange) in rackhd_api::on().exchanges() {
        println!("  {name}: {exchange:?}");
    }

    let bus = Memory::new();
    let service = Endpoint::builder("dhcp-1").bind(rackhd_api::on(), bus.clone(), Trust::insecure());
    let service = service.serve(LookupServer::new(Leases)).start().await?;
    let http = Endpoint::builder("http-1").bind(rackhd_api::on(), bus, Trust::insecure()).start().await?;

    let dhcp: rackhd_api::DhcpClient = http.client("dhcp");
    for ip in ["10.1.1.2", "10.1.1.3"] {
        println!("{}.lookupIpLease {ip}: {:?}", rackhd_api::DhcpClient::CONTRACT.name, dhcp.lookup_ip_lease(ip.parse()?).await?);
    }
    let task: rackhd_api::TaskClient = http.client("task");
    let running = task.active_task_exists(NodeId::from("507f191e810c19729de860ea")).unless_silent().await;
    println!("is there an active task? {}", if running?.is_some() { "yes" } else { "no" });

    let mut bound = http.subscribe::<DhcpEvent>().await?;
    let mac = Some(MacAddress([0x08, 0x00, 0x27, 0x52, 0xd2, 0xa4]));
    let ip = Some("10.1.1.2".parse()?);
    service.publish(&DhcpEvent::Bound { node: NodeId::from("507f191e810c19729de860ea"), ip, mac }).await?;
    if let Some(heard) = bound.next().await {
        let heard = heard?;
        println!("{}: {:?}", heard.key, heard.event);
    }
    Ok(())
}

//! A RackHD responder as the vectors have heard it, as an implementation of the contract; peers that are played by hand; and the buses
//! that they all meet on.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::Duration,
};

use rackhd_api::{Dhcp, DhcpServer, ErrorEvent, LEGACY, LEGACY_EVENTS, Lease, LeaseTable, MacAddress, Pinned};
use rmi_amqp::{
    Options,
    rackhd::{Profile, RackHd},
};
use rmi_core::{
    Address, Endpoint, Memory, Trust,
    text::Text,
    transport::{Deliveries, Delivery, Destination, Frame, Purpose, Receipt, Sharing, Source, Subscription, Transport},
};
use serde_json::Value;

use crate::amqp;

pub mod peer;
pub mod services;

/// A bus that a test has to itself: one of its own, or its own exchanges on a broker.
#[derive(Clone, Debug)]
pub enum Bus {
    /// The in-memory bus.
    Memory(Memory),
    /// A broker, where this stands before every name.
    Rabbit(String),
}

impl Bus {
    /// The in-memory bus.
    #[must_use]
    pub fn memory() -> Self {
        Bus::Memory(Memory::new())
    }

    /// A broker.
    #[must_use]
    pub fn rabbit() -> Self {
        Bus::Rabbit(format!("t{}.", &uuid::Uuid::new_v4().simple().to_string()[..12]))
    }

    /// A name that nobody else has here.
    #[must_use]
    pub fn name(&self, name: &str) -> String {
        match self {
            Bus::Memory(_) => name.to_owned(),
            Bus::Rabbit(prefix) => format!("{prefix}{name}"),
        }
    }

    /// The last release's words, with all contracts.
    #[must_use]
    pub fn on(&self) -> RackHd {
        self.speaking(Profile::on(), "on.")
    }

    /// The first generation's words, with all contracts.
    #[must_use]
    pub fn legacy(&self) -> RackHd {
        self.speaking(Profile::legacy(), "").routes(LEGACY).events(LEGACY_EVENTS)
    }

    /// A profile's words, with all contracts.
    #[must_use]
    pub fn speaking(&self, profile: Profile, prefix: &str) -> RackHd {
        rackhd_api::dialect(profile.prefix(self.name(prefix)))
    }

    /// Both generations' words.
    #[must_use]
    pub fn both(&self) -> [World; 2] {
        [World::on(self), World::legacy(self)]
    }
}

/// Tests that are run on every bus.
#[macro_export]
macro_rules! on_every_bus {
    ($($test:ident)*) => {
        mod on_memory {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::on_core::Bus::memory()).await;
            })*
        }

        mod on_rabbit {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::on_core::Bus::rabbit()).await;
            })*
        }
    };
}

/// A bus, and the words that are spoken on it.
#[derive(Clone, Debug)]
pub struct World {
    /// The dialect with all contracts.
    pub dialect: RackHd,
    /// The bus.
    pub bus: Bus,
    /// It is the first generation's.
    pub legacy: bool,
}

impl World {
    /// These words on a bus.
    #[must_use]
    pub fn new(bus: &Bus, dialect: RackHd) -> Self {
        World { dialect, bus: bus.clone(), legacy: false }
    }

    /// The first generation's words.
    #[must_use]
    pub fn legacy(bus: &Bus) -> Self {
        World { legacy: true, ..World::new(bus, bus.legacy()) }
    }

    /// The last release's words.
    #[must_use]
    pub fn on(bus: &Bus) -> Self {
        World::new(bus, bus.on())
    }

    /// A seat on the bus: on a broker a connection.
    pub async fn seat(&self) -> Arc<dyn Transport> {
        match &self.bus {
            Bus::Memory(bus) => Arc::new(bus.clone()),
            Bus::Rabbit(_) => Arc::new(amqp::connect(self.dialect.options(Options::default())).await),
        }
    }

    /// What an exchange is called here.
    #[must_use]
    pub fn exchange(&self, plain: &str) -> Text {
        self.dialect.profile().exchange(plain)
    }

    /// An endpoint that serves nothing.
    pub async fn caller(&self, name: &str) -> Endpoint {
        Endpoint::builder(self.bus.name(name))
            .bind(self.dialect.clone(), self.seat().await, Trust::insecure())
            .start()
            .await
            .unwrap()
    }

    /// The lease service of the vectors.
    pub async fn leases(&self) -> Endpoint {
        let builder =
            Endpoint::builder(self.bus.name("on-dhcp")).bind(self.dialect.clone(), self.seat().await, Trust::insecure());
        builder.serve(DhcpServer::new(Leases::default())).start().await.unwrap()
    }

    /// A peer by hand, who listens to these keys of an exchange.
    pub async fn hand(&self, plain: &str, pattern: &str) -> Hand {
        let source = Source::topic(self.exchange(plain), pattern);
        self.listening(Subscription::new(source, Purpose::Requests).sharing(Sharing::Broadcast)).await
    }

    /// A peer by hand, who has a queue of this name.
    pub async fn queue(&self, name: &str) -> Hand {
        let source = Source::Address(Address::from(self.bus.name(name)));
        self.listening(Subscription::new(source, Purpose::Replies).sharing(Sharing::Exclusive)).await
    }

    async fn listening(&self, subscription: Subscription) -> Hand {
        let seat = self.seat().await;
        let arriving = seat.subscribe(subscription.acknowledged(false)).await.unwrap();
        Hand { seat, arriving }
    }
}

/// Longer than anything takes that comes at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// A peer by hand.
#[derive(Debug)]
pub struct Hand {
    seat: Arc<dyn Transport>,
    arriving: Box<dyn Deliveries>,
}

/// What is sent by hand: a body as it is, and what travels beside it.
#[derive(Clone, Debug)]
pub struct Sent<'a> {
    /// The body's bytes.
    pub body: &'a str,
    /// The content type.
    pub content_type: Option<&'a str>,
    /// The type.
    pub kind: Option<&'a str>,
    /// Where the reply goes.
    pub reply_to: Option<&'a str>,
}

impl<'a> Sent<'a> {
    /// A body of a type, that calls itself JSON.
    #[must_use]
    pub fn json(kind: &'a str, body: &'a str) -> Self {
        Sent { body, content_type: Some("application/json"), kind: Some(kind), reply_to: None }
    }

    /// As it is published.
    #[must_use]
    pub fn frame(&self, to: Destination) -> Frame {
        let mut frame = Frame::new(to, self.body.to_owned());
        frame.mandatory = true;
        frame.properties.change(|properties| {
            properties.content_type = self.content_type.map(Text::from);
            properties.kind = self.kind.map(Text::from);
            properties.reply_to = self.reply_to.map(Text::from);
        });
        frame
    }
}

impl Hand {
    /// The next message.
    pub async fn next(&mut self) -> Delivery {
        let mut taken = Vec::new();
        let received = tokio::time::timeout(PATIENCE, self.arriving.recv(&mut taken, 1)).await;
        assert_eq!(received.expect("something comes").unwrap(), 1);
        taken.pop().unwrap()
    }

    /// Publishes.
    pub async fn send(&self, to: Destination, sent: &Sent<'_>) -> Receipt {
        self.publish(sent.frame(to)).await
    }

    /// Publishes what is as no peer of RackHD's would have it.
    pub async fn publish(&self, frame: Frame) -> Receipt {
        self.seat.publish(frame).await.unwrap()
    }

    /// Replies to a request.
    pub async fn reply(&self, to: &Delivery, sent: &Sent<'_>) -> Receipt {
        let address = to.properties.reply_to.clone().expect("somebody waits");
        self.send(Destination::Address(Address::from(address)), sent).await
    }
}

/// A topic.
#[must_use]
pub fn topic(exchange: &Text, key: &str) -> Destination {
    Destination::Topic { exchange: exchange.clone(), key: Text::from(key) }
}

/// The body of a message.
#[must_use]
pub fn body(delivery: &Delivery) -> Value {
    serde_json::from_slice(&delivery.payload).unwrap()
}

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
        let ip = self.with(|table| table.pinned.remove(&mac));
        Ok(ip.map(|ip| Pinned { ip: Some(ip), mac: None }))
    }

    async fn pin_ip(&self, ip: Ipv4Addr) -> Result<Option<Pinned>, ErrorEvent> {
        Ok(Some(Pinned { ip: Some(ip), mac: None }))
    }

    async fn unpin_ip(&self, ip: Ipv4Addr) -> Result<Option<Pinned>, ErrorEvent> {
        let mac = self.with(|table| table.pinned.iter().find(|(_, pinned)| **pinned == ip).map(|(mac, _)| *mac));
        if let Some(mac) = mac {
            self.with(|table| table.pinned.remove(&mac));
        }
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

//! The service in the native envelope and in RackHD's words, at once, on the in-memory bus and over RabbitMQ.

use std::time::Duration;

use dhcp::{DhcpClient, DhcpError, Known, Pin, State};
use rackhd_api::{DhcpEvent, MacAddress, NodeId, Pinned};
use rmi_amqp::rackhd::RackHd;
use rmi_core::{CallError, Endpoint, Native, Trust, message::RejectionCode, testing::ManualClock};
use rmi_tests::on_core::{Bus, Sent, World, body, topic};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::{ip, ledger, mac, serve};

rmi_tests::on_every_bus! {
    native_callers_get_typed_errors
    rackhds_callers_are_answered_as_rackhds_service_did
    both_generations_and_the_envelope_are_served_at_once
    everybody_is_told_of_a_lease
    a_table_is_told_in_pages
    the_first_major_is_served_by_the_envelope_as_well
}

const NODE: &str = "507f191e810c19729de860ea";

/// The service with all three dialects, and the file of its table.
struct Service {
    bus: Bus,
    _endpoint: Endpoint,
    _directory: TempDir,
    clock: ManualClock,
}

impl Service {
    async fn start(bus: &Bus) -> Self {
        let (on, legacy) = (World::on(bus), World::legacy(bus));
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::default();
        let ledger = ledger(&directory.path().join("leases.redb"), &clock);
        let builder = Endpoint::builder(bus.name("dhcp"))
            .bind(Native::default(), on.seat().await, Trust::insecure())
            .bind(on.dialect.clone(), on.seat().await, Trust::insecure())
            .bind(legacy.dialect.clone(), legacy.seat().await, Trust::insecure());
        Service { bus: bus.clone(), _endpoint: serve(builder, ledger, 3).await, _directory: directory, clock }
    }

    async fn native(&self) -> Endpoint {
        let seat = World::on(&self.bus).seat().await;
        Endpoint::builder(self.bus.name("operator")).bind(Native::default(), seat, Trust::insecure()).start().await.unwrap()
    }

    async fn typed(&self, caller: &Endpoint) -> DhcpClient {
        caller.client(self.bus.name("dhcp").as_str())
    }
}

macro_rules! refused {
    ($call:expr, $error:expr) => {
        match $call.await {
            Err(CallError::Remote(error)) => assert_eq!(error, $error),
            other => panic!("{other:?}"),
        }
    };
}

async fn native_callers_get_typed_errors(bus: Bus) {
    let service = Service::start(&bus).await;
    let caller = service.native().await;
    let dhcp = service.typed(&caller).await;
    let outside = "10.2.0.1".parse().unwrap();
    let pool = || "10.1.1.1-10.1.1.6".to_owned();
    refused!(dhcp.lookup_ip_lease(ip(1)), DhcpError::NotLeased { ip: ip(1) });
    refused!(dhcp.lookup_ip_lease(outside), DhcpError::OutOfPool { ip: outside, pool: pool() });
    refused!(dhcp.lookup_mac_lease(mac(1)), DhcpError::NoLease { mac: mac(1) });
    refused!(dhcp.remove_lease(mac(1)), DhcpError::NoLease { mac: mac(1) });
    refused!(dhcp.remove_lease_by_ip(ip(1)), DhcpError::NotLeased { ip: ip(1) });
    refused!(dhcp.pin_mac(mac(1)), DhcpError::NoLease { mac: mac(1) });
    refused!(dhcp.pin_ip(ip(1)), DhcpError::NotLeased { ip: ip(1) });
    refused!(dhcp.unpin_mac(mac(1)), DhcpError::NotPinned { mac: mac(1) });
    refused!(dhcp.unpin_ip(ip(1)), DhcpError::AddressNotPinned { ip: ip(1) });

    let lease = dhcp.bind_lease(mac(1), None, None).await.unwrap();
    assert_eq!((lease.ip, lease.state), (ip(1), State::Bound));
    assert_eq!(dhcp.lookup_ip_lease(ip(1)).await.unwrap(), mac(1));
    assert_eq!(dhcp.lookup_mac_lease(mac(1)).await.unwrap(), lease);
    assert!(dhcp.ip_in_range(ip(1)).await.unwrap() && !dhcp.ip_in_range(outside).await.unwrap());
    refused!(dhcp.bind_lease(mac(2), Some(ip(1)), None), DhcpError::Taken { ip: ip(1), holder: mac(1) });
    for node in ["", "a.b", "x y", &"x".repeat(65)] {
        let refused = DhcpError::NotANode { node: node.chars().take(64).collect() };
        refused!(dhcp.bind_lease(mac(1), None, Some(NodeId::from(node))), refused);
    }
    let pin = Pin { mac: mac(1), ip: ip(1) };
    assert_eq!((dhcp.pin_mac(mac(1)).await.unwrap(), dhcp.pin_ip(ip(1)).await.unwrap()), (pin, pin));
    refused!(dhcp.bind_lease(mac(1), Some(ip(2)), None), DhcpError::PinnedElsewhere { mac: mac(1), pinned: ip(1) });
    assert_eq!(dhcp.unpin_ip(ip(1)).await.unwrap(), pin);
    assert_eq!(dhcp.remove_lease_by_ip(ip(1)).await.unwrap(), lease);

    for last in 1..=6 {
        dhcp.bind_lease(mac(last), None, None).await.unwrap();
    }
    refused!(dhcp.bind_lease(mac(7), None, None), DhcpError::Exhausted { pool: pool() });
    service.clock.advance(Duration::from_secs(86_400));
    assert_eq!(dhcp.bind_lease(mac(7), None, None).await.unwrap().ip, ip(1));
}

async fn rackhds_callers_are_answered_as_rackhds_service_did(bus: Bus) {
    let service = Service::start(&bus).await;
    let native = service.native().await;
    service.typed(&native).await.bind_lease(mac(1), None, Some(NodeId::from(NODE))).await.unwrap();
    for world in bus.both() {
        let caller = world.caller(if world.legacy { "legacy" } else { "on" }).await;
        let dhcp: rackhd_api::DhcpClient = caller.client("dhcp");
        assert_eq!(dhcp.lookup_ip_lease(ip(1)).await.unwrap(), Some(mac(1)));
        // What there is none of is nothing, and no error: RackHD's API makes a 404 of it.
        assert_eq!(dhcp.lookup_ip_lease(ip(2)).await.unwrap(), None);
        assert_eq!(dhcp.lookup_ip_lease("10.9.9.9".parse().unwrap()).await.unwrap(), None);
        assert!(dhcp.ip_in_range(ip(2)).await.unwrap() && !dhcp.ip_in_range("10.9.9.9".parse().unwrap()).await.unwrap());
        assert_eq!(dhcp.remove_lease(mac(2)).await.unwrap(), None);
        assert_eq!(dhcp.remove_lease_by_ip(ip(2)).await.unwrap(), None);
        assert_eq!(dhcp.pin_mac(mac(2)).await.unwrap(), None);
        assert_eq!(dhcp.unpin_mac(mac(2)).await.unwrap(), None);
        assert_eq!(dhcp.pin_ip(ip(2)).await.unwrap(), None);
        assert_eq!(dhcp.unpin_ip(ip(2)).await.unwrap(), None);

        let table = dhcp.peek_lease_table().await.unwrap();
        let lease = &table.leases[&mac(1)];
        let at = |seconds: u64| Some(service.clock.ahead(Duration::from_secs(seconds)).as_millis());
        assert_eq!((lease.mac, lease.ip_address, lease.bound_flag, lease.reserved_flag), (mac(1), ip(1), true, false));
        let timers = (lease.reservation_timer, lease.renewal_timer, lease.rebinding_timer, lease.expiration_timer);
        assert_eq!(timers, (30, 43_200, 75_600, 86_400));
        let dates = (lease.renewal_expires_at, lease.rebind_expires_at, lease.lease_expires_at);
        assert_eq!(dates, (at(43_200), at(75_600), at(86_400)));
        assert!(table.pinned.is_empty());

        // One half is told: of what is pinned who, of what is pinned no more the other.
        let mac_of = |pinned: Option<Pinned>| pinned.map(|pinned| (pinned.mac, pinned.ip));
        assert_eq!(mac_of(dhcp.pin_mac(mac(1)).await.unwrap()), Some((Some(mac(1)), None)));
        assert_eq!(dhcp.peek_lease_table().await.unwrap().pinned[&mac(1)], ip(1));
        assert_eq!(mac_of(dhcp.unpin_mac(mac(1)).await.unwrap()), Some((None, Some(ip(1)))));
        assert_eq!(mac_of(dhcp.pin_ip(ip(1)).await.unwrap()), Some((None, Some(ip(1)))));
        assert_eq!(mac_of(dhcp.unpin_ip(ip(1)).await.unwrap()), Some((Some(mac(1)), None)));
    }
    let caller = World::on(&bus).caller("last").await;
    let dhcp: rackhd_api::DhcpClient = caller.client("dhcp");
    assert_eq!(dhcp.remove_lease(mac(1)).await.unwrap().unwrap().ip_address, ip(1));
    assert_eq!(dhcp.peek_lease_table().await.unwrap(), rackhd_api::LeaseTable::default());
}

/// What is on the wire for one request, asked by hand.
async fn asked(world: &World, method: &str, kind: &str, value: Value) -> (String, Value) {
    let queue = format!("asked-{}", uuid::Uuid::new_v4().simple());
    let (mut hand, reply_to) = (world.queue(&queue).await, world.bus.name(&queue));
    let body_text = value.to_string();
    let request = Sent { reply_to: Some(&reply_to), ..Sent::json(kind, &body_text) };
    hand.send(topic(&world.exchange("dhcp"), &format!("methods.{method}")), &request).await;
    let reply = hand.next().await;
    (reply.properties.kind.as_deref().unwrap_or_default().to_owned(), body(&reply))
}

async fn both_generations_and_the_envelope_are_served_at_once(bus: Bus) {
    let service = Service::start(&bus).await;
    let native = service.native().await;
    let dhcp = service.typed(&native).await;
    dhcp.bind_lease(mac(1), Some(ip(2)), None).await.unwrap();
    let spoken: [RackHd; 2] = [bus.on(), bus.legacy()];
    for world in spoken.map(|dialect| World::new(&bus, dialect)) {
        let ip_of = |last: u8| json!({ "value": ip(last) });
        assert_eq!(
            asked(&world, "lookupIpLease", "IpAddress", ip_of(2)).await,
            ("MacAddress".to_owned(), json!({ "value": "08:00:27:00:00:01" }))
        );
        // Who asks gets `{}`, and takes that for nobody.
        let nothing = ("Result".to_owned(), json!({ "value": {} }));
        assert_eq!(asked(&world, "lookupIpLease", "IpAddress", ip_of(3)).await, nothing);
        assert_eq!(asked(&world, "ipInRange", "IpAddress", ip_of(3)).await, ("Result".to_owned(), json!({ "value": true })));
        let absent = json!({ "value": "00:11:22:33:44:55" });
        assert_eq!(asked(&world, "removeLease", "MacAddress", absent).await, ("Result".to_owned(), json!({})));
        let (kind, table) = asked(&world, "peekLeaseTable", "Object", json!({})).await;
        assert_eq!((kind.as_str(), &table["value"]["pinned"]), ("Result", &json!({})));
        let lease = &table["value"]["leases"]["08:00:27:00:00:01"];
        assert_eq!((&lease["ipAddress"], &lease["boundFlag"]), (&json!("10.1.1.2"), &json!(true)));
        assert_eq!((&lease["reserveTimer"], &lease["reservationExpiresAt"]), (&json!(""), &json!("")));
        let holder = json!({ "value": "08:00:27:00:00:01" });
        assert_eq!(
            asked(&world, "pinMac", "MacAddress", holder.clone()).await,
            ("Result".to_owned(), json!({ "value": { "mac": "08:00:27:00:00:01" } }))
        );
        assert_eq!(
            asked(&world, "unpinMac", "MacAddress", holder).await,
            ("Result".to_owned(), json!({ "value": { "ip": "10.1.1.2" } }))
        );
        // What only the second major has is not RackHD's.
        let (kind, error) = asked(&world, "bindLease", "Object", json!({ "mac": "08:00:27:00:00:02" })).await;
        assert_eq!((kind.as_str(), &error["name"]), ("ErrorEvent", &json!("NotImplementedError")));
    }
    assert_eq!(dhcp.lookup_ip_lease(ip(2)).await.unwrap(), mac(1));
}

async fn everybody_is_told_of_a_lease(bus: Bus) {
    let service = Service::start(&bus).await;
    let native = service.native().await;
    let (on, legacy) = (World::on(&bus).caller("on").await, World::legacy(&bus).caller("legacy").await);
    let dhcp = service.typed(&native).await;
    for (node, key) in [(Some(NODE), format!("dhcp.bind.success.{NODE}")), (None, "dhcp.bind.success.external".to_owned())] {
        let mut all = Vec::new();
        for endpoint in [&native, &on, &legacy] {
            // On a broker others publish such events to native subscribers as well.
            all.push(endpoint.subscribe::<DhcpEvent>().key(key.as_str()).await.unwrap());
        }
        let lease = dhcp.bind_lease(told(node), None, node.map(NodeId::from)).await.unwrap();
        for events in &mut all {
            let heard = loop {
                let heard = events.next().await.unwrap().unwrap();
                let DhcpEvent::Bound { mac, .. } = &heard.event;
                if *mac == Some(lease.mac) {
                    break heard;
                }
            };
            assert_eq!(heard.key, *key);
            let node = NodeId::from(node.unwrap_or("external"));
            assert_eq!(heard.event, DhcpEvent::Bound { node, ip: Some(lease.ip), mac: Some(lease.mac) });
        }
    }
}

fn told(node: Option<&str>) -> MacAddress {
    // Nobody else's, on whatever broker this is.
    let random = uuid::Uuid::new_v4().into_bytes();
    MacAddress([2, u8::from(node.is_some()), random[0], random[1], random[2], random[3]])
}

async fn a_table_is_told_in_pages(bus: Bus) {
    let service = Service::start(&bus).await;
    let native = service.native().await;
    let dhcp = service.typed(&native).await;
    for last in 1..=5 {
        dhcp.bind_lease(mac(last), None, None).await.unwrap();
    }
    dhcp.pin_mac(mac(4)).await.unwrap();
    // What is pinned is known without a lease as well.
    dhcp.remove_lease(mac(4)).await.unwrap();
    let mut known: Vec<Known> = Vec::new();
    let mut pages = 0;
    loop {
        let page = dhcp.peek_lease_table(known.last().map(|last| last.mac), 2).await.unwrap();
        known.extend(page.entries);
        pages += 1;
        if !page.more {
            break;
        }
    }
    assert_eq!(pages, 3);
    assert_eq!(known.iter().map(|known| known.mac).collect::<Vec<_>>(), (1..=5).map(mac).collect::<Vec<_>>());
    assert_eq!((known[3].lease.as_ref(), known[3].pinned), (None, Some(ip(4))));
    assert_eq!(known[4].lease.as_ref().map(|lease| lease.ip), Some(ip(5)));
    assert_eq!(dhcp.peek_lease_table(None, 0).await.unwrap().entries.len(), 1);
}

async fn the_first_major_is_served_by_the_envelope_as_well(bus: Bus) {
    let service = Service::start(&bus).await;
    let native = service.native().await;
    let first: rackhd_api::DhcpClient = native.client(bus.name("dhcp").as_str());
    assert_eq!(first.lookup_ip_lease(ip(1)).await.unwrap(), None);
    // Who names no version gets the first.
    let peer = native.peer(bus.name("dhcp").as_str());
    assert_eq!(peer.class("dhcp").call::<Value>("lookupIpLease", [ip(1)]).await.unwrap(), Value::Null);
    let Err(CallError::Rejected(rejection)) = peer.class("dhcp").call::<Value>("bindLease", [mac(1)]).await else { panic!() };
    assert_eq!(rejection.code, RejectionCode::UnknownMethod);
}

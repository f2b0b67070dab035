//! A process that speaks as RackHD's do, in JavaScript, on one RabbitMQ with endpoints that speak its words: calls, errors and events
//! both ways, in both generations.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rackhd_api::{
    DhcpClient, DhcpEvent, DhcpServer, GraphId, MacAddress, NodeId, Object, TaskClient,
    events::{GraphEvent, TftpEvent},
    logging::{Level, LogEvent},
};
use rmi_amqp::rackhd::{Profile, Silence};
use rmi_core::{CallError, Endpoint, Trust, transport::Receipt};
use rmi_tests::on_core::{Bus, Leases, World, peer::Peer, table, without_stack};
use serde_json::{Value, json};

const NODE: &str = "507f191e810c19729de860ea";
const GRAPH: &str = "4f2f3a1e-6c39-4b0c-8a53-9d5f3d1a7c10";

fn mac(text: &str) -> MacAddress {
    text.parse().unwrap()
}

fn request(method: &str, kind: &str, value: Value) -> Value {
    let body = if value.is_null() { json!({}) } else { json!({ "value": value }) };
    json!({ "do": "request", "exchange": "dhcp", "key": format!("methods.{method}"), "type": kind, "body": body })
}

#[tokio::test]
async fn a_peer_calls_a_service() {
    for world in Bus::rabbit().both() {
        let _leases = world.leases().await;
        let mut peer = Peer::start(&world).await;
        let lease = |mac: &str| serde_json::to_value(&table().leases[&mac.parse().unwrap()]).unwrap();
        let table = serde_json::to_value(table()).unwrap();
        let calls = [
            ("lookupIpLease", "IpAddress", json!("10.1.1.2"), "MacAddress", json!({ "value": "08:00:27:52:d2:a4" })),
            ("lookupIpLease", "IpAddress", json!("10.1.1.77"), "Result", json!({ "value": {} })),
            ("ipInRange", "IpAddress", json!("10.1.1.2"), "Result", json!({ "value": true })),
            ("peekLeaseTable", "Object", Value::Null, "Result", json!({ "value": table })),
            ("pinMac", "MacAddress", json!("00:11:22:33:44:55"), "Result", json!({ "value": { "mac": "00:11:22:33:44:55" } })),
            ("pinIp", "IpAddress", json!("10.1.1.200"), "Result", json!({ "value": { "ip": "10.1.1.200" } })),
            ("unpinMac", "MacAddress", json!("00:11:22:33:44:55"), "Result", json!({ "value": { "ip": "10.1.1.200" } })),
            ("unpinIp", "IpAddress", json!("10.1.1.200"), "Result", json!({})),
            ("removeLease", "MacAddress", json!("08:00:27:52:d2:a4"), "Result", json!({ "value": lease("08:00:27:52:d2:a4") })),
            ("removeLease", "MacAddress", json!("08:00:27:52:d2:a4"), "Result", json!({})),
            ("removeLeaseByIp", "IpAddress", json!("10.1.1.200"), "Result", json!({ "value": lease("00:11:22:33:44:55") })),
        ];
        for (method, kind, value, replied, expected) in calls {
            let reply = peer.order(request(method, kind, value)).await;
            assert_eq!((&reply["type"], &reply["resolved"]), (&json!(replied), &expected), "{method}: {reply}");
            // The first generation finds its own correlation id again, and headers.
            assert_eq!(reply["correlationId"].is_string(), world.legacy, "{reply}");
            assert_eq!(reply.get("headers"), world.legacy.then_some(&json!({})), "{reply}");
        }
        let failed = peer.order(request("lookupIpLease", "IpAddress", json!("10.1.1.99"))).await;
        let expected = json!({
            "name": "NotFoundError", "message": "no such lease: 10.1.1.99", "context": { "ip": "10.1.1.99" }, "status": 404,
        });
        assert_eq!(without_stack(failed["rejected"].clone()), expected);
        let refused = peer.order(request("lookupIpLease", "Object", json!("10.1.1.2"))).await;
        let at = if world.legacy { String::new() } else { format!(" ({}:methods.lookupIpLease)", world.exchange("dhcp")) };
        assert_eq!(refused["rejected"]["message"], format!("Invalid Request Type{at}."));
        let dashes = peer.order(request("unpinMac", "MacAddress", json!("00-11-22-33-44-55"))).await;
        match world.legacy {
            true => assert_eq!(dashes["resolved"], json!({}), "the first generation's checks let dashes pass"),
            // The last release does not even send that, and does not say so.
            false => {
                assert_eq!(dashes["rejected"]["name"], "RequestTimedOutError");
                assert_eq!(peer.order(json!({ "do": "unhandled" })).await["unhandled"].as_array().unwrap().len(), 1);
            }
        }
        let nobody = peer.order(request("nosuch", "Object", Value::Null)).await;
        assert_eq!(nobody["rejected"]["name"], "RequestTimedOutError");
        peer.is_unharmed().await;
    }
}

#[tokio::test]
async fn a_service_calls_a_peer() {
    for world in Bus::rabbit().both() {
        let mut peer = Peer::start(&world).await;
        peer.order(json!({ "do": "leases", "table": table() })).await;
        let caller = world.caller("on-http").await;
        let dhcp: DhcpClient = caller.client("dhcp");
        let (first, second) = ("10.1.1.2".parse().unwrap(), "10.1.1.200".parse().unwrap());
        let (a, b) = (mac("08:00:27:52:d2:a4"), mac("00:11:22:33:44:55"));
        assert_eq!(dhcp.lookup_ip_lease(first).await.unwrap(), Some(a));
        assert_eq!(dhcp.lookup_ip_lease("10.1.1.77".parse().unwrap()).await.unwrap(), None);
        let CallError::Remote(error) = dhcp.lookup_ip_lease("10.1.1.99".parse().unwrap()).await.unwrap_err() else { panic!() };
        assert_eq!(
            (error.name.as_str(), error.message.as_str(), error.status),
            ("NotFoundError", "no such lease: 10.1.1.99", Some(404))
        );
        // The first generation does not say it; its name does.
        assert!(error.stack.contains("\n    at "), "{}", error.stack);
        assert_eq!(error.context["ip"], "10.1.1.99");
        assert!(dhcp.ip_in_range(first).await.unwrap());
        assert_eq!(dhcp.peek_lease_table().await.unwrap(), table());
        assert_eq!(dhcp.pin_mac(a).await.unwrap().unwrap().mac, Some(a));
        assert_eq!(dhcp.pin_ip(first).await.unwrap().unwrap().ip, Some(first));
        assert_eq!(dhcp.unpin_mac(b).await.unwrap().unwrap().ip, Some(second));
        assert_eq!(dhcp.unpin_ip(second).await.unwrap(), None);
        assert_eq!(dhcp.remove_lease(a).await.unwrap().unwrap().ip_address, first);
        assert_eq!(dhcp.remove_lease(a).await.unwrap(), None);
        assert_eq!(dhcp.remove_lease_by_ip(second).await.unwrap().unwrap().mac, b);
        peer.is_unharmed().await;
    }
}

#[tokio::test]
async fn what_is_told_is_heard_on_the_other_side() {
    for world in Bus::rabbit().both() {
        let mut peer = Peer::start(&world).await;
        peer.order(json!({ "do": "serve", "exchange": "task", "pattern": "#" })).await;
        let caller = world.caller("on-http").await;
        let task: TaskClient = caller.client("task");
        task.run("t1".into()).await.unwrap();
        let told = peer.hears().await;
        assert_eq!(told["correlationId"].is_string(), world.legacy);
        assert_eq!((&told["key"], &told["type"], &told["body"]), (&json!("run.t1"), &json!("Result"), &json!({ "value": {} })));
        assert_eq!((told.get("replyTo"), &told["contentType"]), (None, &json!("application/json")));
        assert_eq!(
            told.get("headers").filter(|headers| world.legacy || **headers != json!({})),
            world.legacy.then_some(&json!({}))
        );

        // Somebody is there, and says nothing: that means no, after the call's time.
        assert_eq!(task.active_task_exists(NODE.into()).unless_silent().await.unwrap(), None);
        let silent = task.request_profile(NODE.into()).timeout(Duration::from_millis(100)).await.unwrap_err();
        assert!(matches!(silent, CallError::Timeout { .. }), "{silent:?}");
        peer.is_unharmed().await;
    }
}

#[tokio::test]
async fn any_instance_may_reply_first() {
    let world = World::on(&Bus::rabbit());
    let mut peers = [Peer::start(&world).await, Peer::start(&world).await];
    for (peer, profile) in peers.iter_mut().zip(["one.ipxe", "other.ipxe"]) {
        let reply = json!({ "type": "Result", "body": { "value": profile } });
        peer.order(json!({ "do": "serve", "exchange": "task", "pattern": "methods.requestProfile.*", "reply": reply })).await;
    }
    let caller = world.caller("on-http").await;
    let task: TaskClient = caller.client("task");
    for _ in 0..5 {
        let profile = task.request_profile(NODE.into()).timeout(Duration::from_secs(30)).await.unwrap().unwrap();
        assert!(["one.ipxe", "other.ipxe"].contains(&&*profile), "{profile}");
        // Both have got it: the second reply goes nowhere.
        for peer in &mut peers {
            assert_eq!(peer.hears().await["key"], format!("methods.requestProfile.{NODE}"));
        }
    }
    assert_eq!(caller.figures()[0].calls_waiting, 0);
}

#[tokio::test]
async fn a_peers_events_are_heard() {
    for world in Bus::rabbit().both() {
        let mut peer = Peer::start(&world).await;
        let endpoint = world.caller("on-http").await;
        let mut files = endpoint.subscribe::<TftpEvent>().await.unwrap();
        let mut logs = endpoint.subscribe::<LogEvent>().await.unwrap();
        let sent =
            json!({ "file": "monorail.ipxe", "remoteAddress": "10.1.1.2", "remotePort": 2070, "size": 1234, "time": "3.141" });
        let key = format!("tftp.success.{NODE}");
        peer.order(json!({ "do": "publish", "exchange": "events", "key": key, "type": "Object", "body": sent })).await;
        let heard = files.next().await.unwrap().unwrap();
        let expected = TftpEvent::Success {
            node: NODE.into(),
            file: "monorail.ipxe".to_owned(),
            remote_address: Some("10.1.1.2".to_owned()),
            remote_port: Some(2070),
            size: Some(1234),
            time: Some("3.141".to_owned()),
        };
        assert_eq!((heard.event, &*heard.key), (expected, &*key));
        let said = json!({
            "name": "on-x", "level": "warning", "message": "careful", "context": { "a": 1 },
            "timestamp": "2015-01-20T00:00:00.000Z", "caller": "/lib/x.js:1", "subject": "Server",
        });
        peer.order(json!({ "do": "publish", "exchange": "logging", "key": "warning", "type": "LogEvent", "body": said })).await;
        let heard = logs.next().await.unwrap().unwrap().event;
        assert_eq!((heard.level, &*heard.message, &*heard.subject), (Level::Warning, "careful", "Server"));
    }
}

#[tokio::test]
async fn a_peer_hears_events() {
    for world in Bus::rabbit().both() {
        let mut peer = Peer::start(&world).await;
        let endpoint = world.caller("on-dhcp").await;
        for (exchange, pattern, kind) in [
            ("events", "graph.finished.*", None),
            ("events", "dhcp.bind.success.*", None),
            ("logging", "error", Some("LogEvent")),
        ] {
            peer.order(json!({ "do": "serve", "exchange": exchange, "pattern": pattern, "type": kind })).await;
        }
        let finished = GraphEvent::Finished {
            graph: GraphId::from(GRAPH),
            graph_name: Some("noop-graph".to_owned()),
            status: Some("succeeded".to_owned()),
        };
        endpoint.publish(&finished).await.unwrap();
        let heard = peer.hears().await;
        assert_eq!((&heard["key"], &heard["type"]), (&json!(format!("graph.finished.{GRAPH}")), &json!("Object")));
        assert_eq!(heard["body"], json!({ "graphName": "noop-graph", "status": "succeeded" }));
        let id = heard["correlationId"].as_str().map(|id| id.parse::<uuid::Uuid>().unwrap());
        assert_eq!((id.is_some(), heard.get("replyTo")), (world.legacy, None), "{heard}");

        let bound = DhcpEvent::Bound {
            node: NodeId::from(NODE),
            ip: Some("10.1.1.2".parse().unwrap()),
            mac: Some(mac("08:00:27:52:d2:a4")),
        };
        endpoint.publish(&bound).await.unwrap();
        assert_eq!(peer.hears().await["body"], json!({ "ip": "10.1.1.2", "mac": "08:00:27:52:d2:a4" }));

        let log = LogEvent {
            name: "on-dhcp".to_owned(),
            host: "h".to_owned(),
            module: "m".to_owned(),
            level: Level::Error,
            message: "no pool".to_owned(),
            context: Object::new(),
            timestamp: "2015-01-20T00:00:00.000Z".to_owned(),
            caller: "x.rs:1".to_owned(),
            subject: "Server".to_owned(),
            trace: None,
        };
        endpoint.publish(&log).await.unwrap();
        let heard = peer.hears().await;
        assert_eq!(
            (&heard["type"], &heard["key"], &heard["body"]["message"]),
            (&json!("LogEvent"), &json!("error"), &json!("no pool"))
        );
        // Nobody listens to another level, and that is no error.
        let other = endpoint.publish(&LogEvent { level: Level::Debug, ..log }).await.unwrap();
        assert_ne!(other, Receipt::NoRoute);
        peer.is_unharmed().await;
    }
}

#[tokio::test]
async fn a_direct_reply_queue_is_replied_to_whatever_its_name_is() {
    let world = World::on(&Bus::rabbit());
    let _leases = world.leases().await;
    let mut peer = Peer::start(&world).await;
    // Their names are drawn, and many have a `/` in them.
    for _ in 0..20 {
        let asked = json!({ "value": "10.1.1.2" });
        let order = json!({ "do": "direct", "exchange": "dhcp", "key": "methods.ipInRange", "type": "IpAddress", "body": asked });
        assert_eq!(peer.order(order).await["resolved"], json!({ "value": true }));
    }
}

/// An exchange is declared as the first who came declared it.
#[tokio::test]
async fn whoever_cannot_agree_on_an_exchange_takes_it_as_it_is() {
    let world = World::on(&Bus::rabbit());
    let _leases = world.leases().await;
    let with = |profile: Profile| {
        let world = World::new(&world.bus, world.bus.speaking(profile, "on."));
        async move {
            let seat = world.seat().await;
            let builder = Endpoint::builder(world.bus.name("another")).bind(world.dialect.clone(), seat, Trust::insecure());
            builder.serve(DhcpServer::new(Leases::default())).start().await.map(|endpoint| (world, endpoint))
        }
    };
    let refused = with(Profile::on().auto_delete(true)).await.unwrap_err();
    assert!(format!("{refused:?}").contains("auto_delete"), "{refused:?}");
    let (world, _endpoint) = with(Profile::on().auto_delete(true).passive(true)).await.unwrap();
    let caller = world.caller("on-http").await;
    let dhcp: DhcpClient = caller.client("dhcp");
    assert!(dhcp.ip_in_range("10.1.1.2".parse().unwrap()).await.unwrap());
}

#[tokio::test]
async fn long_bodies_with_any_characters_come_through() {
    let world = World::on(&Bus::rabbit());
    let mut peer = Peer::start(&world).await;
    let long = "ü𝄞\"\\".repeat(30_000);
    let reply = json!({ "type": "Result", "body": { "value": { "a": long } } });
    let pattern = "methods.requestProperties.*";
    peer.order(json!({ "do": "serve", "exchange": "task", "pattern": pattern, "reply": reply })).await;
    let caller = world.caller("on-http").await;
    let task: TaskClient = caller.client("task");
    let properties = task.request_properties(NODE.into()).await.unwrap().unwrap();
    assert_eq!(properties["a"], long);
    peer.is_unharmed().await;
}

//! RackHD's events: each on its exchange, under its key, and back again; in RackHD's words and by the envelope.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Debug;

use rackhd_api::{
    DhcpEvent, ExternalEvent, GraphId, NodeId, Object, Severity, TaskId,
    events::{
        Alert, ErrorTold, GraphEvent, HttpCallback, HttpPublished, HttpResponse, NodeEvent, Notification, PollerAlert, TftpEvent,
    },
    later::{Heartbeat, RecordChanged, SsdpAlert, SsdpDevice},
    logging::{Level, LogEvent, LogLayer, Options},
    task_events::{PollerResult, Triggered},
};
use rmi_amqp::rackhd::{Profile, RackHd};
use rmi_core::{Endpoint, Native, RemoteEvent, Trust};
use rmi_tests::on_core::{Bus, Sent, World, body, topic};
use serde_json::{Value, json};
use tracing_subscriber::prelude::*;

rmi_tests::on_every_bus! {
    every_event_goes_where_it_belongs_and_comes_back
    logs_have_the_levels_of_both_generations
    what_a_program_traces_is_told
    heartbeats_of_2016_have_a_dialect_of_their_own
    what_is_no_event_of_a_type_is_passed_over
}

const NODE: &str = "507f191e810c19729de860ea";
const GRAPH: &str = "4f2f3a1e-6c39-4b0c-8a53-9d5f3d1a7c10";

fn object(value: Value) -> Object {
    value.as_object().unwrap().clone()
}

/// Publishes an event in RackHD's words and by the envelope, and hears it in both; where it was is checked.
async fn there_and_back<E: RemoteEvent + Clone + PartialEq + Debug>(at: &At, event: E, exchange: &str, key: &str, kind: &str) {
    let mut by_hand = at.world.hand(exchange, key).await;
    let (mut rackhd, mut native) = (at.rackhd.subscribe::<E>().await.unwrap(), at.native.subscribe::<E>().await.unwrap());
    at.rackhd.publish(&event).await.unwrap();
    at.native.publish(&event).await.unwrap();
    let heard = by_hand.next().await;
    let expected = (at.world.exchange(exchange), key, Some(kind));
    assert_eq!((heard.exchange.clone(), &*heard.key, heard.properties.kind.as_deref()), expected);
    assert!(body(&heard).is_object());
    for events in [&mut rackhd, &mut native] {
        let heard = events.next().await.unwrap().unwrap();
        assert_eq!((&heard.event, &*heard.key), (&event, key));
    }
}

struct At {
    world: World,
    rackhd: Endpoint,
    native: Endpoint,
}

impl At {
    async fn new(world: World) -> Self {
        let rackhd = world.caller("rackhd").await;
        let exchange = world.bus.name("envelopes");
        let native = Endpoint::builder(world.bus.name("native"));
        let native = native.bind(Native::default().events_exchange(exchange), world.seat().await, Trust::insecure());
        At { rackhd, native: native.start().await.unwrap(), world }
    }
}

async fn every_event_goes_where_it_belongs_and_comes_back(bus: Bus) {
    let at = &At::new(World::on(&bus)).await;
    let (node, graph, value) = (|| NodeId::from(NODE), || GraphId::from(GRAPH), || object(json!({ "host": "10.1.1.3" })));

    let sent = TftpEvent::Success {
        node: node(),
        file: "monorail.ipxe".to_owned(),
        remote_address: Some("10.1.1.2".to_owned()),
        remote_port: Some(2070),
        size: Some(1234),
        time: Some("3.141".to_owned()),
    };
    there_and_back(at, sent, "events", &format!("tftp.success.{NODE}"), "Object").await;
    let failed = TftpEvent::Failure { node: node(), file: None, remote_address: None, remote_port: None };
    there_and_back(at, failed, "events", &format!("tftp.failure.{NODE}"), "Object").await;
    let answered = HttpResponse {
        node: "external".into(),
        address: Some("10.1.1.2".to_owned()),
        method: Some("GET".to_owned()),
        url: Some("/".to_owned()),
        status_code: Some(200),
        time: None,
    };
    there_and_back(at, answered, "events", "http.response.external", "Object").await;
    let called = HttpCallback { id: Some(GRAPH.to_owned()), body: object(json!({ "any": [1] })) };
    there_and_back(at, called, "events", &format!("http.response.{GRAPH}"), "Object").await;
    there_and_back(at, HttpPublished { body: value() }, "http", "http.response", "Object").await;
    let bound =
        DhcpEvent::Bound { node: node(), ip: Some("10.1.1.2".parse().unwrap()), mac: Some("08:00:27:52:d2:a4".parse().unwrap()) };
    there_and_back(at, bound, "events", &format!("dhcp.bind.success.{NODE}"), "Object").await;

    let name = || Some("noop-graph".to_owned());
    let started = GraphEvent::Started { graph: graph(), graph_name: name(), status: Some("running".to_owned()) };
    there_and_back(at, started, "events", &format!("graph.started.{GRAPH}"), "Object").await;
    let finished = GraphEvent::Finished { graph: graph(), graph_name: None, status: Some("succeeded".to_owned()) };
    there_and_back(at, finished, "events", &format!("graph.finished.{GRAPH}"), "Object").await;
    there_and_back(at, GraphEvent::TaskFinished { task: TaskId::from("2a8c") }, "events", "task.finished.2a8c", "Object").await;
    let finished = GraphEvent::TaskFinishedInDomain {
        domain: "default".to_owned(),
        task_id: TaskId::from("2a8c"),
        task_name: Some("Task.noop".to_owned()),
        graph_id: Some(graph()),
        graph_name: name(),
        state: "succeeded".to_owned(),
        error: None,
        context: object(json!({ "target": NODE })),
        terminal_on_states: vec!["succeeded".to_owned()],
    };
    there_and_back(at, finished, "events", "default.task.finished", "Object").await;
    let assigned = GraphEvent::SkuAssigned { node: node(), sku: Some("s1".to_owned()) };
    there_and_back(at, assigned, "events", &format!("sku.assigned.{NODE}"), "Object").await;
    let seen = || vec![Alert { reading: object(json!({ "sensorId": "x" })), more: Object::new() }];
    let alert = PollerAlert::Of { graph: graph(), value: seen() };
    there_and_back(at, alert, "events", &format!("poller.alert.{GRAPH}"), "Result").await;
    let alert = PollerAlert::By { poller: "sdr".to_owned(), graph: graph(), value: seen() };
    there_and_back(at, alert, "events", &format!("poller.alert.sdr.{GRAPH}"), "Result").await;

    let ipmi = PollerResult::Ipmi { command: "sdr".to_owned(), graph: graph(), value: value() };
    there_and_back(at, ipmi, "task", &format!("ipmi.command.sdr.result.{GRAPH}"), "Result").await;
    let snmp = PollerResult::Snmp { graph: graph(), value: value() };
    there_and_back(at, snmp, "task", &format!("snmp.command.result.{GRAPH}"), "Result").await;
    let redfish = PollerResult::Redfish { command: "power".to_owned(), graph: graph(), value: json!([]) };
    there_and_back(at, redfish, "task", &format!("redfish.command.power.result.{GRAPH}"), "Result").await;
    let metric = PollerResult::Metric { name: "temperature".to_owned(), graph: graph(), value: json!(21.5) };
    there_and_back(at, metric, "task", &format!("metric.temperature.result.{GRAPH}"), "Result").await;
    let triggered = Triggered { graph: graph(), group: "bootstrap".to_owned(), kind: "finish".to_owned() };
    there_and_back(at, triggered, "task", &format!("trigger.{GRAPH}.bootstrap.finish"), "Object").await;

    let told = Notification { node: None, body: object(json!({ "message": "hi" })) };
    there_and_back(at, told.clone(), "events", "notification", "Object").await;
    there_and_back(at, Notification { node: Some(node()), ..told }, "events", &format!("notification.{NODE}"), "Object").await;
    let error = ErrorTold { kind: Some("unhandled".to_owned()), body: object(json!({ "message": "m" })) };
    there_and_back(at, error, "events", "errors.unhandled", "Object").await;
    there_and_back(at, NodeEvent { what: Some("node".to_owned()), body: value() }, "events", "event.node", "Object").await;
    let external = ExternalEvent {
        about: "graph".to_owned(),
        action: "progress.updated".to_owned(),
        type_id: GRAPH.to_owned(),
        node_id: Some(NODE.to_owned()),
        severity: Severity::Information,
        data: json!({ "status": "running" }),
        version: "1.0".to_owned(),
        created_at: "2017-01-23T07:36:53.092Z".to_owned(),
    };
    there_and_back(at, external.clone(), "events", &format!("graph.progress.updated.information.{GRAPH}.{NODE}"), "Object").await;
    let lives = ExternalEvent {
        about: "heartbeat".to_owned(),
        action: "updated".to_owned(),
        type_id: "host.example.com.on-taskgraph".to_owned(),
        node_id: None,
        ..external
    };
    there_and_back(at, lives, "events", "heartbeat.updated.information.host.example.com.on-taskgraph", "Object").await;

    let record = || object(json!({ "id": NODE }));
    let changed = RecordChanged::Updated {
        collection: "nodes".to_owned(),
        id: NODE.to_owned(),
        event: "updated".to_owned(),
        record: record(),
    };
    there_and_back(at, changed, "waterline", &format!("nodes.updated.{NODE}"), "Object").await;
    let tagged = RecordChanged::TagAdded {
        collection: "nodes".to_owned(),
        id: NODE.to_owned(),
        event: "tag-added".to_owned(),
        record: record(),
    };
    there_and_back(at, tagged, "waterline", &format!("nodes.tag-added.{NODE}"), "Object").await;
    let device =
        SsdpDevice { presence: "present".to_owned(), headers: object(json!({ "USN": "uuid:f40c" })), info: Object::new() };
    let ssdp = SsdpAlert { usn: "uuid:f40c::urn:x.y".to_owned(), value: device };
    there_and_back(at, ssdp, "ssdp", "ssdp.alert.uuid:f40c::urn:x.y", "Result").await;
}

fn log(level: Level) -> LogEvent {
    LogEvent {
        name: "on-x".to_owned(),
        host: "h".to_owned(),
        module: "M".to_owned(),
        level,
        message: "careful".to_owned(),
        context: object(json!({ "a": 1 })),
        timestamp: "2015-01-20T00:00:00.000Z".to_owned(),
        caller: "/lib/x.js:1".to_owned(),
        subject: "Server".to_owned(),
        trace: None,
    }
}

const OF_THE_FIRST: [&str; 5] = ["emerg", "alert", "crit", "notice", "silly"];

async fn logs_have_the_levels_of_both_generations(bus: Bus) {
    for (world, others) in [(World::legacy(&bus), &["critical"][..]), (World::on(&bus), &OF_THE_FIRST)] {
        let at = &At::new(world).await;
        for level in Level::ALL {
            // What the other generation would refuse as a `LogEvent` does not call itself that.
            let kind = if others.contains(&level.as_str()) { "Object" } else { "LogEvent" };
            there_and_back(at, log(*level), "logging", level.as_str(), kind).await;
        }
    }
    let at = &At::new(World::on(&bus)).await;
    // As the conventions were written down, and as somebody may say it who leaves out most.
    let mut logs = at.rackhd.subscribe::<LogEvent>().await.unwrap();
    let by_hand = at.world.queue("anybody").await;
    by_hand.send(topic(&at.world.exchange("logging"), "crti"), &Sent::json("Object", r#"{"message":"m","level":"crti"}"#)).await;
    let heard = logs.next().await.unwrap().unwrap().event;
    assert_eq!((heard.level, &*heard.message, &*heard.subject), (Level::Crit, "m", ""));
}

async fn what_a_program_traces_is_told(bus: Bus) {
    let world = World::on(&bus);
    let endpoint = world.caller("on-dhcp").await;
    let mut logs = endpoint.subscribe::<LogEvent>().await.unwrap();
    let (layer, forwarding) = LogLayer::new(Options::new("on-dhcp", "host-1").first_generation().capacity(6).ignore("noise"));
    let dropped = forwarding.dropped();
    let tracing = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(tracing, || {
        tracing::error!(level = "emerg", "the pool is gone");
        tracing::warn!(id = NODE, ipmi_password = "secret", count = 3, fine = true, "almost {}", "empty");
        tracing::info!(target: "noise", "not told");
        tracing::info!(target: "rmi_core::endpoint", "not told");
        tracing::info!(mac = %"08:00:27:52:d2:a4", ip = "10.1.1.2", "bound");
        tracing::debug!("debug");
        tracing::trace!("trace");
        tracing::warn!("the last that there is room for");
        tracing::warn!("one too many");
    });
    assert_eq!(dropped.load(std::sync::atomic::Ordering::SeqCst), 1);
    let mut by_hand = world.hand("logging", "warning").await;
    let forwarding = tokio::spawn(forwarding.run(endpoint.clone()));
    let mut told = Vec::new();
    for _ in 0..6 {
        told.push(logs.next().await.unwrap().unwrap().event);
    }
    let levels: Vec<_> = told.iter().map(|log| log.level).collect();
    assert_eq!(levels, [Level::Emerg, Level::Warning, Level::Info, Level::Debug, Level::Silly, Level::Warning]);
    assert_eq!((&*told[0].message, &*told[0].subject, told[0].context.len()), ("the pool is gone", "Server", 0));
    assert_eq!((&*told[1].message, &*told[1].subject), ("almost empty", NODE));
    assert_eq!(told[1].context, object(json!({ "ipmi_password": "[REDACTED]", "count": 3, "fine": true })));
    assert_eq!((&*told[1].name, &*told[1].host), ("on-dhcp", "host-1"));
    assert!(told[1].caller.contains("rackhd_events.rs:") && told[1].timestamp.ends_with('Z'), "{:?}", told[1]);
    assert_eq!((&*told[2].subject, told[2].context.len()), ("08:00:27:52:d2:a4", 0));
    assert_eq!(by_hand.next().await.properties.kind.as_deref(), Some("LogEvent"));
    // The layer has gone, and with it what there was to forward.
    forwarding.await.unwrap();
}

async fn heartbeats_of_2016_have_a_dialect_of_their_own(bus: Bus) {
    let dialect = RackHd::new(Profile::on().prefix(bus.name("on."))).events(rackhd_api::HEARTBEATS);
    let world = World::new(&bus, dialect);
    let endpoint = world.caller("on-x").await;
    let mut beats = endpoint.subscribe::<Heartbeat>().await.unwrap();
    let mut by_hand = world.hand("heartbeat", "#").await;
    let beat = Heartbeat { process: "host.example.com.on-x".to_owned(), value: object(json!({ "pid": 7 })) };
    endpoint.publish(&beat).await.unwrap();
    assert_eq!(beats.next().await.unwrap().unwrap().event, beat);
    let heard = by_hand.next().await;
    assert_eq!((&*heard.key, heard.properties.kind.as_deref()), ("host.example.com.on-x", Some("Result")));
    assert_eq!(body(&heard), json!({ "value": { "pid": 7 } }));
}

async fn what_is_no_event_of_a_type_is_passed_over(bus: Bus) {
    let world = World::on(&bus);
    let endpoint = world.caller("on-x").await;
    let mut graphs = endpoint.subscribe::<GraphEvent>().await.unwrap();
    let by_hand = world.queue("anybody").await;
    let events = world.exchange("events");
    for poison in ["null", "7", "", "{"] {
        by_hand.send(topic(&events, "graph.started.g"), &Sent::json("Object", poison)).await;
    }
    let bytes = Sent { content_type: None, ..Sent::json("Object", "{}") };
    by_hand.send(topic(&events, "graph.started.g"), &bytes).await;
    by_hand.send(topic(&events, "graph.started.g"), &Sent::json("Whatever", r#"{"status":"running"}"#)).await;
    let heard = graphs.next().await.unwrap().unwrap().event;
    assert_eq!(heard, GraphEvent::Started { graph: "g".into(), graph_name: None, status: Some("running".to_owned()) });
    assert_eq!(graphs.figures().refused, 5);
    // An event whose body is no object is not published.
    assert!(endpoint.publish_raw("graph.started.g", json!([1])).await.is_err());
}

//! What a RackHD responder answers to whatever it is sent, and what a RackHD requester makes of whatever it is answered.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use rackhd_api::{DhcpClient, ErrorEvent};
use rmi_core::{CallError, Endpoint, transport::Receipt};
use rmi_tests::{
    on_core::{Bus, Hand, Sent, World, body, topic, without_stack},
    soon::soon,
};
use serde_json::{Value, json};

rmi_tests::on_every_bus! {
    probes_are_answered_as_a_responder_of_rackhd_answers_them
    what_else_peers_send_is_answered_or_refused_and_harms_nobody
    replies_are_read_as_a_requester_of_rackhd_reads_them
    errors_keep_everything_that_their_peer_said
    a_reply_that_is_none_does_not_end_the_call
    each_call_has_a_queue_of_its_own_and_takes_one_reply
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/rackhd.json")).unwrap()
}

/// Sends a probe; its reply.
async fn ask(world: &World, peer: &mut Hand, key: &str, sent: &Sent<'_>) -> Value {
    peer.send(topic(&world.exchange("dhcp"), key), &Sent { reply_to: Some(&world.bus.name("probes")), ..sent.clone() }).await;
    let reply = peer.next().await;
    assert_eq!(reply.properties.content_type.as_deref(), Some("application/json"));
    assert_eq!(reply.properties.correlation_id, None);
    json!({ "type": reply.properties.kind.as_deref(), "body": body(&reply) })
}

/// Sends what is not answered, and what is certainly answered after it.
async fn ask_in_vain(world: &World, peer: &mut Hand, key: &str, sent: &Sent<'_>) {
    peer.send(topic(&world.exchange("dhcp"), key), &Sent { reply_to: Some(&world.bus.name("probes")), ..sent.clone() }).await;
    let next = ask(world, peer, "methods.ipInRange", &Sent::json("IpAddress", r#"{"value":"10.1.1.7"}"#)).await;
    assert_eq!(next, json!({ "type": "Result", "body": { "value": true } }), "{sent:?}");
}

/// What was said, where the exchange has this name.
fn here(world: &World, body: &Value) -> Value {
    serde_json::from_str(&body.to_string().replace("on.dhcp", &world.exchange("dhcp"))).unwrap()
}

/// The method that a probe was for, which the vectors do not say.
fn key_of(probe: &str) -> &'static str {
    match probe {
        "MAC upper case" => "methods.removeLease",
        probe if probe.starts_with("untyped RPC") || probe.starts_with("type names another") => "methods.peekLeaseTable",
        _ => "methods.lookupIpLease",
    }
}

async fn probes_are_answered_as_a_responder_of_rackhd_answers_them(bus: Bus) {
    let world = World::on(&bus);
    let _leases = world.leases().await;
    let mut peer = world.queue("probes").await;
    ask(&world, &mut peer, "methods.unpinMac", &Sent::json("MacAddress", r#"{"value":"00:11:22:33:44:55"}"#)).await;
    let mut asked = 0;
    for probe in vectors()["head"]["foreignRequesterProbes"].as_array().unwrap() {
        let (name, sent) = (probe["probe"].as_str().unwrap(), &probe["sent"]);
        let Some(said) = sent["body"].as_str() else { continue };
        asked += 1;
        let properties = &sent["properties"];
        let (content_type, kind) = (properties["contentType"].as_str(), properties["type"].as_str());
        let sent = Sent { body: said, content_type, kind, reply_to: None };
        let expected = match &probe["reply"] {
            // What brought the responder down is refused here, and the next is answered.
            Value::Null if name.starts_with("poison") => {
                ask_in_vain(&world, &mut peer, key_of(name), &sent).await;
                continue;
            }
            // What came while it was down, and what named something to be called: an object like others.
            Value::Null => {
                let answer = ask(&world, &mut peer, key_of(name), &sent).await;
                assert_ne!(answer["type"], "ErrorEvent", "{name}");
                continue;
            }
            reply => reply,
        };
        let answer = ask(&world, &mut peer, key_of(name), &sent).await;
        assert_eq!(answer["type"], expected["properties"]["type"], "{name}");
        assert_eq!(without_stack(answer["body"].clone()), without_stack(here(&world, &expected["body"])), "{name}");
    }
    assert_eq!(asked, 19);
}

async fn what_else_peers_send_is_answered_or_refused_and_harms_nobody(bus: Bus) {
    let world = World::on(&bus);
    let leases = world.leases().await;
    let mut peer = world.queue("probes").await;
    let error = |message: &str| json!({ "name": "Error", "message": message, "context": {} });
    let violation = || error("SchemaError: JSON Schema Violation");
    let lookup = "methods.lookupIpLease";
    let wrong_type = error(&format!("Invalid Request Type ({}:{lookup}).", world.exchange("dhcp")));
    let answered = [
        (lookup, Sent { content_type: Some("text/json"), ..Sent::json("IpAddress", r#"{"value":"10.1.1.2","more":[1]}"#) }, None),
        (
            lookup,
            Sent { content_type: Some("application/json; charset=utf-8"), ..Sent::json("IpAddress", r#"{"value":"10.1.1.2"}"#) },
            Some(violation()),
        ),
        (lookup, Sent::json("IpAddress", r#"{"value":"300.1.1.2"}"#), Some(violation())),
        (lookup, Sent::json("IpAddress", r#"{"value":{"deep":[]}}"#), Some(violation())),
        (lookup, Sent::json("IpAddress", "[]"), Some(violation())),
        (lookup, Sent::json("MacAddress", r#"{"value":"10.1.1.2"}"#), Some(wrong_type.clone())),
        (lookup, Sent::json("Services.Messenger", r#"{"value":"10.1.1.2"}"#), Some(wrong_type)),
        ("methods.removeLease", Sent::json("MacAddress", r#"{"value":"08-00-27-52-d2-a4"}"#), Some(violation())),
        ("methods.peekLeaseTable", Sent { kind: None, ..Sent::json("", "{}") }, None),
    ];
    for (key, sent, failed) in answered {
        let what = format!("{key} {sent:?}");
        let answer = ask(&world, &mut peer, key, &sent).await;
        match failed {
            Some(error) => {
                assert_eq!((&answer["type"], without_stack(answer["body"].clone())), (&json!("ErrorEvent"), error), "{what}")
            }
            None => assert_ne!(answer["type"], "ErrorEvent", "{what}"),
        }
    }
    let malformed = leases.figures()[0].malformed;
    let poison = ["", "null", "7", "\"x\"", "{\"value\":", "{\"value\":\"10.1.1.2\"} {}", "\u{0}"];
    for said in poison {
        ask_in_vain(&world, &mut peer, lookup, &Sent::json("IpAddress", said)).await;
    }
    assert_eq!(leases.figures()[0].malformed - malformed, poison.len() as u64);
}

async fn calling(world: &World) -> (Endpoint, DhcpClient, Hand) {
    let caller = world.caller("on-http").await;
    let dhcp = caller.client("dhcp");
    (caller, dhcp, world.hand("dhcp", "methods.*").await)
}

async fn replies_are_read_as_a_requester_of_rackhd_reads_them(bus: Bus) {
    let world = World::on(&bus);
    let (caller, _, mut peer) = calling(&world).await;
    let class = caller.peer("dhcp").class("dhcp");
    let mac = "08:00:27:52:d2:a4";
    let value = json!({ "value": mac }).to_string();
    let results = [
        (Sent::json("MacAddress", &value), json!(mac)),
        (Sent::json("Whatever", &value), json!(mac)),
        (Sent { kind: None, ..Sent::json("", &value) }, json!(mac)),
        (Sent { content_type: None, ..Sent::json("MacAddress", &value) }, Value::Null),
        (Sent::json("MacAddress", r#"{"value":"not a mac"}"#), json!("not a mac")),
        (Sent::json("Result", "{}"), Value::Null),
        (Sent::json("Result", r#"{"value":{}}"#), Value::Null),
        // An error is one by its type alone.
        (Sent::json("Object", r#"{"name":"NotFoundError","message":"m","stack":"s","context":{},"value":7}"#), json!(7)),
    ];
    for (sent, expected) in results {
        let call = tokio::spawn(class.call::<Value>("lookupIpLease", ["10.1.1.2"]).into_future());
        let request = peer.next().await;
        peer.reply(&request, &sent).await;
        assert_eq!(call.await.unwrap().unwrap(), expected, "{sent:?}");
    }
}

async fn errors_keep_everything_that_their_peer_said(bus: Bus) {
    let world = World::on(&bus);
    let (_caller, dhcp, mut peer) = calling(&world).await;
    let complete = ErrorEvent {
        name: "NotFoundError".to_owned(),
        message: "m".to_owned(),
        stack: "NotFoundError: m\n    at x.js:1:1".to_owned(),
        context: [("a".to_owned(), json!(1))].into_iter().collect(),
        status: Some(404),
    };
    let said = serde_json::to_string(&complete).unwrap();
    let extra = ErrorEvent { context: serde_json::Map::new(), status: None, ..ErrorEvent::new("E", "m") };
    for (said, expected) in [(&*said, complete), (r#"{"name":"E","message":"m","more":true}"#, extra)] {
        let call = tokio::spawn(dhcp.lookup_ip_lease("10.1.1.2".parse().unwrap()).into_future());
        let request = peer.next().await;
        peer.reply(&request, &Sent::json("ErrorEvent", said)).await;
        let failed = call.await.unwrap().unwrap_err();
        let CallError::Remote(error) = failed else { panic!("{failed:?}") };
        assert_eq!(error, expected);
    }
}

async fn a_reply_that_is_none_does_not_end_the_call(bus: Bus) {
    let world = World::on(&bus);
    let (caller, dhcp, mut peer) = calling(&world).await;
    let call = tokio::spawn(dhcp.ip_in_range("10.1.1.2".parse().unwrap()).into_future());
    let request = peer.next().await;
    // `null` left a requester of RackHD waiting for ever, and the others brought it down.
    for said in ["null", "7", "\"x\"", "", "{"] {
        peer.reply(&request, &Sent::json("Result", said)).await;
    }
    peer.reply(&request, &Sent::json("Result", r#"{"value":true}"#)).await;
    assert!(call.await.unwrap().unwrap());
    assert_eq!(caller.figures()[0].malformed, 5);
}

async fn each_call_has_a_queue_of_its_own_and_takes_one_reply(bus: Bus) {
    for world in bus.both() {
        let (caller, dhcp, mut peer) = calling(&world).await;
        let mut queues = BTreeSet::new();
        for first in [true, false] {
            let call = tokio::spawn(dhcp.ip_in_range("10.1.1.2".parse().unwrap()).into_future());
            let request = peer.next().await;
            assert!(queues.insert(request.properties.reply_to.clone().unwrap()), "a queue is used again");
            assert_eq!(request.properties.correlation_id.is_some(), world.legacy);
            let said = json!({ "value": first }).to_string();
            assert_ne!(peer.reply(&request, &Sent::json("Result", &said)).await, Receipt::NoRoute);
            assert_eq!(call.await.unwrap().unwrap(), first, "the reply before this one was another call's");
            // It goes with its call; a broker takes a moment for that.
            let late = async {
                while peer.reply(&request, &Sent::json("Result", r#"{"value":true}"#)).await != Receipt::NoRoute {
                    tokio::task::yield_now().await;
                }
            };
            soon("the queue has gone", late).await;
        }
        assert_eq!(caller.figures()[0].calls_waiting, 0);
    }
}

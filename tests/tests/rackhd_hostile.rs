//! What nobody should send, and somebody does: it is answered or refused as RackHD would, it is counted, and what comes after it is
//! served.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use rackhd_api::{DhcpClient, ErrorEvent, events::GraphEvent};
use rmi_core::{
    CallError, Endpoint, Trust,
    transport::{Delivery, Destination, Frame},
};
use rmi_tests::on_core::{Bus, Hand, Sent, World, body, services::Services, topic, without_stack};
use serde_json::{Value, json};

rmi_tests::on_every_bus! {
    of_members_of_one_name_the_last_counts_as_in_javascript
    an_error_is_read_however_its_peer_wrote_it
    what_is_no_text_or_too_much_is_refused_and_the_next_is_served
    what_is_no_unicode_is_read_as_javascript_reads_it
    any_text_can_be_a_correlation_id
    replies_go_to_no_address_that_is_served
    what_the_key_says_is_not_taken_from_the_body
}

const LOOKUP: &str = "methods.lookupIpLease";

/// A service, and a peer by hand with a queue for replies.
struct At {
    world: World,
    leases: Endpoint,
    peer: Hand,
    queue: String,
}

impl At {
    async fn new(world: World) -> Self {
        let leases = world.leases().await;
        let peer = world.queue("hostile").await;
        let queue = world.bus.name("hostile");
        At { world, leases, peer, queue }
    }

    fn frame(&self, key: &str, sent: &Sent<'_>) -> Frame {
        Sent { reply_to: Some(&self.queue), ..sent.clone() }.frame(topic(&self.world.exchange("dhcp"), key))
    }

    async fn ask(&mut self, frame: Frame) -> Delivery {
        self.peer.publish(frame).await;
        self.peer.next().await
    }

    /// Sends what is not answered, and what is certainly answered after it.
    async fn ask_in_vain(&mut self, frame: Frame) {
        self.peer.publish(frame).await;
        let fine = self.frame("methods.ipInRange", &Sent::json("IpAddress", r#"{"value":"10.1.1.7"}"#));
        assert_eq!(body(&self.ask(fine).await), json!({ "value": true }));
    }
}

async fn of_members_of_one_name_the_last_counts_as_in_javascript(bus: Bus) {
    let mut at = At::new(World::on(&bus)).await;
    let twice = at.frame(LOOKUP, &Sent::json("IpAddress", r#" {"value":7,"value":"10.1.1.2"}"#));
    assert_eq!(body(&at.ask(twice).await), json!({ "value": "08:00:27:52:d2:a4" }));
    let twice = at.frame(LOOKUP, &Sent::json("IpAddress", r#"{"value":"10.1.1.2","value":7}"#));
    let answer = at.ask(twice).await;
    assert_eq!(body(&answer)["message"], "SchemaError: JSON Schema Violation");
    // An array has no members, also where the first element would do.
    let list = at.frame(LOOKUP, &Sent::json("IpAddress", r#"["10.1.1.2"]"#));
    assert_eq!(body(&at.ask(list).await)["message"], "SchemaError: JSON Schema Violation");
    // A name that no text in Rust can be is the name of something else.
    let odd = at.frame(LOOKUP, &Sent::json("IpAddress", r#"{"\ud800":1,"value":"10.1.1.2"}"#));
    assert_eq!(body(&at.ask(odd).await), json!({ "value": "08:00:27:52:d2:a4" }));
}

async fn an_error_is_read_however_its_peer_wrote_it(bus: Bus) {
    let world = World::on(&bus);
    let caller = world.caller("on-http").await;
    let dhcp: DhcpClient = caller.client("dhcp");
    let mut peer = world.hand("dhcp", "methods.*").await;
    let whole = ErrorEvent::not_found("m").with("ip", "10.1.1.9");
    let bare = ErrorEvent { status: None, ..ErrorEvent::new("E", "m") };
    let deep = format!(r#"{{"name":"E","message":"m","context":{{"a":{}1{}}}}}"#, "[".repeat(50), "]".repeat(50));
    for (said, expected) in [
        ("\n {\"name\":\"NotFoundError\",\"message\":\"m\",\"context\":{\"ip\":\"10.1.1.9\"},\"status\":404}", Some(&whole)),
        (r#"{"name":"X","name":"NotFoundError","message":"m","context":{"ip":"10.1.1.9"},"status":404}"#, Some(&whole)),
        // A number that is none here, and a text that is none.
        (r#"{"name":"E","message":"m","context":{"a":1e999}}"#, Some(&bare)),
        (r#"{"name":"E","message":"m","stack":"\ud800","context":7}"#, Some(&bare)),
        (r#"{"name":"E","message":"m","status":404.5}"#, Some(&bare)),
        (r#"{"name":"E","message":"m","status":-1}"#, Some(&bare)),
        (r#"{"name":"E","message":"m","status":1e999}"#, Some(&bare)),
        ("[]", Some(&ErrorEvent::new("Error", ""))),
        ("{}", Some(&ErrorEvent::new("Error", ""))),
        (&deep, None),
    ] {
        let call = tokio::spawn(dhcp.lookup_ip_lease("10.1.1.2".parse().unwrap()).into_future());
        let request = peer.next().await;
        peer.reply(&request, &Sent::json("ErrorEvent", said)).await;
        let failed = call.await.unwrap().unwrap_err();
        let CallError::Remote(error) = failed else { panic!("{said}: {failed:?}") };
        if let Some(expected) = expected {
            assert_eq!(&error, expected, "{said}");
        }
    }
    assert_eq!(caller.figures()[0].malformed, 0);
}

async fn what_is_no_text_or_too_much_is_refused_and_the_next_is_served(bus: Bus) {
    let mut at = At::new(World::on(&bus)).await;
    let mut refused = 0;
    let deep = |levels| format!("{{\"value\":{}1{}}}", "{\"a\":".repeat(levels), "}".repeat(levels));
    for said in [
        b"\xff".to_vec(),
        format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes(),
        "[".repeat(1 << 20).into_bytes(),
        deep(200).into_bytes(),
    ] {
        let frame = Frame { payload: Bytes::from(said), ..at.frame(LOOKUP, &Sent::json("IpAddress", "")) };
        at.ask_in_vain(frame).await;
        refused += 1;
        let figures = &at.leases.figures()[0];
        assert_eq!(figures.malformed, refused, "{figures:?}");
    }
    for said in [deep(60), format!("{{\"value\":\"{}\"}}", "x".repeat(15 << 20))] {
        let frame = at.frame(LOOKUP, &Sent::json("IpAddress", &said));
        assert_eq!(body(&at.ask(frame).await)["message"], "SchemaError: JSON Schema Violation");
    }
    // So many members are passed over where one is asked for, and are too many arguments where each is one.
    let many = (0..2000).fold(String::from("{\"value\":\"10.1.1.2\""), |all, n| format!("{all},\"m{n}\":{n}")) + "}";
    let frame = at.frame(LOOKUP, &Sent::json("IpAddress", &many));
    assert_eq!(body(&at.ask(frame).await), json!({ "value": "08:00:27:52:d2:a4" }));
    let frame = at.frame("methods.peekLeaseTable", &Sent::json("Object", &many));
    let answer = without_stack(body(&at.ask(frame).await));
    assert!(answer["message"].as_str().unwrap().contains("2001") && answer["status"] == 400, "{answer}");
}

async fn what_is_no_unicode_is_read_as_javascript_reads_it(bus: Bus) {
    let world = World::on(&bus);
    let caller = world.caller("on-http").await;
    let mut peer = world.hand("dhcp", "methods.removeLease").await;
    let mut events = caller.subscribe::<GraphEvent>().await.unwrap();
    // A reply, an event, and a request.
    let call = tokio::spawn(
        caller.peer("dhcp").class("dhcp").call::<Value>("removeLease", json!({"mac": "aa:bb:cc:dd:ee:ff"})).into_future(),
    );
    let request = peer.next().await;
    let to = Destination::Queue(request.properties.reply_to.clone().unwrap());
    let frame = Frame { payload: Bytes::from_static(b"{\"value\":\"caf\xe9\xe2\x82!\"}"), ..Sent::json("Result", "").frame(to) };
    peer.publish(frame).await;
    assert_eq!(call.await.unwrap().unwrap(), "caf\u{fffd}\u{fffd}!");
    let event = topic(&world.exchange("events"), "graph.finished.4f2f");
    let said = Bytes::from_static(b"{\"graphId\":\"4f2f\",\"graphName\":\"\xff\",\"status\":\"succeeded\"}");
    peer.publish(Frame { payload: said, ..Sent::json("Object", "").frame(event) }).await;
    let heard = events.next().await.unwrap().unwrap().event;
    assert!(format!("{heard:?}").contains('\u{fffd}'), "{heard:?}");
    let mut at = At::new(world).await;
    let said = Bytes::from_static(b"{\"value\":\"10.1.1.2\",\"x\":\"caf\xe9\"}");
    let frame = Frame { payload: said, ..at.frame(LOOKUP, &Sent::json("IpAddress", "")) };
    assert_eq!(body(&at.ask(frame).await), json!({ "value": "08:00:27:52:d2:a4" }));
}

async fn any_text_can_be_a_correlation_id(bus: Bus) {
    for world in bus.both() {
        let legacy = world.legacy;
        let mut at = At::new(world).await;
        for id in ["efcd42bc-b7ad-47a3-88a2-994867e60405", "17", "", "a b\n\u{0}", "\"};", "ü𝄞", &"x".repeat(255)] {
            let mut frame = at.frame(LOOKUP, &Sent::json("IpAddress", r#"{"value":"10.1.1.2"}"#));
            frame.properties.change(|properties| properties.correlation_id = Some(id.to_owned().into()));
            let reply = at.ask(frame).await;
            // The last release does not repeat it.
            assert_eq!(reply.properties.correlation_id.as_deref(), legacy.then_some(id));
            assert_eq!(body(&reply), json!({ "value": "08:00:27:52:d2:a4" }));
        }
    }
}

async fn replies_go_to_no_address_that_is_served(bus: Bus) {
    let mut at = At::new(World::on(&bus)).await;
    let own = at.world.bus.name("on-dhcp");
    let (exchange, through) = (at.world.exchange("dhcp"), format!("{}/{LOOKUP}", at.world.exchange("dhcp")));
    let mut ears = at.world.hand("dhcp", "#").await;
    let before = at.leases.figures()[0].rejected;
    // Its own address; an exchange of that name, which no queue has; one through which a reply would be a request.
    for queue in [own.as_str(), &exchange, &through, "nobody"] {
        let sent = Sent { reply_to: Some(queue), ..Sent::json("IpAddress", r#"{"value":"10.1.1.2"}"#) };
        at.ask_in_vain(sent.frame(topic(&exchange, LOOKUP))).await;
    }
    for _ in 0..4 {
        assert_eq!((&*ears.next().await.key, &*ears.next().await.key), (LOOKUP, "methods.ipInRange"), "no reply is heard there");
    }
    let figures = &at.leases.figures()[0];
    assert_eq!(figures.rejected - before, 1, "what names the agent itself never runs: {figures:?}");
}

async fn what_the_key_says_is_not_taken_from_the_body(bus: Bus) {
    let world = World::on(&bus);
    let mut peer = world.queue("hostile").await;
    let (queue, services) = (world.bus.name("hostile"), Services::default());
    let builder = Endpoint::builder(bus.name("job")).bind(world.dialect.clone(), world.seat().await, Trust::insecure());
    let _job = services.serve(builder).start().await.unwrap();
    // A number that is none here, where nobody asks for it.
    let said = r#"{"value":{"identifier":"n1","tasks":[],"x":1e999},"nodeId":"n2"}"#;
    peer.send(topic(&world.exchange("task"), "methods.respondCommands.n1"), &Sent::json("Result", said)).await;
    let many = (0..2000).fold(String::from("{\"nodeId\":\"n2\""), |all, n| format!("{all},\"m{n}\":{n}")) + "}";
    for (said, answer) in [(r#"{"nodeId":"n2","x":1}"#, None), (&*many, Some(400))] {
        let sent = Sent { reply_to: Some(&queue), ..Sent::json("Object", said) };
        peer.send(topic(&world.exchange("task"), "methods.requestProfile.n1"), &sent).await;
        let reply = body(&peer.next().await);
        assert_eq!(reply.get("status").cloned(), answer.map(Value::from), "{reply}");
    }
    let told = [r#"task.requestProfile ["n1"]"#, r#"task.respondCommands ["n1",{"identifier":"n1","tasks":[]}]"#];
    assert_eq!(services.told(2).await, told);
}

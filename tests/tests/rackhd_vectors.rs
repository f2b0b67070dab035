//! Messages of real RackHD processes, of both generations: read, and written again as they were.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use rmi_amqp::{Exchange, rackhd::RackHd};
use rmi_core::{
    message::{Body, Message, Outcome, Sn},
    protocol::Protocol,
    text::Text,
    transport::{Acker, Answering, Delivery, Destination, Frame, Purpose},
};
use serde_json::{Value, json};

/// The messages of a generation.
fn messages(generation: &str) -> Vec<Value> {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/rackhd.json")).unwrap();
    vectors[generation]["messages"].as_array().unwrap().clone()
}

fn text(value: &Value) -> Option<Text> {
    value.as_str().map(Text::from)
}

fn delivery(message: &Value, purpose: Purpose) -> Delivery {
    let key = text(&message["routing_key"]).unwrap();
    let mut delivery = Delivery::new(message["body"].to_string(), key, purpose, Acker::settled());
    delivery.exchange = text(&message["exchange"]).unwrap();
    let properties = &message["properties"];
    delivery.properties.change(|p| {
        p.content_type = text(&properties["content_type"]);
        p.kind = text(&properties["type"]);
        p.reply_to = text(&properties["reply_to"]);
        p.correlation_id = text(&properties["correlation_id"]);
    });
    delivery
}

/// A frame as the vectors have it.
fn written(frame: &Frame) -> Value {
    let (exchange, key) = match &frame.to {
        Destination::Topic { exchange, key } => (exchange.to_string(), key.to_string()),
        Destination::Address(address) => (String::new(), address.to_string()),
        Destination::Queue(name) => (String::new(), name.to_string()),
        other => panic!("{other:?}"),
    };
    let p = &frame.properties;
    let properties =
        [("content_type", &p.content_type), ("type", &p.kind), ("reply_to", &p.reply_to), ("correlation_id", &p.correlation_id)];
    let properties = properties.into_iter().filter_map(|(name, value)| Some((name, json!(value.as_deref()?))));
    let properties: BTreeMap<_, _> = properties.chain(p.headers.then(|| ("headers", json!({})))).collect();
    let body: Value = serde_json::from_slice(&frame.payload).unwrap();
    json!({ "exchange": exchange, "routing_key": key, "properties": properties, "body": body })
}

/// What of a vector a frame says.
fn expected(message: &Value) -> Value {
    json!({
        "exchange": message["exchange"], "routing_key": message["routing_key"],
        "properties": message["properties"], "body": message["body"],
    })
}

/// Reads a message, and writes it again under the serial number that makes its correlation id.
fn again(dialect: &RackHd, message: &Value, purpose: Purpose) -> (Message, Value) {
    let mut read = dialect.decode(&delivery(message, purpose)).unwrap_or_else(|refused| panic!("{message}: {refused:?}"));
    let reply = read.head.reply.clone();
    read.head.sn = text(&message["properties"]["correlation_id"]).and_then(Sn::new);
    let frame = dialect.encode(&read).unwrap_or_else(|error| panic!("{message}: {error}")).unwrap();
    read.head.reply = reply;
    (read, written(&frame))
}

/// Which kind of message it was: what is published without a reply address is a request where a contract has such a method.
fn is_event(dialect: &RackHd, message: &Value) -> bool {
    let exchange = message["exchange"].as_str().unwrap();
    let served = ["configuration", "task-graph-runner", "scheduler", "task", "dhcp"];
    let called = served.iter().any(|class| dialect.profile().exchange(class) == exchange);
    let key = message["routing_key"].as_str().unwrap();
    let result = key.contains(".result.") || key.starts_with("trigger.") || key.starts_with("nodes.");
    !called || result
}

/// Reads and writes every message; how many there were: requests, replies, and what nobody answers.
fn every_message_is_read_and_written_again(generation: &str, dialect: &RackHd) -> [usize; 3] {
    let mut waiting: BTreeMap<String, Message> = BTreeMap::new();
    let mut refused = BTreeMap::new();
    let mut count = [0; 3];
    for message in messages(generation) {
        match message["kind"].as_str().unwrap() {
            "request" => {
                count[0] += 1;
                let reply_to = message["properties"]["reply_to"].as_str().unwrap().to_owned();
                match dialect.decode(&delivery(&message, Purpose::Requests)) {
                    Ok(_) => {
                        let (read, written) = again(dialect, &message, Purpose::Requests);
                        assert_eq!(written, expected(&message));
                        waiting.insert(reply_to, read);
                    }
                    Err(no) => assert!(refused.insert(reply_to, no).is_none()),
                }
            }
            "reply" => {
                count[1] += 1;
                let reply_to = message["routing_key"].as_str().unwrap();
                if let Some(no) = refused.remove(reply_to) {
                    assert!(no.answer, "{no:?}");
                    let mut head = *no.head.unwrap();
                    head.to = head.reply.clone().unwrap().to;
                    let answer = Message { head, body: Body::Outcome(Outcome::Rejected(*no.rejection)) };
                    let mut written = written(&dialect.encode(&answer).unwrap().unwrap());
                    let mut expected = expected(&message);
                    for said in [&mut written, &mut expected] {
                        assert!(said["body"]["stack"].take().is_string());
                    }
                    assert_eq!(written, expected);
                    continue;
                }
                let request = &waiting[reply_to];
                let Body::Request(asked) = &request.body else { panic!("{request:?}") };
                let mut delivery = delivery(&message, Purpose::Replies);
                delivery.answering = Some(Box::new(Answering {
                    sn: Sn::new("1").unwrap(),
                    agent: "peer".into(),
                    class: asked.class.clone(),
                    method: asked.method.clone(),
                    token: None,
                }));
                let mut read = dialect.decode(&delivery).unwrap();
                let Body::Outcome(outcome) = &read.body else { panic!("{read:?}") };
                let error = message["properties"]["type"] == "ErrorEvent";
                assert_eq!(matches!(outcome, Outcome::Exception(_)), error, "{outcome:?}");
                read.head.reply.clone_from(&request.head.reply);
                read.head.to = request.head.reply.clone().unwrap().to;
                assert_eq!(written(&dialect.encode(&read).unwrap().unwrap()), expected(&message));
            }
            "publish" => {
                count[2] += 1;
                let purpose = if is_event(dialect, &message) { Purpose::Events } else { Purpose::Requests };
                let (read, written) = again(dialect, &message, purpose);
                assert_eq!(matches!(read.body, Body::Event(_)), purpose == Purpose::Events);
                assert_eq!(read.head.reply, None);
                assert_eq!(written, expected(&message));
            }
            other => panic!("{other}"),
        }
    }
    assert!(refused.is_empty(), "{refused:?}");
    count
}

#[test]
fn messages_of_the_last_release_are_read_and_written_again() {
    assert_eq!(every_message_is_read_and_written_again("head", &rackhd_api::on()), [19, 19, 20]);
}

#[test]
fn messages_of_the_first_generation_are_read_and_written_again() {
    assert_eq!(every_message_is_read_and_written_again("legacy", &rackhd_api::legacy()), [15, 13, 9]);
}

#[test]
fn a_reply_goes_to_the_queue_that_was_named_whatever_its_name_is() {
    let asked = &messages("head")[0];
    for queue in ["amq.gen-VZhyEuJtEfQ1iQQkfrlCAg", "amq.rabbitmq.reply-to.g1h/ab+c==.x/y", "a/b"] {
        let mut asked = asked.clone();
        asked["properties"]["reply_to"] = json!(queue);
        let dialect = rackhd_api::on();
        let mut read = dialect.decode(&delivery(&asked, Purpose::Requests)).unwrap();
        read.head.to = read.head.reply.clone().unwrap().to;
        assert_eq!(read.head.to.exchange(), None, "it is no exchange and key to whoever looks at it");
        read.body = Body::Outcome(Outcome::Result(json!("08:00:27:52:d2:a4").into()));
        assert_eq!(written(&dialect.encode(&read).unwrap().unwrap())["routing_key"], queue);
    }
}

#[test]
fn exchanges_are_declared_as_each_generation_has_them() {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/rackhd.json")).unwrap();
    for (generation, dialect) in [("head", rackhd_api::on()), ("legacy", rackhd_api::legacy())] {
        let declared = vectors[generation]["topology"]["exchanges"].as_array().unwrap();
        let mut known = 0;
        for (name, exchange) in dialect.exchanges() {
            let Some(theirs) = declared.iter().find(|theirs| theirs["name"] == *name) else { continue };
            known += 1;
            let is = |option: &str| theirs[option].as_bool().unwrap();
            assert_eq!(exchange, Exchange::topic().durable(is("durable")).auto_delete(is("auto_delete")), "{name}");
        }
        for plain in rackhd_api::EXCHANGES {
            let name = dialect.profile().exchange(plain);
            assert!(dialect.exchanges().iter().any(|(declared, _)| *declared == name), "{name}");
        }
        assert!(known >= 8, "{generation}: {known}");
    }
}

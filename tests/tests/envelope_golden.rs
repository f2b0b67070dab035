//! Conversations of a real gofer client with a real gofer agent, read and written again.
#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support {
    pub mod envelope;
}

use rmi_core::{
    Native,
    message::{Body, Message, Outcome, Progress, RejectionCode, Status},
    time::Timestamp,
};
use serde_json::{Map, Value, json};
use support::envelope::{decode, encode, kind, outcome, request, value};

struct Real {
    call: String,
    kind: String,
    key: String,
    text: String,
    body: Value,
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/gofer.json")).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn conversations() -> Vec<Vec<Real>> {
    let real = |call: &Value, message: &Value| Real {
        call: text(call),
        kind: text(&message["kind"]),
        key: text(&message["routing_key"]),
        text: text(&message["body_text"]),
        body: message["body"].clone(),
    };
    let vectors = vectors();
    let conversations = vectors["conversations"].as_array().unwrap();
    assert_eq!(conversations.len(), 21);
    conversations
        .iter()
        .map(|c| c["messages"].as_array().unwrap().iter().map(|message| real(&c["call"], message)).collect())
        .collect()
}

fn messages() -> impl Iterator<Item = Real> {
    conversations().into_iter().flatten()
}

/// Reads a real message. One of the requests has version "9.9", to be refused: the others tell nothing apart from it.
fn read(real: &Real) -> Message {
    support::envelope::read(&Native::new().reads_version("9.9"), &real.text).unwrap()
}

/// The one message of a kind in the first conversation about a call.
fn find(call: &str, kind: &str) -> Real {
    messages().find(|m| m.call == call && m.kind == kind).unwrap()
}

#[test]
fn conversations_are_read_as_what_they_are() {
    for conversation in conversations() {
        let first = &conversation[0];
        for real in &conversation {
            let message = read(real);
            let missing = real.text.contains("NotFound");
            assert_eq!(kind(&message), real.kind, "{}", real.text);
            assert!(!missing || matches!(outcome(&message), Outcome::Exception(_)), "only our own code makes it a rejection");

            let head = &message.head;
            assert_eq!(head.sn.as_ref().unwrap().as_str(), first.body["sn"], "replies bear the request's serial number");
            assert_eq!(head.data.as_ref().map_or(Value::Null, |d| d.decode().unwrap()), real.body["data"]);
            assert_eq!(head.to, real.body["routing"][1].as_str().unwrap_or("arrival"));
            assert_eq!(head.from, None);
            assert_eq!(head.sent.map(Timestamp::to_seconds).as_deref(), real.body["timestamp"].as_str());
            assert_eq!(head.reply.as_ref().map(|r| r.to.as_str()), real.body["replyto"].as_str());
            assert_eq!((&head.id, head.ttl, &head.trace), (&None, None, &None));
            if real.kind != "request" {
                assert_eq!(real.key, first.body["replyto"].as_str().unwrap());
            }
        }
    }
}

#[test]
fn requests_are_read_whole() {
    for real in messages().filter(|m| m.kind == "request") {
        let message = read(&real);
        let request = request(&message);
        let body = &real.body["request"];
        assert_eq!(format!("{}.{}", request.class, request.method), real.call);
        assert_eq!(request.args.positional.decode::<Value>().unwrap(), body["args"]);
        assert_eq!(request.args.named.decode::<Value>().unwrap(), body["kws"]);
        let cntr = request
            .cntr
            .as_ref()
            .map_or(Value::Null, |c| json!([c.positional.decode::<Value>().unwrap(), c.named.decode::<Value>().unwrap()]));
        assert_eq!(cntr, body.get("cntr").cloned().unwrap_or_default());
        assert_eq!((&request.version, request.wants), (&None, None));
        assert!(request.contract.is_none());
    }
}

#[test]
fn statuses_and_outcomes_are_read_whole() {
    for real in messages() {
        let message = read(&real);
        match &message.body {
            Body::Status(Status::Progress(Progress { total, completed, details })) => {
                assert_eq!(json!([total, completed]), json!([real.body["total"], real.body["completed"]]));
                assert_eq!(details.decode::<Value>().unwrap(), real.body["details"]);
            }
            Body::Outcome(Outcome::Result(value)) => {
                assert_eq!(value.decode::<Value>().unwrap(), real.body["result"]["retval"]);
            }
            Body::Outcome(Outcome::Exception(e)) => {
                let result = &real.body["result"];
                assert_eq!(e.exval, *result["exval"].as_str().unwrap());
                assert_eq!(e.xmodule.as_deref(), result["xmodule"].as_str());
                assert_eq!(e.xclass.as_deref(), result["xclass"].as_str());
                assert_eq!(e.xargs.decode::<Value>().unwrap(), result["xargs"]);
                assert_eq!(e.xstate.decode::<Value>().unwrap(), result["xstate"]);
            }
            Body::Outcome(Outcome::Rejected(rejection)) => {
                assert_eq!(rejection.code, RejectionCode::ModelVersion);
                assert_eq!(rejection.description, "MODEL: document version not matched");
                assert_eq!(rejection.details, "expected:2.0, found:9.9");
            }
            _ => {}
        }
    }
}

#[test]
fn a_message_written_again_is_the_one_that_was_read() {
    for real in messages() {
        let frame = encode(&read(&real));
        let mut expected = real.body;
        expected["version"] = json!("2.0");
        if expected.get("routing").is_none() {
            // The one request that was written by hand: what it leaves out is written, and what gofer does not write is not.
            let request = expected["request"].as_object_mut().unwrap();
            request.remove("kwargs");
            request.insert("cntr".into(), Value::Null);
            expected["data"] = Value::Null;
            expected["routing"] = json!([null, "arrival"]);
        }
        assert_eq!(value(&frame), expected);
    }
}

#[test]
fn a_refused_version_is_answered_as_gofer_answers_it() {
    let conversation = conversations().into_iter().find(|c| c.iter().any(|m| m.kind == "rejected")).unwrap();
    let [request, answer] = conversation.as_slice() else { panic!("a request and its rejection") };
    // The vector's request says "9.9".
    let refused = support::envelope::refused(&request.text);
    assert!(refused.answer && !refused.close);
    let head = refused.head.unwrap();
    let reply = rmi_core::message::Message {
        head: rmi_core::message::Head {
            sn: head.sn,
            data: head.data,
            sent: Timestamp::parse(answer.body["timestamp"].as_str().unwrap()),
            ..rmi_core::message::Head::to(head.reply.unwrap().to)
        },
        body: Body::Outcome((*refused.rejection).into()),
    };
    assert_eq!(value(&encode(&reply)), answer.body);
}

#[test]
fn texts_that_were_signed_are_messages() {
    let vectors = vectors();
    let signed = vectors["signing"]["vectors"].as_array().unwrap();
    assert!(!signed.is_empty());
    for vector in signed {
        let inner = vector["message"].as_str().unwrap();
        let expected: Map<String, Value> = serde_json::from_str(inner).unwrap();
        assert_eq!(value(&encode(&decode(inner))), Value::Object(expected));
    }
}

#[test]
fn a_call_of_a_missing_method_is_gofers_exception_with_our_code() {
    let real = find("Dog.fly", "exception");
    let exception = match outcome(&read(&real)) {
        Outcome::Exception(e) => e.clone(),
        other => panic!("{other:?}"),
    };
    let rejection = rmi_core::message::Rejection::new(RejectionCode::UnknownMethod, exception.message());
    let mut message = read(&real);
    message.body = Body::Outcome(rejection.clone().into());
    let written = value(&encode(&message));
    for key in ["xmodule", "xclass", "xargs"] {
        assert_eq!(written["result"][key], real.body["result"][key]);
    }
    assert_eq!(written["result"]["xstate"]["trace"], written["result"]["exval"]);
    assert_eq!(written["rmi"], json!({"code": "method.unknown"}));
    assert_eq!(*outcome(&decode(written.to_string())), Outcome::Rejected(rejection));
}

//! What a gofer client really sent, sent to the kennel: the answers are those that a gofer agent gave.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{convert::Infallible, fs, path::Path, time::Duration};

use kennel::{Chance, CowboyArgs, CowboyServer, DogArgs, DogModuleServer, DogServer, Module, Ranch};
use rmi_core::{
    Endpoint,
    transport::{Destination, Frame, Receipt, Transport},
};
use rmi_tests::{
    raw::{Raw, kind},
    tap::Tap,
    world::World,
};
use serde_json::{Value, json};

async fn kennel(world: &World) -> Endpoint {
    world
        .builder("dog", &Tap::on(&world.bus))
        .serve(DogServer::per_call(|me: DogArgs| Ok::<_, Infallible>(Chance::new(me, Default::default()))))
        .serve(CowboyServer::per_call(|he: CowboyArgs| Ok::<_, Infallible>(Ranch(he))))
        .serve(DogModuleServer::new(Module))
        .start()
        .await
        .unwrap()
}

/// The conversations that begin with a request to something that the kennel stands in for.
fn conversations() -> Vec<Value> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/gofer.json")).unwrap();
    let recorded: Value = serde_json::from_str(&text).unwrap();
    let ours = |conversation: &&Value| {
        let call = conversation["call"].as_str().unwrap();
        call == "Admin.hello" || ["Dog", "Cowboy", "dog"].contains(&call.split('.').next().unwrap())
    };
    recorded["conversations"].as_array().unwrap().iter().filter(ours).cloned().collect()
}

/// Publishes the recorded text as it was published then; by exchange or not, the queue is the same.
async fn replay(world: &World, request: &Value) -> Receipt {
    let to = Destination::Address(request["routing_key"].as_str().unwrap().to_owned().into());
    let mut frame = Frame::new(to, request["body_text"].as_str().unwrap().to_owned());
    let expiration = request["properties"]["expiration"].as_str();
    frame.ttl = expiration.map(|millis| Duration::from_millis(millis.parse().unwrap()));
    world.bus.publish(frame).await.unwrap()
}

fn kinds(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(kind).collect()
}

/// The keys of an object with the types of their values; ours may say `rmi` besides.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("bool"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("string"),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(keys) => {
            keys.iter().filter(|(key, _)| *key != "rmi").map(|(key, value)| (key.clone(), shape(value))).collect()
        }
    }
}

/// Holds an answer against the one that a gofer agent gave.
fn compare(call: &str, ours: &Value, theirs: &Value) {
    let (mut a, mut b) = (shape(ours), shape(theirs));
    // Ours says who it is; and what an error's state holds beside its trace is the error's own affair.
    assert_eq!(ours["routing"][0], "dog");
    for shape in [&mut a, &mut b] {
        shape["routing"][0] = Value::Null;
    }
    assert_eq!(a, b, "{call}: {ours}");
    for same in ["sn", "data", "status", "version", "code", "description", "details", "total", "completed"] {
        assert_eq!(ours[same], theirs[same], "{call}: {same}");
    }
    assert_eq!(ours["routing"][1], theirs["routing"][1], "{call}");
    if let Some(at) = ours["timestamp"].as_str() {
        assert_eq!((at.len(), &at[19..]), (20, "Z"), "{call}: {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn recorded_requests_are_answered_as_gofer_answers_them() {
    let world = World::unsealed();
    let agent = kennel(&world).await;
    let (mut answered, mut same) = (0, 0);
    for conversation in conversations() {
        let call = conversation["call"].as_str().unwrap();
        let messages = conversation["messages"].as_array().unwrap();
        let (request, theirs) = messages.split_first().unwrap();
        let theirs: Vec<Value> = theirs.iter().map(|message| message["body"].clone()).collect();
        let Some(replyto) = request["body"]["replyto"].as_str() else {
            // Nobody waits, and nothing is said.
            // An event of an earlier call may have had nobody to hear it.
            let before = world.bus.counters().unroutable;
            assert_eq!(replay(&world, request).await, Receipt::Stored);
            world.settle_at("dog").await;
            assert_eq!(world.bus.counters().unroutable, before);
            continue;
        };
        let mut replies = world.mailbox(replyto).await;
        let receipt = replay(&world, request).await;
        if request["routing_key"] != "dog" {
            assert_eq!(receipt, Receipt::NoRoute, "{call}");
            continue;
        }
        let ours = replies.conversation().await;
        world.settle_at("dog").await;
        assert_eq!(world.bus.counters().waiting, 0, "{call}: nothing follows the outcome");
        answered += 1;

        if ["Dog.fly", "Dog.not_json"].contains(&call) {
            // The kennel has no such method either. It says so in gofer's form; but what never ran is neither accepted nor started.
            assert_eq!(kinds(&ours), ["exception"]);
            let result = &ours[0]["result"];
            assert_eq!((&result["xclass"], &result["xmodule"]), (&json!("MemberNotFound"), &json!("gofer.rmi.dispatcher")));
            assert_eq!(shape(&ours[0]["result"]), shape(&theirs[2]["result"]));
            continue;
        }
        assert_eq!(kinds(&ours), kinds(&theirs), "{call}");
        for (ours, theirs) in ours.iter().zip(&theirs).take(ours.len() - 1) {
            compare(call, ours, theirs);
            assert_eq!(ours["details"], theirs["details"]);
        }
        let (ours, theirs) = (ours.last().unwrap(), theirs.last().unwrap());
        match call {
            // An error of the service's own has another name here, and the same state.
            "Dog.my_error" => {
                assert_eq!(ours["result"]["xstate"]["b"], 23);
                let keys = |value: &Value| value["result"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
                assert_eq!(keys(ours), keys(theirs));
                assert_eq!(ours["result"]["xargs"], theirs["result"]["xargs"]);
                assert!(ours["result"]["xstate"]["trace"].is_string());
                continue;
            }
            _ => compare(call, ours, theirs),
        }
        match call {
            "Dog.sit" => {
                for key in ["xargs", "xclass", "xmodule"] {
                    assert_eq!(ours["result"][key], theirs["result"][key], "{key}");
                }
            }
            "Admin.hello" => assert_eq!(ours["result"]["retval"], "Hello, I am dog"),
            // The recorded agent read `kwargs` alone, and dropped what this client sent.
            "Dog.bark_times" if request["body"]["request"]["kwargs"].is_null() => {
                assert_eq!(ours["result"]["retval"], "ruf ruf");
            }
            _ => assert_eq!(ours["result"], theirs["result"], "{call}"),
        }
        same += 1;
    }
    assert_eq!((answered, same), (13, 10), "every recorded conversation was looked at");
    assert_eq!(agent.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn another_version_is_rejected_in_gofers_words() {
    let world = World::unsealed();
    let _agent = kennel(&world).await;
    let mut replies = world.mailbox("box").await;
    let mut request = Raw::request("dog", "bark", json!(["x"])).sn("1").reply_to("box");
    request.0["request"]["classname"] = "Dog".into();
    for (version, found) in [(json!("9.9"), "9.9"), (json!(2.0), "2.0"), (json!(null), "None"), (json!("2"), "2")] {
        world.post(&request.clone().with("version", version)).await;
        let rejected = replies.next().await;
        assert_eq!(kind(&rejected), "rejected");
        assert_eq!(rejected["code"], "model.version");
        assert_eq!(rejected["description"], "MODEL: document version not matched");
        assert_eq!(rejected["details"], format!("expected:2.0, found:{found}"));
        assert_eq!(rejected["sn"], "1");
    }
    world.settle_at("dog").await;
    assert_eq!(world.bus.counters().waiting, 0);
}

//! Our endpoints call an agent of gofer's.

use std::time::Duration;

use kennel::{DogArgs, DogClient, DogError, DogModuleClient};
use rmi_core::{
    CallError, Json, Native, Trust, Update,
    endpoint::Client,
    error::{Fate, Phase},
    message::{Exception, Sn},
};
use rmi_tests::soon::soon;
use serde_json::{Value, json};

use super::stage::{PlacesClient, PlacesError, SECOND, agent, amqp, caller, keys, unique};

#[tokio::test]
async fn our_requests_are_gofers_to_the_letter() {
    let dog = unique("dog");
    let mut peer = agent(&dog, json!({})).await;
    let caller = caller(Trust::insecure()).await;
    let client: DogClient = caller.client(dog.as_str());
    let call = client.bark("hello").ttl(Duration::from_millis(60_500)).data(json!({"task_id": 1234}));
    assert!(call.await.unwrap().ends_with("\"hello\""));
    let (request, seen) = peer.got().await;
    assert_eq!(keys(&request), ["data", "replyto", "request", "rmi", "routing", "sn", "timestamp", "version"]);
    // Both names that gofer has had for arguments by name.
    assert_eq!(keys(&request["request"]), ["args", "classname", "cntr", "kwargs", "kws", "method"]);
    assert_eq!(request["routing"], json!([caller.address().as_str(), dog]));
    assert_eq!((&request["data"], &request["version"]), (&json!({"task_id": 1234}), &json!("2.0")));
    assert_eq!(request["sn"].as_str().unwrap().len(), 36);
    let properties = json!({"content_encoding": "utf-8", "delivery_mode": 2, "expiration": "60500"});
    assert_eq!(seen["properties"], properties);
    assert_eq!((&seen["exchange"], &seen["routing_key"]), (&json!(""), &json!(dog)));
    // Nobody waits: there is nowhere to reply to.
    client.bark("forgotten").notify().await.unwrap();
    let (request, seen) = peer.got().await;
    assert_eq!((&request["replyto"], &seen["properties"]["expiration"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_gofer_agent_answers_our_calls() {
    let dog = unique("dog");
    let _peer = agent(&dog, json!({})).await;
    let caller = caller(Trust::insecure()).await;
    let client: DogClient = caller.client(dog.as_str());
    assert_eq!(client.who().await.unwrap(), DogArgs { name: "chance".into(), age: 1 });
    let rover = client.with_cntr(&DogArgs { name: "rover".into(), age: 10 }).unwrap();
    assert_eq!(rover.who().await.unwrap().name, "rover");
    let module: DogModuleClient = caller.client(dog.as_str());
    let something = Json::encode(&json!({"ü": [1.5, null]})).unwrap();
    let echoed = module.echo(something).await.unwrap();
    assert_eq!(echoed.decode::<Value>().unwrap(), json!({"ü": [1.5, null]}));
    assert_eq!(client.big(200_000).await.unwrap().len(), 200_000);

    let mut wag = client.wag(2, 0.0).send().await.unwrap();
    let mut heard = Vec::new();
    while let Some(update) = wag.next().await {
        heard.push(match update.unwrap() {
            Update::Accepted => "accepted".to_owned(),
            Update::Started => "started".to_owned(),
            Update::Progress(step) => format!("{} of {}: {}", step.completed, step.total, step.details),
            Update::Done(value) => value,
        });
    }
    assert_eq!(heard, ["accepted", "started", "1 of 2: for: 0", "2 of 2: for: 1", "wagged 2"]);
}

/// Agents of gofer 2.12 to 3.0 read `kwargs`, all others `kws`.
#[tokio::test]
async fn arguments_by_name_reach_agents_of_every_release() {
    let caller = caller(Trust::insecure()).await;
    for reads in ["kwargs", "kws"] {
        let dog = unique("dog");
        let _peer = agent(&dog, json!({"reads": reads})).await;
        let class = caller.peer(dog.as_str()).class("Dog");
        let barked = class.call_with::<String>("bark_times", ["ruf"], json!({"times": 2})).await.unwrap();
        assert_eq!(barked, "ruf ruf", "{reads}");
    }
    // Without that, the argument is gone and nobody says so.
    let plain = super::stage::ours(&unique("caller"), Trust::insecure()).await.start().await.unwrap();
    let dog = unique("dog");
    let _peer = agent(&dog, json!({})).await;
    let class = plain.peer(dog.as_str()).class("Dog");
    assert_eq!(class.call_with::<String>("bark_times", ["ruf"], json!({"times": 2})).await.unwrap(), "ruf");
}

#[tokio::test]
async fn what_python_raises_is_a_typed_error() {
    let dog = unique("dog");
    let _peer = agent(&dog, json!({})).await;
    let caller = caller(Trust::insecure()).await;
    let client: DogClient = caller.client(dog.as_str());
    match client.sit().await {
        Err(CallError::Remote(error)) => assert_eq!(error, DogError::Value("I do not sit".into(), 42)),
        other => panic!("{other:?}"),
    }
    match client.key_error("bone").await {
        Err(CallError::Remote(error)) => assert_eq!(error, DogError::Key("bone".into())),
        other => panic!("{other:?}"),
    }
    match caller.client::<PlacesClient>(dog.as_str()).full(3).await {
        Err(CallError::Remote(error)) => assert_eq!(error, PlacesError::Full(3)),
        other => panic!("{other:?}"),
    }
    // A class that the contract does not name stays what it is.
    match client.my_error().await {
        Err(CallError::Exception(raised)) => {
            assert_eq!((raised.xclass.as_deref(), raised.xmodule.as_deref()), (Some("MyError"), Some("agent")));
            assert!(raised.xstate.as_str().contains("\"b\":23") || raised.xstate.as_str().contains("\"b\": 23"));
        }
        other => panic!("{other:?}"),
    }
    // gofer says by an exception that there is no such thing, after it has accepted and started.
    for (class, method, expected) in [("Cat", "purr", "NamespaceNotFound"), ("Dog", "fly", "MemberNotFound")] {
        match caller.peer(dog.as_str()).class(class).call::<Value>(method, ()).await {
            Err(CallError::Remote(raised)) => assert_eq!(raised.xclass.as_deref(), Some(expected)),
            other => panic!("{other:?}"),
        }
    }
}

fn timed_out<T: std::fmt::Debug, E: std::fmt::Debug>(ended: Result<T, CallError<E>>, expected: Phase) {
    match ended {
        Err(error @ CallError::Timeout { phase, .. }) if phase == expected => assert_eq!(error.fate(), Fate::MayHaveRun),
        other => panic!("{other:?}, and no timeout {expected}"),
    }
}

#[tokio::test]
async fn an_agent_that_is_gone_is_told_from_one_that_is_silent() {
    let caller = caller(Trust::insecure()).await;
    // There has never been one: nobody waits.
    let nobody: DogClient = caller.client(unique("nobody"));
    let error = soon("it is told at once", nobody.bark("x").timeout(600 * SECOND).into_future()).await.unwrap_err();
    assert!(matches!(&error, CallError::NoAgent(_)), "{error}");
    assert_eq!(error.fate(), Fate::NeverRan);
    // One that was killed leaves its queue: nothing accepts.
    let dog = unique("dog");
    let peer = agent(&dog, json!({})).await;
    let client: DogClient = caller.client(dog.as_str());
    client.bark("x").await.unwrap();
    peer.kill().await;
    timed_out(client.bark("x").accept_within(Duration::from_millis(50)).await, Phase::Accept);
    // One that is busy has accepted, and does not start.
    let mut busy = agent(&dog, json!({})).await;
    let _ = busy.got().await;
    let nap = client.nap(60.0).send().await.unwrap();
    timed_out(client.bark("x").accept_within(60 * SECOND).start_within(50 * SECOND / 1000).await, Phase::Start);
    drop(nap);
    busy.kill().await;
    // One that has left in order has taken its queue with it.
    let dog = unique("dog");
    let mut leaving = agent(&dog, json!({})).await;
    leaving.tell("detach").await;
    assert_eq!(leaving.heard().await["detached"], dog);
    let client: DogClient = caller.client(dog.as_str());
    assert!(matches!(client.bark("x").await, Err(CallError::NoAgent(_))));
}

#[tokio::test]
async fn we_cancel_as_gofers_clients_do() {
    let dog = unique("dog");
    let _peer = agent(&dog, json!({})).await;
    let caller = caller(Trust::insecure()).await;
    let client: DogClient = caller.client(dog.as_str());
    let mut runs = client.cancellable(60.0).send().await.unwrap();
    assert_eq!(soon("accepted", runs.next()).await.unwrap().unwrap(), Update::Accepted);
    assert_eq!(soon("started", runs.next()).await.unwrap().unwrap(), Update::Started);
    // One that waits is thrown away by gofer, and nothing is ever said about it: the caller's own time ends it.
    let mut waits = client.bark("never").timeout(SECOND / 5).send().await.unwrap();
    assert_eq!(soon("accepted", waits.next()).await.unwrap().unwrap(), Update::Accepted);
    assert!(waits.cancel().await.unwrap());
    assert!(runs.cancel().await.unwrap());
    assert!(!runs.cancel().await.unwrap_or(false), "once is enough");
    assert_eq!(runs.await.unwrap(), "cancelled");
    timed_out(waits.await, Phase::Total);
    match caller.peer(dog.as_str()).admin().cancel(&Sn::new("nobody's").unwrap()).await {
        Err(CallError::Remote(raised)) => assert_eq!(raised.message(), "serial number (nobody's), not-found"),
        other => panic!("{other:?}"),
    }
    assert_eq!(caller.peer(dog.as_str()).admin().hello().await.unwrap(), "Hello, I am gofer agent");
}

#[tokio::test]
async fn a_call_of_ours_is_triggered_later_or_answered_elsewhere() {
    let dog = unique("dog");
    let mut peer = agent(&dog, json!({})).await;
    let caller = caller(Trust::insecure()).await;
    let client: DogClient = caller.client(dog.as_str());
    let prepared = client.bark("later").prepare();
    let sn = prepared.sn().to_string();
    prepared.trigger().await.unwrap();
    assert_eq!(peer.got().await.0["sn"], sn);

    let queue = unique("replies");
    let mut replies = caller.replies(queue.as_str()).await.unwrap();
    let sn = client.bark("elsewhere").data(json!([7])).reply_to(queue.as_str()).send().await.unwrap();
    for expected in ["Accepted", "Started", "Outcome"] {
        let reply = soon("a reply comes", replies.next()).await.unwrap();
        assert_eq!((reply.sn.as_ref(), reply.from.as_ref()), (Some(&sn), None));
        assert_eq!(reply.data.as_ref().unwrap().decode::<Value>().unwrap(), json!([7]));
        assert!(format!("{:?}", reply.body).contains(expected), "{reply:?}");
        if let Some(result) = reply.body.decode::<String, Exception>() {
            assert!(result.unwrap().contains("elsewhere"));
        }
    }
}

#[tokio::test]
async fn exchanges_lead_to_agents_of_gofers_and_back() {
    let dog = unique("dog");
    let mut peer = agent(&format!("amq.direct/{dog}"), json!({})).await;
    let native = Native::gofer().reply_exchange("amq.direct");
    let builder = rmi_core::Endpoint::builder(unique("caller")).bind(native, amqp().await, Trust::insecure());
    let caller = builder.start().await.unwrap();
    for address in [dog.clone(), format!("amq.direct/{dog}")] {
        let client: DogClient = caller.client(address.as_str());
        client.bark("x").await.unwrap();
        let (request, seen) = peer.got().await;
        assert_eq!(seen["exchange"], address.split_once('/').map_or("", |(exchange, _)| exchange));
        assert_eq!(request["routing"][1], address);
        assert!(request["replyto"].as_str().unwrap().starts_with("amq.direct/caller-"), "{request}");
    }
}

/// One connection and one reply queue, however many calls: gofer has a connection, five channels and a queue for each.
#[tokio::test]
async fn calls_share_a_connection_and_a_reply_queue() {
    let (dog, amqp) = (unique("dog"), std::sync::Arc::new(amqp().await));
    let mut peer = agent(&dog, json!({})).await;
    let builder = rmi_core::Endpoint::builder(unique("caller"));
    let caller = builder.bind(Native::gofer(), std::sync::Arc::clone(&amqp), Trust::insecure()).start().await.unwrap();
    let client: DogClient = caller.client(dog.as_str());
    let mut replyto = std::collections::HashSet::new();
    for _ in 0..20 {
        client.bark("x").await.unwrap();
        replyto.insert(peer.got().await.0["replyto"].to_string());
    }
    assert_eq!((replyto.len(), amqp.counters().connected), (1, 1));
    // Whoever looks at the broker sees one queue, with one subscriber.
    let queue = replyto.drain().next().unwrap();
    let told = super::stage::client(Value::Null).await.ask(json!({"do": "depth", "queue": queue.trim_matches('"')})).await;
    assert_eq!((&told["ready"], &told["consumers"]), (&json!(0), &json!(1)));
}

//! A client of gofer's calls agents of ours.

use std::time::Duration;

use rmi_amqp::Queues;
use rmi_core::{Endpoint, Native, Trust};
use rmi_tests::{
    amqp::connect,
    gofer::came,
    probe::{ProbeServer, Watch},
    raw::kind,
};
use serde_json::{Value, json};

use super::stage::{None, PlacesServer, SECOND, client, depth, kennel, keys, options, ours, probe, serving, unique};

#[tokio::test]
async fn our_answers_are_gofers_to_the_letter() {
    let dog = unique("dog");
    let _agent = kennel(&dog, Trust::insecure()).await;
    let client = client(Value::Null).await;
    let data = json!({"task_id": 1234});
    let said = client.call(&dog, "Dog.wag", json!([2]), json!({"kws": {"delay": 0}, "data": data, "cntr": [[], {}]})).await;
    assert_eq!(said["retval"], "wagged 2", "{said}");
    let messages = came(&said);
    assert_eq!(messages.iter().map(kind).collect::<Vec<_>>(), ["accepted", "started", "progress", "progress", "result"]);
    let status = ["data", "routing", "sn", "status", "timestamp", "version"];
    let progress = ["completed", "data", "details", "routing", "sn", "status", "total", "version"];
    let result = ["data", "result", "routing", "sn", "timestamp", "version"];
    for (message, expected) in messages.iter().zip([&status[..], &status, &progress, &progress, &result]) {
        assert_eq!(keys(message), expected);
        assert_eq!((&message["sn"], &message["data"], &message["version"]), (&said["sn"], &data, &json!("2.0")));
        assert_eq!(message["routing"][0], dog);
        if let Some(at) = message["timestamp"].as_str() {
            assert_eq!((at.len(), at.ends_with('Z')), (20, true), "{at}");
        }
    }
    for seen in said["came"].as_array().unwrap() {
        assert_eq!(seen["properties"], json!({"content_encoding": "utf-8", "delivery_mode": 2}));
        assert_eq!((&seen["exchange"], &seen["redelivered"]), (&json!(""), &json!(false)));
    }
    let steps: Vec<_> = said["progress"].as_array().unwrap().iter().map(|step| &step["details"]).collect();
    assert_eq!(steps, ["for: 0", "for: 1"]);
    // The queue is the one that a gofer agent declares: to say so once more is no contradiction.
    assert_eq!(client.ask(json!({"do": "declare", "queue": dog})).await["declared"], dog);
}

#[tokio::test]
async fn every_way_to_give_arguments_is_read() {
    let dog = unique("dog");
    let _agent = kennel(&dog, Trust::insecure()).await;
    let client = client(Value::Null).await;
    let request = |keys: Value| {
        let mut request = json!({"classname": "Dog", "method": "bark_times", "args": ["ruf"], "kws": {}, "cntr": null});
        for (key, value) in keys.as_object().unwrap() {
            request[key] = value.clone();
        }
        json!({"with": {"request": request}})
    };
    for (keys, expected) in [
        (json!({"kws": {"times": 2}}), "ruf ruf"),
        (json!({"kwargs": {"times": 2}}), "ruf ruf"),
        (json!({"kws": {"times": 2}, "kwargs": {"times": 2}}), "ruf ruf"),
        (json!({"args": ["ruf", 3]}), "ruf ruf ruf"),
        (json!({"args": [], "kws": {"words": "wau"}}), "wau"),
        (json!({"kws": null, "args": ["ruf"]}), "ruf"),
    ] {
        let said = client.call(&dog, "Dog.bark_times", json!([]), request(keys.clone())).await;
        assert_eq!(said["retval"], expected, "{keys}: {said}");
    }
    let cntr = json!({"cntr": [["rover"], {"age": 10}]});
    let who = client.call(&dog, "Dog.who", json!([]), cntr).await;
    assert_eq!(who["retval"], json!({"name": "rover", "age": 10}));
    let echo = client.call(&dog, "dog.echo", json!([{"ü": [1.5, null, "\u{1F415}"]}]), json!({})).await;
    assert_eq!(echo["retval"], json!({"ü": [1.5, null, "\u{1F415}"]}));
}

#[tokio::test]
async fn what_an_agent_of_ours_raises_is_raised_in_python() {
    let (dog, full) = (unique("dog"), unique("full"));
    let _agent = kennel(&dog, Trust::insecure()).await;
    let _full = ours(&full, Trust::insecure()).await.serve(PlacesServer::new(None)).start().await.unwrap();
    let client = client(Value::Null).await;
    let raised = async |address: &str, method: &str, args: Value| {
        let said = client.call(address, method, args, json!({})).await;
        (said["raised"].clone(), said["module"].clone(), said["args"].clone(), said)
    };
    let (class, module, args, said) = raised(&dog, "Dog.sit", json!([])).await;
    assert_eq!((class, module, args), (json!("ValueError"), json!("builtins"), json!(["I do not sit", 42])));
    assert!(said["state"]["trace"].is_string(), "{said}");
    let (class, _, args, _) = raised(&dog, "Dog.key_error", json!(["bone"])).await;
    assert_eq!((class, args), (json!("KeyError"), json!(["bone"])));
    // One of the caller's own, which it imports.
    let (class, module, args, _) = raised(&full, "Dog.full", json!([3])).await;
    assert_eq!((class, module, args), (json!("KennelFull"), json!("kennels"), json!([3])));
    // One that Python has not.
    let (class, _, args, _) = raised(&dog, "Dog.my_error", json!([])).await;
    assert_eq!(class, "RemoteException");
    assert!(args[0].as_str().unwrap().contains("This is myerror."), "{args}");
    for (method, class, what) in [("Cat.purr", "NamespaceNotFound", "Cat"), ("Dog.fly", "MemberNotFound", "fly")] {
        let (raised, module, said, whole) = raised(&dog, method, json!([])).await;
        assert_eq!((raised, module, said.as_array().unwrap().len()), (json!(class), json!("gofer.rmi.dispatcher"), 1));
        assert!(said[0].as_str().unwrap().contains(what), "{said}");
        assert!(whole["bases"].as_array().unwrap().contains(&json!("DispatchError")));
    }
    // Arguments that do not fit never ran.
    let (class, _, args, _) = raised(&dog, "Dog.bark", json!([])).await;
    assert_eq!((class, &args[0]), (json!("DocumentError"), &json!("request.arguments")));
}

#[tokio::test]
async fn what_cannot_be_read_is_rejected_in_gofers_words() {
    let dog = unique("dog");
    let _agent = kennel(&dog, Trust::insecure()).await;
    let client = client(Value::Null).await;
    for (version, found) in [(json!("0.5"), "0.5"), (json!(2.0), "2.0"), (Value::Null, "None")] {
        let said = client.call(&dog, "Dog.bark", json!(["x"]), json!({"with": {"version": version}})).await;
        assert_eq!(said["raised"], "DocumentError", "{said}");
        let details = format!("expected:2.0, found:{found}");
        assert_eq!(said["args"], json!(["model.version", "MODEL: document version not matched", null, details]));
        let rejected = came(&said).pop().unwrap();
        let expected = ["code", "data", "description", "details", "routing", "sn", "status", "timestamp", "version"];
        assert_eq!(keys(&rejected), expected);
    }
    let said = client.call(&dog, "Dog.bark", json!(["x"]), json!({"with": {"request": null}})).await;
    assert_eq!((&said["raised"], &said["args"][0]), (&json!("DocumentError"), &json!("request.malformed")), "{said}");
    for text in ["{", "[]", "null", "\u{0}", "{\"version\": \"2.0\"}", "{\"message\": \"{}\"}"] {
        client.ask(json!({"do": "send", "address": dog, "text": text})).await;
    }
    let said = client.call(&dog, "Dog.bark", json!(["still here"]), json!({})).await;
    assert!(said["retval"].as_str().unwrap().ends_with("\"still here\""));
    depth(&client, &dog, 0).await;
}

#[tokio::test]
async fn the_least_that_peers_send_is_enough() {
    let (dog, mut client) = (unique("dog"), client(Value::Null).await);
    let _agent = kennel(&dog, Trust::insecure()).await;
    // Katello's own client sends no serial number, and finds its answer by its data.
    let without = json!({"without": ["sn", "routing", "request.kws", "request.cntr", "request.args"], "data": "mine"});
    let said = client.call(&dog, "Admin.hello", json!([]), without).await;
    assert_eq!(said["retval"], format!("Hello, I am {dog}"));
    for message in came(&said) {
        assert_eq!((&message["sn"], &message["data"]), (&Value::Null, &json!("mine")));
    }
    let queue = unique("replies");
    client.ask(json!({"do": "listen", "queue": queue})).await;
    let least = json!({"version": "2.0", "replyto": queue, "request": {"classname": "Admin", "method": "hello"}}).to_string();
    // What a client on Python 2 writes beside it, and what others do.
    for properties in [json!({"content_encoding": null}), json!({"content_encoding": null, "content_type": "application/json"})] {
        client.ask(json!({"do": "send", "address": dog, "text": least, "properties": properties})).await;
        for expected in ["accepted", "started", "result"] {
            let heard = client.heard().await;
            assert_eq!((kind(&heard["heard"]), &heard["heard"]["sn"]), (expected, &Value::Null), "{heard}");
        }
    }
}

#[tokio::test]
async fn a_serial_number_is_told_by_its_request() {
    let address = unique("probe");
    let (_agent, watch) = probe(&address, |builder| builder).await;
    let client = client(Value::Null).await;
    let echo = async |sn: &str, text: &str, replyto: &str| {
        let text = json!({
            "data": null, "replyto": replyto, "routing": [null, address], "sn": sn, "version": "2.0",
            "request": {"args": [text], "classname": "probe", "cntr": null, "kws": {}, "method": "echo"},
        });
        client.ask(json!({"do": "send", "address": address, "text": text.to_string()})).await;
    };
    let queue = unique("replies");
    client.ask(json!({"do": "declare", "queue": queue})).await;
    // The first request once more is answered with what it was answered before; another under its number is a new one.
    for (text, messages, ran) in [("one", 3, 1), ("one", 4, 1), ("two", 7, 2)] {
        echo("same", text, &queue).await;
        depth(&client, &queue, messages).await;
        assert_eq!(watch.ran(), ran, "{text}");
    }
    let took = client.ask(json!({"do": "take", "queue": queue})).await;
    let texts = took["took"].as_array().unwrap().iter().map(|seen| seen["text"].as_str().unwrap());
    let messages: Vec<Value> = texts.map(|text| serde_json::from_str(text).unwrap()).collect();
    let results: Vec<_> = messages.iter().filter(|message| kind(message) == "result").map(|m| &m["result"]["retval"]).collect();
    assert_eq!(results, ["one", "one", "two"]);
}

#[tokio::test]
async fn admin_is_asked_as_gofers_is() {
    let address = unique("probe");
    let (_agent, mut watch) = probe(&address, |builder| builder.concurrency(1)).await;
    let mut client = client(Value::Null).await;
    let admin = async |method: &str, args: Value, kws: Value| {
        client.call(&address, &format!("Admin.{method}"), args, json!({"kws": kws})).await
    };
    assert_eq!(admin("echo", json!([[1, "x"]]), json!({})).await["retval"], json!([1, "x"]));
    assert_eq!(admin("echo", json!([]), json!({"text": "x"})).await["retval"], "x");
    assert!(admin("help", json!([]), json!({})).await["retval"].as_str().unwrap().contains("probe"));

    let queue = unique("replies");
    client.ask(json!({"do": "listen", "queue": queue})).await;
    let begin = async |sn: &str, job: u32| {
        let keys = json!({"reply": queue, "sn": sn, "data": {"job": job}});
        assert_eq!(client.call(&address, "probe.listen", json!([sn]), keys).await["sn"], sn);
    };
    begin("runs", 1).await;
    assert_eq!(watch.began().await, "runs");
    begin("waits", 2).await;
    begin("waits as well", 3).await;
    let admin = async |args: Value, kws: Value| client.call(&address, "Admin.cancel", args, json!({"kws": kws})).await;
    let known = async |sn: &str| {
        // It may still be on its way.
        loop {
            let said = admin(json!([sn]), json!({})).await;
            if said["raised"].is_null() {
                break said["retval"].clone();
            }
        }
    };
    assert_eq!(known("waits").await, json!(["waits"]));
    let criteria = json!({"criteria": {"match": {"job": 3}}});
    let found = loop {
        let said = admin(json!([]), criteria.clone()).await;
        if said["retval"] != json!([]) {
            break said["retval"].clone();
        }
    };
    assert_eq!(found, json!(["waits as well"]));
    assert_eq!(admin(json!([]), criteria).await["retval"], json!([]));
    assert_eq!(known("runs").await, json!(["runs"]));
    let unknown = admin(json!(["nobody's"]), json!({})).await;
    assert_eq!((&unknown["raised"], &unknown["args"]), (&json!("Exception"), &json!(["serial number (nobody's), not-found"])));
    // Each of the three has its end, and says which.
    let mut ends = Vec::new();
    while ends.len() < 3 {
        let message = client.heard().await["heard"].take();
        if !message["result"].is_null() {
            let result = &message["result"];
            let end = result["retval"].as_str().or(result["xclass"].as_str()).unwrap().to_owned();
            ends.push((message["sn"].as_str().unwrap().to_owned(), end));
        }
    }
    ends.sort();
    let end = |sn: &str, end: &str| (sn.to_owned(), end.to_owned());
    let expected = [end("runs", "runs was cancelled"), end("waits", "Cancelled"), end("waits as well", "Cancelled")];
    assert_eq!(ends, expected);
    assert_eq!(watch.ran(), 1);
}

#[tokio::test]
async fn a_call_may_be_triggered_later_watched_elsewhere_or_forgotten() {
    let address = unique("probe");
    let (_agent, mut watch) = probe(&address, |builder| builder).await;
    let mut client = client(Value::Null).await;
    // By a trigger: its serial number is known before.
    let sn = client.call(&address, "probe.echo", json!(["later"]), json!({"trigger": 1})).await["sn"].clone();
    assert!(watch.seen().is_empty());
    let said = client.ask(json!({"do": "trigger", "sn": sn})).await;
    assert_eq!((&said["retval"], &said["sn"]), (&json!("later"), &sn));
    // Elsewhere.
    let queue = unique("replies");
    client.ask(json!({"do": "listen", "queue": queue})).await;
    let sn = client.call(&address, "probe.steps", json!([1]), json!({"reply": queue, "data": [7]})).await["sn"].clone();
    for expected in ["accepted", "started", "progress", "result"] {
        let heard = client.heard().await;
        assert_eq!((kind(&heard["heard"]), &heard["heard"]["sn"], &heard["heard"]["data"]), (expected, &sn, &json!([7])));
        assert_eq!(heard["origin"], address);
    }
    // Forgotten: nothing is said about it.
    client.call(&address, "probe.echo", json!(["forgotten"]), json!({"wait": 0})).await;
    watch.ended("forgotten").await;
    let last = client.call(&address, "probe.echo", json!(["last"]), json!({})).await;
    assert_eq!(came(&last).len(), 3);
    depth(&client, &queue, 0).await;
}

#[tokio::test]
async fn what_expires_on_the_bus_never_runs() {
    let address = unique("probe");
    let client = client(Value::Null).await;
    client.ask(json!({"do": "declare", "queue": address})).await;
    client.call(&address, "probe.echo", json!(["late"]), json!({"wait": 0, "ttl": 0.02})).await;
    client.call(&address, "probe.echo", json!(["in time"]), json!({"wait": 0, "ttl": 600})).await;
    depth(&client, &address, 1).await;
    // It was declared as gofer declares it, and is taken over as it is.
    let (agent, mut watch) = probe(&address, |builder| builder).await;
    watch.ended("in time").await;
    assert_eq!(watch.ran(), 1);
    let _ = agent.shutdown(SECOND).await.unwrap();
    // An agent that has left leaves its queue, where requests wait for it; one that never was is not found.
    depth(&client, &address, 0).await;
    let nobody = client.call(&unique("nobody"), "probe.echo", json!(["x"]), json!({})).await;
    assert_eq!(nobody["raised"], "NotFound");
}

#[tokio::test]
async fn exchanges_lead_to_agents_and_back() {
    let dog = unique("dog");
    // As with gofer's `queue=amq.direct/dog`: the queue is bound to the exchange by its name.
    let through = format!("amq.direct/{dog}");
    let builder = ours(&through, Trust::insecure()).await.reply_exchanges(["amq.direct"]);
    let _agent = serving(builder).start().await.unwrap();
    let mut client = client(Value::Null).await;
    for (address, exchange) in
        [(&through, Value::Null), (&dog, Value::Null), (&through, json!("amq.direct")), (&dog, json!("amq.direct"))]
    {
        let said = client.call(address, "Dog.bark", json!(["x"]), json!({"exchange": exchange})).await;
        assert!(said["retval"].is_string(), "{said}");
        for (seen, message) in said["came"].as_array().unwrap().iter().zip(came(&said)) {
            let route = exchange.as_str().unwrap_or_default();
            assert_eq!(seen["exchange"], route);
            let to = message["routing"][1].as_str().unwrap();
            assert_eq!(to.starts_with("amq.direct/"), !route.is_empty(), "{to}");
        }
    }
    // Of an address of more parts gofer takes the first and the last; and a serial number comes back as it was.
    let queue = unique("replies");
    client.ask(json!({"do": "listen", "queue": queue, "exchange": "amq.direct"})).await;
    let replyto = format!("amq.direct/between/{queue}");
    let request = json!({"classname": "Admin", "method": "hello"});
    let least = json!({"version": "2.0", "sn": 17, "replyto": replyto, "request": request}).to_string();
    client.ask(json!({"do": "send", "address": dog, "text": least})).await;
    for expected in ["accepted", "started", "result"] {
        let heard = client.heard().await;
        assert_eq!((kind(&heard["heard"]), &heard["heard"]["sn"]), (expected, &json!(17)), "{heard}");
        assert_eq!(heard["seen"]["exchange"], "amq.direct");
    }
    // One that is not listed carries no replies: the request does not run for nobody.
    let closed = unique("closed");
    let (agent, watch) = probe(&closed, |builder| builder).await;
    let said = client.call(&closed, "probe.echo", json!(["x"]), json!({"exchange": "amq.direct", "wait": 1})).await;
    assert_eq!((&said["raised"], watch.ran()), (&json!("RequestTimeout"), 0));
    assert_eq!(agent.figures()[0].rejected, 1);
}

#[tokio::test]
async fn a_queue_that_expires_is_taken_over_from_gofer() {
    let address = unique("probe");
    let client = client(Value::Null).await;
    client.ask(json!({"do": "declare", "queue": address, "expiration": 60})).await;
    client.call(&address, "probe.note", json!(["waited"]), json!({"wait": 0})).await;
    let queues = Queues::default().expires(Duration::from_secs(60)).auto_delete();
    let amqp = connect(options().queues(queues)).await;
    let (probing, mut watch) = Watch::new();
    let builder = Endpoint::builder(address.clone()).bind(Native::default(), amqp, Trust::insecure());
    let agent = builder.serve(ProbeServer::new(probing)).start().await.unwrap();
    watch.ended("waited").await;
    assert_eq!(client.call(&address, "probe.echo", json!(["x"]), json!({})).await["retval"], "x");
    let _ = agent.shutdown(SECOND).await.unwrap();
    // It went with its last subscriber, as gofer's does.
    assert_eq!(client.call(&address, "probe.echo", json!(["x"]), json!({})).await["raised"], "NotFound");
}

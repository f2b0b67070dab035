//! What was seen of gofer 3.0, and is not so here.
//!
//! | # | gofer | here |
//! |---|---|---|
//! | 1 | drops keyword arguments | `gofer_peers/agent.rs::every_way_to_give_arguments_is_read`, `gofer_peers/client.rs::arguments_by_name_reach_agents_of_every_release` |
//! | 2 | runs a request twice when the connection is cut before the acknowledgement | `gofer_peers/defects.rs::a_cut_before_the_acknowledgement_runs_nothing_twice` |
//! | 3 | runs again, without end, what brings it down | `gofer_peers/durable.rs::what_brings_an_agent_down_does_not_run_for_ever`, `journal_recovery.rs::what_brings_the_agent_down_too_often_is_poisoned` |
//! | 4 | runs a request without serial number again at the next start | `gofer_peers/defects.rs::a_request_without_serial_number_runs_once` |
//! | 5 | says nothing after `accepted` about what is cancelled, or has no request in it | `gofer_peers/agent.rs::admin_is_asked_as_gofers_is`, `gofer_peers/agent.rs::what_cannot_be_read_is_rejected_in_gofers_words` |
//! | 6 | has no heartbeats on RabbitMQ | `gofer_peers/defects.rs::a_silent_connection_is_noticed` |
//! | 7 | takes everything that the queue has, and stops reading at 100 | `gofer_peers/defects.rs::what_finds_no_room_stays_at_the_broker` |
//! | 8 | has a connection and five channels for each call | `gofer_peers/client.rs::calls_share_a_connection_and_a_reply_queue` |
//! | 9 | rounds times down to seconds, and does not count connecting | `times.rs::times_are_held_to_a_millisecond`, `times.rs::no_link_and_no_room_end_a_call_in_its_time`, `gofer_peers/durable.rs::a_call_has_its_time_to_the_millisecond_with_a_broker_or_without` |
//! | 10 | says null for what has died, fails for large results, cannot be asked whether it is cancelled | `gofer_peers/defects.rs::what_dies_has_not_succeeded` |
//! | 11 | sends unsigned what it cannot sign, imports what it is told, has files of names from the wire | `gofer_peers/defects.rs::what_cannot_be_signed_does_not_leave`, `gofer_peers/defects.rs::names_from_the_wire_are_only_names` |
//! | 12 | tells listeners no reason of a rejection; a missing key is a match | `gofer_peers/defects.rs::a_rejection_has_a_reason_and_a_missing_key_is_no_match` |
//! | 13 | keeps every serial number it has heard of; loses a result that cannot be sent | `gofer_peers/defects.rs::nothing_is_kept_of_calls_that_have_ended`, `gofer_peers/durable.rs::a_result_that_cannot_be_sent_is_sent_later`, `journal_recovery.rs::an_outcome_that_the_bus_refuses_is_sent_again` |
//! | 14 | says `accepted` before the request is on disk | `gofer_peers/durable.rs::what_is_accepted_is_on_paper`, `journal_recovery.rs::what_is_accepted_is_written_down_before_the_bus_forgets_it` |

use std::{path::Path, sync::mpsc, time::Duration};

use kennel::DogClient;
use rmi_amqp::Amqp;
use rmi_core::{
    CallError, Endpoint, Native, Trust, Update,
    journal::Durable,
    message::RejectionCode,
    seal::{AuthError, DigestAuthenticator, Gofer, Principal},
    transport::{LinkChange, Transport},
};
use rmi_tests::{
    amqp::{proxied, url},
    gofer::came,
    probe::{ProbeServer, Watch},
    raw::kind,
    soon::soon,
};
use serde_json::{Value, json};

use super::stage::{SECOND, agent, amqp, caller, client, depth, options, ours, probe, unique};

#[test]
fn every_test_of_the_table_is_there() {
    let table = include_str!("defects.rs").lines().filter_map(|line| line.strip_prefix("//! | "));
    let (mut rows, mut named) = (0, 0);
    for row in table.filter(|row| row.starts_with(|c: char| c.is_ascii_digit())) {
        rows += 1;
        for test in row.split('`').filter(|part| part.contains(".rs::")) {
            let (file, function) = test.split_once("::").unwrap();
            let source = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file)).unwrap();
            assert!(source.contains(&format!("fn {function}(")), "{test}");
            named += 1;
        }
    }
    assert!(rows == 14 && named >= 14, "{rows} rows, {named} tests");
}

#[tokio::test]
async fn a_cut_before_the_acknowledgement_runs_nothing_twice() {
    let (proxy, through) = proxied(&url().await).await;
    let (address, queue) = (unique("probe"), unique("replies"));
    let amqp = Amqp::connect(through).options(options()).await.unwrap();
    let mut links = amqp.links();
    let (probing, mut watch) = Watch::new();
    let builder = Endpoint::builder(address.clone()).bind(Native::default(), amqp, Trust::insecure());
    let agent = builder.serve(ProbeServer::new(probing)).start().await.unwrap();
    let mut client = client(Value::Null).await;
    client.ask(json!({"do": "listen", "queue": queue})).await;
    client.call(&address, "probe.hold", json!(["held"]), json!({"reply": queue, "sn": "cut"})).await;
    assert_eq!(watch.began().await, "held");
    // The request is not acknowledged while it runs: the broker gives it out again.
    proxy.cut();
    soon("the link is back", async {
        while !matches!(links.next().await, Some(LinkChange::Up(link)) if link.generation == 2) {}
    })
    .await;
    // What comes behind it is answered when it has come once more.
    let behind = client.call(&address, "probe.echo", json!(["behind"]), json!({})).await;
    assert_eq!(behind["retval"], "behind");
    watch.open(1);
    let mut ends = 0;
    while ends == 0 {
        let message = client.heard().await["heard"].take();
        ends += usize::from(kind(&message) == "result" && message["sn"] == "cut");
    }
    assert_eq!(watch.ran(), 2, "the one that was cut, and the one behind it");
    let _ = agent.shutdown(SECOND).await.unwrap();
    depth(&client, &address, 0).await;
}

#[tokio::test]
async fn a_request_without_serial_number_runs_once() {
    let (address, home) = (unique("probe"), tempfile::tempdir().unwrap());
    let start = async || {
        let (probing, watch) = Watch::new();
        let journal = Durable::open(home.path()).unwrap();
        let builder = ours(&address, Trust::insecure()).await.queue_of_its_own().journal(journal);
        (builder.serve(ProbeServer::new(probing)).start().await.unwrap(), watch)
    };
    let (agent, mut watch) = start().await;
    let client = client(Value::Null).await;
    // Two of them at once, as with gofer.
    let call = || client.call(&address, "probe.hold", json!(["x"]), json!({"without": ["sn"]}));
    let (first, second, ()) = tokio::join!(call(), call(), async {
        watch.began_all(["x", "x"]).await;
        watch.open(2);
    });
    assert_eq!((&first["retval"], &second["retval"]), (&json!("x"), &json!("x")));
    let _ = agent.shutdown(SECOND).await.unwrap();
    drop(agent);
    let (_agent, watch) = start().await;
    assert_eq!(client.call(&address, "probe.echo", json!(["after"]), json!({})).await["retval"], "after");
    assert_eq!(watch.ran(), 1, "only what came after the start");
}

/// Nobody says that the cable is out: an agent of gofer's would wait for ever.
#[tokio::test]
async fn a_silent_connection_is_noticed() {
    let (proxy, through) = proxied(&url().await).await;
    let address = unique("probe");
    let amqp = Amqp::connect(through).options(options().heartbeat(SECOND)).await.unwrap();
    let (probing, _watch) = Watch::new();
    let builder = Endpoint::builder(address.clone()).bind(Native::default(), amqp, Trust::insecure());
    let _agent = builder.serve(ProbeServer::new(probing)).start().await.unwrap();
    let mut links = std::pin::pin!(async {
        // Connections that are there stay as they are; new ones go through.
        proxy.stall();
        tokio::task::yield_now().await;
    });
    (&mut links).await;
    let client = client(Value::Null).await;
    // It is the agent that notices, and comes back by another connection.
    let call = client.call(&address, "probe.echo", json!(["x"]), json!({"wait": 50}));
    let freed = async {
        soon("the broker has lost its consumer", async {
            while client.ask(json!({"do": "depth", "queue": address})).await["consumers"] != 0 {}
        })
        .await;
        proxy.cut();
        proxy.flow();
    };
    let (said, ()) = tokio::join!(call, freed);
    assert_eq!(said["retval"], "x", "{said}");
}

#[tokio::test]
async fn what_finds_no_room_stays_at_the_broker() {
    let address = unique("probe");
    let (agent, mut watch) = probe(&address, |builder| builder.concurrency(1)).await;
    let client = client(Value::Null).await;
    let request = json!({
        "data": null, "replyto": null, "routing": [null, address], "sn": null, "version": "2.0",
        "request": {"args": ["held"], "classname": "probe", "cntr": null, "kws": {}, "method": "hold"},
    });
    client.ask(json!({"do": "send", "address": address, "text": request.to_string(), "times": 500})).await;
    assert_eq!(watch.began().await, "held");
    // Twice as many as may run at least are taken, and the rest waits where it is safe.
    depth(&client, &address, 500 - 64).await;
    assert_eq!(watch.ran(), 1);
    // And what it cannot take does not keep it from being asked.
    let hello = client.call(&format!("{address}.admin"), "Admin.hello", json!([]), json!({})).await;
    assert!(hello["retval"].is_string(), "{hello}");
    watch.open(500);
    // An agent that is told to end rejects what it has and has not started.
    for _ in 0..500 {
        watch.ended("held").await;
    }
    let _ = agent.shutdown(60 * SECOND).await.unwrap();
    assert_eq!(watch.ran(), 500);
}

#[tokio::test]
async fn what_dies_has_not_succeeded() {
    let address = unique("probe");
    let (_agent, mut watch) = probe(&address, |builder| builder).await;
    let client = client(Value::Null).await;
    let died = client.call(&address, "probe.explode", json!(["swordfish"]), json!({})).await;
    assert_eq!((&died["raised"], &died["retval"]), (&json!("RemoteException"), &Value::Null));
    assert_eq!(came(&died).pop().unwrap()["result"]["xclass"], "Panicked");
    let big = client.call(&address, "probe.big", json!([300_000]), json!({})).await;
    assert_eq!(big["retval"].as_str().unwrap().len(), 300_000);
    watch.seen();
    let listens = client.call(&address, "probe.listen", json!(["asked"]), json!({"sn": "asked"}));
    let cancelled = async {
        assert_eq!(watch.began().await, "asked");
        client.call(&address, "Admin.cancel", json!(["asked"]), json!({})).await
    };
    let (listened, cancelled) = tokio::join!(listens, cancelled);
    assert_eq!((&listened["retval"], &cancelled["retval"]), (&json!("asked was cancelled"), &json!(["asked"])));
}

/// A plug-in that has lost its key.
#[derive(Debug)]
struct Keyless;

impl DigestAuthenticator for Keyless {
    fn sign(&self, _: &str) -> Result<String, AuthError> {
        Err(AuthError::Failed("no key today".into()))
    }

    fn validate(&self, _: Option<&str>, _: &str, _: &str) -> Result<Principal, AuthError> {
        Ok(Principal::Key("anybody".into()))
    }

    fn answers(&self, _: &str, _: &str) -> bool {
        true
    }
}

#[tokio::test]
async fn what_cannot_be_signed_does_not_leave() {
    let queue = unique("dog");
    let client = client(Value::Null).await;
    client.ask(json!({"do": "declare", "queue": queue})).await;
    let caller = caller(Trust::sealed(Gofer::new(Keyless))).await;
    let dogs: DogClient = caller.client(queue.as_str());
    match dogs.bark("unsigned").await {
        Err(CallError::Encode(why)) => assert!(why.contains("no key today"), "{why}"),
        other => panic!("{other:?}"),
    }
    depth(&client, &queue, 0).await;
}

#[tokio::test]
async fn names_from_the_wire_are_only_names() {
    let (address, home) = (unique("probe"), tempfile::tempdir().unwrap());
    let directory = home.path().join("journal");
    let (probing, watch) = Watch::new();
    let builder = ours(&address, Trust::insecure()).await.queue_of_its_own().journal(Durable::open(&directory).unwrap());
    let _agent = builder.serve(ProbeServer::new(probing)).start().await.unwrap();
    let listing = || {
        let list = |path: &Path| {
            let mut names: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        (list(home.path()), list(&directory))
    };
    let before = listing();
    let client = client(Value::Null).await;
    for sn in ["../../escaped", "/tmp/escaped", "a\u{0}b", ".", ""] {
        let said = client.call(&address, "probe.echo", json!(["x"]), json!({"sn": sn, "with": {"sn": sn}})).await;
        assert_eq!(said["retval"], "x", "{sn:?}: {said}");
        let cancelled = client.call(&address, "Admin.cancel", json!([sn]), json!({})).await;
        match sn {
            "" => assert_eq!(cancelled["retval"], json!([]), "as for who names none"),
            _ => assert!(cancelled["raised"].is_string(), "{sn:?}: it has ended"),
        }
    }
    assert_eq!((listing(), watch.ran()), (before, 5));

    // What an agent says that it raised is read, and neither looked for nor made.
    let dog = unique("dog");
    let _peer = agent(&dog, json!({})).await;
    let caller = caller(Trust::insecure()).await;
    match caller.client::<DogClient>(dog.as_str()).my_error().await {
        Err(CallError::Exception(raised)) => assert_eq!(raised.xmodule.as_deref(), Some("agent")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_rejection_has_a_reason_and_a_missing_key_is_no_match() {
    let address = unique("probe");
    let (_agent, mut watch) = probe(&address, |builder| builder).await;
    let caller = caller(Trust::insecure()).await;
    let (told, reasons) = mpsc::channel();
    let call = caller.peer(address.as_str()).class("probe").call::<Value>("echo", [7]);
    let attached = call.send().await.unwrap().attach(move |update: Result<Update<Value>, CallError<_>>| {
        if let Err(CallError::Rejected(rejection)) = update {
            told.send(rejection).unwrap();
        }
    });
    attached.await;
    let rejection = reasons.recv().unwrap();
    assert_eq!(rejection.code, RejectionCode::Arguments);
    assert!(!rejection.description.is_empty() && !rejection.details.is_empty(), "{rejection}");

    let client = client(Value::Null).await;
    let listens = client.call(&address, "probe.listen", json!(["x"]), json!({"data": {"job": 1}}));
    let asks = async {
        assert_eq!(watch.began().await, "x");
        let cancel = async |criteria: Value| {
            client.call(&address, "Admin.cancel", json!([]), json!({"kws": {"criteria": criteria}})).await["retval"].clone()
        };
        assert_eq!(cancel(json!({"match": {"nothing": "like it"}})).await, json!([]));
        assert_eq!(cancel(json!({"match": {"job": 1}})).await.as_array().unwrap().len(), 1);
    };
    assert_eq!(tokio::join!(listens, asks).0["retval"], "x was cancelled");
}

#[tokio::test]
async fn nothing_is_kept_of_calls_that_have_ended() {
    let dog = unique("dog");
    let _peer = agent(&dog, json!({})).await;
    let builder = Endpoint::builder(unique("caller")).bind(Native::gofer(), amqp().await, Trust::insecure());
    let caller = builder.start().await.unwrap();
    let dogs: DogClient = caller.client(dog.as_str());
    for _ in 0..10 {
        dogs.bark("x").await.unwrap();
    }
    // A call whose time is over leaves nothing behind either, and its answer finds nobody.
    let late = dogs.nap(0.2).timeout(Duration::from_millis(20)).await;
    assert!(matches!(late, Err(CallError::Timeout { .. })), "{late:?}");
    dogs.bark("behind it").await.unwrap();
    let figures = &caller.figures()[0];
    assert_eq!(figures.calls_waiting, 0, "{figures:?}");
}

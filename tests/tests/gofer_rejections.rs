//! What gofer's peers raise is never read as a rejection of ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rmi_core::{CallError, error::Fate, message::RejectionCode};
use rmi_tests::{raw::Raw, world::World};
use serde_json::{Value, json};

#[tokio::test(start_paused = true)]
async fn only_our_own_mark_makes_a_rejection() {
    let world = World::unsealed();
    let (mut agent, caller) = (world.mailbox("agent").await, world.caller("caller").await);
    let exception = |module: &str, class: &str| json!({"exval": "Traceback\n\nwhy", "xmodule": module, "xclass": class, "xargs": ["why"], "xstate": {}});
    let missing = exception("gofer.rmi.dispatcher", "MemberNotFound");
    let cases = [
        (missing.clone(), Value::Null, None),
        (missing.clone(), json!({"code": "method.unknown"}), Some(RejectionCode::UnknownMethod)),
        (missing.clone(), json!({"code": "request.expired"}), None),
        (missing, json!({"code": 7}), None),
        (exception("rmi", "Panicked"), Value::Null, None),
        (exception("rmi", "Cancelled"), Value::Null, None),
    ];
    for (exception, mark, expected) in cases {
        let class = caller.endpoint.peer("agent").class("probe");
        let pending = class.call::<Value>("echo", ["x"]).send().await.unwrap();
        let reply = Raw::reply(&agent.next().await, "agent", json!({"result": exception, "rmi": mark}));
        world.post(&reply).await;
        match (pending.await, expected) {
            (Err(CallError::Remote(raised)), None) => assert_eq!(raised.message(), "why"),
            (Err(CallError::Rejected(rejection)), Some(expected)) => assert_eq!(rejection.code, expected),
            (other, _) => panic!("{other:?} for {reply:?}"),
        }
    }

    // Nor can a method say that it was rejected.
    let world = World::sealed();
    let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
    match caller.probe().raise("gofer.rmi.dispatcher", "NamespaceNotFound", "no").await {
        Err(error @ CallError::Remote(_)) => assert_eq!(error.fate(), Fate::Ran),
        other => panic!("{other:?}"),
    }
    assert_eq!(agent.watch.ran(), 1);
}

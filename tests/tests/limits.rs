//! Limits of the native envelope: what is too much, wherever in a message it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rmi_core::{CallError, Limits, message::RejectionCode};
use rmi_tests::{raw::publish, world::World};
use serde_json::{Value, json};

#[tokio::test(start_paused = true)]
async fn what_is_too_much_is_refused_wherever_it_is() {
    for world in World::both() {
        let limits = Limits::default().payload(2000).depth(8).arguments(3);
        let agent = world.agent_with("agent", |b| b.limits(limits)).await;
        let caller = world.caller("caller").await;
        let mut before = 0;
        let mut refused = async |many: u64| {
            world.settle().await;
            before += many;
            assert_eq!(agent.endpoint.figures()[0].malformed, before);
        };
        // Too long: as a message, and as anything.
        caller.probe().echo(&"x".repeat(2000)).notify().await.unwrap();
        publish(&world.bus, "agent", "x".repeat(2001)).await;
        refused(2).await;
        // Too deep: inside the arguments, and where nobody would look.
        let deep = (0..20).fold(json!("x"), |inner, _| json!([inner]));
        caller.endpoint.peer("agent").class("probe").call::<Value>("echo", [&deep]).notify().await.unwrap();
        world.post(&world.request("echo", json!(["x"])).sn("1").with("ignored", deep)).await;
        publish(&world.bus, "agent", "[".repeat(1000)).await;
        refused(3).await;
        // Too many: by position, by name, and both together.
        let probe = caller.endpoint.peer("agent").class("probe");
        let calls = [
            probe.call::<Value>("echo", [1, 2, 3, 4]),
            probe.call("echo", json!({"a": 1, "b": 2, "c": 3, "d": 4})),
            probe.call_with("echo", [1, 2], json!({"c": 3, "d": 4})),
        ];
        for call in calls {
            match call.await {
                Err(CallError::Rejected(rejection)) => {
                    assert_eq!(rejection.code, RejectionCode::Limit);
                    assert_eq!(rejection.details.as_str(), "4 arguments, at most 3 are allowed");
                }
                other => panic!("{other:?}"),
            }
        }
        // What is just within them is served.
        assert_eq!(agent.watch.ran(), 0);
        assert_eq!(caller.probe().echo(&"x".repeat(1000)).await.unwrap().len(), 1000);
        refused(0).await;
    }
}

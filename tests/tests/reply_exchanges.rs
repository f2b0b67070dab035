//! Reply addresses of the native envelope that name an exchange.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rmi_tests::world::World;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn replies_go_through_exchanges_that_are_listed() {
    for world in World::both() {
        let agent = world.agent("agent").await;
        let mut exchange = world.mailbox("amq.direct/box").await;
        for (sn, wrong) in ["agent", "amq.direct/agent", "amq.direct/box"].into_iter().enumerate() {
            world.post(&world.request("echo", json!(["x"])).sn(&sn.to_string()).reply_to(wrong)).await;
        }
        world.settle().await;
        assert_eq!((agent.watch.ran(), agent.endpoint.figures()[0].rejected), (0, 3));
        assert_eq!(agent.tap.published().len(), 1, "only the settler is answered");
        let _ = agent.endpoint.shutdown(Duration::ZERO).await.unwrap();

        let agent = world.agent_with("agent", |b| b.reply_exchanges(["amq.direct"])).await;
        for (sn, wrong) in ["amq.direct/agent", "amq.topic/box"].into_iter().enumerate() {
            world.post(&world.request("echo", json!(["x"])).sn(&sn.to_string()).reply_to(wrong)).await;
        }
        world.post(&world.request("echo", json!(["listed"])).sn("listed").reply_to("amq.direct/box").wants(&[])).await;
        assert_eq!(exchange.next().await["result"]["retval"], "listed");
        assert_eq!((agent.watch.ran(), agent.endpoint.figures()[0].rejected), (1, 2));
    }
}

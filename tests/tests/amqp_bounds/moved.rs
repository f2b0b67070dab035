//! What an endpoint does whose replies are flooded.

use std::{convert::Infallible, future::IntoFuture, sync::Arc, time::Duration};

use rmi_core::{
    Endpoint, Native, Trust,
    prelude::*,
    transport::{Destination, Frame, Transport},
};
use rmi_tests::{
    amqp::{name, options},
    soon::{shortly, soon},
};
use tokio::{sync::Notify, task::block_in_place};

use super::{amqp, broker};

#[remote]
trait Mill {
    /// Grinds, until it is told to stop.
    async fn grind(&self) -> Result<u32, Infallible>;
}

#[derive(Clone, Default)]
struct Stones(Arc<Notify>);

impl Mill for Stones {
    async fn grind(&self) -> Result<u32, Infallible> {
        self.0.notified().await;
        Ok(7)
    }
}

/// Whoever floods an endpoint's reply address ends nobody's call: the endpoint takes another one, and asks there for what it waits for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_whose_replies_are_flooded_moves_to_another_address() {
    let (broker, _turn) = broker().await;
    let (address, stones) = (name("mill"), Stones::default());
    let agent = Endpoint::builder(address.as_str()).bind(Native::default(), amqp(options()).await, Trust::insecure());
    let agent = agent.serve(MillServer::new(stones.clone())).start().await.unwrap();
    let (bus, own) = (Arc::new(amqp(options().backlog(1, usize::MAX)).await), name("flooded"));
    let caller = Endpoint::builder(own.as_str()).bind(Native::default(), Arc::clone(&bus), Trust::insecure());
    let caller = caller.start().await.unwrap();
    let mill: MillClient = caller.client(address.as_str());
    let grinding = mill.grind().send().await.unwrap();
    let replies = || {
        let queues = block_in_place(|| broker.ctl(&["list_queues", "name", "--silent"]));
        queues.lines().filter(|queue| queue.starts_with(&own)).map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let [flooded] = &replies()[..] else { panic!("it has one reply address: {:?}", replies()) };
    // It never comes to the rest of them.
    let peer = amqp(options()).await;
    soon("it is flooded", async {
        while bus.counters().flooded == 0 {
            let burst: Vec<_> = (0..64)
                .map(|_| {
                    let mut frame = Frame::new(Destination::Address(flooded.as_str().into()), "no reply");
                    frame.mandatory = false;
                    peer.publish(frame)
                })
                .collect();
            for publish in burst {
                publish.await.unwrap();
            }
        }
    })
    .await;
    shortly("it has another address", async { while replies().is_empty() || replies().contains(flooded) {} }).await;
    stones.0.notify_one();
    assert_eq!(soon("the call ends", grinding.into_future()).await.unwrap(), 7);
    assert_eq!(bus.counters().lost, 0);
    assert!(caller.figures()[0].subscriptions_lost >= 1);
    for endpoint in [agent, caller] {
        let _ = endpoint.shutdown(Duration::from_secs(5)).await.unwrap();
    }
}

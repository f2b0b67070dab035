//! Methods that take longer than the broker waits for an acknowledgement.

use std::{
    convert::Infallible,
    future::IntoFuture,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rmi_amqp::Options;
use rmi_core::{Endpoint, Native, Trust, endpoint::Builder, prelude::*};
use rmi_tests::{
    amqp::{name, options},
    soon::soon,
};
use tokio::{sync::Notify, task::block_in_place};

use super::{BROKER, amqp, broker, log::Log};

#[remote]
trait Mill {
    /// Grinds, until it is told to stop.
    #[remote(timeout = "1h")]
    async fn grind(&self) -> Result<u32, Infallible>;

    /// Rests.
    #[remote(timeout = "29m")]
    async fn rest(&self) -> Result<(), Infallible>;
}

#[derive(Clone, Default)]
struct Stones {
    rounds: Arc<AtomicU64>,
    stop: Arc<Notify>,
}

impl Mill for Stones {
    async fn grind(&self) -> Result<u32, Infallible> {
        self.rounds.fetch_add(1, Ordering::SeqCst);
        self.stop.notified().await;
        Ok(7)
    }

    async fn rest(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The broker takes back what is not acknowledged for too long. The method goes on, its one outcome is told, and it is not run again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_method_that_takes_longer_than_the_broker_waits_runs_once() {
    /// The broker waits that long for channels that are opened while this is kept.
    struct Hurry;

    impl Hurry {
        fn set(timeout: u32, tick: u32) {
            BROKER.eval(&format!("application:set_env(rabbit, consumer_timeout, {timeout})"));
            BROKER.eval(&format!("application:set_env(rabbit, channel_tick_interval, {tick})"));
        }
    }

    impl Drop for Hurry {
        fn drop(&mut self) {
            Hurry::set(30 * 60 * 1000, 60_000);
        }
    }

    let (_, _turn) = broker().await;
    block_in_place(|| Hurry::set(100, 100));
    let hurry = Hurry;
    let address = name("mill");
    let (bus, stones) = (Arc::new(amqp(options()).await), Stones::default());
    let agent = Endpoint::builder(address.as_str()).bind(Native::default(), Arc::clone(&bus), Trust::insecure());
    let agent = agent.serve(MillServer::new(stones.clone())).start().await.unwrap();
    let caller =
        Endpoint::builder("caller").bind(Native::default(), amqp(options()).await, Trust::insecure()).start().await.unwrap();
    let mill: MillClient = caller.client(address.as_str());
    let grinding = mill.grind().send().await.unwrap();
    soon("the broker takes it back twice", async {
        while bus.counters().channels_lost < 2 || bus.counters().redelivered < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    block_in_place(|| drop(hurry));
    stones.stop.notify_one();
    assert_eq!(soon("it ends", grinding.into_future()).await.unwrap(), 7);
    assert_eq!(stones.rounds.load(Ordering::SeqCst), 1);
    // What was delivered again is settled with it.
    soon("the broker has nothing more of it", async {
        loop {
            let queues = block_in_place(|| BROKER.ctl(&["list_queues", "name", "messages", "--silent"]));
            let queue = queues.lines().find(|line| line.starts_with(&address)).expect("it has a queue").to_owned();
            if queue.split_whitespace().last() == Some("0") {
                break;
            }
        }
    })
    .await;
    for endpoint in [agent, caller] {
        let _ = endpoint.shutdown(Duration::from_secs(5)).await.unwrap();
    }
}

/// Whoever serves a method that may take longer than that is told so at the start, and what to do.
#[tokio::test]
async fn a_method_that_may_take_longer_than_the_broker_waits_is_told_of() {
    let (_, _turn) = broker().await;
    let told = async |options: Options, special: fn(Builder) -> Builder| {
        let log = Log::default();
        let keeping = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(log.writer()).finish();
        let keeping = tracing::subscriber::set_default(keeping);
        let builder = Endpoint::builder(name("mill")).bind(Native::default(), amqp(options).await, Trust::insecure());
        let agent = special(builder).serve(MillServer::new(Stones::default())).start().await.unwrap();
        drop((keeping, agent));
        let log = log.text();
        log.lines().find(|line| line.contains("longer than the bus waits")).map(ToOwned::to_owned)
    };
    let line = told(options(), |builder| builder).await.expect("it is told");
    assert!(line.contains("Mill.grind") && line.contains("queue_of_its_own") && !line.contains("Mill.rest"), "{line}");
    let hour = Duration::from_secs(60 * 60);
    assert_eq!(told(options().consumer_timeout(hour * 2), |builder| builder).await, None);
    assert_eq!(told(options().consumer_timeout(None), |builder| builder).await, None);
    fn journalled(builder: Builder) -> Builder {
        let directory = tempfile::tempdir().unwrap().keep();
        builder.journal(rmi_core::journal::Durable::open(directory).unwrap()).queue_of_its_own()
    }
    assert_eq!(told(options(), journalled).await, None, "it is acknowledged when the journal has it");
}

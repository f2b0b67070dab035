//! A connection to RabbitMQ holds what every transport has to hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use rmi_amqp::{Amqp, Options};
use rmi_core::{
    testing::conformance::{self, Harness},
    transport::Transport,
};
use rmi_tests::rabbit;
use tokio::runtime::{Builder, Runtime};

fn options() -> Options {
    Options::default()
        .wait(Duration::from_secs(2))
        .max_payload(2 << 20)
        .pauses(Duration::from_millis(10), Duration::from_millis(40))
}

struct OnRabbit;

#[async_trait]
impl Harness for OnRabbit {
    // A broker holds as much as it has memory and disk for.
    const NOT_APPLICABLE: &'static [&'static str] = &["who_drops_the_oldest_holds_up_nobody", "what_nobody_receives_is_bounded"];
    const PUBLISH_WAITS: Option<Duration> = Some(Duration::from_secs(2));

    fn runtime() -> io::Result<Runtime> {
        Builder::new_multi_thread().worker_threads(1).enable_all().build()
    }

    async fn start() -> Self {
        OnRabbit
    }

    async fn seat(&self) -> Arc<dyn Transport> {
        let url = tokio::task::spawn_blocking(rabbit::url).await.unwrap();
        Arc::new(Amqp::connect(url).options(options()).await.unwrap())
    }
}

conformance::suite!(OnRabbit);

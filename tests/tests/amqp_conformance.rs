//! A connection to RabbitMQ holds what every transport has to hold: straight, and with a proxy between that delays what is sent, cuts
//! the connection, and resets it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use rmi_amqp::{Amqp, Options};
use rmi_core::{
    testing::conformance::{self, Harness},
    transport::{LinkChange, Links, Transport},
};
use rmi_tests::{
    amqp::{self, connect, proxied, url},
    proxy::{Manner, Proxy},
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Mutex,
    time::timeout,
};

/// A broker holds as much as it has memory and disk for.
const OF_BOUNDS: &[&str] = &["who_drops_the_oldest_holds_up_nobody", "what_nobody_receives_is_bounded"];
const WAIT: Duration = Duration::from_secs(2);

fn options() -> Options {
    amqp::options().wait(WAIT).max_payload(2 << 20)
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).enable_all().build()
}

struct OnRabbit;

#[async_trait]
impl Harness for OnRabbit {
    const NOT_APPLICABLE: &'static [&'static str] = OF_BOUNDS;
    const PUBLISH_WAITS: Option<Duration> = Some(WAIT);

    fn runtime() -> io::Result<Runtime> {
        runtime()
    }

    async fn start() -> Self {
        OnRabbit
    }

    async fn seat(&self) -> Arc<dyn Transport> {
        Arc::new(connect(options()).await)
    }
}

mod straight {
    use super::*;

    conformance::suite!(OnRabbit);
}

/// Everything goes by one proxy.
struct ByProxy {
    proxy: Proxy,
    url: String,
    /// The links of all seats, and whether each is up.
    links: Mutex<Vec<(Links, bool)>>,
}

impl ByProxy {
    async fn start(manner: Manner) -> Self {
        let (proxy, url) = proxied(&url().await).await;
        proxy.behave(manner);
        ByProxy { proxy, url, links: Mutex::default() }
    }

    async fn seat(&self) -> Arc<dyn Transport> {
        let seat = Amqp::connect(&self.url).options(options()).await.unwrap();
        self.links.lock().await.push((seat.links(), false));
        Arc::new(seat)
    }

    /// Cuts both ends of every connection, and does not say that to any. Waits until all have noticed: what is published before goes into
    /// the closed connection, and nobody knows what becomes of it.
    async fn cut(&self, cut: fn(&Proxy, Duration), outage: Duration) {
        let mut links = self.links.lock().await;
        for (links, up) in &mut *links {
            while let Ok(Some(change)) = timeout(Duration::ZERO, links.next()).await {
                note(&change, up);
            }
        }
        cut(&self.proxy, outage);
        for (links, up) in &mut *links {
            while *up {
                match links.next().await {
                    Some(change) => note(&change, up),
                    None => *up = false,
                }
            }
        }
    }
}

fn note(change: &LinkChange, up: &mut bool) {
    match change {
        LinkChange::Up(_) => *up = true,
        LinkChange::Down(..) => *up = false,
        LinkChange::Blocked(..) | LinkChange::Unblocked(_) => {}
    }
}

macro_rules! by_proxy {
    ($($name:ident: $manner:expr, $cut:expr;)*) => {$(
        mod $name {
            use super::*;

            struct This(ByProxy);

            #[async_trait]
            impl Harness for This {
                const NOT_APPLICABLE: &'static [&'static str] = OF_BOUNDS;
                const PUBLISH_WAITS: Option<Duration> = Some(WAIT);

                fn runtime() -> io::Result<Runtime> {
                    runtime()
                }

                async fn start() -> Self {
                    This(ByProxy::start($manner).await)
                }

                async fn seat(&self) -> Arc<dyn Transport> {
                    self.0.seat().await
                }

                async fn cut(&self, _seat: &Arc<dyn Transport>, outage: Duration) -> bool {
                    self.0.cut($cut, outage).await;
                    true
                }
            }

            conformance::suite!(This);
        }
    )*};
}

const AS_IT_IS: Manner = Manner { split: None, join: None, delay: None, garble: None, cut_after: None };
const DELAYED: Manner = Manner { delay: Some(Duration::from_millis(1)), ..AS_IT_IS };

fn reset(proxy: &Proxy, outage: Duration) {
    proxy.reset();
    proxy.away(outage);
}

by_proxy! {
    cut_by_a_proxy: AS_IT_IS, Proxy::away;
    reset_by_a_proxy_that_delays: DELAYED, reset;
}

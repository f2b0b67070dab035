//! What the suites of connections to RabbitMQ share: a connection, a proxy before the broker, somebody else's hand on it, names that
//! nobody else has there.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use lapin::{Channel, Connection, ConnectionProperties};
use rmi_amqp::{Amqp, Options};
use rmi_core::transport::{Deliveries, Delivery};

use crate::{proxy::Proxy, rabbit, soon::soon};

/// Options with pauses that no test has to wait for.
#[must_use]
pub fn options() -> Options {
    Options::default().pauses(Duration::from_millis(10), Duration::from_millis(40))
}

/// Where the [broker that suites use together](rabbit::url) is. It is started at the first call.
pub async fn url() -> String {
    tokio::task::spawn_blocking(rabbit::url).await.unwrap()
}

/// A connection to that broker.
pub async fn connect(options: Options) -> Amqp {
    Amqp::connect(url().await).options(options).await.unwrap()
}

/// Somebody else's hand on that broker: a connection by the client library alone, and a channel.
pub async fn by_hand() -> (Connection, Channel) {
    let connection = Connection::connect(&url().await, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

/// A proxy before the broker of a URL, and the URL that leads through it.
pub async fn proxied(url: &str) -> (Proxy, String) {
    let at = address(url);
    let proxy = Proxy::to(tokio::net::lookup_host(at).await.unwrap().next().unwrap()).await;
    let through = url.replacen(at, &proxy.at().to_string(), 1);
    (proxy, through)
}

/// The host and the port of a URL.
#[must_use]
pub fn address(url: &str) -> &str {
    let at = url.rsplit_once('@').expect("the URL has credentials").1;
    at.split_once('/').map_or(at, |(at, _)| at)
}

/// A name that nobody else has on the broker.
#[must_use]
pub fn name(stem: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{stem}.{}.{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The next delivery.
pub async fn next(inbox: &mut Box<dyn Deliveries>) -> Delivery {
    let mut taken = Vec::new();
    soon("a delivery comes", inbox.recv(&mut taken, 1)).await.unwrap();
    taken.pop().expect("the subscription has not ended")
}

/// The payload of a delivery.
#[must_use]
pub fn text(delivery: &Delivery) -> String {
    String::from_utf8_lossy(&delivery.payload).into_owned()
}

//! What a connection to RabbitMQ holds at most, waits for at most, and tells of what became of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod blocked;
mod floods;
mod interruptions;
mod log;
mod moved;
mod slow;

use std::sync::LazyLock;

use rmi_amqp::{Amqp, Options};
use rmi_core::transport::{Destination, Frame, LinkChange, Links, Purpose, Sharing, Source, Subscription};
use rmi_tests::{rabbit::Rabbit, soon::soon};
use tokio::sync::{Mutex, MutexGuard};

/// A broker of this suite's own: some tests make it short of memory.
static BROKER: LazyLock<Rabbit> = LazyLock::new(Rabbit::start);

/// The broker, for as long as the guard is kept.
async fn broker() -> (&'static Rabbit, MutexGuard<'static, ()>) {
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    (tokio::task::spawn_blocking(|| &*BROKER).await.unwrap(), turn)
}

async fn amqp(options: Options) -> Amqp {
    Amqp::connect(BROKER.url()).options(options).await.unwrap()
}

fn events(exchange: &str) -> Subscription {
    Subscription::new(Source::topic(exchange, "#"), Purpose::Events).sharing(Sharing::Broadcast)
}

fn frame(address: &str, payload: impl Into<String>) -> Frame {
    let mut frame = Frame::new(Destination::Address(address.into()), payload.into());
    frame.mandatory = true;
    frame
}

fn event(exchange: &str, payload: impl Into<String>) -> Frame {
    let mut frame = Frame::new(Destination::Topic { exchange: exchange.into(), key: "a.b".into() }, payload.into());
    frame.mandatory = true;
    frame
}

async fn change(links: &mut Links) -> LinkChange {
    soon("a link changes", links.next()).await.expect("the transport has not ended")
}

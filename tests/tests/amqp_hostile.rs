//! Messages over RabbitMQ that are not what a client library expects: none of them may end a connection, or come again for ever.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rmi_amqp::{Amqp, Options};
use rmi_core::transport::{Deliveries, Delivery, Disposition, LinkChange, Purpose, Source, Subscription, Transport};
use rmi_tests::{amqp::url, soon::soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A publisher that writes each byte itself.
struct Raw(TcpStream);

fn text(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

impl Raw {
    async fn connect(url: &str) -> Self {
        let (who, at) = url.strip_prefix("amqp://").unwrap().split_once('@').unwrap();
        let (user, password) = who.split_once(':').unwrap();
        let stream = TcpStream::connect(at.split_once('/').map_or(at, |(at, _)| at)).await.unwrap();
        let mut raw = Raw(stream);
        raw.0.write_all(b"AMQP\0\0\x09\x01").await.unwrap();
        raw.hear(10, 10).await;
        let sasl =
            [vec![0, 10, 0, 11], long(b""), text(b"PLAIN"), long(format!("\0{user}\0{password}").as_bytes()), text(b"en_US")];
        raw.frame(1, 0, &sasl.concat()).await;
        raw.hear(10, 30).await;
        raw.frame(1, 0, &[0, 10, 0, 31, 0, 100, 0, 2, 0, 0, 0, 0]).await;
        raw.frame(1, 0, &[vec![0, 10, 0, 40], text(b"/"), text(b""), vec![0]].concat()).await;
        raw.hear(10, 41).await;
        raw.frame(1, 1, &[0, 20, 0, 10, 0]).await;
        raw.hear(20, 11).await;
        raw
    }

    async fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let frame = [&[kind], &channel.to_be_bytes()[..], &long(payload), &[0xCE]].concat();
        self.0.write_all(&frame).await.unwrap();
    }

    /// Waits for a method.
    async fn hear(&mut self, class: u16, method: u16) {
        let heard = async {
            loop {
                let mut head = [0; 7];
                self.0.read_exact(&mut head).await.unwrap();
                let mut rest = vec![0; u32::from_be_bytes(*head.last_chunk().unwrap()) as usize + 1];
                self.0.read_exact(&mut rest).await.unwrap();
                let said = (u16::from_be_bytes([rest[0], rest[1]]), u16::from_be_bytes([rest[2], rest[3]]));
                if said == (class, method) {
                    return;
                }
                assert!(!matches!(said, (10, 50) | (20, 40)), "closed: {}", String::from_utf8_lossy(&rest));
            }
        };
        soon("the broker answers", heard).await;
    }

    /// Publishes a message with these flags and properties.
    async fn publish(&mut self, exchange: &str, key: &[u8], flags: u16, properties: &[u8], body: &[u8]) {
        let method = [vec![0, 60, 0, 40, 0, 0], text(exchange.as_bytes()), text(key), vec![0]].concat();
        self.frame(1, 1, &method).await;
        let size = u64::try_from(body.len()).unwrap().to_be_bytes();
        let header = [&[0, 60, 0, 0][..], &size, &flags.to_be_bytes(), properties].concat();
        self.frame(2, 1, &header).await;
        self.frame(3, 1, body).await;
    }

    /// Everything has been taken.
    async fn finish(mut self) {
        self.frame(1, 1, &[&[0, 20, 0, 40, 0, 200][..], &text(b""), &[0, 0, 0, 0]].concat()).await;
        self.hear(20, 41).await;
    }
}

/// The payload, the key and the correlation id of what comes next.
async fn next(inbox: &mut Box<dyn Deliveries>) -> [String; 3] {
    let mut come = Vec::new();
    soon("a delivery", inbox.recv(&mut come, 1)).await.unwrap();
    let delivery = come.pop().expect("the subscription lasts");
    let Delivery { payload, key, properties, acker, .. } = delivery;
    acker.settle(Disposition::Ack);
    let id = properties.correlation_id.as_deref().unwrap_or("none");
    [String::from_utf8(payload.to_vec()).unwrap(), key.to_string(), id.to_owned()]
}

const HEADERS: u16 = 1 << 13;
const CORRELATION: u16 = 1 << 10;

/// So many arrays in each other, in a table.
fn nested(depth: usize) -> Vec<u8> {
    let mut value = vec![];
    for _ in 0..depth {
        value = [b"A".to_vec(), long(&value)].concat();
    }
    [text(b"deep"), value].concat()
}

/// What is no text where text belongs, headers within headers, and headers that are longer than our frames end no connection: the message comes, once, and so do those behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_read_ends_no_connection() {
    let url = url().await;
    let amqp = Amqp::connect(&url).options(Options::default().wait(Duration::from_secs(20))).await.unwrap();
    let mut links = amqp.links();
    let LinkChange::Up(_) = links.next().await.unwrap() else { panic!("it is connected") };
    let queue = Subscription::new(Source::Address("hostile.requests".into()), Purpose::Requests).durable(true);
    let mut inbox = amqp.subscribe(queue).await.unwrap();
    let topic = Subscription::new(Source::topic("amq.topic", "hostile.#"), Purpose::Events);
    let mut events = amqp.subscribe(topic).await.unwrap();

    let mut raw = Raw::connect(&url).await;
    let to = b"hostile.requests";
    raw.publish("", to, CORRELATION, &text(b"\xFF\xFEid"), b"correlation").await;
    raw.publish("", to, HEADERS, &long(&[text(b"\xC3("), b"V".to_vec()].concat()), b"name").await;
    raw.publish("", to, HEADERS | CORRELATION, &[long(&nested(20_000)), text(b"id")].concat(), b"deep").await;
    raw.publish(
        "",
        to,
        HEADERS | CORRELATION,
        &[long(&[text(b"long"), b"S".to_vec(), long(&[b'-'; 100_000])].concat()), text(b"id")].concat(),
        b"long",
    )
    .await;
    raw.publish("", to, CORRELATION, &text("größe".as_bytes()), b"text").await;
    raw.publish("amq.topic", b"hostile.\xE9t\xE9", 0, b"", b"key").await;
    raw.publish("amq.topic", "hostile.été".as_bytes(), 0, b"", b"good").await;
    raw.finish().await;

    for (body, id) in [("correlation", "??id"), ("name", "none"), ("deep", "id"), ("long", "id"), ("text", "größe")] {
        assert_eq!(next(&mut inbox).await, [body, "hostile.requests", id]);
    }
    for (body, key) in [("key", "hostile.?t?"), ("good", "hostile.été")] {
        assert_eq!(next(&mut events).await, [body, key, "none"]);
    }
    assert_eq!((amqp.counters().connected, amqp.counters().lost), (1, 0));
    amqp.close().await.unwrap();
}

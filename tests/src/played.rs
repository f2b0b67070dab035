//! A broker that a test plays itself, byte by byte: it welcomes, holds back, cuts and throws out exactly when the test says so, which no
//! real one can be made to do.

use std::collections::HashMap;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::soon::shortly;

const PUBLISH: (u16, u16) = (60, 40);

/// Where the broker that a test plays is dialled.
#[derive(Debug)]
pub struct Played {
    listener: TcpListener,
}

/// One connection to it.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    /// What is published by each channel is numbered from 1.
    published: HashMap<u16, u64>,
}

/// What a client says: the channel, and what it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of AMQP 0-9-1")]
pub enum Said {
    ChannelOpen(u16),
    ChannelClose(u16),
    ConfirmSelect(u16),
    QueueDeclare(u16, String),
    Consume(u16, String),
    Cancel(u16, String),
    Publish(Published),
    Ack(u16, u64),
    Nack(u16, u64),
    ConnectionClose,
    Other(u16, (u16, u16)),
}

/// A message that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The channel that it came by.
    pub channel: u16,
    /// Its number, where the channel confirms.
    pub tag: u64,
    /// What it was published to.
    pub key: String,
    /// Its body.
    pub body: String,
    /// How long it may wait, in milliseconds.
    pub expiration: Option<u64>,
}

/// Reads what AMQP is made of.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn number<const N: usize>(&mut self) -> [u8; N] {
        let (number, rest) = self.0.split_first_chunk().expect("there is as much as a method has");
        self.0 = rest;
        *number
    }

    fn short(&mut self) -> u16 {
        u16::from_be_bytes(self.number())
    }

    fn text(&mut self) -> String {
        let [length] = self.number();
        let (text, rest) = self.0.split_at(length.into());
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }

    fn skip(&mut self, length: usize) {
        self.0 = &self.0[length..];
    }

    /// What comes before the expiration, and the expiration, of a message's properties.
    fn expiration(&mut self) -> Option<u64> {
        let flags = self.short();
        for bit in (9..16).rev().filter(|bit| flags & 1 << bit != 0) {
            match bit {
                // The headers are a table; the delivery mode and the priority a byte.
                13 => {
                    let length = u32::from_be_bytes(self.number());
                    self.skip(length as usize);
                }
                12 | 11 => self.skip(1),
                _ => drop(self.text()),
            }
        }
        (flags & 1 << 8 != 0).then(|| self.text().parse().expect("a number"))
    }
}

fn text(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).expect("a short text")], text.as_bytes()].concat()
}

fn long(text: &str) -> Vec<u8> {
    [&u32::try_from(text.len()).expect("a text").to_be_bytes(), text.as_bytes()].concat()
}

impl Played {
    /// Begins to listen.
    ///
    /// # Panics
    ///
    /// No port is free.
    pub async fn start() -> Self {
        Played { listener: TcpListener::bind("127.0.0.1:0").await.expect("a port is free") }
    }

    /// Where it is dialled.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@{}/%2f", self.listener.local_addr().expect("it listens"))
    }

    /// The next one who dials, who has heard nothing yet.
    pub async fn accept(&self) -> Peer {
        let (stream, _) = shortly("it is dialled", self.listener.accept()).await.expect("it can be accepted");
        stream.set_nodelay(true).expect("it is connected");
        Peer { stream, published: HashMap::new() }
    }

    /// The next one who dials, welcomed.
    pub async fn welcomed(&self) -> Peer {
        let mut peer = self.accept().await;
        peer.welcome(2047).await;
        peer
    }
}

impl Peer {
    /// Welcomes who has dialled, and lets it have so many channels.
    pub async fn welcome(&mut self, channels: u16) {
        let mut spoken = [0; 8];
        shortly("it says what it speaks", self.stream.read_exact(&mut spoken)).await.expect("the client is there");
        let start = [&[0, 9, 0, 0, 0, 0][..], &long("PLAIN"), &long("en_US")].concat();
        self.say(0, (10, 10), &start).await;
        assert_eq!(self.hear().await, Some(Said::Other(0, (10, 11))));
        // No heartbeat: what is silent here is so on purpose.
        let tune = [&channels.to_be_bytes()[..], &131_072u32.to_be_bytes(), &[0, 0]].concat();
        self.say(0, (10, 30), &tune).await;
        assert_eq!(self.hear().await, Some(Said::Other(0, (10, 31))));
        assert_eq!(self.hear().await, Some(Said::Other(0, (10, 40))));
        self.say(0, (10, 41), &text("")).await;
    }

    async fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
        let frame = [&[kind], &channel.to_be_bytes()[..], &length, payload, &[0xCE]].concat();
        // Who has gone hears nothing.
        let _ = self.stream.write_all(&frame).await;
    }

    async fn say(&mut self, channel: u16, (class, method): (u16, u16), arguments: &[u8]) {
        self.frame(1, channel, &[&class.to_be_bytes(), &method.to_be_bytes(), arguments].concat()).await;
    }

    async fn read(&mut self) -> Option<(u8, u16, Vec<u8>)> {
        loop {
            let mut head = [0; 7];
            shortly("the client says something", self.stream.read_exact(&mut head)).await.ok()?;
            let (kind, channel, length) =
                (head[0], u16::from_be_bytes([head[1], head[2]]), u32::from_be_bytes([head[3], head[4], head[5], head[6]]));
            let mut payload = vec![0; length as usize + 1];
            self.stream.read_exact(&mut payload).await.ok()?;
            payload.pop();
            if kind != 8 {
                return Some((kind, channel, payload));
            }
        }
    }

    /// What is said next; `None` when the client has gone.
    pub async fn hear(&mut self) -> Option<Said> {
        let (_, channel, payload) = self.read().await?;
        let mut bytes = Bytes(&payload);
        let method = (bytes.short(), bytes.short());
        Some(match method {
            (10, 50) => Said::ConnectionClose,
            (20, 10) => Said::ChannelOpen(channel),
            (20, 40) => Said::ChannelClose(channel),
            (50, 10) => {
                bytes.skip(2);
                Said::QueueDeclare(channel, bytes.text())
            }
            (60, 20) => {
                bytes.skip(2);
                Said::Consume(channel, bytes.text())
            }
            (60, 30) => Said::Cancel(channel, bytes.text()),
            PUBLISH => {
                bytes.skip(2);
                let (_exchange, key) = (bytes.text(), bytes.text());
                let (_, _, header) = self.read().await?;
                let mut header = Bytes(&header);
                header.skip(4);
                let (size, expiration) = (u64::from_be_bytes(header.number()), header.expiration());
                let mut body = Vec::new();
                while (body.len() as u64) < size {
                    body.extend(self.read().await?.2);
                }
                let tag = self.published.entry(channel).or_default();
                *tag += 1;
                let body = String::from_utf8_lossy(&body).into_owned();
                Said::Publish(Published { channel, tag: *tag, key, body, expiration })
            }
            (60, 80) => Said::Ack(channel, u64::from_be_bytes(bytes.number())),
            (60, 120) => Said::Nack(channel, u64::from_be_bytes(bytes.number())),
            (85, 10) => Said::ConfirmSelect(channel),
            other => Said::Other(channel, other),
        })
    }

    /// Says what every broker says to that, where there is something to be said.
    pub async fn answer(&mut self, said: &Said) {
        match said {
            Said::ChannelOpen(channel) => self.say(*channel, (20, 11), &long("")).await,
            Said::ChannelClose(channel) => self.say(*channel, (20, 41), &[]).await,
            Said::ConfirmSelect(channel) => self.say(*channel, (85, 11), &[]).await,
            Said::QueueDeclare(channel, queue) => {
                self.say(*channel, (50, 11), &[text(queue), vec![0; 8]].concat()).await;
            }
            Said::Consume(channel, queue) => self.say(*channel, (60, 21), &text(queue)).await,
            Said::Cancel(channel, consumer) => self.say(*channel, (60, 31), &text(consumer)).await,
            Said::Publish(published) => self.confirm(published).await,
            Said::ConnectionClose => self.say(0, (10, 51), &[]).await,
            Said::Other(channel, (class, method @ (10 | 20))) => self.say(*channel, (*class, method + 1), &[]).await,
            Said::Ack(..) | Said::Nack(..) | Said::Other(..) => {}
        }
    }

    /// Answers everything up to what is waited for, which is returned, and not answered.
    ///
    /// # Panics
    ///
    /// It is not said.
    pub async fn until(&mut self, what: &str, is: impl Fn(&Said) -> bool) -> Said {
        let heard = async {
            loop {
                let said = self.hear().await.unwrap_or_else(|| panic!("the client has gone before it said {what}"));
                if is(&said) {
                    return said;
                }
                self.answer(&said).await;
            }
        };
        shortly(&format!("the client says {what}"), heard).await
    }

    /// The next message that is published, which is not confirmed.
    pub async fn published(&mut self) -> Published {
        match self.until("publish", |said| matches!(said, Said::Publish(..))).await {
            Said::Publish(published) => published,
            other => panic!("{other:?}"),
        }
    }

    /// Confirms a message, and those before it by its channel.
    pub async fn confirm(&mut self, Published { channel, tag, .. }: &Published) {
        self.say(*channel, (60, 80), &[&tag.to_be_bytes()[..], &[1]].concat()).await;
    }

    /// The next consumer that is wanted, which is not answered.
    pub async fn consumer(&mut self) -> Said {
        self.until("consume", |said| matches!(said, Said::Consume(..))).await
    }

    /// Delivers a message to the consumer of a queue.
    pub async fn deliver(&mut self, channel: u16, queue: &str, tag: u64, body: &str) {
        let arguments = [text(queue), tag.to_be_bytes().to_vec(), vec![0], text(""), text(queue)].concat();
        self.say(channel, (60, 60), &arguments).await;
        let size = (body.len() as u64).to_be_bytes();
        self.frame(2, channel, &[&[0, 60, 0, 0][..], &size, &[0, 0]].concat()).await;
        self.frame(3, channel, body.as_bytes()).await;
    }

    /// Closes a channel.
    pub async fn close_channel(&mut self, channel: u16, code: u16, why: &str) {
        self.say(channel, (20, 40), &[&code.to_be_bytes()[..], &text(why), &[0; 4]].concat()).await;
    }

    /// Throws the client out.
    pub async fn throw_out(mut self, why: &str) {
        self.say(0, (10, 50), &[&320u16.to_be_bytes()[..], &text(why), &[0; 4]].concat()).await;
        self.gone().await;
    }

    /// Answers everything until the client has gone.
    pub async fn gone(&mut self) {
        while let Some(said) = self.hear().await {
            self.answer(&said).await;
        }
    }
}

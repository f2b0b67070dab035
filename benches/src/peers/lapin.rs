//! What is written by hand with [`lapin`]: nobody is addressed by name, nothing is read or written but an id and the text, no wait ends.

mod calls;
mod flows;

use std::fmt;

use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};

pub use self::{calls::LapinCalls, flows::LapinFlow};
use crate::Error;

/// How many deliveries may be unacknowledged at a time: as many as an endpoint with all defaults takes.
const PREFETCH: u16 = 128;

/// What is guaranteed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guarantees {
    /// Messages are stored, and the broker confirms every one of them.
    pub persistent: bool,
    /// Requests lie in a durable queue until they are done with, and are returned where there is none: mandatory and confirmed.
    pub acknowledged: bool,
}

impl Guarantees {
    /// None at all.
    pub const NONE: Guarantees = Guarantees { persistent: false, acknowledged: false };
    /// No request is lost while the broker runs.
    pub const TRANSIENT: Guarantees = Guarantees { persistent: false, acknowledged: true };
    /// Durable, persistent, acknowledged, confirmed.
    pub const SAFEST: Guarantees = Guarantees { persistent: true, acknowledged: true };
}

/// How long bodies are: as long as the messages that we send for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bodies {
    /// What a request has besides its text, in bytes.
    pub request: usize,
    /// What a reply has besides its text, in bytes.
    pub reply: usize,
}

/// The id, in hexadecimal digits, is at the front of a body.
const ID: usize = 16;

/// A body of the id, the text, and what else is needed to be of this length.
fn body(id: u64, text: &[u8], besides: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(text.len() + besides.max(ID));
    body.extend_from_slice(format!("{id:016x}").as_bytes());
    body.extend_from_slice(text);
    body.resize(text.len() + besides.max(ID), b'.');
    body
}

/// The id and the text of a body.
fn parts(body: &[u8], besides: usize) -> Result<(u64, &[u8]), Error> {
    let length = body.len().checked_sub(besides.max(ID)).ok_or("a body is too short")?;
    let id = u64::from_str_radix(std::str::from_utf8(&body[..ID])?, 16)?;
    Ok((id, &body[ID..ID + length]))
}

/// A connection with all defaults, and a channel, which confirms if it is to.
async fn channel(url: &str, confirms: bool) -> Result<(Connection, Channel), Error> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = open(&connection, confirms).await?;
    Ok((connection, channel))
}

async fn open(connection: &Connection, confirms: bool) -> Result<Channel, Error> {
    let channel = connection.create_channel().await?;
    if confirms {
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
    }
    Ok(channel)
}

/// Publishes, and waits for the confirmation where the channel confirms.
async fn publish(
    channel: &Channel,
    (exchange, key): (ShortString, ShortString),
    body: &[u8],
    mandatory: bool,
    properties: BasicProperties,
) -> Result<(), Error> {
    let options = BasicPublishOptions { mandatory, immediate: false };
    match channel.basic_publish(exchange, key, options, body, properties).await?.await? {
        Confirmation::Ack(None) | Confirmation::NotRequested => Ok(()),
        other => Err(format!("the broker did not take a message: {other:?}").into()),
    }
}

fn properties(persistent: bool) -> BasicProperties {
    if persistent { BasicProperties::default().with_delivery_mode(2) } else { BasicProperties::default() }
}

/// What has to stay for messages to come.
struct Held(#[expect(dead_code, reason = "it ends with its last owner")] Vec<Connection>);

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

//! `rmi publish`: one event.

use std::time::Duration;

use clap::Args;
use rmi_core::{Endpoint, transport::Receipt};
use serde::Serialize;

use crate::{
    arguments::{Value, time},
    connection::{Connection, close},
    ending::Ending,
    exit::Exit,
    out::Out,
};

/// Publish an event
///
/// Needs a bus with topics. tcp:// and tls:// have none: they end with status 6 and say so.
#[derive(Debug, Args)]
pub(crate) struct Publish {
    #[command(flatten)]
    connection: Connection,
    /// What happened, as in dog.barked.rex
    #[arg(id = "event_key", value_name = "KEY")]
    key: String,
    /// The rest of it: an object
    #[arg(default_value = "{}")]
    body: Value,
    /// Data of your own, beside the event
    #[arg(long, value_name = "JSON")]
    data: Option<Value>,
    /// How long the event may wait for a subscriber that is slow
    #[arg(long, value_name = "TIME", value_parser = time)]
    ttl: Option<Duration>,
    /// How long the bus may take to take the event
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10s")]
    timeout: Duration,
}

#[derive(Serialize)]
struct PublishedLine {
    status: &'static str,
    heard: bool,
}

impl Publish {
    pub(crate) async fn run(self, out: &Out) -> Result<Exit, Box<Ending>> {
        if !self.body.0.as_str().starts_with('{') {
            return Err(Ending::usage("the body of an event is an object").try_this("'{\"words\":\"woof\"}'"));
        }
        let endpoint = self.connection.open(Some(self.timeout), None, out).await?;
        let ended = self.perform(&endpoint, out).await;
        close(&endpoint).await;
        ended
    }

    pub(crate) async fn perform(&self, endpoint: &Endpoint, out: &Out) -> Result<Exit, Box<Ending>> {
        let mut publish = endpoint.publish_raw(self.key.as_str(), self.body.0.clone()).timeout(self.timeout);
        if let Some(Value(data)) = &self.data {
            publish = publish.data(data);
        }
        if let Some(ttl) = self.ttl {
            publish = publish.ttl(ttl);
        }
        let receipt = publish.await.map_err(|error| Ending::of_publish(&error))?;
        let heard = receipt != Receipt::NoRoute;
        if out.is_json() {
            out.line(&PublishedLine { status: "published", heard });
        } else if !heard {
            out.note("published; nobody has subscribed to it");
        }
        Ok(Exit::Result)
    }
}

//! `rmi subscribe`: events as they come.

use clap::Args;
use rmi_core::{
    Endpoint, Json,
    endpoint::{Missed, Received},
    message::Event,
};
use serde::Serialize;

use crate::{
    connection::{Connection, close},
    ending::Ending,
    exit::Exit,
    json_text::compact,
    out::{Out, printable},
};

/// Print events as they come, until ctrl-c
///
/// Needs a bus with topics. tcp:// and tls:// have none: they end with status 6 and say so.
#[derive(Debug, Args)]
pub(crate) struct Subscribe {
    #[command(flatten)]
    connection: Connection,
    /// Which events: `*` stands for one word of a key, `#` for any number of them
    #[arg(value_name = "PATTERN", default_value = "#")]
    patterns: Vec<String>,
    /// Share the events with everybody who subscribes under this name: each goes to one of them
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    /// End after so many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

#[derive(Serialize)]
struct EventLine<'a> {
    event: EventText<'a>,
}

#[derive(Serialize)]
struct EventText<'a> {
    key: &'a str,
    body: &'a Json,
    from: Option<&'a str>,
    principal: String,
    sent: Option<String>,
    data: Option<&'a Json>,
}

impl Subscribe {
    pub(crate) async fn run(self, out: &Out) -> Result<Exit, Box<Ending>> {
        let endpoint = self.connection.open(None).await?;
        let ended = self.perform(&endpoint, out).await;
        close(&endpoint).await;
        ended
    }

    async fn perform(&self, endpoint: &Endpoint, out: &Out) -> Result<Exit, Box<Ending>> {
        let mut subscribe = endpoint.subscribe::<Event>();
        for pattern in &self.patterns {
            subscribe = subscribe.key(pattern.as_str());
        }
        if let Some(pool) = &self.pool {
            subscribe = subscribe.pool(pool.as_str());
        }
        let mut events = subscribe.await.map_err(|error| Ending::of_subscribe(&error))?;
        let mut left = self.count;
        while left != Some(0) && !out.is_closed() {
            let next = tokio::select! {
                next = events.next() => next,
                _ = tokio::signal::ctrl_c() => return Ok(Exit::Result),
            };
            match next {
                Some(Ok(event)) => {
                    show(&event, out);
                    left = left.map(|left| left - 1);
                }
                Some(Err(missed @ (Missed::Ended | Missed::Overflowed))) => {
                    return Err(Ending::transport("the subscription ended", &missed).try_this("subscribing again"));
                }
                Some(Err(missed)) => out.note(&missed.to_string()),
                None => break,
            }
        }
        Ok(Exit::Result)
    }
}

fn show(received: &Received<Event>, out: &Out) {
    let sent = received.sent.map(rmi_core::time::Timestamp::to_millis);
    if out.is_json() {
        let event = EventText {
            key: &received.key,
            body: &received.event.body,
            from: received.from.as_ref().map(rmi_core::Address::as_str),
            principal: received.principal.to_string(),
            sent,
            data: received.data.as_ref(),
        };
        out.line(&EventLine { event });
        return;
    }
    let body = compact(received.event.body.as_str());
    let text = format!("{}  {}  {}  {body}", sent.unwrap_or_default(), received.key, received.principal);
    out.text(printable(&text).trim_start());
}

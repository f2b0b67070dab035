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
        let endpoint = self.connection.open(None, None, out).await?;
        let ended = self.perform(&endpoint, out).await;
        close(&endpoint).await;
        ended
    }

    pub(crate) async fn perform(&self, endpoint: &Endpoint, out: &Out) -> Result<Exit, Box<Ending>> {
        let mut subscribe = endpoint.subscribe::<Event>();
        for pattern in &self.patterns {
            subscribe = subscribe.key(pattern.as_str());
        }
        if let Some(pool) = &self.pool {
            subscribe = subscribe.pool(pool.as_str());
        }
        let mut events = subscribe.await.map_err(|error| Ending::of_subscribe(&error))?;
        out.aside("subscribed");
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

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, io, rc::Rc};

    use clap::Parser;
    use rmi_core::{Memory, Native, Trust};
    use serde_json::{Value, json};

    use super::*;
    use crate::publish::Publish;

    /// The commands as they are written, and a bus that has topics.
    #[derive(Parser)]
    enum Commands {
        Publish(Publish),
        Subscribe(Subscribe),
    }

    #[derive(Clone, Default)]
    struct Printed(Rc<RefCell<Vec<u8>>>);

    impl io::Write for Printed {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Printed {
        fn lines(&self) -> Vec<Value> {
            String::from_utf8(self.0.borrow().clone()).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    async fn endpoint(bus: &Memory, name: &str) -> Endpoint {
        Endpoint::builder(name).bind(Native::default(), bus.clone(), Trust::insecure()).start().await.unwrap()
    }

    #[tokio::test]
    async fn what_is_published_is_printed_where_it_was_subscribed_to() {
        let bus = Memory::new();
        let (publisher, subscriber) = (endpoint(&bus, "ann").await, endpoint(&bus, "bob").await);
        let words = ["rmi", "subscribe", "tcp://127.0.0.1:1", "dog.#", "--count", "2", "--insecure"];
        let Commands::Subscribe(subscribe) = Commands::parse_from(words) else { panic!("another command") };
        let (heard, said) = (Printed::default(), Printed::default());
        let hearing = Out::to(heard.clone());
        let publishing = async {
            for key in ["cat.mewed", "dog.barked.rex", "dog.slept"] {
                let words = ["rmi", "publish", "tcp://127.0.0.1:1", key, r#"{"words":"wuff"}"#, "--data", "7", "--insecure"];
                let Commands::Publish(publish) = Commands::parse_from(words) else { panic!("another command") };
                assert_eq!(publish.perform(&publisher, &Out::to(said.clone())).await.unwrap(), Exit::Result);
            }
        };
        // The first is polled first, and on this bus that is enough to have subscribed.
        let (ended, ()) = tokio::join!(biased; subscribe.perform(&subscriber, &hearing), publishing);
        assert_eq!(ended.unwrap(), Exit::Result);

        let heard_of = |heard: bool| json!({"status": "published", "heard": heard});
        assert_eq!(said.lines(), [heard_of(false), heard_of(true), heard_of(true)]);
        let lines = heard.lines();
        assert_eq!([&lines[0]["event"]["key"], &lines[1]["event"]["key"]], ["dog.barked.rex", "dog.slept"]);
        assert_eq!((&lines[0]["event"]["from"], &lines[0]["event"]["principal"]), (&json!("ann"), &json!("anonymous")));
        assert_eq!((&lines[0]["event"]["body"], &lines[0]["event"]["data"]), (&json!({"words": "wuff"}), &json!(7)));
        for endpoint in [publisher, subscriber] {
            close(&endpoint).await;
        }
    }

    #[tokio::test]
    async fn what_is_no_pattern_is_told() {
        let bus = Memory::new();
        let subscriber = endpoint(&bus, "bob").await;
        let words = ["rmi", "subscribe", "tcp://127.0.0.1:1", "dog..", "--insecure"];
        let Commands::Subscribe(subscribe) = Commands::parse_from(words) else { panic!("another command") };
        let ending = subscribe.perform(&subscriber, &Out::to(io::sink())).await.unwrap_err();
        assert_eq!(ending.exit(), Exit::Usage);
        close(&subscriber).await;
    }
}

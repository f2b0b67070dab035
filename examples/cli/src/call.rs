//! `rmi call`: one call, awaited, watched, answered elsewhere or forgotten.

use std::{
    pin::Pin,
    time::{Duration, Instant},
};

use clap::Args;
use rmi_core::{
    CallError, Endpoint, Json, Update,
    message::{Exception, Sn},
};
use serde::Serialize;

use crate::{
    arguments::{Method, Named, NamedArguments, Value, time},
    connection::{Connection, close},
    ending::Ending,
    exit::Exit,
    out::Out,
    watch::Watch,
};

/// A call without its types.
type RawCall = rmi_core::Call<Json, Exception, Json>;

/// How long a call that somebody watches may take.
const WATCHED: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an agent that dials is waited for unless it is said, and how often it is looked for.
const PATIENCE: Duration = Duration::from_secs(90);
const AGAIN: Duration = Duration::from_millis(50);

/// Call a method
///
/// Prints the result as JSON. What parses as JSON is given as JSON, everything else as a string: `7` is a number, `"7"` and `seven` are
/// strings.
///
/// With --watch ctrl-c asks the agent to cancel the call and waits for its end; the second ctrl-c leaves, and the call goes on. Without
/// --watch ctrl-c leaves at once, and the call goes on.
#[derive(Debug, Args)]
pub(crate) struct Call {
    #[command(flatten)]
    connection: Connection,
    /// The agent's address; at a broker also EXCHANGE/QUEUE, of an exchange that is there
    address: String,
    /// What to call
    #[arg(value_name = "CLASS.METHOD")]
    method: Method,
    /// Arguments by position
    #[arg(value_name = "ARG", allow_negative_numbers = true)]
    arguments: Vec<Value>,
    /// An argument by name; may be repeated
    #[arg(long = "kw", value_name = "K=JSON")]
    named: Vec<Named>,
    /// Constructor arguments of the instance: an object by name, an array by position
    #[arg(long, value_name = "JSON")]
    cntr: Option<Value>,
    /// The version of the contract that is meant, as in 1.2
    #[arg(long, value_name = "VERSION")]
    contract: Option<String>,
    /// How long the outcome may take in all; 90s unless it is set, a day with --watch
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,
    /// How long the agent may say nothing, with --watch
    #[arg(long, value_name = "TIME", value_parser = time, requires = "watch")]
    idle: Option<Duration>,
    /// How long the request may wait before it starts; then it never runs
    #[arg(long, value_name = "TIME", value_parser = time)]
    ttl: Option<Duration>,
    /// Data of your own, which every reply repeats and `rmi cancel --where` looks at
    #[arg(long, value_name = "JSON")]
    data: Option<Value>,
    /// Send the request, print its serial number, and forget it: nothing is replied
    #[arg(long, conflicts_with_all = ["watch", "reply_to"])]
    no_wait: bool,
    /// Send the replies to this address, and print the request's serial number
    #[arg(long, value_name = "ADDRESS", conflicts_with = "watch")]
    reply_to: Option<String>,
    /// Show how far the call has come
    #[arg(long)]
    watch: bool,
    /// Print a string without its quotes and escapes
    #[arg(long, short, conflicts_with = "json")]
    raw: bool,
}

/// A request that has gone, and whose end is not waited for.
#[derive(Serialize)]
struct SentLine<'a> {
    status: &'static str,
    sn: &'a str,
}

/// The end that was hoped for.
#[derive(Serialize)]
struct ResultLine<'a> {
    result: &'a Json,
}

impl Call {
    pub(crate) async fn run(self, out: &Out) -> Result<Exit, Box<Ending>> {
        NamedArguments(&self.named).check()?;
        let endpoint = self.connection.open(self.timeout, Some((&self.address, &self.method.class)), out).await?;
        let began = Instant::now();
        let ended = loop {
            match self.perform(&endpoint, out).await {
                // Where it is the agent that dials, it is there when it has.
                Err(ending)
                    if ending.exit() == Exit::NoAgent && self.connection.listens() && began.elapsed() < self.patience() =>
                {
                    tokio::time::sleep(AGAIN).await;
                }
                ended => break ended,
            }
        };
        close(&endpoint).await;
        ended
    }

    async fn perform(&self, endpoint: &Endpoint, out: &Out) -> Result<Exit, Box<Ending>> {
        let call = self.call(endpoint)?;
        let failed = |error: CallError<Exception>| self.failed(&error);
        if self.no_wait {
            let sn = call.notify().await.map_err(failed)?;
            self.sent(&sn, out);
        } else if let Some(address) = &self.reply_to {
            let sn = call.reply_to(address.as_str()).send().await.map_err(failed)?;
            self.sent(&sn, out);
        } else if self.watch || out.is_json() {
            return self.watch(call, endpoint, out).await;
        } else {
            let value = call.await.map_err(failed)?;
            self.result(&value, out);
        }
        Ok(Exit::Result)
    }

    /// How long an agent that dials is waited for.
    fn patience(&self) -> Duration {
        self.timeout.unwrap_or(PATIENCE)
    }

    fn call(&self, endpoint: &Endpoint) -> Result<RawCall, Box<Ending>> {
        let mut class = endpoint.peer(self.address.as_str()).class(self.method.class.as_str());
        if let Some(version) = &self.contract {
            class = class.version(version.as_str());
        }
        if let Some(Value(arguments)) = &self.cntr {
            class = class.with_cntr(arguments).map_err(|e| Ending::usage(format!("--cntr: {e}")))?;
        }
        let positional: Vec<&Json> = self.arguments.iter().map(|Value(json)| json).collect();
        let mut call = class.call_with(self.method.method.as_str(), positional, NamedArguments(&self.named));
        if let Some(time) = self.timeout.or(self.watch.then_some(WATCHED)) {
            call = call.timeout(time);
        }
        if let Some(time) = self.idle {
            call = call.idle(time);
        }
        if let Some(ttl) = self.ttl {
            call = call.ttl(ttl);
        }
        if let Some(Value(data)) = &self.data {
            call = call.data(data);
        }
        Ok(call)
    }

    async fn watch(&self, call: RawCall, endpoint: &Endpoint, out: &Out) -> Result<Exit, Box<Ending>> {
        let mut pending = call.send().await.map_err(|error| self.failed(&error))?;
        let sn = pending.sn().clone();
        let admin = endpoint.peer(self.address.as_str()).admin();
        let watch = Watch::new(out, &self.method, &sn, self.watch);
        let mut cancelling: Option<Pin<Box<dyn Future<Output = _> + '_>>> = None;
        let mut asked = false;
        loop {
            let asking = async {
                match &mut cancelling {
                    Some(asking) => asking.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                update = pending.next() => match update {
                    Some(Ok(Update::Done(value))) => {
                        watch.clear();
                        self.result(&value, out);
                        return Ok(Exit::Result);
                    }
                    Some(Ok(update)) => watch.show(&update),
                    // Details that cannot be read end nothing.
                    Some(Err(CallError::Decode(error))) if pending.is_open() => watch.say(&format!("a step of progress: {error}")),
                    Some(Err(error)) => {
                        watch.clear();
                        return Err(self.failed(&error));
                    }
                    None => return Err(self.failed(&CallError::Closed)),
                },
                said = asking => {
                    cancelling = None;
                    watch.say(&match said {
                        Ok(_) => "the agent has told the method; waiting for its end (ctrl-c again leaves it)".to_owned(),
                        Err(error) => format!("the call could not be cancelled: {error}"),
                    });
                }
                _ = tokio::signal::ctrl_c(), if self.watch => {
                    if asked {
                        watch.clear();
                        out.note(&format!(
                            "left; the call goes on: `rmi cancel {} {} {sn}` cancels it",
                            self.connection.url, self.address,
                        ));
                        return Ok(Exit::Left);
                    }
                    asked = true;
                    watch.say("asking the agent to cancel the call (ctrl-c again leaves it)");
                    let (admin, sn) = (&admin, &sn);
                    cancelling = Some(Box::pin(async move { admin.cancel(sn).await }));
                }
            }
        }
    }

    fn sent(&self, sn: &Sn, out: &Out) {
        if out.is_json() {
            out.line(&SentLine { status: "sent", sn: sn.as_str() });
        } else {
            out.text(sn.as_str());
        }
    }

    fn result(&self, value: &Json, out: &Out) {
        match value.decode::<String>() {
            _ if out.is_json() => out.line(&ResultLine { result: value }),
            Ok(text) if self.raw => out.raw(&text),
            _ => out.value(value),
        }
    }

    fn failed(&self, error: &CallError<Exception>) -> Box<Ending> {
        let ending = Ending::of_call(&self.method.to_string(), error);
        self.connection.advise(ending)
    }
}

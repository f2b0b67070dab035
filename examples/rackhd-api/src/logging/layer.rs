//! What a program traces, told on the bus.

use std::{
    fmt::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rmi_core::Endpoint;
use serde_json::Value;
use tokio::sync::mpsc;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Layer};

use super::{Level, LogEvent};
use crate::Object;

/// How what a program traces becomes messages of a log.
#[derive(Clone, Debug)]
pub struct Options {
    name: String,
    host: String,
    first_generation: bool,
    capacity: usize,
    ignored: Vec<&'static str>,
}

impl Options {
    /// For a process of this name, on this host.
    #[must_use]
    pub fn new(name: impl Into<String>, host: impl Into<String>) -> Self {
        // What publishing itself traces would be published, and so on.
        let ignored = vec!["rmi_core", "rmi_amqp", "lapin", "amq_protocol"];
        Options { name: name.into(), host: host.into(), first_generation: false, capacity: 1024, ignored }
    }

    /// In the levels of the first generation: what is below `debug` is `silly`.
    #[must_use]
    pub fn first_generation(mut self) -> Self {
        self.first_generation = true;
        self
    }

    /// How many messages wait to be published, at least one; more are dropped, and counted. 1024 unless it is set.
    #[must_use]
    pub fn capacity(mut self, messages: usize) -> Self {
        self.capacity = messages.max(1);
        self
    }

    /// Targets that are not told, by how they begin, besides those of this library.
    #[must_use]
    pub fn ignore(mut self, target: &'static str) -> Self {
        self.ignored.push(target);
        self
    }
}

/// A layer of `tracing` that makes a [`LogEvent`] of every event that is traced.
///
/// It never waits: what it makes is published by [`Forwarding::run`]. The field `level` of an event is its level where `tracing` has no
/// such (`tracing::error!(level = "emerg", ..)`); `id`, `mac` or `ip` its subject. Fields whose names tell that they are secret
/// (`password`, `community`, `productkey`) are written as `[REDACTED]`, as RackHD does.
///
/// ```
/// use rackhd_api::logging::{LogEvent, LogLayer, Options};
/// use rmi_core::{Endpoint, Memory, Trust};
/// use tracing_subscriber::prelude::*;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (layer, forwarding) = LogLayer::new(Options::new("on-dhcp", "host-1"));
/// let tracing = tracing_subscriber::registry().with(layer);
///
/// let endpoint = Endpoint::builder("dhcp-1").bind(rackhd_api::on(), Memory::new(), Trust::insecure()).start().await?;
/// let mut logs = endpoint.subscribe::<LogEvent>().key("warning").await?;
/// tokio::spawn(forwarding.run(endpoint.clone()));
/// tracing::subscriber::with_default(tracing, || tracing::warn!(id = "507f191e810c19729de860ea", "the pool is almost empty"));
///
/// let said = logs.next().await.expect("the endpoint is open")?.event;
/// assert_eq!((said.message.as_str(), said.subject.as_str()), ("the pool is almost empty", "507f191e810c19729de860ea"));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct LogLayer {
    options: Options,
    messages: mpsc::Sender<LogEvent>,
    dropped: Arc<AtomicU64>,
}

/// The messages of a [`LogLayer`], to be published.
#[derive(Debug)]
pub struct Forwarding {
    messages: mpsc::Receiver<LogEvent>,
    dropped: Arc<AtomicU64>,
}

impl LogLayer {
    /// A layer, and what is to be published of it: the endpoint may come later.
    #[must_use]
    pub fn new(options: Options) -> (Self, Forwarding) {
        let (sender, messages) = mpsc::channel(options.capacity);
        let dropped = Arc::<AtomicU64>::default();
        (LogLayer { options, messages: sender, dropped: Arc::clone(&dropped) }, Forwarding { messages, dropped })
    }

    fn level(&self, metadata: &Metadata<'_>) -> Level {
        match *metadata.level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warning,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE if self.options.first_generation => Level::Silly,
            tracing::Level::TRACE => Level::Debug,
        }
    }
}

impl Forwarding {
    /// How many messages were dropped: they came faster than they could be published, or could not be.
    #[must_use]
    pub fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    /// Publishes what the layer makes, until the layer is gone.
    pub async fn run(mut self, endpoint: Endpoint) {
        while let Some(message) = self.messages.recv().await {
            if endpoint.publish(&message).await.is_err() {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if self.options.ignored.iter().any(|ignored| metadata.target().starts_with(ignored)) {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Fields { message, mut context } = fields;
        let level = context.get("level").and_then(Value::as_str).and_then(|level| level.parse().ok());
        if level.is_some() {
            context.remove("level");
        }
        // The subject is the first of them, and none of them is told twice.
        let subject = ["id", "mac", "ip"].map(|name| context.remove(name)).into_iter().flatten().next();
        let message = LogEvent {
            name: self.options.name.clone(),
            host: self.options.host.clone(),
            module: metadata.target().to_owned(),
            level: level.unwrap_or_else(|| self.level(metadata)),
            message,
            context,
            timestamp: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            caller: format!("{}:{}", metadata.file().unwrap_or("?"), metadata.line().unwrap_or_default()),
            subject: match subject {
                Some(Value::String(subject)) => subject,
                Some(other) => other.to_string(),
                None => "Server".to_owned(),
            },
            trace: None,
        };
        if self.messages.try_send(message).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    context: Object,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name();
        let lower = name.to_lowercase();
        let secret = ["password", "community", "productkey"].iter().any(|secret| lower.replace('_', "").contains(secret));
        self.context.insert(name.to_owned(), if secret { Value::from("[REDACTED]") } else { value });
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        if field.name() == "message" { self.message = text } else { self.put(field, text.into()) }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" { value.clone_into(&mut self.message) } else { self.put(field, value.into()) }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

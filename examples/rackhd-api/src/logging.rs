//! Logs, on the exchange `logging`: each message under its level.

mod layer;

use std::{fmt, str::FromStr};

use rmi_core::{Json, RemoteEvent, contract::EventContract, event::EventError, message::Event, text::Text};
use serde::{Deserialize, Serialize};

pub use self::layer::{Forwarding, LogLayer, Options};
use crate::Object;

macro_rules! levels {
    ($($(#[$doc:meta])* $level:ident = $name:literal;)*) => {
        /// How bad something is: the levels of both generations.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum Level {
            $($(#[$doc])* $level,)*
        }

        impl Level {
            /// All of them, the least first.
            pub const ALL: &[Level] = &[$(Level::$level),*];

            /// As it is in a key.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Level::$level => $name,)*
                }
            }
        }
    };
}

levels! {
    /// Of the first generation.
    Silly = "silly";
    /// Of both.
    Debug = "debug";
    /// Of both.
    Info = "info";
    /// Of the first generation.
    Notice = "notice";
    /// Of both.
    Warning = "warning";
    /// Of both.
    Error = "error";
    /// Of the first generation. The conventions were written down with `crti`, which is read as well.
    Crit = "crit";
    /// Of the last release.
    Critical = "critical";
    /// Of the first generation.
    Alert = "alert";
    /// Of the first generation.
    Emerg = "emerg";
}

/// How the conventions were written down.
const MISSPELLED: &str = "crti";

/// This is no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no level of a log")]
pub struct NotALevel(String);

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Level {
    type Err = NotALevel;

    fn from_str(name: &str) -> Result<Self, NotALevel> {
        let name = if name == MISSPELLED { Level::Crit.as_str() } else { name };
        Level::ALL.iter().copied().find(|level| level.as_str() == name).ok_or_else(|| NotALevel(name.chars().take(32).collect()))
    }
}

/// One message of a log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogEvent {
    /// The process.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where it runs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// Who says it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub module: String,
    /// How bad it is: the key.
    pub level: Level,
    /// What is said.
    pub message: String,
    /// What belongs to it. RackHD writes `[REDACTED]` in the place of what is secret.
    pub context: Object,
    /// When (RFC 3339).
    pub timestamp: String,
    /// Where in the code.
    pub caller: String,
    /// About what: a machine, or `Server`.
    pub subject: String,
    /// What it belongs to. Of the first generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

impl RemoteEvent for LogEvent {
    const EVENTS: &'static EventContract = &EventContract::new("LogEvent", &[]);

    fn to_event(&self) -> Result<Event, EventError> {
        let body = Json::encode(self).map_err(|error| EventError::Write { field: "context", error })?;
        Ok(Event { key: Text::from_static(self.level.as_str()), body })
    }

    fn from_event(event: &Event) -> Option<Result<Self, EventError>> {
        // The level is the key's: what the body says of it may be misspelled, or missing.
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Body {
            name: String,
            host: String,
            module: String,
            message: String,
            context: Option<Object>,
            timestamp: String,
            caller: String,
            subject: String,
            trace: Option<String>,
        }
        let level = event.key.parse().ok()?;
        Some(match event.body.decode::<Body>() {
            Ok(Body { name, host, module, message, context, timestamp, caller, subject, trace }) => Ok(LogEvent {
                name,
                host,
                module,
                level,
                message,
                context: context.unwrap_or_default(),
                timestamp,
                caller,
                subject,
                trace,
            }),
            Err(error) => Err(EventError::Read { key: event.key.clone(), error: error.to_string() }),
        })
    }

    fn knows(key: &str) -> bool {
        key.parse::<Level>().is_ok()
    }

    fn patterns() -> Vec<Text> {
        let names = Level::ALL.iter().map(|level| level.as_str());
        names.chain([MISSPELLED]).map(Text::from_static).collect()
    }
}

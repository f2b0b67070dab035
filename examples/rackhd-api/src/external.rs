use std::{fmt, str::FromStr};

use rmi_core::{Json, RemoteEvent, contract::EventContract, event::EventError, message::Event, text::Text};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An event as later releases tell it to the world outside: on the exchange `events`, under
/// `<type>.<action>.<severity>.<typeId>[.<nodeId>]`. Everything in the key is in the body, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalEvent {
    /// About what: `graph`, `node`, `polleralert` or `heartbeat`.
    #[serde(rename = "type")]
    pub about: String,
    /// What has happened, in one or two words between dots: `started`, `progress.updated`.
    pub action: String,
    /// About which: its id. That of a process has dots in it.
    pub type_id: String,
    /// About which machine.
    pub node_id: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// The rest.
    #[serde(default)]
    pub data: Value,
    /// `1.0`.
    #[serde(default = "version")]
    pub version: String,
    /// When it happened (RFC 3339).
    #[serde(default)]
    pub created_at: String,
}

fn version() -> String {
    "1.0".to_owned()
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It is as it should be.
    #[default]
    Information,
    /// It may become bad.
    Warning,
    /// It is bad.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Information => "information",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        })
    }
}

impl FromStr for Severity {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "information" => Ok(Severity::Information),
            "warning" => Ok(Severity::Warning),
            "critical" => Ok(Severity::Critical),
            _ => Err(()),
        }
    }
}

/// The patterns of their keys: an action is one word or two.
pub(crate) const PATTERNS: [&str; 6] =
    ["*.*.information.#", "*.*.warning.#", "*.*.critical.#", "*.*.*.information.#", "*.*.*.warning.#", "*.*.*.critical.#"];

impl RemoteEvent for ExternalEvent {
    const EVENTS: &'static EventContract = &EventContract::new("ExternalEvent", &[]);

    fn to_event(&self) -> Result<Event, EventError> {
        let ExternalEvent { about, action, severity, type_id, node_id, .. } = self;
        let mut key = format!("{about}.{action}.{severity}.{type_id}");
        if let Some(node) = node_id {
            key.push('.');
            key.push_str(node);
        }
        let body = Json::encode(self).map_err(|error| EventError::Write { field: "data", error })?;
        Event { key: Text::from(key), body }.to_event()
    }

    fn from_event(event: &Event) -> Option<Result<Self, EventError>> {
        let read = |error: rmi_core::json::JsonError| EventError::Read { key: event.key.clone(), error: error.to_string() };
        Self::knows(&event.key).then(|| event.body.decode().map_err(read))
    }

    fn knows(key: &str) -> bool {
        key.split('.').skip(2).take(2).any(|word| word.parse::<Severity>().is_ok())
    }

    fn patterns() -> Vec<Text> {
        PATTERNS.iter().copied().map(Text::from_static).collect()
    }
}

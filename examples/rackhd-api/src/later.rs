//! What came after the conventions were written down, on exchanges of its own.

use rmi_core::{RemoteEvent, contract::EventContract, event::EventError, message::Event, text::Text};
use serde::{Deserialize, Serialize};

use crate::{Object, open};

/// A record of the database has changed: on the exchange `waterline`, under `<collection>.<what happened>.<id>`.
#[derive(Clone, Debug, PartialEq, RemoteEvent)]
pub enum RecordChanged {
    /// It was made.
    #[remote(key = "{collection}.created.{id}")]
    Created {
        /// Of which collection.
        collection: String,
        /// Which.
        id: String,
        /// `created`.
        event: String,
        /// As it is.
        record: Object,
    },
    /// It was changed.
    #[remote(key = "{collection}.updated.{id}")]
    Updated {
        /// Of which collection.
        collection: String,
        /// Which.
        id: String,
        /// `updated`.
        event: String,
        /// As it is.
        record: Object,
    },
    /// It was removed.
    #[remote(key = "{collection}.destroyed.{id}")]
    Destroyed {
        /// Of which collection.
        collection: String,
        /// Which.
        id: String,
        /// `destroyed`.
        event: String,
        /// As it was.
        record: Object,
    },
    /// It was given a tag.
    #[remote(key = "{collection}.tag-added.{id}")]
    TagAdded {
        /// Of which collection.
        collection: String,
        /// Which.
        id: String,
        /// `tag-added`.
        event: String,
        /// As it is.
        record: Object,
    },
    /// A tag was taken from it.
    #[remote(key = "{collection}.tag-removed.{id}")]
    TagRemoved {
        /// Of which collection.
        collection: String,
        /// Which.
        id: String,
        /// `tag-removed`.
        event: String,
        /// As it is.
        record: Object,
    },
}

/// A device that announces itself has come or gone: on the exchange `ssdp`.
#[derive(Clone, Debug, PartialEq)]
pub struct SsdpAlert {
    /// Its unique service name, whose dots make several words of the key.
    pub usn: String,
    /// What is known of it.
    pub value: SsdpDevice,
}

/// A device that announces itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SsdpDevice {
    /// `present` or `missing`.
    #[serde(rename = "type")]
    pub presence: String,
    /// What it announced.
    #[serde(default)]
    pub headers: Object,
    /// From where.
    #[serde(default)]
    pub info: Object,
}

const SSDP_ALERT: &str = "ssdp.alert.";

impl RemoteEvent for SsdpAlert {
    const EVENTS: &'static EventContract = &EventContract::new("SsdpAlert", &[]);

    fn to_event(&self) -> Result<Event, EventError> {
        let mut body = Object::new();
        let value = serde_json::to_value(&self.value);
        let value = value.map_err(|e| EventError::Write { field: "value", error: rmi_core::json::JsonError::custom(e) })?;
        body.insert("value".to_owned(), value);
        open::write(format!("{SSDP_ALERT}{}", self.usn), &body)?.to_event()
    }

    fn from_event(event: &Event) -> Option<Result<Self, EventError>> {
        #[derive(Deserialize)]
        struct Body {
            value: SsdpDevice,
        }
        let usn = event.key.strip_prefix(SSDP_ALERT)?.to_owned();
        let body = event.body.decode::<Body>();
        Some(match body {
            Ok(Body { value }) => Ok(SsdpAlert { usn, value }),
            Err(error) => Err(EventError::Read { key: event.key.clone(), error: error.to_string() }),
        })
    }

    fn knows(key: &str) -> bool {
        key.strip_prefix(SSDP_ALERT).is_some_and(|usn| !usn.is_empty())
    }

    fn patterns() -> Vec<Text> {
        vec![Text::from_static("ssdp.alert.#")]
    }
}

/// A process lives: on the exchange `heartbeat`, from July 2016 to March 2017. The dialect that has these has no others, because their
/// keys could be any: [`HEARTBEATS`](crate::HEARTBEATS). Later releases tell it as an [`ExternalEvent`](crate::ExternalEvent).
#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    /// The process: the full name of its host, and that of the service.
    pub process: String,
    /// What it says of itself.
    pub value: Object,
}

impl RemoteEvent for Heartbeat {
    const EVENTS: &'static EventContract = &EventContract::new("Heartbeat", &[]);

    fn to_event(&self) -> Result<Event, EventError> {
        let mut body = Object::new();
        body.insert("value".to_owned(), self.value.clone().into());
        open::write(self.process.clone(), &body)?.to_event()
    }

    fn from_event(event: &Event) -> Option<Result<Self, EventError>> {
        #[derive(Deserialize)]
        struct Body {
            #[serde(default)]
            value: Object,
        }
        Some(match event.body.decode::<Body>() {
            Ok(Body { value }) => Ok(Heartbeat { process: event.key.to_string(), value }),
            Err(error) => Err(EventError::Read { key: event.key.clone(), error: error.to_string() }),
        })
    }

    fn knows(_: &str) -> bool {
        true
    }

    fn patterns() -> Vec<Text> {
        vec![Text::from_static("#")]
    }
}

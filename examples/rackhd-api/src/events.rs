//! What is told on the exchange `events`, and one on `http`.
//!
//! Later releases tell most of this as an [`ExternalEvent`](crate::ExternalEvent) as well.

use rmi_core::RemoteEvent;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{GraphId, NodeId, Object, TaskId, open::open_events};

/// What the TFTP service tells. `external` is a machine that is not known.
#[derive(Clone, Debug, PartialEq, RemoteEvent)]
#[remote(rename_all = "camelCase")]
pub enum TftpEvent {
    /// A file was sent.
    #[remote(key = "tftp.success.{node}")]
    Success {
        /// The machine.
        node: NodeId,
        /// Which file.
        file: String,
        /// To which address.
        #[remote(default)]
        remote_address: Option<String>,
        /// To which port.
        #[remote(default)]
        remote_port: Option<u16>,
        /// How long it is, in bytes.
        #[remote(default)]
        size: Option<u64>,
        /// How long it took, in milliseconds, as a text.
        #[remote(default)]
        time: Option<String>,
    },
    /// A file was not sent. No release of RackHD ever told so.
    #[remote(key = "tftp.failure.{node}")]
    Failure {
        /// The machine.
        node: NodeId,
        /// Which file.
        #[remote(default)]
        file: Option<String>,
        /// To which address.
        #[remote(default)]
        remote_address: Option<String>,
        /// To which port.
        #[remote(default)]
        remote_port: Option<u16>,
    },
}

/// What the HTTP service tells: it has answered a machine. `external` is one that is not known; in place of a machine may stand the id
/// of a callback, and then the body is whatever its caller sent: subscribe to [`HttpCallback`] for that.
#[derive(Clone, Debug, PartialEq, RemoteEvent)]
#[remote(key = "http.response.{node}", rename_all = "camelCase")]
pub struct HttpResponse {
    /// The machine.
    pub node: NodeId,
    /// Its address.
    #[remote(default)]
    pub address: Option<String>,
    /// `GET`.
    #[remote(default)]
    pub method: Option<String>,
    /// What it asked for.
    #[remote(default)]
    pub url: Option<String>,
    /// What it was answered.
    #[remote(default)]
    pub status_code: Option<u16>,
    /// How long it took, in milliseconds, as a text.
    #[remote(default)]
    pub time: Option<String>,
}

open_events! {
    /// Somebody has called back, with whatever there is to say.
    HttpCallback {
        /// Which callback.
        id: String
    } = "http.response", false;
    /// Something that somebody outside has told (of the last release): about a machine, or about none.
    Notification {
        /// The machine.
        node: NodeId
    } = "notification", true;
    /// Something went wrong that nobody waits for.
    ErrorTold {
        /// `unhandled`, `ignored` or `blocked`.
        kind: String
    } = "errors", false;
    /// Something happened to a machine (of 2016).
    NodeEvent {
        /// Always `node`.
        what: String
    } = "event", false;
}

/// What was told before [`HttpResponse`] had a machine in its key, on the exchange `http`. Nothing tells it any more.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpPublished {
    /// What its publisher says.
    pub body: Object,
}

/// The one key of [`HttpPublished`].
const HTTP_RESPONSE: &str = "http.response";

impl RemoteEvent for HttpPublished {
    const EVENTS: &'static rmi_core::contract::EventContract = &rmi_core::contract::EventContract::new("HttpPublished", &[]);

    fn to_event(&self) -> Result<rmi_core::message::Event, rmi_core::event::EventError> {
        crate::open::write(HTTP_RESPONSE, &self.body)
    }

    fn from_event(event: &rmi_core::message::Event) -> Option<Result<Self, rmi_core::event::EventError>> {
        Self::knows(&event.key).then(|| Ok(HttpPublished { body: crate::open::read(event)? }))
    }

    fn knows(key: &str) -> bool {
        key == HTTP_RESPONSE
    }

    fn patterns() -> Vec<rmi_core::text::Text> {
        vec![rmi_core::text::Text::from_static(HTTP_RESPONSE)]
    }
}

/// How far workflows are.
#[derive(Clone, Debug, PartialEq, RemoteEvent)]
#[remote(rename_all = "camelCase")]
pub enum GraphEvent {
    /// A workflow has started.
    #[remote(key = "graph.started.{graph}")]
    Started {
        /// Which.
        graph: GraphId,
        /// What it is called. The first generation does not say.
        #[remote(default)]
        graph_name: Option<String>,
        /// `running`.
        #[remote(default)]
        status: Option<String>,
    },
    /// A workflow has ended.
    #[remote(key = "graph.finished.{graph}")]
    Finished {
        /// Which.
        graph: GraphId,
        /// What it is called. The first generation does not say.
        #[remote(default)]
        graph_name: Option<String>,
        /// `succeeded`, `failed`, `timeout` or `cancelled`.
        #[remote(default)]
        status: Option<String>,
    },
    /// A task has ended, as the first generation says it.
    #[remote(key = "task.finished.{task}")]
    TaskFinished {
        /// Which.
        task: TaskId,
    },
    /// A task has ended, as the last release says it.
    #[remote(key = "{domain}.task.finished")]
    TaskFinishedInDomain {
        /// Whose: `default`.
        domain: String,
        /// Which.
        task_id: TaskId,
        /// What it is called.
        #[remote(default)]
        task_name: Option<String>,
        /// Of which workflow.
        #[remote(default)]
        graph_id: Option<GraphId>,
        /// What that is called.
        #[remote(default)]
        graph_name: Option<String>,
        /// `succeeded`, `failed`, `timeout` or `cancelled`.
        state: String,
        /// Why it failed.
        #[remote(default)]
        error: Option<Value>,
        /// What the tasks of the workflow share.
        #[remote(default)]
        context: Object,
        /// In which states no other task waits for it.
        #[remote(default)]
        terminal_on_states: Vec<String>,
    },
    /// A machine was found to be of a kind.
    #[remote(key = "sku.assigned.{node}")]
    SkuAssigned {
        /// The machine.
        node: NodeId,
        /// The kind.
        #[remote(default)]
        sku: Option<String>,
    },
}

/// A poller has seen something that is not as it should be. On the exchange `events`, although it is listed under `task`.
#[derive(Clone, Debug, PartialEq, RemoteEvent)]
pub enum PollerAlert {
    /// Seen by a poller of this workflow.
    #[remote(key = "poller.alert.{graph}")]
    Of {
        /// The workflow.
        graph: GraphId,
        /// What was seen.
        value: Vec<Alert>,
    },
    /// Seen by a poller of this name. Of 2016.
    #[remote(key = "poller.alert.{poller}.{graph}")]
    By {
        /// The poller.
        poller: String,
        /// The workflow.
        graph: GraphId,
        /// What was seen.
        value: Vec<Alert>,
    },
}

/// What a poller has seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The reading, as the machine gave it.
    #[serde(default)]
    pub reading: Object,
    /// Whatever else is known.
    #[serde(flatten)]
    pub more: Object,
}

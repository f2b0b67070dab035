//! What running tasks tell, on the exchange `task`.

use rmi_core::RemoteEvent;
use serde_json::Value;

use crate::{GraphId, Object};

/// What came of asking machines.
#[derive(Clone, Debug, PartialEq, RemoteEvent)]
pub enum PollerResult {
    /// By IPMI.
    #[remote(key = "ipmi.command.{command}.result.{graph}")]
    Ipmi {
        /// What was asked for.
        command: String,
        /// The poller's workflow.
        graph: GraphId,
        /// Who was asked, and what it said, under the command's name.
        value: Object,
    },
    /// By SNMP.
    #[remote(key = "snmp.command.result.{graph}")]
    Snmp {
        /// The poller's workflow.
        graph: GraphId,
        /// Who was asked, and what it said, under `result`.
        value: Object,
    },
    /// By Redfish. Of the last release.
    #[remote(key = "redfish.command.{command}.result.{graph}")]
    Redfish {
        /// What was asked for.
        command: String,
        /// The poller's workflow.
        graph: GraphId,
        /// Who was asked, and what it said.
        value: Value,
    },
    /// By WS-Management. Of the last release.
    #[remote(key = "wsman.command.{command}.result.{graph}")]
    Wsman {
        /// What was asked for.
        command: String,
        /// The poller's workflow.
        graph: GraphId,
        /// Who was asked, and what it said.
        value: Value,
    },
    /// Of a UCS manager. Of the last release.
    #[remote(key = "ucs.command.{command}.result.{graph}")]
    Ucs {
        /// What was asked for.
        command: String,
        /// The poller's workflow.
        graph: GraphId,
        /// Who was asked, and what it said.
        value: Value,
    },
    /// What was made of several. Of the last release.
    #[remote(key = "metric.{name}.result.{graph}")]
    Metric {
        /// What it is called.
        name: String,
        /// The poller's workflow.
        graph: GraphId,
        /// Its value.
        value: Value,
    },
}

/// A task that waits for this may go on. Of the last release.
#[derive(Clone, Debug, PartialEq, Eq, RemoteEvent)]
#[remote(key = "trigger.{graph}.{group}.{kind}")]
pub struct Triggered {
    /// The workflow.
    pub graph: GraphId,
    /// Which of its tasks: `bootstrap`.
    pub group: String,
    /// What has happened: `finish`.
    pub kind: String,
}

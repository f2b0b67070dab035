use rmi_amqp::rackhd::ErrorEvent;
use rmi_core::remote;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{GraphId, NodeId, Object, TaskId, WorkItemId};

/// What running tasks are told, and asked by those who serve machines.
///
/// A task answers for its own machine. So whoever serves this contract for a machine listens for its id alone
/// (`on().only("task", "nodeId", id)`), and whoever calls it takes silence for an answer (`Silence::unless_silent`).
#[remote(name = "task", version = "1.0", rename_all = "camelCase")]
pub trait Task {
    /// A task is to run.
    #[remote(oneway)]
    async fn run(&self, task_id: TaskId);

    /// A task is to end.
    #[remote(oneway)]
    async fn cancel(&self, task_id: TaskId);

    /// A task is to run, as the last release says it: by whoever of this domain gets hold of it.
    #[remote(oneway)]
    async fn run_in_domain(&self, domain: &str, task_id: TaskId, graph_id: GraphId);

    /// A task is to end, as the last release says it.
    #[remote(oneway)]
    async fn cancel_task(&self, task_id: TaskId, err_name: Option<String>, err_message: Option<String>);

    /// Which profile a machine is to boot.
    #[remote(idempotent, timeout = "1s")]
    async fn request_profile(&self, node_id: NodeId) -> Result<Option<String>, ErrorEvent>;

    /// What the profile of a machine is rendered with.
    #[remote(idempotent, timeout = "1s")]
    async fn request_properties(&self, node_id: NodeId) -> Result<Option<Object>, ErrorEvent>;

    /// What a machine is to do next; nothing, when there is nothing more.
    #[remote(idempotent, timeout = "1s")]
    async fn request_commands(&self, node_id: NodeId) -> Result<Option<Commands>, ErrorEvent>;

    /// What came of what a machine was to do.
    #[remote(oneway)]
    async fn respond_commands(&self, node_id: NodeId, executed: Executed);

    /// Which file a machine is to boot.
    #[remote(idempotent, timeout = "1s")]
    async fn get_boot_profile(&self, node_id: NodeId) -> Result<Option<String>, ErrorEvent>;

    /// Whether a task runs for a machine: whoever answers says yes, and nobody says no.
    #[remote(idempotent, timeout = "1s")]
    async fn active_task_exists(&self, node_id: NodeId) -> Result<(), ErrorEvent>;

    /// What was polled last, the newest at the end.
    #[remote(idempotent, timeout = "1s")]
    async fn request_poller_cache(
        &self,
        #[remote(name = "value")] work_item: WorkItemId,
        options: Option<PollerCacheOptions>,
    ) -> Result<Vec<Object>, ErrorEvent>;

    /// A machine is to be asked by IPMI: for `power`, `sel` or `sdr` first, later for `chassis`, `selInformation`, `selEntries` and
    /// `driveHealth`.
    #[remote(oneway)]
    async fn ipmi_command(&self, command: &str, graph_id: GraphId, machine: Machine);

    /// Something is to be asked by SNMP.
    #[remote(oneway)]
    async fn run_snmp_command(&self, graph_id: GraphId, machine: Machine);

    /// A chassis is to be asked by Redfish. Of the last release.
    #[remote(oneway)]
    async fn run_redfish_command(&self, graph_id: GraphId, machine: Machine);

    /// A machine is to be asked by WS-Management. Of the last release.
    #[remote(oneway)]
    async fn run_wsman_command(&self, graph_id: GraphId, machine: Machine);

    /// A UCS manager is to be asked. Of the last release.
    #[remote(oneway)]
    async fn run_ucs_command(&self, graph_id: GraphId, machine: Machine);

    /// A playbook is to be run. Of the last release.
    #[remote(oneway)]
    async fn run_ansible_command(&self, graph_id: GraphId, playbook: Value);
}

/// What a machine is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commands {
    /// The machine.
    pub identifier: NodeId,
    /// One after the other.
    pub tasks: Vec<Command>,
}

/// One thing that a machine is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// What its shell is told.
    pub cmd: String,
    /// What its output is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What its output is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

/// What a machine has done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Executed {
    /// The machine.
    pub identifier: NodeId,
    /// One after the other.
    pub tasks: Vec<ExecutedCommand>,
}

/// One thing that a machine has done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutedCommand {
    /// What it was to do.
    pub cmd: String,
    /// What it wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    /// What it complained of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// Whatever else it says.
    #[serde(flatten)]
    pub more: Object,
}

/// Which samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PollerCacheOptions {
    /// Only the last.
    pub latest_only: bool,
}

/// Who is to be asked, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// Its address.
    pub host: String,
    /// As whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The password, as it is stored: encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// What is polled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_item_id: Option<WorkItemId>,
    /// Whatever else is said: of SNMP `community` and `config`.
    #[serde(flatten)]
    pub more: Object,
}

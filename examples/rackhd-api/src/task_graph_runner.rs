use std::collections::BTreeMap;

use rmi_amqp::rackhd::ErrorEvent;
use rmi_core::remote;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{GraphId, NodeId, Object, TaskId};

/// A workflow, or a task of one, as it is defined.
pub type Definition = Object;

/// Which definitions, or which running workflows: members with the values that they have to have.
pub type Filter = Object;

/// Runs workflows.
#[remote(name = "task-graph-runner", version = "1.0", rename_all = "camelCase")]
pub trait TaskGraphRunner {
    /// The workflows that are defined.
    #[remote(idempotent, timeout = "1s")]
    async fn get_task_graph_library(&self, filter: Option<Filter>) -> Result<Vec<Definition>, ErrorEvent>;

    /// The tasks that are defined.
    #[remote(idempotent, timeout = "1s")]
    async fn get_task_library(&self, filter: Option<Filter>) -> Result<Vec<Definition>, ErrorEvent>;

    /// A workflow that runs, by its `target` or its `instanceId`.
    #[remote(idempotent, timeout = "1s")]
    async fn get_active_task_graph(&self, filter: Option<Filter>) -> Result<Option<ActiveGraph>, ErrorEvent>;

    /// The workflows that run.
    #[remote(idempotent, timeout = "1s")]
    async fn get_active_task_graphs(&self, filter: Option<Filter>) -> Result<Vec<ActiveGraph>, ErrorEvent>;

    /// Defines a workflow, and says what it is called: its `injectableName`.
    #[remote(idempotent, timeout = "1s")]
    async fn define_task_graph(&self, definition: &Definition) -> Result<String, ErrorEvent>;

    /// Defines a task, and says what it is called.
    #[remote(idempotent, timeout = "1s")]
    async fn define_task(&self, definition: &Definition) -> Result<String, ErrorEvent>;

    /// Starts a workflow.
    #[remote(timeout = "1s")]
    async fn run_task_graph(
        &self,
        name: &str,
        options: Option<Object>,
        target: Option<NodeId>,
    ) -> Result<ActiveGraph, ErrorEvent>;

    /// Starts a workflow that is stored already, as the last release does: whoever is of this domain runs it, and nobody answers.
    #[remote(oneway)]
    async fn run_stored_graph(&self, domain: &str, graph_id: GraphId);

    /// Cancels a workflow: of a machine or by its instance in the first generation, by its id in the last.
    #[remote(idempotent, timeout = "5s")]
    async fn cancel_task_graph(
        &self,
        target: Option<NodeId>,
        instance_id: Option<GraphId>,
        graph_id: Option<GraphId>,
    ) -> Result<Option<Cancelled>, ErrorEvent>;

    /// Lets a workflow start no more tasks.
    #[remote(idempotent, timeout = "1s")]
    async fn pause_task_graph(&self, filter: GraphFilter) -> Result<Option<Instance>, ErrorEvent>;

    /// Lets a workflow that was paused go on.
    #[remote(idempotent, timeout = "1s")]
    async fn resume_task_graph(&self, filter: GraphFilter) -> Result<Option<Instance>, ErrorEvent>;

    /// What is known of a workflow. No release of RackHD ever answered.
    #[remote(idempotent, timeout = "1s")]
    async fn get_task_graph_properties(&self, instance: &Value) -> Result<Value, ErrorEvent>;
}

/// A workflow that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveGraph {
    /// Which.
    pub instance_id: GraphId,
    /// `valid`, `pending`, `running`, `succeeded`, `failed`, `timeout` or `cancelled`.
    pub status: String,
    /// Its tasks.
    #[serde(default)]
    pub tasks: BTreeMap<TaskId, ActiveTask>,
}

/// A task of a workflow that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveTask {
    /// As a workflow's status.
    pub state: String,
    /// What it is called.
    pub name: String,
}

/// Which workflow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphFilter {
    /// The instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<GraphId>,
    /// That of a machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<NodeId>,
}

/// A workflow, by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// Which.
    pub instance_id: GraphId,
}

/// The workflow that was cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cancelled {
    /// As the last release says it.
    Graph(GraphId),
    /// As the first generation says it.
    Instance(Instance),
}

use rmi_core::remote;
use serde::{Deserialize, Serialize};

use crate::{Object, TaskId};

/// Schedules the tasks of workflows.
///
/// In 2015 the scheduler held them in memory until it was their turn; later ones find what is ready in their database.
#[remote(name = "scheduler", version = "1.0", rename_all = "camelCase")]
pub trait Scheduler {
    /// A task is ready to run.
    #[remote(oneway)]
    async fn schedule(&self, task_id: TaskId, task_name: &str, overrides: Option<Overrides>);
}

/// What is different for one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overrides {
    /// How long it may take, in milliseconds; -1 for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
    /// Its turn among others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// Whatever else is said.
    #[serde(flatten)]
    pub more: Object,
}

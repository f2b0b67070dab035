use std::fmt;

use rmi_core::remote;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a server hears from its agents. Nobody waits for an answer.
#[remote(name = "server", params = named)]
pub trait Server {
    /// An agent has something to say.
    #[remote(oneway)]
    async fn log(&self, entry: LogEntry);

    /// How far a task has come. The line protocol has it from the task's own progress; on the native envelope agents send it as well, so
    /// that servers other than the one that gave the command hear of it.
    #[remote(oneway)]
    async fn task_status(&self, status: TaskStatus);
}

/// What an agent has to say: a message, and whatever else there is to know about it.
///
/// Our agents say who they are and how bad it is as `agent` and `level` (`info`, `warn`, `error`). Others say other things: every
/// member is taken as it comes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    /// In words.
    #[serde(default)]
    pub message: String,
    /// When, in seconds since 1970.
    #[serde(default)]
    pub time: f64,
    /// What else there is to know.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

/// How far a task has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// The task: the serial number of the request that began it.
    pub task_id: String,
    /// The method.
    pub method: String,
    /// Whether it still runs.
    pub state: TaskState,
    /// How much of it is done, in percent.
    pub percent: f64,
    /// How long it still takes, in seconds, if it goes on as it has; `None` when that cannot be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<f64>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msg: Option<String>,
}

/// Whether a task still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// It does.
    Running,
    /// It has failed.
    Error,
    /// It has succeeded.
    Complete,
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TaskState::Running => "running",
            TaskState::Error => "error",
            TaskState::Complete => "complete",
        })
    }
}

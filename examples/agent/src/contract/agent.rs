use std::{convert::Infallible, fmt};

use rmi_core::remote;
use serde::{Deserialize, Serialize};

use super::TaskStatus;

/// What every agent says of itself.
#[remote(name = "agent", params = named)]
pub trait Agent {
    /// Says how it is.
    #[remote(idempotent, timeout = "10s")]
    async fn status(&self) -> Result<StatusReport, Infallible>;
}

/// How an agent is. What an agent of another make leaves out is nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    /// What it does.
    pub mode: Mode,
    /// How long it has been running, in seconds.
    pub uptime: f64,
    /// Its version.
    pub version: String,
    /// The disks that its command line named.
    #[serde(default)]
    pub disks: Vec<DiskStatus>,
    /// Its cache, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheStatus>,
    /// Its long tasks: those that run, and the last ones that have ended.
    #[serde(default)]
    pub tasks: Vec<TaskStatus>,
}

/// What an agent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// It waits.
    Standby,
    /// It has tasks.
    Busy,
    /// It takes no more.
    Stopping,
    /// Something that agents of this make do not do.
    #[serde(other)]
    Other,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Standby => "standing by",
            Mode::Busy => "busy",
            Mode::Stopping => "stopping",
            Mode::Other => "doing something else",
        })
    }
}

/// A disk of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskStatus {
    /// Its name.
    pub name: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// The task that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<String>,
    /// The image that was prepared on it, by this process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// The cache of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheStatus {
    /// How many images it has.
    pub images: u64,
    /// How many bytes they have, with those that are being fetched.
    pub bytes: u64,
    /// How many bytes it may have.
    pub bound: u64,
}

//! The contracts: what a provisioning agent does for its server, and what it tells it.
//!
//! The names, and what each method is for, are those of the provisioning agent's protocol. A long method reports its steps through
//! its context: the same method serves the native envelope, where they are progress, and the agent's line protocol, where they
//! are `task_status`. What that protocol calls a `task_id` is therefore no parameter: it is the request's serial number.

mod agent;
mod decommission;
mod disk;
mod image;
mod server;
mod standby;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::{
    agent::{Agent, AgentClient, AgentServer, CacheStatus, DiskStatus, Mode, StatusReport},
    decommission::{
        Component, ComponentState, CpuSpecification, Decommission, DecommissionClient, DecommissionServer, Erased, ErasedDisk,
        Finding, FirmwareError, FirmwareReport, NetworkSpecification, Pattern, QcError, QcReport, Specification, Wanted,
    },
    disk::DiskError,
    image::ImageError,
    server::{LogEntry, Server, ServerClient, ServerServer, TaskState, TaskStatus},
    standby::{
        CacheReport, CacheState, CachedImage, ConfigDrive, Launch, Prepared, RunError, Running, Standby, StandbyClient,
        StandbyServer,
    },
};

/// One step of a long method: what is being done to what. How much of it is done is in the progress that carries it, in bytes
/// unless the method says otherwise. What an agent of another make leaves out is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// What is being done.
    pub phase: Phase,
    /// What it is done to: the name of a disk, the UUID of an image, a component.
    pub subject: String,
    /// How fast, in bytes per second since the method began; `None` where bytes are not what counts, or it is too early to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
}

/// What a step does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Facts are read.
    #[default]
    Read,
    /// What is in the cache is compared with its checksum.
    Check,
    /// An image is fetched.
    Download,
    /// A disk is written.
    Write,
    /// What was written is read again and compared.
    Verify,
    /// Blocks are given back to the device.
    Discard,
    /// Firmware is updated.
    Update,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Read => "read",
            Phase::Check => "check",
            Phase::Download => "download",
            Phase::Write => "write",
            Phase::Verify => "verify",
            Phase::Discard => "discard",
            Phase::Update => "update",
        })
    }
}

/// Names, for an error that lists them.
fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

use std::{collections::BTreeMap, fmt};

use rmi_core::{Context, RemoteError, remote};
use serde::{Deserialize, Serialize};

use super::{DiskError, Step, listed};

/// What is done to a machine before it is given to somebody else.
#[remote(name = "decom", params = named)]
pub trait Decommission {
    /// Overwrites disks and verifies that they read back what was written. Without `disks` it is every disk that the agent's
    /// command line named. Steps count bytes, of all disks, passes and verifications together. It can be cancelled between two
    /// blocks; what was written until then stays written.
    #[remote(timeout = "7d")]
    async fn disk_erase(
        &self,
        #[remote(context)] cx: &Context<Step>,
        disks: Option<Vec<String>>,
        #[remote(default = vec![Pattern::Zeros])] patterns: Vec<Pattern>,
        #[remote(default = false)] discard: bool,
    ) -> Result<Erased, DiskError>;

    /// Compares firmware versions with those that are wanted, and runs the configured updater of each that differs. Without `wanted`
    /// the agent's own configuration says what is wanted. Steps count components.
    #[remote(timeout = "2h")]
    async fn firmware_secure(
        &self,
        #[remote(context)] cx: &Context<Step>,
        wanted: Option<Vec<Wanted>>,
    ) -> Result<FirmwareReport, FirmwareError>;

    /// Compares the machine with its specification. A machine that does not meet it is a report that says so, and no error.
    #[remote(idempotent, timeout = "1m")]
    async fn qc(&self, #[remote(context)] cx: &Context<Step>, specification: Specification) -> Result<QcReport, QcError>;
}

/// What a disk is overwritten with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// Every byte is 0x00.
    Zeros,
    /// Every byte is 0xFF.
    Ones,
    /// Every byte is this one.
    Byte(u8),
    /// Random bytes, from a seed that is drawn for the pass and forgotten with it.
    Random,
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Zeros => f.write_str("zeros"),
            Pattern::Ones => f.write_str("ones"),
            Pattern::Byte(byte) => write!(f, "{byte:#04x}"),
            Pattern::Random => f.write_str("random"),
        }
    }
}

/// What became of the disks. Each of them was overwritten and verified: anything else is an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// Each disk.
    pub disks: Vec<ErasedDisk>,
    /// What overwriting does not reach, so that nobody takes it for more than it is.
    pub not_done: Vec<String>,
}

/// A disk that was overwritten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedDisk {
    /// Its name.
    pub disk: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// What it was overwritten with, pass by pass.
    pub passes: Vec<Pattern>,
    /// Whether its blocks were given back afterwards; `None` when that was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discarded: Option<bool>,
}

/// A version that a component's firmware should have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The component: `bios`, `ec`, `microcode`, `disk:<name>`.
    pub component: String,
    /// Its version, compared as text.
    pub version: String,
}

/// What became of each component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareReport {
    /// Each component that was asked about, in the order of the request.
    pub components: Vec<Component>,
}

impl FirmwareReport {
    /// Whether every component has the version that is wanted.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.components.iter().all(|c| matches!(c.state, ComponentState::Current | ComponentState::Updated { .. }))
    }
}

/// A component and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Its name.
    pub component: String,
    /// The version that it has now.
    pub version: String,
    /// The version that is wanted.
    pub wanted: String,
    /// What became of it.
    pub state: ComponentState,
}

/// What became of a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComponentState {
    /// It had the wanted version.
    Current,
    /// Its updater ran, and it has the wanted version now.
    Updated {
        /// The version that it had.
        from: String,
    },
    /// Its updater succeeded, and the old version still runs: most firmware is replaced when the machine starts.
    RestartNeeded,
    /// It has another version, and no updater is configured for it.
    NoUpdater,
    /// Its updater failed.
    Failed {
        /// How.
        error: String,
    },
}

/// Why firmware was not looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, RemoteError)]
pub enum FirmwareError {
    /// This machine does not say the version of a component. Nothing was run.
    #[error("this machine does not say the version of `{component}`: it says those of {}", listed(.known))]
    Unsupported {
        /// The component.
        component: String,
        /// Those that can be read here.
        known: Vec<String>,
    },
    /// Neither the request nor the agent's configuration says what is wanted.
    #[error("nothing says which versions are wanted: send them, or start the agent with --firmware")]
    NothingWanted,
    /// A component is wanted in two versions.
    #[error("`{component}` is wanted more than once")]
    Twice {
        /// The component.
        component: String,
    },
    /// What is wanted can be no version. Nothing was run.
    #[error(
        "what is wanted of `{component}` is no version: it begins with a letter or a digit, has only those and ` ._-+:~()`, and at \
         most {most} bytes"
    )]
    NoVersion {
        /// The component.
        component: String,
        /// How many bytes it may have.
        most: u64,
    },
    /// The agent's configuration cannot be read.
    #[error("the firmware directory cannot be read: {0}")]
    Configuration(String),
    /// Another task updates firmware.
    #[error("firmware is being updated by {by}")]
    Busy {
        /// The task.
        by: String,
    },
    /// The caller cancelled it. An updater that has begun is not interrupted.
    #[error("cancelled after {completed} of {total} components")]
    Cancelled {
        /// How many components had been dealt with.
        completed: u64,
        /// How many there are.
        total: u64,
    },
    /// The agent is being stopped. An updater that has begun is not interrupted.
    #[error("the agent is stopping: {completed} of {total} components had been dealt with")]
    Stopping {
        /// How many components had been dealt with.
        completed: u64,
        /// How many there are.
        total: u64,
    },
}

/// What a machine should be. What is left out is not looked at; a member that is not known is an error, so that a check that is
/// misspelt does not pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Specification {
    /// Its processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuSpecification>,
    /// How much memory it has at least, in bytes. The kernel keeps a part for itself, so that a machine of 64 GiB says a little
    /// less: leave it that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_at_least: Option<u64>,
    /// How large each disk is at least, in bytes: a size for each disk, of those that the agent was given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disks_at_least: Vec<u64>,
    /// Its network interfaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkSpecification>,
}

/// What processors a machine should have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CpuSpecification {
    /// A part of the model's name that each of them has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How many sockets are filled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sockets: Option<u64>,
    /// How many threads there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u64>,
}

/// What network interfaces a machine should have. Only those of hardware count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkSpecification {
    /// How many there are at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interfaces_at_least: Option<u64>,
    /// How many of them have a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_at_least: Option<u64>,
    /// How fast each of those that have a link is at least, in Mb/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed_at_least: Option<u64>,
}

/// How a machine compares with its specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QcReport {
    /// Whether everything that was asked for is there.
    pub passed: bool,
    /// Each thing that was asked for.
    pub findings: Vec<Finding>,
    /// What the machine says of itself, whether it was asked for or not.
    pub facts: BTreeMap<String, String>,
}

/// One thing that a specification asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What: `cpu.model`, `memory`, `disks[1]`, `network.up`.
    pub what: String,
    /// What was asked for.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// Whether that will do.
    pub passed: bool,
}

/// Why a machine could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, RemoteError)]
pub enum QcError {
    /// Nothing is asked for, which every machine would pass.
    #[error("the specification asks for nothing")]
    Empty,
    /// The system does not say what was asked about.
    #[error("the system does not say {what}: {error}")]
    Unreadable {
        /// What.
        what: String,
        /// Why not.
        error: String,
    },
    /// The agent has failed.
    #[error("the agent failed: {0}")]
    Failed(String),
}

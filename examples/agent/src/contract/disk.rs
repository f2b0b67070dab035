use rmi_core::RemoteError;
use serde::{Deserialize, Serialize};

use super::listed;

/// Why a disk was not used, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, RemoteError, Serialize, Deserialize)]
pub enum DiskError {
    /// The agent's command line names no such disk. Names are compared; none ever becomes a path.
    #[error("no disk is named `{disk}`: the agent was given {}", listed(.known))]
    Unknown {
        /// The name that was asked for.
        disk: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The agent was given no disk that this could be done to.
    #[error("the agent was given no disk for this: start it with {option}")]
    NoDisk {
        /// The option that names one.
        option: String,
    },
    /// Which of several disks is meant was not said.
    #[error("say which disk: the agent was given {}", listed(.known))]
    Ambiguous {
        /// The names that there are.
        known: Vec<String>,
    },
    /// Another task of this agent has the disk.
    #[error("disk `{disk}` is busy: {by} has it")]
    Busy {
        /// The disk.
        disk: String,
        /// The task that has it.
        by: String,
    },
    /// Something outside of this agent uses it: it is mounted, swapped to, part of something, or locked.
    #[error("disk `{disk}` is in use: {how}")]
    InUse {
        /// The disk.
        disk: String,
        /// By what.
        how: String,
    },
    /// What is at its path is not what was there when the agent started.
    #[error("disk `{disk}` is not what it was when the agent started: {what}; start the agent again if that was meant")]
    Changed {
        /// The disk.
        disk: String,
        /// What is different.
        what: String,
    },
    /// What is at its path can be no disk of an agent.
    #[error("disk `{disk}` cannot be used: {why}")]
    Unsuitable {
        /// The disk.
        disk: String,
        /// Why not.
        why: String,
    },
    /// It has too little room for what is to be written.
    #[error("disk `{disk}` has {size} bytes, and {needed} are needed")]
    TooSmall {
        /// The disk.
        disk: String,
        /// How many bytes it has.
        size: u64,
        /// How many are to be written.
        needed: u64,
    },
    /// Reading or writing failed.
    #[error("disk `{disk}`: {doing} at byte {at} failed: {error}")]
    Io {
        /// The disk.
        disk: String,
        /// What was being done.
        doing: String,
        /// Where, in bytes from its beginning.
        at: u64,
        /// What the system said.
        error: String,
    },
    /// What was read back is not what was written.
    #[error("disk `{disk}` reads back something else than was written, at byte {at}: it must not be trusted")]
    Verification {
        /// The disk.
        disk: String,
        /// Where, in bytes from its beginning.
        at: u64,
    },
    /// The caller cancelled it. What was written until then stays written.
    #[error("cancelled after {completed} of {total} bytes")]
    Cancelled {
        /// How many bytes had been done, of all passes.
        completed: u64,
        /// How many were to be done.
        total: u64,
    },
    /// The agent is being stopped. What was written until then stays written.
    #[error("the agent is stopping: {completed} of {total} bytes had been done")]
    Stopping {
        /// How many bytes had been done, of all passes.
        completed: u64,
        /// How many were to be done.
        total: u64,
    },
}

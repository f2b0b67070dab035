//! RackHD's services and events as contracts: what its nine exchanges carry, of the conventions as they were first written down and of
//! the last release.
//!
//! The contracts know nothing of RackHD's wire. [`on`] and [`legacy`] are the dialect that writes them as RackHD does; any other
//! dialect carries them as well.
//!
//! | exchange | contract |
//! |---|---|
//! | `configuration` | [`Configuration`] |
//! | `dhcp` | [`Dhcp`] |
//! | `task-graph-runner` | [`TaskGraphRunner`] |
//! | `scheduler` | [`Scheduler`] |
//! | `task` | [`Task`], and the events of [`task_events`] |
//! | `events` | the events of [`events`], [`ExternalEvent`] |
//! | `http` | [`HttpPublished`](events::HttpPublished) |
//! | `logging` | [`LogEvent`](logging::LogEvent), which [`logging::LogLayer`] makes of what a program traces |
//! | `tftp` | nothing, in any version |
//! | `waterline`, `ssdp`, `heartbeat` | [`later`]: what came after the conventions were written down |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod configuration;
mod dhcp;
pub mod events;
mod external;
mod ids;
pub mod later;
pub mod logging;
mod mac;
mod open;
mod routes;
mod scheduler;
mod task;
pub mod task_events;
mod task_graph_runner;

pub use rmi_amqp::rackhd::ErrorEvent;

pub use self::{
    configuration::{Configuration, ConfigurationClient, ConfigurationServer},
    dhcp::{Dhcp, DhcpClient, DhcpEvent, DhcpServer, Lease, LeaseTable, Pinned},
    external::{ExternalEvent, Severity},
    ids::{GraphId, NodeId, TaskId, WorkItemId},
    mac::{MacAddress, NotAMacAddress},
    routes::{EVENTS, EXCHANGES, HEARTBEATS, LEGACY, LEGACY_EVENTS, METHODS_OF_TASKS, ROUTES, dialect, legacy, on},
    scheduler::{Overrides, Scheduler, SchedulerClient, SchedulerServer},
    task::{Command, Commands, Executed, ExecutedCommand, Machine, PollerCacheOptions, Task, TaskClient, TaskServer},
    task_graph_runner::{
        ActiveGraph, ActiveTask, Cancelled, Definition, Filter, GraphFilter, Instance, TaskGraphRunner, TaskGraphRunnerClient,
        TaskGraphRunnerServer,
    },
};

/// A JSON object, as it is.
pub type Object = serde_json::Map<String, serde_json::Value>;

//! What a server has an agent do, as an operator says it: one order, one answer.

use std::{future::Future, pin::pin, time::Duration};

use rmi_core::{Call, CallError, Endpoint, RemoteError, Update, message::Progress};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    contract::{
        AgentClient, CacheReport, ConfigDrive, DecommissionClient, Erased, FirmwareReport, Pattern, Prepared, QcReport, Running,
        Specification, StandbyClient, Step, Wanted,
    },
    operator::connected,
};

/// What an agent is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// `status`
    Status {},
    /// `decom.disk_erase`
    Erase {
        /// Which disks; all of them unless they are named.
        disks: Option<Vec<String>>,
        /// What they are overwritten with.
        patterns: Vec<Pattern>,
        /// Whether their blocks are given back.
        discard: bool,
    },
    /// `decom.firmware_secure`
    Firmware {
        /// What is wanted; what the agent's configuration says unless it is said.
        wanted: Option<Vec<Wanted>>,
    },
    /// `decom.qc`
    Qc {
        /// What the machine should be.
        specification: Specification,
    },
    /// `standby.cache_images`
    Cache {
        /// The images, the most important first.
        image_ids: Vec<Uuid>,
    },
    /// `standby.prepare_image`
    Prepare {
        /// The image.
        image_id: Uuid,
        /// The disk.
        disk: Option<String>,
    },
    /// `standby.run_image`
    Run {
        /// The image.
        image_id: Uuid,
        /// What it is told.
        config_drive: ConfigDrive,
        /// The disk.
        disk: Option<String>,
    },
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether everything that was asked for is so: a machine passes its control, all images are cached, all firmware is as wanted.
    pub fulfilled: bool,
    /// What the agent says; null from one that says nothing that can be read, as the agents of 2013.
    pub result: Value,
}

/// Why nothing came of an order, or it is not known what did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, RemoteError, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The method failed.
    #[error("{0}")]
    Failed(String),
    /// It never ran.
    #[error("the agent rejected it: {0}")]
    Rejected(String),
    /// The agent is not there.
    #[error("no agent `{agent}` is connected{}", others(.known))]
    NoAgent {
        /// Who was meant.
        agent: String,
        /// Who is there.
        known: Vec<String>,
    },
    /// The agent did not answer in time.
    #[error("{0}: whether it was done is unknown")]
    Timeout(String),
    /// It is not known whether the method ran.
    #[error("{0}")]
    Lost(String),
}

fn others(known: &[String]) -> String {
    if known.is_empty() { ": nobody is".to_owned() } else { format!(": {} is", known.join(", ")) }
}

/// How long nothing may be heard of an order that is being carried out: longer than the longest step of one that goes on.
pub const SILENCE: Duration = Duration::from_secs(40 * 60);

impl Failure {
    /// The exit status that says so: as those of `rmi call`.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Failure::Failed(_) => 1,
            Failure::Rejected(_) => 3,
            Failure::NoAgent { .. } => 4,
            Failure::Timeout(_) => 5,
            Failure::Lost(_) => 6,
        }
    }
}

impl Order {
    /// Has an agent do it. `on` is told of each step; when `cancel` is ready the agent is asked to stop, where its dialect has words for
    /// that, and its answer is still waited for.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub async fn give(
        self,
        server: &Endpoint,
        agent: &str,
        on: impl FnMut(Progress<Step>),
        cancel: impl Future,
    ) -> Result<Answer, Failure> {
        let decom: DecommissionClient = server.client(agent);
        let standby: StandbyClient = server.client(agent);
        let mut order = Giving { server, agent, on, cancel: pin!(cancel) };
        match self {
            Order::Status {} => {
                let status = server.client::<AgentClient>(agent).status().await;
                let status = status.map_err(|error| order.failure(error))?;
                Ok(Answer { fulfilled: true, result: value(&status) })
            }
            Order::Erase { disks, patterns, discard } => {
                order.through(decom.disk_erase(disks, patterns, discard), |_: &Erased| true).await
            }
            Order::Firmware { wanted } => order.through(decom.firmware_secure(wanted), FirmwareReport::is_secure).await,
            Order::Qc { specification } => order.through(decom.qc(specification), |report: &QcReport| report.passed).await,
            Order::Cache { image_ids } => order.through(standby.cache_images(image_ids), CacheReport::is_complete).await,
            Order::Prepare { image_id, disk } => order.through(standby.prepare_image(image_id, disk), |_: &Prepared| true).await,
            Order::Run { image_id, config_drive, disk } => {
                order.through(standby.run_image(image_id, config_drive, disk), |_: &Running| true).await
            }
        }
    }
}

/// An order that is being given.
struct Giving<'a, F, C> {
    server: &'a Endpoint,
    agent: &'a str,
    on: F,
    cancel: std::pin::Pin<&'a mut C>,
}

impl<F: FnMut(Progress<Step>), C: Future> Giving<'_, F, C> {
    async fn through<T, E>(&mut self, call: Call<T, E, Step>, fulfilled: impl FnOnce(&T) -> bool) -> Result<Answer, Failure>
    where
        T: Serialize + DeserializeOwned,
        E: RemoteError + std::error::Error,
    {
        let mut pending = call.idle(SILENCE).send().await.map_err(|error| self.failure(error))?;
        let mut cancelled = false;
        loop {
            let update = tokio::select! {
                update = pending.next() => update,
                _ = self.cancel.as_mut(), if !cancelled => {
                    cancelled = true;
                    if let Err(error) = pending.cancel().await {
                        tracing::warn!(%error, "the agent cannot be told to stop: its answer is waited for");
                    }
                    continue;
                }
            };
            match update {
                Some(Ok(Update::Progress(step))) => (self.on)(step),
                Some(Ok(Update::Accepted | Update::Started)) => {}
                Some(Ok(Update::Done(result))) => return Ok(Answer { fulfilled: fulfilled(&result), result: value(&result) }),
                // A step that says something else.
                Some(Err(CallError::Decode(_))) if pending.is_open() => {}
                // It has been done; what it says about that is for others.
                Some(Err(CallError::Decode(_))) => return Ok(Answer { fulfilled: true, result: Value::Null }),
                Some(Err(error)) => return Err(self.failure(error)),
                None => return Err(Failure::Lost("the call has no end".to_owned())),
            }
        }
    }

    fn failure<E: RemoteError + std::error::Error>(&self, error: CallError<E>) -> Failure {
        match error {
            CallError::Remote(error) => Failure::Failed(error.to_string()),
            CallError::NoAgent(_) => Failure::NoAgent { agent: self.agent.to_owned(), known: connected(self.server) },
            CallError::Exception(exception) => Failure::Failed(exception.message()),
            CallError::Rejected(rejection) => Failure::Rejected(rejection.to_string()),
            CallError::Timeout { .. } => Failure::Timeout(error.to_string()),
            error if error.is_ambiguous() => Failure::Lost(format!("{error}: whether it was done is unknown")),
            CallError::Transport(_) | CallError::Closed => Failure::Lost(error.to_string()),
            error => Failure::Failed(error.to_string()),
        }
    }
}

fn value<T: Serialize>(result: &T) -> Value {
    // What was read from JSON is JSON.
    serde_json::to_value(result).unwrap_or_default()
}

use rmi_core::{Context, RemoteError, remote};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{DiskError, ImageError, Step};

/// What makes a machine that stands by into one that runs.
#[remote(name = "standby", params = named)]
pub trait Standby {
    /// Has images in the cache, the first being the most important. Where there is not room for all of them, those that come first
    /// are kept, and the report says which are not. Steps count bytes, of the images that it has come to: how large the others are is
    /// not known yet.
    #[remote(idempotent, timeout = "1d")]
    async fn cache_images(&self, #[remote(context)] cx: &Context<Step>, image_ids: Vec<Uuid>) -> Result<CacheReport, ImageError>;

    /// Writes an image to a disk, from its beginning, and verifies it. What the disk has behind the image's end stays as it
    /// was. An image that is not cached is fetched first. `disk` may be left out where the agent has one only. Steps count bytes.
    #[remote(timeout = "1d")]
    async fn prepare_image(
        &self,
        #[remote(context)] cx: &Context<Step>,
        image_id: Uuid,
        disk: Option<String>,
    ) -> Result<Prepared, ImageError>;

    /// Writes the config drive for an image that was prepared, answers, and then runs what the agent was configured to run.
    #[remote(timeout = "10m")]
    async fn run_image(
        &self,
        #[remote(context)] cx: &Context<Step>,
        image_id: Uuid,
        config_drive: ConfigDrive,
        disk: Option<String>,
    ) -> Result<Running, RunError>;
}

/// What the cache has of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheReport {
    /// Each image, in the order of the request.
    pub images: Vec<CachedImage>,
}

impl CacheReport {
    /// Whether all of them are there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.images.iter().all(|image| matches!(image.state, CacheState::Fetched { .. } | CacheState::Present { .. }))
    }
}

/// An image that was to be cached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedImage {
    /// The image.
    pub image_id: Uuid,
    /// Whether it is cached.
    pub state: CacheState,
}

/// Whether an image is cached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheState {
    /// It was there.
    Present {
        /// How many bytes it has.
        bytes: u64,
    },
    /// It was fetched.
    Fetched {
        /// How many bytes it has.
        bytes: u64,
    },
    /// It is not there: it could not be had, or there is no room beside what comes before it.
    Missing {
        /// Why.
        error: ImageError,
    },
}

/// An image on a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The image.
    pub image_id: Uuid,
    /// The disk.
    pub disk: String,
    /// How many bytes were written.
    pub bytes: u64,
    /// The SHA-256 of what was written and read back, in hexadecimal.
    pub sha256: String,
}

/// What an image is told about where it runs: an OpenStack config drive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigDrive {
    /// `openstack/latest/meta_data.json`. A `uuid` is drawn where there is none, because an instance needs one.
    pub meta_data: Map<String, Value>,
    /// `openstack/latest/user_data`, as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
    /// `openstack/latest/network_data.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_data: Option<Value>,
    /// `openstack/latest/vendor_data.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor_data: Option<Value>,
}

/// An image that is about to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The image.
    pub image_id: Uuid,
    /// The disk that it is on.
    pub disk: String,
    /// The instance's own id, as the config drive says it.
    pub instance: String,
    /// How large the config drive is, in bytes.
    pub config_drive: u64,
    /// What happens when this answer has been sent.
    pub launch: Launch,
}

/// What happens when `run_image` has answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Launch {
    /// The agent drains, and this program takes its place.
    Exec {
        /// The program and its arguments.
        command: Vec<String>,
    },
    /// Nothing: the agent was started without `--run-command`.
    Dry,
}

/// Why an image does not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, RemoteError)]
pub enum RunError {
    /// It is on none of the disks, as far as this process knows: it prepared none, or another image since.
    #[error("image {image_id} is not prepared on any disk: call prepare_image")]
    NotPrepared {
        /// The image.
        image_id: Uuid,
    },
    /// What the config drive is to say is too long for one.
    #[error("the config drive is to say {bytes} bytes, and may say {most}")]
    TooLong {
        /// How long it is.
        bytes: u64,
        /// How long it may be.
        most: u64,
    },
    /// The config drive could not be made.
    #[error("the config drive could not be made: {0}")]
    ConfigDrive(String),
    /// Another `run_image` has been answered: the agent is about to end.
    #[error("another image is about to run")]
    Leaving,
    /// The disk is the reason.
    #[error("{0}")]
    Disk(DiskError),
    /// The agent has failed.
    #[error("the agent failed: {0}")]
    Failed(String),
}

impl From<DiskError> for RunError {
    fn from(error: DiskError) -> Self {
        RunError::Disk(error)
    }
}

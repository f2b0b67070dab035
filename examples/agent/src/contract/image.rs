use rmi_core::RemoteError;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::DiskError;

/// Why an image was not cached, or not written to a disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, RemoteError, Serialize, Deserialize)]
pub enum ImageError {
    /// The source has no such image, or says no checksum for it.
    #[error("image {image_id} is not to be had: {why}")]
    NotFound {
        /// The image.
        image_id: Uuid,
        /// What is missing, and where.
        why: String,
    },
    /// It does not fit into the cache beside what may not be given up for it.
    #[error("image {image_id} has {size} bytes, and the cache has room for {room}")]
    NoRoom {
        /// The image.
        image_id: Uuid,
        /// How many bytes it has.
        size: u64,
        /// How many there could be room for.
        room: u64,
    },
    /// What came is not what its checksum or its length says. Nothing of it is kept.
    #[error("image {image_id} is damaged: {what}")]
    Damaged {
        /// The image.
        image_id: Uuid,
        /// What does not agree.
        what: String,
    },
    /// Fetching, reading or keeping it failed.
    #[error("image {image_id}: {doing} failed: {error}")]
    Io {
        /// The image.
        image_id: Uuid,
        /// What was being done.
        doing: String,
        /// What the system, or the source, said.
        error: String,
    },
    /// The agent was started without a cache, or without a source of images.
    #[error("the agent has no images: start it with {option}")]
    NoCache {
        /// The option that gives it some.
        option: String,
    },
    /// The list of images is longer than one request may have.
    #[error("{asked} images are more than the {most} that one request may name")]
    TooMany {
        /// How many were named.
        asked: u64,
        /// How many may be.
        most: u64,
    },
    /// The disk is the reason.
    #[error("{0}")]
    Disk(DiskError),
    /// The caller cancelled it.
    #[error("cancelled after {completed} of {total} bytes")]
    Cancelled {
        /// How many bytes had been done.
        completed: u64,
        /// How many were to be done.
        total: u64,
    },
    /// The agent is being stopped.
    #[error("the agent is stopping: {completed} of {total} bytes had been done")]
    Stopping {
        /// How many bytes had been done.
        completed: u64,
        /// How many were to be done.
        total: u64,
    },
}

impl From<DiskError> for ImageError {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::Cancelled { completed, total } => ImageError::Cancelled { completed, total },
            DiskError::Stopping { completed, total } => ImageError::Stopping { completed, total },
            error => ImageError::Disk(error),
        }
    }
}

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use uuid::Uuid;

use super::Cache;
use crate::{
    contract::{ImageError, Phase},
    work::Meter,
};

/// A download that is under way, by whoever asked first. Others who want the image wait for it.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) id: Uuid,
    end: Mutex<End>,
}

#[derive(Debug)]
enum End {
    Flying,
    /// Whoever fetched it gave up, which says nothing about the image.
    GivenUp,
    Landed(Result<u64, ImageError>),
}

impl Flight {
    /// How long a waiting request does not look whether it is cancelled.
    const LOOK: Duration = Duration::from_millis(50);

    pub(super) fn new(id: Uuid) -> Self {
        Flight { id, end: Mutex::new(End::Flying) }
    }

    /// Says how it ended; the first word counts.
    pub(super) fn end(&self, outcome: Option<Result<u64, ImageError>>) {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*end, End::Flying) {
            *end = outcome.map_or(End::GivenUp, End::Landed);
        }
    }

    /// Waits for its end; `None` when whoever fetched it gave up.
    pub(super) fn wait(&self, cache: &Cache, meter: &mut Meter<'_>) -> Result<Option<Result<u64, ImageError>>, ImageError> {
        let mut state = cache.state();
        loop {
            match &*self.end.lock().unwrap_or_else(PoisonError::into_inner) {
                End::GivenUp => return Ok(None),
                End::Landed(end) => return Ok(Some(end.clone())),
                End::Flying => {}
            }
            let waited = cache.0.landed.wait_timeout(state, Self::LOOK).unwrap_or_else(PoisonError::into_inner);
            drop(waited.0);
            meter.done(Phase::Download, &self.id.to_string(), 0)?;
            state = cache.state();
        }
    }
}

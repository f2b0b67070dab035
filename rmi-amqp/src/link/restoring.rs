//! Which subscriptions have what they can have of a connection.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// The subscriptions, and the generation that each of them is at: a connection is reported when all have found their way to it.
#[derive(Debug, Default)]
pub(crate) struct Restoring {
    places: Mutex<Places>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Places {
    next: u64,
    at: BTreeMap<u64, u64>,
}

impl Restoring {
    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new generation is reported when this subscription has it.
    pub(crate) fn joins(&self) -> u64 {
        let mut places = self.lock();
        places.next += 1;
        let id = places.next;
        places.at.insert(id, u64::MAX);
        id
    }

    /// This subscription has what it can have of this generation.
    pub(crate) fn has(&self, id: u64, generation: u64) {
        self.lock().at.insert(id, generation);
        self.changed.notify_waiters();
    }

    pub(crate) fn leaves(&self, id: u64) {
        self.lock().at.remove(&id);
        self.changed.notify_waiters();
    }

    /// Waits until every subscription has this generation.
    pub(crate) async fn all_have(&self, generation: u64) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.lock().at.values().all(|at| *at >= generation) {
                return;
            }
            changed.await;
        }
    }
}

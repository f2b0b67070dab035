//! The subscriptions of one transport, and which of them are being left.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
};

use lapin::types::ShortString;
use tokio::sync::Notify;

/// The subscriptions, and which of them are being left: a queue that is not quite gone is not declared anew.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    queues: Mutex<HashMap<u64, Entry>>,
    gone: Notify,
}

#[derive(Debug)]
struct Entry {
    queue: ShortString,
    leaving: bool,
}

impl Subscribers {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Entry>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, id: u64, queue: &ShortString) {
        self.lock().insert(id, Entry { queue: queue.clone(), leaving: false });
    }

    /// Nobody receives any more; what is at the broker still has to go.
    pub(super) fn leave(&self, id: u64) {
        if let Some(entry) = self.lock().get_mut(&id) {
            entry.leaving = true;
        }
    }

    pub(super) fn gone(&self, id: u64) {
        self.lock().remove(&id);
        self.gone.notify_waiters();
    }

    /// Waits until nobody is leaving this queue.
    pub(super) async fn over(&self, queue: &ShortString) {
        loop {
            let mut gone = pin!(self.gone.notified());
            gone.as_mut().enable();
            if !self.lock().values().any(|entry| entry.leaving && entry.queue == *queue) {
                return;
            }
            gone.await;
        }
    }

    /// Waits until all have gone.
    pub(crate) async fn all_gone(&self) {
        loop {
            let mut gone = pin!(self.gone.notified());
            gone.as_mut().enable();
            if self.lock().is_empty() {
                return;
            }
            gone.await;
        }
    }
}

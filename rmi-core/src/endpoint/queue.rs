//! The handlers that run at a time, and the queue of the requests that wait for one: bounded, and shared fairly.

mod share;
mod size;

use std::{sync::Mutex, time::Duration};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

use self::share::Shares;
pub use self::size::QueueSize;
use crate::{
    lock::lock,
    message::{Rejection, RejectionCode},
    seal::Principal,
};

/// The shortest and the longest hint when to try again.
const HINTS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// Places for handlers, and a queue for those that find none free. Whoever finds one does not touch the queue.
#[derive(Debug)]
pub(crate) struct Handlers {
    permits: Semaphore,
    size: QueueSize,
    queue: Mutex<Queue>,
}

/// What waits now, and how fast it comes to its turn.
#[derive(Debug, Default)]
struct Queue {
    shares: Shares,
    /// When a place came free last, or was taken after all of them had been free.
    moved: Option<Instant>,
    /// How long it takes from one place that comes free to the next, on the average.
    pace: Duration,
}

impl Handlers {
    pub(crate) fn new(many: usize, size: QueueSize) -> Self {
        Handlers { permits: Semaphore::new(many), size, queue: Mutex::default() }
    }

    /// Takes a handler's place, if one is free.
    pub(crate) fn try_take(&self) -> bool {
        self.permits.try_acquire().map(SemaphorePermit::forget).is_ok()
    }

    /// Waits for a handler's place, in the order of those who wait.
    pub(crate) async fn take(&self) -> bool {
        self.permits.acquire().await.map(SemaphorePermit::forget).is_ok()
    }

    /// Gives a handler's place back.
    pub(crate) fn give_back(&self) {
        self.permits.add_permits(1);
    }

    /// Takes a place in the queue, for a request of so many bytes; where that one has been promised, whether or not there is room.
    ///
    /// # Errors
    ///
    /// There is no room: for anybody, or for one who has as much there as this one.
    pub(crate) fn enter(&self, who: &Principal, bytes: usize, promised: bool) -> Result<(), Rejection> {
        let mut queue = lock(&self.queue);
        if let Err(full) = queue.shares.add(who, bytes, if promised { QueueSize::UNBOUNDED } else { self.size }) {
            let hint = queue.hint(Instant::now());
            return Err(Rejection::new(RejectionCode::Busy, full.details()).retry_after(hint));
        }
        if queue.shares.requests() == 1 {
            queue.moved = Some(Instant::now());
        }
        Ok(())
    }

    /// Leaves the queue, for a handler or for good.
    pub(crate) fn leave(&self, who: &Principal, bytes: usize) {
        let mut queue = lock(&self.queue);
        queue.shares.remove(who, bytes);
        queue.moves(Instant::now());
    }

    /// When to try again, for one that found no room here or elsewhere.
    pub(crate) fn hint(&self) -> Duration {
        lock(&self.queue).hint(Instant::now())
    }

    /// How many requests wait.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.queue).shares.requests()
    }
}

impl Queue {
    /// A place has come free.
    fn moves(&mut self, now: Instant) {
        let took = self.moved.map_or(Duration::ZERO, |moved| now.saturating_duration_since(moved));
        self.pace = (self.pace * 7 + took) / 8;
        self.moved = Some(now);
    }

    /// How long it takes until half of those who wait have come to their turn, if it goes on as it did; and if nothing has moved for
    /// longer, as it does now.
    fn hint(&self, now: Instant) -> Duration {
        let since = self.moved.map_or(Duration::ZERO, |moved| now.saturating_duration_since(moved));
        let half = u32::try_from(self.shares.requests() / 2).unwrap_or(u32::MAX);
        self.pace.max(since).saturating_mul(half).clamp(HINTS.0, HINTS.1)
    }
}

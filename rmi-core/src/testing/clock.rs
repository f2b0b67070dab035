use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crate::time::{Clock, Timestamp};

/// A date that only changes when it is told to. Clones show the same date.
///
/// It is what endpoints take for the date ([`Builder::clock`](crate::endpoint::Builder::clock)): what messages are dated with, and how
/// old they are found to be. How long something waits is Tokio's time, which a test pauses with `tokio::time::pause`.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl Default for ManualClock {
    /// 2026-11-20T23:56:00Z
    fn default() -> Self {
        ManualClock::at(Timestamp::from_millis(1_795_218_960_000))
    }
}

impl ManualClock {
    /// A clock that shows this date.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        ManualClock(Arc::new(AtomicI64::new(now.as_millis())))
    }

    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        self.0.fetch_add(millis(time), Ordering::SeqCst);
    }

    /// The moment so long before now.
    #[must_use]
    pub fn ago(&self, time: Duration) -> Timestamp {
        Timestamp::from_millis(self.now().as_millis().saturating_sub(millis(time)))
    }

    /// The moment so long after now.
    #[must_use]
    pub fn ahead(&self, time: Duration) -> Timestamp {
        self.now().plus(time)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

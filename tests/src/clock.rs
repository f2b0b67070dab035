//! Time that a test has in its hands.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
};

pub use rmi_core::testing::ManualClock as FakeClock;
use rmi_core::time::{Clock, Timestamp};
use tokio::runtime::{Builder, Runtime};

/// A runtime in which nothing that is timed takes any time.
///
/// # Errors
///
/// As those of [`Builder::build`].
pub fn paused() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().start_paused(true).build()
}

/// A clock that stands still, and identifiers that count.
#[derive(Debug, Default)]
pub struct Counting(AtomicU64);

impl Clock for Counting {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn id(&self) -> uuid::Uuid {
        uuid::Uuid::from_u128(self.0.fetch_add(1, Ordering::Relaxed).into())
    }
}

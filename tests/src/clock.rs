//! A clock that says what a test tells it to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use rmi_core::time::{Clock, Timestamp};

/// A date that only changes when it is told to. Clones show the same date.
#[derive(Clone, Debug)]
pub struct FakeClock(Arc<AtomicI64>);

impl Default for FakeClock {
    fn default() -> Self {
        FakeClock(Arc::new(AtomicI64::new(1_795_218_960_000)))
    }
}

impl FakeClock {
    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        self.0.fetch_add(millis(time), Ordering::SeqCst);
    }

    /// The moment so long before now.
    #[must_use]
    pub fn ago(&self, time: Duration) -> Timestamp {
        Timestamp::from_millis(self.now().as_millis() - millis(time))
    }

    /// The moment so long after now.
    #[must_use]
    pub fn ahead(&self, time: Duration) -> Timestamp {
        self.now().plus(time)
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).expect("a time that a test needs")
}

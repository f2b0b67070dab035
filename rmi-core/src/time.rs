//! Wall-clock time as messages carry it, and where it comes from.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chrono::DateTime;

mod rfc3339;

/// A moment in UTC, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Earlier than every other moment.
    pub const MIN: Timestamp = Timestamp(i64::MIN);

    /// A moment so many milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Timestamp(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Reads an RFC 3339 date with a zone; digits below the millisecond are cut.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let read = rfc3339::parse(text);
        read.or_else(|| Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis())).map(Timestamp)
    }

    /// `2026-11-20T23:56:00Z`, the form of replies. Years have four digits: what lies outside becomes the nearest moment inside.
    #[must_use]
    pub fn to_seconds(self) -> String {
        self.seconds().into_iter().map(char::from).collect()
    }

    /// `2026-11-20T23:56:00.123Z`, the form of requests; otherwise as [`Timestamp::to_seconds`].
    #[must_use]
    pub fn to_millis(self) -> String {
        self.millis().into_iter().map(char::from).collect()
    }

    /// [`Timestamp::to_seconds`] without an allocation, in ASCII.
    pub(crate) fn seconds(self) -> [u8; 20] {
        rfc3339::seconds(self.0)
    }

    /// [`Timestamp::to_millis`] without an allocation, in ASCII.
    pub(crate) fn millis(self) -> [u8; 24] {
        rfc3339::millis(self.0)
    }

    /// The moment `after` this one.
    #[must_use]
    pub fn plus(self, after: Duration) -> Self {
        Timestamp(self.0.saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_millis())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_millis())
    }
}

/// Where an endpoint takes the time and its identifiers from; replaceable so that a test can say what time it is.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
    /// A new identifier, unlike any other: version 4 of RFC 9562 unless a test says otherwise.
    fn id(&self) -> uuid::Uuid {
        uuid::Uuid::new_v4()
    }
}

/// The system's clock and random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

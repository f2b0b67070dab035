//! Wall-clock time as messages carry it, and where it comes from.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chrono::{DateTime, SecondsFormat, Utc};

/// A moment in UTC, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest moment that can be written.
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
        DateTime::parse_from_rfc3339(text).ok().map(|at| Timestamp(at.timestamp_millis()))
    }

    /// `2026-11-20T23:56:00Z`, the form of replies.
    #[must_use]
    pub fn to_seconds(self) -> String {
        self.format(SecondsFormat::Secs)
    }

    /// `2026-11-20T23:56:00.123Z`, the form of requests.
    #[must_use]
    pub fn to_millis(self) -> String {
        self.format(SecondsFormat::Millis)
    }

    fn format(self, digits: SecondsFormat) -> String {
        DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default().to_rfc3339_opts(digits, true)
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

//! Long work that blocks: how it tells how far it is, and how it is told to stop.

use std::{
    fmt,
    time::{Duration, Instant},
};

use crate::contract::{DiskError, ImageError, Phase, Step};

/// What a long piece of blocking work knows of the request that it is done for.
pub trait Work: Send + Sync {
    /// Reports a step. Does not wait.
    fn report(&self, total: u64, completed: u64, step: Step);

    /// Whether it should stop, and why.
    fn stop(&self) -> Option<Stop>;
}

/// Why work stops before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The caller cancelled it.
    Cancelled,
    /// The agent is being stopped.
    Stopping,
}

/// Work that stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Why.
    pub why: Stop,
    /// How much had been done.
    pub completed: u64,
    /// How much was to be done.
    pub total: u64,
}

impl From<Stopped> for DiskError {
    fn from(Stopped { why, completed, total }: Stopped) -> Self {
        match why {
            Stop::Cancelled => DiskError::Cancelled { completed, total },
            Stop::Stopping => DiskError::Stopping { completed, total },
        }
    }
}

impl From<Stopped> for ImageError {
    fn from(stopped: Stopped) -> Self {
        DiskError::from(stopped).into()
    }
}

/// Counts the bytes of a piece of work, reports them at a bearable rate, and looks for a reason to stop.
pub struct Meter<'a> {
    work: &'a dyn Work,
    total: u64,
    completed: u64,
    /// What comes after what is fetched.
    passes: u64,
    began: Instant,
    reported: Option<(Instant, Phase)>,
}

impl fmt::Debug for Meter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("total", &self.total).field("completed", &self.completed).finish_non_exhaustive()
    }
}

impl<'a> Meter<'a> {
    /// How long it is between two reports of one phase, unless something ends.
    const PAUSE: Duration = Duration::from_millis(100);

    /// A meter for so many bytes.
    pub fn new(work: &'a dyn Work, total: u64) -> Self {
        Meter { work, total, completed: 0, passes: 0, began: Instant::now(), reported: None }
    }

    /// As [`new`](Self::new), for a piece of work that begins with what is [fetched](Self::fetching), and does so much with each
    /// byte of it afterwards.
    pub fn before(work: &'a dyn Work, passes: u64) -> Self {
        Meter { passes, ..Meter::new(work, 0) }
    }

    /// At least so much is still to be done.
    pub fn to_do(&mut self, bytes: u64) {
        self.total = self.total.max(self.completed.saturating_add(bytes));
    }

    /// So much is going to be fetched, and then gone through.
    pub fn fetching(&mut self, bytes: u64) {
        self.to_do(bytes.saturating_mul(1 + self.passes));
    }

    /// So much more has been done; 0 asks only whether to stop.
    ///
    /// # Errors
    ///
    /// The work should stop.
    pub fn done(&mut self, phase: Phase, subject: &str, bytes: u64) -> Result<(), Stopped> {
        self.completed = self.completed.saturating_add(bytes).min(self.total);
        let now = Instant::now();
        let due = match self.reported {
            Some((at, before)) => before != phase || now.duration_since(at) >= Self::PAUSE || self.completed == self.total,
            None => true,
        };
        if due {
            self.reported = Some((now, phase));
            let step = Step { phase, subject: subject.to_owned(), rate: self.rate(now) };
            self.work.report(self.total, self.completed, step);
        }
        match self.work.stop() {
            Some(why) => Err(Stopped { why, completed: self.completed, total: self.total }),
            None => Ok(()),
        }
    }

    /// In bytes per second, since it began.
    fn rate(&self, now: Instant) -> Option<u64> {
        let elapsed = now.duration_since(self.began).as_secs_f64();
        (elapsed >= 0.05 && self.completed > 0).then(|| (self.completed as f64 / elapsed) as u64)
    }
}

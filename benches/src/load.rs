//! A closed loop: so many callers, each with one call under way at a time.

use std::{
    future::Future,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;

use crate::{Error, process};

/// Somebody who can be called: a peer or ourselves.
pub trait Echo: Clone + Send + Sync + 'static {
    /// Sends a text there and back.
    fn echo(&self, text: String) -> impl Future<Output = Result<String, Error>> + Send;
}

/// How a load is put on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// How many calls are under way at a time.
    pub in_flight: usize,
    /// How many bytes each carries, there and back.
    pub payload: usize,
    /// How long it is measured.
    pub window: Duration,
}

impl Load {
    /// When it is measured, if it begins now: from and to.
    #[must_use]
    pub fn times(&self) -> (Instant, Instant) {
        let open = Instant::now() + self.window / WARM_UP;
        (open, open + self.window)
    }
}

/// What was measured in one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Calls in a second.
    pub throughput: f64,
    /// CPU time of the whole process for a call, in microseconds: client, server and bus, and the harness (some 60 ns).
    pub cpu: f64,
    /// CPU time of a broker, which is another process, for a call, in microseconds; 0 where there is none.
    pub broker: f64,
    /// The time that half of the calls take at most, in microseconds.
    pub p50: f64,
    /// The time that 99 of 100 calls take at most, in microseconds.
    pub p99: f64,
}

impl Sample {
    /// What was counted between two moments, and how long each took, in nanoseconds.
    ///
    /// # Errors
    ///
    /// Nothing was counted.
    pub fn of(from: &Look, to: &Look, window: Duration, mut times: Vec<u32>) -> Result<Self, Error> {
        if times.is_empty() {
            return Err("not one call ended within the window: make it longer".into());
        }
        let calls = times.len() as f64;
        let window = window.as_secs_f64();
        // The looks are a little late, each by its own.
        let each = |used: Duration| used.as_secs_f64() / (to.at - from.at).as_secs_f64() * window / calls * 1e6;
        Ok(Sample {
            throughput: calls / window,
            cpu: each(to.own - from.own),
            broker: each(to.broker.saturating_sub(from.broker)),
            p50: percentile(&mut times, 50),
            p99: percentile(&mut times, 99),
        })
    }

    /// The CPU time of all who took part in a call, in microseconds.
    #[must_use]
    pub fn all_cpu(&self) -> f64 {
        self.cpu + self.broker
    }
}

/// How long callers run before they are measured, as a part of the window.
pub const WARM_UP: u32 = 3;

/// Puts a load on for one window.
///
/// # Errors
///
/// A call failed, or came back with something else than what it took there.
pub fn put(runtime: &Runtime, callee: &impl Echo, load: Load) -> Result<Sample, Error> {
    put_by(runtime, callee, load, None)
}

/// The same, by way of a broker: a process of this id.
///
/// # Errors
///
/// As [`put`], or there is no such process.
pub fn put_by(runtime: &Runtime, callee: &impl Echo, load: Load, broker: Option<u32>) -> Result<Sample, Error> {
    let text: Arc<str> = crate::text(load.payload).into();
    let (open, close) = load.times();
    let callers: Vec<_> =
        (0..load.in_flight).map(|_| runtime.spawn(call(callee.clone(), Arc::clone(&text), open, close))).collect();
    // This thread is none of the runtime's: it sleeps, and looks at the clocks twice.
    let from = Look::at(open, broker)?;
    let to = Look::at(close, broker)?;
    let mut times = Vec::new();
    for caller in callers {
        times.append(&mut runtime.block_on(caller)??);
    }
    Sample::of(&from, &to, load.window, times)
}

/// What the clocks say at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    at: Instant,
    own: Duration,
    broker: Duration,
}

impl Look {
    /// At a moment, or as soon after it as this thread runs, which is to be none of the runtime's.
    ///
    /// # Errors
    ///
    /// The broker is not there.
    pub fn at(moment: Instant, broker: Option<u32>) -> Result<Self, Error> {
        thread::sleep(moment.saturating_duration_since(Instant::now()));
        let broker = broker.map_or(Ok(Duration::ZERO), process::cpu_of)?;
        Ok(Look { at: Instant::now(), own: process::cpu(), broker })
    }
}

/// Calls until the window closes, and returns how long each call that ended in it took, in nanoseconds.
async fn call(callee: impl Echo, text: Arc<str>, open: Instant, close: Instant) -> Result<Vec<u32>, Error> {
    let mut times = Vec::with_capacity(4096);
    let mut began = Instant::now();
    loop {
        let back = callee.echo(text.as_ref().to_owned()).await?;
        let ended = Instant::now();
        if back.len() != text.len() {
            return Err(format!("{} bytes went there, {} came back", text.len(), back.len()).into());
        }
        if ended >= close {
            return Ok(times);
        }
        if ended >= open {
            times.push(u32::try_from((ended - began).as_nanos()).unwrap_or(u32::MAX));
        }
        began = ended;
    }
}

/// A percentile of times in nanoseconds, in microseconds. There is at least one.
fn percentile(times: &mut [u32], percent: usize) -> f64 {
    let at = (times.len() * percent / 100).min(times.len() - 1);
    let (_, time, _) = times.select_nth_unstable(at);
    f64::from(*time) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let mut times: Vec<u32> = (1..=100).rev().map(|us| us * 1000).collect();
        assert_eq!(percentile(&mut times, 50), 51.0);
        assert_eq!(percentile(&mut times, 99), 100.0);
        assert_eq!(percentile(&mut [7000], 99), 7.0);
    }
}

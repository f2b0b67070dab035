//! `rmi bench`: how many calls an agent answers, and how fast.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use hdrhistogram::Histogram;
use rmi_core::{CallError, Endpoint, Json, message::Exception};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::{
    arguments::{Method, Value, time},
    connection::{Connection, close},
    ending::Ending,
    exit::Exit,
    out::Out,
};

/// Measure an agent: calls in a closed loop
///
/// Each of the calls in flight is made again as soon as it has ended. Prints the rate, how long a call took, and the CPU time of this
/// process for each call; the agent's own is not in it. The first call that fails ends it.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    connection: Connection,
    /// The agent's address
    address: String,
    /// What to call; every agent has the one that is called unless you say another
    #[arg(value_name = "CLASS.METHOD", default_value = "Admin.echo")]
    method: Method,
    /// Arguments by position, in place of a text of --size bytes
    #[arg(value_name = "ARG", allow_negative_numbers = true, conflicts_with = "size")]
    arguments: Vec<Value>,
    /// How many calls wait for their outcome at any time
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    in_flight: u32,
    /// How long to measure, in seconds
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// How long the text is that each call carries, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 32, value_parser = clap::value_parser!(u32).range(..=16_777_216))]
    size: u32,
    /// How long a call may take
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10s")]
    timeout: Duration,
}

/// What was measured.
#[derive(Serialize)]
struct Measured {
    calls: u64,
    in_flight: u32,
    seconds: f64,
    calls_per_second: f64,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
    /// Of this process, for each call.
    cpu_us: f64,
}

#[derive(Serialize)]
struct MeasuredLine {
    result: Measured,
}

impl Bench {
    pub(crate) async fn run(self, out: &Out) -> Result<Exit, Box<Ending>> {
        let endpoint = self.connection.open(Some(self.timeout), Some((&self.address, &self.method.class)), out).await?;
        let measured = self.measure(&endpoint).await;
        close(&endpoint).await;
        let measured = measured?;
        if out.is_json() {
            out.line(&MeasuredLine { result: measured });
        } else {
            let Measured { calls, in_flight, seconds, calls_per_second, p50_us, p99_us, max_us, cpu_us } = measured;
            out.text(&format!(
                "{calls_per_second:.0} calls/s ({calls} calls in {seconds:.2} s, {in_flight} in flight)\n\
                 p50 {p50_us:.0} us   p99 {p99_us:.0} us   longest {max_us:.0} us\n\
                 {cpu_us:.1} us of CPU time for each call, in this process"
            ));
        }
        Ok(Exit::Result)
    }

    async fn measure(&self, endpoint: &Endpoint) -> Result<Measured, Box<Ending>> {
        let positional = if self.arguments.is_empty() {
            vec![Json::encode(&"x".repeat(self.size as usize)).map_err(|e| Ending::usage(e.to_string()))?]
        } else {
            self.arguments.iter().map(|Value(json)| json.clone()).collect()
        };
        let positional = Arc::new(positional);
        let class = endpoint.peer(self.address.as_str()).class(self.method.class.as_str());
        let failed = |error: &CallError<Exception>| self.connection.advise(Ending::of_call(&self.method.to_string(), error));
        // A first call that is not measured: the link is up, and a mistake is told at once.
        let first = class.call::<Json>(self.method.method.as_str(), &*positional);
        let _ = first.timeout(self.timeout).await.map_err(|error| failed(&error))?;

        let (began, cpu) = (Instant::now(), process_cpu());
        let end = began + Duration::from_secs(self.seconds);
        let mut callers = JoinSet::new();
        for _ in 0..self.in_flight {
            let (class, positional, timeout) = (class.clone(), Arc::clone(&positional), self.timeout);
            let (method, times) = (self.method.method.clone(), times()?);
            callers.spawn(async move {
                let mut times = times;
                while Instant::now() < end {
                    let called = Instant::now();
                    let call = class.call::<Json>(method.as_str(), &*positional).timeout(timeout);
                    let _ = call.await?;
                    times.saturating_record(u64::try_from(called.elapsed().as_nanos()).unwrap_or(u64::MAX));
                }
                Ok::<_, CallError<Exception>>(times)
            });
        }
        let mut all = times()?;
        while let Some(ended) = callers.join_next().await {
            let times = ended.map_err(|e| Ending::transport("a caller broke off", &e))?.map_err(|error| failed(&error))?;
            all.add(&times).map_err(|e| Ending::usage(e.to_string()))?;
        }
        let (took, used) = (began.elapsed(), process_cpu().saturating_sub(cpu));
        let calls = all.len().max(1);
        let micros = |nanos: u64| nanos as f64 / 1e3;
        Ok(Measured {
            calls: all.len(),
            in_flight: self.in_flight,
            seconds: took.as_secs_f64(),
            calls_per_second: all.len() as f64 / took.as_secs_f64(),
            p50_us: micros(all.value_at_quantile(0.5)),
            p99_us: micros(all.value_at_quantile(0.99)),
            max_us: micros(all.max()),
            cpu_us: used.as_secs_f64() * 1e6 / calls as f64,
        })
    }
}

/// From a microsecond to an hour, in nanoseconds, with two digits: what does not fit counts as the nearest that does.
fn times() -> Result<Histogram<u64>, Box<Ending>> {
    Histogram::new_with_bounds(1_000, 3_600_000_000_000, 2).map_err(|e| Ending::usage(e.to_string()))
}

/// The CPU time of this process.
fn process_cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(used.tv_sec).unwrap_or_default(), u32::try_from(used.tv_nsec).unwrap_or_default())
}

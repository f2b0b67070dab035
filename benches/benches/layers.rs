//! What layers cost a call, in proportion to the same agent without any.

use std::{
    process::ExitCode,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use rmi_benches::{
    Error,
    load::{self, Load, Sample},
    options::{self, Options},
    process,
    rmi::{Pair, Sealing, Spawned},
    spread::{Spread, grouped, or_dash},
};
use rmi_core::{
    Memory,
    endpoint::Builder,
    layer::{Authorize, Layer, Metrics, Policy, Rate, RateLimit, async_trait},
};
use tokio::runtime::Runtime;

/// How many rules the policy has.
const RULES: usize = 100;

/// Does nothing.
struct Empty;

#[async_trait]
impl Layer for Empty {}

/// Keeps numbers in atomics, and no histogram.
struct Atomics;

struct Nowhere;

impl HistogramFn for Nowhere {
    fn record(&self, _: f64) {}
}

impl Recorder for Atomics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(AtomicU64::new(0)))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(AtomicU64::new(0)))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Nowhere))
    }
}

/// The layers of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    None,
    Empty,
    Authorize,
    Rate,
    Metrics,
    All,
}

impl Case {
    const ALL: [Case; 6] = [Case::None, Case::Empty, Case::Authorize, Case::Rate, Case::Metrics, Case::All];

    fn name(self) -> &'static str {
        match self {
            Case::None => "none",
            Case::Empty => "empty",
            Case::Authorize => "authorize",
            Case::Rate => "rate",
            Case::Metrics => "metrics",
            Case::All => "all",
        }
    }

    fn build(self, builder: Builder, policy: &Policy) -> Builder {
        let authorize = || Authorize::new(policy.clone());
        match self {
            Case::None => builder,
            Case::Empty => builder.layer(Empty),
            Case::Authorize => builder.layer(authorize()),
            Case::Rate => builder.layer(rate()),
            Case::Metrics => builder.layer(Metrics::new()),
            Case::All => builder.layer(Metrics::new()).layer(authorize()).layer(rate()),
        }
    }
}

/// Rates that no bench reaches.
fn rate() -> RateLimit {
    let plenty = Rate::per_second(100_000_000);
    RateLimit::overall(plenty).each(plenty)
}

/// All rules are about the caller, and the last one lets it in.
fn policy() -> Result<Policy, Error> {
    let mut text = String::new();
    for rule in 1..RULES {
        text += &format!("[[allow]]\nwho = [\"anonymous\"]\ncall = [\"class{rule}.method\"]\n");
    }
    text += "[[allow]]\nwho = [\"anonymous\"]\ncall = [\"*\"]\n";
    Ok(Policy::parse(&text)?)
}

fn main() -> ExitCode {
    options::run(bench)
}

fn bench(options: &Options) -> Result<(), Error> {
    metrics::set_global_recorder(Atomics).map_err(|_| "there is a recorder already")?;
    let Options { rounds, window, .. } = options;
    println!("layers: {options}, 16 in flight, 32 bytes; {}", process::machine());
    let (runtime, policy) = (Runtime::new()?, policy()?);
    let mut measured = Vec::new();
    for case in Case::ALL {
        // Ratios need the agent without layers.
        if case == Case::None || options.wants(case.name()) {
            let bus = Memory::new();
            let build = |builder| case.build(builder, &policy);
            let pair = runtime.block_on(Pair::with(bus.clone(), bus, Sealing::Unsigned, build, |builder| builder))?;
            measured.push((case, pair, Vec::new()));
        }
    }
    for _ in 0..*rounds {
        for (_, pair, samples) in &mut measured {
            samples.push(load::put(&runtime, &Spawned(pair.client.clone()), load_of(*window))?);
        }
    }
    println!("\n{:>10} {:>12} {:>24} {:>24}", "case", "calls/s", "CPU µs a call", "CPU to none");
    let without: Vec<Sample> = measured.first().map(|(_, _, samples)| samples.clone()).unwrap_or_default();
    for (case, pair, samples) in measured {
        let throughput = Spread::of(samples.iter().map(|sample| sample.throughput));
        let cpu = or_dash(Spread::of(samples.iter().map(|sample| sample.cpu)));
        let ratio = or_dash(Spread::of(samples.iter().zip(&without).map(|(with, without)| with.cpu / without.cpu)));
        let throughput = throughput.map_or_else(|| "-".to_owned(), |spread| grouped(spread.median));
        println!("{:>10} {throughput:>12} {cpu:>24} {ratio:>24}", case.name());
        runtime.block_on(pair.stop())?;
    }
    Ok(())
}

fn load_of(window: Duration) -> Load {
    Load { in_flight: 16, payload: 32, window }
}

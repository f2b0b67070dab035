//! A great many calls: memory is flat once the duplicate window is full, and nothing is left waiting.

use std::{process::ExitCode, time::Instant};

use rmi_benches::{
    Error,
    options::{self, Options},
    process,
    rmi::{Pair, Sealing},
};
use rmi_core::endpoint::WindowSize;
use tokio::runtime::Runtime;

/// How often the memory is looked at.
const STEPS: u64 = 10;
/// How many calls are under way at a time.
const IN_FLIGHT: u64 = 64;
/// How much the memory may grow in the last half, as a factor.
const GROWTH: f64 = 1.05;

fn main() -> ExitCode {
    options::run(bench)
}

fn bench(options: &Options) -> Result<(), Error> {
    let calls = options.calls;
    println!("soak: {calls} calls, {IN_FLIGHT} in flight, 32 bytes, unsigned; {}", process::machine());
    let runtime = Runtime::new()?;
    let pair = runtime.block_on(Pair::start(Sealing::Unsigned))?;
    println!("\n{:>10} {:>10} {:>10} {:>12}", "calls", "RSS MiB", "calls/s", "remembered");
    let mut series = vec![(0, process::resident()?)];
    print(0, series[0].1, None, &pair);
    for step in 1..=STEPS {
        let (from, to) = (calls * (step - 1) / STEPS, calls * step / STEPS);
        let begun = Instant::now();
        run(&runtime, &pair, to - from)?;
        let speed = (to - from) as f64 / begun.elapsed().as_secs_f64();
        let resident = process::resident()?;
        series.push((to, resident));
        print(to, resident, Some(speed), &pair);
    }
    println!();
    for figures in pair.figures() {
        println!("{figures:?}");
    }
    let left: u64 = pair.figures().iter().map(|figures| figures.calls_waiting).sum();
    let running = pair.agent.running();
    runtime.block_on(pair.stop())?;
    if left > 0 || running > 0 {
        return Err(format!("{left} calls still wait, and {running} handlers run").into());
    }
    judge(calls, &series)
}

/// So many calls, by all callers together.
fn run(runtime: &Runtime, pair: &Pair, calls: u64) -> Result<(), Error> {
    let callers: Vec<_> = (0..IN_FLIGHT)
        .map(|caller| {
            let (client, share) = (pair.client.clone(), calls / IN_FLIGHT + u64::from(caller < calls % IN_FLIGHT));
            runtime.spawn(async move {
                for _ in 0..share {
                    client.spawned(rmi_benches::text(32)).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .collect();
    callers.into_iter().try_for_each(|caller| runtime.block_on(caller)?)
}

fn print(calls: u64, resident: u64, speed: Option<f64>, pair: &Pair) {
    let remembered: u64 = pair.figures().iter().map(|figures| figures.remembered).sum();
    let speed = speed.map_or_else(String::new, |speed| format!("{speed:.0}"));
    println!("{calls:>10} {:>10.1} {speed:>10} {remembered:>12}", resident as f64 / f64::from(1 << 20));
}

/// The memory at the half, or when the window has been filled twice, is what the rest is compared with.
fn judge(calls: u64, series: &[(u64, u64)]) -> Result<(), Error> {
    let from = (calls / 2).max(2 * WindowSize::default().requests as u64);
    let mut rest = series.iter().filter(|(calls, _)| *calls >= from).map(|(_, resident)| *resident);
    let Some(first) = rest.next() else {
        println!("too few calls to fill the window: the memory is not judged");
        return Ok(());
    };
    let growth = rest.max().map_or(1.0, |most| most as f64 / first as f64);
    println!("memory of the last half, at most, to that at its start: {growth:.3} (at most {GROWTH} is allowed)");
    if growth > GROWTH { Err("the memory grows".into()) } else { Ok(()) }
}

//! How often memory is asked for, and how much of it, in one call: client, agent and bus together.

use std::{alloc::System, hint::black_box, process::ExitCode};

use rmi_benches::{
    Error, PAYLOADS,
    load::Echo,
    options::{self, Options},
    peers::{Bare, Tarpc},
    rmi::{Inline, Pair, Sealing, Spawned},
    tap,
};
use rmi_core::{Memory, Native, endpoint::WindowSize, protocol::Protocol};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};
use tokio::runtime::{self, Runtime};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How many requests the agents remember. Fewer than by default, so that the window is soon full and what it takes to grow is not
/// counted.
const WINDOW: usize = 1024;
/// How often it is done before it is counted.
const WARM_UP: usize = 2 * WINDOW;
/// How often it is counted.
const COUNTED: usize = 2000;

fn main() -> ExitCode {
    options::run(bench)
}

fn bench(options: &Options) -> Result<(), Error> {
    println!("allocations: mean of {COUNTED}, in one thread");
    println!("\n{:<28} {:>12} {:>14} {:>12}", "what", "allocations", "reallocations", "bytes");
    // One thread: what is counted is what the call did, and nobody else.
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    for payload in PAYLOADS {
        calls(&runtime, options, payload)?;
    }
    for payload in PAYLOADS {
        envelopes(&runtime, options, payload)?;
    }
    Ok(())
}

fn calls(runtime: &Runtime, options: &Options, payload: usize) -> Result<(), Error> {
    let (bare, tarpc) = runtime.block_on(async { (Bare::start(), Tarpc::start()) });
    let pair = |sealing| {
        let bus = Memory::new();
        runtime.block_on(Pair::on(bus.clone(), bus, sealing, Some(WindowSize::default().requests(WINDOW))))
    };
    let (unsigned, signed) = (pair(Sealing::Unsigned)?, pair(Sealing::Signed)?);
    call(runtime, options, &format!("bare, {payload} B"), payload, &bare)?;
    call(runtime, options, &format!("tarpc, {payload} B"), payload, &tarpc)?;
    call(runtime, options, &format!("spawned, {payload} B"), payload, &Spawned(unsigned.client.clone()))?;
    call(runtime, options, &format!("inline, {payload} B"), payload, &Inline(unsigned.client.clone()))?;
    call(runtime, options, &format!("signed, {payload} B"), payload, &Spawned(signed.client.clone()))?;
    runtime.block_on(async {
        unsigned.stop().await?;
        signed.stop().await
    })
}

fn call(runtime: &Runtime, options: &Options, name: &str, payload: usize, callee: &impl Echo) -> Result<(), Error> {
    let text = rmi_benches::text(payload);
    let calls = async |times| {
        for _ in 0..times {
            callee.echo(text.clone()).await?;
        }
        Ok::<_, Error>(())
    };
    if options.wants(name) {
        runtime.block_on(calls(WARM_UP))?;
        let region = Region::new(ALLOCATOR);
        runtime.block_on(calls(COUNTED))?;
        print(name, region.change());
    }
    Ok(())
}

fn envelopes(runtime: &Runtime, options: &Options, payload: usize) -> Result<(), Error> {
    let native = Native::default();
    for (kind, captured) in ["request", "outcome"].into_iter().zip(runtime.block_on(tap::call(payload))?) {
        let delivery = tap::delivery(&captured.text);
        count(options, &format!("encode {kind}, {payload} B"), || native.encode(black_box(&captured.message)));
        count(options, &format!("decode {kind}, {payload} B"), || native.decode(black_box(&delivery)));
    }
    Ok(())
}

fn count<T>(options: &Options, name: &str, once: impl Fn() -> T) {
    if options.wants(name) {
        drop(black_box(once()));
        let region = Region::new(ALLOCATOR);
        (0..COUNTED).for_each(|_| drop(black_box(once())));
        print(name, region.change());
    }
}

fn print(name: &str, counted: Stats) {
    let mean = |counted: usize| counted as f64 / COUNTED as f64;
    println!(
        "{name:<28} {:>12.2} {:>14.2} {:>12.0}",
        mean(counted.allocations),
        mean(counted.reallocations),
        mean(counted.bytes_allocated)
    );
}

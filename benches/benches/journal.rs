//! What a durable journal costs: its steps, and whole calls, beside how often the same disk syncs; and what no journal costs.

use std::{
    fs::{File, create_dir_all, remove_dir_all},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rmi_benches::{
    Error,
    load::{self, Load, Sample},
    options::{self, Options},
    process,
    rmi::{Inline, Pair, Sealing, Spawned},
    spread::{Spread, grouped, or_dash},
};
use rmi_core::{
    Json, Memory, Principal,
    endpoint::Builder,
    journal::{self, Accepted, Durable, Entry, Journal, Received, RequestId, Step},
    message::{Outcome, ReplyPath, Sn},
    time::Timestamp,
    transport::{LinkId, Properties, Purpose, SharedProperties},
};
use tokio::runtime::Runtime;

/// How many write, or call, at a time.
const AT_A_TIME: [usize; 3] = [1, 64, 256];
/// How many requests are remembered, as at an unsealed binding: what goes beyond leaves the journal.
const WINDOW: u64 = 4_000;
/// What a request carries.
const PAYLOAD: usize = 512;

fn main() -> ExitCode {
    options::run(bench)
}

fn bench(options: &Options) -> Result<(), Error> {
    // On the disk that the build is on: what is in `/tmp` may be in memory.
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("journal-bench");
    let _ = remove_dir_all(&place);
    create_dir_all(&place)?;
    let runtime = Runtime::new()?;
    println!("journal: {options}; {}", process::machine());
    if options.wants("steps") {
        steps(options, &runtime, &place)?;
    }
    if options.wants("calls") {
        calls(options, &runtime, &place)?;
    }
    if options.wants("memory") {
        memory(options, &runtime)?;
    }
    remove_dir_all(&place)?;
    Ok(())
}

/// How often in a second the disk brings a page to its medium, one after the other.
fn syncs(place: &Path, window: Duration) -> Result<f64, Error> {
    let (file, page) = (File::create(place.join("page"))?, [0x5A; 4096]);
    file.set_len(1 << 20)?;
    file.sync_all()?;
    let (began, mut count) = (Instant::now(), 0_u32);
    while began.elapsed() < window {
        file.write_all_at(&page, u64::from(count % 256) * 4096)?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

fn accepted(id: u64) -> Step {
    let entry = Entry {
        binding: "0 native parrot".into(),
        principal: Principal::Anonymous,
        sn: Sn::new(format!("5f0c8c5e-0000-4000-8000-{id:012}")),
        link: None,
        by_text: false,
        digest: id,
        sent: Some(Timestamp::from_millis(0)),
    };
    let received = Received {
        payload: vec![b'x'; PAYLOAD].into(),
        exchange: "".into(),
        key: "parrot".into(),
        purpose: Purpose::Requests,
        properties: SharedProperties::from(Properties::default()),
        link: LinkId(1),
        peer: None,
    };
    let reply = Some(ReplyPath { to: "keeper".into(), token: None });
    Step::Accepted {
        id: RequestId(id),
        request: Box::new(Accepted { entry, reply, received, at: Timestamp::from_millis(0), expires: None }),
    }
}

/// One request after the other, as an agent records it: accepted and started, ended, confirmed, and one that leaves the window.
async fn recorder(journal: Arc<Durable>, next: Arc<AtomicU64>, until: Instant) -> Result<u64, Error> {
    let mut count = 0;
    while Instant::now() < until {
        let id = next.fetch_add(1, Ordering::Relaxed);
        journal.record(vec![accepted(id), Step::Started { id: RequestId(id), attempt: 1 }]).await?;
        journal.record(vec![Step::Concluded { id: RequestId(id), outcome: Outcome::Result(Json::parse("\"woof\"")?) }]).await?;
        let mut notes = vec![Step::Confirmed { id: RequestId(id) }];
        notes.extend(id.checked_sub(WINDOW).map(|id| Step::Forgotten { id: RequestId(id) }));
        journal.note(notes);
        count += 1;
    }
    Ok(count)
}

fn steps(options: &Options, runtime: &Runtime, place: &Path) -> Result<(), Error> {
    println!("\nsteps: accepted and started, then concluded, {PAYLOAD} bytes");
    println!(
        "{:>10} {:>12} {:>12} {:>12} {:>24} {:>24} {:>12}",
        "at a time", "requests/s", "commits/s", "syncs/s", "commits to syncs", "requests to syncs", "file, KiB"
    );
    for at_a_time in AT_A_TIME {
        let journal = Arc::new(Durable::open(place.join(format!("steps-{at_a_time}")))?);
        let next = Arc::new(AtomicU64::new(1));
        let mut rounds = Vec::new();
        for _ in 0..options.rounds {
            let disk = syncs(place, options.window)?;
            let (began, before) = (Instant::now(), journal.figures().commits);
            let until = began + options.window;
            let recorders: Vec<_> =
                (0..at_a_time).map(|_| runtime.spawn(recorder(Arc::clone(&journal), Arc::clone(&next), until))).collect();
            let mut requests = 0;
            for recorder in recorders {
                requests += runtime.block_on(recorder)??;
            }
            let seconds = began.elapsed().as_secs_f64();
            rounds.push((requests as f64 / seconds, (journal.figures().commits - before) as f64 / seconds, disk));
        }
        let median = |figure: fn(&(f64, f64, f64)) -> f64| {
            Spread::of(rounds.iter().map(figure)).map_or_else(|| "-".to_owned(), |spread| grouped(spread.median))
        };
        println!(
            "{at_a_time:>10} {:>12} {:>12} {:>12} {:>24} {:>24} {:>12}",
            median(|round| round.0),
            median(|round| round.1),
            median(|round| round.2),
            or_dash(Spread::of(rounds.iter().map(|round| round.1 / round.2))),
            or_dash(Spread::of(rounds.iter().map(|round| round.0 / round.2))),
            journal.figures().bytes >> 10
        );
        runtime.block_on(journal.close())?;
    }
    Ok(())
}

fn calls(options: &Options, runtime: &Runtime, place: &Path) -> Result<(), Error> {
    println!("\ncalls: an agent with a durable journal, 32 bytes, in memory");
    println!(
        "{:>10} {:>12} {:>12} {:>24} {:>24} {:>12} {:>12}",
        "in flight", "calls/s", "syncs/s", "calls to syncs", "to no journal", "p50, µs", "p99, µs"
    );
    for in_flight in AT_A_TIME {
        let journal = Arc::new(Durable::open(place.join(format!("calls-{in_flight}")))?);
        let kept = Arc::clone(&journal);
        let bus = Memory::new();
        let agent = move |builder: Builder| builder.queue_of_its_own().journal(kept);
        let with = runtime.block_on(Pair::with(bus.clone(), bus, Sealing::Unsigned, agent, |builder| builder))?;
        let bus = Memory::new();
        let without = runtime.block_on(Pair::on(bus.clone(), bus, Sealing::Unsigned, None))?;
        let load = Load { in_flight, payload: 32, window: options.window };
        let mut rounds: Vec<(Sample, Sample, f64)> = Vec::new();
        for _ in 0..options.rounds {
            let disk = syncs(place, options.window)?;
            let durable = load::put(runtime, &Spawned(with.client.clone()), load)?;
            rounds.push((durable, load::put(runtime, &Spawned(without.client.clone()), load)?, disk));
        }
        let median = |figure: fn(&(Sample, Sample, f64)) -> f64| {
            Spread::of(rounds.iter().map(figure)).map_or_else(|| "-".to_owned(), |spread| grouped(spread.median))
        };
        println!(
            "{in_flight:>10} {:>12} {:>12} {:>24} {:>24} {:>12} {:>12}",
            median(|round| round.0.throughput),
            median(|round| round.2),
            or_dash(Spread::of(rounds.iter().map(|round| round.0.throughput / round.2))),
            or_dash(Spread::of(rounds.iter().map(|round| round.0.throughput / round.1.throughput))),
            median(|round| round.0.p50),
            median(|round| round.0.p99)
        );
        runtime.block_on(with.stop())?;
        runtime.block_on(without.stop())?;
    }
    Ok(())
}

/// An agent that was given the journal that keeps nothing, beside one that was given none.
fn memory(options: &Options, runtime: &Runtime) -> Result<(), Error> {
    println!("\nmemory: an agent with the journal in memory, 16 in flight, 32 bytes");
    println!("{:>10} {:>24} {:>24}", "method", "CPU µs a call", "CPU to none");
    let load = Load { in_flight: 16, payload: 32, window: options.window };
    let start = |given: bool| {
        let bus = Memory::new();
        let agent = move |builder: Builder| {
            if given { builder.queue_of_its_own().journal(journal::Memory) } else { builder }
        };
        runtime.block_on(Pair::with(bus.clone(), bus, Sealing::Unsigned, agent, |builder| builder))
    };
    let (none, given) = (start(false)?, start(true)?);
    for method in ["spawned", "inline"] {
        let put = |pair: &Pair| match method {
            "inline" => load::put(runtime, &Inline(pair.client.clone()), load),
            _ => load::put(runtime, &Spawned(pair.client.clone()), load),
        };
        let mut rounds = Vec::new();
        for _ in 0..options.rounds {
            rounds.push((put(&none)?.cpu, put(&given)?.cpu));
        }
        let cpu = or_dash(Spread::of(rounds.iter().map(|round| round.1)));
        let ratio = or_dash(Spread::of(rounds.iter().map(|round| round.1 / round.0)));
        println!("{method:>10} {cpu:>24} {ratio:>24}");
    }
    runtime.block_on(none.stop())?;
    runtime.block_on(given.stop())
}

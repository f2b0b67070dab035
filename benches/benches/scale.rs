//! What size costs: a contract with a thousand methods beside one with a single method, and calls beside ten thousand that wait.

use std::{process::ExitCode, time::Duration};

use rmi_benches::{
    Error,
    load::{self, Echo, Load, Sample},
    options::{self, Options},
    process,
    rmi::AGENT,
    spread::{Spread, grouped, or_dash},
};
use rmi_core::{
    Endpoint, Json, Memory, Native, Trust,
    call::Pending,
    contract::{Contract, Method, Param, Version},
    endpoint::{PeerClass, Replies},
    message::{Exception, Outcome},
    service::{BoxFuture, Invocation, Service},
    transport::memory::Options as BusOptions,
};
use tokio::runtime::Runtime;

/// How many methods the large contract has.
const METHODS: usize = 1000;
/// How many calls wait.
const WAITING: usize = 10_000;
/// An address where nobody answers.
const SILENT: &str = "silent";
/// Longer than the bench.
const LONG: Duration = Duration::from_secs(3600);

/// A service of any number of methods, each of which returns its argument.
struct Many(&'static Contract);

impl Many {
    /// A contract for as long as the process lives, as those are that `#[remote]` writes.
    fn new(methods: usize) -> Self {
        let name = |index: usize| -> &'static str { format!("method{index}").leak() };
        let params: &'static [Param] = vec![Param::new("text", "String")].leak();
        let methods: &'static [Method] = (0..methods).map(|index| Method::new(name(index), params)).collect::<Vec<_>>().leak();
        Many(Box::leak(Box::new(Contract::new("many", Version { major: 1, minor: 0 }, methods))))
    }
}

impl Service for Many {
    fn contract(&self) -> &'static Contract {
        self.0
    }

    fn dispatch(&self, call: Invocation) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            let text = call.arguments().and_then(|mut args| args.required::<Json>("text"));
            text.map_or_else(Outcome::Rejected, Outcome::Result)
        })
    }
}

/// An agent, a caller, and what waits beside them.
struct Case {
    name: String,
    agent: Endpoint,
    caller: Endpoint,
    last: Last,
    /// Kept, so that the address is there and the calls wait.
    waiting: Option<(Replies, Vec<Pending<Json, Exception>>)>,
    rounds: Vec<Sample>,
}

/// Calls the method that was declared last.
#[derive(Clone)]
struct Last {
    class: PeerClass,
    method: String,
}

impl Echo for Last {
    async fn echo(&self, text: String) -> Result<String, Error> {
        Ok(self.class.call(self.method.clone(), [text]).await?)
    }
}

fn main() -> ExitCode {
    options::run(bench)
}

fn bench(options: &Options) -> Result<(), Error> {
    let Options { rounds, window, .. } = options;
    println!("scale: {options}, 16 in flight, 32 bytes; {}", process::machine());
    let runtime = Runtime::new()?;
    // The first case is what the others are compared with.
    let mut cases = vec![runtime.block_on(Case::open("one method".to_owned(), 1, 0))?];
    for (name, methods, waiting) in [(format!("{METHODS} methods"), METHODS, 0), (format!("{WAITING} waiting"), 1, WAITING)] {
        if options.wants(&name) {
            let before = process::resident()?;
            cases.push(runtime.block_on(Case::open(name, methods, waiting))?);
            if waiting > 0 {
                let each = process::resident()?.saturating_sub(before) / waiting as u64;
                println!("a call that waits takes {each} bytes of memory, its request on the bus among them");
            }
        }
    }
    for _ in 0..*rounds {
        for case in &mut cases {
            let sample = load::put(&runtime, &case.last, Load { in_flight: 16, payload: 32, window: *window })?;
            case.rounds.push(sample);
        }
    }
    println!("\n{:>16} {:>12} {:>24} {:>24}", "case", "calls/s", "CPU µs a call", "CPU to one method");
    let least: Vec<Sample> = cases.first().map(|case| case.rounds.clone()).unwrap_or_default();
    for case in cases {
        let throughput = Spread::of(case.rounds.iter().map(|sample| sample.throughput));
        let throughput = throughput.map_or_else(|| "-".to_owned(), |spread| grouped(spread.median));
        let cpu = or_dash(Spread::of(case.rounds.iter().map(|sample| sample.cpu)));
        let ratio = or_dash(Spread::of(case.rounds.iter().zip(&least).map(|(with, least)| with.cpu / least.cpu)));
        println!("{:>16} {throughput:>12} {cpu:>24} {ratio:>24}", case.name);
        runtime.block_on(case.close())?;
    }
    Ok(())
}

impl Case {
    async fn open(name: String, methods: usize, waiting: usize) -> Result<Self, Error> {
        let bus = Memory::with(BusOptions::default().mailbox_frames(2 * WAITING));
        let bind = |name| Endpoint::builder(name).bind(Native::default(), bus.clone(), Trust::insecure());
        let agent = bind(AGENT).serve(Many::new(methods)).start().await?;
        let caller = bind("keeper").start().await?;
        let last = Last { class: caller.peer(AGENT).class("many"), method: format!("method{}", methods - 1) };
        let mut case = Case { name, agent, caller, last, waiting: None, rounds: Vec::new() };
        if waiting > 0 {
            let silent = case.agent.replies(SILENT).await?;
            let class = case.caller.peer(SILENT).class("many");
            let mut calls = Vec::with_capacity(waiting);
            for _ in 0..waiting {
                calls.push(class.call("method0", [rmi_benches::text(32)]).timeout(LONG).send().await?);
            }
            case.waiting = Some((silent, calls));
        }
        Ok(case)
    }

    async fn close(self) -> Result<(), Error> {
        const GRACE: Duration = Duration::from_secs(5);
        let waiting: u64 = self.caller.figures().iter().map(|figures| figures.calls_waiting).sum();
        let expected = self.waiting.as_ref().map_or(0, |(_, calls)| calls.len() as u64);
        if waiting != expected {
            return Err(format!("{waiting} calls wait, and {expected} were to").into());
        }
        let _ = self.caller.shutdown(GRACE).await?;
        let _ = self.agent.shutdown(GRACE).await?;
        Ok(())
    }
}

//! Full calls over the in-memory bus, beside a bare channel and beside tarpc.
//!
//! A case is named `case/in flight/payload`: `spawned/64/32`.

mod goals;
mod report;

use std::process::ExitCode;

use rmi_benches::{
    Error, PAYLOADS,
    curve::{Curve, Price},
    load::{self, Load, Sample},
    options::{self, Options},
    peers::{Bare, Tarpc},
    process,
    rmi::{Inline, Pair, Sealing, Spawned},
    tap,
};
use tokio::runtime::Runtime;
use tracing::subscriber::NoSubscriber;

/// How many calls are under way at a time.
const IN_FLIGHT: [usize; 4] = [1, 16, 64, 256];

/// What is measured, in the order in which it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Bare,
    Tarpc,
    Spawned,
    Inline,
    Signed,
}

impl Case {
    const ALL: [Case; 5] = [Case::Bare, Case::Tarpc, Case::Spawned, Case::Inline, Case::Signed];

    fn name(self) -> &'static str {
        match self {
            Case::Bare => "bare",
            Case::Tarpc => "tarpc",
            Case::Spawned => "spawned",
            Case::Inline => "inline",
            Case::Signed => "signed",
        }
    }
}

/// What was measured at one number of calls in flight with one payload.
#[derive(Debug)]
struct Group {
    in_flight: usize,
    payload: usize,
    curve: Curve,
    rounds: Vec<Round>,
}

/// One round of a group.
#[derive(Debug, Default)]
struct Round {
    samples: [Option<Sample>; Case::ALL.len()],
    /// What the curve costs, measured beside the signed calls.
    price: Option<Price>,
}

impl Round {
    fn sample(&self, case: Case) -> Option<Sample> {
        self.samples[case as usize]
    }

    /// A figure of one case in proportion to that of another.
    fn ratio(&self, case: Case, to: Case, figure: fn(&Sample) -> f64) -> Option<f64> {
        Some(figure(&self.sample(case)?) / figure(&self.sample(to)?))
    }

    /// The throughput of signed calls in proportion to what the curve leaves possible, if nothing but a bare channel were needed
    /// besides.
    fn of_ceiling(&self) -> Option<f64> {
        Some(self.sample(Case::Signed)?.throughput / self.price?.ceiling(self.sample(Case::Bare)?.cpu))
    }

    /// The same in CPU time, whatever else the machine did: the curve and a bare channel in proportion to what a signed call took.
    fn of_ceiling_in_cpu(&self) -> Option<f64> {
        Some(self.price?.cpu(self.sample(Case::Bare)?.cpu) / self.sample(Case::Signed)?.cpu)
    }
}

impl Group {
    fn label(&self, case: Case) -> String {
        format!("{}/{}/{}", case.name(), self.in_flight, self.payload)
    }

    /// A figure of every round that has it.
    fn over_rounds(&self, figure: impl Fn(&Round) -> Option<f64>) -> Vec<f64> {
        self.rounds.iter().filter_map(figure).collect()
    }
}

/// All that can be called.
struct Callees {
    bare: Bare,
    tarpc: Tarpc,
    unsigned: Pair,
    signed: Pair,
}

impl Callees {
    fn put(&self, runtime: &Runtime, case: Case, load: Load) -> Result<Sample, Error> {
        match case {
            Case::Bare => load::put(runtime, &self.bare, load),
            Case::Tarpc => load::put(runtime, &self.tarpc, load),
            Case::Spawned => load::put(runtime, &Spawned(self.unsigned.client.clone()), load),
            Case::Inline => load::put(runtime, &Inline(self.unsigned.client.clone()), load),
            Case::Signed => load::put(runtime, &Spawned(self.signed.client.clone()), load),
        }
    }
}

fn main() -> ExitCode {
    options::run(bench)
}

fn bench(options: &Options) -> Result<(), Error> {
    // tarpc switches on that spans go to the `log` crate until there is a subscriber. This one wants nothing, and lets a span cost
    // what it costs in a program that has neither.
    tracing::subscriber::set_global_default(NoSubscriber::default())?;
    let Options { rounds, window, .. } = options;
    println!("calls: {rounds} rounds of {} ms; {}", window.as_millis(), process::machine());
    let runtime = Runtime::new()?;
    let mut groups = groups(&runtime, options)?;
    let callees = runtime.block_on(async {
        let (unsigned, signed) = (Pair::start(Sealing::Unsigned).await?, Pair::start(Sealing::Signed).await?);
        Ok::<_, Error>(Callees { bare: Bare::start(), tarpc: Tarpc::start(), unsigned, signed })
    })?;
    for _ in 0..options.rounds {
        for group in &mut groups {
            let round = round(&runtime, &callees, group, options)?;
            group.rounds.push(round);
        }
    }
    groups.iter().for_each(report::print);
    goals::print(&groups);
    runtime.block_on(async {
        callees.unsigned.stop().await?;
        callees.signed.stop().await
    })
}

fn groups(runtime: &Runtime, options: &Options) -> Result<Vec<Group>, Error> {
    let mut groups = Vec::new();
    for payload in PAYLOADS {
        let call = runtime.block_on(tap::call(payload))?;
        let [request, outcome] = &call;
        println!(
            "a call with {payload} bytes each way: request {} bytes, {} signed; outcome {} bytes, {} signed",
            request.text.len(),
            request.sealed.len(),
            outcome.text.len(),
            outcome.sealed.len()
        );
        let curve = Curve::new(call.iter().map(|message| message.text.as_bytes()))?;
        for in_flight in IN_FLIGHT {
            let group = Group { in_flight, payload, curve: curve.clone(), rounds: Vec::new() };
            if Case::ALL.iter().any(|case| options.wants(&group.label(*case))) {
                groups.push(group);
            }
        }
    }
    Ok(groups)
}

/// Every case once.
fn round(runtime: &Runtime, callees: &Callees, group: &Group, options: &Options) -> Result<Round, Error> {
    let mut round = Round::default();
    let load = Load { in_flight: group.in_flight, payload: group.payload, window: options.window };
    for case in Case::ALL {
        if !options.wants(&group.label(case)) {
            continue;
        }
        // The curve is measured on both sides of the signed calls: what others do with the machine changes from moment to moment.
        let price = || group.curve.measure(options.window / 4);
        let before = (case == Case::Signed).then(price).transpose()?;
        round.samples[case as usize] = Some(callees.put(runtime, case, load)?);
        if let Some(before) = before {
            round.price = Some(before.mean(price()?));
        }
    }
    Ok(round)
}

//! Full calls over TCP, client and server in one process, beside other frameworks and a bare line echo.
//!
//! A case is named `case/in flight/payload`: `inline/64/32`.

mod goals;
mod report;

use std::process::ExitCode;

use rmi_benches::{
    Error, PAYLOADS,
    curve::{Curve, Price},
    load::{self, Load, Sample},
    options::{self, Options},
    peers::{Codec, JsonRpsee, Lines, Tarpc, Tonic},
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
    Lines,
    TarpcJson,
    TarpcBincode,
    JsonRpsee,
    Tonic,
    Inline,
    Spawned,
    InlineSigned,
    Signed,
}

impl Case {
    const ALL: [Case; 9] = [
        Case::Lines,
        Case::TarpcJson,
        Case::TarpcBincode,
        Case::JsonRpsee,
        Case::Tonic,
        Case::Inline,
        Case::Spawned,
        Case::InlineSigned,
        Case::Signed,
    ];

    fn name(self) -> &'static str {
        match self {
            Case::Lines => "lines",
            Case::TarpcJson => "tarpc-json",
            Case::TarpcBincode => "tarpc-bincode",
            Case::JsonRpsee => "jsonrpsee",
            Case::Tonic => "tonic",
            Case::Inline => "inline",
            Case::Spawned => "spawned",
            Case::InlineSigned => "inline-signed",
            Case::Signed => "signed",
        }
    }

    fn is_signed(self) -> bool {
        matches!(self, Case::InlineSigned | Case::Signed)
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

    /// The throughput of signed calls in proportion to what the curve leaves possible, if nothing but a bare line echo were needed
    /// besides.
    fn of_ceiling(&self, case: Case) -> Option<f64> {
        Some(self.sample(case)?.throughput / self.price?.ceiling(self.sample(Case::Lines)?.cpu))
    }

    /// The same in CPU time, whatever else the machine did.
    fn of_ceiling_in_cpu(&self, case: Case) -> Option<f64> {
        Some(self.price?.cpu(self.sample(Case::Lines)?.cpu) / self.sample(case)?.cpu)
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
    lines: Lines,
    tarpc_json: Tarpc,
    tarpc_bincode: Tarpc,
    jsonrpsee: JsonRpsee,
    tonic: Tonic,
    unsigned: Pair,
    signed: Pair,
}

impl Callees {
    async fn start() -> Result<Self, Error> {
        Ok(Callees {
            lines: Lines::start().await?,
            tarpc_json: Tarpc::start_tcp(Codec::Json).await?,
            tarpc_bincode: Tarpc::start_tcp(Codec::Bincode).await?,
            jsonrpsee: JsonRpsee::start().await?,
            tonic: Tonic::start().await?,
            unsigned: Pair::over_tcp(Sealing::Unsigned).await?,
            signed: Pair::over_tcp(Sealing::Signed).await?,
        })
    }

    fn put(&self, runtime: &Runtime, case: Case, load: Load) -> Result<Sample, Error> {
        match case {
            Case::Lines => load::put(runtime, &self.lines, load),
            Case::TarpcJson => load::put(runtime, &self.tarpc_json, load),
            Case::TarpcBincode => load::put(runtime, &self.tarpc_bincode, load),
            Case::JsonRpsee => load::put(runtime, &self.jsonrpsee, load),
            Case::Tonic => load::put(runtime, &self.tonic, load),
            Case::Inline => load::put(runtime, &Inline(self.unsigned.client.clone()), load),
            Case::Spawned => load::put(runtime, &Spawned(self.unsigned.client.clone()), load),
            Case::InlineSigned => load::put(runtime, &Inline(self.signed.client.clone()), load),
            Case::Signed => load::put(runtime, &Spawned(self.signed.client.clone()), load),
        }
    }

    async fn stop(self) -> Result<(), Error> {
        self.unsigned.stop().await?;
        self.signed.stop().await
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
    println!("tcp: {rounds} rounds of {} ms; {}", window.as_millis(), process::machine());
    let runtime = Runtime::new()?;
    let mut groups = groups(&runtime, options)?;
    let callees = runtime.block_on(Callees::start())?;
    for _ in 0..options.rounds {
        for group in &mut groups {
            let round = round(&runtime, &callees, group, options)?;
            group.rounds.push(round);
        }
    }
    groups.iter().for_each(report::print);
    goals::print(&groups);
    runtime.block_on(callees.stop())
}

fn groups(runtime: &Runtime, options: &Options) -> Result<Vec<Group>, Error> {
    let mut groups = Vec::new();
    for payload in PAYLOADS {
        // On every transport a call has the same texts.
        let call = runtime.block_on(tap::call(payload))?;
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
    let mut before = None;
    for case in Case::ALL {
        if !options.wants(&group.label(case)) {
            continue;
        }
        // The curve is measured on both sides of the signed calls: what others do with the machine changes from moment to moment.
        if case.is_signed() && before.is_none() {
            before = Some(group.curve.measure(options.window / 4)?);
        }
        round.samples[case as usize] = Some(callees.put(runtime, case, load)?);
    }
    if let Some(before) = before {
        round.price = Some(before.mean(group.curve.measure(options.window / 4)?));
    }
    Ok(round)
}

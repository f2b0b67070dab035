//! Full calls over the in-memory bus, beside a bare channel and beside tarpc.
//!
//! A case is named `case/in flight/payload`: `spawned/64/32`.

use std::process::ExitCode;

use rmi_benches::{
    Error,
    grid::{self, Column, Goal},
    load::{self, Load, Sample},
    options::{self, Options},
    peers::{Bare, Tarpc},
    process,
    rmi::{Inline, Pair, Sealing, Spawned},
};
use tokio::runtime::Runtime;

/// What is measured, in the order in which it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Bare,
    Tarpc,
    Spawned,
    Inline,
    Signed,
}

impl grid::Case for Case {
    const ALL: &[Case] = &[Case::Bare, Case::Tarpc, Case::Spawned, Case::Inline, Case::Signed];
    const FLOOR: Case = Case::Bare;

    fn name(self) -> &'static str {
        match self {
            Case::Bare => "bare",
            Case::Tarpc => "tarpc",
            Case::Spawned => "spawned",
            Case::Inline => "inline",
            Case::Signed => "signed",
        }
    }

    fn is_signed(self) -> bool {
        self == Case::Signed
    }
}

const COLUMNS: [Column<Case>; 3] = [
    Column { head: "calls/s to tarpc", to: Case::Tarpc, figure: |s| s.throughput },
    Column { head: "CPU to tarpc", to: Case::Tarpc, figure: |s| s.cpu },
    Column { head: "p50 to tarpc", to: Case::Tarpc, figure: |s| s.p50 },
];

const GOALS: [Goal<Case>; 6] = [
    Goal::throughput(Case::Spawned, Case::Tarpc, 1.2).at(&[16, 64]),
    Goal::throughput(Case::Inline, Case::Tarpc, 1.4).at(&[16, 64]),
    Goal::cpu(Case::Spawned, Case::Tarpc, 0.85).at(&[16, 64]),
    Goal::p50(Case::Spawned, Case::Tarpc, 0.8).at(&[1]),
    Goal::ceiling(Case::Signed, 0.9).at(&[16, 64, 256]),
    Goal::ceiling_in_cpu(Case::Signed, 0.9).at(&[16, 64, 256]),
];

/// All that can be called.
struct Callees {
    bare: Bare,
    tarpc: Tarpc,
    unsigned: Pair,
    signed: Pair,
}

impl grid::Callees for Callees {
    type Case = Case;

    fn put(&self, runtime: &Runtime, case: Case, load: Load) -> Result<Option<Sample>, Error> {
        let sample = match case {
            Case::Bare => load::put(runtime, &self.bare, load),
            Case::Tarpc => load::put(runtime, &self.tarpc, load),
            Case::Spawned => load::put(runtime, &Spawned(self.unsigned.client.clone()), load),
            Case::Inline => load::put(runtime, &Inline(self.unsigned.client.clone()), load),
            Case::Signed => load::put(runtime, &Spawned(self.signed.client.clone()), load),
        };
        sample.map(Some)
    }
}

fn main() -> ExitCode {
    options::run(bench)
}

fn bench(options: &Options) -> Result<(), Error> {
    println!("calls: {options}; {}", process::machine());
    let runtime = Runtime::new()?;
    let callees = runtime.block_on(async {
        let (unsigned, signed) = (Pair::start(Sealing::Unsigned).await?, Pair::start(Sealing::Signed).await?);
        Ok::<_, Error>(Callees { bare: Bare::start(), tarpc: Tarpc::start(), unsigned, signed })
    })?;
    grid::run(&runtime, &callees, options, &COLUMNS, &GOALS)?;
    runtime.block_on(async {
        callees.unsigned.stop().await?;
        callees.signed.stop().await
    })
}

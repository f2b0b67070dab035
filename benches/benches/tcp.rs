//! Full calls over TCP, client and server in one process, beside other frameworks and a bare line echo.
//!
//! A case is named `case/in flight/payload`: `inline/64/32`.

use std::process::ExitCode;

use rmi_benches::{
    Error,
    grid::{self, Column, Goal},
    load::{self, Load, Sample},
    options::{self, Options},
    peers::{Codec, JsonRpsee, Lines, Tarpc, Tonic},
    process,
    rmi::{Inline, Pair, Sealing, Spawned},
};
use tokio::runtime::Runtime;

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

impl grid::Case for Case {
    const ALL: &[Case] = &[
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
    const FLOOR: Case = Case::Lines;

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

const COLUMNS: [Column<Case>; 3] = [
    Column { head: "calls/s to tarpc-json", to: Case::TarpcJson, figure: |s| s.throughput },
    Column { head: "CPU to tarpc-json", to: Case::TarpcJson, figure: |s| s.cpu },
    Column { head: "calls/s to lines", to: Case::Lines, figure: |s| s.throughput },
];

const GOALS: [Goal<Case>; 9] = [
    Goal::throughput(Case::Inline, Case::TarpcJson, 2.0).at(&[64]).payloads(&[32]),
    Goal::throughput(Case::Inline, Case::TarpcJson, 3.5).at(&[64]).payloads(&[4096]),
    Goal::throughput(Case::Spawned, Case::TarpcJson, 1.0).at(&[64]),
    Goal::throughput(Case::Inline, Case::TarpcBincode, 1.0).at(&[64]).payloads(&[32]),
    Goal::throughput(Case::Inline, Case::JsonRpsee, 3.0).at(&[64]),
    Goal::throughput(Case::Inline, Case::Tonic, 7.0).at(&[64]).payloads(&[32]),
    Goal::throughput(Case::Inline, Case::Lines, 0.65).at(&[64]),
    Goal::ceiling(Case::Signed, 0.85).at(&[16, 64, 256]),
    Goal::ceiling_in_cpu(Case::Signed, 0.85).at(&[16, 64, 256]),
];

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

    async fn stop(self) -> Result<(), Error> {
        self.unsigned.stop().await?;
        self.signed.stop().await
    }
}

impl grid::Callees for Callees {
    type Case = Case;

    fn put(&self, runtime: &Runtime, case: Case, load: Load) -> Result<Option<Sample>, Error> {
        let sample = match case {
            Case::Lines => load::put(runtime, &self.lines, load),
            Case::TarpcJson => load::put(runtime, &self.tarpc_json, load),
            Case::TarpcBincode => load::put(runtime, &self.tarpc_bincode, load),
            Case::JsonRpsee => load::put(runtime, &self.jsonrpsee, load),
            Case::Tonic => load::put(runtime, &self.tonic, load),
            Case::Inline => load::put(runtime, &Inline(self.unsigned.client.clone()), load),
            Case::Spawned => load::put(runtime, &Spawned(self.unsigned.client.clone()), load),
            Case::InlineSigned => load::put(runtime, &Inline(self.signed.client.clone()), load),
            Case::Signed => load::put(runtime, &Spawned(self.signed.client.clone()), load),
        };
        sample.map(Some)
    }
}

fn main() -> ExitCode {
    options::run(bench)
}

fn bench(options: &Options) -> Result<(), Error> {
    println!("tcp: {options}; {}", process::machine());
    let runtime = Runtime::new()?;
    let callees = runtime.block_on(Callees::start())?;
    grid::run(&runtime, &callees, options, &COLUMNS, &GOALS)?;
    runtime.block_on(callees.stop())
}

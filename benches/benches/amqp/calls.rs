use std::path::Path;

use rmi_benches::{
    Error, PAYLOADS,
    broker::Broker,
    grid::{self, Column, Goal},
    load::{self, Load, Sample},
    options::Options,
    peers::{Bodies, Guarantees, LapinCalls, Pika},
    rmi::{Inline, Pair, Sealing, Spawned},
    tap,
};
use tokio::runtime::Runtime;

/// What is measured, in the order in which it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// By hand, without any guarantee.
    Bare,
    /// By hand, with those of `Inline` and `Spawned`.
    Raw,
    Inline,
    Spawned,
    /// By hand, with those of `Safest`.
    RawSafest,
    Safest,
    Pika,
    PikaSafest,
    Signed,
    SignedSafest,
}

impl grid::Case for Case {
    const ALL: &[Case] = &[
        Case::Bare,
        Case::Raw,
        Case::Inline,
        Case::Spawned,
        Case::RawSafest,
        Case::Safest,
        Case::Pika,
        Case::PikaSafest,
        Case::Signed,
        Case::SignedSafest,
    ];
    const FLOOR: Case = Case::Raw;

    fn name(self) -> &'static str {
        match self {
            Case::Bare => "bare",
            Case::Raw => "raw",
            Case::Inline => "inline",
            Case::Spawned => "spawned",
            Case::RawSafest => "raw-safest",
            Case::Safest => "safest",
            Case::Pika => "pika",
            Case::PikaSafest => "pika-safest",
            Case::Signed => "signed",
            Case::SignedSafest => "signed-safest",
        }
    }

    fn is_signed(self) -> bool {
        matches!(self, Case::Signed | Case::SignedSafest)
    }

    fn floor(self) -> Case {
        if self == Case::SignedSafest { Case::RawSafest } else { Case::FLOOR }
    }
}

pub(crate) const COLUMNS: [Column<Case>; 4] = [
    Column { head: "calls/s to raw", to: Case::Raw, figure: |s| s.throughput },
    Column { head: "own CPU to raw", to: Case::Raw, figure: |s| s.cpu },
    Column { head: "calls/s to raw-safest", to: Case::RawSafest, figure: |s| s.throughput },
    Column { head: "own CPU to raw-safest", to: Case::RawSafest, figure: |s| s.cpu },
];

const MANY: &[usize] = &[16, 64, 256];

/// A1 to A5 and C1.
pub(crate) const GOALS: [Goal<Case>; 9] = [
    Goal::throughput(Case::Spawned, Case::Raw, 0.95),
    Goal::throughput(Case::Inline, Case::Raw, 0.95),
    Goal::throughput(Case::Safest, Case::RawSafest, 0.9),
    Goal::above(Case::Spawned, Case::Raw, 5.0).at(MANY),
    Goal::above(Case::Safest, Case::RawSafest, 5.0).at(MANY),
    Goal::ceiling(Case::Signed, 0.85).at(MANY),
    Goal::ceiling_in_cpu(Case::Signed, 0.85).at(MANY),
    Goal::ceiling_in_cpu(Case::SignedSafest, 0.85).at(MANY),
    Goal::throughput(Case::Signed, Case::Pika, 1.3).at(&[64]),
];

/// All that can be called.
pub(crate) struct Callees {
    broker: Option<u32>,
    bare: LapinCalls,
    raw: LapinCalls,
    raw_safest: LapinCalls,
    transient: Pair,
    safest: Pair,
    signed: Pair,
    signed_safest: Pair,
    pika: Option<Pika>,
    pika_safest: Option<Pika>,
}

impl Callees {
    pub(crate) async fn start(broker: &Broker, python: Option<&Path>, options: &Options) -> Result<Self, Error> {
        let url = broker.url();
        let bodies = bodies().await?;
        let (transient, safest) = (super::transient, super::safest);
        // Only those are started that are wanted: an idle one costs Python nothing, and starting it much.
        let pika = |safest: bool, case: Case| {
            let python = python.filter(|_| grid::wants(options, case));
            python.map(|python| Pika::start(python, broker, "calls", safest, bodies)).transpose()
        };
        Ok(Callees {
            broker: broker.pid(),
            bare: LapinCalls::start(url, Guarantees::NONE, bodies).await?,
            raw: LapinCalls::start(url, Guarantees::TRANSIENT, bodies).await?,
            raw_safest: LapinCalls::start(url, Guarantees::SAFEST, bodies).await?,
            transient: Pair::over_rabbit(url, 1, Sealing::Unsigned, transient()).await?,
            safest: Pair::over_rabbit(url, 2, Sealing::Unsigned, safest()).await?,
            signed: Pair::over_rabbit(url, 3, Sealing::Signed, transient()).await?,
            signed_safest: Pair::over_rabbit(url, 4, Sealing::Signed, safest()).await?,
            pika: pika(false, Case::Pika)?,
            pika_safest: pika(true, Case::PikaSafest)?,
        })
    }

    pub(crate) async fn stop(self) -> Result<(), Error> {
        for pair in [self.transient, self.safest, self.signed, self.signed_safest] {
            pair.stop().await?;
        }
        Ok(())
    }
}

/// What the envelopes of an unsigned call have besides the text.
async fn bodies() -> Result<Bodies, Error> {
    let payload = PAYLOADS[0];
    let [request, outcome] = tap::call(payload).await?.map(|message| message.text.len() - payload);
    Ok(Bodies { request, reply: outcome })
}

impl grid::Callees for Callees {
    type Case = Case;

    fn put(&self, runtime: &Runtime, case: Case, load: Load) -> Result<Option<Sample>, Error> {
        let broker = self.broker;
        let pika = |pika: &Option<Pika>| pika.as_ref().map(|pika| pika.put(load)).transpose();
        let sample = match case {
            Case::Bare => load::put_by(runtime, &self.bare, load, broker),
            Case::Raw => load::put_by(runtime, &self.raw, load, broker),
            Case::Inline => load::put_by(runtime, &Inline(self.transient.client.clone()), load, broker),
            Case::Spawned => load::put_by(runtime, &Spawned(self.transient.client.clone()), load, broker),
            Case::RawSafest => load::put_by(runtime, &self.raw_safest, load, broker),
            Case::Safest => load::put_by(runtime, &Spawned(self.safest.client.clone()), load, broker),
            Case::Pika => return pika(&self.pika),
            Case::PikaSafest => return pika(&self.pika_safest),
            Case::Signed => load::put_by(runtime, &Spawned(self.signed.client.clone()), load, broker),
            Case::SignedSafest => load::put_by(runtime, &Spawned(self.signed_safest.client.clone()), load, broker),
        };
        sample.map(Some)
    }
}

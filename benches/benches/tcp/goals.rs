//! What is aimed at.

use rmi_benches::{
    PAYLOADS,
    grid::{Aim, Goal},
};

use super::Case;

const BOTH: &[usize] = &PAYLOADS;

pub(crate) const GOALS: [Goal<Case>; 9] = [
    Goal {
        what: "inline: calls/s to tarpc with JSON",
        at: &[64],
        payloads: &[32],
        aim: Aim::AtLeast(2.0),
        ratio: |round| round.ratio(Case::Inline, Case::TarpcJson, |s| s.throughput),
    },
    Goal {
        what: "inline: calls/s to tarpc with JSON",
        at: &[64],
        payloads: &[4096],
        aim: Aim::AtLeast(3.5),
        ratio: |round| round.ratio(Case::Inline, Case::TarpcJson, |s| s.throughput),
    },
    Goal {
        what: "spawned: calls/s to tarpc with JSON",
        at: &[64],
        payloads: BOTH,
        aim: Aim::AtLeast(1.0),
        ratio: |round| round.ratio(Case::Spawned, Case::TarpcJson, |s| s.throughput),
    },
    Goal {
        what: "inline: calls/s to tarpc with bincode",
        at: &[64],
        payloads: &[32],
        aim: Aim::AtLeast(1.0),
        ratio: |round| round.ratio(Case::Inline, Case::TarpcBincode, |s| s.throughput),
    },
    Goal {
        what: "inline: calls/s to jsonrpsee",
        at: &[64],
        payloads: BOTH,
        aim: Aim::AtLeast(3.0),
        ratio: |round| round.ratio(Case::Inline, Case::JsonRpsee, |s| s.throughput),
    },
    Goal {
        what: "inline: calls/s to tonic",
        at: &[64],
        payloads: &[32],
        aim: Aim::AtLeast(7.0),
        ratio: |round| round.ratio(Case::Inline, Case::Tonic, |s| s.throughput),
    },
    Goal {
        what: "inline: calls/s to the bare lines",
        at: &[64],
        payloads: BOTH,
        aim: Aim::AtLeast(0.65),
        ratio: |round| round.ratio(Case::Inline, Case::Lines, |s| s.throughput),
    },
    Goal {
        what: "signed: calls/s to the ceiling",
        at: &[16, 64, 256],
        payloads: BOTH,
        aim: Aim::AtLeast(0.85),
        ratio: |round| round.of_ceiling(Case::Signed),
    },
    Goal {
        what: "signed: the same in CPU",
        at: &[16, 64, 256],
        payloads: BOTH,
        aim: Aim::AtLeast(0.85),
        ratio: |round| round.of_ceiling_in_cpu(Case::Signed),
    },
];

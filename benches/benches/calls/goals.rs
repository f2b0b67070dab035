//! What is aimed at.

use rmi_benches::{
    PAYLOADS,
    grid::{Aim, Goal},
};

use super::Case;

const BOTH: &[usize] = &PAYLOADS;

pub(crate) const GOALS: [Goal<Case>; 6] = [
    Goal {
        what: "spawned: calls/s to tarpc",
        at: &[16, 64],
        payloads: BOTH,
        aim: Aim::AtLeast(1.2),
        ratio: |round| round.ratio(Case::Spawned, Case::Tarpc, |s| s.throughput),
    },
    Goal {
        what: "inline: calls/s to tarpc",
        at: &[16, 64],
        payloads: BOTH,
        aim: Aim::AtLeast(1.4),
        ratio: |round| round.ratio(Case::Inline, Case::Tarpc, |s| s.throughput),
    },
    Goal {
        what: "spawned: CPU to tarpc",
        at: &[16, 64],
        payloads: BOTH,
        aim: Aim::AtMost(0.85),
        ratio: |round| round.ratio(Case::Spawned, Case::Tarpc, |s| s.cpu),
    },
    Goal {
        what: "spawned: p50 to tarpc",
        at: &[1],
        payloads: BOTH,
        aim: Aim::AtMost(0.8),
        ratio: |round| round.ratio(Case::Spawned, Case::Tarpc, |s| s.p50),
    },
    Goal {
        what: "signed: calls/s to the ceiling",
        at: &[16, 64, 256],
        payloads: BOTH,
        aim: Aim::AtLeast(0.9),
        ratio: |round| round.of_ceiling(Case::Signed),
    },
    Goal {
        what: "signed: the same in CPU",
        at: &[16, 64, 256],
        payloads: BOTH,
        aim: Aim::AtLeast(0.9),
        ratio: |round| round.of_ceiling_in_cpu(Case::Signed),
    },
];

//! What is aimed at, and whether it is reached.

use rmi_benches::spread::Spread;

use super::{Case, Group, Round};

/// One goal: a ratio that is to be at least so much, at some numbers of calls in flight and for some payloads.
struct Goal {
    what: &'static str,
    in_flight: &'static [usize],
    payloads: &'static [usize],
    least: f64,
    ratio: fn(&Round) -> Option<f64>,
}

const BOTH: &[usize] = &[32, 4096];

const GOALS: [Goal; 9] = [
    Goal {
        what: "inline: calls/s to tarpc with JSON",
        in_flight: &[64],
        payloads: &[32],
        least: 2.0,
        ratio: |round| round.ratio(Case::Inline, Case::TarpcJson, |s| s.throughput),
    },
    Goal {
        what: "inline: calls/s to tarpc with JSON",
        in_flight: &[64],
        payloads: &[4096],
        least: 3.5,
        ratio: |round| round.ratio(Case::Inline, Case::TarpcJson, |s| s.throughput),
    },
    Goal {
        what: "spawned: calls/s to tarpc with JSON",
        in_flight: &[64],
        payloads: BOTH,
        least: 1.0,
        ratio: |round| round.ratio(Case::Spawned, Case::TarpcJson, |s| s.throughput),
    },
    Goal {
        what: "inline: calls/s to tarpc with bincode",
        in_flight: &[64],
        payloads: &[32],
        least: 1.0,
        ratio: |round| round.ratio(Case::Inline, Case::TarpcBincode, |s| s.throughput),
    },
    Goal {
        what: "inline: calls/s to jsonrpsee",
        in_flight: &[64],
        payloads: BOTH,
        least: 3.0,
        ratio: |round| round.ratio(Case::Inline, Case::JsonRpsee, |s| s.throughput),
    },
    Goal {
        what: "inline: calls/s to tonic",
        in_flight: &[64],
        payloads: &[32],
        least: 7.0,
        ratio: |round| round.ratio(Case::Inline, Case::Tonic, |s| s.throughput),
    },
    Goal {
        what: "inline: calls/s to the bare lines",
        in_flight: &[64],
        payloads: BOTH,
        least: 0.65,
        ratio: |round| round.ratio(Case::Inline, Case::Lines, |s| s.throughput),
    },
    Goal {
        what: "signed: calls/s to the ceiling",
        in_flight: &[16, 64, 256],
        payloads: BOTH,
        least: 0.85,
        ratio: |round| round.of_ceiling(Case::Signed),
    },
    Goal {
        what: "signed: the same in CPU",
        in_flight: &[16, 64, 256],
        payloads: BOTH,
        least: 0.85,
        ratio: |round| round.of_ceiling_in_cpu(Case::Signed),
    },
];

/// Prints every goal that there are figures for. The median of the ratio over the rounds decides.
pub(crate) fn print(groups: &[Group]) {
    println!("\n{:<38} {:>9} {:>7}   {:<8} {:<22} ", "goal", "in flight", "bytes", "aim", "min / median / max");
    for goal in &GOALS {
        for group in groups {
            if !goal.in_flight.contains(&group.in_flight) || !goal.payloads.contains(&group.payload) {
                continue;
            }
            let Some(spread) = Spread::of(group.over_rounds(goal.ratio)) else { continue };
            let verdict = if spread.median >= goal.least { "reached" } else { "not reached" };
            let aim = format!(">= {}", goal.least);
            println!("{:<38} {:>9} {:>7}   {aim:<8} {spread:<22} {verdict}", goal.what, group.in_flight, group.payload);
        }
    }
}

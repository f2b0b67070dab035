//! What is aimed at, and whether it is reached.

use rmi_benches::spread::Spread;

use super::{Case, Group, Round};

/// What a ratio is to be.
#[derive(Clone, Copy, Debug)]
enum Aim {
    AtLeast(f64),
    AtMost(f64),
}

/// One goal, at some numbers of calls in flight.
struct Goal {
    what: &'static str,
    at: &'static [usize],
    aim: Aim,
    ratio: fn(&Round) -> Option<f64>,
}

const GOALS: [Goal; 6] = [
    Goal {
        what: "spawned: calls/s to tarpc",
        at: &[16, 64],
        aim: Aim::AtLeast(1.2),
        ratio: |round| round.ratio(Case::Spawned, Case::Tarpc, |s| s.throughput),
    },
    Goal {
        what: "inline: calls/s to tarpc",
        at: &[16, 64],
        aim: Aim::AtLeast(1.4),
        ratio: |round| round.ratio(Case::Inline, Case::Tarpc, |s| s.throughput),
    },
    Goal {
        what: "spawned: CPU to tarpc",
        at: &[16, 64],
        aim: Aim::AtMost(0.85),
        ratio: |round| round.ratio(Case::Spawned, Case::Tarpc, |s| s.cpu),
    },
    Goal {
        what: "spawned: p50 to tarpc",
        at: &[1],
        aim: Aim::AtMost(0.8),
        ratio: |round| round.ratio(Case::Spawned, Case::Tarpc, |s| s.p50),
    },
    Goal { what: "signed: calls/s to the ceiling", at: &[16, 64, 256], aim: Aim::AtLeast(0.9), ratio: Round::of_ceiling },
    Goal { what: "signed: the same in CPU", at: &[16, 64, 256], aim: Aim::AtLeast(0.9), ratio: Round::of_ceiling_in_cpu },
];

impl Aim {
    fn is_reached_by(self, ratio: f64) -> bool {
        match self {
            Aim::AtLeast(least) => ratio >= least,
            Aim::AtMost(most) => ratio <= most,
        }
    }
}

/// Prints every goal that there are figures for. The median of the ratio over the rounds decides.
pub(crate) fn print(groups: &[Group]) {
    println!("\n{:<32} {:>9} {:>7}   {:<8} {:<22} ", "goal", "in flight", "bytes", "aim", "min / median / max");
    for goal in &GOALS {
        for group in groups.iter().filter(|group| goal.at.contains(&group.in_flight)) {
            let Some(spread) = Spread::of(group.over_rounds(goal.ratio)) else { continue };
            let aim = match goal.aim {
                Aim::AtLeast(least) => format!(">= {least}"),
                Aim::AtMost(most) => format!("<= {most}"),
            };
            let verdict = if goal.aim.is_reached_by(spread.median) { "reached" } else { "not reached" };
            println!("{:<32} {:>9} {:>7}   {aim:<8} {spread:<22} {verdict}", goal.what, group.in_flight, group.payload);
        }
    }
}

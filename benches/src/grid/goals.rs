//! What is aimed at, and whether it is reached.

use super::{Case, Group, Round};
use crate::spread::Spread;

/// What a ratio is to be.
#[derive(Clone, Copy, Debug)]
pub enum Aim {
    /// So much or more.
    AtLeast(f64),
    /// So much or less.
    AtMost(f64),
}

/// One goal: a ratio, at some numbers of calls in flight and for some payloads.
#[derive(Clone, Copy, Debug)]
pub struct Goal<C> {
    /// How it is printed.
    pub what: &'static str,
    /// The numbers of calls in flight at which it holds.
    pub at: &'static [usize],
    /// The payloads for which it holds, in bytes.
    pub payloads: &'static [usize],
    /// What the ratio is to be.
    pub aim: Aim,
    /// The ratio, where the round has what it takes.
    pub ratio: fn(&Round<C>) -> Option<f64>,
}

impl Aim {
    fn is_reached_by(self, ratio: f64) -> bool {
        match self {
            Aim::AtLeast(least) => ratio >= least,
            Aim::AtMost(most) => ratio <= most,
        }
    }
}

/// Prints every goal that there are figures for. The median of the ratio over the rounds decides.
pub(super) fn print<C: Case>(groups: &[Group<C>], goals: &[Goal<C>]) {
    println!("\n{:<46} {:>9} {:>7}   {:<8} {:<22} ", "goal", "in flight", "bytes", "aim", "min / median / max");
    for goal in goals {
        let meant = |group: &&Group<C>| goal.at.contains(&group.in_flight) && goal.payloads.contains(&group.payload);
        for group in groups.iter().filter(meant) {
            let Some(spread) = Spread::of(group.over_rounds(goal.ratio)) else { continue };
            let aim = match goal.aim {
                Aim::AtLeast(least) => format!(">= {least}"),
                Aim::AtMost(most) => format!("<= {most}"),
            };
            let verdict = if goal.aim.is_reached_by(spread.median) { "reached" } else { "not reached" };
            println!("{:<46} {:>9} {:>7}   {aim:<8} {spread:<22} {verdict}", goal.what, group.in_flight, group.payload);
        }
    }
}

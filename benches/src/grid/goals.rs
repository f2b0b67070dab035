//! What is aimed at, and whether it is reached.

use super::{Case, Group, IN_FLIGHT, Round};
use crate::{PAYLOADS, load::Sample, spread::Spread};

/// One goal: a figure of a case, at some numbers of calls in flight and for some payloads. Everywhere unless told otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Goal<C> {
    of: C,
    measure: Measure<C>,
    at: &'static [usize],
    payloads: &'static [usize],
    aim: Aim,
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
enum Measure<C> {
    Throughput(C),
    Cpu(C),
    P50(C),
    Above(C),
    Ceiling,
    CeilingInCpu,
}

/// What it is to be.
#[derive(Clone, Copy, Debug)]
enum Aim {
    AtLeast(f64),
    AtMost(f64),
}

impl<C: Copy> Goal<C> {
    const fn new(of: C, measure: Measure<C>, aim: Aim) -> Self {
        Goal { of, measure, at: &IN_FLIGHT, payloads: &PAYLOADS, aim }
    }

    /// Its throughput is to be so many times that of another, or more.
    #[must_use]
    pub const fn throughput(of: C, to: C, least: f64) -> Self {
        Goal::new(of, Measure::Throughput(to), Aim::AtLeast(least))
    }

    /// The CPU time of our process is to be so many times that of another, or less.
    #[must_use]
    pub const fn cpu(of: C, to: C, most: f64) -> Self {
        Goal::new(of, Measure::Cpu(to), Aim::AtMost(most))
    }

    /// Half of its calls are to end in so many times the time of another, or less.
    #[must_use]
    pub const fn p50(of: C, to: C, most: f64) -> Self {
        Goal::new(of, Measure::P50(to), Aim::AtMost(most))
    }

    /// The CPU time of our process is to be so many microseconds above that of another, or less.
    #[must_use]
    pub const fn above(of: C, to: C, most: f64) -> Self {
        Goal::new(of, Measure::Above(to), Aim::AtMost(most))
    }

    /// Its throughput is to be so much of the ceiling of what is signed, or more.
    #[must_use]
    pub const fn ceiling(of: C, least: f64) -> Self {
        Goal::new(of, Measure::Ceiling, Aim::AtLeast(least))
    }

    /// The CPU time that the ceiling leaves is to be so much of what it took, or more.
    #[must_use]
    pub const fn ceiling_in_cpu(of: C, least: f64) -> Self {
        Goal::new(of, Measure::CeilingInCpu, Aim::AtLeast(least))
    }

    /// With these numbers of calls in flight only.
    #[must_use]
    pub const fn at(mut self, in_flight: &'static [usize]) -> Self {
        self.at = in_flight;
        self
    }

    /// With these payloads only, in bytes.
    #[must_use]
    pub const fn payloads(mut self, payloads: &'static [usize]) -> Self {
        self.payloads = payloads;
        self
    }
}

impl<C: Case> Goal<C> {
    /// `spawned: calls/s to tarpc`
    fn what(&self) -> String {
        let of = self.of.name();
        match self.measure {
            Measure::Throughput(to) => format!("{of}: {} to {}", C::UNIT, to.name()),
            Measure::Cpu(to) => format!("{of}: CPU to {}", to.name()),
            Measure::P50(to) => format!("{of}: p50 to {}", to.name()),
            Measure::Above(to) => format!("{of}: CPU us above {}", to.name()),
            Measure::Ceiling => format!("{of}: {} to the ceiling", C::UNIT),
            Measure::CeilingInCpu => format!("{of}: CPU to the ceiling"),
        }
    }

    /// The figure, where the round has what it takes.
    fn figure(&self, round: &Round<C>) -> Option<f64> {
        let ratio = |to, figure: fn(&Sample) -> f64| round.ratio(self.of, to, figure);
        match self.measure {
            Measure::Throughput(to) => ratio(to, |s| s.throughput),
            Measure::Cpu(to) => ratio(to, |s| s.cpu),
            Measure::P50(to) => ratio(to, |s| s.p50),
            Measure::Above(to) => Some(round.sample(self.of)?.cpu - round.sample(to)?.cpu),
            Measure::Ceiling => round.of_ceiling(self.of),
            Measure::CeilingInCpu => round.of_ceiling_in_cpu(self.of),
        }
    }
}

impl Aim {
    fn is_reached_by(self, figure: f64) -> bool {
        match self {
            Aim::AtLeast(least) => figure >= least,
            Aim::AtMost(most) => figure <= most,
        }
    }
}

/// Prints every goal that there are figures for. The median over the rounds decides.
pub(super) fn print<C: Case>(groups: &[Group<C>], goals: &[Goal<C>]) {
    println!("\n{:<46} {:>9} {:>7}   {:<8} {:<22} ", "goal", "in flight", "bytes", "aim", "min / median / max");
    for goal in goals {
        let meant = |group: &&Group<C>| goal.at.contains(&group.in_flight) && goal.payloads.contains(&group.payload);
        for group in groups.iter().filter(meant) {
            let Some(spread) = Spread::of(group.over_rounds(|round| goal.figure(round))) else { continue };
            let aim = match goal.aim {
                Aim::AtLeast(least) => format!(">= {least}"),
                Aim::AtMost(most) => format!("<= {most}"),
            };
            let verdict = if goal.aim.is_reached_by(spread.median) { "reached" } else { "not reached" };
            println!("{:<46} {:>9} {:>7}   {aim:<8} {spread:<22} {verdict}", goal.what(), group.in_flight, group.payload);
        }
    }
}

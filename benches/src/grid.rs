//! Cases side by side: each at several numbers of calls in flight and with several payloads, once in every round.

mod goals;
mod report;

use std::fmt::Debug;

use tokio::runtime::Runtime;

pub use self::{goals::Goal, report::Column};
use crate::{
    Error, PAYLOADS,
    curve::{Curve, Price},
    load::{Load, Sample},
    options::Options,
    tap,
};

/// How many calls are under way at a time.
pub const IN_FLIGHT: [usize; 4] = [1, 16, 64, 256];

/// Who is measured beside whom.
pub trait Case: Copy + Debug + PartialEq + Send + Sync + 'static {
    /// All of them, in the order in which they run: the signed ones last.
    const ALL: &'static [Self];
    /// What is nothing but the way there and back: the curve and this are the ceiling of what is signed.
    const FLOOR: Self;
    /// What is counted, in a second.
    const UNIT: &'static str = "calls/s";

    /// Its name on the command line and in the table.
    fn name(self) -> &'static str;

    /// Whether its calls are signed.
    fn is_signed(self) -> bool;

    /// What of this case is nothing but the way there and back, where cases have different ways.
    fn floor(self) -> Self {
        Self::FLOOR
    }
}

/// All that can be called.
pub trait Callees {
    /// Its cases.
    type Case: Case;

    /// Puts a load on one of them; `None` when it is not there.
    ///
    /// # Errors
    ///
    /// A call failed, or came back with something else than what it took there.
    fn put(&self, runtime: &Runtime, case: Self::Case, load: Load) -> Result<Option<Sample>, Error>;
}

/// What was measured at one number of calls in flight with one payload.
#[derive(Debug)]
pub struct Group<C> {
    in_flight: usize,
    payload: usize,
    curve: Curve,
    rounds: Vec<Round<C>>,
}

/// One round of a group.
#[derive(Debug)]
pub struct Round<C> {
    samples: Vec<(C, Sample)>,
    /// What the curve costs, measured beside the signed calls.
    price: Option<Price>,
}

impl<C: Case> Round<C> {
    /// What was measured of a case.
    #[must_use]
    pub fn sample(&self, case: C) -> Option<Sample> {
        self.samples.iter().find(|(of, _)| *of == case).map(|(_, sample)| *sample)
    }

    /// A figure of one case in proportion to that of another.
    #[must_use]
    pub fn ratio(&self, case: C, to: C, figure: fn(&Sample) -> f64) -> Option<f64> {
        Some(figure(&self.sample(case)?) / figure(&self.sample(to)?))
    }

    /// The throughput of signed calls in proportion to what the curve leaves possible, if nothing but its [floor](Case::floor) were needed
    /// besides.
    #[must_use]
    pub fn of_ceiling(&self, case: C) -> Option<f64> {
        Some(self.sample(case)?.throughput / self.price?.ceiling(self.sample(case.floor())?.all_cpu()))
    }

    /// The same in CPU time, whatever else the machine did: the curve and the floor in proportion to what a signed call took.
    #[must_use]
    pub fn of_ceiling_in_cpu(&self, case: C) -> Option<f64> {
        Some(self.price?.cpu(self.sample(case.floor())?.all_cpu()) / self.sample(case)?.all_cpu())
    }
}

impl<C: Case> Group<C> {
    fn label(&self, case: C) -> String {
        format!("{}/{}/{}", case.name(), self.in_flight, self.payload)
    }

    /// A figure of every round that has it.
    fn over_rounds(&self, figure: impl Fn(&Round<C>) -> Option<f64>) -> Vec<f64> {
        self.rounds.iter().filter_map(figure).collect()
    }

    /// Every case once.
    fn round(&self, runtime: &Runtime, callees: &impl Callees<Case = C>, options: &Options) -> Result<Round<C>, Error> {
        let mut round = Round { samples: Vec::new(), price: None };
        let load = Load { in_flight: self.in_flight, payload: self.payload, window: options.window };
        let mut before = None;
        for &case in C::ALL {
            if !options.wants(&self.label(case)) {
                continue;
            }
            // The curve is measured on both sides of the signed calls: what others do with the machine changes from moment to moment.
            if case.is_signed() && before.is_none() {
                before = Some(self.curve.measure(options.window / 4)?);
            }
            let sample = callees.put(runtime, case, load).map_err(|error| format!("{}: {error}", self.label(case)))?;
            round.samples.extend(sample.map(|sample| (case, sample)));
        }
        if let Some(before) = before {
            round.price = Some(before.mean(self.curve.measure(options.window / 4)?));
        }
        Ok(round)
    }
}

/// Measures every group in every round, and prints a table for each, unless only goals are wanted, and every goal that there are figures
/// for.
///
/// # Errors
///
/// A call failed.
pub fn run<C: Callees>(
    runtime: &Runtime,
    callees: &C,
    options: &Options,
    columns: &[Column<C::Case>],
    goals: &[Goal<C::Case>],
) -> Result<(), Error> {
    let mut groups = groups(runtime, options)?;
    if groups.is_empty() {
        return Ok(());
    }
    for _ in 0..options.rounds {
        for group in &mut groups {
            let round = group.round(runtime, callees, options)?;
            group.rounds.push(round);
        }
    }
    if !options.goals {
        groups.iter().for_each(|group| report::print(group, columns));
    }
    goals::print(&groups, goals);
    Ok(())
}

/// Whether a case is wanted with any payload and any number of calls in flight.
pub fn wants(options: &Options, case: impl Case) -> bool {
    let labels = IN_FLIGHT.iter().flat_map(|many| PAYLOADS.map(|payload| format!("{}/{many}/{payload}", case.name())));
    labels.into_iter().any(|label| options.wants(&label))
}

/// Those of which a case is wanted. A call has the same texts on every transport.
fn groups<C: Case>(runtime: &Runtime, options: &Options) -> Result<Vec<Group<C>>, Error> {
    let mut groups = Vec::new();
    for payload in PAYLOADS {
        let call = runtime.block_on(tap::call(payload))?;
        let [request, outcome] = &call;
        if !options.goals && C::ALL.iter().any(|case| case.is_signed()) {
            println!(
                "a call with {payload} bytes each way: request {} bytes, {} signed; outcome {} bytes, {} signed",
                request.text.len(),
                request.sealed.len(),
                outcome.text.len(),
                outcome.sealed.len()
            );
        }
        let curve = Curve::new(call.iter().map(|message| message.text.as_bytes()))?;
        for in_flight in IN_FLIGHT {
            let group = Group { in_flight, payload, curve: curve.clone(), rounds: Vec::new() };
            if C::ALL.iter().any(|case| options.wants(&group.label(*case))) {
                groups.push(group);
            }
        }
    }
    Ok(groups)
}

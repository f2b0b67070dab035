//! The table of a group.

use std::thread;

use super::{Case, Group, Round};
use crate::{
    curve::Price,
    load::Sample,
    spread::{Spread, grouped, or_dash},
};

/// A column of ratios: a figure of each case in proportion to that of one of them.
#[derive(Clone, Copy, Debug)]
pub struct Column<C> {
    /// Its head.
    pub head: &'static str,
    /// Which case all are compared with.
    pub to: C,
    /// What is compared.
    pub figure: fn(&Sample) -> f64,
}

/// Prints medians of what was measured, and ratios as min / median / max over the rounds.
pub(super) fn print<C: Case>(group: &Group<C>, columns: &[Column<C>]) {
    println!("\n{} in flight, {} bytes", group.in_flight, group.payload);
    let heads: String = columns.iter().map(|column| format!("{:<23}", column.head)).collect();
    let by_broker = group.rounds.iter().flat_map(|round| &round.samples).any(|(_, sample)| sample.broker > 0.0);
    let broker = |text: String| if by_broker { format!("{text:>10}") } else { String::new() };
    println!(
        "{:<24} {:>10} {:>8}{} {:>9} {:>9}   {heads}",
        "case",
        C::UNIT,
        "CPU us",
        broker("broker us".to_owned()),
        "p50 us",
        "p99 us"
    );
    for &case in C::ALL {
        let median = |figure: fn(&Sample) -> f64| {
            Spread::of(group.over_rounds(|round| round.sample(case).as_ref().map(figure))).map(|spread| spread.median)
        };
        let Some(throughput) = median(|s| s.throughput) else { continue };
        let figure = |figure| median(figure).unwrap_or_default();
        let ratio = |column: &Column<C>| {
            let spread = Spread::of(group.over_rounds(|round| round.ratio(case, column.to, column.figure)));
            format!("{:<23}", or_dash(spread))
        };
        println!(
            "{:<24} {:>10} {:>8.2}{} {:>9.2} {:>9.2}   {}",
            group.label(case),
            grouped(throughput),
            figure(|s| s.cpu),
            broker(format!("{:.2}", figure(|s| s.broker))),
            figure(|s| s.p50),
            figure(|s| s.p99),
            columns.iter().map(ratio).collect::<String>(),
        );
    }
    let price = |figure: fn(&Price) -> f64| Spread::of(group.over_rounds(|round| round.price.as_ref().map(figure)));
    let (Some(sign), Some(verify)) = (price(|p| p.sign), price(|p| p.verify)) else { return };
    println!(
        "curve: 2 signatures {:.1} us, 2 verifications {:.1} us; {} of {} cores",
        sign.median,
        verify.median,
        or_dash(price(|p| p.cores)),
        thread::available_parallelism().map_or(1, usize::from),
    );
    for &case in C::ALL.iter().filter(|case| case.is_signed()) {
        let spread =
            |figure: fn(&Round<C>, C) -> Option<f64>| or_dash(Spread::of(group.over_rounds(|round| figure(round, case))));
        println!(
            "{}: calls/s to the ceiling {}, in CPU {}",
            group.label(case),
            spread(Round::of_ceiling),
            spread(Round::of_ceiling_in_cpu),
        );
    }
}

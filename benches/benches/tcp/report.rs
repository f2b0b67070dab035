//! The table of a group.

use rmi_benches::{
    curve::Price,
    load::Sample,
    spread::{Spread, grouped, or_dash},
};

use super::{Case, Group};

/// Prints medians of what was measured, and the ratios to tarpc and to the bare lines as min / median / max over the rounds.
pub(crate) fn print(group: &Group) {
    println!("\n{} in flight, {} bytes", group.in_flight, group.payload);
    println!(
        "{:<20} {:>10} {:>8} {:>9} {:>9}   {:<22} {:<22} {:<22}",
        "case", "calls/s", "CPU us", "p50 us", "p99 us", "calls/s to tarpc-json", "CPU to tarpc-json", "calls/s to lines"
    );
    for case in Case::ALL {
        let median = |figure: fn(&Sample) -> f64| {
            Spread::of(group.over_rounds(|round| round.sample(case).as_ref().map(figure))).map(|spread| spread.median)
        };
        let Some(throughput) = median(|s| s.throughput) else { continue };
        let figure = |figure| median(figure).unwrap_or_default();
        let ratio =
            |to, figure: fn(&Sample) -> f64| or_dash(Spread::of(group.over_rounds(|round| round.ratio(case, to, figure))));
        println!(
            "{:<20} {:>10} {:>8.2} {:>9.2} {:>9.2}   {:<22} {:<22} {:<22}",
            group.label(case),
            grouped(throughput),
            figure(|s| s.cpu),
            figure(|s| s.p50),
            figure(|s| s.p99),
            ratio(Case::TarpcJson, |s| s.throughput),
            ratio(Case::TarpcJson, |s| s.cpu),
            ratio(Case::Lines, |s| s.throughput),
        );
    }
    let price = |figure: fn(&Price) -> f64| Spread::of(group.over_rounds(|round| round.price.as_ref().map(figure)));
    let (Some(sign), Some(verify)) = (price(|p| p.sign), price(|p| p.verify)) else { return };
    println!(
        "curve: 2 signatures {:.1} us, 2 verifications {:.1} us; {} of {} cores",
        sign.median,
        verify.median,
        or_dash(price(|p| p.cores)),
        std::thread::available_parallelism().map_or(1, usize::from),
    );
    for case in Case::ALL.into_iter().filter(|case| case.is_signed()) {
        let spread =
            |figure: fn(&super::Round, Case) -> Option<f64>| or_dash(Spread::of(group.over_rounds(|round| figure(round, case))));
        println!(
            "{}: calls/s to the ceiling {}, in CPU {}",
            group.label(case),
            spread(super::Round::of_ceiling),
            spread(super::Round::of_ceiling_in_cpu),
        );
    }
}

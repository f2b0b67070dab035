//! The table of a group.

use rmi_benches::{
    curve::Price,
    load::Sample,
    spread::{Spread, grouped, or_dash},
};

use super::{Case, Group, Round};

/// Prints medians of what was measured, and the ratios to tarpc as min / median / max over the rounds.
pub(crate) fn print(group: &Group) {
    println!("\n{} in flight, {} bytes", group.in_flight, group.payload);
    println!(
        "{:<16} {:>10} {:>8} {:>9} {:>9}   {:<22} {:<22} {:<22}",
        "case", "calls/s", "CPU us", "p50 us", "p99 us", "calls/s to tarpc", "CPU to tarpc", "p50 to tarpc"
    );
    for case in Case::ALL {
        let median = |figure: fn(&Sample) -> f64| {
            Spread::of(group.over_rounds(|round| round.sample(case).as_ref().map(figure))).map(|spread| spread.median)
        };
        let Some(throughput) = median(|s| s.throughput) else { continue };
        let figure = |figure| median(figure).unwrap_or_default();
        let ratio =
            |figure: fn(&Sample) -> f64| or_dash(Spread::of(group.over_rounds(|round| round.ratio(case, Case::Tarpc, figure))));
        println!(
            "{:<16} {:>10} {:>8.2} {:>9.2} {:>9.2}   {:<22} {:<22} {:<22}",
            group.label(case),
            grouped(throughput),
            figure(|s| s.cpu),
            figure(|s| s.p50),
            figure(|s| s.p99),
            ratio(|s| s.throughput),
            ratio(|s| s.cpu),
            ratio(|s| s.p50),
        );
    }
    let price = |figure: fn(&Price) -> f64| Spread::of(group.over_rounds(|round| round.price.as_ref().map(figure)));
    if let (Some(sign), Some(verify)) = (price(|p| p.sign), price(|p| p.verify)) {
        println!(
            "curve: 2 signatures {:.1} us, 2 verifications {:.1} us; {} of {} cores; calls/s to the ceiling {}, in CPU {}",
            sign.median,
            verify.median,
            or_dash(price(|p| p.cores)),
            std::thread::available_parallelism().map_or(1, usize::from),
            or_dash(Spread::of(group.over_rounds(Round::of_ceiling))),
            or_dash(Spread::of(group.over_rounds(Round::of_ceiling_in_cpu))),
        );
    }
}

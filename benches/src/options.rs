//! The command line, which all benches share: `cargo bench` gives each of them the same one.

use std::{fmt, process::ExitCode, time::Duration};

use tracing::subscriber::NoSubscriber;

use crate::Error;

/// What the command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How often every case runs.
    pub rounds: usize,
    /// How long a case is measured in each round.
    pub window: Duration,
    /// Only cases whose name has this in it, or one of several, which commas part.
    pub filter: String,
    /// Of the benches that have goals only those, without tables.
    pub goals: bool,
    /// How many calls the soak makes.
    pub calls: u64,
}

const USAGE: &str = "\
Usage: cargo bench -p rmi-benches [--bench calls|tcp|amqp|parts|allocations|events|journal|layers|scale|soak] [-- OPTIONS]

    --quick         3 rounds of 100 ms: what is taken when nothing is said
    --full          7 rounds of 300 ms
    --rounds N      so many rounds
    --window TIME   how long a case is measured in each round: 300ms, 1s
    --filter TEXT   only cases whose name has TEXT in it, as it is printed; or one of several: raw/64,safest/64
    --goals         what is aimed at and whether it is reached, without tables: calls, tcp and amqp
    --calls N       how many calls the soak makes: 1000000 unless it is said
    --help          this";

impl Options {
    const QUICK: Options =
        Options { rounds: 3, window: Duration::from_millis(100), filter: String::new(), goals: false, calls: 1_000_000 };

    /// Reads arguments. `None` when all that is wanted is help.
    ///
    /// # Errors
    ///
    /// An argument is unknown, or has no value or not one of its kind.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Option<Self>, Error> {
        let mut options = Options::QUICK;
        let (mut rounds, mut window) = (None, None);
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                // Given by cargo itself.
                "--bench" => {}
                "--quick" => (options.rounds, options.window) = (Options::QUICK.rounds, Options::QUICK.window),
                "--full" => (options.rounds, options.window) = (7, Duration::from_millis(300)),
                "--rounds" => rounds = Some(value()?.parse::<usize>()?.max(1)),
                "--window" => window = Some(time(&value()?)?),
                "--filter" => options.filter = value()?,
                "--goals" => options.goals = true,
                "--calls" => options.calls = value()?.parse::<u64>()?.max(1),
                "--help" | "-h" => return Ok(None),
                unknown => return Err(format!("unknown argument `{unknown}`").into()),
            }
        }
        options.rounds = rounds.unwrap_or(options.rounds);
        options.window = window.unwrap_or(options.window);
        Ok(Some(options))
    }

    /// Whether a case of this name is wanted.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.filter.split(',').any(|part| name.contains(part))
    }
}

/// How long is measured.
impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rounds of {} ms", self.rounds, self.window.as_millis())
    }
}

/// Runs a bench with the options of the command line, and says what went wrong.
pub fn run(bench: impl FnOnce(&Options) -> Result<(), Error>) -> ExitCode {
    match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => match without_spans().and_then(|()| bench(&options)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("failed: {error}");
                ExitCode::FAILURE
            }
        },
        Ok(None) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// tarpc switches on, for everything in this crate, that spans go to the `log` crate until there is a subscriber. This one wants nothing,
/// and lets a span cost what it costs in a program that has neither.
fn without_spans() -> Result<(), Error> {
    Ok(tracing::subscriber::set_global_default(NoSubscriber::default())?)
}

fn time(text: &str) -> Result<Duration, Error> {
    let (number, scale) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s').ok_or_else(|| format!("`{text}` is no time: write 300ms or 1s"))?, 1000),
    };
    let millis = number.parse::<u64>().ok().and_then(|n| n.checked_mul(scale)).filter(|n| *n > 0);
    Ok(Duration::from_millis(millis.ok_or_else(|| format!("`{text}` is no time: write 300ms or 1s"))?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>, Error> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn what_is_said_of_one_figure_holds_wherever_it_stands() {
        assert_eq!(parse("--bench").unwrap().unwrap(), Options::QUICK);
        let full = parse("--rounds 2 --full --filter signed --calls 7").unwrap().unwrap();
        assert_eq!((full.rounds, full.window, full.calls), (2, Duration::from_millis(300), 7));
        assert!(full.wants("signed/16/32") && !full.wants("inline/16/32"));
        let either = parse("--filter raw/64,inline").unwrap().unwrap();
        assert!(either.wants("raw/64/32") && either.wants("inline/1/32") && !either.wants("raw/16/32"));
        assert_eq!(parse("--window 1s").unwrap().unwrap().window, Duration::from_secs(1));
        assert_eq!(parse("--full --help").unwrap(), None);
    }

    #[test]
    fn what_is_not_understood_is_not_run() {
        for wrong in ["--window", "--window 3", "--window 0ms", "--window 1h", "--rounds x", "--fast"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}

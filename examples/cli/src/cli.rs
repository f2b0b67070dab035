//! The command line as it is written.

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    bench::Bench, call::Call, cancel::Cancel, completions::Completions, describe::Describe, keygen::Keygen, man::Man,
    publish::Publish, subscribe::Subscribe, trust::Trust,
};

const EXAMPLES: &str = "\
Examples:
  kennel agent --listen 127.0.0.1:7000 --insecure           an agent to try it with
  rmi call tcp://127.0.0.1:7000 dog Dog.bark hello --insecure
  rmi call tcp://127.0.0.1:7000 dog Dog.wag 20 --kw delay=0.1 --watch --insecure
  rmi describe tcp://127.0.0.1:7000 dog --insecure
  rmi call amqp://guest:guest@localhost dog Dog.bark hello --insecure        by RabbitMQ (kennel agent --url amqp://..)
  rmi keygen ann && rmi trust add trusted dog.pem           keys, to sign with and to trust

Exit status:
  0  there is a result
  1  the method raised an exception, or was aborted (cancelled, interrupted, poisoned, panicked)
  2  the command line, or a file that it names, cannot be used
  3  the agent rejected the request: it never ran
  4  nobody listens at the address
  5  the time ran out
  6  the bus could not be reached, or was lost
  130  left by ctrl-c

With --json every line of standard output is one JSON object. Statuses:
  {\"status\":\"accepted\",\"sn\":..}  {\"status\":\"started\"}  {\"status\":\"progress\",\"total\":..,\"completed\":..,\"details\":..}
The end is one of these; `fate` says whether the method ran (never_ran, may_have_run, ran):
  {\"result\":..}
  {\"exception\":{\"module\":..,\"class\":..,\"message\":..,\"args\":..,\"state\":..,\"text\":..,\"fate\":\"ran\"}}
  {\"status\":\"rejected\",\"code\":..,\"description\":..,\"details\":..,\"retry_after_ms\":..,\"fate\":..}
  {\"aborted\":{\"reason\":..,\"message\":..,\"fate\":..}}
  {\"no_agent\":{\"message\":..,\"fate\":\"never_ran\"}}
  {\"timeout\":{\"phase\":..,\"after_ms\":..,\"message\":..,\"fate\":..}}
  {\"transport\":{\"kind\":..,\"message\":..,\"fate\":..}}
  {\"usage\":{\"message\":..}}

Results go to standard output, everything else to standard error. NO_COLOR and --color never switch colours off;
RUST_LOG=rmi_core=debug shows what the endpoint does.";

/// Calls, watches, describes and measures agents.
///
/// An agent is a process that serves contracts at an address of a bus. Its URL says how it is reached (tcp://, tls://, amqp://), and its
/// address which agent is meant. What is said is signed and verified (--key, --trust), or openly not (--insecure).
#[derive(Debug, Parser)]
#[command(name = "rmi", version, after_long_help = EXAMPLES, max_term_width = 130)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Call(Box<Call>),
    Publish(Publish),
    Subscribe(Subscribe),
    Describe(Describe),
    Cancel(Cancel),
    Keygen(Keygen),
    Trust(Trust),
    Bench(Bench),
    Completions(Completions),
    Man(Man),
}

/// How results are shown.
#[derive(Clone, Debug, Args)]
pub(crate) struct OutputArguments {
    /// Print one JSON object per line, for programs
    #[arg(help_heading = "Output", long, global = true)]
    pub(crate) json: bool,
    /// When to use colours; `auto` means on a terminal, unless NO_COLOR is set
    #[arg(help_heading = "Output", long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorWhen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    Auto,
    Always,
    Never,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }
}

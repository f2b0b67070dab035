//! `rmi`: calls, watches, describes and measures agents from the command line.
//!
//! One file for each command; `connection.rs` is where a URL becomes a transport, `ending.rs` where the end of a call becomes an
//! exit status, a text for people and a line for programs.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod arguments;
mod bench;
mod call;
mod cancel;
mod cli;
mod completions;
mod connection;
mod describe;
mod ending;
mod exit;
mod json_text;
mod keygen;
mod man;
mod out;
mod publish;
mod subscribe;
mod trust;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::{
    cli::{Cli, Command},
    ending::Ending,
    exit::Exit,
    out::Out,
};

fn main() -> ExitCode {
    let Cli { command, output } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misread(&error),
    };
    let out = Out::new(&output);
    let Some(command) = command else {
        out.text(&Cli::command().render_long_help().to_string());
        return Exit::Result.into();
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(out.is_colored());
    // Nobody else has set one: this is the program.
    let _ = log.try_init();

    match run(command, &out) {
        Ok(Exit::Result) if out.has_lost() => Exit::Usage.into(),
        Ok(exit) => exit.into(),
        Err(ending) => {
            out.ending(&ending);
            ending.exit().into()
        }
    }
}

/// Help, the version, or what is wrong with the command line.
fn misread(error: &clap::Error) -> ExitCode {
    // It could not be read, and so it is not known in which form the answer is wanted; but whoever says this somewhere wants it.
    if error.use_stderr() && std::env::args().any(|argument| argument == "--json") {
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        Out::for_programs().line(&Ending::usage(message).line());
    }
    // If nobody reads it, it is said all the same.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Result.into() }
}

fn run(command: Command, out: &Out) -> Result<Exit, Box<Ending>> {
    match command {
        Command::Call(call) => on_one_thread(call.run(out)),
        Command::Publish(publish) => on_one_thread(publish.run(out)),
        Command::Subscribe(subscribe) => on_one_thread(subscribe.run(out)),
        Command::Describe(describe) => on_one_thread(describe.run(out)),
        Command::Cancel(cancel) => on_one_thread(cancel.run(out)),
        Command::Bench(bench) => on(tokio::runtime::Builder::new_multi_thread(), bench.run(out)),
        Command::Keygen(keygen) => keygen.run(out),
        Command::Trust(trust) => trust.run(out),
        Command::Completions(completions) => completions.run(out),
        Command::Man(man) => man.run(out),
    }
}

/// One call has nothing to do at the same time, and threads take time to start.
fn on_one_thread(command: impl Future<Output = Result<Exit, Box<Ending>>>) -> Result<Exit, Box<Ending>> {
    on(tokio::runtime::Builder::new_current_thread(), command)
}

fn on(
    mut runtime: tokio::runtime::Builder,
    command: impl Future<Output = Result<Exit, Box<Ending>>>,
) -> Result<Exit, Box<Ending>> {
    let runtime = runtime.enable_all().build().map_err(|e| Ending::transport("the program could not start its runtime", &e))?;
    runtime.block_on(command)
}

//! `kennel`: a dog that is called in every way.

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};
use kennel::agent::Agent;

/// A dog that is called in every way.
///
/// Without a command it is the demonstration: both endpoints and the bus live in this process, the agent serves the classes `Dog`,
/// `Cowboy` and `dog` at the address `dog`, the caller's address is `walker`, and messages are signed. `kennel agent` serves the same
/// classes to other processes, which need no broker:
///
///   kennel agent --listen 127.0.0.1:7000 --insecure
///
///   rmi call tcp://127.0.0.1:7000 dog Dog.bark hello --insecure
///
/// or meet them at RabbitMQ:
///
///   kennel agent --url amqp://guest:guest@localhost --insecure
///
///   rmi call amqp://guest:guest@localhost dog Dog.bark hello --insecure
///
/// RUST_LOG=rmi_core=debug shows what the endpoints do.
#[derive(Debug, Parser)]
#[command(name = "kennel", version)]
struct Kennel {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show each calling style on the in-memory bus, with a line that explains it
    Demo,
    Agent(Agent),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Kennel { command } = Kennel::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let ended = match command {
        None | Some(Command::Demo) => kennel::demo::run().await,
        Some(Command::Agent(agent)) => match told_to_stop() {
            Ok(stop) => agent.run(stop).await,
            Err(error) => Err(error.into()),
        },
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            explain(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

fn explain(error: &dyn Error) {
    eprintln!("kennel: {error}");
    let mut below = error.source();
    while let Some(cause) = below {
        eprintln!("  because: {cause}");
        below = cause.source();
    }
}

/// Ctrl-c, or SIGTERM where there are signals: noticed from now on, whenever it is waited for.
fn told_to_stop() -> std::io::Result<impl Future> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(async move {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(tokio::signal::ctrl_c())
}

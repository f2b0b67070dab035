//! `kennel`: a dog that is called in every way.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use kennel::agent::Agent;
use rmi_options::{explain, told_to_drain};

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
    Agent(Box<Agent>),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Kennel { command } = Kennel::parse();
    if let Some(Command::Agent(agent)) = &command
        && let Err(unusable) = agent.check()
    {
        clap::Error::from(unusable).exit();
    }
    rmi_options::log("error");
    let ended = match command {
        None | Some(Command::Demo) => kennel::demo::run().await,
        Some(Command::Agent(agent)) => agent.run(told_to_drain("kennel")).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => explain("kennel", error.as_ref()),
    }
}

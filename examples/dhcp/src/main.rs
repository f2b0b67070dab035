//! `dhcp`: the lease table of a DHCP service.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use dhcp::{Serve, lease_command::LeaseCommand};
use rmi_options::{explain, told_to_drain};

/// The lease table of a DHCP service, for RackHD's services and others.
///
/// Without a command it is the demonstration: the service and its callers on a bus in this process. `dhcp serve` serves the table to other
/// processes, in several words at once:
///
///   dhcp serve --url tcp://127.0.0.1:7000 --url amqp://localhost --dialect rackhd --pool 10.1.1.0/24 --store leases.redb --insecure
///
///   dhcp lease --insecure bind 08:00:27:52:d2:a4
///
///   rmi call --dialect rackhd amqp://localhost dhcp dhcp.lookupIpLease 10.1.1.1
///
/// RUST_LOG=dhcp=debug,rmi_core=debug shows what it does.
#[derive(Debug, Parser)]
#[command(name = "dhcp", version)]
struct Program {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the service and its callers on the in-memory bus
    Demo,
    Serve(Serve),
    Lease(LeaseCommand),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Program { command } = Program::parse();
    let checked = match &command {
        Some(Command::Serve(serve)) => serve.check(),
        Some(Command::Lease(lease)) => lease.check(),
        None | Some(Command::Demo) => Ok(()),
    };
    if let Err(unusable) = checked {
        clap::Error::from(unusable).exit();
    }
    rmi_options::log("error,dhcp=warn");
    let ended = match command {
        None | Some(Command::Demo) => dhcp::demo::run().await,
        Some(Command::Serve(serve)) => serve.run(told_to_drain("dhcp")).await,
        Some(Command::Lease(lease)) => lease.run().await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => explain("dhcp", error.as_ref()),
    }
}

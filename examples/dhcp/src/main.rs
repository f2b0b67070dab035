//! `dhcp`: the lease table of a DHCP service.

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};
use dhcp::{Serve, lease_command::LeaseCommand};

/// The lease table of a DHCP service, for RackHD's services and others.
///
/// Without a command it is the demonstration: the service and its callers on a bus in this process. `dhcp serve` serves the table to other
/// processes, in several words at once:
///
///   dhcp serve --url tcp://127.0.0.1:7000 --url amqp://localhost --dialect rackhd --pool 10.1.1.0/24 --store leases.redb --insecure
///
///   dhcp lease bind 08:00:27:52:d2:a4 --insecure
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
    if let Err(error) = checked {
        error.exit();
    }
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error,dhcp=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let ended = match command {
        None | Some(Command::Demo) => dhcp::demo::run().await,
        Some(Command::Serve(serve)) => match told_to_stop() {
            Ok(stop) => serve.run(stop).await,
            Err(error) => Err(error.into()),
        },
        Some(Command::Lease(lease)) => lease.run().await,
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
    eprintln!("dhcp: {error}");
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

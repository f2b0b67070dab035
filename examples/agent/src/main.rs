//! `agent` is the provisioning agent, and the server that it works for. Without arguments it shows what it does.

use std::process::ExitCode;

use agent::{ctl::Ctl, run::Run, serve::Serve};
use clap::{Parser, Subcommand};
use rmi_options::{explain, told_to_stop};

/// The provisioning agent, and the server that it works for
///
/// An agent runs on a machine that waits for its work. It dials its server, which has it checked, erased, given an image, and run.
/// Without a command a demonstration runs on temporary files, and ends by itself.
///
/// On one machine, with a file as the disk:
///
///   truncate -s 64M /var/tmp/disk
///   agent server --insecure --control 127.0.0.1:8082 &
///   agent run --server tcp://127.0.0.1:8081 --id node-1 --disk sda=/var/tmp/disk --insecure &
///   agent ctl --insecure list
///   agent ctl --insecure erase node-1
///
/// Exit status: 0 done; 1 it failed, or not everything is as it was asked for; 2 usage; 3 rejected; 4 no such agent; 5 timeout;
/// 6 the connection was lost; 130 left.
#[derive(Debug, Parser)]
#[command(name = "agent", version, verbatim_doc_comment, subcommand_help_heading = "Commands")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<Run>),
    Server(Box<Serve>),
    Ctl(Box<Ctl>),
    /// Show on temporary files what an agent does
    Demo,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    rmi_options::log("error");
    let ended = match cli.command {
        None | Some(Command::Demo) => agent::demo::run().await.map(|()| 0),
        Some(Command::Run(run)) => run.run(told_to_stop).await.map(|()| 0),
        Some(Command::Server(serve)) => serve.run(told_to_stop).await,
        Some(Command::Ctl(ctl)) => ctl.run(told_to_stop).await,
    };
    match ended {
        Ok(status) => ExitCode::from(status),
        Err(error) => explain("agent", error.as_ref()),
    }
}

//! `agent` is the provisioning agent. Without arguments it shows what it does.

use std::{error::Error, process::ExitCode};

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match agent::demo::run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("agent: {error}");
            let mut below: Option<&(dyn Error + 'static)> = error.source();
            while let Some(cause) = below {
                eprintln!("  because: {cause}");
                below = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

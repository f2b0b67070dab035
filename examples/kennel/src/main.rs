//! `kennel` shows every calling style on the in-memory bus.

use std::process::ExitCode;

const HELP: &str = "\
kennel: a dog that is called in every way, over an in-memory bus with signed messages

Usage: kennel [demo]     show each calling style, with a line that explains it
       kennel --help     show this

Nothing has to be installed: both endpoints and the bus live in this process. The agent serves the classes `Dog`,
`Cowboy` and `dog` at the address `dog`; the caller's address is `walker`. Each has a key of its own, and both
have each other's public key in their keyring.

RUST_LOG=rmi_core=debug shows what the endpoints do.";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] | ["demo"] => {}
        ["--help" | "-h" | "help"] => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        [other, ..] => {
            eprintln!("kennel: unknown argument `{other}`\n\n{HELP}");
            return ExitCode::from(2);
        }
    }
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match kennel::demo::run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kennel: {error}");
            let mut below = error.source();
            while let Some(cause) = below {
                eprintln!("  because: {cause}");
                below = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

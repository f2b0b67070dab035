//! How a program is told to stop, and says how it ended.

use std::{error::Error, future::Future, process::ExitCode};

use crate::Unusable;

/// The exit status of a program that was not told what it needs; clap's.
const USAGE: u8 = 2;

/// Logs to standard error what RUST_LOG names, or else these. Unless it is named nothing is said by the library below RabbitMQ's: what it
/// calls an error is told as such where it is one, in words that say what to do.
pub fn log(otherwise: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(format!("{otherwise},lapin=off")));
    // Who has set one before knows better.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// The exit status of a program that was told twice to stop; a shell's for what ctrl-c has ended.
const LEFT: i32 = 130;

/// Ctrl-c, or SIGTERM where there are signals: heard from now on, whenever it is waited for. Where neither can be heard nobody is told.
/// Needs a runtime.
pub fn told_to_stop() -> impl Future<Output = ()> + Send + 'static {
    let mut told = Told::listen();
    async move { told.next().await }
}

/// As [`told_to_stop`], for who drains then: told once more, whatever it is at, the program says what it leaves and ends at once, with
/// the exit status 130.
pub fn told_to_drain(program: &'static str) -> impl Future<Output = ()> + Send + 'static {
    let mut told = Told::listen();
    let (first, drain) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        told.next().await;
        let _ = first.send(());
        told.next().await;
        eprintln!("{program}: told twice to stop: what runs is left behind");
        std::process::exit(LEFT);
    });
    async {
        if drain.await.is_err() {
            std::future::pending().await
        }
    }
}

/// The signals that tell a program to stop.
#[cfg(unix)]
struct Told(std::io::Result<[tokio::signal::unix::Signal; 2]>);

#[cfg(unix)]
impl Told {
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Told(signal(SignalKind::interrupt()).and_then(|interrupt| Ok([interrupt, signal(SignalKind::terminate())?])))
    }

    async fn next(&mut self) {
        let Ok([interrupted, terminated]) = &mut self.0 else { return std::future::pending().await };
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Told;

#[cfg(not(unix))]
impl Told {
    fn listen() -> Self {
        Told
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}

/// Says on standard error why a program ends, and what to do. Its exit status: 2 where it was not told what it needs, otherwise 1.
pub fn explain(program: &str, error: &(dyn Error + 'static)) -> ExitCode {
    eprintln!("{program}: {error}");
    let mut below = error.source();
    while let Some(cause) = below {
        eprintln!("  because: {cause}");
        below = cause.source();
    }
    match error.downcast_ref::<Unusable>().and_then(Unusable::advice) {
        Some(advice) => {
            eprintln!("  try: {advice}");
            ExitCode::from(USAGE)
        }
        None => ExitCode::FAILURE,
    }
}

/// Says something on standard output. Whoever started the program may have stopped listening to it.
pub fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

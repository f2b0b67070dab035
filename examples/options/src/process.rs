//! How a program is told to stop, and says how it ended.

use std::{error::Error, future::Future, process::ExitCode};

use crate::Unusable;

/// The exit status of a program that was not told what it needs; clap's.
const USAGE: u8 = 2;

/// Logs to standard error what RUST_LOG names, or else these.
pub fn log(otherwise: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(otherwise));
    // Who has set one before knows better.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// Ctrl-c, or SIGTERM where there are signals: heard from now on, whenever it is waited for. Where neither can be heard nobody is told.
/// Needs a runtime.
pub fn told_to_stop() -> impl Future<Output = ()> + Send + 'static {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let heard = signal(SignalKind::interrupt()).and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
        async {
            let Ok((mut interrupted, mut terminated)) = heard else { return std::future::pending().await };
            tokio::select! {
                _ = interrupted.recv() => {}
                _ = terminated.recv() => {}
            }
        }
    }
    #[cfg(not(unix))]
    async {
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

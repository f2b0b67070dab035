//! The callers of the crash suite: `crash_callers HOME PORT FIRST`. They call until their standard input ends, and then until
//! every call has its outcome.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    convert::Infallible,
    io::Read,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rmi_core::{CallError, Endpoint, Native, Update, error::Fate, transport::tcp::Tcp};
use rmi_tests::crash::{AGENT, CALLERS, LedgerClient, Log, trust};

const WIDTH: u64 = 24;
/// Longer than the agent is ever away.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let home = PathBuf::from(arguments.next().expect("the first argument is a directory"));
    let port = arguments.next().expect("the second argument is a port");
    let first: u64 = arguments.next().expect("the third argument is a number").parse().unwrap();

    let log = Arc::new(Log::open(&home.join("callers.log")));
    let endpoint = Endpoint::builder(CALLERS)
        .bind(Native::default(), Tcp::connect(format!("127.0.0.1:{port}")).await.unwrap(), trust(&home, CALLERS))
        .start()
        .await
        .unwrap();
    let (next, stop) = (Arc::new(AtomicU64::new(first)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..WIDTH)
        .map(|_| {
            let (ledger, log, next, stop) = (endpoint.client(AGENT), Arc::clone(&log), Arc::clone(&next), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    call(&ledger, &log, next.fetch_add(1, Ordering::Relaxed)).await;
                }
            })
        })
        .collect();
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await.unwrap().unwrap();
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    println!("done");
}

async fn call(ledger: &LedgerClient, log: &Log, id: u64) {
    let (once, millis) = (!id.is_multiple_of(3), [0, 0, 1, 3, 10, 30, 100][id as usize % 7]);
    let call = if once { ledger.once(id, millis) } else { ledger.again(id, millis) }.timeout(PATIENCE).prepare();
    log.line(&format!("call {id} {} {}", if once { "once" } else { "again" }, call.sn()));
    let ended = |result: &Result<u64, CallError<Infallible>>| {
        let (end, fate) = match result {
            Ok(told) if *told == id => ("result", Fate::Ran),
            Ok(_) => ("another's", Fate::Ran),
            Err(error) => (name(error), error.fate()),
        };
        let fate = match fate {
            Fate::NeverRan => "never",
            Fate::MayHaveRun => "may-have",
            Fate::Ran => "ran",
        };
        log.line(&format!("ended {id} {end} {fate}"));
    };
    // Half of them watch, and so know that they were accepted.
    if id.is_multiple_of(2) {
        ended(&call.trigger().await);
        return;
    }
    let mut pending = match call.trigger().send().await {
        Ok(pending) => pending,
        Err(error) => return ended(&Err(error)),
    };
    while let Some(update) = pending.next().await {
        match update {
            Ok(Update::Accepted | Update::Started) => log.line(&format!("accepted {id}")),
            Ok(Update::Progress(_)) => {}
            Ok(Update::Done(value)) => ended(&Ok(value)),
            Err(error) => ended(&Err(error)),
        }
    }
}

fn name(error: &CallError<Infallible>) -> &'static str {
    match error {
        CallError::Interrupted(_) => "interrupted",
        CallError::Poisoned(_) => "poisoned",
        CallError::Rejected(_) => "rejected",
        CallError::Cancelled => "cancelled",
        CallError::NoAgent(_) => "no-agent",
        CallError::Timeout { .. } => "timeout",
        CallError::ReplyLost => "reply-lost",
        CallError::Transport(_) => "transport",
        CallError::Closed => "closed",
        _ => "other",
    }
}

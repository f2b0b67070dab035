//! The callers of the crash suite: `crash_callers HOME PORT`. They call until their standard input ends, and then until every call has
//! its outcome. Started again after they were killed, they take up the calls of which they do not know how they ended.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io::Read,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rmi_core::{
    CallError, Endpoint, Native, Update,
    call::{Call, Pending},
    error::Fate,
    message::Sn,
    time::{Clock, SystemClock, Timestamp},
    transport::tcp::Tcp,
};
use rmi_tests::crash::{AGENT, CALLERS, LedgerClient, Log, trust};

const WIDTH: u64 = 24;
/// Longer than the agent is ever away.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let home = PathBuf::from(arguments.next().expect("the first argument is a directory"));
    let port = arguments.next().expect("the second argument is a port");
    let path = home.join("callers.log");
    let Earlier { open, next } = Earlier::read(&path);
    let log = Arc::new(Log::open(&path));
    let endpoint = Endpoint::builder(CALLERS)
        .bind(Native::default(), Tcp::connect(format!("127.0.0.1:{port}")).patiently().await.unwrap(), trust(&home, CALLERS))
        .start()
        .await
        .unwrap();
    let (next, stop) = (Arc::new(AtomicU64::new(next)), Arc::new(AtomicBool::new(false)));
    let open = open.into_iter().map(|(id, (sn, sent))| {
        let (ledger, log) = (endpoint.client(AGENT), Arc::clone(&log));
        tokio::spawn(async move { take_up(&ledger, &log, id, &sn, sent).await })
    });
    let mut callers: Vec<_> = open.collect();
    let width = (0..WIDTH).map(|_| {
        let (ledger, log, next, stop) = (endpoint.client(AGENT), Arc::clone(&log), Arc::clone(&next), Arc::clone(&stop));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                call(&ledger, &log, next.fetch_add(1, Ordering::Relaxed)).await;
            }
        })
    });
    callers.extend(width);
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await.unwrap().unwrap();
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    println!("done");
}

/// What the callers before these have written down.
struct Earlier {
    /// The calls without an end, with their serial number and date.
    open: BTreeMap<u64, (Sn, Timestamp)>,
    /// The first number that is free.
    next: u64,
}

impl Earlier {
    fn read(path: &Path) -> Self {
        let (mut open, mut next) = (BTreeMap::new(), 1);
        for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let id: u64 = words[1].parse().unwrap();
            next = next.max(id + 1);
            match words[0] {
                "call" => drop(open.insert(id, (Sn::new(words[3]).unwrap(), Timestamp::parse(words[4]).unwrap()))),
                "ended" => drop(open.remove(&id)),
                _ => {}
            }
        }
        Earlier { open, next }
    }
}

fn of(ledger: &LedgerClient, id: u64) -> Call<u64, Infallible> {
    let millis = [0, 0, 1, 3, 10, 30, 100][id as usize % 7];
    if is_once(id) { ledger.once(id, millis) } else { ledger.again(id, millis) }.timeout(PATIENCE)
}

fn is_once(id: u64) -> bool {
    !id.is_multiple_of(3)
}

async fn call(ledger: &LedgerClient, log: &Log, id: u64) {
    let call = of(ledger, id).prepare();
    let (once, sn, sent) = (if is_once(id) { "once" } else { "again" }, call.sn(), SystemClock.now());
    log.line(&format!("call {id} {once} {sn} {}", sent.to_millis()));
    // Half of them watch, and so know that they were accepted.
    if id.is_multiple_of(2) {
        return ended(log, id, &call.trigger().await);
    }
    match call.trigger().send().await {
        Ok(pending) => watch(pending, log, id).await,
        Err(error) => ended(log, id, &Err(error)),
    }
}

async fn take_up(ledger: &LedgerClient, log: &Log, id: u64, sn: &Sn, sent: Timestamp) {
    log.line(&format!("again {id}"));
    watch(of(ledger, id).resume(sn, sent).unwrap(), log, id).await;
}

async fn watch(mut pending: Pending<u64, Infallible>, log: &Log, id: u64) {
    while let Some(update) = pending.next().await {
        match update {
            Ok(Update::Accepted | Update::Started) => log.line(&format!("accepted {id}")),
            Ok(Update::Progress(_)) => {}
            Ok(Update::Done(value)) => ended(log, id, &Ok(value)),
            Err(error) => ended(log, id, &Err(error)),
        }
    }
}

fn ended(log: &Log, id: u64, result: &Result<u64, CallError<Infallible>>) {
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

//! The load: callers that write down what they call, and what they are told.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rmi_core::{
    CallError, Endpoint, Update,
    call::{Call, OneWay, Pending},
    error::Fate,
    message::Sn,
    time::{Clock, SystemClock, Timestamp},
};
use tokio::{sync::watch, task::JoinHandle, time::sleep};

use super::{AGENT, LedgerClient, Log};

const WIDTH: u64 = 24;
/// Longer than anything is ever away.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How many steps a walk has.
const STEPS: u64 = 12;
/// How long whoever sends what nobody waits for pauses.
const PAUSE: Duration = Duration::from_millis(5);

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Calls that are awaited, and calls that are watched.
    Calls,
    /// Those, calls with progress, and what nobody waits for.
    All,
}

/// Callers at work.
#[derive(Debug)]
pub struct Callers {
    stop: Arc<AtomicBool>,
    paused: watch::Sender<bool>,
    /// How many call now.
    busy: Arc<AtomicUsize>,
    /// How many calls have ended, and how much of what nobody waits for is sent.
    ended: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
    endpoint: Endpoint,
}

impl Callers {
    /// Goes on from what callers before these have written down. Calls are given so much time.
    #[must_use]
    pub fn start(endpoint: Endpoint, log: &Path, mix: Mix, patience: Duration) -> Self {
        let Earlier { open, next } = Earlier::read(log);
        let log = Arc::new(Log::open(log));
        let (next, stop) = (Arc::new(AtomicU64::new(next)), Arc::new(AtomicBool::new(false)));
        let (paused, busy, ended) = (watch::Sender::new(false), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
        let mut tasks = Vec::new();
        for (id, (sn, sent)) in open {
            let (ledger, log) = (endpoint.client(AGENT), Arc::clone(&log));
            tasks.push(tokio::spawn(async move { take_up(&ledger, &log, id, &sn, sent, patience).await }));
        }
        for caller in 0..WIDTH {
            let (ledger, log, next, stop) = (endpoint.client(AGENT), Arc::clone(&log), Arc::clone(&next), Arc::clone(&stop));
            let (mut paused, busy, ended) = (paused.subscribe(), Arc::clone(&busy), Arc::clone(&ended));
            tasks.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    busy.fetch_add(1, Ordering::AcqRel);
                    if *paused.borrow_and_update() {
                        busy.fetch_sub(1, Ordering::AcqRel);
                        let _ = paused.changed().await;
                        continue;
                    }
                    let id = next.fetch_add(1, Ordering::Relaxed);
                    match (mix, caller) {
                        (Mix::All, 0..4) => walk(&ledger, &log, id, patience).await,
                        (Mix::All, 4..8) => note(&ledger, &log, id, patience).await,
                        _ => call(&ledger, &log, id, patience).await,
                    }
                    ended.fetch_add(1, Ordering::Relaxed);
                    busy.fetch_sub(1, Ordering::AcqRel);
                }
            }));
        }
        Callers { stop, paused, busy, ended, tasks, endpoint }
    }

    /// Whose calls these are.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// How many calls have ended, and how much of what nobody waits for is sent.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Begins no calls for a while, and waits until all have ended.
    pub async fn pause(&self) {
        self.paused.send_replace(true);
        while self.busy.load(Ordering::Acquire) > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Goes on after a pause.
    pub fn go_on(&self) {
        self.paused.send_replace(false);
    }

    /// Begins no more calls, and waits until all have ended.
    pub async fn stop(self) -> Endpoint {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.tasks {
            caller.await.unwrap();
        }
        self.endpoint
    }
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

fn of(ledger: &LedgerClient, id: u64, patience: Duration) -> Call<u64, Infallible> {
    let millis = [0, 0, 1, 3, 10, 30, 100][id as usize % 7];
    if is_once(id) { ledger.once(id, millis) } else { ledger.again(id, millis) }.timeout(patience)
}

fn is_once(id: u64) -> bool {
    !id.is_multiple_of(3)
}

fn kind(id: u64) -> &'static str {
    if is_once(id) { "once" } else { "again" }
}

async fn call(ledger: &LedgerClient, log: &Log, id: u64, patience: Duration) {
    let call = of(ledger, id, patience).prepare();
    let (sn, sent) = (call.sn(), SystemClock.now());
    log.line(&format!("call {id} {} {sn} {}", kind(id), sent.to_millis()));
    // Half of them watch, and so know that they were accepted.
    if id.is_multiple_of(2) {
        return ended(log, id, &call.trigger().await);
    }
    match call.trigger().send().await {
        Ok(pending) => watch(pending, log, id).await,
        Err(error) => ended(log, id, &Err(error)),
    }
}

async fn take_up(ledger: &LedgerClient, log: &Log, id: u64, sn: &Sn, sent: Timestamp, patience: Duration) {
    log.line(&format!("again {id}"));
    watch(of(ledger, id, patience).resume(sn, sent).unwrap(), log, id).await;
}

async fn walk(ledger: &LedgerClient, log: &Log, id: u64, patience: Duration) {
    log.line(&format!("walk {id} once"));
    match ledger.walk(id, STEPS).timeout(patience).send().await {
        Ok(pending) => watch(pending, log, id).await,
        Err(error) => ended(log, id, &Err(error)),
    }
}

async fn note(ledger: &LedgerClient, log: &Log, id: u64, patience: Duration) {
    log.line(&format!("note {id} {}", kind(id)));
    let note: OneWay = if is_once(id) { ledger.note(id) } else { ledger.note_again(id) };
    match note.timeout(patience).await {
        Ok(_) => log.line(&format!("taken {id}")),
        Err(error) => log.line(&format!("refused {id} {} {}", name(&error), told(error.fate()))),
    }
    sleep(PAUSE).await;
    // Behind some of them an answer is waited for: else more and more would wait at an agent that is slower than that, and before all
    // calls.
    if id.is_multiple_of(4) {
        let _ = ledger.here().timeout(patience).await;
    }
}

async fn watch<P: Steps>(mut pending: Pending<u64, Infallible, P>, log: &Log, id: u64) {
    let mut last = 0;
    while let Some(update) = pending.next().await {
        match update {
            Ok(Update::Accepted | Update::Started) => log.line(&format!("accepted {id}")),
            Ok(Update::Progress(step)) => {
                let (whose, completed) = (P::whose(&step.details), step.completed);
                let right = whose.is_none_or(|whose| whose == id) && completed > last && completed <= step.total;
                log.line(&format!("{} {id} {completed}", if right { "step" } else { "misstep" }));
                last = completed;
            }
            Ok(Update::Done(value)) => ended(log, id, &Ok(value)),
            Err(error) => ended(log, id, &Err(error)),
        }
    }
}

/// What steps say.
trait Steps: serde::de::DeserializeOwned {
    /// Whose step it is, where it says so.
    fn whose(&self) -> Option<u64>;
}

impl Steps for u64 {
    fn whose(&self) -> Option<u64> {
        Some(*self)
    }
}

impl Steps for rmi_core::Json {
    fn whose(&self) -> Option<u64> {
        None
    }
}

fn ended(log: &Log, id: u64, result: &Result<u64, CallError<Infallible>>) {
    let (end, fate) = match result {
        Ok(value) if *value == id => ("result", Fate::Ran),
        Ok(_) => ("another's", Fate::Ran),
        Err(error) => (name(error), error.fate()),
    };
    log.line(&format!("ended {id} {end} {}", told(fate)));
}

fn told(fate: Fate) -> &'static str {
    match fate {
        Fate::NeverRan => "never",
        Fate::MayHaveRun => "may-have",
        Fate::Ran => "ran",
    }
}

fn name(error: &CallError<Infallible>) -> &'static str {
    match error {
        CallError::Interrupted(_) => "interrupted",
        CallError::Poisoned(_) => "poisoned",
        CallError::Rejected(_) => "rejected",
        CallError::Cancelled => "cancelled",
        CallError::NoAgent(_) => "no-agent",
        CallError::NotSent => "not-sent",
        CallError::Timeout { .. } => "timeout",
        CallError::ReplyLost => "reply-lost",
        CallError::Transport(_) => "transport",
        CallError::Closed => "closed",
        _ => "other",
    }
}

//! Many calls at once, many of them given up: every one has one outcome, and nothing is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rmi_core::{CallError, Update, message::RejectionCode};
use rmi_tests::{
    long::ordinarily_or_long,
    probe::{ProbeClient, ProbeError, ProbeServer, Seen, Watch},
    world::World,
};
use serde_json::Value;

const TASKS: u64 = 64;

fn calls() -> u64 {
    ordinarily_or_long(2_000, 200_000)
}

/// How often things came to pass.
#[derive(Debug, Default)]
struct Tally {
    outcomes: AtomicU64,
    /// Handlers that must run, once.
    runs: AtomicU64,
    /// Listeners that were cancelled before they started: they must not run.
    cancelled: AtomicU64,
    timeouts: AtomicU64,
    /// Messages that must have been on the bus.
    messages: AtomicU64,
}

impl Tally {
    fn add(counter: &AtomicU64, many: u64) {
        counter.fetch_add(many, Ordering::Relaxed);
    }

    fn of(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

/// Numbers that look random and are the same each time (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// One call of some kind, to its outcome or until it is given up.
async fn call(probe: &ProbeClient, peer: &rmi_core::endpoint::Peer, name: &str, dice: &mut Dice, tally: &Tally) {
    let (ran, messages) = match dice.roll(12) {
        0..=3 => {
            assert_eq!(probe.echo(name).await.unwrap(), name);
            (1, 2)
        }
        4 => {
            let mut call = probe.doze(name, dice.roll(3)).send().await.unwrap();
            let mut heard = Vec::new();
            while let Some(update) = call.next().await {
                heard.push(update.unwrap());
            }
            assert_eq!(heard, [Update::Accepted, Update::Started, Update::Done(name.to_owned())]);
            (1, 4)
        }
        5 => {
            // Given up before its outcome, or just after.
            let mut call = probe.doze(name, dice.roll(3)).send().await.unwrap();
            for _ in 0..dice.roll(4) {
                call.next().await.unwrap().unwrap();
            }
            (1, 4)
        }
        6 => {
            // Given up as soon as the bus has it.
            let _ = tokio::time::timeout(Duration::ZERO, probe.doze(name, dice.roll(3)).into_future()).await;
            (1, 2)
        }
        7 => {
            match probe.doze(name, dice.roll(4)).timeout(Duration::from_millis(1 + dice.roll(3))).await {
                Ok(said) => assert_eq!(said, name),
                Err(CallError::Timeout { .. }) => Tally::add(&tally.timeouts, 1),
                Err(other) => panic!("{other:?}"),
            }
            (1, 2)
        }
        8 => {
            let admin = peer.class("Admin");
            let call = probe.listen(name).send().await.unwrap();
            for _ in 0..dice.roll(3) {
                tokio::task::yield_now().await;
            }
            // In line behind the call: in its own lane the request may come first, and would be made twice.
            let cancelled: Vec<String> = admin.call("cancel", [call.sn().as_str()]).await.unwrap();
            assert_eq!(cancelled, [call.sn().as_str()]);
            match call.await {
                Ok(said) => {
                    assert_eq!(said, format!("{name} was cancelled"));
                    (1, 6)
                }
                Err(CallError::Cancelled) => {
                    Tally::add(&tally.cancelled, 1);
                    (0, 5)
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        9 => {
            match probe.fail(7).await {
                Err(CallError::Remote(ProbeError::Broken { code: 7 })) => {}
                other => panic!("{other:?}"),
            }
            (1, 2)
        }
        10 => {
            match peer.class("probe").call::<Value>("nothing", [name]).await {
                Err(CallError::Rejected(rejection)) => assert_eq!(rejection.code, RejectionCode::UnknownMethod),
                other => panic!("{other:?}"),
            }
            (0, 2)
        }
        _ => {
            probe.note(name).await.unwrap();
            (1, 1)
        }
    };
    Tally::add(&tally.runs, ran);
    Tally::add(&tally.messages, messages);
    Tally::add(&tally.outcomes, 1);
}

async fn load(world: World, calls: u64) {
    let (probing, mut watch) = Watch::new();
    // Straight on the bus: a tap would remember every message.
    let builder = |name: &str| {
        let builder = rmi_core::Endpoint::builder(name.to_owned());
        builder.bind(rmi_core::Native::default(), world.bus.clone(), world.trust(name))
    };
    let agent = builder("agent").serve(ProbeServer::new(probing)).concurrency(48).start().await.unwrap();
    let caller = builder("caller").start().await.unwrap();
    let tally = Arc::new(Tally::default());
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (probe, peer) = (caller.client::<ProbeClient>("agent"), caller.peer("agent"));
            let tally = Arc::clone(&tally);
            tokio::spawn(async move {
                let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (task + 1));
                for number in (task..calls).step_by(TASKS as usize) {
                    call(&probe, &peer, &number.to_string(), &mut dice, &tally).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(Tally::of(&tally.outcomes), calls);
    assert_eq!(caller.figures()[0].calls_waiting, 0);

    // What was given up runs on, each of them once; what was cancelled in time never does.
    let mut began: HashMap<String, u32> = HashMap::new();
    let mut ended = 0;
    while ended < Tally::of(&tally.runs) {
        match watch.next().await {
            Seen::Began(name) if name != "fail" => *began.entry(name).or_default() += 1,
            Seen::Ended(_) => ended += 1,
            Seen::Began(_) | Seen::Cancelled(_) => {}
            Seen::Dropped(name) => panic!("{name} was dropped"),
        }
    }
    assert!(began.values().all(|times| *times == 1), "{began:?}");

    let drained = agent.shutdown(Duration::from_secs(60)).await.unwrap();
    assert_eq!((drained.left_behind, agent.running()), (0, 0));
    let figures = agent.figures()[0];
    assert_eq!((figures.outcomes_unsent, figures.statuses_lost, figures.panics, figures.attached), (0, 0, 0, 0));
    let counters = world.bus.counters();
    assert_eq!((counters.unsettled, counters.redelivered, counters.dead_lettered, counters.unroutable), (0, 0, 0, 0));
    // Each request was answered once, and nothing else was said.
    assert_eq!(counters.published, Tally::of(&tally.messages));
    let _ = caller.shutdown(Duration::ZERO).await.unwrap();
    let counters = world.bus.counters();
    assert_eq!((counters.unsettled, counters.waiting), (0, 0));

    assert_eq!((watch.ran() as u64, watch.seen()), (Tally::of(&tally.runs), vec![]));
    println!("{calls} calls: {tally:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_left_behind_unsealed() {
    load(World::unsealed(), calls()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_left_behind_sealed() {
    load(World::sealed(), calls()).await;
}

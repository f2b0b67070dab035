//! After a connection has been cut again and again under load, there is no more of anything than before: connections, channels, queues
//! and consumers at the broker; tasks, threads, files and memory here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    alloc::System,
    fs,
    time::{Duration, Instant},
};

use rmi_tests::{
    amqp::proxied,
    failures::{Scene, patient, run},
    long::ordinarily_or_long,
    rabbit::{Held, Rabbit},
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::{runtime::Handle, task::block_in_place, time::sleep};

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How long things may take to go that are on their way out.
const PATIENCE: Duration = Duration::from_secs(20);
/// What comes and goes: far less than what each of the cuts would leave.
const MARGIN: isize = 2 << 20;
/// What a request takes at most that is remembered, with its outcome.
const REMEMBERED: isize = 1 << 10;

fn cuts() -> usize {
    ordinarily_or_long(10, 100)
}

/// What there is of everything that could be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Things {
    held: Held,
    tasks: usize,
    threads: usize,
    files: usize,
}

impl Things {
    fn at(broker: &Rabbit) -> Self {
        Things {
            held: broker.held(),
            tasks: Handle::current().metrics().num_alive_tasks(),
            threads: entries("/proc/self/task"),
            files: entries("/proc/self/fd"),
        }
    }

    fn is_more_than(&self, other: &Self) -> bool {
        let (now, then) = (&self.held, &other.held);
        now.connections > then.connections
            || now.channels > then.channels
            || now.queues > then.queues
            || now.consumers > then.consumers
            || self.tasks > other.tasks
            || self.threads > other.threads
            || self.files > other.files
    }
}

fn entries(directory: &str) -> usize {
    fs::read_dir(directory).unwrap().count()
}

fn held() -> isize {
    let stats = MEMORY.stats();
    stats.bytes_allocated as isize - stats.bytes_deallocated as isize
}

#[test]
fn a_hundred_cuts_leave_nothing_behind() {
    let broker = Rabbit::start();
    run(async {
        let (proxy, url) = proxied(&broker.url()).await;
        let scene = Scene::begin("connections cut", &url, &patient()).await;
        let cut = async |round: usize| {
            let lost = scene.counters();
            match round % 5 {
                0 | 3 => proxy.cut(),
                1 | 4 => proxy.reset(),
                _ => proxy.hang(),
            }
            scene.lose(lost).await;
            if round % 5 == 2 {
                // Nobody would ever end what hangs there.
                proxy.cut_hung();
            }
            scene.is_back(Instant::now()).await;
        };
        // What is made once is made.
        for round in 0..3 {
            cut(round).await;
        }
        scene.pause().await;
        let (first, memory, known) = (block_in_place(|| Things::at(&broker)), held(), scene.remembered());
        scene.go_on();
        for round in 0..cuts() {
            cut(round).await;
        }
        scene.pause().await;
        let began = Instant::now();
        let last = loop {
            let last = block_in_place(|| Things::at(&broker));
            if !last.is_more_than(&first) || began.elapsed() > PATIENCE {
                break last;
            }
            sleep(Duration::from_millis(100)).await;
        };
        let grown = held() - memory;
        let known = scene.remembered().saturating_sub(known) as isize;
        println!("{} cuts: before {first:?}, after {last:?}, {} KiB and {known} remembered requests more", cuts(), grown / 1024);
        assert!(!last.is_more_than(&first), "something is left: before {first:?}, after {last:?}");
        assert!(grown < MARGIN + known * REMEMBERED, "{grown} bytes are left");
        scene.go_on();
        scene.end().await.holds();
    });
}

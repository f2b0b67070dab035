//! A hundred thousand requests thrown at an agent with eight handlers: memory stays within a bound, and every one has one outcome.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    alloc::System,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use rmi_core::{Endpoint, Memory, Native, Trust, remote, transport::Transport};
use rmi_tests::{
    eager::Eager,
    long::ordinarily_or_long,
    raw::{Mailbox, kind, publish},
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What the agent, the bus and all their queues may take more than before, however much is thrown at them.
const BOUND: usize = 24 << 20;

/// How many bytes are in use.
fn in_use() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

fn requests() -> usize {
    ordinarily_or_long(20_000, 100_000)
}

#[remote(name = "mill")]
trait Mill {
    async fn grind(&self, number: usize) -> Result<usize, Infallible>;
}

/// Notes how often it ran for each number.
struct Counting(Arc<[AtomicU8]>);

impl Mill for Counting {
    async fn grind(&self, number: usize) -> Result<usize, Infallible> {
        self.0[number].fetch_add(1, Ordering::SeqCst);
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
        Ok(number)
    }
}

/// How many got a result, and how many were rejected.
async fn flood(transport: impl Transport, bus: Memory, many: usize) -> (usize, usize) {
    let ran: Arc<[AtomicU8]> = (0..many).map(|_| AtomicU8::new(0)).collect();
    let agent = Endpoint::builder("agent").bind(Native::default(), transport, Trust::insecure()).concurrency(8);
    let agent = agent.serve(MillServer::new(Counting(Arc::clone(&ran)))).start().await.unwrap();
    let mut replies = Mailbox::open(&bus, "box").await;
    let before = in_use();
    let reader = tokio::spawn(async move {
        let (mut outcomes, mut left) = (vec![None; many], many);
        let mut most = 0;
        while left > 0 {
            let reply = replies.next().await;
            let number: usize = reply["sn"].as_str().unwrap().parse().unwrap();
            match kind(&reply) {
                "result" => assert_eq!(reply["result"]["retval"], number),
                "rejected" => {
                    assert_eq!(reply["code"], "agent.busy");
                    let hint = reply["rmi"]["retry_after"].as_u64().unwrap();
                    assert!((100..=30_000).contains(&hint), "{reply}");
                }
                other => panic!("{other}: {reply}"),
            }
            let again = outcomes[number].replace(kind(&reply) == "result");
            assert_eq!(again, None, "{number} has two outcomes");
            left -= 1;
            if left % 64 == 0 {
                most = most.max(in_use());
            }
        }
        (outcomes, most)
    });
    for number in 0..many {
        let request = format!(
            r#"{{"data":null,"replyto":"box","request":{{"args":[{number}],"classname":"mill","cntr":null,"kws":{{}},"method":"grind"}},"rmi":{{"statuses":[]}},"routing":["caller","agent"],"sn":"{number}","version":"2.0"}}"#
        );
        publish(&bus, "agent", request).await;
    }
    let (outcomes, most) = reader.await.unwrap();
    assert_eq!((agent.queued(), agent.shutdown(Duration::from_secs(10)).await.unwrap().left_behind), (0, 0));
    let counters = bus.counters();
    assert_eq!((counters.dead_lettered, counters.redelivered, counters.unroutable), (0, 0, 0));
    for (number, (outcome, ran)) in outcomes.iter().zip(&*ran).enumerate() {
        let result = outcome.expect("an outcome");
        assert_eq!(ran.load(Ordering::SeqCst), u8::from(result), "{number}: rejected means that it never ran");
    }
    let taken = most.saturating_sub(before);
    let done = outcomes.iter().flatten().filter(|result| **result).count();
    println!("{many} requests: {done} done, {} rejected, {} KiB taken at most", many - done, taken >> 10);
    assert!(taken < BOUND, "{taken} bytes were taken");
    (done, many - done)
}

/// One after the other: they measure the memory of one process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_held_in_bounds() {
    let many = requests();
    // Where the bus keeps them nobody is rejected.
    let bus = Memory::new();
    assert_eq!(flood(bus.clone(), bus, many).await, (many, 0));
    // By something like a link most are.
    let bus = Memory::new();
    let (done, rejected) = flood(Eager(bus.clone()), bus, many).await;
    assert!(done >= 8 && rejected > 0, "{done} done, {rejected} rejected");
}

//! Contracts whose requests run one after the other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rmi_core::{Client as _, Endpoint, Memory, Native, Trust, remote};
use rmi_tests::{probe::ProbeClient, soon::soon};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_contract_says_so() {
    assert!(CountClient::CONTRACT.sequential);
    assert!(!ProbeClient::CONTRACT.sequential);
}

/// Notes the order in which it is called, and whether two calls run at a time.
#[derive(Default)]
struct Counting {
    at_once: AtomicUsize,
    most: AtomicUsize,
    order: Mutex<Vec<u32>>,
}

#[remote(sequential)]
trait Count {
    async fn next(&self, number: u32) -> Result<(), Infallible>;
    #[remote(oneway)]
    async fn note(&self, number: u32);
}

impl Count for Arc<Counting> {
    async fn next(&self, number: u32) -> Result<(), Infallible> {
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(at_once, Ordering::SeqCst);
        for _ in 0..number % 3 {
            tokio::task::yield_now().await;
        }
        self.order.lock().unwrap().push(number);
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }

    async fn note(&self, number: u32) {
        let _ = self.next(number).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_holds_on_several_threads() {
    // The last one is awaited: the drain would rightly reject what has not started.
    const MANY: u32 = 501;
    let (bus, counting) = (Memory::new(), Arc::new(Counting::default()));
    let agent = Endpoint::builder("agent").bind(Native::default(), bus.clone(), Trust::insecure());
    let agent = agent.serve(CountServer::new(Arc::clone(&counting))).start().await.unwrap();
    let caller = Endpoint::builder("caller").bind(Native::default(), bus, Trust::insecure()).start().await.unwrap();
    let count: CountClient = caller.client("agent");
    // Some are answered with statuses, some with their outcome, some not at all: what is said on the way changes no order.
    let mut calls = Vec::new();
    for number in 0..MANY {
        match number % 2 {
            0 => calls.push(count.next(number).send().await.unwrap()),
            _ => drop(count.note(number).notify().await.unwrap()),
        }
    }
    for call in calls {
        soon("it is answered", call.into_future()).await.unwrap();
    }
    assert_eq!(agent.shutdown(SECOND * 10).await.unwrap().left_behind, 0);
    assert_eq!(counting.most.load(Ordering::SeqCst), 1);
    assert_eq!(*counting.order.lock().unwrap(), (0..MANY).collect::<Vec<_>>());
}

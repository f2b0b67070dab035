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

use rmi_core::{CallError, Client as _, Endpoint, Memory, Native, Trust, Update, error::Fate, message::RejectionCode, remote};
use rmi_tests::{
    probe::{Probe, ProbeClient, ProbeServer, Probing, Seen, Watch},
    soon::soon,
    tap::Tap,
    world::World,
};
use serde::{Deserialize, Serialize};

const SECOND: Duration = Duration::from_secs(1);

/// One thing at a time.
#[remote(name = "press", sequential)]
trait Press {
    /// Waits for the gate.
    async fn hold(&self, name: &str) -> Result<String, Infallible>;

    /// Waits for the gate, in the receiver's task as far as that goes.
    #[remote(inline)]
    async fn hold_inline(&self, name: &str) -> Result<String, Infallible>;

    /// Panics.
    async fn explode(&self) -> Result<(), Infallible>;
}

struct Pressing(Probing);

impl Press for Pressing {
    async fn hold(&self, name: &str) -> Result<String, Infallible> {
        self.0.hold(name).await
    }

    async fn hold_inline(&self, name: &str) -> Result<String, Infallible> {
        self.0.hold(name).await
    }

    async fn explode(&self) -> Result<(), Infallible> {
        self.0.explode("").await
    }
}

fn press() -> (PressServer<Pressing>, Watch) {
    let (probing, watch) = Watch::new();
    (PressServer::new(Pressing(probing)), watch)
}

fn ended(name: &str) -> Seen {
    Seen::Ended(name.to_owned())
}

#[test]
fn the_contract_says_so() {
    assert!(PressClient::CONTRACT.sequential);
    assert!(!ProbeClient::CONTRACT.sequential);
}

#[tokio::test(start_paused = true)]
async fn sequential_requests_run_one_after_the_other() {
    for world in World::both() {
        let (server, mut watch) = press();
        // As many as may run at a time wait for their turn, and take no place from others.
        let agent = world.agent_with("agent", |b| b.concurrency(2).serve(server)).await;
        let caller = world.caller("caller").await;
        let press: PressClient = caller.endpoint.client("agent");
        let mut calls = Vec::new();
        for name in ["a", "b", "c", "d", "e"] {
            calls.push((name, press.hold(name).send().await.unwrap()));
        }
        for (name, call) in calls {
            assert_eq!(watch.began().await, name);
            world.settle().await;
            assert_eq!(caller.probe().echo("meanwhile").await.unwrap(), "meanwhile");
            assert_eq!(watch.seen(), []);
            watch.open(1);
            assert_eq!(call.await.unwrap(), name);
            assert_eq!(watch.next().await, ended(name));
        }
        assert_eq!((watch.ran(), agent.watch.ran(), agent.endpoint.running()), (5, 5, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_may_serve_any_contract_one_after_the_other() {
    for world in World::both() {
        let (probing, mut watch) = Watch::new();
        let agent = world.builder("agent", &Tap::on(&world.bus)).serve_sequential(ProbeServer::new(probing));
        let (_agent, caller) = (agent.start().await.unwrap(), world.caller("caller").await);
        let mut calls = Vec::new();
        for name in ["a", "b", "c"] {
            calls.push((name, caller.probe().hold(name).send().await.unwrap()));
        }
        for (name, call) in calls {
            assert_eq!(watch.began().await, name);
            world.settle().await;
            assert_eq!(watch.seen(), []);
            watch.open(1);
            assert_eq!(call.await.unwrap(), name);
            assert_eq!(watch.next().await, ended(name));
        }
    }
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
async fn sequential_requests_keep_the_order_of_their_admission() {
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

#[tokio::test(start_paused = true)]
async fn who_waits_for_its_turn_can_be_cancelled() {
    for world in World::both() {
        let (server, mut watch) = press();
        let (_agent, caller) = (world.agent_with("agent", |b| b.serve(server)).await, world.caller("caller").await);
        let press: PressClient = caller.endpoint.client("agent");
        let running = press.hold("running").send().await.unwrap();
        assert_eq!(watch.began().await, "running");
        let mut waiting = press.hold("waiting").send().await.unwrap();
        assert_eq!(waiting.next().await.unwrap().unwrap(), Update::Accepted);
        let behind = press.hold("behind").send().await.unwrap();
        assert!(waiting.cancel().await.unwrap());
        // At once, while the first one still runs.
        let error = waiting.await.unwrap_err();
        assert_eq!(error.fate(), Fate::NeverRan);
        assert!(matches!(error, CallError::Cancelled), "{error:?}");
        assert_eq!(watch.ran(), 1);
        // It leaves no gap.
        watch.open(2);
        assert_eq!((running.await.unwrap(), behind.await.unwrap()), ("running".to_owned(), "behind".to_owned()));
        assert_eq!(watch.ran(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_its_turn_can_expire() {
    for world in World::both() {
        let (server, mut watch) = press();
        let (_agent, caller) = (world.agent_with("agent", |b| b.serve(server)).await, world.caller("caller").await);
        let press: PressClient = caller.endpoint.client("agent");
        let running = press.hold("running").send().await.unwrap();
        assert_eq!(watch.began().await, "running");
        let expired = press.hold("expired").ttl(SECOND).await.unwrap_err();
        assert!(matches!(&expired, CallError::Rejected(r) if r.code == RejectionCode::Expired), "{expired:?}");
        watch.open(2);
        assert_eq!(running.await.unwrap(), "running");
        assert_eq!(press.hold("next").await.unwrap(), "next");
        assert_eq!(watch.ran(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_its_turn_is_rejected_by_a_drain() {
    for world in World::both() {
        let (server, mut watch) = press();
        let (agent, caller) = (world.agent_with("agent", |b| b.serve(server)).await, world.caller("caller").await);
        let press: PressClient = caller.endpoint.client("agent");
        let running = press.hold("running").send().await.unwrap();
        assert_eq!(watch.began().await, "running");
        let mut waiting = press.hold("waiting").send().await.unwrap();
        assert_eq!(waiting.next().await.unwrap().unwrap(), Update::Accepted);
        let endpoint = agent.endpoint.clone();
        let drain = tokio::spawn(async move { endpoint.shutdown(SECOND * 30).await });
        let rejected = waiting.await.unwrap_err();
        assert!(matches!(&rejected, CallError::Rejected(r) if r.code == RejectionCode::Closing), "{rejected:?}");
        watch.open(1);
        assert_eq!(running.await.unwrap(), "running");
        assert_eq!((drain.await.unwrap().unwrap().left_behind, watch.ran()), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_inline_handler_waits_for_its_turn_as_well() {
    for world in World::both() {
        let (server, mut watch) = press();
        let (_agent, caller) = (world.agent_with("agent", |b| b.serve(server)).await, world.caller("caller").await);
        let press: PressClient = caller.endpoint.client("agent");
        let mut calls = Vec::new();
        for name in ["a", "b"] {
            calls.push((name, press.hold_inline(name).send().await.unwrap()));
        }
        for (name, call) in calls {
            assert_eq!(watch.began().await, name);
            world.settle().await;
            assert_eq!(watch.seen(), []);
            watch.open(1);
            assert_eq!(call.await.unwrap(), name);
            assert_eq!(watch.next().await, ended(name));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_a_turn() {
    let world = World::unsealed();
    let (server, watch) = press();
    let (_agent, caller) = (world.agent_with("agent", |b| b.serve(server)).await, world.caller("caller").await);
    let press: PressClient = caller.endpoint.client("agent");
    watch.open(1);
    let (exploded, next) = (press.explode().send().await.unwrap(), press.hold("next").send().await.unwrap());
    assert!(matches!(exploded.await, Err(CallError::Panicked(_))));
    assert_eq!(next.await.unwrap(), "next");
}

/// Whom an instance is for.
#[derive(Serialize, Deserialize)]
struct Owner {
    name: String,
}

#[tokio::test(start_paused = true)]
async fn an_instance_of_its_own_is_made_when_its_turn_has_come() {
    let world = World::unsealed();
    let ((probing, mut watch), made) = (Watch::new(), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&made);
    let server = PressServer::per_call(move |owner: Owner| -> Result<Pressing, Infallible> {
        noted.lock().unwrap().push(owner.name);
        Ok(Pressing(probing.clone()))
    });
    let (_agent, caller) = (world.agent_with("agent", |b| b.serve(server)).await, world.caller("caller").await);
    let owned = |name: &str| caller.endpoint.client::<PressClient>("agent").with_cntr(&Owner { name: name.to_owned() }).unwrap();
    let mut calls = Vec::new();
    for name in ["a", "b"] {
        calls.push((name, owned(name).hold(name).send().await.unwrap()));
    }
    for (count, (name, call)) in (1..).zip(calls) {
        assert_eq!(watch.began().await, name);
        world.settle().await;
        assert_eq!(made.lock().unwrap().len(), count);
        watch.open(1);
        assert_eq!(call.await.unwrap(), name);
        assert_eq!(watch.next().await, ended(name));
    }
    assert_eq!(*made.lock().unwrap(), ["a", "b"]);
}

/// The next major of a press.
mod v2 {
    #[rmi_core::remote(name = "press", version = "2.0", sequential)]
    pub(crate) trait Press {
        async fn hold(&self, name: &str) -> Result<String, std::convert::Infallible>;
    }

    impl Press for super::Pressing {
        async fn hold(&self, name: &str) -> Result<String, std::convert::Infallible> {
            super::Press::hold(self, name).await
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_major_of_a_sequential_contract_has_a_queue_of_its_own() {
    let world = World::unsealed();
    let ((old, mut old_watch), (probing, mut new_watch)) = (press(), Watch::new());
    let new = v2::PressServer::new(Pressing(probing));
    let (_agent, caller) = (world.agent_with("agent", |b| b.serve(old).serve(new)).await, world.caller("caller").await);
    let held = caller.endpoint.client::<PressClient>("agent").hold("old").send().await.unwrap();
    assert_eq!(old_watch.began().await, "old");
    let press: v2::PressClient = caller.endpoint.client("agent");
    let mut calls = Vec::new();
    for name in ["a", "b"] {
        calls.push((name, press.hold(name).send().await.unwrap()));
    }
    for (name, call) in calls {
        assert_eq!(new_watch.began().await, name);
        world.settle().await;
        assert_eq!(new_watch.seen(), []);
        new_watch.open(1);
        assert_eq!(call.await.unwrap(), name);
        assert_eq!(new_watch.next().await, ended(name));
    }
    old_watch.open(1);
    assert_eq!(held.await.unwrap(), "old");
}

#[tokio::test(start_paused = true)]
async fn each_sequential_contract_has_a_queue_of_its_own() {
    let world = World::unsealed();
    let ((server, mut watch), counting) = (press(), Arc::new(Counting::default()));
    let count_server = CountServer::new(Arc::clone(&counting));
    let _agent = world.agent_with("agent", |b| b.serve(server).serve(count_server)).await;
    let caller = world.caller("caller").await;
    let held = caller.endpoint.client::<PressClient>("agent").hold("held").send().await.unwrap();
    assert_eq!(watch.began().await, "held");
    caller.endpoint.client::<CountClient>("agent").next(1).await.unwrap();
    watch.open(1);
    assert_eq!(held.await.unwrap(), "held");
}

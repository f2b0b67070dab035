//! Calls over a bus that loses, doubles, delays and swaps frames and cuts links, to agents that crash: every call has one outcome,
//! nothing runs twice that may not, what is said about an outcome is true, and nothing is left behind.
//!
//! `RMI_TEST_LONG=1` makes many calls; `RMI_TEST_SEED` repeats one seed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rmi_core::{
    CallError, Ed25519, Endpoint, Keyring, Memory, Native, Trust, Update,
    error::Fate,
    layer::{Incoming, Layer, async_trait},
    message::Rejection,
    remote,
    seal::PrivateKey,
    testing::faults::{Faults, Faulty},
};
use rmi_tests::{clock::paused, long::ordinarily_or_long};
use tokio::{runtime::Handle, time::sleep};

/// Something that is counted each time that it is done.
#[remote(name = "ledger")]
pub trait Ledger {
    /// May run once.
    async fn once(&self, id: u64, millis: u64) -> Result<u64, Infallible>;

    /// May run again.
    #[remote(idempotent)]
    async fn again(&self, id: u64, millis: u64) -> Result<u64, Infallible>;
}

/// How often each entry was made, over all restarts.
#[derive(Clone, Debug, Default)]
struct Book(Arc<Mutex<HashMap<u64, u32>>>);

impl Book {
    async fn enter(&self, id: u64, millis: u64) -> Result<u64, Infallible> {
        *self.0.lock().unwrap().entry(id).or_default() += 1;
        if millis > 0 {
            sleep(Duration::from_millis(millis)).await;
        }
        Ok(id)
    }

    fn times(&self, id: u64) -> u32 {
        self.0.lock().unwrap().get(&id).copied().unwrap_or(0)
    }
}

impl Ledger for Book {
    async fn once(&self, id: u64, millis: u64) -> Result<u64, Infallible> {
        self.enter(id, millis).await
    }

    async fn again(&self, id: u64, millis: u64) -> Result<u64, Infallible> {
        self.enter(id, millis).await
    }
}

/// Counts the requests that are new to an agent: calls, and what asks for lost outcomes.
#[derive(Clone, Debug, Default)]
struct Admitted(Arc<AtomicU64>);

#[async_trait]
impl Layer for Admitted {
    async fn admit(&self, _: &Incoming) -> Result<(), Rejection> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

const CALLERS: u64 = 24;
const MILLI: Duration = Duration::from_millis(1);

/// What goes wrong besides what the bus does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Agents {
    Stay,
    /// Every so often the agent is dropped or drained, and the next one starts.
    Restart,
}

fn calls() -> u64 {
    ordinarily_or_long(650, 6_500)
}

fn seeds() -> Vec<u64> {
    match std::env::var("RMI_TEST_SEED") {
        Ok(seed) => vec![seed.parse().expect("`RMI_TEST_SEED` is a number")],
        Err(_) => vec![1, 2, 3, 4],
    }
}

/// Everybody's keys, where everybody signs.
struct Trusts(Option<(Keyring, HashMap<&'static str, PrivateKey>)>);

impl Trusts {
    fn new(sealed: bool) -> Self {
        Trusts(sealed.then(|| {
            let (ring, mut keys) = (Keyring::new(), HashMap::new());
            for name in ["agent", "caller"] {
                let key = PrivateKey::generate().unwrap();
                ring.trust(name.to_owned(), key.public()).unwrap();
                keys.insert(name, key);
            }
            (ring, keys)
        }))
    }

    fn of(&self, name: &str) -> Trust {
        match &self.0 {
            Some((ring, keys)) => Trust::sealed(Ed25519::new(keys[name].clone(), ring.clone())),
            None => Trust::insecure(),
        }
    }
}

async fn agent(bus: &Memory, trusts: &Trusts, faults: Faults, book: &Book, admitted: &Admitted) -> Endpoint {
    let transport = Faulty::new(bus.clone(), faults);
    let builder = Endpoint::builder("agent").bind(Native::default(), transport, trusts.of("agent")).concurrency(16);
    builder.serve(LedgerServer::new(book.clone())).layer(admitted.clone()).start().await.unwrap()
}

/// What is known about a call.
#[derive(Debug)]
struct Ended {
    id: u64,
    once: bool,
    result: Result<u64, CallError<Infallible>>,
}

/// One call, to its one outcome.
async fn call(ledger: &LedgerClient, id: u64) -> Ended {
    let (once, millis, time) = (!id.is_multiple_of(3), id % 7 * 3, MILLI * 400);
    let call = if once { ledger.once(id, millis) } else { ledger.again(id, millis) }.timeout(time);
    let ending = async {
        if id.is_multiple_of(2) {
            return call.await;
        }
        let mut pending = call.send().await?;
        let mut outcomes = Vec::new();
        while let Some(update) = pending.next().await {
            match update {
                Ok(Update::Done(value)) => outcomes.push(Ok(value)),
                Ok(_) => assert!(outcomes.is_empty(), "a status came after the outcome"),
                Err(error) => outcomes.push(Err(error)),
            }
        }
        assert_eq!(outcomes.len(), 1, "a call has one outcome: {outcomes:?}");
        outcomes.remove(0)
    };
    // By the bus's clock: a call must not outlive its time.
    let result = tokio::time::timeout(time * 3, ending).await.expect("every call ends within its time");
    Ended { id, once, result }
}

async fn run(seed: u64, sealed: bool, agents: Agents, faults: Faults) -> HashMap<&'static str, u64> {
    let tasks = Handle::current().metrics().num_alive_tasks();
    let (bus, book, trusts, admitted) = (Memory::new(), Book::default(), Trusts::new(sealed), Admitted::default());
    let transport = Faulty::new(bus.clone(), faults.reseeded(1));
    let caller =
        Endpoint::builder("caller").bind(Native::default(), transport.clone(), trusts.of("caller")).start().await.unwrap();
    let mut serving = agent(&bus, &trusts, faults.reseeded(2), &book, &admitted).await;

    let calls = calls();
    let callers: Vec<_> = (0..CALLERS)
        .map(|first| {
            let ledger: LedgerClient = caller.client("agent");
            tokio::spawn(async move {
                let mut ended = Vec::new();
                for id in (first..calls).step_by(CALLERS as usize) {
                    ended.push(call(&ledger, id).await);
                }
                ended
            })
        })
        .collect();
    let mut restarts = 0;
    while agents == Agents::Restart && !callers.iter().all(tokio::task::JoinHandle::is_finished) {
        sleep(MILLI * 150).await;
        restarts += 1;
        if restarts % 2 == 0 {
            let _ = serving.shutdown(MILLI * 5).await.unwrap();
        }
        drop(serving);
        serving = agent(&bus, &trusts, faults.reseeded(2 + restarts), &book, &admitted).await;
    }
    let mut ended = Vec::new();
    for caller in callers {
        ended.extend(caller.await.unwrap());
    }
    assert_eq!(ended.len() as u64, calls);

    // What is late comes, what runs ends.
    sleep(Duration::from_secs(2)).await;
    let figures = caller.figures()[0];
    assert_eq!((figures.calls_waiting, serving.running()), (0, 0), "calls, and requests");
    let remembered = serving.figures()[0].remembered;
    assert!(remembered <= admitted.0.load(Ordering::Relaxed), "the window holds {remembered}, more than was admitted");
    let counters = bus.counters();
    assert_eq!((counters.unsettled, counters.blocked, counters.waiting), (0, 0, 0), "{counters:?}");
    let _ = caller.shutdown(Duration::ZERO).await.unwrap();
    assert_eq!(serving.shutdown(Duration::from_secs(1)).await.unwrap().left_behind, 0);
    drop((caller, serving));
    sleep(Duration::from_secs(1)).await;
    let counters = bus.counters();
    assert_eq!((counters.subscribers, counters.mailboxes), (0, 1), "the agent's durable mailbox alone is left: {counters:?}");
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks, "tasks are left behind");

    let mut tally: HashMap<&'static str, u64> = HashMap::new();
    for Ended { id, once, result } in &ended {
        let times = book.times(*id);
        assert!(!once || times <= 1, "call {id} may run once and ran {times} times; its caller was told {result:?}; seed {seed}");
        let (told, fits) = match result {
            Ok(value) => ("result", value == id && times >= 1),
            Err(error) => match error.fate() {
                // An acknowledgement can be lost with its link after the rejection went out: the bus then gives the request to the
                // next agent, which may run what is idempotent, and nothing else.
                Fate::NeverRan => ("never ran", times == 0 || (!once && agents == Agents::Restart)),
                Fate::Ran => ("ran", times >= 1),
                Fate::MayHaveRun => ("may have run", true),
            },
        };
        assert!(fits, "call {id} was told {result:?}, and ran {times} times; seed {seed}");
        *tally.entry(told).or_default() += 1;
    }
    let counts = transport.counts();
    println!("seed {seed}, sealed {sealed}, {restarts} restarts: {tally:?}, {counts:?}");
    tally
}

fn each(agents: Agents, faults: impl Fn(u64) -> Faults) {
    let mut wrong = 0;
    for seed in seeds() {
        for sealed in [false, true] {
            // One thread and paused time: a seed is a run.
            let runtime = paused().unwrap();
            let tally = runtime.block_on(run(seed, sealed, agents, faults(seed)));
            let results = tally.get("result").copied().unwrap_or(0);
            assert!(results * 4 >= calls() * 3, "most calls come to their result in spite of it all: {tally:?}");
            wrong += calls() - results;
        }
    }
    assert!(wrong > 0, "nothing went wrong");
}

#[test]
fn a_bus_that_loses_and_doubles_runs_nothing_twice() {
    each(Agents::Stay, |seed| Faults::seeded(seed).lose(10).double(50).swap(50).delay(50, MILLI * 40));
}

#[test]
fn links_that_are_cut_leave_nothing_behind() {
    each(Agents::Stay, |seed| Faults::seeded(seed).double(20).swap(20).delay(20, MILLI * 20).cut(3, MILLI * 30));
}

/// What an agent remembers goes with it: what is doubled is not among these faults, since its copy may come to the next agent.
#[test]
fn agents_that_crash_run_nothing_twice() {
    each(Agents::Restart, |seed| Faults::seeded(seed).lose(5).swap(20).delay(20, MILLI * 20).cut(1, MILLI * 20));
}

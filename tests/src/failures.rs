//! What goes on while something happens to a broker: callers and an agent with connections of their own, events, and somebody who hears
//! them. In the end the books are compared.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rmi_amqp::{Amqp, Counters, Options};
use rmi_core::{
    Endpoint, Native,
    endpoint::{Events, Missed, QueueSize},
    protocol::Limits,
};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::sleep};

use crate::crash::{
    AGENT, Audit, Book, CALLERS, Callers, LedgerClient, LedgerServer, Log, Mix, PATIENCE, Told, Totals, keys, options, trust,
};

/// Who hears what is told.
const EARS: &str = "ears";
/// Within this time after a broker is there again everything goes on by itself, with the [options] of the suites: two heartbeats until a
/// loss is noticed, a connection that is being made and is not answered (5 s), a pause (1 s), a subscription that makes trouble (5 s), and
/// what a busy machine adds.
pub const BACK: Duration = Duration::from_secs(20);
/// How many methods the agent runs at a time.
const HANDLERS: usize = 8;
/// What belongs to a while that goes well: so many calls that end, and so many events that are heard. However long that takes.
const WHILE: (u64, u64) = (150, 10);
/// How far clocks are apart here. Of what was sent later than that after its start, an agent knows whether it has come.
const SKEW: Duration = Duration::from_millis(50);

/// Runs a scene. `RUST_LOG` says what is shown of it.
pub fn run(scene: impl Future<Output = ()>) {
    let shown = std::env::var("RUST_LOG").unwrap_or_else(|_| "off".to_owned());
    let _ = tracing_subscriber::fmt().with_env_filter(shown).with_test_writer().try_init();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(scene);
}

/// An agent, its callers, and somebody who listens to them, each with a connection of its own.
#[derive(Debug)]
pub struct Scene {
    name: &'static str,
    home: TempDir,
    agent: Endpoint,
    callers: Callers,
    ears: Endpoint,
    /// In the order of the three.
    buses: [Arc<Amqp>; 3],
    telling: JoinHandle<()>,
    stop: Arc<AtomicBool>,
    heard: Arc<Heard>,
    hearing: JoinHandle<()>,
    backs: Mutex<Vec<Duration>>,
}

/// What was told, and what of it was heard.
#[derive(Debug, Default)]
struct Heard {
    told: AtomicU64,
    untold: AtomicU64,
    last: AtomicU64,
    events: AtomicU64,
    /// Gaps in their numbers.
    gaps: AtomicU64,
    /// Events that came twice, or after a later one.
    disordered: AtomicU64,
    /// How often it was said that the link was lost.
    losses: AtomicU64,
}

/// What came of a scene.
#[derive(Debug)]
pub struct Ended {
    /// Of calls and of what nobody waits for.
    pub totals: Totals,
    told: u64,
    heard: u64,
    gaps: u64,
    disordered: u64,
    losses: u64,
    backs: Vec<Duration>,
    lasted: Duration,
    /// Of the agent's, the callers' and the listener's connections.
    pub counters: [Counters; 3],
}

impl Scene {
    /// Begins it, at a broker.
    pub async fn begin(name: &'static str, url: &str, options: &Options) -> Self {
        Scene::with_patience(name, url, options, PATIENCE).await
    }

    /// Begins it, with calls that are given so much time.
    pub async fn with_patience(name: &'static str, url: &str, options: &Options, patience: Duration) -> Self {
        let home = tempfile::tempdir().unwrap();
        keys(home.path());
        let connect = async |name: &str| Arc::new(Amqp::connect(url).options(options.clone().name(name)).await.unwrap());
        let (first, second, third) = (connect(AGENT).await, connect(CALLERS).await, connect(EARS).await);
        let bind = |name: &'static str, bus: &Arc<Amqp>| {
            let trusted = trust(home.path(), if name == EARS { AGENT } else { name });
            Endpoint::builder(name).bind(Native::default(), Arc::clone(bus), trusted)
        };
        let book = Book(Log::open(&home.path().join("agent.log")));
        let agent = bind(AGENT, &first)
            .serve(LedgerServer::new(book))
            .queue_of_its_own()
            // Fewer than call: what finds no place waits at the broker, whatever happens to that.
            .concurrency(HANDLERS)
            .queue(QueueSize::default().requests(2 * HANDLERS))
            .limits(Limits::default().skew(SKEW))
            .start()
            .await
            .unwrap();
        sleep(2 * SKEW).await;
        let ears = bind(EARS, &third).start().await.unwrap();
        let events: Events<Told> = ears.subscribe().await.unwrap();
        let calling = bind(CALLERS, &second).start().await.unwrap();
        let (heard, stop) = (Arc::new(Heard::default()), Arc::new(AtomicBool::new(false)));
        let hearing = tokio::spawn(hear(events, Arc::clone(&heard)));
        let telling = tokio::spawn(tell(calling.clone(), Arc::clone(&heard), Arc::clone(&stop)));
        let callers = Callers::start(calling, &home.path().join("callers.log"), Mix::All, patience);
        let buses = [first, second, third];
        let scene = Scene { name, home, agent, callers, ears, buses, telling, stop, heard, hearing, backs: Mutex::default() };
        scene.is_back(Instant::now()).await;
        scene.backs.lock().unwrap().clear();
        scene
    }

    /// Waits until the agent answers and events are heard again, and notes how long that took from then on.
    ///
    /// # Panics
    ///
    /// That takes longer than it may.
    pub async fn is_back(&self, since: Instant) {
        let late = |what: &str| {
            assert!(since.elapsed() < BACK, "{}: {what} after {BACK:?}: {:?}", self.name, self.counters());
        };
        let agent: LedgerClient = self.callers.endpoint().client(AGENT);
        while let Err(error) = agent.here().timeout(Duration::from_secs(1)).await {
            late(&format!("the agent does not answer ({error})"));
            sleep(Duration::from_millis(10)).await;
        }
        let told = self.heard.told.load(Ordering::Relaxed);
        while self.heard.last.load(Ordering::Relaxed) <= told {
            late("no event is heard");
            sleep(Duration::from_millis(10)).await;
        }
        self.backs.lock().unwrap().push(since.elapsed());
    }

    /// Lets it go well for a while.
    ///
    /// # Panics
    ///
    /// It does not go on.
    pub async fn meanwhile(&self) {
        let now = || (self.callers.ended(), self.heard.events.load(Ordering::Relaxed));
        let (began, (calls, events)) = (Instant::now(), now());
        sleep(Duration::from_millis(200)).await;
        while now().0 < calls + WHILE.0 || now().1 < events + WHILE.1 {
            assert!(began.elapsed() < PATIENCE, "{}: nothing goes on: {:?}", self.name, self.counters());
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Calls nothing for a while, and waits until everything that was called has ended.
    pub async fn pause(&self) {
        self.callers.pause().await;
        while self.agent.running() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Goes on after a pause.
    pub fn go_on(&self) {
        self.callers.go_on();
    }

    /// How many requests the agent remembers.
    #[must_use]
    pub fn remembered(&self) -> u64 {
        self.agent.figures()[0].remembered
    }

    /// The callers' connection.
    #[must_use]
    pub fn callers_bus(&self) -> &Amqp {
        &self.buses[1]
    }

    /// What has happened to the three connections.
    #[must_use]
    pub fn counters(&self) -> [Counters; 3] {
        [self.buses[0].counters(), self.buses[1].counters(), self.buses[2].counters()]
    }

    /// Waits until each of the three connections has been lost once more than it had been.
    ///
    /// # Panics
    ///
    /// That takes longer than it may.
    pub async fn lose(&self, before: [Counters; 3]) -> Duration {
        let began = Instant::now();
        while self.counters().iter().zip(before).any(|(now, before)| now.lost == before.lost) {
            assert!(began.elapsed() < BACK, "{}: a loss is not noticed: {:?}", self.name, self.counters());
            sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    }

    /// Nothing new is called; everything comes to its end. Returns what the books say.
    pub async fn end(self) -> Ended {
        let began = Instant::now();
        self.ends_as(|audit| audit, began).await
    }

    /// As [`Scene::end`], where the books are read with more patience.
    pub async fn ends_as(self, read: impl FnOnce(Audit) -> Audit, began: Instant) -> Ended {
        let log = |name: &str| self.home.path().join(name);
        self.stop.store(true, Ordering::Relaxed);
        self.telling.await.unwrap();
        let calling = self.callers.stop().await;
        // What nobody waits for may still be under way: behind it comes the next answer.
        let agent: LedgerClient = calling.client(AGENT);
        agent.here().await.unwrap();
        let Heard { told, untold, last, .. } = &*self.heard;
        let quiet = Instant::now();
        while last.load(Ordering::Relaxed) + untold.load(Ordering::Relaxed) < told.load(Ordering::Relaxed)
            && quiet.elapsed() < Duration::from_secs(1)
        {
            sleep(Duration::from_millis(5)).await;
        }
        let counters = [self.buses[0].counters(), self.buses[1].counters(), self.buses[2].counters()];
        // Handlers whose caller has gone end as well.
        while self.agent.running() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
        for endpoint in [&calling, &self.ears, &self.agent] {
            let drained = endpoint.shutdown(Duration::from_secs(5)).await.unwrap();
            assert_eq!(drained.left_behind, 0, "{}: handlers are left", self.name);
        }
        self.hearing.await.unwrap();
        let totals = read(Audit::read(&log("callers.log"), &log("agent.log"))).totals();
        let number = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let ended = Ended {
            totals,
            told: number(told),
            heard: number(&self.heard.events),
            gaps: number(&self.heard.gaps),
            disordered: number(&self.heard.disordered),
            losses: number(&self.heard.losses),
            backs: self.backs.lock().unwrap().clone(),
            lasted: began.elapsed(),
            counters,
        };
        println!("{}: {ended}", self.name);
        ended
    }
}

impl Ended {
    /// Holds everything that is promised whatever happens.
    ///
    /// # Panics
    ///
    /// Something of it does not hold.
    pub fn holds(&self) {
        let wrong = &self.totals.wrong;
        assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(10)]);
        assert_eq!(self.disordered, 0, "events came twice, or late: {self}");
        let lost = self.counters.iter().any(|bus| bus.lost + bus.channels_lost > 0);
        assert!(self.gaps == 0 || lost, "events are missing, and no link was lost: {self}");
        assert!(self.gaps == 0 || self.losses > 0 || self.counters[2].lost == 0, "events are missing without a word: {self}");
        assert!(self.totals.ends.get("result").is_some_and(|results| *results > 100), "hardly anything was called: {self}");
        assert!(self.totals.notes > 10 && self.heard > 10 && self.totals.steps > 10, "hardly anything was sent: {self}");
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; ", self.totals)?;
        write!(f, "{} events, heard {}, gaps {}, losses told {}; ", self.told, self.heard, self.gaps, self.losses)?;
        let [agent, callers, _] = &self.counters;
        write!(f, "links lost {} and {}, ", agent.lost, callers.lost)?;
        write!(f, "sent again {} and {}, ", agent.repeated, callers.repeated)?;
        write!(f, "unknown {} and {}, ", agent.ambiguous, callers.ambiguous)?;
        write!(f, "delivered again {}; back after", agent.redelivered)?;
        for back in &self.backs {
            write!(f, " {} ms", back.as_millis())?;
        }
        write!(f, "; ended in {} ms", self.lasted.as_millis())
    }
}

/// Tells numbers, one after the other, until it is stopped.
async fn tell(endpoint: Endpoint, heard: Arc<Heard>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let number = heard.told.fetch_add(1, Ordering::Relaxed) + 1;
        if endpoint.publish(&Told { number }).timeout(Duration::from_secs(60)).await.is_err() {
            heard.untold.fetch_add(1, Ordering::Relaxed);
        }
        sleep(Duration::from_millis(5)).await;
    }
}

async fn hear(mut events: Events<Told>, heard: Arc<Heard>) {
    while let Some(event) = events.next().await {
        match event {
            Ok(received) => {
                let (number, last) = (received.event.number, heard.last.load(Ordering::Relaxed));
                if number <= last {
                    heard.disordered.fetch_add(1, Ordering::Relaxed);
                } else {
                    heard.gaps.fetch_add(number - last - 1, Ordering::Relaxed);
                    heard.last.store(number, Ordering::Relaxed);
                }
                heard.events.fetch_add(1, Ordering::Relaxed);
            }
            Err(Missed::LinkLost) => {
                heard.losses.fetch_add(1, Ordering::Relaxed);
            }
            Err(missed) => panic!("events were missed: {missed}"),
        }
    }
}

/// As the suites have it, and a publish waits for as long as a broker may be away.
#[must_use]
pub fn patient() -> Options {
    options().wait(Duration::from_secs(60))
}

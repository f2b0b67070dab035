//! The one link: made, watched, and made again when it is lost.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt};
use lapin::{Connection, Event};
use rmi_core::{
    text::Text,
    transport::{LinkId, LinkReporter, TransportError},
};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::{sleep, timeout},
};

use crate::{
    counters::Tally,
    error::{self, closed, disconnected, said},
    exchanges::Exchanges,
    options::Options,
    socket::{self, Kill, Target},
};

/// A broker is one link, which keeps its name.
pub(crate) const LINK: LinkId = LinkId(1);

/// How long a new link waits for its subscriptions before it is reported, where one of them makes trouble.
const RESTORING: Duration = Duration::from_secs(5);

/// What everything of one transport shares.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) options: Options,
    target: Target,
    pub(crate) reporter: LinkReporter,
    pub(crate) tally: Arc<Tally>,
    state: watch::Sender<State>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) exchanges: Exchanges,
    restoring: Mutex<Restoring>,
    restored: Notify,
}

/// The subscriptions, and the generation that each of them is at.
#[derive(Debug, Default)]
struct Restoring {
    next: u64,
    at: BTreeMap<u64, u64>,
}

/// Where the link is.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// It is to be made, or made again.
    Down(Text),
    Up(Arc<Generation>),
    /// It is over.
    Closed,
}

/// What the link is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// To leave, and to come back after a while.
    Pause(Duration, oneshot::Sender<()>),
    /// To end. Nothing is said any more.
    End,
}

/// One connection, from its beginning to its end.
pub(crate) struct Generation {
    pub(crate) number: u64,
    connection: Connection,
    kill: Kill,
    /// Why the broker takes nothing, while it does not.
    pub(crate) blocked: watch::Sender<Option<Text>>,
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Generation({})", self.number)
    }
}

impl Generation {
    /// A channel. Answers within the time that connecting may take.
    pub(crate) async fn channel(&self, within: Duration) -> Result<lapin::Channel, TransportError> {
        match timeout(within, self.connection.create_channel()).await {
            Ok(made) => made.map_err(|error| error::told("a channel cannot be opened", error)),
            Err(_) => Err(disconnected(format!("a channel was not opened in {within:?}"))),
        }
    }

    /// Whether the library still believes in it.
    pub(crate) fn is_connected(&self) -> bool {
        self.connection.status().connected()
    }

    /// Leaves the broker, and does not wait for its word for long.
    async fn leave(&self) {
        if self.is_connected() {
            let _ = timeout(Duration::from_secs(1), self.connection.close(200, "OK".into())).await;
        }
        self.kill.now();
    }
}

impl Link {
    /// A link that is not made yet, with what it is asked.
    pub(crate) fn new(target: Target, options: Options) -> (Arc<Self>, mpsc::Receiver<Command>) {
        let (commands, asked) = mpsc::channel(8);
        let link = Link {
            options,
            target,
            reporter: LinkReporter::default(),
            tally: Arc::default(),
            state: watch::Sender::new(State::Down(Text::from_static("it is being connected"))),
            commands,
            exchanges: Exchanges::default(),
            restoring: Mutex::default(),
            restored: Notify::new(),
        };
        (Arc::new(link), asked)
    }

    /// Where the link is, from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// The connection that is up, if one is.
    pub(crate) fn up(&self) -> Option<Arc<Generation>> {
        match &*self.state.borrow() {
            State::Up(generation) => Some(Arc::clone(generation)),
            State::Down(_) | State::Closed => None,
        }
    }

    /// The connection that is up, or comes up within the time.
    ///
    /// # Errors
    ///
    /// None did, or the transport is closed.
    pub(crate) async fn wait_up(&self, within: Duration) -> Result<Arc<Generation>, TransportError> {
        let mut state = self.watch();
        match timeout(within, up(&mut state)).await {
            Ok(Some(generation)) => Ok(generation),
            Ok(None) => Err(closed()),
            Err(_) => Err(self.away(within)),
        }
    }

    /// There is no link, and why.
    pub(crate) fn away(&self, waited: Duration) -> TransportError {
        match &*self.state.borrow() {
            State::Down(why) => disconnected(format!("there was no connection to RabbitMQ for {waited:?}: {why}")),
            State::Up(generation) => match &*generation.blocked.borrow() {
                Some(why) => disconnected(format!("RabbitMQ took nothing for {waited:?}: {why}")),
                None => disconnected(format!("it was not sent in {waited:?}")),
            },
            State::Closed => closed(),
        }
    }

    fn restoring(&self) -> MutexGuard<'_, Restoring> {
        self.restoring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new generation is reported when this subscription has it.
    pub(crate) fn joins(&self) -> u64 {
        let mut restoring = self.restoring();
        restoring.next += 1;
        let id = restoring.next;
        restoring.at.insert(id, u64::MAX);
        id
    }

    /// This subscription has what it can have of this generation.
    pub(crate) fn has(&self, id: u64, generation: u64) {
        self.restoring().at.insert(id, generation);
        self.restored.notify_waiters();
    }

    pub(crate) fn leaves(&self, id: u64) {
        self.restoring().at.remove(&id);
        self.restored.notify_waiters();
    }

    async fn all_have(&self, generation: u64) {
        loop {
            let mut restored = std::pin::pin!(self.restored.notified());
            restored.as_mut().enable();
            if self.restoring().at.values().all(|at| *at >= generation) {
                return;
            }
            restored.await;
        }
    }

    /// Tries one broker after the other.
    pub(crate) async fn connect(&self) -> Result<(Connection, Kill), TransportError> {
        let mut failed: Option<TransportError> = None;
        for host in &self.target.hosts {
            match socket::open(&self.target, host, &self.options).await {
                Ok(connected) => return Ok(connected),
                Err(error) => {
                    self.tally.connect_failed.add();
                    match &mut failed {
                        None => failed = Some(error),
                        Some(failed) => {
                            failed.message.push_str("; ");
                            failed.message.push_str(&error.message);
                        }
                    }
                }
            }
        }
        Err(failed.unwrap_or_else(|| error::refused("there is no broker to connect to")))
    }

    /// Keeps the link up until it is told to end.
    pub(crate) async fn drive(self: Arc<Self>, first: Option<(Connection, Kill)>, mut commands: mpsc::Receiver<Command>) {
        let (mut number, mut next, mut pause) = (0, first, self.options.pause);
        loop {
            let connected = match next.take() {
                Some(connected) => connected,
                None => match beside(self.connect(), &mut commands).await {
                    Beside::Done(Ok(connected)) => connected,
                    Beside::Done(Err(error)) => {
                        tracing::warn!(%error, "no connection to RabbitMQ; it is tried again");
                        self.state.send_replace(State::Down(Text::from(error.message)));
                        if let Beside::End = beside(sleep(jittered(pause)), &mut commands).await {
                            break;
                        }
                        pause = (pause * 2).min(self.options.max_pause);
                        continue;
                    }
                    Beside::Pause(time, done) => {
                        let _ = done.send(());
                        if let Beside::End = beside(sleep(time), &mut commands).await {
                            break;
                        }
                        continue;
                    }
                    Beside::End => break,
                },
            };
            number += 1;
            pause = self.options.pause;
            let (connection, kill) = connected;
            let mut events = Box::pin(connection.events_listener());
            let generation = Arc::new(Generation { number, connection, kill, blocked: watch::Sender::new(None) });
            self.tally.connected.add();
            self.state.send_replace(State::Up(Arc::clone(&generation)));
            let _ = timeout(RESTORING, self.all_have(number)).await;
            self.reporter.up(rmi_core::transport::Link { id: LINK, generation: number, peer: None });
            tracing::info!(generation = number, "connected to RabbitMQ");
            let watched = async {
                loop {
                    if !generation.is_connected() {
                        // The end has been, or comes with the next event.
                        match timeout(Duration::from_millis(500), events.next()).await {
                            Ok(Some(Event::Error(error))) => return said(&error),
                            _ => return "the connection has ended".to_owned(),
                        }
                    }
                    match events.next().await {
                        Some(Event::Error(error)) if !generation.is_connected() => return said(&error),
                        Some(Event::ConnectionBlocked(why)) => {
                            self.tally.blocked.add();
                            tracing::warn!(%why, "RabbitMQ takes nothing: publishing waits");
                            generation.blocked.send_replace(Some(Text::from(why)));
                        }
                        Some(Event::ConnectionUnblocked) => {
                            tracing::info!("RabbitMQ takes messages again");
                            generation.blocked.send_replace(None);
                        }
                        Some(_) => {}
                        None => return "the connection has ended".to_owned(),
                    }
                }
            };
            let ended = beside(watched, &mut commands).await;
            let (why, paused) = match ended {
                Beside::Done(why) => {
                    self.tally.lost.add();
                    tracing::warn!(%why, "the connection to RabbitMQ is lost");
                    (why, None)
                }
                Beside::Pause(time, done) => ("it was told to leave".to_owned(), Some((time, done))),
                Beside::End => {
                    generation.leave().await;
                    break;
                }
            };
            self.state.send_replace(State::Down(Text::from(why.clone())));
            self.reporter.down(LINK, why);
            generation.leave().await;
            if let Some((time, done)) = paused {
                let _ = done.send(());
                if let Beside::End = beside(sleep(time), &mut commands).await {
                    break;
                }
            }
        }
        self.state.send_replace(State::Closed);
        self.reporter.close();
    }
}

/// Waits for a connection; `None` when there will be none.
pub(crate) async fn up(state: &mut watch::Receiver<State>) -> Option<Arc<Generation>> {
    let found = state.wait_for(|state| !matches!(state, State::Down(_))).await.ok()?;
    match &*found {
        State::Up(generation) => Some(Arc::clone(generation)),
        State::Down(_) | State::Closed => None,
    }
}

/// Waits until this connection is not the one that is up.
pub(crate) async fn left(state: &mut watch::Receiver<State>, number: u64) {
    let gone = |state: &State| !matches!(state, State::Up(generation) if generation.number == number);
    let _ = state.wait_for(gone).await;
}

/// What came first.
enum Beside<T> {
    Done(T),
    Pause(Duration, oneshot::Sender<()>),
    End,
}

async fn beside<T>(work: impl Future<Output = T>, commands: &mut mpsc::Receiver<Command>) -> Beside<T> {
    tokio::select! {
        biased;
        command = commands.recv() => match command {
            Some(Command::Pause(time, done)) => Beside::Pause(time, done),
            Some(Command::End) | None => Beside::End,
        },
        done = work.fuse() => Beside::Done(done),
    }
}

/// Between a half and the whole of it, so that not all come back at once.
pub(crate) fn jittered(pause: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX);
    pause / 2 + (pause / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

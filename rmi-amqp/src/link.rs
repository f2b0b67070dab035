//! The one link: what everything of one transport shares.

mod drive;
mod restoring;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use lapin::{Connection, ErrorKind};
use rmi_core::{
    text::Text,
    transport::{LinkId, LinkReporter, TransportError},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

pub(crate) use self::drive::Orders;
use self::restoring::Restoring;
use crate::{
    counters::Tally,
    error::{self, closed, disconnected},
    exchanges::Exchanges,
    options::Options,
    socket::{self, Kill, Target},
};

/// A broker is one link, which keeps its name.
pub(crate) const LINK: LinkId = LinkId(1);

/// What everything of one transport shares.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) options: Options,
    target: Target,
    pub(crate) reporter: LinkReporter,
    pub(crate) tally: Arc<Tally>,
    state: watch::Sender<State>,
    pub(crate) pauses: mpsc::Sender<Pause>,
    ending: watch::Sender<bool>,
    pub(crate) exchanges: Exchanges,
    pub(crate) restoring: Restoring,
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

/// It is asked to leave, and to come back after a while.
#[derive(Debug)]
pub(crate) struct Pause {
    pub(crate) time: Duration,
    /// Whether it has left.
    pub(crate) left: oneshot::Sender<()>,
}

/// One connection, from its beginning to its end.
pub(crate) struct Generation {
    pub(crate) number: u64,
    connection: Connection,
    kill: Kill,
    /// How many channels the library cannot have any more.
    spoiled: AtomicU32,
    /// Why the broker takes nothing, while it does not.
    pub(crate) blocked: watch::Sender<Option<Text>>,
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Generation({})", self.number)
    }
}

impl Generation {
    fn new(number: u64, connection: Connection, kill: Kill) -> Self {
        Generation { number, connection, kill, spoiled: AtomicU32::new(0), blocked: watch::Sender::new(None) }
    }

    /// A channel. Answers within the time that connecting may take.
    ///
    /// The library does not forget why the broker has closed a channel: where its number comes round again, the new one fails with
    /// the words that were said to the old one, and the number is lost. Another is taken then; where none is left, the connection is
    /// ended, and the next one has them all.
    pub(crate) async fn channel(&self, within: Duration) -> Result<lapin::Channel, TransportError> {
        let opening = async {
            loop {
                match self.connection.create_channel().await {
                    // A broker closes no channel for being opened.
                    Err(error) if error::soft(&error).is_some() => drop(self.spoiled.fetch_add(1, Relaxed)),
                    made => return made,
                }
            }
        };
        match timeout(within, opening).await {
            Ok(Err(error)) if matches!(error.kind(), ErrorKind::ChannelsLimitReached) && self.spoiled.load(Relaxed) > 0 => {
                tracing::warn!(
                    "the broker has closed so many channels that the library has no number for another; it connects anew"
                );
                self.kill.now();
                Err(disconnected("a channel cannot be opened before there is another connection"))
            }
            Ok(made) => made.map_err(|error| error::told("a channel cannot be opened", error)),
            Err(_) => Err(disconnected(format!("a channel was not opened in {within:?}{}", self.silence()))),
        }
    }

    /// Why the broker says nothing, as far as it has said that.
    pub(crate) fn silence(&self) -> String {
        self.blocked.borrow().as_ref().map(|why| format!(": RabbitMQ takes nothing: {why}")).unwrap_or_default()
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
    pub(crate) fn new(target: Target, options: Options) -> (Arc<Self>, Orders) {
        let (pauses, asked) = mpsc::channel(8);
        let (ending, ends) = watch::channel(false);
        let link = Link {
            options,
            target,
            reporter: LinkReporter::default(),
            tally: Arc::default(),
            state: watch::Sender::new(State::Down(Text::from_static("it is being connected"))),
            pauses,
            ending,
            exchanges: Exchanges::default(),
            restoring: Restoring::default(),
        };
        (Arc::new(link), Orders { pauses: asked, ending: ends })
    }

    /// Nothing is wanted of it any more: whatever it is doing, it ends.
    pub(crate) fn end(&self) {
        self.ending.send_replace(true);
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
                Some(why) => disconnected(format!("RabbitMQ takes nothing, and did not for {waited:?}: {why}")),
                None => disconnected(format!("it was not sent in {waited:?}")),
            },
            State::Closed => closed(),
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

/// Between a half and the whole of it, so that not all come back at once.
pub(crate) fn jittered(pause: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX);
    pause / 2 + (pause / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

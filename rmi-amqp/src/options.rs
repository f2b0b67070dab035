use std::{collections::BTreeMap, fmt, time::Duration};

use rmi_core::text::Text;

use crate::topology::{Exchange, Queues};

/// How a broker is talked to: bounds, times, and what is declared.
///
/// ```
/// # use std::time::Duration;
/// # use rmi_amqp::{Options, Queues};
/// let options = Options::default()
///     .name("dhcp-1")
///     .heartbeat(Duration::from_secs(5))
///     .queues(Queues::default().quorum().dead_letters("dhcp.dead", 1000));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    pub(crate) name: Option<String>,
    pub(crate) sasl: Sasl,
    pub(crate) heartbeat: Duration,
    pub(crate) frame_max: u32,
    pub(crate) connect_timeout: Duration,
    pub(crate) wait: Duration,
    pub(crate) linger: Duration,
    pub(crate) pause: Duration,
    pub(crate) max_pause: Duration,
    pub(crate) window: usize,
    pub(crate) waiting: usize,
    pub(crate) waiting_bytes: usize,
    pub(crate) max_payload: usize,
    pub(crate) confirms: bool,
    pub(crate) persistent: bool,
    pub(crate) events: u32,
    pub(crate) consumer_timeout: Option<Duration>,
    pub(crate) backlog: usize,
    pub(crate) backlog_bytes: usize,
    pub(crate) queues: Queues,
    pub(crate) exchanges: BTreeMap<Text, Exchange>,
}

/// How one says who one is (SASL).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sasl {
    /// User and password.
    #[default]
    Plain,
    /// User and password, in the form of AMQP 0-8, which older clients use.
    AmqPlain,
    /// By the certificate that was presented for TLS; the broker needs its plugin `rabbitmq_auth_mechanism_ssl`.
    External,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            name: None,
            sasl: Sasl::Plain,
            heartbeat: Duration::from_secs(10),
            frame_max: 32 << 10,
            connect_timeout: Duration::from_secs(10),
            wait: Duration::from_secs(30),
            linger: Duration::from_secs(5),
            pause: Duration::from_millis(100),
            max_pause: Duration::from_secs(10),
            window: 1024,
            waiting: 4096,
            waiting_bytes: 64 << 20,
            max_payload: 16 << 20,
            confirms: true,
            persistent: true,
            events: 10_000,
            consumer_timeout: Some(Duration::from_secs(30 * 60)),
            backlog: 65_536,
            backlog_bytes: 256 << 20,
            queues: Queues::default(),
            exchanges: BTreeMap::new(),
        }
    }
}

impl Options {
    /// Names the connection, as the broker's operator sees it. The program's own name unless told otherwise.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Says how the broker is told who one is: [`Sasl::Plain`] unless told otherwise.
    #[must_use]
    pub fn sasl(mut self, sasl: Sasl) -> Self {
        self.sasl = sasl;
        self
    }

    /// Says how often each end sends something at least: with two of these times of silence the link is lost. 10 seconds unless told
    /// otherwise; whole seconds, at least one; a broker that wants less has its way.
    #[must_use]
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.heartbeat = every;
        self
    }

    /// Says how many bytes a frame of AMQP has at most; longer payloads take several. A connection holds 64 such frames in memory, full or
    /// not. 32 KiB unless told otherwise; from 4 KiB to 1 MiB; a broker that wants less has its way.
    #[must_use]
    pub fn frame_max(mut self, bytes: u32) -> Self {
        self.frame_max = bytes.clamp(4096, 1 << 20);
        self
    }

    /// Says how long it may take to reach one broker, up to its welcome. 10 seconds unless told otherwise.
    #[must_use]
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.connect_timeout = time;
        self
    }

    /// Says how long a publish waits: for the link, for room, and for the broker's word. 30 seconds unless told otherwise.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Says how long closing takes at most: until what was published is confirmed, and the subscriptions have gone. 5 seconds unless told
    /// otherwise.
    #[must_use]
    pub fn linger(mut self, time: Duration) -> Self {
        self.linger = time;
        self
    }

    /// Says how long the link stays down before it is tried again: at first, and at most; half of it at random. 100 milliseconds and
    /// 10 seconds unless told otherwise.
    #[must_use]
    pub fn pauses(mut self, first: Duration, longest: Duration) -> Self {
        self.pause = first;
        self.max_pause = longest;
        self
    }

    /// Says how many frames may be on their way to the broker and not confirmed. 1024 unless told otherwise.
    #[must_use]
    pub fn window(mut self, frames: usize) -> Self {
        self.window = frames.max(1);
        self
    }

    /// Says how many frames may wait to be sent, and how many bytes of payload they have together. 4096 and 64 MiB unless told
    /// otherwise.
    #[must_use]
    pub fn waiting(mut self, frames: usize, bytes: usize) -> Self {
        self.waiting = frames.max(1);
        self.waiting_bytes = bytes.max(1);
        self
    }

    /// Says how long a payload may be, in bytes. 16 MiB unless told otherwise, which every RabbitMQ takes (`max_message_size`).
    #[must_use]
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// Says whether the broker confirms what is to be persistent. It does unless told otherwise. Without, what is lost with a link is
    /// not known; requests are confirmed all the same, because only so it is known that nobody is there.
    #[must_use]
    pub fn confirms(mut self, confirms: bool) -> Self {
        self.confirms = confirms;
        self
    }

    /// Says whether frames that ask for it survive a restart of the broker (delivery mode 2). They do unless told otherwise.
    #[must_use]
    pub fn persistent(mut self, persistent: bool) -> Self {
        self.persistent = persistent;
        self
    }

    /// Says how many events wait at the broker for one subscriber or pool before the oldest is dropped. 10,000 unless told otherwise.
    #[must_use]
    pub fn events(mut self, frames: u32) -> Self {
        self.events = frames.max(1);
        self
    }

    /// Says how long the broker waits for an acknowledgement (its `consumer_timeout`) before it closes the channel and delivers again;
    /// `None` where that is switched off. An endpoint that serves a method whose callers wait for as long says so when it starts. 30
    /// minutes unless told otherwise, as RabbitMQ has it.
    #[must_use]
    pub fn consumer_timeout(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.consumer_timeout = time.into();
        self
    }

    /// Says how many messages of one subscription that acknowledges nothing may have come and not been taken, and how many bytes they
    /// have together: replies, and the events of whoever lets the oldest be dropped. The broker sends them as fast as it can. At that
    /// bound, which nobody reaches who is only busy, the oldest events are dropped ([`Counters::dropped`](crate::Counters::dropped)), and
    /// a subscription to replies is ended ([`Counters::flooded`](crate::Counters::flooded)): an endpoint takes another reply address,
    /// which whoever floods does not know, and asks for the outcomes that it waits for. 65,536 and 256 MiB unless told otherwise. What
    /// is acknowledged is bounded by its prefetch.
    #[must_use]
    pub fn backlog(mut self, messages: usize, bytes: usize) -> Self {
        self.backlog = messages.max(1);
        self.backlog_bytes = bytes.max(1);
        self
    }

    /// Says what queues are like that outlive their subscribers.
    #[must_use]
    pub fn queues(mut self, queues: Queues) -> Self {
        self.queues = queues;
        self
    }

    /// Says what an exchange is like: so it is declared by whoever publishes or subscribes to it first. One that nothing is said of is
    /// only looked for when it is published to, and is declared as a durable topic exchange when it is subscribed to.
    ///
    /// An address `exchange/key` is published to only where something is said of its exchange. Whoever listens there has the queue `key`,
    /// bound to the exchange by its own name.
    #[must_use]
    pub fn exchange(mut self, name: impl Into<Text>, exchange: Exchange) -> Self {
        self.exchanges.insert(name.into(), exchange);
        self
    }
}

/// User and password. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Default for Credentials {
    /// Those that every RabbitMQ has for its own machine.
    fn default() -> Self {
        Credentials { user: "guest".to_owned(), password: "guest".to_owned() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(not shown)")
    }
}

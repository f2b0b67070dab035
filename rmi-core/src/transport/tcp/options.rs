use std::time::Duration;

/// The bounds and habits of a [`Tcp`](super::Tcp) transport.
///
/// ```
/// use std::time::Duration;
/// use rmi_core::transport::tcp::Options;
///
/// let options = Options::default().max_line(512 << 10).max_links(64).keepalive(Duration::from_secs(10));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The longest line, and so the longest payload, in bytes and without its end. 16 MiB unless told otherwise, as much as an endpoint
    /// [reads](crate::Limits). A longer one closes its link.
    pub max_line: usize,
    /// How many bytes wait to be written to one link, a little for each frame included. 4 MiB unless told otherwise. A single frame
    /// is always taken, however long.
    pub queue: usize,
    /// How long a publish waits for room in that queue, and how long a link is kept whose peer takes nothing of what it is sent.
    /// 30 seconds unless told otherwise.
    pub wait: Duration,
    /// How many frames of one link may be received and not settled: waiting to be handled, being handled, or with an outcome that
    /// waits to be sent. Then the link is not read until one of them is. 4096 unless told otherwise; at least 1.
    pub unsettled: usize,
    /// How many bytes of payload these may have. 64 MiB unless told otherwise. A single frame is always taken.
    pub unsettled_bytes: usize,
    /// How many bytes all links together may hold of what was read: lines that are not finished, and frames that are not settled.
    /// Then links that hold more than 64 KiB
    /// are read one at a time. 256 MiB unless told otherwise.
    pub memory: usize,
    /// How long a line may take from its first byte to its end. 60 seconds unless told otherwise.
    pub line_time: Duration,
    /// How many connections a listener has at a time, those that still shake hands included, and those that are gone while something
    /// that they brought waits to be received. 1024 unless told otherwise. At that number, the oldest connection by which nothing has
    /// come yet that was let in makes room for a new one; where there is none, the new one is turned away.
    pub max_links: usize,
    /// How long a listener keeps a link by which nothing has come that was let in: what is refused (no message, or by nobody whose
    /// signature is known) does not count. As long as something that came is not settled, the link is kept. An agent that dials says
    /// hello at once; a caller that has nothing to say yet dials again. 60 seconds unless told otherwise; `None` for ever.
    pub identify: Option<Duration>,
    /// How long making a connection may take, with its TLS handshake. 10 seconds unless told otherwise.
    pub connect_timeout: Duration,
    /// The pause before a dialler dials again, which doubles up to [`max_pause`](Options::max_pause) and is half random. It begins
    /// anew once something has come by a link, or one has lasted as long as the longest pause. 100 milliseconds unless told otherwise.
    pub pause: Duration,
    /// The longest pause of a dialler. 10 seconds unless told otherwise.
    pub max_pause: Duration,
    /// After how long without a sign of life the peer's host is asked for one, and how often then; with the third that is not
    /// answered the link is lost. What was sent and is not confirmed for four times as long loses the link as well, where the
    /// system can do that (Linux). Whole seconds, from one to 32,767: what is less or more is taken for these. 15 seconds unless told
    /// otherwise; `None` for never.
    pub keepalive: Option<Duration>,
    /// Whether small frames leave at once (`TCP_NODELAY`). They do unless told otherwise: those that are sent at about the same time
    /// share a write anyway.
    pub nodelay: bool,
    /// How long closing lets frames that wait be written. 5 seconds unless told otherwise.
    pub linger: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            max_line: 16 << 20,
            queue: 4 << 20,
            wait: Duration::from_secs(30),
            unsettled: 4096,
            unsettled_bytes: 64 << 20,
            memory: 256 << 20,
            line_time: Duration::from_secs(60),
            max_links: 1024,
            identify: Some(Duration::from_secs(60)),
            connect_timeout: Duration::from_secs(10),
            pause: Duration::from_millis(100),
            max_pause: Duration::from_secs(10),
            keepalive: Some(Duration::from_secs(15)),
            nodelay: true,
            linger: Duration::from_secs(5),
        }
    }
}

impl Options {
    /// Says how long a line may be, in bytes.
    #[must_use]
    pub fn max_line(mut self, bytes: usize) -> Self {
        self.max_line = bytes;
        self
    }

    /// Says how many bytes may wait to be written to one link.
    #[must_use]
    pub fn queue(mut self, bytes: usize) -> Self {
        self.queue = bytes;
        self
    }

    /// Says how long a publish waits for room, and a link for a peer that takes nothing.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Says how many frames of one link may be received and not settled.
    #[must_use]
    pub fn unsettled(mut self, frames: usize) -> Self {
        self.unsettled = frames;
        self
    }

    /// Says how many bytes of payload these may have.
    #[must_use]
    pub fn unsettled_bytes(mut self, bytes: usize) -> Self {
        self.unsettled_bytes = bytes;
        self
    }

    /// Says how many bytes all links together may hold of what was read.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// Says how long a line may take from its first byte to its end.
    #[must_use]
    pub fn line_time(mut self, time: Duration) -> Self {
        self.line_time = time;
        self
    }

    /// Says how many connections a listener has at a time.
    #[must_use]
    pub fn max_links(mut self, links: usize) -> Self {
        self.max_links = links;
        self
    }

    /// Says how long a listener keeps a link by which nothing has come that was let in; `None` for ever.
    #[must_use]
    pub fn identify(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.identify = time.into();
        self
    }

    /// Says how long making a connection may take.
    #[must_use]
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.connect_timeout = time;
        self
    }

    /// Says how long a dialler pauses before it dials again: at first, and at most.
    #[must_use]
    pub fn pauses(mut self, first: Duration, longest: Duration) -> Self {
        self.pause = first;
        self.max_pause = longest;
        self
    }

    /// Says when the peer's host is asked for a sign of life; `None` for never.
    #[must_use]
    pub fn keepalive(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.keepalive = after.into();
        self
    }

    /// Says whether small frames leave at once.
    #[must_use]
    pub fn nodelay(mut self, at_once: bool) -> Self {
        self.nodelay = at_once;
        self
    }

    /// Says how long closing lets frames that wait be written.
    #[must_use]
    pub fn linger(mut self, time: Duration) -> Self {
        self.linger = time;
        self
    }
}

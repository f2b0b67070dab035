use std::time::Duration;

/// The bounds of a [`Memory`](super::Memory) bus.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How many frames a mailbox holds, those that are delivered and not settled included. 4096 unless told otherwise; at least 1.
    pub mailbox_frames: usize,
    /// How many bytes of payload and properties a mailbox holds, counted likewise. 64 MiB unless told otherwise. A single frame is
    /// always held, however long.
    pub mailbox_bytes: usize,
    /// How long a publish waits for room, or for its seat to be back on the bus. 30 seconds unless told otherwise.
    pub wait: Duration,
    /// The longest payload, in bytes. 16 MiB unless told otherwise.
    pub max_payload: usize,
    /// How many mailboxes there may be, those of topics included. 65 536 unless told otherwise.
    pub max_mailboxes: usize,
    /// How many dead letters are kept for inspection, the youngest ones, and never more bytes than a mailbox holds. 1024 unless told
    /// otherwise.
    pub dead_letters: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            mailbox_frames: 4096,
            mailbox_bytes: 64 << 20,
            wait: Duration::from_secs(30),
            max_payload: 16 << 20,
            max_mailboxes: 65_536,
            dead_letters: 1024,
        }
    }
}

impl Options {
    /// Says how many frames a mailbox holds.
    #[must_use]
    pub fn mailbox_frames(mut self, frames: usize) -> Self {
        self.mailbox_frames = frames;
        self
    }

    /// Says how many bytes a mailbox holds.
    #[must_use]
    pub fn mailbox_bytes(mut self, bytes: usize) -> Self {
        self.mailbox_bytes = bytes;
        self
    }

    /// Says how long a publish waits for room.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Says how long a payload may be, in bytes.
    #[must_use]
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// Says how many mailboxes there may be.
    #[must_use]
    pub fn max_mailboxes(mut self, mailboxes: usize) -> Self {
        self.max_mailboxes = mailboxes;
        self
    }

    /// Says how many dead letters are kept.
    #[must_use]
    pub fn dead_letters(mut self, frames: usize) -> Self {
        self.dead_letters = frames;
        self
    }
}

use std::ops::AddAssign;

/// What happened on a bus since it was made, and what is on it now.
///
/// Every frame that was published is somewhere: `published` is the sum of `settled`, `expired`, `dead_lettered`, `dropped`, `lost`,
/// `waiting` and `unsettled`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Frames put into mailboxes: one for each copy of a topic's frame.
    pub published: u64,
    /// Deliveries made, repeated ones included.
    pub delivered: u64,
    /// Deliveries that were marked as redelivered.
    pub redelivered: u64,
    /// Frames that are done with: acknowledged, or delivered to a subscription that does not acknowledge.
    pub settled: u64,
    /// Frames that expired in a mailbox.
    pub expired: u64,
    /// Publishes that nobody was there for.
    pub unroutable: u64,
    /// Frames that were discarded.
    pub dead_lettered: u64,
    /// Frames that made room for others, in the mailboxes of subscriptions that are to drop the oldest.
    pub dropped: u64,
    /// Frames that vanished with their mailbox.
    pub lost: u64,
    /// Mailboxes now.
    pub mailboxes: usize,
    /// Subscribers now.
    pub subscribers: usize,
    /// Frames that wait for a subscriber now.
    pub waiting: usize,
    /// Deliveries that are not settled now.
    pub unsettled: usize,
    /// Bytes held in mailboxes now.
    pub bytes: usize,
    /// Publishes that wait for room now.
    pub blocked: usize,
    /// Dead letters kept now.
    pub dead_letters: usize,
}

/// What happened in one mailbox; counted under its lock, so that no counter is shared by all of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) published: u64,
    pub(super) delivered: u64,
    pub(super) redelivered: u64,
    pub(super) settled: u64,
    pub(super) expired: u64,
    pub(super) dead_lettered: u64,
    pub(super) dropped: u64,
    pub(super) lost: u64,
}

impl AddAssign<Tally> for Counters {
    fn add_assign(&mut self, tally: Tally) {
        self.published += tally.published;
        self.delivered += tally.delivered;
        self.redelivered += tally.redelivered;
        self.settled += tally.settled;
        self.expired += tally.expired;
        self.dead_lettered += tally.dead_lettered;
        self.dropped += tally.dropped;
        self.lost += tally.lost;
    }
}

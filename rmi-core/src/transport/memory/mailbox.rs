mod consumers;
mod room;

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use smallvec::SmallVec;
use tokio::time::{Duration, Instant};

use self::{consumers::Consumer, room::Waiter};
pub(super) use self::{
    consumers::Taken,
    room::{Granted, Permit, Reserved, Ticket},
};
use super::{
    counters::Tally,
    options::Options,
    pattern::Pattern,
    queue::{Loose, Queue, Stored},
    slots::Slots,
};
use crate::{
    text::Text,
    transport::{Sharing, Subscription, TransportError, TransportErrorKind, WhenFull},
};

/// Where a mailbox hangs on the bus.
#[derive(Debug)]
pub(super) enum Place {
    /// At an address.
    Address(Text),
    /// Under the keys of an exchange that match.
    Topic { exchange: Text, patterns: Box<[Pattern]>, group: Option<Text> },
}

/// Frames for one address or one subscription to topics, and those who take them.
///
/// Consumers pull: a frame stays here until somebody asks for it, so that its order, its expiry and who is free to take it are decided
/// at the last moment. The lock is held for queue operations only; what wakes, drops or answers is done by [`After`].
#[derive(Debug)]
pub(super) struct Mailbox {
    /// Mailboxes are younger as this grows: the order in which room is reserved in several.
    pub(super) id: u64,
    pub(super) place: Place,
    /// Later subscriptions to the same source share it.
    pub(super) pooled: bool,
    max_frames: usize,
    max_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    consumers: Slots<Consumer>,
    /// Consumers that wait and may take something, the one that has waited longest first.
    idle: VecDeque<u64>,
    /// Publishers that wait for room, the one that has waited longest first.
    blocked: VecDeque<Waiter>,
    next_waiter: u64,
    unsettled: usize,
    /// Places promised to publishers that have not filled them yet.
    reserved: usize,
    /// Bytes of what waits, is unsettled or is promised.
    bytes: usize,
    exclusive: bool,
    durable: bool,
    expires: Option<Duration>,
    /// Since when there is no consumer.
    abandoned: Option<Instant>,
    /// It is no longer on the bus.
    gone: bool,
    /// What has waited longest makes room.
    drops: bool,
    /// How many have made room since the last delivery.
    missed: u64,
    tally: Tally,
}

/// What a mailbox does with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// It has taken it.
    Stored,
    /// It has no room.
    Full,
    /// It is no longer on the bus.
    Gone,
    /// It has been without a subscriber for too long and is to be removed.
    Lapsed,
}

/// What is done when the lock is released: declared before the lock is taken, it is dropped after it.
#[derive(Debug, Default)]
struct After {
    wake: SmallVec<[Waker; 1]>,
    granted: Vec<(tokio::sync::oneshot::Sender<bool>, bool)>,
    spent: Loose,
    expired: Loose,
    old: Option<Waker>,
}

impl Drop for After {
    fn drop(&mut self) {
        for waker in self.wake.drain(..) {
            waker.wake();
        }
        for (publisher, granted) in self.granted.drain(..) {
            // A publisher that has gone meanwhile gives back what it was granted by itself.
            let _ = publisher.send(granted);
        }
    }
}

/// What a mailbox holds now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holding {
    pub(super) tally: Tally,
    pub(super) subscribers: usize,
    pub(super) waiting: usize,
    pub(super) unsettled: usize,
    pub(super) bytes: usize,
    pub(super) blocked: usize,
}

impl Mailbox {
    pub(super) fn new(id: u64, place: Place, pooled: bool, options: &Options) -> Self {
        Mailbox {
            id,
            place,
            pooled,
            max_frames: options.mailbox_frames.max(1),
            max_bytes: options.mailbox_bytes,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address; for topics the first pattern.
    pub(super) fn name(&self) -> &Text {
        static NONE: Text = Text::EMPTY;
        match &self.place {
            Place::Address(address) => address,
            Place::Topic { patterns, .. } => patterns.first().map_or(&NONE, Pattern::text),
        }
    }

    /// Takes a frame, if there is room and nobody waits for it. What is not taken stays in `frame`.
    pub(super) fn offer(&self, frame: &mut Option<Box<Stored>>) -> Offer {
        let mut after = After::default();
        let mut state = self.lock();
        let size = frame.as_ref().map_or(0, |stored| stored.size());
        let offer = state.room_for(size, self, &mut after);
        if offer == Offer::Stored
            && let Some(stored) = frame.take()
        {
            state.bytes += size;
            state.store(stored, &mut after);
        }
        offer
    }

    /// Adds a consumer, if the others allow it.
    pub(super) fn join(&self, subscription: &Subscription) -> Result<u64, TransportError> {
        let mut state = self.lock();
        if state.exclusive || (subscription.sharing == Sharing::Exclusive && !state.consumers.is_empty()) {
            let why = if state.exclusive { "has an exclusive subscriber" } else { "has subscribers, and cannot be exclusive" };
            return Err(TransportError::new(TransportErrorKind::Refused, format!("`{}` {why}", self.name())));
        }
        state.exclusive = subscription.sharing == Sharing::Exclusive;
        state.durable |= subscription.durable;
        state.drops |= subscription.when_full == WhenFull::DropOldest;
        state.expires = subscription.expires.or(state.expires);
        state.abandoned = None;
        Ok(state.consumers.insert(Consumer::new(subscription)))
    }

    /// Removes a consumer, and puts back what it has not settled. Says whether the mailbox is to be removed with it.
    pub(super) fn leave(&self, consumer: u64) -> bool {
        let mut after = After::default();
        let mut state = self.lock();
        let Some(mut left) = state.consumers.remove(consumer) else { return false };
        state.idle.retain(|idle| *idle != consumer);
        after.wake.extend(left.waker.take());
        let mut unsettled: Loose = left.unsettled.into_values().collect();
        state.unsettled -= unsettled.len();
        unsettled.iter_mut().for_each(|stored| stored.redelivered = true);
        state.queue.put_back_all(unsettled);
        // Also passes on the wake-up that the consumer may have had and not used.
        for _ in 0..state.queue.len().min(state.idle.len()) {
            state.rouse(&mut after);
        }
        if !state.consumers.is_empty() {
            return false;
        }
        state.exclusive = false;
        state.abandoned = Some(Instant::now());
        !state.durable && state.expires.is_none()
    }

    /// It has been without a subscriber for as long as it may be.
    pub(super) fn lapsed(&self) -> bool {
        self.lock().lapsed()
    }

    /// Takes the mailbox off the bus: its frames are lost, and who waits for room learns that nobody is there. Returns what is to be
    /// remembered of it.
    pub(super) fn bury(&self) -> Tally {
        let mut after = After::default();
        let mut state = self.lock();
        state.gone = true;
        let lost = state.queue.drain();
        state.tally.lost += lost.len() as u64;
        after.spent.extend(lost);
        state.bytes = 0;
        while let Some(waiter) = state.blocked.pop_front() {
            after.granted.push((waiter.granted, false));
            after.spent.extend(waiter.frame);
        }
        std::mem::take(&mut state.tally)
    }

    /// Drops what has expired, and gives its room to who waits for it.
    pub(super) fn purge(&self) {
        let mut after = After::default();
        let mut state = self.lock();
        state.purge(&mut after);
        state.admit(self, &mut after);
    }

    /// When the next frame may expire.
    pub(super) fn purge_at(&self) -> Option<Instant> {
        self.lock().queue.earliest()
    }

    pub(super) fn holding(&self) -> Holding {
        let state = self.lock();
        Holding {
            tally: state.tally,
            subscribers: state.consumers.len(),
            waiting: state.queue.len(),
            unsettled: state.unsettled,
            bytes: state.bytes,
            blocked: state.blocked.len(),
        }
    }
}

impl State {
    fn lapsed(&self) -> bool {
        match (self.abandoned, self.expires) {
            (Some(abandoned), Some(expires)) => abandoned.checked_add(expires).is_some_and(|until| until <= Instant::now()),
            _ => false,
        }
    }

    /// Puts a frame that is counted already at the end, and wakes a consumer for it.
    fn store(&mut self, stored: Box<Stored>, after: &mut After) {
        self.tally.published += 1;
        self.queue.push(stored);
        self.rouse(after);
    }

    /// Wakes the consumer that has waited longest. One in the list may have come by itself meanwhile, and may take nothing more.
    fn rouse(&mut self, after: &mut After) {
        while let Some(key) = self.idle.pop_front() {
            let Some(consumer) = self.consumers.get_mut(key) else { continue };
            consumer.listed = false;
            if consumer.credit() > 0
                && let Some(waker) = consumer.waker.take()
            {
                consumer.notified = true;
                after.wake.push(waker);
                return;
            }
        }
    }

    fn purge(&mut self, after: &mut After) {
        let before = after.expired.len();
        self.queue.purge(&mut after.expired);
        self.expired(before, after);
    }

    /// Counts the frames that were added to `after.expired`.
    fn expired(&mut self, before: usize, after: &After) {
        for stored in after.expired.iter().skip(before) {
            self.tally.expired += 1;
            self.bytes -= stored.size();
        }
    }
}

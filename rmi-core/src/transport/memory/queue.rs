use std::collections::VecDeque;

use smallvec::SmallVec;
use tokio::time::Instant;

use crate::transport::{Frame, Properties};

/// A frame as a mailbox holds it. Boxed once, when it is published: it is long, and is moved often.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// Its place in the mailbox: frames are delivered in this order.
    order: u64,
    pub(super) frame: Frame,
    expires: Option<Instant>,
    pub(super) redelivered: bool,
}

impl Stored {
    pub(super) fn new(frame: Frame) -> Box<Self> {
        // The clock is read only for frames that can expire. An expiry beyond the clock's range is none.
        let expires = frame.ttl.and_then(|ttl| Instant::now().checked_add(ttl));
        Box::new(Stored { order: 0, frame, expires, redelivered: false })
    }

    /// How many bytes it counts for.
    pub(super) fn size(&self) -> usize {
        let Properties { content_type, content_encoding, kind, reply_to, correlation_id, headers: _, retain: _ } =
            &*self.frame.properties;
        [content_type, content_encoding, kind, reply_to, correlation_id]
            .into_iter()
            .flatten()
            .fold(self.frame.payload.len(), |size, text| size + text.len())
    }

    fn expired(&self, now: &mut Option<Instant>) -> bool {
        self.expires.is_some_and(|expires| expires <= *now.get_or_insert_with(Instant::now))
    }
}

/// Frames on their way. Those that have left a mailbox are kept until its lock is released: a payload may run code of its owner when it
/// is dropped.
pub(super) type Loose = SmallVec<[Box<Stored>; 4]>;

/// The frames of a mailbox that wait for a consumer, in order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    frames: VecDeque<Box<Stored>>,
    next: u64,
    /// No waiting frame expires before this.
    earliest: Option<Instant>,
}

/// An empty queue gives its memory back when it holds more than so many places.
const LARGE: usize = 1024;

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Puts a new frame at the end.
    pub(super) fn push(&mut self, mut stored: Box<Stored>) {
        stored.order = self.next;
        self.next += 1;
        self.expect_expiry(&stored);
        self.frames.push_back(stored);
    }

    /// Puts a frame back at the place that it had.
    pub(super) fn put_back(&mut self, stored: Box<Stored>) {
        self.expect_expiry(&stored);
        let place = self.frames.partition_point(|other| other.order < stored.order);
        self.frames.insert(place, stored);
    }

    /// Puts many frames back at the places that they had.
    pub(super) fn put_back_all(&mut self, mut frames: Loose) {
        // The last one first, so that each goes in front of those before it.
        frames.sort_unstable_by_key(|stored| std::cmp::Reverse(stored.order));
        for stored in frames {
            self.put_back(stored);
        }
    }

    /// Takes the first frame that has not expired; those that have go to `expired`.
    pub(super) fn pop(&mut self, now: &mut Option<Instant>, expired: &mut Loose) -> Option<Box<Stored>> {
        loop {
            let stored = self.frames.pop_front();
            if self.frames.is_empty() {
                self.earliest = None;
                if self.frames.capacity() > LARGE {
                    self.frames.shrink_to(LARGE / 16);
                }
            }
            match stored {
                Some(stored) if stored.expired(now) => expired.push(stored),
                stored => return stored,
            }
        }
    }

    /// Moves all expired frames to `expired`. Looks at the frames only if one can have expired.
    pub(super) fn purge(&mut self, expired: &mut Loose) {
        let mut now = None;
        if self.earliest.is_none_or(|earliest| earliest > *now.get_or_insert_with(Instant::now)) {
            return;
        }
        self.earliest = None;
        for stored in std::mem::take(&mut self.frames) {
            if stored.expired(&mut now) {
                expired.push(stored);
            } else {
                self.expect_expiry(&stored);
                self.frames.push_back(stored);
            }
        }
    }

    /// The moment before which no waiting frame expires.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.earliest
    }

    pub(super) fn drain(&mut self) -> VecDeque<Box<Stored>> {
        self.earliest = None;
        std::mem::take(&mut self.frames)
    }

    fn expect_expiry(&mut self, stored: &Stored) {
        if let Some(expires) = stored.expires {
            self.earliest = Some(self.earliest.map_or(expires, |earliest| earliest.min(expires)));
        }
    }
}

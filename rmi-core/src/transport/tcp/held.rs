//! What has been received by one link and is not settled: bounded, so that a link is not read while it has brought enough.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Waker},
};

use crate::{
    lock::lock,
    transport::{Disposition, Settle, tcp::budget::Budget},
};

/// What one link has brought and is not settled.
#[derive(Debug)]
pub(super) struct Held {
    frames: AtomicUsize,
    bytes: AtomicUsize,
    most_frames: usize,
    most_bytes: usize,
    budget: Arc<Budget>,
    /// Something has been settled that was not refused: whoever is there has a message to send.
    known: AtomicBool,
    /// The reader waits for room.
    parked: AtomicBool,
    reader: Mutex<Option<Waker>>,
}

impl Held {
    pub(super) fn new(most_frames: usize, most_bytes: usize, budget: Arc<Budget>) -> Self {
        Held {
            frames: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            most_frames: most_frames.max(1),
            most_bytes: most_bytes.max(1),
            budget,
            known: AtomicBool::new(false),
            parked: AtomicBool::new(false),
            reader: Mutex::default(),
        }
    }

    /// These have been received.
    pub(super) fn add(&self, frames: usize, bytes: usize) {
        self.frames.fetch_add(frames, Ordering::SeqCst);
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
        self.budget.add(bytes);
    }

    /// How many bytes these have.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::SeqCst)
    }

    /// Whether anything has been let in of what has come.
    pub(super) fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// Whether nothing waits to be settled.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.load(Ordering::SeqCst) == 0
    }

    fn is_full(&self) -> bool {
        self.frames.load(Ordering::SeqCst) >= self.most_frames || self.bytes.load(Ordering::SeqCst) >= self.most_bytes
    }

    /// Whether more may be read. If not, the task is woken when it may.
    pub(super) fn has_room(&self, cx: &Context<'_>) -> bool {
        if !self.is_full() {
            return true;
        }
        *lock(&self.reader) = Some(cx.waker().clone());
        self.parked.store(true, Ordering::SeqCst);
        // What was settled meanwhile may not have seen that.
        !self.is_full()
    }
}

/// The tag of a delivery is its length.
impl Settle for Held {
    fn settle(&self, tag: u64, disposition: Disposition) {
        // Before it is no longer held: whoever looks at both finds one of them.
        if disposition != Disposition::Discard && !self.known.load(Ordering::Relaxed) {
            self.known.store(true, Ordering::Relaxed);
        }
        self.frames.fetch_sub(1, Ordering::SeqCst);
        let bytes = usize::try_from(tag).unwrap_or(usize::MAX);
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        self.budget.sub(bytes);
        if self.parked.load(Ordering::SeqCst) && !self.is_full() && self.parked.swap(false, Ordering::SeqCst) {
            let reader = lock(&self.reader).take();
            if let Some(reader) = reader {
                reader.wake();
            }
        }
    }
}

//! How much all links of one end hold together.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::transport::LinkId;

/// What each link may hold whatever the others do.
pub(super) const SHARE: usize = 64 << 10;

/// How much all links hold: lines that are not finished, and frames that are not settled.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicUsize,
    most: usize,
    /// The one link that may hold more than there is room for: without it, links whose lines are all begun and not finished would
    /// wait for each other. None has the number 0.
    turn: AtomicU64,
}

impl Budget {
    pub(super) fn new(most: usize) -> Self {
        Budget { used: AtomicUsize::new(0), most, turn: AtomicU64::new(0) }
    }

    pub(super) fn add(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn sub(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether a link that holds so much may hold more.
    pub(super) fn has_room(&self, link: LinkId, held: usize) -> bool {
        if held < SHARE || self.used() < self.most {
            self.pass(link);
            return true;
        }
        let turn = self.turn.compare_exchange(0, link.0, Ordering::Relaxed, Ordering::Relaxed);
        turn.is_ok() || turn == Err(link.0)
    }

    /// If it was this link's turn, it is another's.
    pub(super) fn pass(&self, link: LinkId) {
        if self.turn.load(Ordering::Relaxed) == link.0 {
            self.turn.store(0, Ordering::Relaxed);
        }
    }
}

//! Who has how much of a queue, and who gets more of it.

use crate::{endpoint::queue::QueueSize, seal::Principal, table::Table};

/// How many times the room that is left one principal may have of the queue. So a single one gets three quarters of it, two that
/// ask for all that they can get have three sevenths each, and so on: whoever comes anew always finds some room. (Dynamic
/// thresholds, as switches share the memory of their ports.)
const GREED: usize = 3;

/// What everybody has in the queue.
#[derive(Debug, Default)]
pub(super) struct Shares {
    all: Share,
    of: Table<Principal, Share>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Share {
    requests: usize,
    bytes: usize,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// For nobody.
    Queue,
    /// For one who has that much of it.
    Share,
}

impl Full {
    pub(super) fn details(self) -> &'static str {
        match self {
            Full::Queue => "too many requests wait for a handler",
            Full::Share => "too many of the caller's requests wait for a handler",
        }
    }
}

impl Shares {
    /// How many requests everybody has together.
    pub(super) fn requests(&self) -> usize {
        self.all.requests
    }

    pub(super) fn add(&mut self, who: &Principal, bytes: usize, size: QueueSize) -> Result<(), Full> {
        let own = self.of.get(who).copied().unwrap_or_default();
        let left = size.requests.saturating_sub(self.all.requests);
        let left_bytes = size.bytes.saturating_sub(self.all.bytes);
        // A request alone waits however long it is: otherwise it could never be taken.
        let alone = self.all.requests == 0;
        if left == 0 || (left_bytes < bytes && !alone) {
            return Err(Full::Queue);
        }
        if own.requests >= left.saturating_mul(GREED) || (own.bytes > left_bytes.saturating_mul(GREED)) {
            return Err(Full::Share);
        }
        self.all.add(bytes);
        if let Some(own) = self.of.get_mut(who) {
            own.add(bytes);
        } else {
            let mut own = Share::default();
            own.add(bytes);
            let _ = self.of.insert(who.detached(), own);
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, who: &Principal, bytes: usize) {
        let Some(own) = self.of.get_mut(who) else { return };
        own.remove(bytes);
        if own.requests == 0 {
            self.of.remove(who);
        }
        self.all.remove(bytes);
    }
}

impl Share {
    fn add(&mut self, bytes: usize) {
        self.requests += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn remove(&mut self, bytes: usize) {
        self.requests = self.requests.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Principal {
        Principal::Key(name.to_owned().into())
    }

    /// How many requests of this length somebody gets in.
    fn fill(shares: &mut Shares, who: &str, bytes: usize, size: QueueSize) -> usize {
        (0..10_000).take_while(|_| shares.add(&key(who), bytes, size).is_ok()).count()
    }

    #[test]
    fn whoever_comes_anew_finds_room() {
        let (size, mut shares) = (QueueSize::default().requests(1000), Shares::default());
        assert_eq!(fill(&mut shares, "greedy", 10, size), 750);
        assert_eq!(shares.add(&key("greedy"), 10, size), Err(Full::Share));
        let mut before = 250;
        for name in ["a", "b", "c", "d"] {
            let got = fill(&mut shares, name, 10, size);
            assert!(got > 0 && got < before, "{name}: {got}");
            before = got;
        }
        assert!(shares.requests() <= 1000);
        // What the greedy one leaves is for those who have less.
        for _ in 0..500 {
            shares.remove(&key("greedy"), 10);
        }
        assert!(fill(&mut shares, "e", 10, size) > 250);
    }

    #[test]
    fn bytes_are_bounded_and_shared_as_well() {
        let (size, mut shares) = (QueueSize::default().bytes(1000), Shares::default());
        assert_eq!(fill(&mut shares, "greedy", 50, size), 16);
        assert_eq!(fill(&mut shares, "other", 50, size), 4);
        assert_eq!(shares.add(&key("third"), 1, size), Err(Full::Queue));
        // One that is longer than the whole queue may wait alone, and nothing beside it.
        let mut shares = Shares::default();
        assert_eq!(shares.add(&key("a"), 5000, size), Ok(()));
        assert_eq!(shares.add(&key("b"), 1, size), Err(Full::Queue));
        shares.remove(&key("a"), 5000);
        assert_eq!(shares.add(&key("b"), 1, size), Ok(()));
    }

    #[test]
    fn the_smallest_queues_hold_what_they_say() {
        for (most, single) in [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3)] {
            let (size, mut shares) = (QueueSize::default().requests(most), Shares::default());
            assert_eq!(fill(&mut shares, "a", 1, size), single, "{most}");
        }
    }

    #[test]
    fn who_has_left_is_forgotten() {
        let (size, mut shares) = (QueueSize::default(), Shares::default());
        for name in 0..1000 {
            shares.add(&key(&name.to_string()), 1, size).unwrap();
            shares.remove(&key(&name.to_string()), 1);
        }
        assert_eq!((shares.requests(), shares.all.bytes, shares.of.len()), (0, 0, 0));
    }
}

//! Which signed events a subscription has had: one that comes again, or so late that it is not known, is a replay.

use std::{
    collections::{HashSet, VecDeque},
    hash::BuildHasher,
};

use crate::{
    message::{Head, Sn},
    protocol::Limits,
    seal::Principal,
    table::{Seeded, Table},
    time::Timestamp,
};

/// How many events are remembered of each principal. Principals are those of the keyring, so their number is bounded as well.
const REMEMBERED: usize = 4096;

/// The events that a subscription has had.
#[derive(Debug)]
pub(super) struct Seen {
    of: Table<Principal, Remembered>,
    /// What is older cannot have been sent since there is the subscription.
    since: Timestamp,
    limits: Limits,
    hasher: Seeded,
}

#[derive(Debug)]
struct Remembered {
    ids: HashSet<u64>,
    order: VecDeque<(u64, Timestamp)>,
    /// What is dated at or below this and is not remembered may have been forgotten.
    floor: Timestamp,
}

impl Default for Remembered {
    fn default() -> Self {
        Remembered { ids: HashSet::new(), order: VecDeque::new(), floor: Timestamp::MIN }
    }
}

impl Seen {
    /// Remembers nothing yet, and takes nothing that was sent before `since`.
    pub(super) fn new(since: Timestamp, limits: Limits) -> Self {
        Seen { of: Table::default(), since, limits, hasher: Seeded::default() }
    }

    /// Whether an event is to be taken: it is fresh, and has not been here before. It is remembered then.
    pub(super) fn admit(&mut self, principal: &Principal, head: &Head, now: Timestamp) -> bool {
        let (Some(sn), Some(sent)) = (&head.sn, head.sent) else { return false };
        let age = head.ttl.unwrap_or(self.limits.max_age);
        if sent > now.plus(self.limits.skew) || now > sent.plus(age).plus(self.limits.skew) || sent < self.since {
            return false;
        }
        let id = self.hasher.hash_one(Sn::as_str(sn));
        if !self.of.contains_key(principal) {
            self.of.insert(principal.clone(), Remembered::default());
        }
        let Some(remembered) = self.of.get_mut(principal) else { return false };
        if sent <= remembered.floor || !remembered.ids.insert(id) {
            return false;
        }
        remembered.order.push_back((id, sent));
        if remembered.order.len() > REMEMBERED
            && let Some((oldest, sent)) = remembered.order.pop_front()
        {
            remembered.ids.remove(&oldest);
            remembered.floor = remembered.floor.max(sent);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn head(sn: &str, sent: i64) -> Head {
        Head { sn: Sn::new(sn.to_owned()), sent: Some(Timestamp::from_millis(sent)), ..Head::to("a.b") }
    }

    #[test]
    fn what_is_forgotten_is_not_taken_again() {
        let (now, dog) = (Timestamp::from_millis(100_000), Principal::Key("dog".into()));
        let mut seen = Seen::new(Timestamp::from_millis(10), Limits::default());
        let most = i64::try_from(REMEMBERED).unwrap();
        for number in 0..=most {
            assert!(seen.admit(&dog, &head(&number.to_string(), 100 + number), now));
        }
        assert!(!seen.admit(&dog, &head("0", 100), now), "forgotten, and below the floor");
        assert!(!seen.admit(&dog, &head("1", 101), now), "remembered");
        assert!(!seen.admit(&dog, &head("late", 99), now), "nobody knows");
        assert!(seen.admit(&dog, &head("new", 101), now));
        assert!(seen.admit(&Principal::Key("cat".into()), &head("0", 100), now), "another's");
        assert!(seen.of[&dog].ids.len() <= REMEMBERED && seen.of[&dog].order.len() <= REMEMBERED);
    }

    #[test]
    fn only_the_fresh_are_taken() {
        let limits = Limits::default().skew(Duration::from_millis(10)).max_age(Duration::from_millis(100));
        let (now, dog) = (Timestamp::from_millis(1000), Principal::Key("dog".into()));
        let mut seen = Seen::new(Timestamp::from_millis(895), limits);
        for (sent, fresh) in [(1010, true), (1011, false), (895, true), (894, false), (1000, true)] {
            assert_eq!(seen.admit(&dog, &head(&sent.to_string(), sent), now), fresh, "{sent}");
        }
        let mut seen = Seen::new(Timestamp::MIN, limits);
        assert!(seen.admit(&dog, &head("1", 890), now) && !seen.admit(&dog, &head("2", 889), now));
        let brief = Head { ttl: Some(Duration::from_millis(5)), ..head("3", 984) };
        assert!(!seen.admit(&dog, &brief, now));
        assert!(!seen.admit(&dog, &Head { sn: None, ..head("4", 1000) }, now));
        assert!(!seen.admit(&dog, &Head { sent: None, ..head("5", 1000) }, now));
    }
}

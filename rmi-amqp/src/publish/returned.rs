//! Which frame was returned.
//!
//! The broker returns a mandatory frame that nobody is there for, and then acknowledges it. The library hangs a returned message to
//! the first acknowledgement that it comes to after it; where the broker acknowledges several at once, that need not be its own. So
//! it is looked for by what it says, and nothing is decided before everything that has come has been looked at.

use std::collections::{BTreeMap, BTreeSet};

/// The frames that are acknowledged, and of which it is not yet decided whether they were returned.
#[derive(Debug)]
pub(super) struct Undecided<K> {
    /// Those that came while nothing was returned and nothing held: mostly all, and then there is nothing to look for.
    plain: Vec<K>,
    /// Each with the other frame whose return its acknowledgement carried.
    held: BTreeMap<K, Option<K>>,
    returned: BTreeSet<K>,
    /// What the acknowledgements carried that have come since something was held.
    carried: BTreeMap<K, Option<K>>,
}

impl<K> Default for Undecided<K> {
    fn default() -> Self {
        Undecided { plain: Vec::new(), held: BTreeMap::new(), returned: BTreeSet::new(), carried: BTreeMap::new() }
    }
}

impl<K: Copy + Ord> Undecided<K> {
    /// A frame was returned, whichever acknowledgement said so.
    pub(super) fn returned(&mut self, frame: K) {
        self.look();
        self.returned.insert(frame);
    }

    pub(super) fn is_returned(&self, frame: K) -> bool {
        self.returned.contains(&frame)
    }

    /// A frame was acknowledged, and with it another one's return came, or none.
    pub(super) fn acknowledged(&mut self, frame: K, other: Option<K>) {
        if other.is_none() && self.held.is_empty() && self.returned.is_empty() {
            self.plain.push(frame);
            return;
        }
        self.look();
        self.held.insert(frame, other);
        self.carried.insert(frame, other);
    }

    /// A frame was refused: that is what became of it, whether it was returned or not.
    pub(super) fn refused(&mut self, frame: K) {
        self.returned.remove(&frame);
    }

    /// Something is to be looked for: among those too that came before it.
    fn look(&mut self) {
        for frame in self.plain.drain(..) {
            self.held.insert(frame, None);
            self.carried.insert(frame, None);
        }
    }

    /// Everything that has come has been looked at: what can be decided is, with whether it was returned. What waits for the
    /// acknowledgement of another frame, which may carry its own return, waits on; `on_its_way` says whether there will be one.
    pub(super) fn decide(&mut self, on_its_way: impl Fn(K) -> bool, decided: &mut Vec<(K, bool)>) {
        let Undecided { plain, held, returned, carried } = self;
        decided.extend(plain.drain(..).map(|frame| (frame, false)));
        held.retain(|frame, waits| {
            if returned.remove(frame) {
                decided.push((*frame, true));
                return false;
            }
            // Whoever carried another's has handed the question on to that one.
            while let Some(other) = *waits {
                match carried.get(&other) {
                    Some(next) => *waits = next.filter(|next| next != frame),
                    None if on_its_way(other) => return true,
                    None => *waits = None,
                }
            }
            decided.push((*frame, false));
            false
        });
        if held.is_empty() {
            carried.clear();
        }
    }

    /// The channel has gone, and everything with it.
    pub(super) fn clear(&mut self) {
        *self = Undecided::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Undecided<u64> {
        fn decided(&mut self, on_its_way: &[u64]) -> Vec<(u64, bool)> {
            let mut decided = Vec::new();
            self.decide(|frame| on_its_way.contains(&frame), &mut decided);
            decided
        }
    }

    #[test]
    fn a_frame_with_its_own_return_is_decided() {
        let mut undecided = Undecided::<u64>::default();
        undecided.returned(3);
        undecided.acknowledged(3, None);
        undecided.acknowledged(4, None);
        assert_eq!(undecided.decided(&[]), [(3, true), (4, false)]);
        assert!(undecided.held.is_empty() && undecided.carried.is_empty() && undecided.returned.is_empty());
    }

    #[test]
    fn a_return_that_comes_last_is_found_too() {
        let mut undecided = Undecided::<u64>::default();
        undecided.acknowledged(3, None);
        undecided.acknowledged(4, None);
        undecided.returned(3);
        undecided.acknowledged(7, Some(3));
        assert_eq!(undecided.decided(&[]), [(3, true), (4, false), (7, false)]);
        undecided.acknowledged(8, None);
        assert_eq!(undecided.decided(&[]), [(8, false)]);
    }

    #[test]
    fn a_return_that_came_with_another_acknowledgement_is_found() {
        let mut undecided = Undecided::<u64>::default();
        undecided.returned(3);
        undecided.acknowledged(7, Some(3));
        undecided.acknowledged(3, None);
        assert_eq!(undecided.decided(&[]), [(3, true), (7, false)]);
    }

    #[test]
    fn whoever_carried_anothers_waits_for_that_one() {
        let mut undecided = Undecided::<u64>::default();
        undecided.returned(3);
        undecided.acknowledged(5, Some(3));
        assert_eq!(undecided.decided(&[3]), [], "the acknowledgement of 3 may carry the return of 5");
        undecided.returned(5);
        undecided.acknowledged(3, Some(5));
        assert_eq!(undecided.decided(&[]), [(3, true), (5, true)]);
    }

    #[test]
    fn whoever_carried_anothers_and_was_not_returned_is_taken() {
        let mut undecided = Undecided::<u64>::default();
        undecided.returned(3);
        undecided.acknowledged(5, Some(3));
        assert_eq!(undecided.decided(&[3]), []);
        undecided.acknowledged(3, None);
        assert_eq!(undecided.decided(&[]), [(3, true), (5, false)]);
    }

    #[test]
    fn a_ring_of_carriers_ends() {
        let mut undecided = Undecided::<u64>::default();
        for frame in [1, 2, 3] {
            undecided.acknowledged(frame, Some(frame % 3 + 1));
            undecided.returned(frame);
        }
        assert_eq!(undecided.decided(&[]), [(1, true), (2, true), (3, true)]);
    }
}

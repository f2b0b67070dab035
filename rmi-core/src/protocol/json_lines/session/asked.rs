//! The commands that this end has sent, and what for: their answers name nothing but an id.

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

/// What a command was sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// A call, which waits for the answer.
    Call,
    /// The handshake.
    Handshake,
    /// Nobody waits for its answer.
    Itself,
}

/// The commands that have not been answered.
#[derive(Debug, Default)]
pub(super) struct Asked {
    open: HashMap<Uuid, For>,
    /// In the order in which they were sent, those that have been answered among them.
    order: VecDeque<Uuid>,
    forgotten: bool,
}

impl Asked {
    /// How many are remembered at most. A peer may leave any number of them unanswered.
    const MOST: usize = 4096;

    pub(super) fn insert(&mut self, serial: Uuid, what: For) {
        // What has been answered leaves its place when there are as many of those as of the others.
        if self.order.len() >= Self::MOST.max(2 * self.open.len()) {
            let open = &self.open;
            self.order.retain(|serial| open.contains_key(serial));
        }
        if self.open.len() >= Self::MOST {
            while let Some(oldest) = self.order.pop_front() {
                if self.open.remove(&oldest).is_some() {
                    self.forgotten = true;
                    break;
                }
            }
        }
        if self.open.insert(serial, what).is_none() {
            self.order.push_back(serial);
        }
    }

    /// As [`insert`](Self::insert), of an id that was made here.
    pub(super) fn remember(&mut self, id: &str, what: For) {
        if let Ok(serial) = Uuid::try_parse(id) {
            self.insert(serial, what);
        }
    }

    /// A command has been answered: what it was sent for.
    pub(super) fn take(&mut self, serial: Uuid) -> Option<For> {
        self.open.remove(&serial)
    }

    /// Whether there may have been more than are remembered.
    pub(super) fn has_forgotten(&self) -> bool {
        self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_so_many_are_remembered() {
        let mut asked = Asked::default();
        let id = |n: usize| Uuid::from_u128(n as u128);
        for n in 0..10 * Asked::MOST {
            asked.insert(id(n), For::Call);
            assert_eq!(asked.take(id(n)), Some(For::Call));
        }
        assert!(!asked.has_forgotten(), "all of them were answered");
        for n in 0..Asked::MOST {
            asked.insert(id(n), For::Call);
        }
        assert!(!asked.has_forgotten());
        asked.insert(id(Asked::MOST), For::Itself);
        assert!(asked.has_forgotten());
        assert_eq!((asked.take(id(0)), asked.take(id(1))), (None, Some(For::Call)));
        assert!(asked.open.len() <= Asked::MOST && asked.order.len() <= 2 * Asked::MOST);
    }
}

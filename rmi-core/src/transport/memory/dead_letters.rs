use std::collections::VecDeque;

use bytes::Bytes;

use super::queue::Stored;
use crate::{
    text::Text,
    transport::{Destination, Frame, SharedProperties},
};

/// A frame that was discarded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The exchange of its topic; empty for a mailbox.
    pub exchange: Text,
    /// The key of its topic, or the address of its mailbox.
    pub key: Text,
    /// The payload.
    pub payload: Bytes,
    /// What travelled beside the payload.
    pub properties: SharedProperties,
    /// It had been delivered before.
    pub redelivered: bool,
}

/// The youngest dead letters of a bus.
#[derive(Debug)]
pub(super) struct DeadLetters {
    letters: VecDeque<(usize, DeadLetter)>,
    bytes: usize,
    max_letters: usize,
    max_bytes: usize,
}

impl DeadLetters {
    pub(super) fn new(max_letters: usize, max_bytes: usize) -> Self {
        DeadLetters { letters: VecDeque::new(), bytes: 0, max_letters, max_bytes }
    }

    /// Keeps a frame, and drops the oldest ones that there is no room for beside it.
    pub(super) fn push(&mut self, stored: Stored, address: &Text) {
        let size = stored.size();
        let (redelivered, Frame { to, payload, properties, .. }) = (stored.redelivered, stored.frame);
        let (exchange, key) = match to {
            Destination::Topic { exchange, key } => (exchange, key),
            Destination::Address(_) | Destination::Queue(_) | Destination::Link => (Text::EMPTY, address.clone()),
        };
        self.bytes += size;
        self.letters.push_back((size, DeadLetter { exchange, key, payload, properties, redelivered }));
        while self.letters.len() > self.max_letters || self.bytes > self.max_bytes {
            let Some((size, _)) = self.letters.pop_front() else { break };
            self.bytes -= size;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.letters.len()
    }

    pub(super) fn all(&self) -> Vec<DeadLetter> {
        self.letters.iter().map(|(_, letter)| letter.clone()).collect()
    }
}

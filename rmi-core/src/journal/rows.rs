//! What each step is in a store of keys and values.

use sha2::{Digest, Sha256};

use crate::{
    journal::{
        RequestId, Step,
        codec::{self, Writer},
    },
    seal::Principal,
    text::Text,
    time::Timestamp,
};

/// The key of a row: at most 18 bytes, and nothing that a peer chose. All rows of a request lie together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Box<[u8]>);

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// What a step changes in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A row is written, in place of one of the same key.
    Put(Key, Vec<u8>),
    /// The rows from the first key to the second, both included, are not needed any more, as far as they are there.
    DeleteRange(Key, Key),
}

/// What a row of a request says. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Part {
    Entry = 0,
    Accepted = 1,
    Started = 2,
    Cancelled = 3,
    Moved = 4,
    /// Its outcome; or that it has run, or may not run.
    Concluded = 5,
}

impl Part {
    pub(super) fn of(number: u8) -> Option<Self> {
        [Part::Entry, Part::Accepted, Part::Started, Part::Cancelled, Part::Moved, Part::Concluded]
            .into_iter()
            .find(|part| *part as u8 == number)
    }
}

/// What a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Since,
    Floor,
    Request(RequestId, Part),
}

const SINCE: u8 = b's';
const FLOOR: u8 = b'f';
const REQUEST: u8 = b'r';
/// How much of the digest of a name is in a key.
const NAME: usize = 16;

impl Key {
    fn request(id: RequestId, part: u8) -> Self {
        let mut key = [0; 10];
        key[0] = REQUEST;
        // In this order of bytes the order of keys is that of requests.
        key[1..9].copy_from_slice(&id.0.to_be_bytes());
        key[9] = part;
        Key(Box::new(key))
    }

    fn part(id: RequestId, part: Part) -> Self {
        Key::request(id, part as u8)
    }

    fn since(binding: &Text) -> Self {
        let mut name = Writer::default();
        name.text(binding);
        Key::digested(SINCE, &name)
    }

    fn floor(binding: &Text, principal: Option<&Principal>) -> Self {
        let mut name = Writer::default();
        name.text(binding);
        name.option(principal, Writer::principal);
        Key::digested(FLOOR, &name)
    }

    fn digested(kind: u8, name: &Writer) -> Self {
        let mut key = vec![kind];
        key.extend_from_slice(&Sha256::digest(name.as_slice())[..NAME]);
        Key(key.into_boxed_slice())
    }

    pub(super) fn named(key: &[u8]) -> Option<Named> {
        match key {
            [SINCE, rest @ ..] if rest.len() == NAME => Some(Named::Since),
            [FLOOR, rest @ ..] if rest.len() == NAME => Some(Named::Floor),
            [REQUEST, id @ .., part] => {
                Some(Named::Request(RequestId(u64::from_be_bytes(id.try_into().ok()?)), Part::of(*part)?))
            }
            _ => None,
        }
    }
}

#[cfg(feature = "journal")]
impl Key {
    /// A key as it was read.
    pub(super) fn read(key: &[u8]) -> Option<Self> {
        Key::named(key).map(|_| Key(key.into()))
    }

    /// The key of what a request is known by.
    pub(super) fn entry(id: RequestId) -> Self {
        Key::part(id, Part::Entry)
    }

    /// The key of how a request has ended.
    pub(super) fn concluded(id: RequestId) -> Self {
        Key::part(id, Part::Concluded)
    }

    /// What has to be assumed where the row of a key cannot be read: as [`Assembler`](crate::journal::Assembler) does.
    pub(super) fn assumed(key: &[u8]) -> Vec<Change> {
        match Key::named(key) {
            Some(Named::Request(id, Part::Started)) => Step::Started { id, attempt: 1 }.changes(),
            Some(Named::Request(id, Part::Cancelled)) => Step::Cancelled { id }.changes(),
            Some(Named::Request(id, Part::Concluded)) => Step::Faded { id }.changes(),
            // Nobody can ask for what is not known by anything.
            Some(Named::Request(id, Part::Entry)) => Step::Forgotten { id }.changes(),
            Some(Named::Request(_, Part::Accepted | Part::Moved) | Named::Since | Named::Floor) | None => Vec::new(),
        }
    }
}

impl Step {
    /// What the step changes in a store of keys and values, in this order. Every value has a checksum, over its key as well, and
    /// a version; [`Assembler`](crate::journal::Assembler) reads them.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        let put = |key: Key, write: &dyn Fn(&mut Writer)| {
            let value = codec::sealed(key.as_ref(), write);
            Change::Put(key, value)
        };
        let state = |id, write: &dyn Fn(&mut Writer)| put(Key::part(id, Part::Concluded), write);
        match self {
            Step::Since { binding, at: Timestamp::MIN } => vec![Change::DeleteRange(Key::since(binding), Key::since(binding))],
            Step::Since { binding, at } => vec![put(Key::since(binding), &|w| {
                w.text(binding);
                w.timestamp(*at);
            })],
            Step::Accepted { id, request } => vec![
                put(Key::part(*id, Part::Entry), &|w| w.entry(&request.entry)),
                put(Key::part(*id, Part::Accepted), &|w| w.accepted(request)),
            ],
            Step::Refused { id, entry, outcome } => {
                vec![put(Key::part(*id, Part::Entry), &|w| w.entry(entry)), state(*id, &|w| w.concluded(outcome))]
            }
            Step::Started { id, attempt } => vec![put(Key::part(*id, Part::Started), &|w| w.number(u64::from(*attempt)))],
            Step::Concluded { id, outcome } => vec![state(*id, &|w| w.concluded(outcome))],
            // That it is confirmed is that nothing is left of it but what it is known by, and its outcome.
            Step::Confirmed { id } => vec![Change::DeleteRange(Key::part(*id, Part::Accepted), Key::part(*id, Part::Moved))],
            Step::Cancelled { id } => vec![put(Key::part(*id, Part::Cancelled), &|_| {})],
            Step::Moved { id, to } => vec![put(Key::part(*id, Part::Moved), &|w| w.text(to.text()))],
            Step::Faded { id } => vec![state(*id, &Writer::faded)],
            Step::Forgotten { id } => vec![Change::DeleteRange(Key::request(*id, 0), Key::request(*id, u8::MAX))],
            Step::Barred { id, entry } => {
                vec![put(Key::part(*id, Part::Entry), &|w| w.entry(entry)), state(*id, &Writer::barred)]
            }
            Step::Floor { binding, principal, at: Timestamp::MIN } => {
                let key = Key::floor(binding, principal.as_ref());
                vec![Change::DeleteRange(key.clone(), key)]
            }
            Step::Floor { binding, principal, at } => vec![put(Key::floor(binding, principal.as_ref()), &|w| {
                w.text(binding);
                w.option(principal.as_ref(), Writer::principal);
                w.timestamp(*at);
            })],
        }
    }
}

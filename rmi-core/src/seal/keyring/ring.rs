use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use super::{KeyringError, TrustedKey};
use crate::{seal::keys::Fingerprint, text::Text, time::Timestamp};

/// How many keys of one sender may be live at once: the old one, the new one, and one in reserve. Also bounds what a message
/// with a bad signature costs.
const MOST: usize = 3;

/// Keys by sender, at one moment.
#[derive(Clone, Default)]
pub(in crate::seal) struct Ring {
    senders: HashMap<String, Sender>,
    revoked: BTreeSet<Fingerprint>,
}

#[derive(Clone)]
struct Sender {
    /// The name once more, to be shared with every message that is verified.
    name: Text,
    keys: Vec<TrustedKey>,
    answers_for: BTreeSet<String>,
}

impl Ring {
    fn sender(&mut self, name: &str) -> &mut Sender {
        let new = || Sender { name: Text::from(name), keys: Vec::new(), answers_for: BTreeSet::new() };
        self.senders.entry(name.to_owned()).or_insert_with(new)
    }

    pub(super) fn add(&mut self, sender: &str, key: TrustedKey) {
        let keys = &mut self.sender(sender).keys;
        keys.retain(|other| other.key() != key.key());
        keys.push(key);
    }

    pub(super) fn allow_answers(&mut self, sender: &str, address: String) {
        self.sender(sender).answers_for.insert(address);
    }

    pub(super) fn revoke(&mut self, key: Fingerprint) {
        self.revoked.insert(key);
    }

    /// This ring and another, which is right where both know a key, without the keys that either revokes.
    pub(super) fn merged(&self, other: &Ring) -> Ring {
        let mut ring = self.clone();
        ring.revoked.extend(&other.revoked);
        for (name, sender) in &other.senders {
            sender.keys.iter().for_each(|key| ring.add(name, key.clone()));
            sender.answers_for.iter().for_each(|address| ring.allow_answers(name, address.clone()));
        }
        let Ring { senders, revoked } = &mut ring;
        for sender in senders.values_mut() {
            sender.keys.retain(|key| !revoked.contains(&key.key().fingerprint()));
        }
        ring
    }

    /// Checks that no sender has more live keys than it may. A key that is yet to become valid counts: it will.
    pub(super) fn check(&self, now: Timestamp) -> Result<(), KeyringError> {
        for sender in self.senders.values() {
            let live: Vec<_> = sender.keys.iter().filter(|key| !key.is_over_at(now)).collect();
            if live.len() > MOST {
                let keys = live.iter().map(|key| key.key().fingerprint().short()).collect::<Vec<_>>().join(", ");
                return Err(KeyringError::TooManyKeys { sender: sender.name.clone(), most: MOST, keys });
            }
        }
        Ok(())
    }

    /// The keys of a sender that are valid now, each with the ring's own copy of the name. Never more than may be, even if a
    /// clock that was set back has brought old ones to life.
    pub(in crate::seal) fn live(&self, sender: &str, now: Timestamp) -> impl Iterator<Item = (&Text, &TrustedKey)> {
        let known = self.senders.get(sender).into_iter();
        known
            .flat_map(|sender| sender.keys.iter().map(|key| (&sender.name, key)))
            .filter(move |(_, key)| key.is_valid_at(now))
            .take(MOST)
    }

    pub(super) fn answers(&self, sender: &str, address: &str) -> bool {
        self.senders.get(sender).is_some_and(|sender| sender.answers_for.contains(address))
    }

    pub(super) fn senders(&self) -> Vec<Text> {
        let with_keys = self.senders.values().filter(|sender| !sender.keys.is_empty());
        let mut names: Vec<_> = with_keys.map(|sender| sender.name.clone()).collect();
        names.sort();
        names
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: BTreeMap<_, Vec<_>> =
            self.senders.iter().map(|(name, sender)| (name, sender.keys.iter().map(TrustedKey::key).collect())).collect();
        f.debug_struct("Ring").field("keys", &keys).field("revoked", &self.revoked.len()).finish()
    }
}

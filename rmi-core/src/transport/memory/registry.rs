use std::{collections::hash_map::Entry, sync::Arc};

use smallvec::SmallVec;

use super::{
    mailbox::{Mailbox, Place},
    pattern::Pattern,
};
use crate::{address::Address, table::Table, text::Text};

/// Which mailboxes there are, and what reaches them.
#[derive(Debug, Default)]
pub(super) struct Registry {
    addresses: Table<Address, Arc<Mailbox>>,
    exchanges: Table<Text, Exchange>,
    len: usize,
}

/// The topic subscriptions of an exchange. Those to one key are looked up, the others are tried one by one.
#[derive(Debug, Default)]
struct Exchange {
    exact: Table<Text, Vec<Arc<Mailbox>>>,
    wild: Vec<Arc<Mailbox>>,
}

/// The mailboxes that a topic's frame goes to.
pub(super) type Matching = SmallVec<[Arc<Mailbox>; 4]>;

impl Registry {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn address(&self, address: &Address) -> Option<&Arc<Mailbox>> {
        self.addresses.get(address)
    }

    /// The mailboxes whose pattern matches a key, by age.
    pub(super) fn matching(&self, exchange: &Text, key: &Text) -> Matching {
        let Some(exchange) = self.exchanges.get(exchange) else { return Matching::new() };
        let exact = exchange.exact.get(key).into_iter().flatten();
        let wild = exchange.wild.iter().filter(|mailbox| match &mailbox.place {
            Place::Topic { patterns, .. } => patterns.iter().any(|pattern| pattern.matches(key)),
            Place::Address(_) => false,
        });
        let mut matching: Matching = exact.chain(wild).cloned().collect();
        matching.sort_unstable_by_key(|mailbox| mailbox.id);
        matching
    }

    /// The mailbox that the subscriptions of a group to the same patterns share.
    pub(super) fn pool(&self, exchange: &Text, patterns: &[Pattern], group: Option<&Text>) -> Option<&Arc<Mailbox>> {
        let exchange = self.exchanges.get(exchange)?;
        let same = |mailbox: &&Arc<Mailbox>| match &mailbox.place {
            Place::Topic { patterns: its, group: of, .. } => mailbox.pooled && **its == *patterns && of.as_ref() == group,
            Place::Address(_) => false,
        };
        match exact(patterns) {
            Some(key) => exchange.exact.get(key)?.iter().find(same),
            None => exchange.wild.iter().find(same),
        }
    }

    pub(super) fn insert(&mut self, mailbox: Arc<Mailbox>) {
        self.len += 1;
        match &mailbox.place {
            Place::Address(address) => {
                self.addresses.insert(Address::from(address.clone()), mailbox);
            }
            Place::Topic { exchange, patterns, .. } => {
                let exchange = self.exchanges.entry(exchange.clone()).or_default();
                match exact(patterns) {
                    Some(key) => exchange.exact.entry(key.clone()).or_default().push(mailbox),
                    None => exchange.wild.push(mailbox),
                }
            }
        }
    }

    pub(super) fn remove(&mut self, mailbox: &Mailbox) {
        let before = self.len;
        match &mailbox.place {
            Place::Address(address) => {
                let address = Address::from(address.clone());
                if self.addresses.get(&address).is_some_and(|found| found.id == mailbox.id) {
                    self.addresses.remove(&address);
                    self.len -= 1;
                }
            }
            Place::Topic { exchange, patterns, .. } => {
                let Entry::Occupied(mut entry) = self.exchanges.entry(exchange.clone()) else { return };
                let exchange = entry.get_mut();
                if let Some(key) = exact(patterns) {
                    if let Entry::Occupied(mut key) = exchange.exact.entry(key.clone()) {
                        self.len -= take_out(key.get_mut(), mailbox);
                        if key.get().is_empty() {
                            key.remove();
                        }
                    }
                } else {
                    self.len -= take_out(&mut exchange.wild, mailbox);
                }
                if exchange.exact.is_empty() && exchange.wild.is_empty() {
                    entry.remove();
                }
            }
        }
        debug_assert_eq!(self.len + 1, before, "a mailbox is removed once");
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Mailbox>> {
        let topics = self.exchanges.values().flat_map(|exchange| exchange.exact.values().flatten().chain(&exchange.wild));
        self.addresses.values().chain(topics)
    }
}

/// The one key that patterns match, if it is only one.
fn exact(patterns: &[Pattern]) -> Option<&Text> {
    match patterns {
        [only] if only.is_exact() => Some(only.text()),
        _ => None,
    }
}

/// Says how many were taken out: one, or none.
fn take_out(mailboxes: &mut Vec<Arc<Mailbox>>, mailbox: &Mailbox) -> usize {
    let before = mailboxes.len();
    mailboxes.retain(|other| other.id != mailbox.id);
    before - mailboxes.len()
}

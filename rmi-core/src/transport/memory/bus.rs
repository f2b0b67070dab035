use std::sync::{
    Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicU64, Ordering},
};

use super::{
    counters::Counters,
    dead_letters::{DeadLetter, DeadLetters},
    inbox::Attachment,
    mailbox::{Mailbox, Offer, Permit, Place, Reserved},
    options::Options,
    pattern::Pattern,
    queue::Stored,
    registry::{Matching, Registry},
};
use crate::{
    text::Text,
    transport::{Destination, LinkId, Receipt, Sharing, Source, Subscription, TransportError, TransportErrorKind, WhenFull},
};

/// What the seats of a bus share. Locks are taken in this order: the registry, a mailbox, the dead letters.
#[derive(Debug)]
pub(super) struct Bus {
    pub(super) options: Options,
    registry: RwLock<Registry>,
    /// What happened in mailboxes that are gone; written under the registry's write lock.
    retired: Mutex<Counters>,
    dead_letters: Mutex<DeadLetters>,
    unroutable: AtomicU64,
    mailboxes: AtomicU64,
    links: AtomicU64,
}

/// How long an address, an exchange, a key or a pattern may be, in bytes. It bounds what it takes to match a key against a pattern.
pub(super) const LONGEST_NAME: usize = 1024;

/// What became of a frame that was offered to the bus.
#[derive(Debug)]
pub(super) enum Routed {
    /// It is answered for.
    Done(Receipt),
    /// One of these mailboxes has no room for it.
    Full(Matching),
}

impl Bus {
    pub(super) fn new(options: Options) -> Self {
        Bus {
            registry: RwLock::default(),
            retired: Mutex::default(),
            dead_letters: Mutex::new(DeadLetters::new(options.dead_letters, options.mailbox_bytes)),
            unroutable: AtomicU64::new(0),
            mailboxes: AtomicU64::new(0),
            links: AtomicU64::new(0),
            options,
        }
    }

    pub(super) fn new_link(&self) -> LinkId {
        LinkId(self.links.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Puts a frame into the mailboxes that it is for, into all of them or none. What is not taken stays in `frame`.
    pub(super) fn route(&self, frame: &mut Option<Box<Stored>>) -> Routed {
        loop {
            let Some(stored) = frame else { return Routed::Done(self.unroutable()) };
            let mailboxes = match &stored.frame.to {
                Destination::Address(address) => self.read().address(address).cloned().into_iter().collect(),
                Destination::Queue(name) => self.read().address(&name.clone().into()).cloned().into_iter().collect(),
                Destination::Topic { exchange, key } => self.read().matching(exchange, key),
                Destination::Link => Matching::new(),
            };
            match &mailboxes[..] {
                [] => return Routed::Done(self.unroutable()),
                [mailbox] => match mailbox.offer(frame) {
                    Offer::Stored => return Routed::Done(Receipt::Stored),
                    Offer::Full => return Routed::Full(mailboxes),
                    // There may be another one of its name by now.
                    Offer::Gone => {}
                    Offer::Lapsed => self.sweep(),
                },
                several => {
                    let size = stored.size();
                    let mut permits = Vec::with_capacity(several.len());
                    for mailbox in several {
                        match mailbox.reserve(size) {
                            Reserved::Now(permit) => permits.push(permit),
                            Reserved::Gone => {}
                            Reserved::Full => return Routed::Full(mailboxes),
                        }
                    }
                    return Routed::Done(self.fill(permits, frame));
                }
            }
        }
    }

    /// Puts a copy of a frame into each reserved place.
    pub(super) fn fill(&self, permits: Vec<Permit>, frame: &mut Option<Box<Stored>>) -> Receipt {
        let Some(frame) = frame.take() else { return self.unroutable() };
        let stored = permits.into_iter().fold(0, |stored, permit| stored + usize::from(permit.fill(frame.clone())));
        if stored == 0 { self.unroutable() } else { Receipt::Stored }
    }

    /// Nobody is there.
    pub(super) fn unroutable(&self) -> Receipt {
        self.unroutable.fetch_add(1, Ordering::Relaxed);
        Receipt::NoRoute
    }

    /// Makes a consumer of what is subscribed to.
    pub(super) fn attach(self: &Arc<Self>, subscription: &Subscription, link: LinkId) -> Result<Arc<Attachment>, TransportError> {
        let (place, pooled) = place(subscription)?;
        let mut registry = self.write();
        let mut found = match &place {
            Place::Address(address) => registry.address(&address.clone().into()),
            Place::Topic { exchange, patterns, group } if pooled => registry.pool(exchange, patterns, group.as_ref()),
            Place::Topic { .. } => None,
        }
        .cloned();
        if let Some(lapsed) = found.take_if(|mailbox| mailbox.lapsed()) {
            self.retire(&mut registry, &lapsed);
        }
        let mailbox = match found {
            Some(mailbox) => mailbox,
            None => {
                if registry.len() >= self.options.max_mailboxes {
                    self.retire_lapsed(&mut registry);
                }
                if registry.len() >= self.options.max_mailboxes {
                    return Err(refused(format!("the bus has {} mailboxes, and may have no more", registry.len())));
                }
                let id = self.mailboxes.fetch_add(1, Ordering::Relaxed);
                let mailbox = Arc::new(Mailbox::new(id, place, pooled, &self.options));
                registry.insert(Arc::clone(&mailbox));
                mailbox
            }
        };
        let consumer = mailbox.join(subscription)?;
        Ok(Arc::new(Attachment { bus: Arc::clone(self), mailbox, consumer, purpose: subscription.purpose, link }))
    }

    /// Ends a consumer, and its mailbox with it if it was the last one and nothing keeps the mailbox.
    pub(super) fn detach(&self, at: &Attachment) {
        let mut registry = self.write();
        if at.mailbox.leave(at.consumer) {
            self.retire(&mut registry, &at.mailbox);
        }
    }

    /// Removes the mailboxes that have been without a subscriber for too long.
    fn sweep(&self) {
        self.retire_lapsed(&mut self.write());
    }

    fn retire_lapsed(&self, registry: &mut Registry) {
        let lapsed: Vec<_> = registry.iter().filter(|mailbox| mailbox.lapsed()).cloned().collect();
        for mailbox in lapsed {
            self.retire(registry, &mailbox);
        }
    }

    fn retire(&self, registry: &mut Registry, mailbox: &Mailbox) {
        registry.remove(mailbox);
        *self.retired.lock().unwrap_or_else(PoisonError::into_inner) += mailbox.bury();
    }

    pub(super) fn discard(&self, stored: Stored, address: &Text) {
        self.dead_letters.lock().unwrap_or_else(PoisonError::into_inner).push(stored, address);
    }

    pub(super) fn dead_letters(&self) -> Vec<DeadLetter> {
        self.dead_letters.lock().unwrap_or_else(PoisonError::into_inner).all()
    }

    pub(super) fn counters(&self) -> Counters {
        self.sweep();
        let registry = self.read();
        let mut counters = *self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        counters.mailboxes = registry.len();
        for mailbox in registry.iter() {
            mailbox.purge();
            let holding = mailbox.holding();
            counters += holding.tally;
            counters.subscribers += holding.subscribers;
            counters.waiting += holding.waiting;
            counters.unsettled += holding.unsettled;
            counters.bytes += holding.bytes;
            counters.blocked += holding.blocked;
        }
        counters.unroutable = self.unroutable.load(Ordering::Relaxed);
        counters.dead_letters = self.dead_letters.lock().unwrap_or_else(PoisonError::into_inner).len();
        counters
    }

    fn read(&self) -> RwLockReadGuard<'_, Registry> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Registry> {
        self.registry.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the mailbox of a subscription hangs, and whether others share it.
fn place(subscription: &Subscription) -> Result<(Place, bool), TransportError> {
    let broadcast = subscription.sharing == Sharing::Broadcast;
    if subscription.when_full == WhenFull::DropOldest && subscription.acknowledged && subscription.prefetch == 0 {
        return Err(refused("what is delivered cannot be dropped: a subscription that drops the oldest needs a `prefetch`"));
    }
    match &subscription.source {
        Source::Address(address) if broadcast => Err(refused(format!(
            "`{address}` is one mailbox, and each frame in it goes to one subscriber: broadcast needs a topic"
        ))),
        Source::Address(address) => {
            check_name(address.text())?;
            Ok((Place::Address(address.text().detached()), true))
        }
        Source::Topic { patterns, .. } if broadcast && (subscription.durable || subscription.expires.is_some()) => {
            let patterns = patterns.join("`, `");
            Err(refused(format!(
                "a broadcast subscription to `{patterns}` has no name to find it by: it cannot outlive its subscriber"
            )))
        }
        Source::Topic { patterns, .. } if patterns.is_empty() => Err(refused("a subscription to topics needs a pattern")),
        Source::Topic { exchange, patterns } => {
            check_name(exchange)?;
            patterns.iter().chain(&subscription.group).try_for_each(check_name)?;
            let patterns = patterns.iter().map(|pattern| Pattern::new(exchange, pattern)).collect();
            let group = subscription.group.as_ref().map(Text::detached);
            Ok((Place::Topic { exchange: exchange.detached(), patterns, group }, !broadcast))
        }
        Source::Links => Err(refused("the in-memory bus has no links with peers: subscribe to an address or a topic")),
    }
}

/// Refuses what is too long for a name.
pub(super) fn check_name(name: &Text) -> Result<(), TransportError> {
    if name.len() > LONGEST_NAME {
        return Err(refused(format!("a name of {} bytes is too long: it may have {LONGEST_NAME}", name.len())));
    }
    Ok(())
}

pub(super) fn refused(why: impl Into<String>) -> TransportError {
    TransportError::new(TransportErrorKind::Refused, why)
}

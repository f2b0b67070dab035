use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use uuid::Uuid;

use super::{flight::Flight, stored::Stored};

/// What a cache has, what is on its way, and how much room that takes.
#[derive(Debug)]
pub(super) struct State {
    bound: u64,
    images: HashMap<Uuid, Entry>,
    /// The bytes of the images.
    held: u64,
    /// The bytes of those that are on their way.
    reserved: u64,
    /// Counts uses.
    clock: u64,
    flights: HashMap<Uuid, Arc<Flight>>,
}

#[derive(Debug)]
struct Entry {
    stored: Stored,
    used: u64,
}

impl State {
    pub(super) fn new(bound: u64) -> Self {
        State { bound, images: HashMap::new(), held: 0, reserved: 0, clock: 0, flights: HashMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.images.len()
    }

    pub(super) fn used(&self) -> u64 {
        self.held.saturating_add(self.reserved)
    }

    /// The least recently used first.
    pub(super) fn by_age(&self) -> Vec<Uuid> {
        let mut ids: Vec<(u64, Uuid)> = self.images.iter().map(|(id, entry)| (entry.used, *id)).collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    /// An image is there, and has just been used.
    pub(super) fn insert(&mut self, id: Uuid, stored: Stored) {
        self.forget(id);
        self.clock += 1;
        self.held = self.held.saturating_add(stored.size);
        self.images.insert(id, Entry { stored, used: self.clock });
    }

    pub(super) fn touch(&mut self, id: Uuid) -> Option<&Stored> {
        self.clock += 1;
        let entry = self.images.get_mut(&id)?;
        entry.used = self.clock;
        Some(&entry.stored)
    }

    pub(super) fn forget(&mut self, id: Uuid) {
        if let Some(entry) = self.images.remove(&id) {
            self.held -= entry.stored.size;
        }
    }

    /// Takes room for so many bytes. What had to go for that is no longer known here, and is to be removed.
    ///
    /// # Errors
    ///
    /// How much room there could be; nothing had to go.
    pub(super) fn reserve(&mut self, size: u64, keep: &HashSet<Uuid>) -> Result<Vec<Uuid>, u64> {
        let kept: u64 = self.images.iter().filter(|(id, _)| keep.contains(id)).map(|(_, entry)| entry.stored.size).sum();
        let room = self.bound.saturating_sub(kept.saturating_add(self.reserved));
        if size > room {
            return Err(room);
        }
        self.reserved += size;
        Ok(self.evict(keep))
    }

    /// Makes what is there fit.
    pub(super) fn shrink(&mut self) -> Vec<Uuid> {
        self.evict(&HashSet::new())
    }

    fn evict(&mut self, keep: &HashSet<Uuid>) -> Vec<Uuid> {
        let mut evicted = Vec::new();
        for id in self.by_age() {
            if self.used() <= self.bound {
                break;
            }
            if !keep.contains(&id) {
                self.forget(id);
                evicted.push(id);
            }
        }
        evicted
    }

    pub(super) fn release(&mut self, size: u64) {
        self.reserved -= size;
    }

    pub(super) fn flight(&self, id: Uuid) -> Option<Arc<Flight>> {
        self.flights.get(&id).cloned()
    }

    pub(super) fn take_off(&mut self, id: Uuid) -> Arc<Flight> {
        let flight = Arc::new(Flight::new(id));
        self.flights.insert(id, Arc::clone(&flight));
        flight
    }

    /// Takes it from the list, unless the list has a later one already.
    pub(super) fn land(&mut self, flight: &Arc<Flight>) {
        if self.flights.get(&flight.id).is_some_and(|listed| Arc::ptr_eq(listed, flight)) {
            self.flights.remove(&flight.id);
        }
    }
}

//! Answers that wait for their reply addresses: so many for each, so that one that takes nothing holds up nobody else.

use std::{future::Future, sync::Mutex, time::Duration};

use crate::{address::Address, lock::lock, table::Table};

/// How many answers may wait for one address.
const SHARE: usize = 64;

/// How long one more waits, if none of those before it gets through meanwhile.
const PATIENCE: Duration = Duration::from_millis(250);

/// The addresses that answers wait for.
#[derive(Debug, Default)]
pub(crate) struct Crowd(Mutex<Table<Address, Waits>>);

#[derive(Debug, Default)]
struct Waits {
    count: usize,
    /// One more has waited in vain, and none has got through since.
    stuck: bool,
}

impl Crowd {
    /// Waits for an answer to be taken by its address; `None` where that is given up, because too many wait there.
    pub(crate) async fn wait<T>(&self, to: &Address, answering: impl Future<Output = T>) -> Option<T> {
        let Some(_place) = self.enter(to)? else {
            let taken = tokio::time::timeout(PATIENCE, answering).await;
            if let (Err(_), Some(waits)) = (&taken, lock(&self.0).get_mut(to)) {
                waits.stuck = true;
            }
            return taken.ok();
        };
        Some(answering.await)
    }

    /// A place among those that wait for an address, if there is one; `None` where there is not likely to be.
    fn enter<'a>(&'a self, to: &'a Address) -> Option<Option<Place<'a>>> {
        let mut table = lock(&self.0);
        let waits = table.entry(to.clone()).or_default();
        if waits.count < SHARE {
            waits.count += 1;
            return Some(Some(Place { crowd: self, to }));
        }
        (!waits.stuck).then_some(None)
    }
}

/// One that waits.
struct Place<'a> {
    crowd: &'a Crowd,
    to: &'a Address,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut table = lock(&self.crowd.0);
        if let Some(waits) = table.get_mut(self.to) {
            (waits.count, waits.stuck) = (waits.count - 1, false);
            if waits.count == 0 {
                table.remove(self.to);
            }
        }
    }
}

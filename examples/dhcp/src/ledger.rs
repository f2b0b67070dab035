//! The table and its file.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard},
};

use rmi_core::time::{Clock, Timestamp};

use crate::{Change, DhcpError, Planned, Pool, Store, StoreError, Table, Terms};

/// A lease table that is kept: what it has answered is on the disk.
///
/// Who reads it waits for nobody that writes to the disk. Its methods block: call those that alter it where that does no harm.
#[derive(Debug)]
pub struct Ledger {
    table: RwLock<Table>,
    /// Held from the plan to its application: one change at a time. With the time of the last.
    store: Mutex<(Store, Timestamp)>,
    clock: Arc<dyn Clock>,
}

impl Ledger {
    /// Opens the table that a file holds, or makes one.
    ///
    /// # Errors
    ///
    /// The file cannot be used.
    pub fn open(path: impl Into<PathBuf>, pool: Pool, terms: Terms, clock: impl Clock) -> Result<Self, StoreError> {
        let (store, rows) = Store::open(path)?;
        Ledger::of(store, rows, pool, terms, Arc::new(clock))
    }

    pub(crate) fn of(
        mut store: Store,
        rows: Vec<Change>,
        pool: Pool,
        terms: Terms,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let mut table = Table::new(pool, terms);
        table.apply(rows);
        let now = clock.now();
        // What is ahead may have been given for a time that is over by now.
        for changes in [table.ahead(now), table.leftovers(now)] {
            if !changes.is_empty() {
                store.commit(&changes)?;
                table.apply(changes);
            }
        }
        let strays = table.strays(now);
        if strays > 0 {
            tracing::warn!(
                strays,
                pool = %table.pool(),
                "leases or pins are outside the pool: leases end in their time, what is pinned stays until it is unpinned"
            );
        }
        Ok(Ledger { table: RwLock::new(table), store: Mutex::new((store, now)), clock })
    }

    /// Looks at the table.
    pub fn read<T>(&self, what: impl FnOnce(&Table, Timestamp) -> T) -> T {
        what(&self.look(), self.clock.now())
    }

    /// Alters the table: what was planned is on the disk, or nothing was altered. It blocks as long as the disk takes.
    ///
    /// # Errors
    ///
    /// What the plan says, and [`DhcpError::Store`].
    pub fn write<T>(&self, plan: impl FnOnce(&Table, Timestamp) -> Result<Planned<T>, DhcpError>) -> Result<T, DhcpError> {
        let (store, latest) = &mut *self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if store.has_failed() {
            // What the last commit came to is what the file says now.
            let rows = store.load().map_err(|error| failed(&error))?;
            let mut table = {
                let table = self.look();
                Table::new(table.pool().clone(), table.terms())
            };
            table.apply(rows);
            *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
        }
        let now = self.clock.now();
        if now < *latest {
            let ahead = self.look().ahead(now);
            if !ahead.is_empty() {
                tracing::warn!(leases = ahead.len(), "the clock was set back: leases that were given later than now begin now");
                store.commit(&ahead).map_err(|error| failed(&error))?;
                self.table.write().unwrap_or_else(PoisonError::into_inner).apply(ahead);
            }
        }
        *latest = now;
        let Planned { answer, changes } = plan(&self.look(), now)?;
        if !changes.is_empty() {
            store.commit(&changes).map_err(|error| failed(&error))?;
            self.table.write().unwrap_or_else(PoisonError::into_inner).apply(changes);
        }
        Ok(answer)
    }

    /// Leaves the file to the next, when what is being written is on the disk: nothing can be altered any more. It blocks so long.
    pub fn close(&self) {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).0.close();
    }

    /// Nobody leaves the table half altered: a change that was begun panics nowhere.
    fn look(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(error: &StoreError) -> DhcpError {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(%error, cause, "the lease table could not be written");
    DhcpError::Store { reason: error.reason().to_owned() }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rackhd_api::MacAddress;
    use rmi_core::testing::ManualClock;

    use super::*;
    use crate::store::failing;

    #[test]
    fn a_disk_that_fails_leaves_the_table_as_it_was_and_what_it_says_later_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("leases.redb");
        let fails = Arc::new(AtomicBool::new(false));
        let (store, rows) = failing::store(path.clone(), Arc::clone(&fails)).unwrap();
        let pool: Pool = "10.1.1.0/29".parse().unwrap();
        let clock = ManualClock::default();
        let ledger = Ledger::of(store, rows, pool.clone(), Terms::default(), Arc::new(clock.clone())).unwrap();
        let bind = |last: u8| ledger.write(|table, now| table.bind(MacAddress([2, 0, 0, 0, 0, last]), None, None, now));
        bind(1).unwrap();
        let before = ledger.read(|table, _| table.clone());

        fails.store(true, Ordering::SeqCst);
        for _ in 0..2 {
            assert_eq!(bind(2), Err(DhcpError::Store { reason: "its disk failed".to_owned() }));
            assert_eq!(ledger.read(|table, _| table.clone()), before);
        }
        fails.store(false, Ordering::SeqCst);
        // Whatever the failed commit came to: what the file says is what the table says.
        let (mac, ip) = (MacAddress([2, 0, 0, 0, 0, 9]), [10, 1, 1, 6].into());
        Store::open(&path).unwrap().0.commit(&[Change::Pinned(mac, ip)]).unwrap();
        bind(3).unwrap();
        let after = ledger.read(|table, _| table.clone());
        assert!(after.lease(MacAddress([2, 0, 0, 0, 0, 1]), clock.now()).is_some(), "what was on the disk is there: {after:?}");
        assert_eq!(after.pin(mac), Some(ip));

        ledger.close();
        assert_eq!(bind(4), Err(DhcpError::Store { reason: "the service ends".to_owned() }));
        let again = Ledger::open(&path, pool, Terms::default(), clock.clone()).unwrap();
        assert_eq!(again.read(|table, _| table.clone()), after);
    }
}

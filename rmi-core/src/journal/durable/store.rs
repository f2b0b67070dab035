//! The rows of a journal in one file, by `redb`.
//!
//! The file is verified from end to end when it is opened: what is read from it after that was written so. What does not hold is
//! moved aside and looked through by [`carve`](super::carve), never by what believes in it.
//!
//! A file that the disk has failed is given up, and opened again for the next who wants to write. Where it was the bringing to disk
//! that failed, nothing that the system shows of the file is trusted to be there: its rows are copied into a new one.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use redb::{Builder, Database, Durability, ReadableDatabase, ReadableTableMetadata, StorageError, Table, TableDefinition};

use crate::journal::{
    Assembler, Change, JournalError, JournalErrorKind, Key, Recovered, RequestId, Step,
    durable::{
        carve,
        directory::{Directory, Salt, disk},
        file::Files,
    },
};

/// Each row of [`Change`], with the salt before its value.
const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
/// The salt, under the empty key.
const SALT: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("salt");

/// How much of the file is kept in memory.
const CACHE: usize = 16 << 20;
/// A file is not made smaller below this.
const SMALL: u64 = 8 << 20;
/// Nor where it holds more than one part in so many of its length.
const SPARSE: u64 = 4;

#[derive(Debug)]
pub(super) struct Store {
    directory: Directory,
    files: Files,
    salt: Salt,
    database: Option<Database>,
    /// Requests of which the callers were told that they are not there, while nobody knows what the disk has made of it.
    denied: Vec<RequestId>,
    /// When the last attempt to open the file again ended, and how long it took.
    tried: Option<(Instant, Duration)>,
    failed: Option<JournalError>,
    /// What has become of a file that could not be used.
    aside: Option<String>,
}

/// Why something was not done.
enum Trouble {
    /// It can be tried again.
    Disk(JournalError),
    /// The file does not hold what it should.
    Damaged(String),
}

impl Store {
    /// Opens the store of a directory. Of a file that does not hold what can be read of it is taken over into a new one.
    pub(super) fn open(directory: Directory, files: Files) -> Result<Self, JournalError> {
        let identity = directory.identity()?;
        let mut store = Store {
            salt: identity.map_or_else(salt, Ok)?,
            directory,
            files,
            database: None,
            denied: Vec::new(),
            tried: None,
            failed: None,
            aside: None,
        };
        let path = store.directory.store();
        let there = path.try_exists().map_err(|source| disk(format!("cannot look for `{}`", path.display()), source))?;
        if there {
            match store.load() {
                Ok(()) => {}
                Err(Trouble::Disk(error)) => return Err(error),
                Err(Trouble::Damaged(why)) => store.start_over(&why, identity.is_some())?,
            }
        } else {
            store.renew(std::iter::empty()).map_err(|trouble| trouble.into_error(store.directory.path()))?;
        }
        if identity != Some(store.salt) {
            let identified = store.directory.identify(store.salt);
            identified.map_err(|source| disk(format!("cannot write in `{}`", store.directory.path().display()), source))?;
        }
        Ok(store)
    }

    /// Opens the file that is there, and verifies it.
    fn load(&mut self) -> Result<(), Trouble> {
        let database = guarded(|| {
            let repaired = Arc::new(AtomicBool::new(false));
            let mut database = builder({
                let repaired = repaired.clone();
                move |session: &mut redb::RepairSession| {
                    // A repair begins by verifying everything.
                    repaired.store(true, Ordering::Relaxed);
                    if session.progress() > 0.2 && session.progress() < 0.4 {
                        tracing::warn!(
                            "the last commit of the journal is not whole: the one before it is taken, as after a loss of power"
                        );
                    }
                }
            })
            .create_with_backend(self.files.open(&self.directory.store())?)?;
            if !repaired.load(Ordering::Relaxed) && !database.check_integrity()? {
                tracing::warn!("the journal's file was repaired");
            }
            Ok::<_, redb::Error>(database)
        })?;
        let (salt, worth) = guarded(|| {
            let read = database.begin_read()?;
            let salts = read.open_table(SALT)?;
            let salt = salts.get(&[][..])?.and_then(|salt| Salt::try_from(salt.value()).ok());
            let stats = read.open_table(ROWS)?.stats()?;
            Ok::<_, redb::Error>((salt, stats.stored_bytes() + stats.metadata_bytes()))
        })?;
        self.salt = salt.ok_or_else(|| Trouble::Damaged("it does not say which journal it is".to_owned()))?;
        let unsynced = self.files.unsynced.load(Ordering::Relaxed);
        let sparse = self.len() > SMALL && worth.saturating_mul(SPARSE) < self.len();
        if unsynced || sparse {
            let rows = guarded(|| {
                let rows = database.begin_read()?.open_table(ROWS)?;
                Ok::<_, redb::Error>(rows.range::<&[u8]>(..)?)
            })?;
            let rows = rows.map(|row| {
                let (key, value) = row?;
                Ok((key.value().to_vec(), value.value().to_vec()))
            });
            // What is read from the old one has been verified; what is written to the new one is brought to the disk.
            match self.renew(rows) {
                Ok(()) => {
                    shut(database);
                    // What could not be brought to the disk of the old one is nobody's any more.
                    self.files.unsynced.store(false, Ordering::Relaxed);
                    return Ok(());
                }
                // There is no room for two: the old one is as good as before.
                Err(_) if !unsynced => {}
                Err(trouble) => {
                    shut(database);
                    return Err(trouble);
                }
            }
        }
        // Whoever was told that these are not there is right from now on.
        if !self.denied.is_empty() {
            guarded(|| {
                let changes: Vec<Change> = self.denied.iter().flat_map(|id| Step::Forgotten { id: *id }.changes()).collect();
                transact(&database, |table| change(table, self.salt, &changes))
            })?;
            self.denied.clear();
        }
        self.database = Some(database);
        Ok(())
    }

    /// Writes a new file with these rows, and puts it in the place of the one that is there.
    fn renew(&mut self, rows: impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), StorageError>>) -> Result<(), Trouble> {
        let (fresh, path) = (self.directory.fresh(), self.directory.store());
        let _ = std::fs::remove_file(&fresh);
        let unsynced = self.files.unsynced.swap(false, Ordering::Relaxed);
        let made = guarded(|| {
            let database = builder(|_| {}).create_with_backend(self.files.open(&fresh)?)?;
            let mut transaction = database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            transaction.open_table(SALT)?.insert(&[][..], &self.salt[..])?;
            {
                let mut table = transaction.open_table(ROWS)?;
                for row in rows {
                    let (key, value) = row?;
                    table.insert(&key[..], &value[..])?;
                }
                for id in &self.denied {
                    change(&mut table, self.salt, &Step::Forgotten { id: *id }.changes())?;
                }
            }
            transaction.commit()?;
            Ok::<_, redb::Error>(database)
        });
        let replaced = made.and_then(|database| match self.directory.replace() {
            Ok(()) => Ok(database),
            Err(source) => {
                shut(database);
                Err(Trouble::Disk(disk(format!("cannot replace `{}`", path.display()), source)))
            }
        });
        match replaced {
            Ok(database) => {
                self.files.renamed(&fresh, &path);
                self.denied.clear();
                self.database = Some(database);
                Ok(())
            }
            Err(trouble) => {
                self.files.unsynced.store(unsynced, Ordering::Relaxed);
                let _ = std::fs::remove_file(&fresh);
                Err(trouble)
            }
        }
    }

    /// Sets the file aside, and begins a new one with what is found in it.
    fn start_over(&mut self, why: &str, known: bool) -> Result<(), JournalError> {
        let path = self.directory.store();
        let aside = self
            .directory
            .set_aside()
            .map_err(|source| disk(format!("cannot move the damaged `{}` aside", path.display()), source))?;
        tracing::error!(path = %aside.display(), why, "the journal is damaged: it was moved aside, and what can be read of it is taken over");
        // Without the salt nobody can tell a row from what a peer has sent.
        let found = if known { carve::rows(&aside, self.salt) } else { Ok(Vec::new()) };
        let rows = found.unwrap_or_else(|error| {
            tracing::error!(path = %aside.display(), %error, "the damaged journal cannot be looked through");
            Vec::new()
        });
        if !known {
            self.salt = salt()?;
        }
        let count = rows.len();
        let salted = rows.into_iter().map(|(key, value)| Ok((key.as_ref().to_vec(), salted(self.salt, &value))));
        self.renew(salted.collect::<Vec<_>>().into_iter()).map_err(|trouble| trouble.into_error(self.directory.path()))?;
        self.aside =
            Some(format!("the whole journal: {why}; it is now `{}`, and {count} of its rows were taken over", aside.display()));
        Ok(())
    }

    /// Reads every row.
    pub(super) fn recover(&mut self) -> Result<Recovered, JournalError> {
        self.again()?;
        let (mut assembler, mut damaged) = (Assembler::default(), Vec::new());
        let Some(database) = &self.database else { return Err(closed()) };
        let read = guarded(|| {
            let rows = database.begin_read()?.open_table(ROWS)?;
            for row in rows.range::<&[u8]>(..)? {
                let (key, value) = row?;
                let (key, value) = (key.value(), value.value());
                if !assembler.row(key, value.strip_prefix(&self.salt).unwrap_or_default()) {
                    damaged.push((key.to_vec(), value.to_vec()));
                }
            }
            Ok::<_, redb::Error>(())
        });
        read.map_err(|trouble| trouble.into_error(self.directory.path()))?;
        let mut recovered = assembler.finish();
        if !damaged.is_empty() {
            self.mend(&damaged)?;
        }
        if let Some(aside) = self.aside.take() {
            recovered.lost.add(aside);
        }
        Ok(recovered)
    }

    /// Copies rows that cannot be read to a file aside, and writes in their place what has to be assumed.
    fn mend(&mut self, damaged: &[(Vec<u8>, Vec<u8>)]) -> Result<(), JournalError> {
        let mut text = String::from("# Rows of the journal that cannot be read: key and value in hexadecimal digits.\n");
        for (key, value) in damaged {
            text.extend([hex(key), " ".to_owned(), hex(value), "\n".to_owned()]);
        }
        let path = self.directory.path();
        let aside = self
            .directory
            .write_aside(&text)
            .map_err(|source| disk(format!("cannot set rows aside in `{}`", path.display()), source))?;
        tracing::error!(path = %aside.display(), rows = damaged.len(), "rows of the journal cannot be read: they were set aside");
        let mut mended: Vec<Change> = damaged.iter().flat_map(|(key, _)| Key::assumed(key)).collect();
        // What is not known any more at all goes, whatever is assumed of it.
        mended.sort_by_key(|change| matches!(change, Change::DeleteRange(..)));
        let salt = self.salt;
        let Some(database) = &self.database else { return Err(closed()) };
        let written = guarded(|| {
            transact(database, |table| {
                for (key, _) in damaged {
                    table.remove(&key[..])?;
                }
                change(table, salt, &mended)
            })
        });
        written.map_err(|trouble| self.fail(trouble))
    }

    /// Writes changes, all of them or none. `new` are the requests that nobody may find here if this fails.
    pub(super) fn write(
        &mut self,
        changes: &mut dyn Iterator<Item = &Change>,
        new: impl Iterator<Item = RequestId>,
    ) -> Result<(), JournalError> {
        self.again()?;
        let Some(database) = &self.database else { return Err(closed()) };
        match guarded(|| transact(database, |table| change(table, self.salt, changes))) {
            Ok(()) => {
                if self.failed.take().is_some() {
                    tracing::info!(path = %self.directory.path().display(), "the journal can be written again");
                }
                Ok(())
            }
            Err(trouble) => {
                self.denied.extend(new);
                Err(self.fail(trouble))
            }
        }
    }

    /// Opens the file again where it was given up. A store that fails spends at most half of its time with that.
    fn again(&mut self) -> Result<(), JournalError> {
        if self.database.is_some() {
            return Ok(());
        }
        if let (Some((ended, took)), Some(failed)) = (self.tried, &self.failed)
            && ended.elapsed() < took
        {
            return Err(failed.clone());
        }
        let begun = Instant::now();
        let loaded = self.load();
        self.tried = Some((Instant::now(), begun.elapsed()));
        loaded.map_err(|trouble| self.fail(trouble))
    }

    /// Gives the file up.
    fn fail(&mut self, trouble: Trouble) -> JournalError {
        if let Some(database) = self.database.take() {
            shut(database);
        }
        let error = trouble.into_error(self.directory.path());
        if self.failed.is_none() {
            tracing::error!(path = %self.directory.path().display(), %error, "the journal cannot be written: new requests are rejected");
        }
        self.failed = Some(error.clone());
        error
    }

    /// Why the last attempt failed, if it did.
    pub(super) fn failed(&self) -> Option<&JournalError> {
        self.failed.as_ref()
    }

    /// How long the file is, in bytes.
    pub(super) fn len(&self) -> u64 {
        std::fs::metadata(self.directory.store()).map_or(0, |meta| meta.len())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(database) = self.database.take() {
            shut(database);
        }
    }
}

fn builder(repair: impl Fn(&mut redb::RepairSession) + 'static) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE).set_repair_callback(repair);
    builder
}

/// Does something to the rows, and brings it to the disk.
fn transact(
    database: &Database,
    what: impl FnOnce(&mut Table<'_, &[u8], &[u8]>) -> Result<(), StorageError>,
) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    what(&mut transaction.open_table(ROWS)?)?;
    transaction.commit()?;
    Ok(())
}

fn change<'a>(
    table: &mut Table<'_, &[u8], &[u8]>,
    salt: Salt,
    changes: impl IntoIterator<Item = &'a Change>,
) -> Result<(), StorageError> {
    for change in changes {
        match change {
            Change::Put(key, value) => {
                let mut place = table.insert_reserve(key.as_ref(), salt.len() + value.len())?;
                let (before, after) = place.as_mut().split_at_mut(salt.len());
                before.copy_from_slice(&salt);
                after.copy_from_slice(value);
            }
            Change::DeleteRange(from, to) => table.retain_in::<&[u8], _>(from.as_ref()..=to.as_ref(), |_, _| false)?,
        }
    }
    Ok(())
}

/// A panic of the store is a failure like others.
fn guarded<T, E: Into<redb::Error>>(what: impl FnOnce() -> Result<T, E>) -> Result<T, Trouble> {
    match catch_unwind(AssertUnwindSafe(what)) {
        Ok(done) => done.map_err(|error| Trouble::from(error.into())),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            Err(Trouble::Damaged(format!("the store panicked: {}", said.unwrap_or("without a word"))))
        }
    }
}

/// Lets go of a database, which writes to its file for the last time.
fn shut(database: Database) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
}

impl From<redb::Error> for Trouble {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(source) if !matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
                Trouble::Disk(disk("the journal's file failed".to_owned(), source))
            }
            redb::Error::DatabaseAlreadyOpen => {
                Trouble::Disk(JournalError::new(JournalErrorKind::InUse, "another program has opened the journal's file"))
            }
            redb::Error::UpgradeRequired(version) => Trouble::Disk(JournalError::new(
                JournalErrorKind::Version,
                format!("the journal's file has version {version} of the store's format, which this version does not read"),
            )),
            redb::Error::PreviousIo => Trouble::Disk(disk("the journal's file failed before".to_owned(), error)),
            other => Trouble::Damaged(other.to_string()),
        }
    }
}

impl Trouble {
    /// Where a file cannot be moved aside: it was good when it was opened.
    fn into_error(self, path: &Path) -> JournalError {
        match self {
            Trouble::Disk(error) => JournalError { message: format!("{} in `{}`", error.message, path.display()), ..error },
            Trouble::Damaged(why) => {
                JournalError::new(JournalErrorKind::Disk, format!("the journal in `{}` cannot be used: {why}", path.display()))
            }
        }
    }
}

fn salt() -> Result<Salt, JournalError> {
    let mut salt = Salt::default();
    getrandom::fill(&mut salt).map_err(|source| disk("the system gives no random bytes".to_owned(), io::Error::other(source)))?;
    Ok(salt)
}

fn salted(salt: Salt, value: &[u8]) -> Vec<u8> {
    [&salt[..], value].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn closed() -> JournalError {
    JournalError::new(JournalErrorKind::Closed, "the store is closed")
}

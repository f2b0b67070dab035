//! One file of rows: the only place, beside [`file`](super::file), that knows `redb`. A panic of it is a failure like others.

use std::{
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{Builder, Durability, ReadableDatabase, ReadableTableMetadata, RepairSession, StorageError, Table, TableDefinition};

use crate::journal::{
    Change, JournalError, JournalErrorKind,
    durable::{
        directory::{Salt, disk},
        file::Files,
    },
};

/// Each row of [`Change`], with the salt before its value.
const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
/// The salt, under the empty key.
const SALT: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("salt");

/// How much of a file is kept in memory.
const CACHE: usize = 16 << 20;

/// A file that was verified when it was opened.
pub(super) struct Database {
    /// Nothing after it was dropped.
    inner: Option<redb::Database>,
    salt: Salt,
}

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It can be tried again.
    Disk(JournalError),
    /// The file does not hold what it should.
    Damaged(String),
}

/// A row as it is in the file: its key, and the salt with its value.
pub(super) type Row = (Vec<u8>, Vec<u8>);

impl Database {
    /// Opens the file that is there, and verifies all of it.
    pub(super) fn open(files: &Files, path: &Path) -> Result<Self, Trouble> {
        let verified = Arc::new(AtomicBool::new(false));
        // A repair begins by verifying everything.
        let repairs = {
            let verified = Arc::clone(&verified);
            move |session: &mut RepairSession| {
                verified.store(true, Ordering::Relaxed);
                // What it says when it has gone back to the other one of the two commits that a file has.
                if (0.2..0.5).contains(&session.progress()) {
                    tracing::warn!(
                        "the last commit of the journal is not whole: the one before it is taken, as after a loss of power"
                    );
                }
            }
        };
        let mut opened = Database { inner: None, salt: Salt::default() };
        let salt = guarded(|| {
            let database = opened.inner.insert(builder(repairs).create_with_backend(files.open(path)?)?);
            if !verified.load(Ordering::Relaxed) && !database.check_integrity()? {
                tracing::warn!("the journal's file was repaired");
            }
            let salts = database.begin_read()?.open_table(SALT)?;
            let salt = salts.get(&[][..])?;
            Ok::<_, redb::Error>(salt.and_then(|salt| Salt::try_from(salt.value()).ok()))
        })?;
        opened.salt = salt.ok_or_else(|| Trouble::Damaged("it does not say which journal it is".to_owned()))?;
        Ok(opened)
    }

    /// Makes a new file of these rows, without what some changes take away.
    pub(super) fn create(
        files: &Files,
        path: &Path,
        salt: Salt,
        rows: impl Iterator<Item = Result<Row, Trouble>>,
        without: &[Change],
    ) -> Result<Self, Trouble> {
        let mut database = Database { inner: None, salt };
        guarded(|| {
            let transaction = database.inner.insert(builder(|_| {}).create_with_backend(files.open(path)?)?).begin_write()?;
            transaction.open_table(SALT)?.insert(&[][..], &salt[..])?;
            transaction.commit()?;
            Ok::<_, redb::Error>(())
        })?;
        // What the rows fail by is not what writing them fails by.
        let mut broken = None;
        let written = database.transact(|table| {
            for row in rows {
                match row {
                    Ok((key, value)) => drop(table.insert(&key[..], &value[..])?),
                    Err(trouble) => {
                        broken = Some(trouble);
                        break;
                    }
                }
            }
            change(table, salt, without)
        });
        match broken {
            Some(trouble) => Err(trouble),
            None => written.map(|()| database),
        }
    }

    /// What tells the rows of this file from everything else.
    pub(super) fn salt(&self) -> Salt {
        self.salt
    }

    /// How many bytes the rows need.
    pub(super) fn needs(&self) -> Result<u64, Trouble> {
        guarded(|| {
            let stats = self.inner()?.begin_read()?.open_table(ROWS)?.stats()?;
            Ok::<_, redb::Error>(stats.stored_bytes() + stats.metadata_bytes())
        })
    }

    /// All rows, in the order of their keys, as they are at this moment.
    pub(super) fn rows(&self) -> Result<impl Iterator<Item = Result<Row, Trouble>> + use<>, Trouble> {
        let mut rows = guarded(|| {
            let rows = self.inner()?.begin_read()?.open_table(ROWS)?;
            Ok::<_, redb::Error>(rows.range::<&[u8]>(..)?)
        })?;
        Ok(std::iter::from_fn(move || {
            let read = guarded(|| {
                let row = rows.next().transpose()?;
                Ok::<_, StorageError>(row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())))
            });
            read.transpose()
        }))
    }

    /// Makes changes, all or none, and brings them to the disk.
    pub(super) fn write<'a>(&self, changes: impl IntoIterator<Item = &'a Change>) -> Result<(), Trouble> {
        self.transact(|table| change(table, self.salt, changes))
    }

    /// The same, with rows taken away whose keys may be anything.
    pub(super) fn replace(&self, rows: &[Row], changes: &[Change]) -> Result<(), Trouble> {
        self.transact(|table| {
            for (key, _) in rows {
                table.remove(&key[..])?;
            }
            change(table, self.salt, changes)
        })
    }

    fn inner(&self) -> Result<&redb::Database, redb::Error> {
        self.inner.as_ref().ok_or(redb::Error::DatabaseClosed)
    }

    fn transact(&self, what: impl FnOnce(&mut Table<'_, &[u8], &[u8]>) -> Result<(), StorageError>) -> Result<(), Trouble> {
        guarded(|| {
            let mut transaction = self.inner()?.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            what(&mut transaction.open_table(ROWS)?)?;
            transaction.commit()?;
            Ok::<_, redb::Error>(())
        })
    }
}

impl Drop for Database {
    /// It writes to its file for the last time.
    fn drop(&mut self) {
        let inner = self.inner.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(inner)));
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

fn builder(repair: impl Fn(&mut RepairSession) + 'static) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE).set_repair_callback(repair);
    builder
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
    /// What is told where a file cannot be set aside: it was good when it was opened.
    pub(super) fn into_error(self, path: &Path) -> JournalError {
        match self {
            Trouble::Disk(error) => JournalError { message: format!("{} in `{}`", error.message, path.display()), ..error },
            Trouble::Damaged(why) => {
                JournalError::new(JournalErrorKind::Disk, format!("the journal in `{}` cannot be used: {why}", path.display()))
            }
        }
    }
}

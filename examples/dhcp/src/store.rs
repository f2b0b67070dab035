//! The lease table's file.

#[cfg(test)]
pub(crate) mod failing;

use std::{
    fmt,
    fs::{self, File},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use rackhd_api::MacAddress;
use redb::{Builder, Database, Durability, ReadableDatabase, ReadableTable, TableDefinition, TableError};

use crate::{Change, Lease};

const LEASES: TableDefinition<'_, &[u8; 6], &[u8]> = TableDefinition::new("leases");
const PINS: TableDefinition<'_, &[u8; 6], &[u8; 4]> = TableDefinition::new("pins");
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");

/// Under which the version of what is written here is found.
const FORMAT: &str = "lease table";
const CURRENT: u64 = 1;

/// How much of the file is kept in memory.
const CACHE: usize = 4 << 20;

/// The file of a lease table: leases and pins, and what becomes of them, each commit whole or not at all, and on the disk when it is
/// over.
pub struct Store {
    path: PathBuf,
    /// Nothing after the disk has failed: it is opened again then.
    database: Option<Database>,
    closed: bool,
    /// How the file is opened.
    open: Open,
}

type Open = Box<dyn Fn(&Path) -> Result<Database, redb::DatabaseError> + Send>;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has it.
    #[error("another process has the lease table `{path}`: stop that one, or give another --store")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It does not hold what was written.
    #[error(
        "the lease table `{path}` is damaged ({why}). It was left as it is: put a backup in its place; or move it away and start again, \
         and machines get leases as they ask for them, but what was pinned has to be pinned again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It was written by a newer version.
    #[error("the lease table `{path}` has format {found}, and this version reads {CURRENT}: use the version that wrote it")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// The disk failed, or the file may not be read or written.
    #[error("the lease table `{path}` cannot be read or written")]
    Disk {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It was [closed](Store::close).
    #[error("the lease table `{path}` was closed")]
    Closed {
        /// The file.
        path: PathBuf,
    },
}

impl StoreError {
    /// What callers are told, who need not know where the file is.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            StoreError::InUse { .. } => "another process has it",
            StoreError::Damaged { .. } => "it is damaged",
            StoreError::Newer { .. } => "it was written by a newer version",
            StoreError::Disk { .. } => "its disk failed",
            StoreError::Closed { .. } => "the service ends",
        }
    }
}

impl Store {
    /// Opens the file, or makes one, and says what is in it.
    ///
    /// All of it is verified. What a process was writing when it was killed is not in it.
    ///
    /// # Errors
    ///
    /// See [`StoreError`]. A file that was there is left as it was.
    pub fn open(path: impl Into<PathBuf>) -> Result<(Self, Vec<Change>), StoreError> {
        Store::open_by(path.into(), Box::new(|path| builder().open(path)))
    }

    fn open_by(path: PathBuf, open: Open) -> Result<(Self, Vec<Change>), StoreError> {
        if !path.try_exists().map_err(|source| StoreError::Disk { path: path.clone(), source })? {
            create(&path)?;
        }
        let mut store = Store { path, database: None, closed: false, open };
        let rows = store.load()?;
        Ok((store, rows))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the disk has failed: then what is in the file is to be [loaded](Store::load) before anything is written to it, because
    /// nobody knows whether the last commit is in it.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.database.is_none()
    }

    /// Opens the file again, and says what is in it.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    pub fn load(&mut self) -> Result<Vec<Change>, StoreError> {
        self.database = None;
        if self.closed {
            return Err(StoreError::Closed { path: self.path.clone() });
        }
        // Whoever makes a database of an empty file has none of what was in it.
        let length = fs::metadata(&self.path).map_err(|source| StoreError::Disk { path: self.path.clone(), source })?.len();
        if length == 0 {
            return Err(damaged(&self.path, "it is empty"));
        }
        let (database, rows) = guarded(&self.path, || {
            let mut database = (self.open)(&self.path)?;
            if !database.check_integrity()? {
                tracing::warn!(path = %self.path.display(), "the file of the lease table was repaired");
            }
            let rows = read(&database)?;
            Ok((database, rows))
        })?;
        match rows {
            Ok(rows) => {
                self.database = Some(database);
                Ok(rows)
            }
            Err(Unreadable::Newer(found)) => Err(StoreError::Newer { path: self.path.clone(), found }),
            Err(Unreadable::Row(why)) => Err(damaged(&self.path, why)),
        }
    }

    /// Writes down what becomes of the table: all of it or nothing. When it returns it is on the disk.
    ///
    /// # Errors
    ///
    /// Nobody knows what of it is on the disk: see [`has_failed`](Store::has_failed).
    pub fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let Some(database) = self.database.take() else {
            return Err(StoreError::Disk { path: self.path.clone(), source: io::Error::other("it failed before") });
        };
        self.database = Some(guarded(&self.path, move || {
            write(&database, changes)?;
            Ok(database)
        })?);
        Ok(())
    }

    /// Leaves the file to the next: nothing is written to it any more.
    pub fn close(&mut self) {
        self.closed = true;
        let database = self.database.take();
        // It writes to its file for the last time.
        let _ = guarded(&self.path, || {
            drop(database);
            Ok(())
        });
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).field("has_failed", &self.has_failed()).finish_non_exhaustive()
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    builder
}

/// Makes a file that is whole as soon as it has its name. Where another process has made one meanwhile, that one stays.
fn create(path: &Path) -> Result<(), StoreError> {
    let disk = |source| StoreError::Disk { path: path.to_owned(), source };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Of a name that nobody else has: two that start at once do not write into one file.
    let fresh = tempfile::Builder::new().prefix(&format!(".{name}.")).tempfile_in(directory).map_err(disk)?;
    guarded(path, || write(&builder().create(fresh.path())?, &[]))?;
    match fresh.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => return Err(disk(error.error)),
        _ => {}
    }
    // Elsewhere a directory cannot be opened, and need not be.
    if cfg!(unix) {
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(disk)?;
    }
    Ok(())
}

fn write(database: &Database, changes: &[Change]) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    {
        transaction.open_table(ABOUT)?.insert(FORMAT, CURRENT)?;
        let (mut leases, mut pins) = (transaction.open_table(LEASES)?, transaction.open_table(PINS)?);
        for change in changes {
            match change {
                Change::Leased(lease) => {
                    let row = serde_json::to_vec(lease).map_err(io::Error::from)?;
                    leases.insert(&lease.mac.0, row.as_slice())?;
                }
                Change::Removed(mac) => drop(leases.remove(&mac.0)?),
                Change::Pinned(mac, ip) => drop(pins.insert(&mac.0, &ip.octets())?),
                Change::Unpinned(mac) => drop(pins.remove(&mac.0)?),
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Why rows mean nothing, although they are as they were written.
enum Unreadable {
    Newer(u64),
    Row(String),
}

fn read(database: &Database) -> Result<Result<Vec<Change>, Unreadable>, redb::Error> {
    let transaction = database.begin_read()?;
    let format = match transaction.open_table(ABOUT) {
        Ok(about) => about.get(FORMAT)?.map(|format| format.value()),
        Err(TableError::TableDoesNotExist(_)) => None,
        Err(error) => return Err(error.into()),
    };
    match format {
        Some(CURRENT) => {}
        Some(newer) => return Ok(Err(Unreadable::Newer(newer))),
        None => return Ok(Err(Unreadable::Row("it is the file of something else".to_owned()))),
    }
    let mut rows = Vec::new();
    for row in transaction.open_table(PINS)?.iter()? {
        let (mac, ip) = row?;
        rows.push(Change::Pinned(MacAddress(*mac.value()), (*ip.value()).into()));
    }
    for row in transaction.open_table(LEASES)?.iter()? {
        let (mac, lease) = row?;
        let mac = MacAddress(*mac.value());
        match serde_json::from_slice::<Lease>(lease.value()) {
            Ok(lease) if lease.mac == mac => rows.push(Change::Leased(lease)),
            Ok(lease) => return Ok(Err(Unreadable::Row(format!("the lease of {mac} says that it is of {}", lease.mac)))),
            Err(error) => return Ok(Err(Unreadable::Row(format!("the lease of {mac} cannot be read: {error}")))),
        }
    }
    Ok(Ok(rows))
}

fn damaged(path: &Path, why: impl Into<String>) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), why: why.into() }
}

/// A panic of the store, which a damaged file may bring about, is a damaged file.
fn guarded<T>(path: &Path, what: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, StoreError> {
    let done = match catch_unwind(AssertUnwindSafe(what)) {
        Ok(done) => done,
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            return Err(damaged(path, format!("reading it panicked: {}", said.unwrap_or("without a word"))));
        }
    };
    done.map_err(|error| match error {
        redb::Error::DatabaseAlreadyOpen => StoreError::InUse { path: path.to_owned() },
        redb::Error::Io(source) if !matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            StoreError::Disk { path: path.to_owned(), source }
        }
        redb::Error::PreviousIo => StoreError::Disk { path: path.to_owned(), source: io::Error::other("it failed before") },
        other => damaged(path, other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use rackhd_api::MacAddress;

    use super::*;

    #[test]
    fn a_file_that_another_process_has_made_meanwhile_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("leases.redb");
        let mut first = Store::open(&path).unwrap().0;
        let pinned = Change::Pinned(MacAddress([2, 0, 0, 0, 0, 1]), [10, 1, 1, 2].into());
        first.commit(std::slice::from_ref(&pinned)).unwrap();
        // It had looked before the file was there.
        create(&path).unwrap();
        first.close();
        assert_eq!(Store::open(&path).unwrap().1, [pinned]);
        let left = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(left, 1, "nothing else is left behind");
    }
}

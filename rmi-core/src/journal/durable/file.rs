//! The file that the store is in: what the store does to it goes through here.

use std::{
    io,
    ops::Bound,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{BackendError, DatabaseError, StorageBackend, backends::FileBackend};

use crate::journal::durable::directory::private;
#[cfg(feature = "testing")]
use crate::testing::{Disk, DiskFile};

/// How files are opened: on the machine's disks, or on one that fails when a test says so.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    /// A file could not be brought to its disk. What the system shows of it since need not be there.
    pub(super) unsynced: Arc<AtomicBool>,
    #[cfg(feature = "testing")]
    pub(super) disk: Option<Disk>,
}

impl Files {
    /// Opens a file, which is made if it is not there.
    pub(super) fn open(&self, path: &Path) -> Result<StoreFile, DatabaseError> {
        let file = private().create(true).truncate(false).open(path)?;
        Ok(StoreFile {
            file: FileBackend::new(file)?,
            unsynced: self.unsynced.clone(),
            #[cfg(feature = "testing")]
            disk: self.disk.as_ref().map(|disk| disk.file(path)).transpose()?,
        })
    }

    /// A file has another name.
    pub(super) fn renamed(&self, _from: &Path, _to: &Path) {
        #[cfg(feature = "testing")]
        if let Some(disk) = &self.disk {
            disk.renamed(_from, _to);
        }
    }
}

#[derive(Debug)]
pub(super) struct StoreFile {
    file: FileBackend,
    unsynced: Arc<AtomicBool>,
    #[cfg(feature = "testing")]
    disk: Option<DiskFile>,
}

impl StorageBackend for StoreFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        #[cfg(feature = "testing")]
        if let Some(disk) = &self.disk {
            disk.read()?;
        }
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        #[cfg(feature = "testing")]
        if let Some(disk) = &self.disk {
            disk.set_len(len)?;
        }
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        #[cfg(feature = "testing")]
        let synced = self.disk.as_ref().map_or(Ok(()), DiskFile::sync).and_then(|()| self.file.sync_data());
        #[cfg(not(feature = "testing"))]
        let synced = self.file.sync_data();
        if synced.is_err() {
            self.unsynced.store(true, Ordering::Relaxed);
        }
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        #[cfg(feature = "testing")]
        if let Some(disk) = &self.disk {
            disk.write(offset, data)?;
        }
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

//! A disk that fails when it is told to.

use std::{
    fs::File,
    io,
    ops::Bound,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{BackendError, StorageBackend, backends::FileBackend};

use super::{Change, Store, StoreError, builder, create};

#[derive(Debug)]
struct Disk(FileBackend, Arc<AtomicBool>);

impl Disk {
    fn works(&self) -> io::Result<()> {
        if self.1.load(Ordering::SeqCst) { Err(io::Error::other("no disk")) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.works().and_then(|()| self.0.set_len(len))
    }
    fn sync_data(&self) -> io::Result<()> {
        self.works().and_then(|()| self.0.sync_data())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.works().and_then(|()| self.0.write(offset, data))
    }
    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }
}

/// A store whose disk fails while this is set.
pub(crate) fn store(path: PathBuf, fails: Arc<AtomicBool>) -> Result<(Store, Vec<Change>), StoreError> {
    create(&path)?;
    let open = move |path: &std::path::Path| {
        let file = File::options().read(true).write(true).open(path)?;
        builder().create_with_backend(Disk(FileBackend::new(file)?, Arc::clone(&fails)))
    };
    Store::open_by(path, Box::new(open))
}

//! A cache of images in a directory: by UUID, least recently used first to go, never more than so many bytes.
//!
//! Of an image there are two files, `<uuid>.img` and `<uuid>.json`, which says its length and its SHA-256 and whose time of
//! modification is when the image was last used. While it is fetched it is `<uuid>.part`; it gets its name when its checksum
//! agrees and its bytes are on the disk. The names are made of UUIDs that were read as such, and of nothing else that was said.

mod flight;
mod room;
mod source;
mod stored;

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use self::source::Source;
use self::{flight::Flight, room::State, source::Offered, stored::Stored};
use crate::{
    contract::{CacheStatus, ImageError, Phase},
    erase::BLOCK,
    work::Meter,
};

/// A cache of images. Clones are the same cache.
#[derive(Clone, Debug)]
pub struct Cache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    bound: u64,
    source: Option<Source>,
    state: Mutex<State>,
    /// A download has ended.
    landed: Condvar,
    /// Keeps other agents out of the directory.
    _lock: File,
}

/// Whether an image was there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It was there.
    Present(u64),
    /// It was fetched.
    Fetched(u64),
}

impl Cache {
    /// The cache in a directory, which is made if it is not there. What is no image of this cache is left alone; what is left of
    /// a download, or does not have the length that it should, is removed.
    ///
    /// # Errors
    ///
    /// The directory or the source cannot be used, or another agent uses it.
    pub fn open(directory: impl Into<PathBuf>, bound: u64, source: Option<Source>) -> io::Result<Self> {
        source.as_ref().map_or(Ok(()), Source::check)?;
        let directory = directory.into();
        let context = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", directory.display()));
        fs::create_dir_all(&directory).map_err(context)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(directory.join("lock"));
        let lock = lock.map_err(context)?;
        lock.try_lock().map_err(|_| context(io::Error::new(io::ErrorKind::ResourceBusy, "another agent has this cache")))?;
        let mut state = State::new(bound);
        for (id, stored) in stored::load(&directory).map_err(context)? {
            state.insert(id, stored);
        }
        let inner = Inner { directory, bound, source, state: Mutex::new(state), landed: Condvar::new(), _lock: lock };
        let cache = Cache(Arc::new(inner));
        // The bound may have been larger when they were fetched.
        let surplus = cache.state().shrink();
        cache.remove(surplus);
        Ok(cache)
    }

    /// What it has.
    #[must_use]
    pub fn status(&self) -> CacheStatus {
        let state = self.state();
        CacheStatus { images: state.len() as u64, bytes: state.used(), bound: self.0.bound }
    }

    /// The images that it has, the least recently used first.
    #[must_use]
    pub fn images(&self) -> Vec<Uuid> {
        self.state().by_age()
    }

    /// Has an image: it is there, or it is fetched; whoever else fetches it is waited for. To make room those go that were not
    /// used for the longest time, but none in `keep`. Blocks.
    ///
    /// # Errors
    ///
    /// It cannot be had, is damaged, does not fit, or the work was stopped.
    pub fn ensure(&self, id: Uuid, keep: &HashSet<Uuid>, meter: &mut Meter<'_>) -> Result<Kept, ImageError> {
        loop {
            let flight = {
                let mut state = self.state();
                if let Some(stored) = state.touch(id) {
                    let bytes = stored.size;
                    drop(state);
                    stored::touch(&self.0.directory, id);
                    return Ok(Kept::Present(bytes));
                }
                match state.flight(id) {
                    Some(flight) => flight,
                    None => {
                        let mine = state.take_off(id);
                        drop(state);
                        let landing = Landing { cache: self, flight: mine };
                        let fetched = self.fetch(id, keep, &landing, meter);
                        return fetched.map(Kept::Fetched);
                    }
                }
            };
            // Whoever fetches it may give up: then it is this one's turn.
            if let Some(end) = flight.wait(self, meter)? {
                return end.map(Kept::Fetched);
            }
        }
    }

    /// Opens an image for reading, and compares it with its checksum first. One that is damaged is dropped; it may be fetched
    /// again. Blocks.
    ///
    /// # Errors
    ///
    /// It is not there, cannot be read, is damaged, or the work was stopped.
    pub fn hold(&self, id: Uuid, meter: &mut Meter<'_>) -> Result<Held, ImageError> {
        let Some(stored) = self.state().touch(id).cloned() else {
            return Err(ImageError::NotFound { image_id: id, why: "it is not in the cache".to_owned() });
        };
        stored::touch(&self.0.directory, id);
        let opened = File::open(stored::image(&self.0.directory, id));
        let mut held = match opened {
            Ok(file) => Held { id, file, stored },
            Err(error) => {
                self.drop_damaged(id);
                return Err(failed(id, "reading it from the cache", &error));
            }
        };
        let checked = held.check(meter);
        if let Err(ImageError::Damaged { what, .. }) = &checked {
            tracing::warn!(image = %id, what, "an image in the cache is damaged: it is dropped");
            self.drop_damaged(id);
        }
        checked.map(|()| held)
    }

    /// Marks images as used, the first being the last to go.
    pub fn prefer(&self, ids: &[Uuid]) {
        for id in ids.iter().rev() {
            if self.state().touch(*id).is_some() {
                stored::touch(&self.0.directory, *id);
            }
        }
    }

    fn fetch(&self, id: Uuid, keep: &HashSet<Uuid>, landing: &Landing<'_>, meter: &mut Meter<'_>) -> Result<u64, ImageError> {
        let end = self.download(id, keep, meter);
        // Whoever gave up leaves it to the others who wait; what failed failed for them as well.
        let given_up = matches!(end, Err(ImageError::Cancelled { .. } | ImageError::Stopping { .. }));
        landing.end((!given_up).then(|| end.clone()));
        end
    }

    fn download(&self, id: Uuid, keep: &HashSet<Uuid>, meter: &mut Meter<'_>) -> Result<u64, ImageError> {
        let Some(source) = &self.0.source else {
            return Err(ImageError::NoCache { option: "--images".to_owned() });
        };
        let Offered { size, sha256, mut content } = source.open(id)?;
        let reserved = self.reserve(id, size, keep)?;
        meter.fetching(size);
        let part = Part(stored::part(&self.0.directory, id));
        let mut file = part.create().map_err(|error| failed(id, "writing to the cache", &error))?;
        let mut digest = Sha256::new();
        let mut block = vec![0; BLOCK];
        let mut length = 0_u64;
        loop {
            let read = match content.read(&mut block) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(id, "fetching it", &error)),
            };
            length += read as u64;
            if length > size {
                let what = format!("it is longer than the {size} bytes that its source says");
                return Err(ImageError::Damaged { image_id: id, what });
            }
            digest.update(&block[..read]);
            file.write_all(&block[..read]).map_err(|error| failed(id, "writing to the cache", &error))?;
            meter.done(Phase::Download, &id.to_string(), read as u64)?;
        }
        let found = hex(&digest.finalize());
        if length != size || found != sha256 {
            let what = format!("{length} bytes with the SHA-256 {found} came, and {size} with {sha256} should have");
            return Err(ImageError::Damaged { image_id: id, what });
        }
        file.sync_all().map_err(|error| failed(id, "writing to the cache", &error))?;
        let stored = Stored { size, sha256 };
        stored::land(&self.0.directory, id, &stored, &part.0).map_err(|error| failed(id, "writing to the cache", &error))?;
        reserved.keep(stored);
        Ok(size)
    }

    fn reserve(&self, id: Uuid, size: u64, keep: &HashSet<Uuid>) -> Result<Reserved<'_>, ImageError> {
        let mut state = self.state();
        match state.reserve(size, keep) {
            Ok(evicted) => {
                drop(state);
                self.remove(evicted);
                Ok(Reserved { cache: self, id, size })
            }
            Err(room) => Err(ImageError::NoRoom { image_id: id, size, room }),
        }
    }

    fn drop_damaged(&self, id: Uuid) {
        self.state().forget(id);
        stored::remove(&self.0.directory, id);
    }

    fn remove(&self, ids: Vec<Uuid>) {
        for id in ids {
            tracing::info!(image = %id, "an image makes room in the cache");
            stored::remove(&self.0.directory, id);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An image that is open, and agreed with its checksum when it was opened. Making room for others does not take it away.
#[derive(Debug)]
pub struct Held {
    id: Uuid,
    file: File,
    stored: Stored,
}

impl Held {
    /// The image.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.stored.size
    }

    /// Its SHA-256, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.stored.sha256
    }

    /// Its bytes.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn failed(&self, doing: &str, error: &io::Error) -> ImageError {
        failed(self.id, doing, error)
    }

    fn check(&mut self, meter: &mut Meter<'_>) -> Result<(), ImageError> {
        let damaged = |what: String| ImageError::Damaged { image_id: self.id, what };
        let length = self.file.metadata().map_err(|error| self.failed("reading it from the cache", &error))?.len();
        if length != self.stored.size {
            return Err(damaged(format!("it has {length} bytes in the cache, and should have {}", self.stored.size)));
        }
        let mut digest = Sha256::new();
        let mut block = vec![0; BLOCK];
        let mut file = &self.file;
        file.rewind().map_err(|error| self.failed("reading it from the cache", &error))?;
        loop {
            let read = file.read(&mut block).map_err(|error| self.failed("reading it from the cache", &error))?;
            if read == 0 {
                break;
            }
            digest.update(&block[..read]);
            meter.done(Phase::Check, &self.id.to_string(), read as u64)?;
        }
        let found = hex(&digest.finalize());
        if found != self.stored.sha256 {
            return Err(damaged(format!("its SHA-256 in the cache is {found}, and should be {}", self.stored.sha256)));
        }
        Ok(())
    }
}

/// A download that ends, however it is left.
struct Landing<'a> {
    cache: &'a Cache,
    flight: Arc<Flight>,
}

impl Landing<'_> {
    /// Takes it from the list first: nobody finds a flight that has ended.
    fn end(&self, outcome: Option<Result<u64, ImageError>>) {
        self.cache.state().land(&self.flight);
        self.flight.end(outcome);
        self.cache.0.landed.notify_all();
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.end(None);
    }
}

/// Room for an image that is not there yet.
struct Reserved<'a> {
    cache: &'a Cache,
    id: Uuid,
    size: u64,
}

impl Reserved<'_> {
    /// The room is the image's from now on.
    fn keep(mut self, stored: Stored) {
        let mut state = self.cache.state();
        state.release(std::mem::take(&mut self.size));
        state.insert(self.id, stored);
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if self.size > 0 {
            self.cache.state().release(self.size);
        }
    }
}

/// A file that goes unless it gets another name.
struct Part(PathBuf);

impl Part {
    fn create(&self) -> io::Result<File> {
        let _ = fs::remove_file(&self.0);
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.0)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn failed(id: Uuid, doing: &str, error: &io::Error) -> ImageError {
    ImageError::Io { image_id: id, doing: doing.to_owned(), error: error.to_string() }
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The parent of what is durable only when its directory is.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

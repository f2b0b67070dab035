//! A disk that fails.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use crate::lock::lock;

/// What a disk brings to its medium at once: a write that is cut off is cut off between two of them.
const SECTOR: usize = 512;

/// A disk for a durable journal (`Durable::open_on`) that fails when it is told to, waits, and loses power.
///
/// ```
/// # use rmi_core::{journal::{Durable, Journal, Step}, testing::Disk, time::Timestamp};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let directory = tempfile::tempdir().unwrap();
/// let disk = Disk::new();
/// let journal = Durable::open_on(directory.path(), &disk).unwrap();
/// disk.fill();
/// let since = Step::Since { binding: "dog".into(), at: Timestamp::from_millis(0) };
/// assert!(journal.record(vec![since.clone()]).await.is_err(), "nothing pretends");
/// disk.heal();
/// assert!(journal.record(vec![since]).await.is_ok(), "and nothing has to be done");
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<PathBuf, Arc<Mutex<Shadow>>>,
    /// How many further writes and syncs succeed, where it is to fail.
    writes: Option<u64>,
    syncs: Option<u64>,
    off: bool,
    held: bool,
    written: u64,
    synced: u64,
}

/// What a file has for certain, and what was done to it since.
#[derive(Debug, Default)]
struct Shadow {
    synced: Vec<u8>,
    since: Vec<Done>,
}

#[derive(Debug)]
enum Done {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl Disk {
    /// A disk that works.
    #[must_use]
    pub fn new() -> Self {
        Disk::default()
    }

    /// From now on there is no room.
    pub fn fill(&self) {
        self.fail_writes_after(0);
    }

    /// So many further writes succeed, and no more: as on a disk that becomes full.
    pub fn fail_writes_after(&self, count: u64) {
        lock(&self.0.state).writes = Some(count);
    }

    /// So many further syncs succeed, and no more.
    pub fn fail_syncs_after(&self, count: u64) {
        lock(&self.0.state).syncs = Some(count);
    }

    /// Everything succeeds again.
    pub fn heal(&self) {
        let mut state = lock(&self.0.state);
        (state.writes, state.syncs) = (None, None);
    }

    /// Whoever syncs waits from now on, until [`Disk::release`].
    pub fn hold(&self) {
        lock(&self.0.state).held = true;
    }

    /// Lets those go on that wait.
    pub fn release(&self) {
        lock(&self.0.state).held = false;
        self.0.released.notify_all();
    }

    /// How many writes there were.
    #[must_use]
    pub fn writes(&self) -> u64 {
        lock(&self.0.state).written
    }

    /// How many syncs there were.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        lock(&self.0.state).synced
    }

    /// Loses power. Of what was not synced an arbitrary part is there, by this seed: some writes whole, some not at all, some
    /// up to a sector. Nothing succeeds on this disk any more; the files are as the next one finds them.
    ///
    /// # Panics
    ///
    /// The files cannot be written.
    pub fn cut_power(&self, seed: u64) {
        let mut state = lock(&self.0.state);
        if std::mem::replace(&mut state.off, true) {
            return;
        }
        let mut random = seed;
        for (path, shadow) in &state.files {
            let shadow = lock(shadow);
            let mut image = shadow.synced.clone();
            for done in &shadow.since {
                let fate = next(&mut random) % 4;
                match done {
                    _ if fate == 0 => {}
                    Done::Length(length) => image.resize(usize::try_from(*length).unwrap(), 0),
                    Done::Write(offset, data) if fate == 1 => {
                        let sectors = next(&mut random) % (data.len().div_ceil(SECTOR) as u64 + 1);
                        let kept = usize::try_from(sectors).unwrap() * SECTOR;
                        put(&mut image, *offset, &data[..kept.min(data.len())]);
                    }
                    Done::Write(offset, data) => put(&mut image, *offset, data),
                }
            }
            fs::write(path, image).unwrap();
        }
        self.0.released.notify_all();
    }

    pub(crate) fn file(&self, path: &Path) -> io::Result<DiskFile> {
        let mut state = lock(&self.0.state);
        state.works()?;
        let there = fs::read(path)?;
        let known = state.files.get(path).filter(|_| !there.is_empty()).cloned();
        let shadow = known.unwrap_or_else(|| Arc::new(Mutex::new(Shadow { synced: there, since: Vec::new() })));
        state.files.insert(path.to_owned(), shadow.clone());
        Ok(DiskFile { disk: self.clone(), shadow })
    }

    pub(crate) fn renamed(&self, from: &Path, to: &Path) {
        let mut state = lock(&self.0.state);
        if let Some(shadow) = state.files.remove(from) {
            state.files.insert(to.to_owned(), shadow);
        }
    }
}

impl State {
    fn works(&self) -> io::Result<()> {
        if self.off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }
}

/// One file of a [`Disk`].
#[derive(Debug)]
pub(crate) struct DiskFile {
    disk: Disk,
    shadow: Arc<Mutex<Shadow>>,
}

impl DiskFile {
    pub(crate) fn read(&self) -> io::Result<()> {
        lock(&self.disk.0.state).works()
    }

    pub(crate) fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Done::Write(offset, data.to_vec()))
    }

    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Done::Length(len))
    }

    fn change(&self, done: Done) -> io::Result<()> {
        let mut state = lock(&self.disk.0.state);
        state.works()?;
        state.written += 1;
        match &mut state.writes {
            Some(0) => return Err(io::ErrorKind::StorageFull.into()),
            Some(left) => *left -= 1,
            None => {}
        }
        lock(&self.shadow).since.push(done);
        Ok(())
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        let mut state = lock(&self.disk.0.state);
        while state.held && !state.off {
            state = self.disk.0.released.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.works()?;
        state.synced += 1;
        let mut shadow = lock(&self.shadow);
        let since = std::mem::take(&mut shadow.since);
        match &mut state.syncs {
            // As systems do it: what could not be brought to the disk is shown, taken for done, and not there after a loss of power.
            Some(0) => return Err(io::Error::other("the disk failed")),
            Some(left) => *left -= 1,
            None => {}
        }
        for done in since {
            match done {
                Done::Write(offset, data) => put(&mut shadow.synced, offset, &data),
                Done::Length(length) => shadow.synced.resize(usize::try_from(length).unwrap_or(usize::MAX), 0),
            }
        }
        Ok(())
    }
}

fn put(image: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let Ok(offset) = usize::try_from(offset) else { return };
    if image.len() < offset + data.len() {
        image.resize(offset + data.len(), 0);
    }
    image[offset..offset + data.len()].copy_from_slice(data);
}

/// The next of a row of numbers: `SplitMix64`.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

//! A journal on disk.

mod carve;
mod database;
mod directory;
mod file;
mod queue;
mod store;
mod writer;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering, mpsc},
    thread,
};

use async_trait::async_trait;
use tokio::sync::oneshot;

use self::{
    directory::{Directory, disk},
    file::Files,
    queue::Job,
    store::Store,
    writer::{Shared, supervised},
};
use crate::{
    journal::{Commit, Journal, JournalError, JournalErrorKind, Recovered, Step},
    lock::lock,
};

/// A journal in a directory of its own, on a disk of this machine.
///
/// ```no_run
/// # fn main() -> Result<(), rmi_core::journal::JournalError> {
/// use rmi_core::journal::Durable;
///
/// let journal = Durable::open("/var/lib/kennel/journal")?;
/// # Ok(()) }
/// ```
///
/// One thread writes: whatever waits when it begins shares one transaction and one `fsync`, and is told together. The faster
/// requests come, the more of them share one.
///
/// | in the directory | what it is |
/// |---|---|
/// | `journal.redb` | the rows of the journal, in a file of [redb](https://www.redb.org) |
/// | `identity` | the version of the format, and what tells this journal's rows from others |
/// | `lock` | locked by the process that has the journal; says which one that is |
/// | `lost` | what was lost, while nobody has written down yet what follows from that; otherwise it is not there |
/// | `journal-<date>.corrupt` | what could not be read and was set aside, at most 16 of them |
///
/// The directory is made for this user only (0700), and so are the files (0600): they hold what callers have sent.
///
/// # Failures
///
/// While the disk is full, may not be written or fails, what is recorded fails, and each further call tries again: when
/// there is room again, nothing has to be done. A request whose recording failed is not in the journal, also when the disk has kept
/// of it what it said it could not. (Where it did, and the process ends before the journal can be written again, it may be found there.)
///
/// A file that is damaged is moved aside as a whole, and a new one begun. What the damaged one still says for certain is taken over:
/// which requests had come, and how they ended. None of them is run, and no outcome is sent for them again: who asks is told what
/// is known. [`Recovered::lost`] says so, at each start until something has been recorded since; and so does the log, as an error. A file
/// that is gone is a loss as well.
pub struct Durable {
    path: PathBuf,
    shared: Arc<Shared>,
}

/// What a [`Durable`] has done, and what waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DurableFigures {
    /// Commits, each of which brought to disk what had waited for it.
    pub commits: u64,
    /// Commits that failed.
    pub failures: u64,
    /// Calls that wait to be written.
    pub waiting: usize,
    /// Calls of [`Journal::note`] for which there was no room.
    pub left_out: u64,
    /// The length of the file, in bytes.
    pub bytes: u64,
}

impl Durable {
    /// Opens the journal in a directory, which is made if it is not there.
    ///
    /// The file is verified from end to end, on the thread that calls: so many milliseconds as it has megabytes, about.
    ///
    /// # Errors
    ///
    /// [`InUse`](JournalErrorKind::InUse): another endpoint has the directory; the message says which process. [`Version`](JournalErrorKind::Version): a
    /// newer version wrote what is there. [`Disk`](JournalErrorKind::Disk): the directory cannot be made, read or written. In each case nothing there has been
    /// changed. A damaged file is no error.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        Durable::open_files(path.as_ref(), Files::default())
    }

    /// The same, with its file on a disk that fails when it is told to.
    ///
    /// # Errors
    ///
    /// As [`Durable::open`].
    #[cfg(feature = "testing")]
    #[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
    pub fn open_on(path: impl AsRef<Path>, disk: &crate::testing::Disk) -> Result<Self, JournalError> {
        Durable::open_files(path.as_ref(), Files { disk: Some(disk.clone()), ..Files::default() })
    }

    fn open_files(path: &Path, files: Files) -> Result<Self, JournalError> {
        let directory = Directory::open(path)?;
        let shared = Arc::new(Shared::default());
        let (tell, told) = mpsc::sync_channel(1);
        let writer = {
            let shared = shared.clone();
            move || match Store::open(directory, files) {
                Ok(store) => {
                    shared.len.store(store.len(), Ordering::Relaxed);
                    let _ = tell.send(Ok(()));
                    supervised(store, &shared);
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                }
            }
        };
        thread::Builder::new()
            .name("rmi-journal".to_owned())
            .spawn(writer)
            .map_err(|source| disk("cannot start the journal's thread".to_owned(), source))?;
        match told.recv() {
            Ok(Ok(())) => Ok(Durable { path: path.to_owned(), shared }),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                Err(JournalError::new(JournalErrorKind::Disk, format!("the journal in `{}` cannot be opened", path.display())))
            }
        }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it has done, and what waits.
    #[must_use]
    pub fn figures(&self) -> DurableFigures {
        let (waiting, left_out) = self.shared.queue.figures();
        DurableFigures {
            commits: self.shared.commits.load(Ordering::Relaxed),
            failures: self.shared.failures.load(Ordering::Relaxed),
            waiting,
            left_out,
            bytes: self.shared.len.load(Ordering::Relaxed),
        }
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<Result<T, JournalError>>) -> Job) -> Result<T, JournalError> {
        let (tell, told) = oneshot::channel();
        let closed =
            || JournalError::new(JournalErrorKind::Closed, format!("the journal in `{}` was closed", self.path.display()));
        if !self.shared.queue.ask(job(tell)) {
            return Err(closed());
        }
        told.await.unwrap_or_else(|_| Err(closed()))
    }
}

#[async_trait]
impl Journal for Durable {
    fn is_durable(&self) -> bool {
        true
    }

    async fn recover(&self) -> Result<Recovered, JournalError> {
        self.ask(Job::Recover).await
    }

    fn record(&self, steps: Vec<Step>) -> Commit {
        let new = steps.iter().filter_map(|step| match step {
            Step::Accepted { id, .. } | Step::Refused { id, .. } | Step::Barred { id, .. } => Some(*id),
            _ => None,
        });
        let new = new.collect();
        self.shared.queue.record(steps.iter().flat_map(Step::changes).collect(), new)
    }

    fn note(&self, steps: Vec<Step>) {
        self.shared.queue.note(steps.iter().flat_map(Step::changes).collect());
    }

    fn failing(&self) -> Option<JournalError> {
        lock(&self.shared.failing).clone()
    }

    /// Who waits for this has the directory free for the next to open it. What is dropped without it still writes what waits.
    async fn close(&self) -> Result<(), JournalError> {
        self.ask(Job::Close).await
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

impl fmt::Debug for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durable").field("path", &self.path).field("figures", &self.figures()).finish_non_exhaustive()
    }
}

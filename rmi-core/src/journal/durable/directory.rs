//! The directory of a journal: who has it, what is in it, and what is set aside there.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use crate::{
    journal::{JournalError, JournalErrorKind},
    time::{Clock, SystemClock},
};

const LOCK: &str = "lock";
const IDENTITY: &str = "identity";
const STORE: &str = "journal.redb";
const FRESH: &str = "journal.redb.new";
const CORRUPT: &str = "corrupt";
const LOST: &str = "lost";

/// What begins the file that says what the directory is.
const MAGIC: &str = "rmi-journal";
/// The version of what is written here.
const FORMAT: u32 = 1;
/// How many things that were set aside are kept: a disk that goes on failing does not fill itself with them.
const KEPT: usize = 16;

/// Random bytes before each value: what a peer sends cannot be taken for a row, wherever in a damaged file it is found.
pub(super) type Salt = [u8; 8];

/// A directory that nobody else has.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Held open: the lock ends with it, whatever becomes of the process.
    _lock: File,
}

impl Directory {
    /// Makes the directory if it is not there, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        let failed = |what: &str, source: io::Error| {
            disk(format!("cannot {what} `{}`: give a directory that this user may write to", path.display()), source)
        };
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path).map_err(|source| failed("make the directory", source))?;
        let lock = path.join(LOCK);
        let mut file = private().create(true).truncate(false).open(&lock).map_err(|source| failed("write in", source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut who = String::new();
                let known = file.read_to_string(&mut who).is_ok() && !who.trim().is_empty();
                let who = if known { who.trim() } else { "another process" };
                let message = format!("{who} has `{}`: each endpoint needs a directory of its own", path.display());
                return Err(JournalError::new(JournalErrorKind::InUse, message));
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock", source)),
        }
        // Who has it is for people: that it could not be written is no reason not to start.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "process {} (since {})", std::process::id(), SystemClock.now().to_seconds()));
        let directory = Directory { path: path.to_owned(), _lock: file };
        // What was being written when the process ended: what it was to replace is still there.
        let _ = fs::remove_file(directory.fresh());
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn store(&self) -> PathBuf {
        self.path.join(STORE)
    }

    pub(super) fn fresh(&self) -> PathBuf {
        self.path.join(FRESH)
    }

    /// What the directory says it is. `None` where it says nothing, or nothing that can be read.
    pub(super) fn identity(&self) -> Result<Option<Salt>, JournalError> {
        let path = self.path.join(IDENTITY);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(disk(format!("cannot read `{}`", path.display()), source)),
        };
        let Ok(text) = std::str::from_utf8(&text) else { return Ok(None) };
        let mut words = text.split_whitespace();
        let (Some(MAGIC), Some(format), Some(salt)) = (words.next(), words.next(), words.next()) else { return Ok(None) };
        match format.parse::<u32>() {
            Ok(FORMAT) => Ok(u64::from_str_radix(salt, 16).ok().map(u64::to_be_bytes)),
            Ok(newer) if newer > FORMAT => Err(JournalError::new(
                JournalErrorKind::Version,
                format!(
                    "`{}` has format {newer}, and this version reads up to {FORMAT}: use the version that wrote it, or give another directory",
                    self.path.display()
                ),
            )),
            _ => Ok(None),
        }
    }

    /// Says what the directory is.
    pub(super) fn identify(&self, salt: Salt) -> io::Result<()> {
        let path = self.path.join(IDENTITY);
        let fresh = self.path.join("identity.new");
        let mut file = private().create(true).truncate(true).open(&fresh)?;
        writeln!(file, "{MAGIC} {FORMAT} {:016x}", u64::from_be_bytes(salt))?;
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        self.sync()
    }

    /// Puts the fresh store in the place of the one that is there, if any.
    pub(super) fn replace(&self) -> io::Result<()> {
        fs::rename(self.fresh(), self.store())?;
        self.sync()
    }

    /// Gives the store a second name, under which it stays when it is replaced; says which.
    pub(super) fn set_aside(&self) -> io::Result<PathBuf> {
        let aside = self.aside()?;
        // Where a file cannot have two names it has the other one from now on.
        fs::hard_link(self.store(), &aside).or_else(|_| fs::rename(self.store(), &aside))?;
        self.sync()?;
        Ok(aside)
    }

    /// Writes down what was in the store and cannot be read.
    pub(super) fn write_aside(&self, text: &str) -> io::Result<PathBuf> {
        let aside = self.aside()?;
        let mut file = private().create_new(true).open(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        self.sync()?;
        Ok(aside)
    }

    /// Says what is lost, line by line, until whoever recovers the journal has written down what follows from it.
    pub(super) fn write_lost(&self, lost: &[String]) -> io::Result<()> {
        let fresh = self.path.join("lost.new");
        let mut file = private().create(true).truncate(true).open(&fresh)?;
        for line in lost {
            writeln!(file, "{line}")?;
        }
        file.sync_all()?;
        fs::rename(&fresh, self.path.join(LOST))?;
        self.sync()
    }

    /// What has been said to be lost, and not been heard by anybody yet.
    pub(super) fn lost(&self) -> io::Result<Vec<String>> {
        match fs::read(self.path.join(LOST)) {
            Ok(text) => Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(source),
        }
    }

    /// What follows from what is lost has been written down.
    pub(super) fn forget_lost(&self) -> io::Result<()> {
        fs::remove_file(self.path.join(LOST))
    }

    /// A name that is free. Of too many the oldest goes: the names sort by date.
    fn aside(&self) -> io::Result<PathBuf> {
        let mut kept: Vec<PathBuf> = fs::read_dir(&self.path)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == CORRUPT))
            .collect();
        kept.sort();
        for oldest in kept.iter().take((kept.len() + 1).saturating_sub(KEPT)) {
            tracing::warn!(path = %oldest.display(), "removed the oldest of {KEPT} damaged parts of the journal that were set aside");
            fs::remove_file(oldest)?;
        }
        let date: String = SystemClock.now().to_millis().chars().filter(char::is_ascii_alphanumeric).collect();
        let free = (0..=KEPT).map(|n| self.path.join(format!("journal-{date}-{n:02}.{CORRUPT}"))).find(|path| !path.exists());
        free.ok_or_else(|| io::Error::other("no name is free"))
    }

    fn sync(&self) -> io::Result<()> {
        // Elsewhere a directory cannot be opened, and need not be.
        if cfg!(unix) { File::open(&self.path)?.sync_all() } else { Ok(()) }
    }
}

/// A file that is for this user only.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

pub(super) fn disk(message: String, source: impl std::error::Error + Send + Sync + 'static) -> JournalError {
    JournalError::new(JournalErrorKind::Disk, format!("{message} ({source})")).caused_by(source)
}

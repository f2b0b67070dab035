//! What becomes of the file: when it is good, when it fails, when it is damaged.
//!
//! The file is verified from end to end when it is opened: what is read from it after that was written so. What does not hold is
//! moved aside and looked through by [`carve`](super::carve), never by what believes in it.
//!
//! A file that the disk has failed is given up, and opened again for the next who wants to write. Where it was the bringing to disk
//! that failed, nothing that the system shows of the file is trusted to be there: its rows are copied into a new one.

use std::{
    io,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use crate::journal::{
    Assembler, Change, JournalError, JournalErrorKind, Key, Recovered, RequestId, Step,
    durable::{
        carve,
        database::{Database, Row, Trouble},
        directory::{Directory, Salt, disk},
        file::Files,
    },
};

/// A file is not made smaller below this.
const SMALL: u64 = 8 << 20;
/// Nor where it holds more than one part in so many of its length.
const SPARSE: u64 = 4;
/// How many lines of what is lost are kept.
const LINES: usize = 16;

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
    /// What is lost, as the directory says as well: nobody who recovers the journal has written down yet what follows from it.
    lost: Vec<String>,
    /// Somebody has recovered it since, and writes that down next.
    told: bool,
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
            lost: Vec::new(),
            told: false,
        };
        let root = store.directory.path().to_owned();
        store.lost = store.directory.lost().map_err(|source| disk(format!("cannot read in `{}`", root.display()), source))?;
        let path = store.directory.store();
        let there = path.try_exists().map_err(|source| disk(format!("cannot look for `{}`", path.display()), source))?;
        if there {
            match store.load() {
                Ok(()) => {}
                Err(Trouble::Disk(error)) => return Err(error),
                Err(Trouble::Damaged(why)) => store.start_over(&why, identity.is_some())?,
            }
        } else {
            if identity.is_some() {
                tracing::error!(path = %path.display(), "the journal's file is gone: what was in it is lost");
                store.lose(format!("the whole journal: its file `{}` is gone", path.display()))?;
            }
            store.renew(std::iter::empty()).map_err(|trouble| trouble.into_error(store.directory.path()))?;
        }
        if identity != Some(store.salt) {
            let identified = store.directory.identify(store.salt);
            identified.map_err(|source| disk(format!("cannot write in `{}`", store.directory.path().display()), source))?;
        }
        Ok(store)
    }

    /// Opens the file that is there.
    fn load(&mut self) -> Result<(), Trouble> {
        let database = Database::open(&self.files, &self.directory.store())?;
        self.salt = database.salt();
        let unsynced = self.files.unsynced.load(Ordering::Relaxed);
        if unsynced || (self.len() > SMALL && database.needs()?.saturating_mul(SPARSE) < self.len()) {
            // What is read from the old one has been verified; what is written to the new one is brought to the disk.
            let renewed = self.renew(database.rows()?);
            match renewed {
                Ok(()) => {
                    drop(database);
                    // What could not be brought to the disk of the old one is nobody's any more.
                    self.files.unsynced.store(false, Ordering::Relaxed);
                    return Ok(());
                }
                // There is no room for two: the old one is as good as before.
                Err(_) if !unsynced => {}
                Err(trouble) => return Err(trouble),
            }
        }
        // Whoever was told that these are not there is right from now on.
        if !self.denied.is_empty() {
            database.write(&self.without_denied())?;
            self.denied.clear();
        }
        self.database = Some(database);
        Ok(())
    }

    fn without_denied(&self) -> Vec<Change> {
        self.denied.iter().flat_map(|id| Step::Forgotten { id: *id }.changes()).collect()
    }

    /// Writes a new file with these rows, and puts it in the place of the one that is there.
    fn renew(&mut self, rows: impl Iterator<Item = Result<Row, Trouble>>) -> Result<(), Trouble> {
        let (fresh, path) = (self.directory.fresh(), self.directory.store());
        let _ = std::fs::remove_file(&fresh);
        let unsynced = self.files.unsynced.swap(false, Ordering::Relaxed);
        let made = Database::create(&self.files, &fresh, self.salt, rows, &self.without_denied()).and_then(|database| {
            let replaced = self.directory.replace();
            let failed = |source| Trouble::Disk(disk(format!("cannot replace `{}`", path.display()), source));
            replaced.map(|()| database).map_err(failed)
        });
        match made {
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
        // Before the new one is there: whatever ends the process, the next one hears of it.
        self.lose(format!("the whole journal: {why}; it is now `{}`, and {count} of its rows were taken over", aside.display()))?;
        let salted = rows.into_iter().map(|(key, value)| Ok((key.as_ref().to_vec(), salted(self.salt, &value))));
        self.renew(salted.collect::<Vec<_>>().into_iter()).map_err(|trouble| trouble.into_error(self.directory.path()))
    }

    /// Something is lost: that is said until somebody has heard of it and acted on it.
    fn lose(&mut self, what: String) -> Result<(), JournalError> {
        // A disk that goes on failing does not make it long.
        if self.lost.len() < LINES {
            self.lost.push(what);
        }
        self.told = false;
        let written = self.directory.write_lost(&self.lost);
        written.map_err(|source| disk(format!("cannot write in `{}`", self.directory.path().display()), source))
    }

    /// Whoever was told what is lost has written down what follows from it.
    fn acted(&mut self) {
        if !self.told || self.lost.is_empty() {
            return;
        }
        match self.directory.forget_lost() {
            Ok(()) => self.lost.clear(),
            // It is told once more, which costs callers a rejection, and nobody a second run.
            Err(error) => tracing::warn!(path = %self.directory.path().display(), %error, "what was lost will be told again"),
        }
        self.told = false;
    }

    /// Reads every row.
    pub(super) fn recover(&mut self) -> Result<Recovered, JournalError> {
        self.again()?;
        let (mut assembler, mut damaged) = (Assembler::default(), Vec::new());
        let Some(database) = &self.database else { return Err(closed()) };
        let rows = database.rows().map_err(|trouble| trouble.into_error(self.directory.path()))?;
        for row in rows {
            let (key, value) = row.map_err(|trouble| trouble.into_error(self.directory.path()))?;
            if !assembler.row(&key, value.strip_prefix(&self.salt).unwrap_or_default()) {
                damaged.push((key, value));
            }
        }
        let mut recovered = assembler.finish();
        self.lost.iter().for_each(|what| recovered.lost.add(what.as_str()));
        if !damaged.is_empty() {
            self.mend(&damaged)?;
        }
        self.told = true;
        Ok(recovered)
    }

    /// Copies rows that cannot be read to a file aside, and writes in their place what has to be assumed.
    fn mend(&mut self, damaged: &[Row]) -> Result<(), JournalError> {
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
        self.lose(format!("{} rows that could not be read: they are now in `{}`", damaged.len(), aside.display()))?;
        let mut mended: Vec<Change> = damaged.iter().flat_map(|(key, _)| Key::assumed(key)).collect();
        // What is not known any more at all goes, whatever is assumed of it.
        mended.sort_by_key(|change| matches!(change, Change::DeleteRange(..)));
        let Some(database) = &self.database else { return Err(closed()) };
        let written = database.replace(damaged, &mended);
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
        match database.write(changes) {
            Ok(()) => {
                self.acted();
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
        self.database = None;
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

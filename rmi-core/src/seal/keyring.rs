//! Whose keys are trusted: a ring of public keys by sender, filled by the program or from a directory.

mod directory;
mod error;
mod ring;
mod trusted;

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

pub use self::{error::KeyringError, trusted::TrustedKey};
pub(super) use self::{ring::Ring, trusted::SCHEME};
use super::keys::Fingerprint;
use crate::{
    text::Text,
    time::{Clock, SystemClock, Timestamp},
};

/// The keys that are trusted, by the name of the sender who signs with them, and what else those senders may do.
///
/// A sender has at most three live keys, so that one can be replaced while messages signed with the old one are still under way.
/// Nothing is trusted because it was seen first: a sender is in the ring or it is unknown. Which of a sender's keys are valid is
/// decided by the clock at the moment of verification.
///
/// Clones share one ring. What changes in it (by [`trust`](Keyring::trust), [`revoke`](Keyring::revoke),
/// [`reload`](Keyring::reload)) counts for the next verification everywhere; verifying never waits for a file.
///
/// # The directory
///
/// [`Keyring::load`] reads a directory with no subdirectories:
///
/// | file | what it holds |
/// |---|---|
/// | `<name>.pem` | one or more public keys in SPKI PEM, of the sender `<name>` |
/// | `<name>.json` | optional, about the keys in `<name>.pem` |
/// | `revoked` | optional: one [fingerprint](Fingerprint) on each line; `#` starts a comment. Such a key is not trusted, whoever's it is |
///
/// The JSON file is an object with some of these keys, and no other:
///
/// | key | what it says |
/// |---|---|
/// | `sender` | the sender, where that is not the file's name: one with a `/`, or a second file for one sender |
/// | `not_before`, `not_after` | when the keys are valid, both inclusive, in RFC 3339: `2026-11-20T00:00:00Z` |
/// | `scheme` | the signature scheme that the keys are for; `ed25519` if left out |
/// | `answers_for` | an array of addresses that the sender may answer for, beside the one that is its own name |
///
/// A key is replaced in three steps: append the new one to `<name>.pem` everywhere; have the sender sign with it; take the old one
/// out. Files whose names begin with a dot are skipped in silence (editors and mounted secrets make them), others with a warning.
///
/// The name of a sender comes from the operator. What a message says of its sender is only looked up.
#[derive(Clone)]
pub struct Keyring(Arc<Shared>);

struct Shared {
    /// What verification reads. Held for the length of a pointer copy, in either mode.
    ring: RwLock<Arc<Ring>>,
    /// What the ring is made of. Held while files are read.
    sources: Mutex<Sources>,
    clock: Arc<dyn Clock>,
    failed_reloads: AtomicU64,
}

#[derive(Clone, Default)]
struct Sources {
    directory: Option<PathBuf>,
    loaded: Ring,
    /// What the program added, which a reload leaves alone.
    added: Ring,
}

impl Keyring {
    /// An empty ring.
    #[must_use]
    pub fn new() -> Self {
        Keyring::with_clock(Arc::new(SystemClock))
    }

    /// An empty ring that takes the time from this clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Keyring(Arc::new(Shared { ring: RwLock::default(), sources: Mutex::default(), clock, failed_reloads: AtomicU64::new(0) }))
    }

    /// Reads the keys of a directory. Blocks while it does.
    ///
    /// # Errors
    ///
    /// Anything in the directory that cannot be read, or contradicts itself: a ring is read whole or not at all.
    pub fn load(directory: impl Into<PathBuf>) -> Result<Self, KeyringError> {
        Keyring::load_with_clock(directory, Arc::new(SystemClock))
    }

    /// [`Keyring::load`], for a ring that takes the time from this clock.
    ///
    /// # Errors
    ///
    /// As [`Keyring::load`].
    pub fn load_with_clock(directory: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Result<Self, KeyringError> {
        let keyring = Keyring::with_clock(clock);
        keyring.sources().directory = Some(directory.into());
        keyring.read()?;
        Ok(keyring)
    }

    /// Reads the directory again, and then uses what it holds in place of what it held. What the program added or revoked stays.
    /// Blocks while it reads; verification goes on meanwhile. Does nothing for a ring that is not from a directory.
    ///
    /// # Errors
    ///
    /// As [`Keyring::load`]. The ring then stays as it is, in every part: a revocation beside a broken file does not count until
    /// the file is mended. The failure is counted, and logged as an error.
    pub fn reload(&self) -> Result<(), KeyringError> {
        self.read().inspect_err(|error| {
            self.0.failed_reloads.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "the keyring could not be read again: the keys read before stay in use");
        })
    }

    /// How many times [`Keyring::reload`] has failed.
    #[must_use]
    pub fn failed_reloads(&self) -> u64 {
        self.0.failed_reloads.load(Ordering::Relaxed)
    }

    /// Trusts a key of a sender. Trusting the same key again changes its validity and scheme.
    ///
    /// # Errors
    ///
    /// The sender would have a fourth live key, or the name is empty. Nothing changes then.
    pub fn trust(&self, sender: impl Into<Text>, key: impl Into<TrustedKey>) -> Result<(), KeyringError> {
        let (sender, key) = (sender.into(), key.into());
        if sender.is_empty() {
            return Err(KeyringError::EmptyName);
        }
        self.change(|sources| {
            sources.added.add(&sender, key);
            Ok(())
        })
    }

    /// Lets a sender answer for an address beside its own.
    pub fn allow_answers(&self, sender: impl Into<Text>, address: impl Into<Text>) {
        let (sender, address) = (sender.into(), address.into());
        // No key is added, so there cannot be one too many.
        let _ = self.change(|sources| {
            sources.added.allow_answers(&sender, address.as_str().to_owned());
            Ok(())
        });
    }

    /// Stops trusting a key, whoever's it is, for as long as the program runs.
    pub fn revoke(&self, key: Fingerprint) {
        let _ = self.change(|sources| {
            sources.added.revoke(key);
            Ok(())
        });
    }

    /// Whether a verified sender may answer for an address: its own, which is its name, or one that it was allowed.
    #[must_use]
    pub fn answers(&self, sender: &str, address: &str) -> bool {
        sender == address || self.ring().answers(sender, address)
    }

    /// The keys of a sender that are valid now, at most three. For an [`Authenticator`](super::Authenticator) of one's own.
    #[must_use]
    pub fn live(&self, sender: &str) -> Vec<TrustedKey> {
        self.ring().live(sender, self.now()).map(|(_, key)| key.clone()).collect()
    }

    /// The names of all senders that have a key, valid or not.
    #[must_use]
    pub fn senders(&self) -> Vec<Text> {
        self.ring().senders()
    }

    pub(super) fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.0.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.0.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> Result<(), KeyringError> {
        self.change(|sources| {
            if let Some(directory) = &sources.directory {
                sources.loaded = directory::read(directory)?;
            }
            Ok(())
        })
    }

    /// Changes the sources and swaps in the ring that they make, or leaves both as they are.
    fn change(&self, change: impl FnOnce(&mut Sources) -> Result<(), KeyringError>) -> Result<(), KeyringError> {
        let mut sources = self.sources();
        let mut changed = sources.clone();
        change(&mut changed)?;
        let ring = changed.loaded.merged(&changed.added);
        ring.check(self.now())?;
        *sources = changed;
        *self.0.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        Ok(())
    }
}

impl Default for Keyring {
    fn default() -> Self {
        Keyring::new()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keyring").field(&self.ring()).finish()
    }
}

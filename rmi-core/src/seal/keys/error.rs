use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// A key that cannot be read, written or trusted: what is wrong with it, where, and what to do. Never any of its material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the key file `{}`: check that it is there and that this user may read it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write the key file `{}`: check that its directory is there and that this user may write to it", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// There is a file already, and a key is never overwritten.
    #[error("`{}` is there already and a key file is never overwritten: choose another name, or move the old file away", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file is larger than any key.
    #[error("`{}` is larger than {limit} bytes, which no key file is: check that it is the right file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read, in bytes.
        limit: usize,
    },
    /// Others than its owner may use the private key's file.
    #[error("the private key in `{}` has mode {mode:04o}, so that it is not its owner's alone: chmod 600 {}", path.display(), path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not a private Ed25519 key in PKCS#8 PEM.
    #[error("{} is no private Ed25519 key in PKCS#8 PEM: make one with `openssl genpkey -algorithm ed25519`", Place(path))]
    NotPrivate {
        /// The file, if it came from one.
        path: Option<PathBuf>,
    },
    /// It is a private key under a passphrase.
    #[error(
        "{} is encrypted with a passphrase, which is not supported: write it out with `openssl pkey` to a file of mode 600",
        Place(path)
    )]
    Encrypted {
        /// The file, if it came from one.
        path: Option<PathBuf>,
    },
    /// It is not a public Ed25519 key in SPKI PEM.
    #[error("{} is no public Ed25519 key in SPKI PEM: write it with `openssl pkey -in <private key> -pubout`", Place(path))]
    NotPublic {
        /// The file, if it came from one.
        path: Option<PathBuf>,
    },
    /// It is a private key where a public one belongs.
    #[error(
        "{} holds a private key where a public one belongs: replace it by what `openssl pkey -in <private key> -pubout` writes, \
         and think of the private key as known to whoever could read it here",
        Place(path)
    )]
    Private {
        /// The file, if it came from one.
        path: Option<PathBuf>,
    },
    /// The public key is of low order, or not written canonically: signatures by it prove nothing.
    #[error("{} holds a weak public key, with which anybody could sign: have its owner make a new one", Place(path))]
    Weak {
        /// The file, if it came from one.
        path: Option<PathBuf>,
    },
    /// The system gave no random numbers.
    #[error("the system gave no random numbers for a new key: {0}")]
    Random(String),
    /// The public key could not be written as PEM.
    #[error("the public key could not be written as PEM")]
    Encode,
}

impl KeyError {
    /// The file that the error is about, if the key came from one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            KeyError::Read { path, .. }
            | KeyError::Write { path, .. }
            | KeyError::Exists { path }
            | KeyError::TooLarge { path, .. }
            | KeyError::Mode { path, .. } => Some(path),
            KeyError::NotPrivate { path }
            | KeyError::Encrypted { path }
            | KeyError::NotPublic { path }
            | KeyError::Private { path }
            | KeyError::Weak { path } => path.as_deref(),
            KeyError::Random(_) | KeyError::Encode => None,
        }
    }

    /// The same error, about a text that came from this file.
    pub(crate) fn in_file(mut self, file: &Path) -> Self {
        match &mut self {
            KeyError::NotPrivate { path }
            | KeyError::Encrypted { path }
            | KeyError::NotPublic { path }
            | KeyError::Private { path }
            | KeyError::Weak { path } => *path = Some(file.to_owned()),
            KeyError::Read { .. }
            | KeyError::Write { .. }
            | KeyError::Exists { .. }
            | KeyError::TooLarge { .. }
            | KeyError::Mode { .. }
            | KeyError::Random(_)
            | KeyError::Encode => {}
        }
        self
    }
}

struct Place<'a>(&'a Option<PathBuf>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(path) => write!(f, "`{}`", path.display()),
            None => f.write_str("the PEM text"),
        }
    }
}

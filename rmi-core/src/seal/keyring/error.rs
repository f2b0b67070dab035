use std::{io, path::PathBuf};

use crate::{seal::keys::KeyError, text::Text};

/// A keyring that cannot be read, or contradicts itself: what is wrong, in which file, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// A file or the directory cannot be read.
    #[error("cannot read `{}` of the keyring: check that it is there and that this user may read it", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A key file does not hold what it should.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file's name is not text, so it names no sender.
    #[error("the name of `{}` is not UTF-8: rename it, and name the sender in a JSON file beside it", path.display())]
    FileName {
        /// The file.
        path: PathBuf,
    },
    /// The JSON file beside a key file is not of the form that is documented at [`Keyring`](super::Keyring).
    #[error("`{}` does not say how its keys are trusted: {why}", path.display())]
    Sidecar {
        /// The JSON file.
        path: PathBuf,
        /// What is wrong with it, and where.
        why: String,
    },
    /// A JSON file has no key file beside it.
    #[error("`{}` is about keys that are not there: put `{}` beside it, or remove it", path.display(), path.with_extension("pem").display())]
    Orphan {
        /// The JSON file.
        path: PathBuf,
    },
    /// A line of the list of revoked keys is not a fingerprint.
    #[error("line {line} of `{}` is no fingerprint, which has 64 hexadecimal digits: correct it, or make it a comment with `#`", path.display())]
    Revoked {
        /// The list.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A sender has more live keys than it may.
    #[error("`{sender}` has more than {most} live keys ({keys}): remove, revoke or date the ones that it no longer signs with")]
    TooManyKeys {
        /// The sender.
        sender: Text,
        /// How many it may have.
        most: usize,
        /// The beginnings of their fingerprints.
        keys: String,
    },
    /// A sender has no name.
    #[error("a sender has to have a name, and this one is empty")]
    EmptyName,
}

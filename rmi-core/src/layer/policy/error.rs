use std::{io, path::PathBuf};

/// A policy that cannot be used: what is wrong, where, and what to write instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The file cannot be read.
    #[error("cannot read the policy `{}`: check that it is there and that this user may read it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The text does not have the form that is documented at [`Policy`](super::Policy).
    #[error("{}line {line}: {why}", path.as_ref().map(|path| format!("policy `{}`, ", path.display())).unwrap_or_default())]
    Text {
        /// The file, if the text is from one.
        path: Option<PathBuf>,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong, and what to write instead.
        why: String,
    },
}

impl PolicyError {
    pub(super) fn in_file(self, file: PathBuf) -> Self {
        match self {
            PolicyError::Text { line, why, .. } => PolicyError::Text { path: Some(file), line, why },
            read @ PolicyError::Read { .. } => read,
        }
    }
}

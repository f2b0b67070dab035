use std::{error::Error, fs, path::Path};

use clap::error::ErrorKind;

/// Why what a program was told cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// The command line says too little, or what does not go together.
    #[error("{message}")]
    Usage {
        /// What is wrong with it.
        message: String,
        /// What to write.
        advice: String,
    },
    /// A file that it names cannot be used.
    #[error(transparent)]
    File(Box<dyn Error + Send + Sync>),
}

impl Unusable {
    pub(crate) fn usage(message: impl Into<String>, advice: impl Into<String>) -> Self {
        Unusable::Usage { message: message.into(), advice: advice.into() }
    }

    pub(crate) fn file(error: impl Error + Send + Sync + 'static) -> Self {
        Unusable::File(Box::new(error))
    }

    /// What to write, where the command line is wrong.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        match self {
            Unusable::Usage { advice, .. } => Some(advice),
            Unusable::File(_) => None,
        }
    }
}

/// As what is wrong with the arguments themselves.
impl From<Unusable> for clap::Error {
    fn from(unusable: Unusable) -> Self {
        let advice = unusable.advice().map(|advice| format!("\n\n  try: {advice}")).unwrap_or_default();
        clap::Error::raw(ErrorKind::MissingRequiredArgument, format!("{unusable}{advice}\n"))
    }
}

/// A file that the command line names.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Unusable> {
    #[derive(Debug, thiserror::Error)]
    #[error("`{path}` cannot be read: {source}")]
    struct Unreadable {
        path: String,
        source: std::io::Error,
    }
    fs::read(path).map_err(|source| Unusable::file(Unreadable { path: path.display().to_string(), source }))
}

//! What the kernel says about the machine, below a root that tests can choose.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The files of `/proc` and `/sys`, or a tree that looks like them.
#[derive(Clone, Debug)]
pub struct System {
    root: PathBuf,
}

impl Default for System {
    fn default() -> Self {
        System::below("/")
    }
}

impl System {
    /// No file of the kernel's that is read here is longer.
    const LONGEST: u64 = 4 << 20;

    /// The tree below a root.
    #[must_use]
    pub fn below(root: impl Into<PathBuf>) -> Self {
        System { root: root.into() }
    }

    /// Where something is.
    #[must_use]
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The text of a file; what is not UTF-8 in it is replaced.
    ///
    /// # Errors
    ///
    /// It cannot be read, or has more than 4 MiB.
    pub fn read(&self, path: impl AsRef<Path>) -> io::Result<String> {
        let mut bytes = Vec::new();
        File::open(self.path(path))?.take(Self::LONGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > Self::LONGEST {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 4 MiB"));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The trimmed text of a file, unless it cannot be read or is empty: the kernel has no such attribute, or does not know it.
    #[must_use]
    pub fn attribute(&self, path: impl AsRef<Path>) -> Option<String> {
        let text = self.read(path).ok()?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The names in a directory, in order; none where there is no such directory.
    #[must_use]
    pub fn names(&self, path: impl AsRef<Path>) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(path)) else { return Vec::new() };
        let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }
}

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
};

/// Lines that are there for good once they are written: a process that is killed loses none.
#[derive(Debug)]
pub struct Log(File);

impl Log {
    /// Goes on with a file, or begins it.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        Log(OpenOptions::new().create(true).append(true).open(path).unwrap())
    }

    /// Writes a line, with one call of the system.
    pub fn line(&self, text: &str) {
        (&self.0).write_all(format!("{text}\n").as_bytes()).unwrap();
    }
}

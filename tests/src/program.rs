//! The programs of the examples, as suites of others run them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A program of a package of `examples/`, which stands beside one's own (`env!("CARGO_BIN_EXE_…")`) when the whole workspace has been built,
/// and is built here when it is not there, or is older than its sources.
///
/// # Panics
///
/// It cannot be built.
#[must_use]
pub fn beside(own: &str, program: &str, package: &str, folder: &str) -> PathBuf {
    let program = Path::new(own).with_file_name(program);
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(folder).join("src");
    let age = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let newest = fs::read_dir(sources).unwrap().filter_map(|entry| age(&entry.unwrap().path())).max();
    if age(&program) < newest {
        let release = if cfg!(debug_assertions) { None } else { Some("--release") };
        let built = Command::new(env!("CARGO")).args(["build", "-p", package]).args(release).status().unwrap();
        assert!(built.success());
    }
    program
}

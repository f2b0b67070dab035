//! What is said where rmi-core was built without its feature `discovery`. It is built so here, beside what the other suites use.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::Path, process::Command};

const MANIFEST: &str = r#"
[package]
name = "without-discovery"
edition = "2024"
publish = false

[features]
marked = []

[dependencies]
rmi-core = { path = "CORE", default-features = false, features = ["macros"] }

[workspace]
"#;

const SOURCE: &str = r#"
use std::convert::Infallible;

use rmi_core::remote;

#[remote(name = "clock")]
pub trait Clock {
    async fn ticks(&self) -> Result<u64, Infallible>;
}

#[derive(Default)]
pub struct Stopped;

#[cfg_attr(feature = "marked", remote)]
impl Clock for Stopped {
    async fn ticks(&self) -> Result<u64, Infallible> {
        Ok(7)
    }
}

pub fn served() -> ClockServer<Stopped> {
    ClockServer::new(Stopped)
}
"#;

/// Whether the crate compiles, and what the compiler says.
fn check(home: &Path, features: &[&str]) -> (bool, String) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["check", "--quiet", "--offline", "--color=never", "--lib"]).args(features).current_dir(home);
    let output = cargo.env("CARGO_TARGET_DIR", home.join("target")).output().expect("cargo runs");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn an_implementation_that_cannot_be_discovered_says_which_feature_is_missing() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("without-discovery");
    fs::create_dir_all(home.join("src")).unwrap();
    let core = workspace.join("rmi-core").display().to_string().replace('\\', "/");
    fs::write(home.join("Cargo.toml"), MANIFEST.replace("CORE", &core)).unwrap();
    fs::write(home.join("src/lib.rs"), SOURCE).unwrap();
    // The versions that are there already.
    fs::copy(workspace.join("Cargo.lock"), home.join("Cargo.lock")).unwrap();

    let (compiles, said) = check(&home, &[]);
    assert!(compiles, "without the attribute nothing is missing: {said}");
    let (compiles, said) = check(&home, &["--features=marked"]);
    assert!(!compiles, "nothing could ever discover it");
    let parts = ["which this rmi-core was built without", "feature `discovery`", "`Builder::serve`", "-> src/lib.rs:14:32"];
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
    assert_eq!(said.matches("error: ").count(), 2, "one error, and that it is one: {said}");
}

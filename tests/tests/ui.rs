//! What the macros say about mistakes. `TRYBUILD=overwrite` writes the expectations anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

/// The compiler whose words `ui/*.stderr` hold. Another one words its own errors otherwise, and nothing would be learnt.
const RUSTC: &str = "1.95.";

#[test]
fn mistakes_are_explained() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().expect("rustc runs");
    let version = String::from_utf8(output.stdout).expect("rustc writes UTF-8");
    let number = version.split(' ').nth(1).unwrap_or_default();
    assert!(
        number.starts_with(RUSTC),
        "the expectations in tests/tests/ui/*.stderr are those of rustc {RUSTC}x and this is rustc {number}: run this test with \
         `cargo +{RUSTC}0 test`, or, to move to another compiler, change RUSTC in this file, run with `TRYBUILD=overwrite`, and read \
         what has changed"
    );
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

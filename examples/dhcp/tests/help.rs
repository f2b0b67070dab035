//! What the program says about itself. `INSTA_UPDATE=always` writes the snapshots anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::process::{Command, Stdio};

#[test]
fn help_is_what_it_was() {
    for (name, command) in [("dhcp", [].as_slice()), ("serve", &["serve"]), ("lease", &["lease"])] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_dhcp"));
        let output = program.args(command).arg("--help").env_remove("COLUMNS").stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        insta::assert_snapshot!(name, String::from_utf8(output.stdout).unwrap());
    }
}

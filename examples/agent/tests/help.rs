//! What the program says about itself. `INSTA_UPDATE=always` writes the snapshots anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::process::{Command, Stdio};

fn help(command: &[&str]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_agent"));
    let output = program.args(command).arg("--help").env_remove("COLUMNS").stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_is_what_it_was() {
    insta::assert_snapshot!("agent", help(&[]));
    for command in ["run", "server", "ctl", "demo"] {
        insta::assert_snapshot!(command, help(&[command]));
    }
    for command in ["list", "status", "erase", "firmware", "qc", "cache", "prepare", "run"] {
        insta::assert_snapshot!(format!("ctl_{command}"), help(&["ctl", command]));
    }
}

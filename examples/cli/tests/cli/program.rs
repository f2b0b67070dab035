//! `rmi`, as a process.

use std::time::Duration;

use assert_cmd::Command;
use serde_json::Value;

/// Longer than anything here takes: no test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a process left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Standard output as JSON, line by line.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }

    /// The last line of standard output, as JSON.
    pub(crate) fn end(&self) -> Value {
        self.lines().pop().unwrap_or_else(|| panic!("nothing was printed: {self:?}"))
    }
}

/// The program, without anything of this environment that it would look at.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rmi"));
    command.timeout(PATIENCE);
    for name in ["RUST_LOG", "NO_COLOR", "COLUMNS"] {
        command.env_remove(name);
    }
    command
}

/// Runs the program.
pub(crate) fn rmi<I: IntoIterator<Item = S>, S: AsRef<str>>(arguments: I) -> Ended {
    run(command().args(arguments.into_iter().map(|argument| argument.as_ref().to_owned())))
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let status = output.status.code().unwrap_or_else(|| panic!("it did not exit: {:?}", output.status));
    let ended = Ended { status, stdout: text(output.stdout), stderr: text(output.stderr) };
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    ended
}

/// The words of a command line, where none has a space.
pub(crate) fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

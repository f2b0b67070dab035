//! Processes that are killed.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// A process that is killed with this.
#[derive(Debug)]
pub struct Killed(Child);

impl Killed {
    /// Kills it, which has to be running.
    pub fn kill(&mut self) {
        assert!(self.0.try_wait().unwrap().is_none(), "a process ended before its time");
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Ends its standard input.
    pub fn hang_up(&mut self) {
        drop(self.0.stdin.take());
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program.
#[must_use]
pub fn start(program: &str, home: &Path, arguments: &[&str]) -> Killed {
    let child = Command::new(program)
        .arg(home)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    Killed(child)
}

/// Waits until a process says a word, and fails when it ends before.
pub fn says(process: &mut Killed, word: &str) {
    let mut said = String::new();
    BufReader::new(process.0.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said.trim_end(), word, "a process ended before its time");
}

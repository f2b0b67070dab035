//! `kennel agent`, as a process.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::LazyLock,
};

use rmi_tests::program::beside;
use rustix::process::{Pid, Signal, kill_process};

/// An agent that listens at a port of its own, until this is dropped.
#[derive(Debug)]
pub(crate) struct Agent {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Where it is reached.
    pub(crate) url: String,
}

impl Agent {
    /// One that believes everybody.
    pub(crate) fn insecure() -> Self {
        Agent::start(&["--insecure"], Path::new("."))
    }

    /// One with these arguments beside where it listens, in this directory.
    pub(crate) fn start(arguments: &[&str], directory: &Path) -> Self {
        Agent::listen("127.0.0.1:0", arguments, directory)
    }

    /// One that listens there.
    pub(crate) fn listen(address: &str, arguments: &[&str], directory: &Path) -> Self {
        Agent::reached(["--listen", address], "tcp://", arguments, directory)
    }

    /// One that listens there by TLS.
    pub(crate) fn by_tls(arguments: &[&str], directory: &Path) -> Self {
        Agent::reached(["--listen", "tls://127.0.0.1:0"], "tls://", arguments, directory)
    }

    /// One that is reached by a broker.
    pub(crate) fn by_broker(url: &str, arguments: &[&str]) -> Self {
        let mut agent = Agent::reached(["--url", url], "amqp://", arguments, Path::new("."));
        // It does not say the credentials, which are wanted here.
        agent.url = url.to_owned();
        agent
    }

    fn reached(where_to: [&str; 2], scheme: &str, arguments: &[&str], directory: &Path) -> Self {
        let mut child = Command::new(program())
            .arg("agent")
            .args(where_to)
            .args(arguments)
            .current_dir(directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with(scheme));
        let url = url.unwrap_or_else(|| panic!("it does not say where it listens: {line:?}")).to_owned();
        Agent { child, stdout, url }
    }

    /// Tells it something, and waits for what it says to that.
    pub(crate) fn signal(&mut self, signal: Signal) -> String {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    /// Runs `rmi call` of this agent, which is not to be trusted.
    pub(crate) fn call(&self, arguments: &str) -> crate::program::Ended {
        let line = format!("call {} dog {arguments} --insecure", self.url);
        crate::program::rmi(crate::program::words(&line))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The kennel's program.
fn program() -> &'static Path {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| beside(env!("CARGO_BIN_EXE_rmi"), "kennel", "kennel", "kennel"));
    &PROGRAM
}

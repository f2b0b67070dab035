//! Watching a call, and ctrl-c while one is watched.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStderr, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    agent::Agent,
    program::{rmi, words},
};

/// `rmi` at work, its remarks read as they come.
struct Watching {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Watching {
    fn call(agent: &Agent, arguments: &str) -> Self {
        let line = format!("call {} dog {arguments} --watch --insecure", agent.url);
        let mut command = Command::new(env!("CARGO_BIN_EXE_rmi"));
        let mut child = command.args(words(&line)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Watching { child, stderr }
    }

    /// Reads until it says something, and returns that line.
    fn until(&mut self, part: &str) -> String {
        let mut said = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.stderr.read_line(&mut line).unwrap(), 0, "it ended without `{part}`: {said}");
            if line.contains(part) {
                return line;
            }
            said.push_str(&line);
        }
    }

    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// Its status and what it printed.
    fn ended(mut self) -> (Option<i32>, String) {
        let mut printed = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        assert!(!rest.contains("panicked"), "{rest}");
        (self.child.wait().unwrap().code(), printed)
    }
}

#[test]
fn steps_are_remarks_and_the_result_is_the_result() {
    let agent = Agent::insecure();
    let ended = agent.call("Dog.wag 3 --kw delay=0 --watch");
    assert_eq!((ended.status, ended.stdout.as_str()), (0, "\"wagged 3\"\n"), "{ended:?}");
    let steps: Vec<_> = ended.stderr.lines().skip(1).collect();
    assert_eq!(steps, ["accepted", "started", "1/3 for: 0", "2/3 for: 1", "3/3 for: 2"]);
    assert!(ended.stderr.starts_with("Dog.wag is request "), "{ended:?}");
}

#[test]
fn ctrl_c_cancels_and_waits_for_the_end() {
    let agent = Agent::insecure();
    let mut watching = Watching::call(&agent, "Dog.cancellable 600");
    watching.until("started");
    watching.interrupt();
    watching.until("asking the agent to cancel the call");
    assert_eq!(watching.ended(), (Some(0), "\"cancelled\"\n".to_owned()));
}

#[test]
fn the_second_ctrl_c_leaves_and_says_how_to_cancel() {
    let agent = Agent::insecure();
    let mut watching = Watching::call(&agent, "Dog.nap 600");
    watching.until("started");
    watching.interrupt();
    // It does not look whether it is cancelled.
    watching.until("waiting for its end");
    watching.interrupt();
    let left = watching.until("left; the call goes on");
    assert_eq!(watching.ended(), (Some(130), String::new()));
    let command = left.split('`').nth(1).unwrap().trim_start_matches("rmi ").to_owned();
    let ended = rmi(words(&format!("{command} --insecure")));
    assert_eq!(ended.status, 0, "it still runs, and had been cancelled: {ended:?}");
}

#[test]
fn without_watching_ctrl_c_leaves_at_once() {
    let agent = Agent::insecure();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rmi"));
    let line = format!("call {} dog Dog.nap 600 --json --insecure", agent.url);
    let mut child = command.args(words(&line)).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("started") {
        line.clear();
        assert_ne!(stdout.read_line(&mut line).unwrap(), 0);
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert!(!child.wait().unwrap().success());
}

#[test]
fn a_call_learns_what_became_of_it_from_an_agent_that_was_killed() {
    let here = tempfile::tempdir().unwrap();
    let arguments = ["--insecure", "--journal", "journal"];
    let agent = Agent::start(&arguments, here.path());
    let mut watching = Watching::call(&agent, "Dog.nap 600 --json");
    let mut stdout = BufReader::new(watching.child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("started") {
        line.clear();
        assert_ne!(stdout.read_line(&mut line).unwrap(), 0);
    }
    let address = agent.url.trim_start_matches("tcp://").to_owned();
    // As `kill -9` does.
    drop(agent);
    let _agent = Agent::listen(&address, &arguments, here.path());
    let mut end = String::new();
    stdout.read_to_string(&mut end).unwrap();
    let end: serde_json::Value = serde_json::from_str(end.trim_end()).unwrap();
    assert_eq!((&end["aborted"]["reason"], &end["aborted"]["fate"]), (&"interrupted".into(), &"may_have_run".into()), "{end}");
    assert_eq!(watching.child.wait().unwrap().code(), Some(1));
}

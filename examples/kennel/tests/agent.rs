//! `kennel agent`, as a process. How it is called is among the tests of the command line `rmi`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::Duration,
};

use kennel::DogClient;
use rmi_core::{Endpoint, Native, Trust, call::Update, transport::tcp::Tcp};
use rustix::process::{Pid, Signal, kill_process};

fn kennel(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kennel"));
    command.args(arguments).env_remove("RUST_LOG");
    command
}

fn output(arguments: &[&str]) -> Output {
    kennel(arguments).output().unwrap()
}

/// An agent, what it says, and where it listens.
fn agent(arguments: &[&str]) -> (Child, BufReader<ChildStdout>, String) {
    let mut child = kennel(&["agent", "--listen", "127.0.0.1:0"]).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let url = line.split_whitespace().find_map(|word| word.strip_prefix("tcp://")).expect("it says where").to_owned();
    (child, stdout, url)
}

async fn walker(url: &str) -> Endpoint {
    let transport = Tcp::connect(url).await.unwrap();
    Endpoint::builder("walker").bind(Native::default(), transport, Trust::insecure()).start().await.unwrap()
}

#[test]
fn trust_is_spelled_out() {
    for arguments in [
        ["agent", "--listen", "127.0.0.1:0"].as_slice(),
        &["agent", "--listen", "127.0.0.1:0", "--key", "dog.key"],
        &["agent", "--listen", "127.0.0.1:0", "--trust", "trusted"],
        &["agent", "--listen", "127.0.0.1:0", "--insecure", "--key", "dog.key", "--trust", "trusted"],
        &["agent", "--insecure"],
        &["bite"],
    ] {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    }
    let missing = output(&["agent", "--listen", "127.0.0.1:0", "--key", "nobody.key", "--trust", "nowhere"]);
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
    assert!(String::from_utf8_lossy(&missing.stderr).contains("nobody.key"), "{missing:?}");
}

#[test]
fn help_explains_the_two_processes() {
    let help = String::from_utf8(output(&["--help"]).stdout).unwrap();
    assert!(help.contains("kennel agent --listen 127.0.0.1:7000 --insecure"), "{help}");
    assert!(help.contains("rmi call tcp://127.0.0.1:7000 dog Dog.bark hello --insecure"), "{help}");
}

#[tokio::test]
async fn it_serves_under_the_address_that_it_is_given() {
    let (mut child, _stdout, url) = agent(&["--insecure", "--address", "rex"]);
    let walker = walker(&url).await;
    let rex: DogClient = walker.client("rex");
    assert!(rex.bark("hello").await.unwrap().contains("hello"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn it_drains_when_it_is_told_to_stop() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut child, mut stdout, url) = agent(&["--insecure"]);
        let walker = walker(&url).await;
        let dog: DogClient = walker.client("dog");
        let mut wagging = dog.wag(10, 0.02).send().await.unwrap();
        while !matches!(wagging.next().await, Some(Ok(Update::Started))) {}
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(wagging.await.unwrap(), "wagged 10", "what runs may finish");
        let mut said = String::new();
        stdout.read_to_string(&mut said).unwrap();
        assert_eq!(said, "drained\n");
        assert!(child.wait().unwrap().success());
    }
}

#[tokio::test]
async fn told_twice_to_stop_it_ends_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut child, mut stdout, url) = agent(&["--insecure"]);
        let walker = walker(&url).await;
        let dog: DogClient = walker.client("dog");
        let mut wagging = dog.wag(1000, 10.0).send().await.unwrap();
        while !matches!(wagging.next().await, Some(Ok(Update::Started))) {}
        kill_process(Pid::from_child(&child), signal).unwrap();
        // Signals of one kind that come together are one: the first is heard when nothing more is taken.
        while dog.bark("hello").timeout(Duration::from_secs(10)).await.is_ok() {}
        assert!(child.try_wait().unwrap().is_none(), "it drains");
        kill_process(Pid::from_child(&child), signal).unwrap();
        let mut said = String::new();
        stdout.read_to_string(&mut said).unwrap();
        assert_eq!((said.as_str(), child.wait().unwrap().code()), ("", Some(130)));
    }
}

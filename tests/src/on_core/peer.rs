//! The test peer in JavaScript, which plays a process of RackHD: `tests/peers/rackhd`.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::World;
use crate::rabbit;

/// A process of the test peer, which ends with this.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    orders: ChildStdin,
    lines: mpsc::UnboundedReceiver<Value>,
    heard: VecDeque<Value>,
    ordered: u64,
}

impl Peer {
    /// Starts one that speaks of a generation's exchanges, and waits until it is connected.
    pub async fn start(world: &World) -> Self {
        let legacy = world.legacy;
        let prefix = world.bus.name(if legacy { "" } else { "on." });
        let (mut child, mut lines) = tokio::task::spawn_blocking(move || spawn(&prefix, legacy)).await.unwrap();
        let orders = child.stdin.take().unwrap();
        assert_eq!(lines.recv().await.expect("the peer has ended: see its output"), json!({ "ready": true }));
        Peer { child, orders, lines, heard: VecDeque::new(), ordered: 0 }
    }

    /// Tells it to do something; what came of it.
    pub async fn order(&mut self, order: Value) -> Value {
        let id = self.begin(order);
        self.end(id).await
    }

    /// Tells it to do something.
    pub fn begin(&mut self, mut order: Value) -> u64 {
        self.ordered += 1;
        order["id"] = json!(self.ordered);
        writeln!(self.orders, "{order}").unwrap();
        self.ordered
    }

    /// What came of what it was told to do.
    pub async fn end(&mut self, id: u64) -> Value {
        loop {
            let mut line = self.line().await;
            if line["id"] == id {
                assert_eq!(line.get("failed"), None, "{line}");
                line.as_object_mut().unwrap().remove("id");
                return line;
            }
            self.heard.push_back(line);
        }
    }

    /// What it hears next.
    pub async fn hears(&mut self) -> Value {
        let mut line = match self.heard.pop_front() {
            Some(line) => line,
            None => self.line().await,
        };
        line["heard"].take()
    }

    /// That nothing has brought down what it plays.
    pub async fn is_unharmed(&mut self) {
        assert_eq!(self.order(json!({ "do": "harmed" })).await, json!({ "harmed": [] }));
    }

    async fn line(&mut self) -> Value {
        self.lines.recv().await.expect("the peer has ended: see its output")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(prefix: &str, legacy: bool) -> (Child, mpsc::UnboundedReceiver<Value>) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/rackhd");
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers/rackhd");
    let done = Command::new("bash").arg(here.join("install")).arg(&installed).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "what the test peer needs cannot be installed: {out}{err}");
    let mut child = Command::new("node")
        .arg(here.join("peer.js"))
        .args([rabbit::url().as_str(), prefix, if legacy { "legacy" } else { "on" }])
        .env("NODE_PATH", installed.join("node_modules"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in said.lines().map_while(Result::ok) {
            let line = serde_json::from_str(&line).unwrap_or_else(|_| panic!("the peer says {line}"));
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    (child, lines)
}

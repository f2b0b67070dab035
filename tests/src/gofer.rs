//! Peers that speak as gofer 3.0 does, in Python, each a process of its own: see `tests/peers/gofer`.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{Mutex as AsyncMutex, mpsc, oneshot},
};

use crate::soon::soon;

/// An agent or a client, until it is dropped.
#[derive(Debug)]
pub struct Peer {
    orders: AsyncMutex<(u64, ChildStdin)>,
    answers: Answers,
    heard: mpsc::UnboundedReceiver<Value>,
    child: Child,
}

type Answers = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

impl Peer {
    /// An agent at a queue. Beside `url` and `queue`, the options are `reads` (`kws` or `kwargs`), `authenticator`, `expiration` and `silent`.
    pub async fn agent(options: Value) -> Self {
        Peer::start("agent", &options).await
    }

    /// A client. Beside `url`, the options are `authenticator`.
    pub async fn client(options: Value) -> Self {
        Peer::start("client", &options).await
    }

    async fn start(role: &str, options: &Value) -> Self {
        let script = peers().join("peer.py");
        let python = tokio::task::spawn_blocking(python).await.expect("it is installed");
        let mut child = Command::new(python)
            // Nothing is written beside its sources.
            .args(["-B", "-u"])
            .arg(script)
            .args([role, &options.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("python runs");
        let orders = child.stdin.take().expect("it is piped");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let (sender, heard) = mpsc::unbounded_channel();
        let answers = Answers::default();
        tokio::spawn(listen(lines, Arc::clone(&answers), sender));
        let mut peer = Peer { orders: AsyncMutex::new((0, orders)), answers, heard, child };
        let ready = peer.heard().await;
        assert!(!ready["ready"].is_null(), "{ready}");
        peer
    }

    /// Gives a client an order, and waits for its answer.
    pub async fn ask(&self, mut order: Value) -> Value {
        let (sender, answer) = oneshot::channel();
        {
            let (id, stdin) = &mut *self.orders.lock().await;
            *id += 1;
            order["id"] = (*id).into();
            self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(*id, sender);
            stdin.write_all(format!("{order}\n").as_bytes()).await.expect("the peer runs");
        }
        soon("the peer answers", answer).await.expect("the peer has not ended")
    }

    /// Has a client call a method: these keys beside whom, what and with what.
    pub async fn call(&self, address: &str, method: &str, args: Value, keys: Value) -> Value {
        let (class, method) = method.split_once('.').expect("a class and a method");
        let mut order = json!({"do": "call", "address": address, "classname": class, "method": method, "args": args});
        for (key, value) in keys.as_object().into_iter().flatten() {
            order[key] = value.clone();
        }
        self.ask(order).await
    }

    /// Tells an agent something.
    pub async fn tell(&self, word: &str) {
        let (_, stdin) = &mut *self.orders.lock().await;
        stdin.write_all(format!("{word}\n").as_bytes()).await.expect("the peer runs");
    }

    /// What the peer says by itself: what came to it.
    pub async fn heard(&mut self) -> Value {
        soon("the peer says something", self.heard.recv()).await.expect("the peer has not ended")
    }

    /// What an agent was sent next: the message, and how it travelled.
    pub async fn got(&mut self) -> (Value, Value) {
        loop {
            let mut heard = self.heard().await;
            if let Some(text) = heard["got"]["text"].as_str() {
                let message = crate::raw::text(&bytes::Bytes::from(text.to_owned()));
                return (message, heard["got"].take());
            }
        }
    }

    /// Ends it as a crash does.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it is killed");
    }
}

async fn listen(mut lines: Lines<BufReader<ChildStdout>>, answers: Answers, heard: mpsc::UnboundedSender<Value>) {
    while let Ok(Some(line)) = lines.next_line().await {
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let waiting = said["id"].as_u64().and_then(|id| answers.lock().unwrap_or_else(PoisonError::into_inner).remove(&id));
        // Nobody listens any more where a test has ended.
        match waiting {
            Some(waiting) => drop(waiting.send(said)),
            None => drop(heard.send(said)),
        }
    }
}

/// What came to a client, as messages.
#[must_use]
pub fn came(answer: &Value) -> Vec<Value> {
    let texts = answer["came"].as_array().into_iter().flatten().map(|seen| seen["text"].as_str().expect("a text"));
    texts.map(|text| crate::raw::text(&bytes::Bytes::from(text.to_owned()))).collect()
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/gofer")
}

/// The interpreter in the peer's virtual environment, which is made now where it is not there.
fn python() -> &'static Path {
    static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
        let home = target.join("peers/gofer");
        let installed = std::process::Command::new(peers().join("install")).arg(&home).status().expect("bash runs");
        assert!(
            installed.success(),
            "the peer in Python cannot be installed: see above, or run tests/peers/gofer/install by hand"
        );
        home.join("venv/bin/python")
    });
    &PYTHON
}

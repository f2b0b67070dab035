//! The end of a link, and what it had brought before.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rmi_core::{Endpoint, Trust, protocol::JsonLines, transport::tcp::Tcp};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::JoinSet,
};

/// An agent of somebody else's, which answers its first command and is gone in the same moment.
async fn brief(at: String, name: String) {
    let mut stream = BufReader::new(TcpStream::connect(at).await.unwrap());
    let hello = json!({"id": "h", "version": "v1", "method": "handshake", "params": {"id": name, "version": "1"}});
    stream.write_all(format!("{hello}\n").as_bytes()).await.unwrap();
    let mut line = String::new();
    loop {
        line.clear();
        assert!(stream.read_line(&mut line).await.unwrap() > 0);
        let said: Value = serde_json::from_str(&line).unwrap();
        if said.get("method").is_some() {
            let answer = json!({"id": said["id"], "version": "v1", "result": {"mode": name}});
            stream.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_link_brought_before_its_end_counts() {
    let listener = Tcp::listen("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let server = Endpoint::builder("server").bind(JsonLines::server(), listener, Trust::insecure()).start().await.unwrap();
    let mut calls = JoinSet::new();
    for number in 0..200 {
        let (name, at, server) = (format!("agent-{number}"), at.clone(), server.clone());
        calls.spawn(async move {
            let agent = tokio::spawn(brief(at, name.clone()));
            while !server.linked().iter().any(|linked| *linked == name.as_str()) {
                tokio::task::yield_now().await;
            }
            let status = server.peer(name.as_str()).class("agent").call::<Value>("status", json!([]));
            let status = status.timeout(Duration::from_secs(60)).await;
            agent.await.unwrap();
            assert_eq!(status.map_err(|error| error.to_string()), Ok(json!({"mode": name})));
        });
    }
    while let Some(called) = calls.join_next().await {
        called.unwrap();
    }
}

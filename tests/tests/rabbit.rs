//! The brokers that the suites start: they answer, keep what is on their disk, join, and leave nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{net::TcpStream, path::Path};

use rmi_tests::rabbit::Rabbit;

#[test]
fn a_broker_is_killed_and_comes_back() {
    let rabbit = Rabbit::start();
    rabbit.ctl(&["add_user", "kept", "secret"]);
    let first = rabbit.pid().unwrap();
    rabbit.kill();
    assert!(TcpStream::connect(rabbit.address()).is_err());
    rabbit.restart();
    assert_ne!(rabbit.pid(), Some(first));
    assert!(rabbit.ctl(&["list_users"]).contains("kept"));
    let pid = rabbit.pid().unwrap();
    drop(rabbit);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn three_nodes_are_one_cluster() {
    let cluster = Rabbit::cluster(3);
    let status = cluster[2].ctl(&["cluster_status", "--formatter", "json"]);
    for node in &cluster {
        assert!(status.contains(&node.node()), "{} is not in {status}", node.node());
    }
}

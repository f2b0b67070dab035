//! A cluster of three brokers with quorum queues, whose nodes are killed under load: the one that leads the queue, and the one that
//! everybody is connected to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{thread, time::Instant};

use rmi_amqp::Queues;
use rmi_tests::{
    crash::AGENT,
    failures::{Scene, patient, run},
    long::ordinarily_or_long,
    rabbit::Rabbit,
};
use tokio::task::block_in_place;

/// The node that leads the agent's queue.
fn leader(cluster: &[Rabbit], ask: usize) -> usize {
    // Names are shortened in tables, not in JSON.
    let queues = cluster[ask].ctl(&["list_queues", "name", "leader", "--formatter", "json"]);
    let queues: serde_json::Value = serde_json::from_str(&queues).unwrap();
    let queue = queues.as_array().unwrap().iter().find(|queue| queue["name"] == AGENT).expect("the agent has its queue");
    let leads = queue["leader"].as_str().expect("a quorum queue has a leader").to_owned();
    cluster.iter().position(|node| node.node() == leads).unwrap()
}

#[test]
fn a_cluster_whose_leader_is_killed_loses_nothing() {
    let cluster = Rabbit::cluster(3);
    // The first one is asked last.
    let hosts = [1, 2, 0].map(|node: usize| cluster[node].address()).join(",");
    let url = format!("amqp://guest:guest@{hosts}/%2f");
    run(async {
        let options = patient().queues(Queues::default().quorum());
        let scene = Scene::begin("leader killed", &url, &options).await;
        for _ in 0..ordinarily_or_long(2, 6) {
            scene.meanwhile().await;
            // At first everybody is connected to it as well, and in the second round again.
            let node = block_in_place(|| leader(&cluster, 0));
            let killed = Instant::now();
            block_in_place(|| cluster[node].kill());
            println!("node {node} is killed");
            scene.is_back(killed).await;
            scene.meanwhile().await;
            block_in_place(|| cluster[node].restart());
        }
        scene.end().await.holds();
    });
    // One after the other; the first has the port mapper of all.
    for node in cluster.into_iter().rev() {
        thread::spawn(move || drop(node)).join().unwrap();
    }
}

//! What happens to a broker under load: it is killed, stands still, closes connections, loses queues, runs out of memory; and what
//! networks do. After each, every accepted call has one outcome, what was confirmed has run, nothing runs twice that may not, and
//! everything goes on by itself.
//!
//! It prints its numbers: `cargo test -p rmi-tests --test amqp_failures -- --nocapture`. `RMI_TEST_LONG=1` does everything more often, and
//! for longer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use rmi_tests::{
    amqp::proxied,
    crash::{AGENT, CALLERS},
    failures::{Scene, patient, run},
    long::ordinarily_or_long,
    rabbit::Pool,
};
use tokio::time::sleep;

/// One broker for each test, two at a time: mostly they wait for something.
static BROKERS: Pool = Pool::of(2);

/// How often, and for how long.
fn times() -> usize {
    ordinarily_or_long(1, 10)
}

#[test]
fn a_broker_that_is_killed_and_comes_back_loses_nothing() {
    let broker = BROKERS.take();
    run(async {
        let scene = Scene::begin("broker killed", &broker.url(), &patient()).await;
        for _ in 0..times() {
            scene.meanwhile().await;
            tokio::task::block_in_place(|| {
                broker.kill();
                broker.restart();
            });
            scene.is_back(Instant::now()).await;
        }
        scene.meanwhile().await;
        scene.end().await.holds();
    });
}

#[test]
fn a_broker_that_stands_still_is_left_and_found_again() {
    let broker = BROKERS.take();
    run(async {
        let scene = Scene::begin("broker stopped", &broker.url(), &patient()).await;
        for _ in 0..times().min(2) {
            scene.meanwhile().await;
            let before = scene.counters();
            broker.signal("STOP");
            println!("noticed after {} ms", scene.lose(before).await.as_millis());
            sleep(Duration::from_secs(ordinarily_or_long(2, 30))).await;
            broker.signal("CONT");
            scene.is_back(Instant::now()).await;
        }
        scene.meanwhile().await;
        scene.end().await.holds();
    });
}

#[test]
fn connections_that_the_broker_closes_are_made_again() {
    let broker = BROKERS.take();
    run(async {
        let scene = Scene::begin("connections closed", &broker.url(), &patient()).await;
        for _ in 0..2 * times() {
            scene.meanwhile().await;
            let before = scene.counters();
            let closed = Instant::now();
            tokio::task::block_in_place(|| broker.close_connections());
            scene.lose(before).await;
            scene.is_back(closed).await;
        }
        scene.meanwhile().await;
        scene.end().await.holds();
    });
}

#[test]
fn a_connection_that_forwards_nothing_is_left() {
    let broker = BROKERS.take();
    run(async {
        let (proxy, url) = proxied(&broker.url()).await;
        let scene = Scene::begin("connection half open", &url, &patient()).await;
        for _ in 0..times() {
            scene.meanwhile().await;
            let before = scene.counters();
            let hung = Instant::now();
            proxy.hang();
            println!("noticed after {} ms", scene.lose(before).await.as_millis());
            scene.is_back(hung).await;
        }
        scene.meanwhile().await;
        scene.end().await.holds();
        proxy.cut();
    });
}

#[test]
fn what_a_stalled_connection_brings_late_does_no_harm() {
    let broker = BROKERS.take();
    run(async {
        let (proxy, url) = proxied(&broker.url()).await;
        let scene = Scene::begin("connection stalled", &url, &patient()).await;
        for _ in 0..times() {
            scene.meanwhile().await;
            let before = scene.counters();
            proxy.stall();
            scene.lose(before).await;
            proxy.flow();
            scene.is_back(Instant::now()).await;
        }
        scene.meanwhile().await;
        scene.end().await.holds();
    });
}

#[test]
fn a_queue_that_is_deleted_under_its_consumer_is_made_again() {
    let broker = BROKERS.take();
    run(async {
        // What was in the queue is gone with it, and nobody can say so: those calls end with their time.
        let scene = Scene::with_patience("queue deleted", &broker.url(), &patient(), Duration::from_secs(8)).await;
        for _ in 0..times() {
            scene.meanwhile().await;
            let deleted = Instant::now();
            tokio::task::block_in_place(|| broker.delete_queue(AGENT));
            scene.is_back(deleted).await;
        }
        scene.meanwhile().await;
        let lost = scene.counters()[0].channels_lost;
        assert!(lost >= times() as u64, "no consumer was cancelled: {lost}");
        scene.ends_as(|audit| audit.of_a_lost_queue(), Instant::now()).await.holds();
    });
}

#[test]
fn replies_whose_queue_is_deleted_are_asked_for() {
    let broker = BROKERS.take();
    run(async {
        let scene = Scene::begin("reply queue deleted", &broker.url(), &patient()).await;
        for _ in 0..times() {
            scene.meanwhile().await;
            let deleted = Instant::now();
            tokio::task::block_in_place(|| {
                let queues = broker.queues();
                let queue = queues.iter().find(|name| name.starts_with(CALLERS)).expect("it has a name");
                broker.delete_queue(queue);
            });
            scene.is_back(deleted).await;
        }
        scene.meanwhile().await;
        scene.end().await.holds();
    });
}

#[test]
fn a_broker_short_of_memory_is_waited_for() {
    let broker = BROKERS.take();
    run(async {
        let scene = Scene::begin("memory alarm", &broker.url(), &patient()).await;
        for _ in 0..times().min(3) {
            scene.meanwhile().await;
            let before = scene.counters()[1];
            tokio::task::block_in_place(|| broker.memory_limit(0.0));
            let alarmed = Instant::now();
            while scene.callers_bus().blocked().is_none() {
                assert!(alarmed.elapsed() < Duration::from_secs(10), "nobody was told of the alarm");
                sleep(Duration::from_millis(5)).await;
            }
            sleep(Duration::from_secs(ordinarily_or_long(2, 30))).await;
            tokio::task::block_in_place(|| broker.memory_limit(0.4));
            scene.is_back(Instant::now()).await;
            let after = scene.counters()[1];
            assert_eq!((after.blocked, after.lost), (before.blocked + 1, before.lost), "it is waited for, and not left");
        }
        scene.meanwhile().await;
        scene.end().await.holds();
    });
}

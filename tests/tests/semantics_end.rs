//! The end: what runs may finish, what has not started is given back, and nobody waits for ever.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rmi_core::{CallError, Update, error::Fate, message::RejectionCode, transport::Receipt};
use rmi_tests::{probe::Seen, raw::kind, tap::Event, world::World};
use serde_json::json;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_drain_lets_running_handlers_finish() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent_with("agent", |b| b.concurrency(1)).await, world.caller("caller").await);
        let running = caller.probe().hold("running").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "running");
        let mut waiting = caller.probe().echo("waiting").send().await.unwrap();
        assert_eq!(waiting.next().await.unwrap().unwrap(), Update::Accepted);

        let endpoint = agent.endpoint.clone();
        let drain = tokio::spawn(async move { endpoint.shutdown(SECOND * 30).await });
        let error = waiting.await.unwrap_err();
        assert_eq!((error.fate(), error.is_retryable()), (Fate::NeverRan, true));
        assert!(matches!(error, CallError::Rejected(rejection) if rejection.code == RejectionCode::Closing));
        // What comes now is another's, who gets nothing of what still runs here.
        let late = caller.probe().echo("late").send().await.unwrap();
        let mut next = world.agent("agent").await;
        assert_eq!(late.await.unwrap(), "late");
        assert_eq!(next.watch.seen(), [Seen::Began("late".to_owned()), Seen::Ended("late".to_owned())]);
        assert_eq!((world.bus.counters().redelivered, agent.endpoint.running()), (0, 1));
        assert!(!drain.is_finished());

        agent.watch.open(1);
        assert_eq!(running.await.unwrap(), "running");
        assert_eq!(drain.await.unwrap().unwrap().left_behind, 0);
        assert_eq!((agent.watch.ran(), next.watch.ran()), (1, 1));
        let counters = world.bus.counters();
        assert_eq!((counters.unsettled, counters.waiting, counters.redelivered), (0, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_gives_back_what_it_has_not_admitted() {
    for world in World::both() {
        let (mut agent, mut replies) = (world.agent_with("agent", |b| b.concurrency(1)).await, world.mailbox("box").await);
        let request =
            |number: usize| world.request("hold", json!([number.to_string()])).sn(&number.to_string()).reply_to("box").wants(&[]);
        // 64 are admitted: one runs, and 63 wait. The bus has 10 more.
        for number in 0..74 {
            assert_eq!(world.post(&request(number)).await, Receipt::Stored);
        }
        assert_eq!(agent.watch.began().await, "0");
        let delivered = |event: &Event| matches!(event, Event::Delivered(_));
        agent.tap.until(64, "it has taken what it takes", delivered).await;
        // The drain begins just before the first one ends: nobody takes its place.
        agent.watch.open(74);
        assert_eq!(agent.endpoint.shutdown(SECOND * 30).await.unwrap().left_behind, 0);
        let mut rejected = 0;
        for _ in 0..64 {
            rejected += usize::from(replies.next().await["code"] == "agent.closing");
        }
        assert_eq!((rejected, agent.tap.published().len()), (63, 64));
        let counters = world.bus.counters();
        assert_eq!((agent.watch.ran(), counters.waiting, counters.unsettled), (1, 10, 0));

        // The next start finds them as if nobody had ever had them: methods run that may run once.
        let next = world.agent("agent").await;
        next.watch.open(74);
        for _ in 0..10 {
            assert!(replies.next().await["result"].is_object());
        }
        assert_eq!(next.watch.ran(), 10);
        assert_eq!((world.bus.counters().redelivered, world.bus.counters().waiting), (0, 0));

        // So do what has been taken from the bus and was not looked at yet: 64 answers wait aside, and the receiver with the next.
        next.tap.hold(|message| kind(message) == "exception");
        for number in 0..65 {
            world.post(&world.request("nothing", json!([])).sn(&format!("front {number}")).reply_to("box")).await;
        }
        for number in 100..103 {
            world.post(&request(number)).await;
        }
        next.tap.until(65, "those in front are answered", |event| matches!(event, Event::Held(_))).await;
        let endpoint = next.endpoint.clone();
        let drain = tokio::spawn(async move { endpoint.shutdown(SECOND * 30).await });
        tokio::task::yield_now().await;
        next.tap.release();
        assert_eq!(drain.await.unwrap().unwrap().left_behind, 0);
        let last = world.agent("agent").await;
        last.watch.open(3);
        let mut ran = Vec::new();
        while ran.len() < 3 {
            let outcome = replies.next().await;
            ran.extend(outcome["result"]["retval"].as_str().map(str::to_owned));
        }
        assert_eq!((ran.join(" "), next.watch.ran(), last.watch.ran()), ("100 101 102".to_owned(), 10, 3));
        assert_eq!((world.bus.counters().redelivered, world.bus.counters().waiting), (0, 0));
    }
}

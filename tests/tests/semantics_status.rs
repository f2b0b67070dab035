//! Statuses and progress: what is sent, in which order, and that it holds nothing up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rmi_core::{Update, message::Statuses};
use rmi_tests::{
    probe::Seen,
    raw::{Mailbox, kind},
    tap::Event,
    world::{Agent, World},
};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(30);

/// The kinds of what the agent has sent since it was asked last.
async fn sent(agent: &Agent, before: &mut usize) -> String {
    let published = agent.tap.published();
    let kinds: Vec<_> = published[*before..].iter().map(kind).collect();
    *before = published.len();
    kinds.join(" ")
}

#[tokio::test(start_paused = true)]
async fn only_the_statuses_that_were_asked_for_are_sent() {
    for world in World::both() {
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let (steps, mut before) = (|| caller.probe().steps(2), 0);
        steps().await.unwrap();
        assert_eq!(sent(&agent, &mut before).await, "result", "awaiting asks for none");
        steps().send().await.unwrap().await.unwrap();
        assert_eq!(sent(&agent, &mut before).await, "accepted started progress progress result", "watching for all");
        steps().accept_within(LONG).await.unwrap();
        assert_eq!(sent(&agent, &mut before).await, "accepted result");
        steps().start_within(LONG).await.unwrap();
        assert_eq!(sent(&agent, &mut before).await, "started result");
        steps().accept_within(LONG).start_within(LONG).await.unwrap();
        assert_eq!(sent(&agent, &mut before).await, "accepted started result");
        steps().idle(LONG).await.unwrap();
        assert_eq!(sent(&agent, &mut before).await, "accepted started progress progress result");
        let progress = Statuses { progress: true, ..Statuses::NONE };
        steps().statuses(progress).await.unwrap();
        assert_eq!(sent(&agent, &mut before).await, "progress progress result");
        steps().statuses(Statuses::NONE).accept_within(LONG).send().await.unwrap().await.unwrap();
        assert_eq!(sent(&agent, &mut before).await, "accepted result", "a time needs what ends it");
        // Nobody waits: nothing is sent at all.
        caller.probe().note("it").await.unwrap();
        caller.probe().steps(2).notify().await.unwrap();
        world.settle().await;
        let _ = agent.endpoint.shutdown(LONG).await.unwrap();
        assert_eq!(sent(&agent, &mut before).await, "result", "the one to the settler");
        assert_eq!(agent.watch.ran(), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_say_gets_every_status() {
    for world in World::both() {
        let (_agent, mut replies) = (world.agent("agent").await, world.mailbox("box").await);
        let kinds = async |replies: &mut Mailbox| {
            let conversation = replies.conversation().await;
            conversation.iter().map(|message| kind(message).to_owned()).collect::<Vec<_>>().join(" ")
        };
        let silent = world.request("steps", json!([3])).sn("1").reply_to("box");
        world.post(&silent).await;
        assert_eq!(kinds(&mut replies).await, "accepted started progress progress progress result");
        let without = silent.clone().sn("2").with("rmi", json!({}));
        world.post(&without).await;
        assert_eq!(kinds(&mut replies).await, "accepted started progress progress progress result");
        world.post(&silent.clone().sn("3").wants(&[])).await;
        assert_eq!(kinds(&mut replies).await, "result");
        world.post(&silent.sn("4").wants(&["started"])).await;
        assert_eq!(kinds(&mut replies).await, "started result");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_come_in_order() {
    for world in World::both() {
        let (_agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        for n in [0, 1, 2, 50, 200] {
            let mut call = caller.probe().steps(n).send().await.unwrap();
            let mut heard = Vec::new();
            while let Some(update) = call.next().await {
                heard.push(update.unwrap());
            }
            let mut heard = heard.into_iter();
            assert_eq!((heard.next(), heard.next()), (Some(Update::Accepted), Some(Update::Started)));
            for completed in 1..=n {
                match heard.next() {
                    Some(Update::Progress(step)) => {
                        assert_eq!((step.total, step.completed), (n, completed));
                        assert_eq!(step.details, format!("step {completed}"));
                    }
                    other => panic!("{other:?} in place of step {completed} of {n}"),
                }
            }
            assert_eq!((heard.next(), heard.next()), (Some(Update::Done(n)), None));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn progress_never_waits() {
    for world in World::both() {
        let (mut agent, mut replies) = (world.agent("agent").await, world.mailbox("box").await);
        agent.tap.hold(|message| kind(message) == "progress");
        world.post(&world.request("steps", json!([1000])).sn("1").reply_to("box").wants(&["progress"])).await;
        // The bus takes nothing, and the handler comes to its end all the same.
        assert_eq!(agent.watch.next().await, Seen::Began("steps".to_owned()));
        assert_eq!(agent.watch.next().await, Seen::Ended("steps".to_owned()));
        agent.tap.until(1, "the first step is on its way", |event| matches!(event, Event::Held(_))).await;
        assert!(agent.tap.published().is_empty());
        agent.tap.release();
        let mut steps: Vec<Value> = replies.conversation().await;
        let outcome = steps.pop().unwrap();
        assert_eq!((kind(&outcome), &outcome["result"]["retval"]), ("result", &json!(1000)));
        // 256 waited: the last of them is the newest.
        let completed: Vec<u64> = steps.iter().map(|step| step["completed"].as_u64().unwrap()).collect();
        let expected: Vec<u64> = (1..=255).chain([1000]).collect();
        assert_eq!(completed, expected);
        assert_eq!(steps[255]["details"], "step 1000");
        // One by one: while one is on its way no other is.
        assert_eq!(agent.tap.count(|event| matches!(event, Event::Held(_))), 1);
    }
}

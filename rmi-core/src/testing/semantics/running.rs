//! What is said while a request runs, and how many run at a time.

use std::{collections::HashSet, time::Duration};

use super::{
    Agent, Caller, Setting, agent, agent_with, caller, calling,
    probe::Seen,
    tap::{held, is_progress},
};
use crate::{
    Update,
    message::{Body, Outcome, Status, Statuses},
    testing::conformance::soon,
};

/// What the agent has said of the probe's requests since it was asked last.
fn said(agent: &Agent, before: &mut usize) -> String {
    let published = agent.tap.published();
    let kinds: Vec<&str> = published[*before..]
        .iter()
        .map(|message| match &message.body {
            Body::Status(Status::Accepted) => "accepted",
            Body::Status(Status::Started) => "started",
            Body::Status(Status::Progress(_)) => "progress",
            Body::Outcome(Outcome::Result(_)) => "result",
            other => panic!("{other:?}"),
        })
        .collect();
    *before = published.len();
    kinds.join(" ")
}

pub(super) async fn only_the_statuses_that_were_asked_for_are_sent<S: Setting>(setting: &S) {
    const LONG: Duration = Duration::from_secs(30);
    let (agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let (steps, mut before) = (|| caller.probe.steps(2), 0);
    steps().await.unwrap();
    assert_eq!(said(&agent, &mut before), "result", "awaiting asks for none");
    steps().send().await.unwrap().await.unwrap();
    assert_eq!(said(&agent, &mut before), "accepted started progress progress result", "watching for all");
    steps().accept_within(LONG).await.unwrap();
    assert_eq!(said(&agent, &mut before), "accepted result");
    steps().start_within(LONG).await.unwrap();
    assert_eq!(said(&agent, &mut before), "started result");
    steps().accept_within(LONG).start_within(LONG).await.unwrap();
    assert_eq!(said(&agent, &mut before), "accepted started result");
    steps().idle(LONG).await.unwrap();
    assert_eq!(said(&agent, &mut before), "accepted started progress progress result");
    let progress = Statuses { progress: true, ..Statuses::NONE };
    steps().statuses(progress).await.unwrap();
    assert_eq!(said(&agent, &mut before), "progress progress result");
    steps().statuses(Statuses::NONE).accept_within(LONG).send().await.unwrap().await.unwrap();
    assert_eq!(said(&agent, &mut before), "accepted result", "a time needs what ends it");
    // Nobody waits: nothing is sent at all.
    caller.probe.note("it").await.unwrap();
    caller.probe.steps(2).notify().await.unwrap();
    caller.probe.echo("behind them").await.unwrap();
    let _ = agent.endpoint.shutdown(LONG).await.unwrap();
    assert_eq!(said(&agent, &mut before), "result", "the last one's");
    assert_eq!(agent.watch.ran(), 11);
}

pub(super) async fn who_does_not_say_gets_every_status<S: Setting>(setting: &S) {
    let (agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let cases = [
        (None, "accepted started progress progress progress result"),
        (Some(Statuses::ALL), "accepted started progress progress progress result"),
        (Some(Statuses::NONE), "result"),
        (Some(Statuses { started: true, ..Statuses::NONE }), "started result"),
    ];
    let mut before = 0;
    for (wanted, expected) in cases {
        caller.tap.change(move |message| {
            if let Body::Request(request) = &mut message.body {
                request.wants = wanted;
            }
        });
        assert_eq!(caller.probe.steps(3).await.unwrap(), 3);
        assert_eq!(said(&agent, &mut before), expected, "{wanted:?}");
    }
}

/// What a call of `steps` hears.
async fn heard(caller: &Caller, n: u64) -> Vec<Update<u64, String>> {
    let mut call = caller.probe.steps(n).send().await.unwrap();
    let mut heard = Vec::new();
    while let Some(update) = soon("a call ends", call.next()).await {
        heard.push(update.unwrap());
    }
    heard
}

pub(super) async fn statuses_come_in_order<S: Setting>(setting: &S) {
    let (_agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    for n in [0, 1, 20, 200] {
        let heard = heard(&caller, n).await;
        let last = heard.len() - 1;
        assert_eq!(last as u64, n + 2, "{heard:?}");
        assert_eq!((&heard[0], &heard[1], &heard[last]), (&Update::Accepted, &Update::Started, &Update::Done(n)));
        for (number, update) in (1..).zip(&heard[2..last]) {
            let Update::Progress(step) = update else { panic!("{update:?}") };
            assert_eq!((step.total, step.completed, step.details.as_str()), (n, number, format!("step {number}").as_str()));
        }
    }
}

pub(super) async fn progress_never_waits<S: Setting>(setting: &S) {
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    agent.tap.hold(is_progress);
    let progress = Statuses { progress: true, ..Statuses::NONE };
    let mut call = caller.probe.steps(1000).statuses(progress).send().await.unwrap();
    // The bus takes nothing, and the handler comes to its end all the same.
    assert_eq!(agent.watch.next().await, Seen::Began("steps".to_owned()));
    assert_eq!(agent.watch.next().await, Seen::Ended("steps".to_owned()));
    agent.tap.until(1, "the first step is on its way", held).await;
    assert!(agent.tap.published().is_empty());
    agent.tap.release();
    let mut completed = Vec::new();
    let outcome = loop {
        match soon("it goes on", call.next()).await.unwrap().unwrap() {
            Update::Progress(step) => {
                assert_eq!(step.details, format!("step {}", step.completed));
                completed.push(step.completed);
            }
            Update::Done(outcome) => break outcome,
            other => panic!("{other:?}"),
        }
    };
    // 256 waited: the last of them is the newest.
    assert_eq!(outcome, 1000);
    assert_eq!(completed, (1..=255).chain([1000]).collect::<Vec<_>>());
    // One by one: while one is on its way no other is.
    assert_eq!(agent.tap.count(held), 1);
}

pub(super) async fn concurrency_is_held<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) =
        (agent_with(setting, |builder| builder.concurrency(3)).await, caller(setting, "caller").await);
    let mut calls = Vec::new();
    for number in 0..7 {
        calls.push(probe.hold(&number.to_string()).send().await.unwrap());
    }
    for _ in 0..3 {
        agent.watch.began().await;
    }
    for ended in 0..7_usize {
        // One that should not have started has time to.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        assert_eq!(agent.watch.ran(), (ended + 3).min(7));
        agent.watch.open(1);
        while !matches!(agent.watch.next().await, Seen::Ended(_)) {}
        if ended < 4 {
            agent.watch.began().await;
        }
    }
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap(), number.to_string());
    }
}

pub(super) async fn an_inline_handler_that_waits_moves_away<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    // Ready at once: always the receiver's task. Otherwise: always another.
    let inline = probe.task_inline().await.unwrap();
    assert_ne!(inline, "none");
    assert_eq!(probe.task_inline().await.unwrap(), inline);
    let tasks = [inline.clone(), probe.task().await.unwrap(), probe.task().await.unwrap()];
    assert_eq!(HashSet::from(tasks).len(), 3);
    // Not ready at once: it holds up nobody, itself included.
    let held = [probe.hold_inline("one").send().await.unwrap(), probe.hold_inline("two").send().await.unwrap()];
    agent.watch.began_all(["one", "two"]).await;
    assert_eq!(probe.task_inline().await.unwrap(), inline);
    assert_eq!(probe.echo("meanwhile").await.unwrap(), "meanwhile");
    agent.watch.open(2);
    for (call, name) in held.into_iter().zip(["one", "two"]) {
        assert_eq!(call.await.unwrap(), name);
    }
}

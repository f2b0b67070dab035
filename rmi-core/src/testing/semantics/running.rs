use super::{Setting, agent, agent_with, caller, probe::Seen};
use crate::{Update, testing::conformance::soon};

/// What a call of `steps` hears.
async fn heard<S: Setting>(setting: &S, n: u64) -> Vec<Update<u64, String>> {
    let (_agent, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let mut call = probe.steps(n).send().await.unwrap();
    let mut heard = Vec::new();
    while let Some(update) = soon("a call ends", call.next()).await {
        heard.push(update.unwrap());
    }
    heard
}

pub(super) async fn statuses_come_in_order<S: Setting>(setting: &S) {
    let heard = heard(setting, 20).await;
    assert_eq!(heard.len(), 23, "{heard:?}");
    assert_eq!((&heard[0], &heard[1], &heard[22]), (&Update::Accepted, &Update::Started, &Update::Done(20)));
    for (number, update) in (1..).zip(&heard[2..22]) {
        let Update::Progress(step) = update else { panic!("{update:?}") };
        assert_eq!((step.total, step.completed, step.details.as_str()), (20, number, format!("step {number}").as_str()));
    }
}

pub(super) async fn progress_never_waits<S: Setting>(setting: &S) {
    // The handler reports them all without a pause: those that the bus cannot keep up with are replaced by later ones.
    let mut heard = heard(setting, 1000).await;
    assert_eq!(heard.pop(), Some(Update::Done(1000)));
    let completed: Vec<u64> =
        heard.iter().filter_map(|update| if let Update::Progress(step) = update { Some(step.completed) } else { None }).collect();
    assert!(completed.is_sorted(), "{completed:?}");
    assert_eq!(completed.last(), Some(&1000), "the newest step is never the one that is replaced");
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
    let held = [probe.hold_inline("one").send().await.unwrap(), probe.hold_inline("two").send().await.unwrap()];
    agent.watch.began_all(["one", "two"]).await;
    assert_eq!(probe.echo("meanwhile").await.unwrap(), "meanwhile");
    agent.watch.open(2);
    for (call, name) in held.into_iter().zip(["one", "two"]) {
        assert_eq!(call.await.unwrap(), name);
    }
}

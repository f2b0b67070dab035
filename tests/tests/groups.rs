//! Groups of several agents, and of very many.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rmi_core::{
    Context,
    call::Retry,
    error::Fate,
    layer::{Incoming, Layer, Next, async_trait},
    message::{Outcome, Rejection, RejectionCode},
    service::Invocation,
};
use rmi_tests::{
    probe::{ProbeClient, Seen},
    world::{Agent, Caller, World},
};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// Remembers the serial number and the group of what runs.
#[derive(Default)]
struct Groups(Mutex<Vec<(String, Option<String>)>>);

#[async_trait]
impl Layer for Groups {
    async fn call(&self, call: Invocation, next: Next<'_>) -> Outcome {
        let cx: Context = call.context();
        self.0.lock().unwrap().push((cx.sn().unwrap().to_string(), cx.group().map(str::to_owned)));
        next.run(call).await
    }
}

async fn agents<const N: usize>(world: &World, names: [&str; N]) -> Vec<Agent> {
    let mut agents = Vec::new();
    for name in names {
        agents.push(world.agent(name).await);
    }
    agents
}

/// A probe wherever: a group's own addresses are what counts.
fn probe(caller: &Caller) -> ProbeClient {
    caller.endpoint.client("wherever")
}

#[tokio::test(start_paused = true)]
async fn each_agent_of_a_group_is_called() {
    for world in World::both() {
        let groups = Arc::new(Groups::default());
        let mut agents = Vec::new();
        for name in ["a", "b", "c"] {
            agents.push(world.agent_with(name, |b| b.layer(Arc::clone(&groups))).await);
        }
        let caller = world.caller("caller").await;
        let group = probe(&caller).echo("x").group(["a", "b", "c"]);
        let id = group.id();
        let all = group.gather().await.into_result().unwrap();
        assert_eq!(all.iter().map(|(at, x)| (at.as_str(), x.as_str())).collect::<Vec<_>>(), [("a", "x"), ("b", "x"), ("c", "x")]);
        // A serial number each, and the group of all.
        let seen = std::mem::take(&mut *groups.0.lock().unwrap());
        assert_eq!(seen.iter().map(|(sn, _)| sn).collect::<HashSet<_>>().len(), 3);
        assert!(seen.iter().all(|(_, group)| group.as_deref() == Some(&id)), "{seen:?}");
        // A call that belongs to none says so.
        caller.endpoint.client::<ProbeClient>("a").echo("x").await.unwrap();
        assert_eq!(groups.0.lock().unwrap()[0].1, None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_group_says_of_those_that_failed() {
    for world in World::both() {
        let _agents = agents(&world, ["a", "b"]).await;
        let caller = world.caller("caller").await;
        let all = probe(&caller).echo("x").group(["z", "b", "missing", "a"]).gather().await;
        assert_eq!((all.len(), all.is_ok()), (4, false));
        assert_eq!(all.ok().map(|(at, _)| at.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(all.failed().map(|(at, _)| at.as_str()).collect::<Vec<_>>(), ["z", "missing"]);
        assert!(matches!(all.get("a"), Some(Ok(x)) if x == "x") && all.get("nobody").is_none());
        let failed = all.into_result().unwrap_err();
        let said = "2 of 4 agents failed: `z`: nobody listens at `z`: start the agent, or correct the address; `missing`: nobody \
                    listens at `missing`: start the agent, or correct the address";
        assert_eq!((failed.to_string().as_str(), failed.gathered.len()), (said, 4));
        // Nobody at all.
        let none = probe(&caller).echo("x").group([""; 0]).gather().await;
        assert!(none.is_empty() && none.into_result().unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_others_of_a_group_run_on_or_are_cancelled() {
    for world in World::both() {
        let mut agents = agents(&world, ["a", "b", "c"]).await;
        let caller = world.caller("caller").await;
        agents[1].watch.open(1);
        // The others run on, and are not waited for; or are asked to cancel.
        let first = probe(&caller).listen("x").group(["missing", "a", "b", "c"]).first().await.unwrap();
        assert_eq!((first.0.as_str(), first.1.as_str()), ("b", "x"));
        agents[0].watch.open(1);
        agents[0].watch.ended("x").await;
        agents[2].watch.open(1);
        agents[2].watch.ended("x").await;
        agents[1].watch.open(1);
        probe(&caller).listen("y").group(["a", "b", "c"]).cancel_rest().first().await.unwrap();
        for agent in [0, 2] {
            while agents[agent].watch.next().await != Seen::Cancelled("y".to_owned()) {}
        }
        // Nobody succeeds.
        let failed = probe(&caller).echo("x").group(["x", "y"]).first().await.unwrap_err();
        assert_eq!(failed.gathered.failed().count(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn two_thousand_agents_are_a_group() {
    for world in World::both() {
        let (agent, caller) = (world.agent_with("agent", |b| b.concurrency(64)).await, world.caller("caller").await);
        let addresses: Vec<String> =
            (0..2000).map(|n| if n % 2 == 0 { "agent".to_owned() } else { format!("missing-{n}") }).collect();
        let all = probe(&caller).echo("x").group(addresses).parallel(16).gather().await;
        assert_eq!((all.len(), all.ok().count(), agent.watch.ran()), (2000, 1000, 1000));
        // No more than so many at a time.
        let mut outcomes = probe(&caller).hold("x").group(vec!["agent"; 10]).parallel(3).send().await;
        world.settle().await;
        assert_eq!(agent.watch.ran(), 1003);
        agent.watch.open(1);
        outcomes.next().await.unwrap().1.unwrap();
        agent.watch.open(9);
        while let Some((_, answer)) = outcomes.next().await {
            answer.unwrap();
        }
        assert_eq!(agent.watch.ran(), 1010);
    }
}

#[tokio::test(start_paused = true)]
async fn each_agent_of_a_group_is_tried_again() {
    /// Has no room for the first request.
    #[derive(Default)]
    struct Crowded(AtomicBool);
    #[async_trait]
    impl Layer for Crowded {
        async fn admit(&self, _: &Incoming) -> Result<(), Rejection> {
            let full = !self.0.swap(true, Ordering::SeqCst);
            if full { Err(Rejection::new(RejectionCode::Busy, "not now")) } else { Ok(()) }
        }
    }
    for world in World::both() {
        let mut agents = Vec::new();
        for name in ["a", "b"] {
            agents.push(world.agent_with(name, |b| b.layer(Crowded::default())).await);
        }
        let caller = world.caller("caller").await;
        let all = probe(&caller).echo("x").group(["a", "missing", "b"]).retry(Retry::default().attempts(3)).gather().await;
        assert_eq!(all.ok().map(|(at, _)| at.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let (at, error) = all.failed().next().unwrap();
        assert_eq!((at.as_str(), error.attempts(), error.fate()), ("missing", 3, Fate::NeverRan));
        // What may have run is not tried again if it may run once; and what is cancelled is what was sent last.
        let began = Instant::now();
        let each = Retry::default().each(SECOND);
        let late = probe(&caller).hold("x").timeout(SECOND * 20).group(["a", "b"]).retry(each).gather().await;
        assert!(late.failed().all(|(_, error)| error.attempts() == 1) && began.elapsed() < SECOND * 2);
    }
    let world = World::unsealed();
    let mut held = world.agent_with("held", |b| b.layer(Crowded::default())).await;
    let (quick, caller) = (world.agent("quick").await, world.caller("caller").await);
    let first = probe(&caller).listen("y").group(["held", "quick"]).retry(Retry::default()).cancel_rest().first();
    let first = tokio::spawn(first);
    assert_eq!(held.watch.began().await, "y");
    quick.watch.open(1);
    assert_eq!(first.await.unwrap().unwrap().0.as_str(), "quick");
    while held.watch.next().await != Seen::Cancelled("y".to_owned()) {}
}

//! Groups: one call, many agents, partial failures.
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
    CallError, Context,
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
async fn a_group_is_one_call_to_many_agents() {
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
async fn answers_come_as_they_come() {
    for world in World::both() {
        let agents = agents(&world, ["a", "b"]).await;
        let caller = world.caller("caller").await;
        let mut outcomes = probe(&caller).hold("x").group(["a", "missing", "b"]).send().await;
        let (at, answer) = outcomes.next().await.unwrap();
        assert!(at.as_str() == "missing" && matches!(answer, Err(CallError::NoAgent(_))), "{answer:?}");
        for (agent, name) in [(1, "b"), (0, "a")] {
            agents[agent].watch.open(1);
            let (at, answer) = outcomes.next().await.unwrap();
            assert_eq!((at.as_str(), answer.unwrap().as_str(), outcomes.remaining()), (name, "x", agent));
        }
        assert!(outcomes.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn some_may_fail_and_the_others_are_there() {
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
async fn the_first_result_is_enough() {
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
async fn a_quorum_is_so_many_results() {
    for world in World::both() {
        let agents = agents(&world, ["a", "b", "c"]).await;
        let caller = world.caller("caller").await;
        agents[0].watch.open(1);
        agents[2].watch.open(1);
        let two = probe(&caller).hold("x").group(["a", "b", "c"]).quorum(2).await.unwrap();
        assert_eq!(two.ok().map(|(at, _)| at.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        // It ends as soon as there cannot be as many.
        let failed = probe(&caller).hold("y").group(["x", "y", "b"]).quorum(2).await.unwrap_err();
        assert_eq!(failed.gathered.len(), 2);
        // Where there never can, nobody is called.
        let ran = agents[0].watch.ran();
        let failed = probe(&caller).hold("z").group(["a"]).quorum(2).await.unwrap_err();
        let said = "the group has too few agents, by 1, for as many results: none was called";
        assert_eq!((failed.to_string().as_str(), failed.gathered.len()), (said, 0));
        world.settle_at("a").await;
        assert_eq!(agents[0].watch.ran(), ran);
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_group_is_sent_in_parts() {
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
async fn the_time_is_the_whole_groups() {
    for world in World::both() {
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let began = Instant::now();
        let all = probe(&caller).hold("x").timeout(SECOND).group(vec!["agent"; 3]).parallel(2).gather().await;
        assert!(began.elapsed() <= SECOND + Duration::from_millis(5), "{:?}", began.elapsed());
        let fates: Vec<_> = all.failed().map(|(_, error)| error.fate()).collect();
        assert_eq!(fates, [Fate::MayHaveRun, Fate::MayHaveRun, Fate::NeverRan]);
        assert!(matches!(all.into_iter().last(), Some((_, Err(CallError::NotSent)))));
        world.settle().await;
        assert_eq!(agent.watch.ran(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_a_group_stops_nothing() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let outcomes = probe(&caller).listen("x").group(["agent"]).send().await;
        assert_eq!(agent.watch.began().await, "x");
        drop(outcomes);
        agent.watch.open(1);
        assert_eq!(agent.watch.next().await, Seen::Ended("x".to_owned()));
        assert_eq!(caller.endpoint.figures()[0].calls_waiting, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_tries_each_agent_again() {
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

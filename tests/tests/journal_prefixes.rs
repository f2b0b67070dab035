//! A crash between any two steps of any requests: each has one outcome, and nothing runs twice that must not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::prelude::*;
use rmi_core::journal::{RequestId, Step};
use rmi_tests::{
    clock::paused,
    journal::{Paper, crash, durable_with, how, outcome, request},
    probe::Seen,
    raw::Raw,
    world::World,
};

#[derive(Clone, Copy, Debug)]
struct Plan {
    twice: bool,
    again: bool,
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let plan = (any::<bool>(), any::<bool>()).prop_map(|(twice, again)| Plan { twice, again });
    proptest::collection::vec(plan, 1..7)
}

/// What a part of a journal says of each request that it has.
fn taken(steps: &[Step]) -> BTreeMap<String, (bool, bool)> {
    let mut names = BTreeMap::<RequestId, String>::new();
    let mut known = BTreeMap::new();
    for step in steps {
        match step {
            Step::Accepted { id, request } => {
                let name = request.entry.sn.as_ref().unwrap().to_string();
                names.insert(*id, name.clone());
                known.insert(name, (false, false));
            }
            Step::Started { id, .. } => known.get_mut(&names[id]).unwrap().0 = true,
            Step::Concluded { id, .. } => known.get_mut(&names[id]).unwrap().1 = true,
            _ => {}
        }
    }
    known
}

async fn crash_somewhere(plans: Vec<Plan>, sealed: bool, concurrency: usize, place: prop::sample::Index, seams: bool) {
    let world = World::both().into_iter().find(|world| world.is_sealed() == sealed).unwrap();
    let requests: Vec<Raw> = plans
        .iter()
        .enumerate()
        .map(|(number, plan)| request(&world, if plan.twice { "hold_again" } else { "hold" }, &number.to_string()))
        .collect();
    let (paper, mut replies) = (Paper::default(), world.mailbox("box").await);
    let agent = durable_with(&world, &paper, |b| b.concurrency(concurrency)).await;
    agent.watch.open(plans.len());
    for (plan, request) in plans.iter().zip(&requests) {
        world.post(request).await;
        if plan.again {
            world.post(request).await;
        }
    }
    let mut told = BTreeSet::new();
    while told.len() < plans.len() {
        let outcome = outcome(&mut replies).await;
        assert_eq!(how(&outcome), "result");
        told.insert(outcome["sn"].to_string());
    }
    world.settle().await;
    paper.release();
    let whole = paper.steps();
    drop(crash(agent, &paper));
    drop(replies);

    let mut left = whole[..place.index(whole.len() + 1)].to_vec();
    if seams {
        // Confirmations are written when there is time.
        left.retain(|step| !matches!(step, Step::Confirmed { .. }));
    }
    let taken = taken(&left);
    let (paper, mut replies) = (Paper::with(&left), world.mailbox("box").await);
    let mut agent = durable_with(&world, &paper, |b| b.concurrency(concurrency)).await;
    agent.watch.open(99);
    let mut outcomes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut note = |outcome: serde_json::Value| {
        outcomes.entry(outcome["sn"].as_str().unwrap().to_owned()).or_default().push(how(&outcome));
    };
    for request in &requests {
        world.post(request).await;
    }
    world.settle().await;
    let drained = agent.endpoint.shutdown(Duration::from_secs(50)).await.unwrap();
    assert_eq!((drained.left_behind, drained.kept), (0, 0));
    world.post(&world.request("echo", serde_json::json!(["end"])).with("routing", serde_json::json!(["caller", "box"]))).await;
    loop {
        let message = replies.next().await;
        match rmi_tests::raw::kind(&message) {
            "request" => break,
            _ => note(message),
        }
    }
    let mut began: BTreeMap<String, usize> = BTreeMap::new();
    for seen in agent.watch.seen() {
        if let Seen::Began(name) = seen {
            *began.entry(name).or_default() += 1;
        }
    }
    for (number, plan) in plans.iter().enumerate() {
        let name = number.to_string();
        let (started, concluded) = taken.get(&name).copied().unwrap_or((false, false));
        let runs = began.get(&name).copied().unwrap_or(0);
        let told: BTreeSet<&str> = outcomes[&name].iter().map(String::as_str).collect();
        let expected = if started && !concluded && !plan.twice { "exception Interrupted" } else { "result" };
        assert_eq!(told, BTreeSet::from([expected]), "{name}, {plan:?}, started: {started}, concluded: {concluded}");
        let again = !concluded && (plan.twice || !started);
        assert_eq!(runs, usize::from(again), "{name}, {plan:?}, started: {started}, concluded: {concluded}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_a_crash_anywhere_each_of_many_requests_has_one_outcome(
        plans in plans(),
        sealed in any::<bool>(),
        concurrency in 1..4usize,
        place in any::<prop::sample::Index>(),
        seams in any::<bool>(),
    ) {
        let runtime = paused().unwrap();
        runtime.block_on(crash_somewhere(plans, sealed, concurrency, place, seams));
    }
}

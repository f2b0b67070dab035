//! How many requests are let in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{convert::Infallible, time::Duration};

use rmi_core::{
    CallError,
    layer::{Rate, RateLimit},
    message::{Rejection, RejectionCode},
};
use rmi_tests::world::World;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

fn limited(answer: Result<String, CallError<Infallible>>) -> Rejection {
    match answer {
        Err(CallError::Rejected(rejection)) if rejection.code == RejectionCode::RateLimited => rejection,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn room_comes_back_with_time_up_to_the_burst() {
    for world in World::both() {
        let limit = RateLimit::per_principal(Rate::one_every(SECOND * 10).burst(3));
        let agent = world.agent_with("agent", |b| b.layer(limit.clone())).await;
        let caller = world.caller("caller").await;
        for _ in 0..3 {
            caller.probe().echo("x").await.unwrap();
        }
        let wait = limited(caller.probe().echo("x").await).retry_after.unwrap();
        assert!(wait > SECOND * 9 && wait <= SECOND * 10, "{wait:?}");
        assert_eq!((agent.watch.ran(), limit.figures().limited), (3, 1));
        // What was rejected has taken nothing: after that time there is room for one, and for one only.
        sleep(wait).await;
        caller.probe().echo("x").await.unwrap();
        limited(caller.probe().echo("x").await);
        // After a long time the burst is there again, and no more than that.
        sleep(SECOND * 1000).await;
        for _ in 0..3 {
            caller.probe().echo("x").await.unwrap();
        }
        limited(caller.probe().echo("x").await);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_told_of_the_rate_of_all() {
    let world = World::sealed();
    let limit = RateLimit::overall(Rate::one_every(SECOND).burst(4)).each(Rate::one_every(SECOND).burst(2));
    let _agent = world.agent_with("agent", |b| b.layer(limit.clone())).await;
    let (one, two, three) = (world.caller("one").await, world.caller("two").await, world.caller("three").await);
    for _ in 0..2 {
        one.probe().echo("x").await.unwrap();
    }
    // More than its own: it takes nothing from the rate of all.
    for _ in 0..20 {
        limited(one.probe().echo("x").await);
    }
    for _ in 0..2 {
        two.probe().echo("x").await.unwrap();
    }
    // Now all together are over theirs, whoever asks, and whoever is told so has not been charged.
    for _ in 0..5 {
        assert!(limited(three.probe().echo("x").await).details.contains("all callers together"));
    }
    let figures = limit.figures();
    assert_eq!((figures.limited, figures.limited_overall, figures.principals, figures.evicted), (20, 5, 2, 0));
    sleep(SECOND * 2).await;
    for _ in 0..2 {
        three.probe().echo("x").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn principals_that_a_rate_remembers_are_bounded() {
    let world = World::sealed();
    let limit = RateLimit::per_principal(Rate::one_every(SECOND * 100)).principals(2);
    let _agent = world.agent_with("agent", |b| b.layer(limit.clone())).await;
    let first = world.caller("first").await;
    first.probe().echo("x").await.unwrap();
    for name in ["a", "b", "c", "d"] {
        limited({
            let caller = world.caller(name).await;
            caller.probe().echo("x").await.unwrap();
            caller.probe().echo("x").await
        });
        assert!(limit.figures().principals <= 4);
    }
    // It was forgotten before its time had come, which is counted.
    first.probe().echo("x").await.unwrap();
    assert!(limit.figures().evicted >= 1);
}

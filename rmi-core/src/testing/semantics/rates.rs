//! How many requests are let in.

use std::{convert::Infallible, time::Duration};

use super::{Setting, agent_with, calling};
use crate::{
    CallError,
    call::Retry,
    layer::{Rate, RateLimit},
    message::{Rejection, RejectionCode},
};

/// Longer than any sentence takes.
const LONG: Duration = Duration::from_secs(100);

fn limited(answer: Result<String, CallError<Infallible>>) -> Rejection {
    match answer {
        Err(CallError::Rejected(rejection)) if rejection.code == RejectionCode::RateLimited => rejection,
        other => panic!("{other:?}"),
    }
}

pub(super) async fn what_exceeds_a_rate_is_rejected_with_the_time_to_wait<S: Setting>(setting: &S) {
    let limit = RateLimit::per_principal(Rate::one_every(LONG).burst(3));
    let agent = agent_with(setting, |builder| builder.layer(limit.clone())).await;
    let caller = calling(setting, "caller").await;
    for _ in 0..3 {
        caller.probe.echo("x").await.unwrap();
    }
    // What is rejected takes nothing: the time to wait does not grow.
    let mut before = LONG;
    for _ in 0..3 {
        let wait = limited(caller.probe.echo("x").await).retry_after.unwrap();
        assert!(wait > LONG / 2 && wait <= before, "{wait:?}");
        before = wait;
    }
    assert_eq!((agent.watch.ran(), limit.figures().limited), (3, 3));
}

pub(super) async fn a_client_that_tries_again_waits_for_its_rate<S: Setting>(setting: &S) {
    let limit = RateLimit::per_principal(Rate::one_every(Duration::from_millis(300)));
    let agent = agent_with(setting, |builder| builder.layer(limit.clone())).await;
    let caller = calling(setting, "caller").await;
    // Pauses of its own would be shorter by far.
    let policy = Retry::default().attempts(9).pause(Duration::from_millis(1), Duration::from_millis(1));
    for _ in 0..3 {
        caller.probe.echo("x").retry(policy).await.unwrap();
    }
    // It was told the time, and did not try in between.
    assert_eq!((agent.watch.ran(), limit.figures().limited), (3, 2));
}

pub(super) async fn one_principal_does_not_use_up_the_rate_of_another<S: Setting>(setting: &S) {
    let limit = RateLimit::overall(Rate::one_every(LONG).burst(4)).each(Rate::one_every(LONG).burst(2));
    let _agent = agent_with(setting, |builder| builder.layer(limit.clone())).await;
    let (one, two) = (calling(setting, "caller").await, calling(setting, "other").await);
    for _ in 0..2 {
        one.probe.echo("x").await.unwrap();
    }
    // More than its own: it takes nothing from the rate of all.
    for _ in 0..20 {
        limited(one.probe.echo("x").await);
    }
    for _ in 0..2 {
        two.probe.echo("x").await.unwrap();
    }
    let figures = limit.figures();
    assert_eq!((figures.limited, figures.limited_overall, figures.principals, figures.evicted), (20, 0, 2, 0));
}

pub(super) async fn the_rate_of_all_is_not_for_admin<S: Setting>(setting: &S) {
    let limit = RateLimit::overall(Rate::one_every(LONG));
    let mut agent = agent_with(setting, |builder| builder.layer(limit)).await;
    let caller = calling(setting, "caller").await;
    let call = caller.probe.listen("x").send().await.unwrap();
    agent.watch.began().await;
    assert!(limited(caller.probe.echo("x").await).details.contains("all callers together"));
    assert!(call.cancel().await.unwrap());
    assert_eq!(call.await.unwrap(), "x was cancelled");
    let _ = caller.endpoint.shutdown(Duration::ZERO).await.unwrap();
    let _ = agent.endpoint.shutdown(Duration::from_secs(1)).await.unwrap();
    // Its caller's own rate is.
    let own = RateLimit::per_principal(Rate::one_every(LONG));
    let _agent = agent_with(setting, |builder| builder.layer(own)).await;
    let caller = calling(setting, "caller").await;
    let hello = || caller.endpoint.peer("agent").class("Admin").call::<String>("hello", ());
    hello().await.unwrap();
    assert!(matches!(hello().await, Err(CallError::Rejected(r)) if r.code == RejectionCode::RateLimited));
}

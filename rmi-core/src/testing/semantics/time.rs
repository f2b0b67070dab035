//! Time: every wait ends when it was told to.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    OUTAGE, Setting, agent, agent_with, caller, calling,
    needs::{Need, Powers},
    probe::Seen,
    tap::{Passed, calls, delivered},
};
use crate::{
    CallError,
    error::{Fate, Phase},
    message::RejectionCode,
    testing::conformance::soon,
};

pub(super) async fn the_total_time_covers_everything<S: Setting>(setting: &S) {
    let bus = Powers::of(setting).await.lack(&[Need::Bus]).is_none();
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let (time, began) = (Duration::from_millis(200), Instant::now());
    // The outcome.
    let error = caller.probe.hold("held").timeout(time).await.unwrap_err();
    assert_eq!(error.fate(), Fate::MayHaveRun);
    assert!(matches!(error, CallError::Timeout { phase: Phase::Total, after } if after == time), "{error:?}");
    assert!(began.elapsed() >= time);
    assert_eq!(caller.endpoint.figures()[0].calls_waiting, 0);
    assert_eq!(agent.watch.began().await, "held");
    // Any time, however long.
    assert_eq!(caller.probe.echo("x").timeout(Duration::MAX).ttl(Duration::MAX).await.unwrap(), "x");
    // Nothing that the agent says prolongs it.
    let error = caller.probe.hold("held").timeout(time).idle(time).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { phase: Phase::Total, after } if after == time), "{error:?}");
    assert_eq!(agent.watch.began().await, "x");
    // Sending: the bus does not take it.
    caller.tap.hold(|message| calls("echo")(message) || calls("note")(message));
    let error = soon("its time ends it", caller.probe.note("x").timeout(time)).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { phase: Phase::Send, after } if after == time), "{error:?}");
    let error = soon("its time ends it", caller.probe.echo("x").timeout(time)).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { phase: Phase::Send, after } if after == time), "{error:?}");
    caller.tap.release();
    // Connecting: the link is away for less, and is waited for.
    if bus {
        caller.tap.lose(OUTAGE * 10).await;
        assert_eq!(soon("there is a link again", caller.probe.echo("x")).await.unwrap(), "x");
        // And for longer than anybody waits: whether or not the caller has heard of it when it calls.
        caller.tap.lose(Duration::from_secs(3600)).await;
        for _ in 0..2 {
            let error = soon("its time ends it", caller.probe.echo("x").timeout(time)).await.unwrap_err();
            assert!(matches!(error, CallError::Timeout { phase: Phase::Send, after } if after == time), "{error:?}");
        }
    }
}

pub(super) async fn no_time_is_rounded<S: Setting>(setting: &S) {
    let (agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    for millis in [1, 99, 101, 150] {
        let (time, began) = (Duration::from_millis(millis), Instant::now());
        let error = caller.probe.hold("x").timeout(time).await.unwrap_err();
        assert!(matches!(error, CallError::Timeout { after, .. } if after == time), "{error:?}");
        assert!(began.elapsed() >= time);
    }
    // On the wire too: in milliseconds, and never none.
    let cases = [(1_000, 1), (1_500_000, 1500), (1, 1), (1501, 2)];
    for (micros, _) in cases {
        caller.probe.echo("x").ttl(Duration::from_micros(micros)).notify().await.unwrap();
    }
    caller.probe.who().await.unwrap();
    let ttls: Vec<_> = agent
        .tap
        .passed()
        .into_iter()
        .filter_map(|passed| match passed {
            Passed::Delivered(message, _) if calls("echo")(&message) => Some(message.head.ttl),
            _ => None,
        })
        .collect();
    // One that has expired on the bus need not come.
    let expected: Vec<_> = cases.iter().map(|(_, millis)| Some(Duration::from_millis(*millis))).collect();
    assert!(ttls.iter().all(|ttl| expected.contains(ttl)) && ttls.contains(&expected[1]), "{ttls:?}");
    let left = caller.probe.remaining().ttl(Duration::from_secs(60)).await.unwrap().unwrap();
    assert!(left > 50_000 && left <= 60_000, "{left}");
}

pub(super) async fn an_expired_request_never_runs<S: Setting>(setting: &S) {
    let expires = Powers::of(setting).await.expires();
    let (mut agent, caller) = (agent_with(setting, |builder| builder.concurrency(1)).await, calling(setting, "caller").await);
    let held = caller.probe.hold("held").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "held");
    // At the agent, from its receipt on.
    let late = caller.probe.echo("late").ttl(Duration::from_millis(100)).send().await.unwrap();
    match late.await {
        Err(CallError::Rejected(rejection)) => assert_eq!(rejection.code, RejectionCode::Expired),
        other => panic!("{other:?}"),
    }
    agent.watch.open(1);
    assert_eq!(held.await.unwrap(), "held");
    assert_eq!(caller.probe.echo("next").ttl(Duration::from_secs(60)).await.unwrap(), "next");
    assert_eq!(agent.watch.ran(), 2);
    if expires {
        // On the bus, where nobody takes it.
        let _ = agent.endpoint.shutdown(Duration::from_secs(10)).await.unwrap();
        let lost = caller.probe.echo("lost").ttl(Duration::from_millis(50)).timeout(Duration::from_millis(400)).await;
        assert!(matches!(lost, Err(CallError::Timeout { phase: Phase::Total, .. })), "{lost:?}");
        let agent = super::agent(setting).await;
        assert_eq!(caller.probe.echo("found").await.unwrap(), "found");
        assert_eq!(agent.watch.ran(), 1);
        assert_eq!(agent.tap.count(delivered(calls("echo"))), 1);
    }
}

pub(super) async fn the_phases_of_a_call_have_their_own_times<S: Setting>(setting: &S) {
    let (mut agent, (_caller, probe)) =
        (agent_with(setting, |builder| builder.concurrency(1)).await, caller(setting, "caller").await);
    let time = Duration::from_millis(300);
    // What the agent says ends a phase: its time is not that of the whole call.
    assert_eq!(probe.doze("long", 900).accept_within(time).start_within(time).await.unwrap(), "long");
    agent.watch.ended("long").await;
    let held = probe.hold("held").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "held");
    // An acceptance is no start; and what has started says nothing more for a while.
    let error = probe.echo("waits").start_within(time).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { phase: Phase::Start, after } if after == time), "{error:?}");
    let error = probe.echo("waits").idle(time).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { phase: Phase::Idle, after } if after == time), "{error:?}");
    agent.watch.open(1);
    assert_eq!(held.await.unwrap(), "held");
    // Every status begins that time anew: none of the two waits is as long as it, and both together are.
    let held = probe.hold("held").send().await.unwrap();
    while agent.watch.next().await != Seen::Began("held".to_owned()) {}
    let idle = time * 3;
    let renewed = tokio::spawn(probe.doze("renewed", millis(idle * 2 / 3)).idle(idle).into_future());
    tokio::time::sleep(idle * 2 / 3).await;
    agent.watch.open(1);
    assert_eq!((held.await.unwrap(), renewed.await.unwrap().unwrap()), ("held".to_owned(), "renewed".to_owned()));
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("it is short")
}

pub(super) async fn the_shortest_and_the_longest_times_are_held<S: Setting>(setting: &S) {
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let (zero, time) = (Duration::ZERO, Duration::from_millis(300));
    let call = || caller.probe.hold("it").timeout(time);
    // Nothing is said that would end a phase.
    agent.tap.hold(|_| true);
    for (phase, call) in [
        (Phase::Total, call().timeout(zero)),
        (Phase::Accept, call().accept_within(zero)),
        (Phase::Start, call().start_within(zero)),
        (Phase::Idle, call().idle(zero)),
        // The shortest one is told.
        (Phase::Accept, call().start_within(time / 2).accept_within(zero).idle(time / 3)),
    ] {
        let error = soon("its time ends it", call).await.unwrap_err();
        let CallError::Timeout { phase: ended, after } = error else { panic!("{error:?}") };
        // The whole time may be over before the request has left.
        assert!(after == zero && (ended == phase || (ended, phase) == (Phase::Send, Phase::Total)), "{ended:?}, {phase:?}");
    }
    let longest = call().accept_within(Duration::MAX).start_within(Duration::MAX).idle(Duration::MAX).ttl(Duration::MAX);
    let error = soon("its time ends it", longest).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { phase: Phase::Total, after } if after == time), "{error:?}");
    assert_eq!(caller.endpoint.figures()[0].calls_waiting, 0);
    agent.tap.release();
    // Of a request that is over as it comes its sender is told so, whatever the bus does with one.
    caller.tap.change(|message| {
        if calls("echo")(message) {
            message.head.ttl = Some(Duration::ZERO);
        }
    });
    match soon("it is told", caller.probe.echo("over").timeout(time)).await {
        Err(CallError::Rejected(rejection)) => assert_eq!(rejection.code, RejectionCode::Expired),
        Err(CallError::Timeout { .. }) => {}
        other => panic!("{other:?}"),
    }
    caller.tap.change_nothing();
    assert_eq!(caller.probe.echo("never over").ttl(Duration::MAX).timeout(Duration::MAX).await.unwrap(), "never over");
    assert!(!agent.watch.seen().contains(&Seen::Began("over".to_owned())));
}

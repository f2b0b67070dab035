//! Freshness: what may be a replay does not run.

use std::{convert::Infallible, time::Duration};

use super::{
    Agent, Caller, Setting, agent_with, calling_with,
    once::{code, text},
    tap::numbered,
};
use crate::{
    CallError,
    call::Call,
    endpoint::{Builder, WindowSize},
    message::{Outcome, RejectionCode, Sn},
    testing::{ManualClock, conformance::soon},
    time::{Clock, Timestamp},
};

const DAY: Duration = Duration::from_secs(24 * 3600);
const SKEW: Duration = Duration::from_secs(60);
const MILLI: Duration = Duration::from_millis(1);

/// An agent, and callers whose requests have whatever date a test likes.
struct Dated {
    agent: Agent,
    caller: Caller,
    clock: ManualClock,
}

impl Dated {
    async fn new<S: Setting>(setting: &S, special: impl FnOnce(Builder) -> Builder) -> Dated {
        let clock = ManualClock::default();
        let agent = agent_with(setting, |builder| special(builder.clock(clock.clone()))).await;
        let caller = calling_with(setting, "caller", |builder| builder.clock(clock.clone())).await;
        Dated { agent, caller, clock }
    }

    /// What a call comes to that was sent then.
    async fn at(&self, sent: Option<Timestamp>, ttl: Option<Duration>, text: &str) -> (Sn, String) {
        dated(&self.caller, sent, ttl, self.caller.probe.echo(text)).await
    }

    /// What the last request of this number is told when it comes again.
    async fn again(&self, sn: &Sn) -> Outcome {
        let told = self.agent.tap.outcomes(Some(sn)).len();
        self.caller.tap.replay(&self.caller.tap.last(numbered(sn)).1).await;
        self.agent.tap.until_outcomes(told + 1, Some(sn)).await.remove(told)
    }
}

async fn dated(caller: &Caller, sent: Option<Timestamp>, ttl: Option<Duration>, call: Call<String, Infallible>) -> (Sn, String) {
    caller.tap.change(move |message| (message.head.sent, message.head.ttl) = (sent, ttl));
    let call = call.send().await.unwrap();
    caller.tap.change_nothing();
    let sn = call.sn().clone();
    let said = match soon("it is answered", call).await {
        Ok(said) => said,
        Err(CallError::Rejected(rejection)) => rejection.code.as_str().to_owned(),
        Err(other) => panic!("{other:?}"),
    };
    (sn, said)
}

pub(super) async fn a_request_is_fresh_within_its_age_and_the_skew<S: Setting>(setting: &S) {
    let world = Dated::new(setting, |builder| builder).await;
    let (clock, short) = (&world.clock, Duration::from_secs(5));
    let cases = [
        ("now", clock.ago(Duration::ZERO), None, true),
        ("a day old", clock.ago(DAY), None, true),
        ("a day and the skew old", clock.ago(DAY + SKEW), None, true),
        ("older", clock.ago(DAY + SKEW + MILLI), None, false),
        ("ahead by the skew", clock.ahead(SKEW), None, true),
        ("from the future", clock.ahead(SKEW + MILLI), None, false),
        ("its ttl old", clock.ago(short), Some(short), true),
        ("its ttl and the skew old", clock.ago(short + SKEW), Some(short), true),
        ("older than its ttl", clock.ago(short + SKEW + MILLI), Some(short), false),
        ("older than a day, as its ttl says", clock.ago(DAY + DAY), Some(DAY + DAY), true),
    ];
    for (text, sent, ttl, fresh) in cases {
        let expected = if fresh { text } else { "request.stale" };
        assert_eq!(world.at(Some(sent), ttl, text).await.1, expected, "{text}");
    }
    assert_eq!(world.at(None, None, "undated").await.1, "request.stale");
    assert_eq!((world.agent.endpoint.figures()[0].stale, world.agent.watch.ran()), (4, 7));
}

pub(super) async fn what_is_remembered_is_answered_however_old<S: Setting>(setting: &S) {
    let world = Dated::new(setting, |builder| builder).await;
    let (sn, said) = world.at(Some(world.clock.now()), None, "it").await;
    assert_eq!(said, "it");
    world.clock.advance(DAY * 3);
    assert_eq!(text(&world.again(&sn).await), "it");
    assert_eq!(world.agent.watch.ran(), 1);
    assert_eq!(world.at(Some(world.clock.ago(DAY * 3)), None, "new").await.1, "request.stale");
    assert_eq!(world.agent.watch.ran(), 1);
}

pub(super) async fn an_evicted_request_raises_the_floor<S: Setting>(setting: &S) {
    let two = WindowSize::default().requests(2);
    let mut world = Dated::new(setting, |builder| builder.window(two)).await;
    let clock = world.clock.clone();
    let at = |millis: u64| Some(clock.ago(SKEW).plus(Duration::from_millis(millis)));
    let mut sns = Vec::new();
    for (text, millis) in [("first", 10), ("second", 20), ("third", 30)] {
        let (sn, said) = world.at(at(millis), None, text).await;
        assert_eq!(said, text);
        sns.push(sn);
    }
    assert_eq!(world.agent.endpoint.figures()[0].remembered, 2);
    // The first one had to go: what is as old or older may be it.
    assert_eq!(code(&world.again(&sns[0]).await), Some(&RejectionCode::Stale));
    for (text, millis, expected) in [("as old", 10, "request.stale"), ("older", 9, "request.stale"), ("above", 11, "above")] {
        assert_eq!(world.at(at(millis), None, text).await.1, expected);
    }
    // That let the second one go; what is remembered is not asked for its date.
    assert_eq!(code(&world.again(&sns[1]).await), Some(&RejectionCode::Stale));
    assert_eq!(text(&world.again(&sns[2]).await), "third");
    assert_eq!(world.agent.watch.ran(), 4);

    // What runs never has to go.
    world.agent.watch.seen();
    let sent = at(40);
    world.caller.tap.change(move |message| message.head.sent = sent);
    let hold = world.caller.probe.hold("held").send().await.unwrap();
    assert_eq!(world.agent.watch.began().await, "held");
    for (text, millis) in [("a", 50), ("b", 60), ("c", 70)] {
        assert_eq!(world.at(at(millis), None, text).await.1, text);
    }
    world.caller.tap.replay(&world.caller.tap.last(numbered(hold.sn())).1).await;
    world.agent.watch.open(2);
    assert_eq!(hold.await.unwrap(), "held");
    assert_eq!(world.at(at(80), None, "last").await.1, "last");
    assert_eq!(world.agent.watch.ran(), 9);
}

pub(super) async fn a_forgotten_outcome_is_not_run_for<S: Setting>(setting: &S) {
    let small = WindowSize::default().bytes(1000);
    let world = Dated::new(setting, |builder| builder.window(small)).await;
    let ask = async |bytes: usize| {
        let call = world.caller.probe.big(bytes - 2).send().await.unwrap();
        let sn = call.sn().clone();
        assert_eq!(call.await.unwrap().len(), bytes - 2);
        sn
    };
    let stale = async |sn: &Sn| code(&world.again(sn).await) == Some(&RejectionCode::Stale);
    let (short, long) = (ask(256).await, ask(1001).await);
    assert!(stale(&long).await);
    // These two fit; a third makes the oldest go.
    let (one, two) = (ask(500).await, ask(500).await);
    assert!(!stale(&one).await && !stale(&two).await);
    assert_eq!(world.agent.watch.ran(), 4);
    ask(300).await;
    assert!(stale(&one).await && !stale(&two).await);
    // Short ones are not counted, and stay as long as their requests do.
    assert!(!stale(&short).await);
    assert_eq!((world.agent.watch.ran(), world.agent.endpoint.figures()[0].remembered), (5, 5));
}

pub(super) async fn one_principal_does_not_push_out_another<S: Setting>(setting: &S) {
    let two = WindowSize::default().requests(2);
    let world = Dated::new(setting, |builder| builder.window(two)).await;
    let other = calling_with(setting, "other", |builder| builder.clock(world.clock.clone())).await;
    let now = world.clock.now();
    let (mine, said) = world.at(Some(now), None, "mine").await;
    assert_eq!(said, "mine");
    for number in 0..10 {
        let sent = Some(now.plus(Duration::from_millis(number)));
        if number == 5 {
            // The same serial numbers too: each has its own.
            let (theirs, told) = (mine.clone(), world.agent.tap.outcomes(Some(&mine)).len());
            other.tap.change(move |message| (message.head.sn, message.head.sent) = (Some(theirs.clone()), sent));
            drop(other.probe.echo("theirs").send().await.unwrap());
            let outcomes = world.agent.tap.until_outcomes(told + 1, Some(&mine)).await;
            assert_eq!(text(&outcomes[told]), "theirs");
            continue;
        }
        let said = dated(&other, sent, None, other.probe.echo(&number.to_string())).await.1;
        assert_eq!(said, number.to_string());
    }
    assert_eq!(world.agent.watch.ran(), 11);
    assert_eq!(text(&world.again(&mine).await), "mine");
    assert_eq!(world.at(Some(now), None, "as old").await.1, "as old");
    assert_eq!(world.agent.watch.ran(), 12);
}

//! Time: every wait ends when it was told to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fmt::Debug,
    future::{Future, IntoFuture},
    time::Duration,
};

use rmi_core::{
    CallError,
    error::{Fate, Phase},
    message::RejectionCode,
    transport::memory::Options,
};
use rmi_tests::{
    raw::{Mailbox, Raw, publish},
    tap::Event,
    world::World,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How a call ended without an outcome, and after how long by the paused clock.
async fn timeout<T: Debug, E: Debug>(call: impl IntoFuture<Output = Result<T, CallError<E>>>) -> (Phase, Duration, Duration) {
    let began = Instant::now();
    let error = call.into_future().await.expect_err("nobody answers");
    assert_eq!(error.fate(), Fate::MayHaveRun);
    match error {
        CallError::Timeout { phase, after } => (phase, after, began.elapsed()),
        other => panic!("{other:?}"),
    }
}

/// An agent that only says what it is told to.
struct Puppet<'a> {
    world: &'a World,
    mailbox: Mailbox,
}

impl<'a> Puppet<'a> {
    async fn new(world: &'a World) -> Self {
        Puppet { world, mailbox: world.mailbox("agent").await }
    }

    async fn say(&self, request: &Value, keys: Value) {
        self.world.post(&Raw::reply(request, "agent", keys)).await;
    }

    /// Takes a request, and says something about it after so many milliseconds each.
    async fn answer(&mut self, script: &[(u64, Value)]) {
        let request = self.mailbox.next().await;
        for (after, keys) in script {
            sleep(millis(*after)).await;
            self.say(&request, keys.clone()).await;
        }
    }
}

/// Both at once; the call's end.
async fn beside<C: Future>(call: C, puppet: impl Future<Output = ()>) -> C::Output {
    tokio::join!(call, puppet).0
}

fn accepted() -> Value {
    json!({"status": "accepted"})
}

fn started() -> Value {
    json!({"status": "started"})
}

fn progress() -> Value {
    json!({"status": "progress", "total": 9, "completed": 1, "details": "d"})
}

fn result() -> Value {
    json!({"result": {"retval": "done"}})
}

#[tokio::test(start_paused = true)]
async fn the_total_time_covers_everything() {
    for world in World::both() {
        let (_agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        // Connecting: the link is away for longer, and for less.
        caller.tap.lose(SECOND * 5).await;
        assert_eq!(timeout(caller.probe().echo("x").timeout(SECOND * 2)).await, (Phase::Send, SECOND * 2, SECOND * 2));
        assert_eq!(caller.probe().echo("x").timeout(SECOND * 4).await.unwrap(), "x");
        // The outcome.
        assert_eq!(timeout(caller.probe().hold("x").timeout(SECOND)).await, (Phase::Total, SECOND, SECOND));
        // Any time, however long.
        assert_eq!(caller.probe().echo("x").timeout(Duration::MAX).ttl(Duration::MAX).await.unwrap(), "x");
        let longest = caller.probe().echo("x").accept_within(Duration::MAX).start_within(Duration::MAX).idle(Duration::MAX);
        assert_eq!(longest.await.unwrap(), "x");
    }

    // Sending: there is no room at the agent's address.
    let world = World::with(false, Options::default().mailbox_frames(1));
    let (mut puppet, caller) = (Puppet::new(&world).await, world.caller("caller").await);
    publish(&world.bus, "agent", "{}").await;
    let call = caller.probe().echo("x").timeout(SECOND);
    assert_eq!(timeout(call).await, (Phase::Send, SECOND, SECOND));
    assert_eq!(timeout(caller.probe().note("x").timeout(SECOND)).await, (Phase::Send, SECOND, SECOND));
    puppet.mailbox.next().await;

    // Nothing that the agent says prolongs it.
    let call = timeout(caller.probe().echo("x").timeout(SECOND).idle(SECOND));
    let say = [(400, accepted()), (400, started()), (400, progress())];
    assert_eq!(beside(call, puppet.answer(&say)).await, (Phase::Total, SECOND, SECOND));
}

#[tokio::test(start_paused = true)]
async fn the_phases_of_a_call_have_their_own_times() {
    let world = World::unsealed();
    let (mut puppet, caller) = (Puppet::new(&world).await, world.caller("caller").await);
    let call = || caller.probe().echo("x").timeout(SECOND * 60);

    // Until the agent accepts: it never does, it does, it starts without saying so.
    let silent = timeout(call().accept_within(SECOND));
    assert_eq!(beside(silent, puppet.answer(&[])).await, (Phase::Accept, SECOND, SECOND));
    for status in [accepted(), started(), progress()] {
        let (say, accepting) = ([(900, status), (5000, result())], call().accept_within(SECOND));
        assert_eq!(beside(accepting.into_future(), puppet.answer(&say)).await.unwrap(), "done");
    }

    // Until the method starts: an acceptance is no start.
    let slow = timeout(call().accept_within(SECOND).start_within(SECOND * 2));
    assert_eq!(beside(slow, puppet.answer(&[(900, accepted())])).await, (Phase::Start, SECOND * 2, SECOND * 2));
    for status in [started(), progress()] {
        let (say, starting) = ([(900, accepted()), (1000, status), (5000, result())], call().start_within(SECOND * 2));
        assert_eq!(beside(starting.into_future(), puppet.answer(&say)).await.unwrap(), "done");
    }

    // Every status begins the time without one anew.
    let say = [(900, accepted()), (900, started()), (900, progress()), (900, progress())];
    let idle = timeout(call().idle(SECOND));
    assert_eq!(beside(idle, puppet.answer(&say)).await, (Phase::Idle, SECOND, millis(4600)));
    let say = [(900, accepted()), (900, started()), (900, progress()), (900, result())];
    assert_eq!(beside(call().idle(SECOND).into_future(), puppet.answer(&say)).await.unwrap(), "done");
}

#[tokio::test(start_paused = true)]
async fn no_time_is_rounded() {
    let world = World::unsealed();
    let (mut puppet, caller) = (Puppet::new(&world).await, world.caller("caller").await);
    for time in [millis(1), millis(999), millis(1001), millis(1500), millis(2999)] {
        let (phase, after, took) = timeout(caller.probe().echo("x").timeout(time)).await;
        assert_eq!((phase, after), (Phase::Total, time));
        // A call that ends within a millisecond of another may end one later.
        assert!(took >= time && took <= time + millis(1), "{took:?} for {time:?}");
        puppet.mailbox.next().await;
    }
    // On the wire too: in milliseconds, and never none.
    for (ttl, written) in [(millis(1), 1), (millis(1500), 1500), (Duration::from_micros(1), 1), (Duration::from_micros(1501), 2)]
    {
        caller.probe().echo("x").ttl(ttl).notify().await.unwrap();
        assert_eq!(puppet.mailbox.next().await["rmi"]["ttl"], written);
    }
    drop(puppet);
    let _agent = world.agent("agent").await;
    let left = caller.probe().remaining().ttl(millis(1500)).await.unwrap();
    assert_eq!(left, Some(1500));
}

#[tokio::test(start_paused = true)]
async fn an_expired_request_never_runs() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent_with("agent", |b| b.concurrency(1)).await, world.caller("caller").await);
        // At the agent, from its receipt on, whether or not it was in time on the bus.
        let held = caller.probe().hold("held").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "held");
        let late = caller.probe().hold("late").ttl(SECOND).send().await.unwrap();
        let in_time = caller.probe().echo("in time").ttl(SECOND * 3).send().await.unwrap();
        match late.await {
            Err(CallError::Rejected(rejection)) => assert_eq!(rejection.code, RejectionCode::Expired),
            other => panic!("{other:?}"),
        }
        agent.watch.open(1);
        assert_eq!(held.await.unwrap(), "held");
        assert_eq!(in_time.await.unwrap(), "in time");
        assert_eq!(agent.watch.ran(), 2);

        // On the bus, where nobody takes it.
        drop(agent.endpoint);
        agent.tap.until(1, "the agent is gone", |event| *event == Event::Left).await;
        let lost = timeout(caller.probe().echo("lost").ttl(SECOND).timeout(SECOND * 2));
        assert_eq!(lost.await.0, Phase::Total);
        let agent = world.agent("agent").await;
        assert_eq!(caller.probe().echo("found").await.unwrap(), "found");
        assert_eq!((agent.watch.ran(), world.bus.counters().expired), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn the_shortest_and_the_longest_times_are_held() {
    let world = World::unsealed();
    let (_mailbox, caller) = (world.mailbox("agent").await, world.caller("caller").await);
    let (zero, call) = (Duration::ZERO, || caller.probe().echo("x").timeout(SECOND));
    for (phase, call) in [
        (Phase::Total, call().timeout(zero)),
        (Phase::Accept, call().accept_within(zero)),
        (Phase::Start, call().start_within(zero)),
        (Phase::Idle, call().idle(zero)),
        // The shortest one is told.
        (Phase::Accept, call().start_within(millis(2)).accept_within(zero).idle(millis(1))),
    ] {
        let (ended, after, took) = timeout(call).await;
        assert_eq!((ended, after), (phase, zero));
        assert!(took <= millis(2), "{took:?}");
    }
    let longest = call().accept_within(Duration::MAX).start_within(Duration::MAX).idle(Duration::MAX).ttl(Duration::MAX);
    assert_eq!(timeout(longest).await, (Phase::Total, SECOND, SECOND));
    assert_eq!(caller.endpoint.figures()[0].calls_waiting, 0);

    // On the wire a ttl may be any number, or none: what is none is ignored, what is less than one millisecond is over.
    for world in World::both() {
        let (agent, mut replies) = (world.agent("agent").await, world.mailbox("box").await);
        let big = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let over = [json!(0), json!(-1), json!(0.9), big("-9223372036854775808")];
        let far = [json!(u64::MAX), json!(1e300), big("18446744073709551616"), json!(u64::MAX - 1)];
        let none = [json!(null), json!("0"), json!([0]), json!({}), json!(true)];
        let cases = over.iter().map(|ttl| (ttl, false)).chain(far.iter().chain(&none).map(|ttl| (ttl, true)));
        let mut ran = 0;
        for (number, (ttl, runs)) in cases.enumerate() {
            for method in ["echo", "task_inline"] {
                let args = if method == "echo" { json!(["x"]) } else { json!([]) };
                let mut request = world.request(method, args).sn(&format!("{number}-{method}")).reply_to("box").wants(&[]);
                request.0["rmi"]["ttl"] = ttl.clone();
                world.post(&request).await;
                let said = replies.next().await;
                assert_eq!(said["code"].as_str(), (!runs).then_some("request.expired"), "{ttl}: {said}");
            }
            ran += usize::from(runs);
        }
        assert_eq!(agent.watch.ran(), ran);
    }
}

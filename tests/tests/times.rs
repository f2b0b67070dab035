//! Time to the millisecond, by a paused clock, against an agent that says what it is told to; and what a ttl may be on the wire.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fmt::Debug,
    future::{Future, IntoFuture},
    time::Duration,
};

use rmi_core::{
    CallError,
    error::{Fate, Phase},
    transport::memory::Options,
};
use rmi_tests::{
    raw::{Mailbox, Raw, publish},
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
async fn no_link_and_no_room_end_a_call_in_its_time() {
    let world = World::unsealed();
    let (_agent, caller) = (world.agent("agent").await, world.caller("caller").await);
    caller.tap.lose(SECOND * 5).await;
    assert_eq!(timeout(caller.probe().echo("x").timeout(SECOND * 2)).await, (Phase::Send, SECOND * 2, SECOND * 2));
    assert_eq!(caller.probe().echo("x").timeout(SECOND * 4).await.unwrap(), "x");

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
async fn phases_end_when_their_status_comes() {
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
async fn times_are_held_to_a_millisecond() {
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
async fn a_ttl_may_be_any_number() {
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

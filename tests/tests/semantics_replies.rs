//! Replies: where they come, from whom they count, and where they do not go.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::HashSet, convert::Infallible, time::Duration};

use rmi_core::{
    CallError,
    error::Fate,
    transport::{Purpose, Receipt, Sharing, Source, Subscription, Transport, memory::Options},
};
use rmi_tests::{
    raw::{Raw, is_outcome, kind, publish},
    soon::soon,
    tap::Event,
    world::{Caller, World},
};
use serde_json::json;
use tokio::time::Instant;

/// The reply addresses of the requests that a caller has sent.
fn reply_addresses(caller: &Caller) -> Vec<String> {
    let requests = caller.tap.published();
    requests.iter().filter_map(|request| request["replyto"].as_str()).map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn replies_come_to_a_volatile_address() {
    for world in World::both() {
        let _agent = world.agent("agent").await;
        let (one, two) = (world.caller("caller").await, world.caller("caller").await);
        for caller in [&one, &two, &one] {
            caller.probe().echo("x").await.unwrap();
        }
        // An address for each endpoint, the same for all its calls, and nobody else's.
        let [first, again] = reply_addresses(&one).try_into().unwrap();
        assert_eq!(first, again);
        assert!(first.starts_with("caller.replies."), "{first}");
        assert!(!reply_addresses(&two).contains(&first));
        let source = || Source::Address(first.clone().into());
        for sharing in [Sharing::Exclusive, Sharing::Competing] {
            let second = Subscription::new(source(), Purpose::Replies).sharing(sharing);
            world.bus.subscribe(second).await.expect_err("it is exclusive");
        }
        assert_eq!(publish(&world.bus, &first, "{}").await, Receipt::Stored);

        // With the link the address goes; the next one is another.
        one.tap.lose(Duration::from_secs(1)).await;
        assert_eq!(publish(&world.bus, &first, "{}").await, Receipt::NoRoute);
        world.settle().await;
        one.probe().echo("x").await.unwrap();
        let last = reply_addresses(&one).pop().unwrap();
        assert_ne!(last, first);
        one.tap.until(1, "the old address is given up", |event| *event == Event::Left).await;
        assert_eq!(publish(&world.bus, &first, "{}").await, Receipt::NoRoute);
        let _ = one.endpoint.shutdown(Duration::ZERO).await.unwrap();
        assert_eq!(publish(&world.bus, &last, "{}").await, Receipt::NoRoute);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_ends_its_calls() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let pending = caller.probe().hold("pending").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "pending");
        agent.tap.hold(is_outcome);
        let hello = caller.endpoint.peer("agent").class("Admin").call::<String>("hello", ()).send().await.unwrap();
        agent.tap.until(1, "the answer is on its way", |event| matches!(event, Event::Held(_))).await;
        // One that waits to be sent, and names the address that is about to be lost.
        caller.tap.hold(|message| kind(message) == "request");
        let late = tokio::spawn(caller.endpoint.peer("agent").class("Admin").call::<String>("hello", ()).into_future());
        caller.tap.until(1, "it is on its way", |event| matches!(event, Event::Held(_))).await;

        let before = Instant::now();
        caller.tap.lose(Duration::from_secs(5)).await;
        let error = hello.await.unwrap_err();
        assert_eq!((error.fate(), before.elapsed()), (Fate::MayHaveRun, Duration::ZERO), "at once");
        assert!(matches!(error, CallError::ReplyLost), "{error:?}");
        caller.tap.release();
        let error = late.await.unwrap().unwrap_err();
        assert!(matches!(error, CallError::ReplyLost), "{error:?}");
        assert_eq!(before.elapsed(), Duration::from_secs(5), "as soon as it was sent");

        // What comes after is not touched.
        agent.tap.release();
        assert_eq!(caller.probe().echo("after").await.unwrap(), "after");
        agent.watch.open(1);
        assert_eq!(pending.await.unwrap(), "pending");
        assert_eq!(agent.watch.ran(), 2);
        assert_eq!(caller.endpoint.figures()[0].calls_waiting, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn replies_elsewhere_wait_for_their_reader() {
    for world in World::both() {
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        // Nothing is kept at an address that was never opened.
        caller.probe().echo("too early").reply_to("log").send().await.unwrap();
        world.settle().await;
        assert_eq!(agent.endpoint.figures()[0].replies_unroutable, 1);

        drop(caller.endpoint.replies("log").await.unwrap());
        caller.tap.until(1, "nobody listens", |event| *event == Event::Left).await;
        let mut expected = HashSet::new();
        for text in ["one", "two", "three"] {
            expected.insert((caller.probe().echo(text).reply_to("log").send().await.unwrap(), text.to_owned()));
        }
        world.settle().await;
        assert_eq!(world.bus.counters().waiting, 3);
        // Whoever opens it next has them: another endpoint too.
        let reader = world.caller("reader").await;
        let mut replies = reader.endpoint.replies("log").await.unwrap();
        for _ in 0..3 {
            let reply = soon("a reply", replies.next()).await.unwrap();
            let text: String = reply.body.decode::<_, Infallible>().unwrap().unwrap();
            assert!(expected.remove(&(reply.sn.unwrap(), text)));
        }
        let left = (world.bus.counters().waiting, world.bus.counters().unsettled);
        assert_eq!((left, caller.endpoint.figures()[0].calls_waiting), ((0, 0), 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_by_an_impostor_does_not_count() {
    let world = World::sealed();
    let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
    let forged = |by: &str| {
        let request = caller.tap.published().pop().unwrap();
        Raw::reply(&request, by, json!({"result": {"retval": "forged"}}))
    };
    let call = caller.probe().hold("genuine").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "genuine");
    // Somebody with a key of its own, as itself and as the agent.
    world.post(&forged("deputy")).await;
    world.post(&Raw(forged("deputy").0).with("status", "started")).await;
    let as_agent = forged("agent");
    publish(&world.bus, as_agent.destination(), as_agent.signed(&world.signer("deputy"))).await;
    agent.watch.open(1);
    assert_eq!(call.await.unwrap(), "genuine");
    let figures = caller.endpoint.figures()[0];
    assert_eq!((figures.impostors, figures.unverified), (2, 1));

    // The keyring may say that it answers for the agent.
    world.keyring.allow_answers("deputy", "agent");
    let call = caller.probe().hold("genuine").send().await.unwrap();
    world.post(&forged("deputy")).await;
    assert_eq!(call.await.unwrap(), "forged");
    assert_eq!(caller.endpoint.figures()[0].impostors, 2);
}

#[tokio::test(start_paused = true)]
async fn replies_do_not_go_everywhere() {
    for world in World::both() {
        let agent = world.agent("agent").await;
        let mut exchange = world.mailbox("amq.direct/box").await;
        for (sn, wrong) in ["agent", "amq.direct/agent", "amq.direct/box"].into_iter().enumerate() {
            world.post(&world.request("echo", json!(["x"])).sn(&sn.to_string()).reply_to(wrong)).await;
        }
        world.settle().await;
        assert_eq!((agent.watch.ran(), agent.endpoint.figures()[0].rejected), (0, 3));
        assert_eq!(agent.tap.published().len(), 1, "only the settler is answered");
        let _ = agent.endpoint.shutdown(Duration::ZERO).await.unwrap();

        let agent = world.agent_with("agent", |b| b.reply_exchanges(["amq.direct"])).await;
        for (sn, wrong) in ["amq.direct/agent", "amq.topic/box"].into_iter().enumerate() {
            world.post(&world.request("echo", json!(["x"])).sn(&sn.to_string()).reply_to(wrong)).await;
        }
        world.post(&world.request("echo", json!(["listed"])).sn("listed").reply_to("amq.direct/box").wants(&[])).await;
        assert_eq!(exchange.next().await["result"]["retval"], "listed");
        assert_eq!((agent.watch.ran(), agent.endpoint.figures()[0].rejected), (1, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_there_is_told_at_once() {
    for world in World::both() {
        let (caller, before) = (world.caller("caller").await, Instant::now());
        let probe = caller.probe();
        let errors = [
            probe.echo("x").await.map(drop).unwrap_err(),
            probe.echo("x").send().await.map(drop).unwrap_err(),
            probe.echo("x").notify().await.map(drop).unwrap_err(),
            probe.echo("x").reply_to("box").send().await.map(drop).unwrap_err(),
            probe.note("x").await.map(drop).unwrap_err(),
        ];
        for error in errors {
            assert_eq!((error.fate(), error.is_retryable()), (Fate::NeverRan, true));
            assert!(matches!(error, CallError::NoAgent(address) if address == "agent"));
        }
        // An endpoint that serves nothing is nobody's agent.
        let error = caller.endpoint.client::<rmi_tests::probe::ProbeClient>("caller").echo("x").await.unwrap_err();
        assert!(matches!(error, CallError::NoAgent(_)));
        assert_eq!((before.elapsed(), caller.endpoint.figures()[0].calls_waiting), (Duration::ZERO, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_reply_address_holds_up_nobody_else() {
    const ROOM: usize = 4;
    let options = Options::default().mailbox_frames(ROOM).wait(Duration::from_secs(30));
    for world in [World::with(true, options.clone()), World::with(false, options)] {
        let _agent = world.agent("agent").await;
        let caller = world.caller("caller").await;
        // A mailbox that nobody reads, with no room left.
        let _full = world.mailbox("full").await;
        for _ in 0..ROOM {
            assert_eq!(publish(&world.bus, "full", "{}").await, Receipt::Stored);
        }
        // Its answer, a rejection, has nowhere to go for a while.
        let unanswerable = world.request("no_such_method", json!([])).from("stuck").sn("1").reply_to("full");
        world.post(&unanswerable).await;
        let began = Instant::now();
        caller.probe().echo("x").timeout(Duration::from_secs(5)).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
}

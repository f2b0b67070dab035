//! Replies: where they come, where they do not go, and that whoever takes none holds up nobody.

use std::{collections::HashSet, convert::Infallible, time::Duration};

use super::{
    Caller, OUTAGE, Setting, agent, calling,
    needs::{Need, Powers},
    tap::{Passed, held, is_outcome, published, request},
};
use crate::{
    CallError,
    address::Address,
    error::Fate,
    message::RejectionCode,
    testing::conformance::soon,
    transport::{Frame, Purpose, Receipt, Sharing, Source, Subscription},
};

/// The reply addresses of the requests that a caller has sent.
fn reply_addresses(caller: &Caller) -> Vec<Address> {
    let asked = |message: &std::sync::Arc<crate::message::Message>| {
        request(message).and(message.head.reply.as_ref()).map(|path| path.to.clone())
    };
    caller.tap.published().iter().filter_map(asked).collect()
}

pub(super) async fn replies_come_to_a_volatile_address<S: Setting>(setting: &S) {
    let agent = agent(setting).await;
    let (one, two) = (calling(setting, "caller").await, calling(setting, "other").await);
    for caller in [&one, &two, &one] {
        caller.probe.echo("x").await.unwrap();
    }
    // An address for each endpoint, the same for all its calls, and nobody else's.
    let addresses = reply_addresses(&one);
    assert_eq!(addresses[0], addresses[1]);
    assert!(!reply_addresses(&two).contains(&addresses[0]));
    let (_, answer) = agent.tap.last(|message| is_outcome(message) && message.head.to == addresses[0]);
    for sharing in [Sharing::Exclusive, Sharing::Competing] {
        if let Some(subscription) = listening(&answer) {
            two.tap.transport().subscribe(subscription.sharing(sharing)).await.expect_err("it is exclusive");
        }
    }
    let tells = Powers::of(setting).await.lack(&[Need::Unroutable]).is_none();
    let publish = async |frame: &Frame| {
        let mut frame = frame.clone();
        frame.mandatory = true;
        two.tap.transport().publish(frame).await.unwrap()
    };
    assert_ne!(publish(&answer).await, Receipt::NoRoute);
    // With the link the address goes; the next one is another.
    one.tap.lose(OUTAGE).await;
    one.probe.echo("x").await.unwrap();
    let last = reply_addresses(&one).pop().unwrap();
    assert_ne!(last, addresses[0]);
    if !tells {
        return;
    }
    let gone = async |frame: &Frame| {
        soon("the address is given up", async {
            while publish(frame).await != Receipt::NoRoute {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    };
    gone(&answer).await;
    // And with its endpoint.
    let (_, answer) = agent.tap.last(|message| is_outcome(message) && message.head.to == last);
    let _ = one.endpoint.shutdown(Duration::ZERO).await.unwrap();
    gone(&answer).await;
}

/// Subscriptions to where a frame went, if it is an address.
fn listening(answer: &Frame) -> Option<Subscription> {
    match &answer.to {
        crate::transport::Destination::Address(address) => {
            Some(Subscription::new(Source::Address(address.clone()), Purpose::Replies))
        }
        _ => None,
    }
}

pub(super) async fn a_lost_link_ends_its_calls<S: Setting>(setting: &S) {
    let resumes = Powers::of(setting).await.lack(&[Need::Resume]).is_none();
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    if !resumes {
        // A dialect that cannot ask for outcomes.
        let call = caller.probe.hold("it").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "it");
        caller.tap.lose(OUTAGE).await;
        let error = soon("it ends with its link", call).await.unwrap_err();
        assert_eq!(error.fate(), Fate::MayHaveRun);
        assert!(matches!(error, CallError::ReplyLost), "{error:?}");
        assert_eq!(caller.endpoint.figures()[0].calls_waiting, 0);
        return;
    }
    // One whose answer is on its way, and one that waits to be sent and names the address that is about to be lost.
    agent.tap.hold(is_outcome);
    let hello = || caller.endpoint.peer("agent").class("Admin").call::<String>("hello", ());
    let answered = hello().send().await.unwrap();
    agent.tap.until(1, "the answer is on its way", held).await;
    caller.tap.hold(|message| request(message).is_some());
    let late = tokio::spawn(hello().into_future());
    caller.tap.until(1, "it is on its way", held).await;
    caller.tap.lose(OUTAGE).await;
    let error = soon("it ends with its link", answered).await.unwrap_err();
    assert_eq!(error.fate(), Fate::MayHaveRun);
    assert!(matches!(error, CallError::ReplyLost), "{error:?}");
    caller.tap.release();
    let error = soon("it ends with its link", late).await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::ReplyLost), "{error:?}");
    // What comes after is not touched.
    agent.tap.release();
    assert_eq!(caller.probe.echo("after").await.unwrap(), "after");
    assert_eq!(caller.endpoint.figures()[0].calls_waiting, 0);
}

pub(super) async fn replies_elsewhere_wait_for_their_reader<S: Setting>(setting: &S) {
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    drop(caller.endpoint.replies("log").await.unwrap());
    caller.tap.until(1, "nobody listens", |passed| matches!(passed, Passed::Left)).await;
    let mut expected = HashSet::new();
    for text in ["one", "two", "three"] {
        expected.insert((caller.probe.echo(text).reply_to("log").send().await.unwrap(), text.to_owned()));
        agent.watch.ended(text).await;
    }
    agent.tap.until(3, "they are sent", published(is_outcome)).await;
    // Whoever opens it next has them: another endpoint too.
    let reader = calling(setting, "other").await;
    let mut replies = reader.endpoint.replies("log").await.unwrap();
    for _ in 0..3 {
        let reply = soon("a reply waits", replies.next()).await.unwrap();
        assert_eq!(reply.from.as_ref().map(Address::as_str), Some("agent"));
        let text: String = reply.body.decode::<_, Infallible>().unwrap().unwrap();
        assert!(expected.remove(&(reply.sn.unwrap(), text)));
    }
    assert_eq!(caller.endpoint.figures()[0].calls_waiting, 0);
}

pub(super) async fn replies_do_not_go_everywhere<S: Setting>(setting: &S) {
    let (agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    for wrong in ["agent", "agent.admin", "somewhere/agent", "somewhere/box"] {
        caller.probe.echo("x").reply_to(wrong).send().await.unwrap();
    }
    assert_eq!(caller.probe.echo("behind them").await.unwrap(), "behind them");
    assert_eq!((agent.watch.ran(), agent.endpoint.figures()[0].rejected), (1, 4));
    assert_eq!(agent.tap.published().len(), 1, "only the last one is answered");
}

pub(super) async fn nobody_there_is_told_at_once<S: Setting>(setting: &S) {
    let bus = Powers::of(setting).await.lack(&[Need::Bus]).is_none();
    let (_agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let probe: super::ProbeClient = caller.endpoint.client("nobody");
    let mut errors = vec![soon("it is told", probe.echo("x")).await.map(drop).unwrap_err()];
    // A bus knows before anything is sent; the other end of a link says it.
    if bus {
        errors.push(probe.echo("x").send().await.map(drop).unwrap_err());
        errors.push(probe.echo("x").notify().await.map(drop).unwrap_err());
        errors.push(probe.note("x").await.map(drop).unwrap_err());
    }
    for error in errors {
        assert_eq!((error.fate(), error.is_retryable()), (Fate::NeverRan, true));
        assert!(matches!(&error, CallError::NoAgent(address) if *address == "nobody"), "{error:?}");
    }
    // An endpoint that serves nothing is nobody's agent.
    let other = calling(setting, "other").await;
    let error = other.endpoint.client::<super::ProbeClient>("caller").echo("x").await.unwrap_err();
    assert!(matches!(error, CallError::NoAgent(_)), "{error:?}");
    assert_eq!(caller.endpoint.figures()[0].calls_waiting, 0);
}

pub(super) async fn a_full_reply_address_holds_up_nobody_else<S: Setting>(setting: &S) {
    let (agent, stuck, caller) = (agent(setting).await, calling(setting, "other").await, calling(setting, "caller").await);
    // Where the answers to this one go takes nothing for a while; they are of methods that there are not, and never run.
    stuck.probe.echo("x").await.unwrap();
    let full = reply_addresses(&stuck).pop().unwrap();
    agent.tap.hold(move |message| message.head.to == full);
    let unanswerable = || stuck.endpoint.peer("agent").class("probe").call::<String>("no_such_method", ());
    let mut waiting = Vec::new();
    for _ in 0..MANY {
        waiting.push(unanswerable().timeout(Duration::from_secs(10)).send().await.unwrap());
    }
    for number in 0..5 {
        let number = number.to_string();
        assert_eq!(soon("another is answered", caller.probe.echo(&number)).await.unwrap(), number);
    }
    // Those that wait for it are as many as may; the others are given up, and counted.
    let given_up = || agent.endpoint.figures()[0].answers_given_up;
    soon("they are given up", async {
        while given_up() < (MANY - MAY_WAIT) as u64 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    // Once one of them has waited in vain, those that come after it are not tried.
    let tried = agent.tap.count(held);
    assert!(tried > MAY_WAIT && tried <= MANY, "{tried}");
    agent.tap.release();
    let mut answered = 0;
    for call in waiting {
        match soon("it is answered, or its time ends it", call).await {
            Err(CallError::Rejected(rejection)) => {
                assert_eq!(rejection.code, RejectionCode::UnknownMethod);
                answered += 1;
            }
            Err(CallError::Timeout { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((answered, given_up()), (MAY_WAIT, (MANY - MAY_WAIT) as u64));
    // And it is answered again.
    assert!(matches!(soon("it is answered", unanswerable()).await, Err(CallError::Rejected(_))));
}

/// Answers that wait for one address, at most.
const MAY_WAIT: usize = 64;
/// Those that are for it here.
const MANY: usize = 100;

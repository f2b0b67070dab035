//! One outcome: who asks again is answered, and nothing runs twice.

use std::{convert::Infallible, time::Duration};

use super::{
    Agent, Caller, OUTAGE, Setting, agent, agent_with, calling,
    needs::Powers,
    tap::{Passed, calls, delivered, held, is_outcome, numbered},
};
use crate::{
    CallError,
    error::Fate,
    message::{Message, Outcome, RejectionCode, Sn},
    remote,
    testing::conformance::soon,
    transport::{Disposition, TransportErrorKind},
};

/// What an agent of a later time serves.
#[remote(name = "later", crate = "crate")]
trait Later {
    async fn nothing(&self) -> Result<(), Infallible>;
}

struct Without;

impl Later for Without {
    async fn nothing(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The code of a rejection.
pub(super) fn code(outcome: &Outcome) -> Option<&RejectionCode> {
    if let Outcome::Rejected(rejection) = outcome { Some(&rejection.code) } else { None }
}

/// The text that a method gave.
pub(super) fn text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Result(value) => value.decode().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Everything that was played again has been looked at.
async fn settle(caller: &Caller) {
    assert_eq!(caller.probe.echo("behind it").await.unwrap(), "behind it");
}

pub(super) async fn a_duplicate_of_a_running_call_gets_its_outcome<S: Setting>(setting: &S) {
    let redelivers = Powers::of(setting).await.redelivers();
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let call = caller.probe.hold("it").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    let (_, request) = caller.tap.last(numbered(call.sn()));
    // However often: nobody is told that it was rejected while it runs.
    for _ in 0..10 {
        caller.tap.replay(&request).await;
    }
    settle(&caller).await;
    assert_eq!((agent.watch.ran(), agent.endpoint.figures()[0].attached), (2, 10));
    agent.watch.open(2);
    assert_eq!(call.await.unwrap(), "it");
    let sn = agent.tap.arrived_as(&request).head.sn.clone().unwrap();
    if redelivers {
        let done = |passed: &Passed| matches!(passed, Passed::Settled(message, Disposition::Ack) if numbered(&sn)(message));
        agent.tap.until(11, "all of them are acknowledged", done).await;
    }
    let _ = agent.endpoint.shutdown(Duration::from_secs(10)).await.unwrap();
    // All of them named one address, which is told once.
    assert_eq!((agent.tap.outcomes(Some(&sn)).len(), agent.watch.ran()), (1, 2));
}

pub(super) async fn a_duplicate_of_a_finished_call_gets_the_stored_outcome<S: Setting>(setting: &S) {
    let (agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let (failing, echo) = (caller.probe.fail(7).send().await.unwrap(), caller.probe.echo("x").send().await.unwrap());
    let sns = [failing.sn().clone(), echo.sn().clone()];
    assert_eq!(failing.await.unwrap_err().fate(), Fate::Ran);
    assert_eq!(echo.await.unwrap(), "x");
    for sn in &sns {
        let (_, request) = caller.tap.last(numbered(sn));
        let sn = agent.tap.arrived_as(&request).head.sn.clone();
        for again in 2..=4 {
            caller.tap.replay(&request).await;
            let told = agent.tap.until_outcomes(again, sn.as_ref()).await;
            assert_eq!(told[again - 1], told[0], "the stored one");
        }
    }
    assert_eq!((agent.watch.ran(), agent.endpoint.figures()[0].repeated), (2, 6));
}

pub(super) async fn a_reused_serial_number_is_told_by_its_text<S: Setting>(setting: &S) {
    let sealed = Powers::of(setting).await.is_sealed();
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let hold = caller.probe.hold("held").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "held");
    let sn = hold.sn().clone();
    let (_, first) = caller.tap.last(numbered(&sn));
    let number = sn.clone();
    let mut told = 0;
    // While the first one runs, and when it has ended.
    for round in 0..2 {
        for text_of in ["one", "two", "three"] {
            let said = format!("{text_of} {round}");
            let number = number.clone();
            caller.tap.change(move |message| message.head.sn = Some(number.clone()));
            drop(caller.probe.echo(&said).send().await.unwrap());
            caller.tap.change_nothing();
            told += 1;
            let outcomes = agent.tap.until_outcomes(told, Some(&sn)).await;
            if sealed {
                assert_eq!(code(&outcomes[told - 1]), Some(&RejectionCode::Reused));
            } else {
                assert_eq!(text(&outcomes[told - 1]), said);
            }
        }
        if round == 0 {
            agent.watch.open(1);
            told += 1;
            assert_eq!(text(&agent.tap.until_outcomes(told, Some(&sn)).await[told - 1]), "held");
        }
    }
    // Its own text is still told its own outcome where numbers are not reused; nothing ran because it came again.
    if sealed {
        caller.tap.replay(&first).await;
        assert_eq!(text(&agent.tap.until_outcomes(told + 1, Some(&sn)).await[told]), "held");
        assert_eq!(agent.watch.ran(), 1);
    } else {
        assert_eq!(agent.watch.ran(), 7);
    }
}

pub(super) async fn a_request_without_serial_number_is_served<S: Setting>(setting: &S) {
    let sealed = Powers::of(setting).await.is_sealed();
    let (agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    caller.tap.change(|message| message.head.sn = None);
    for again in 1..=3 {
        if again == 1 {
            drop(caller.probe.echo("x").send().await.unwrap());
        } else {
            // The same once more is served once more.
            caller.tap.replay(&caller.tap.last(calls("echo")).1).await;
        }
        let outcomes = agent.tap.until_outcomes(again, None).await;
        if sealed {
            assert_eq!(code(&outcomes[again - 1]), Some(&RejectionCode::Stale));
        } else {
            assert_eq!(text(&outcomes[again - 1]), "x");
        }
        assert_eq!(agent.watch.ran(), if sealed { 0 } else { again });
    }
}

pub(super) async fn a_request_is_acknowledged_after_its_outcome<S: Setting>(setting: &S) {
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    agent.tap.hold(is_outcome);
    let plain = caller.probe.echo("plain").send().await.unwrap();
    agent.tap.until(1, "the outcome is on its way", held).await;
    let settled = |agent: &Agent, sn: &Sn| {
        agent.tap.count(|passed| matches!(passed, Passed::Settled(message, Disposition::Ack) if numbered(sn)(message)))
    };
    assert_eq!(settled(&agent, plain.sn()), 0, "the bus keeps the request");
    agent.tap.release();
    let sn = plain.sn().clone();
    assert_eq!(plain.await.unwrap(), "plain");
    let acknowledged = |passed: &Passed| matches!(passed, Passed::Settled(message, Disposition::Ack) if numbered(&sn)(message));
    agent.tap.until(1, "it is settled", acknowledged).await;

    // The link is lost and comes back: what the bus holds now is the second delivery.
    agent.watch.seen();
    let call = caller.probe.hold("it").send().await.unwrap();
    let sn = call.sn().clone();
    assert_eq!(agent.watch.began().await, "it");
    agent.tap.lose(OUTAGE).await;
    agent.tap.until(2, "it is delivered again", delivered(numbered(&sn))).await;
    settle(&caller).await;
    agent.tap.hold(is_outcome);
    agent.watch.open(1);
    let on_its_way = |passed: &Passed| matches!(passed, Passed::Held(message) if message.head.sn.as_ref() == Some(&sn));
    agent.tap.until(1, "the outcome is on its way", on_its_way).await;
    let before = settled(&agent, &sn);

    // An outcome that the bus refuses for a while changes nothing.
    agent.tap.break_with(Some(TransportErrorKind::Disconnected));
    agent.tap.release();
    let refused = |passed: &Passed| matches!(passed, Passed::Refused(message) if message.head.sn.as_ref() == Some(&sn));
    agent.tap.until(2, "the bus refuses it", refused).await;
    assert_eq!(settled(&agent, &sn), before, "the bus keeps the request");
    agent.tap.break_with(None);
    assert_eq!(call.await.unwrap(), "it");
    let acknowledged = |passed: &Passed| matches!(passed, Passed::Settled(message, Disposition::Ack) if numbered(&sn)(message));
    agent.tap.until(before + 1, "the second delivery is settled", acknowledged).await;
    assert_eq!(agent.watch.ran(), 3);
    let mut since = agent.tap.passed().into_iter().skip_while(|passed| !on_its_way(passed));
    let about = |message: &Message| message.head.sn.as_ref() == Some(&sn);
    let first = since.find(|passed| matches!(passed, Passed::Published(m, _) | Passed::Settled(m, _) if about(m)));
    assert!(matches!(first, Some(Passed::Published(..))), "{first:?}");
}

pub(super) async fn an_outcome_that_cannot_be_sent_is_told_when_its_request_comes_again<S: Setting>(setting: &S) {
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let call = caller.probe.hold("it").send().await.unwrap();
    let sn = call.sn().clone();
    assert_eq!(agent.watch.began().await, "it");
    agent.tap.break_with(Some(TransportErrorKind::Disconnected));
    agent.watch.open(1);
    // As often as it is tried.
    let refused = |passed: &Passed| matches!(passed, Passed::Refused(message) if message.head.sn.as_ref() == Some(&sn));
    agent.tap.until(6, "the bus refuses it", refused).await;
    agent.tap.break_with(None);
    agent.tap.until(2, "the request comes again", delivered(numbered(&sn))).await;
    assert_eq!(soon("it ends", call).await.unwrap(), "it");
    assert_eq!(agent.watch.ran(), 1);
}

pub(super) async fn a_redelivered_request_is_not_said_never_to_have_run<S: Setting>(setting: &S) {
    let (mut first, caller) = (agent(setting).await, calling(setting, "caller").await);
    let one = caller.probe.hold_again("one").send().await.unwrap();
    let two = caller.probe.hold_again("two").send().await.unwrap();
    first.watch.began_all(["one", "two"]).await;
    drop(first.endpoint);
    first.tap.until(1, "the first agent is gone", |passed| matches!(passed, Passed::Left)).await;
    let mut next = agent_with(setting, |builder| builder.concurrency(1)).await;
    assert!(["one", "two"].contains(&next.watch.began().await.as_str()), "one of them runs again");
    next.tap.until(2, "both are delivered again", delivered(calls("hold_again"))).await;
    // What waits meets the drain.
    let endpoint = next.endpoint.clone();
    let drain = tokio::spawn(async move { endpoint.shutdown(Duration::from_secs(30)).await });
    let mut ends = Vec::new();
    let (mut one, mut two) = (Box::pin(one.into_future()), Box::pin(two.into_future()));
    let (waited, running) = tokio::select! {
        waited = soon("what waits is told", &mut one) => (waited, two),
        waited = soon("what waits is told", &mut two) => (waited, one),
    };
    ends.push(waited);
    next.watch.open(1);
    ends.push(soon("what runs ends", running).await);
    assert_eq!(drain.await.unwrap().unwrap().left_behind, 0);
    let waited = ends.remove(0).unwrap_err();
    assert!(matches!(waited, CallError::Interrupted(_)), "{waited:?}");
    assert_eq!(waited.fate(), Fate::MayHaveRun);
    assert!(ends[0].is_ok());
    assert_eq!(next.watch.ran(), 1);

    // Nor if who comes next does not even know the method.
    let mut first = agent(setting).await;
    let call = caller.probe.hold("it").send().await.unwrap();
    assert_eq!(first.watch.began().await, "it");
    drop(first.endpoint);
    first.tap.until(1, "the first agent is gone", |passed| matches!(passed, Passed::Left)).await;
    let _next = setting.endpoint("agent").await.serve(LaterServer::new(Without)).start().await.unwrap();
    let end = soon("it is delivered again", call).await.unwrap_err();
    assert!(matches!(&end, CallError::Interrupted(_)), "{end:?}");
}

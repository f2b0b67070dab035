use serde_json::{Value, json};

use super::{
    Setting, agent, agent_with, caller, calling,
    probe::{ProbeError, Seen},
    tap::{is_outcome, outcome, published},
};
use crate::{
    CallError, Endpoint, Limits, Update,
    error::Fate,
    message::{Exception, Outcome, RejectionCode},
    protocol::ProtocolError,
    testing::conformance::soon,
};

async fn refused(caller: &Endpoint, class: &'static str, method: &'static str, args: &Value) -> CallError<Exception> {
    caller.peer("agent").class(class).call::<Value>(method, args).await.expect_err("it is not served")
}

pub(super) async fn a_rejection_means_it_never_ran<S: Setting>(setting: &S) {
    let (agent, (endpoint, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let error = refused(&endpoint, "probe", "echo", &json!({"text": 1})).await;
    assert_eq!(error.fate(), Fate::NeverRan, "{error:?}");
    assert_eq!(agent.watch.ran(), 0);
    assert_eq!(probe.echo("again").await.unwrap(), "again");
    assert_eq!(agent.watch.ran(), 1);
}

pub(super) async fn each_mistake_of_a_caller_has_its_code<S: Setting>(setting: &S) {
    let (agent, (endpoint, _)) = (agent(setting).await, caller(setting, "caller").await);
    let cases = [
        ("nobody", "echo", json!({"text": "x"}), RejectionCode::UnknownClass),
        ("probe", "nothing", json!({}), RejectionCode::UnknownMethod),
        ("probe", "echo", json!({}), RejectionCode::Arguments),
        ("probe", "echo", json!({"text": 7}), RejectionCode::Arguments),
        ("probe", "echo", json!({"txt": "x"}), RejectionCode::Arguments),
    ];
    for (class, method, args, expected) in cases {
        match refused(&endpoint, class, method, &args).await {
            CallError::Rejected(rejection) => assert_eq!(rejection.code, expected, "{class}.{method}({args})"),
            other => panic!("{class}.{method}({args}): {other:?}"),
        }
    }
    assert_eq!(agent.watch.ran(), 0);
}

pub(super) async fn a_typed_error_arrives_as_itself<S: Setting>(setting: &S) {
    let (agent, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let error = probe.fail(7).await.unwrap_err();
    assert_eq!(error.fate(), Fate::Ran);
    assert!(matches!(error, CallError::Remote(ProbeError::Broken { code: 7 })), "{error:?}");
    let error = probe.fail_as_python("no such thing").await.unwrap_err();
    assert!(matches!(&error, CallError::Remote(ProbeError::Value(said)) if said == "no such thing"), "{error:?}");
    assert_eq!(agent.watch.ran(), 2);
}

pub(super) async fn an_unknown_exception_arrives_raw<S: Setting>(setting: &S) {
    let (_agent, (endpoint, _)) = (agent(setting).await, caller(setting, "caller").await);
    let args = json!({"module": "package.module", "class": "Strange", "message": "how odd"});
    let said = endpoint.peer("agent").class("probe").call::<Value>("raise", &args).await;
    let Err(CallError::Remote(exception)) = said else { panic!("{said:?}") };
    assert!(exception.is("package.module", "Strange"), "{exception:?}");
    assert_eq!((exception.message().as_str(), exception.xargs.as_str()), ("how odd", r#"["how odd"]"#));
    assert!(exception.trace().is_some_and(|trace| trace.contains("how odd")), "{exception:?}");
}

pub(super) async fn a_panic_is_an_outcome<S: Setting>(setting: &S) {
    let (agent, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    for call in [probe.explode("swordfish"), probe.explode_inline("swordfish")] {
        let error = call.await.unwrap_err();
        assert!(matches!(error, CallError::Panicked(_)), "{error:?}");
        assert!(!error.to_string().contains("swordfish"), "{error}");
    }
    let told = agent.tap.published();
    assert!(told.iter().all(|message| !format!("{message:?}").contains("swordfish")), "{told:?}");
    assert_eq!(agent.endpoint.figures()[0].panics, 2);
    assert_eq!(probe.echo("still here").await.unwrap(), "still here");
}

pub(super) async fn every_call_has_one_outcome<S: Setting>(setting: &S) {
    let (agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    // One that cannot be written as it is.
    agent.tap.change_or(|message| match outcome(message) {
        Some(Outcome::Result(value)) if value.as_str().len() > 1000 => Err(ProtocolError("too much".to_owned())),
        _ => Ok(()),
    });
    let probe = caller.endpoint.peer("agent").class("probe");
    let cases = [
        ("echo", json!({"text": "x"}), "result"),
        ("fail", json!({"code": 7}), "exception"),
        ("echo", json!({"text": 7}), "rejection"),
        ("nothing", json!({}), "rejection"),
        ("explode", json!({"secret": "x"}), "abort"),
        ("big", json!({"n": 2000}), "exception"),
    ];
    let mut pending = Vec::new();
    for (method, args, _) in &cases {
        pending.push(probe.call::<Value>(*method, args).send().await.unwrap());
    }
    for (mut call, (method, args, expected)) in pending.into_iter().zip(cases) {
        let mut ends = Vec::new();
        while let Some(update) = soon("a call ends", call.next()).await {
            match update {
                Ok(Update::Done(_)) => ends.push("result"),
                Ok(update) => assert!(ends.is_empty(), "{update:?} after the outcome"),
                Err(CallError::Remote(_) | CallError::Exception(_)) => ends.push("exception"),
                Err(CallError::Rejected(_)) => ends.push("rejection"),
                Err(CallError::Panicked(_)) => ends.push("abort"),
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(ends, [expected], "{method}({args})");
    }
    assert_eq!((agent.watch.ran(), caller.endpoint.figures()[0].calls_waiting), (4, 0));
    let drained = agent.endpoint.shutdown(std::time::Duration::from_secs(10)).await.unwrap();
    assert_eq!((drained.left_behind, agent.endpoint.running()), (0, 0));
    assert_eq!(agent.tap.count(published(is_outcome)), 6, "one for each");
}

pub(super) async fn a_redelivered_request_runs_again_only_if_idempotent<S: Setting>(setting: &S) {
    let (mut first, (_caller, probe)) = (agent(setting).await, caller(setting, "caller").await);
    let once = probe.hold("once").send().await.unwrap();
    let again = probe.hold_again("again").send().await.unwrap();
    first.watch.began_all(["once", "again"]).await;
    drop(first.endpoint);
    let mut second = agent(setting).await;
    second.watch.open(2);
    let error = soon("it is delivered again", once).await.unwrap_err();
    assert_eq!(error.fate(), Fate::MayHaveRun);
    assert!(matches!(error, CallError::Interrupted(_)), "{error:?}");
    assert_eq!(soon("it is delivered again", again).await.unwrap(), "again");
    assert_eq!(second.watch.next().await, Seen::Began("again".to_owned()));
    assert_eq!(second.watch.ran(), 1);
}

pub(super) async fn limits_are_held<S: Setting>(setting: &S) {
    let limits = Limits::default().payload(4000).depth(12).arguments(3);
    let agent = agent_with(setting, |builder| builder.limits(limits)).await;
    let (endpoint, probe) = caller(setting, "caller").await;
    let four = json!({"a": 1, "b": 2, "c": 3, "d": 4});
    match refused(&endpoint, "probe", "echo", &four).await {
        CallError::Rejected(rejection) => assert_eq!(rejection.code, RejectionCode::Limit),
        other => panic!("{other:?}"),
    }
    // What is too deep or too long may be answered, or not, and is not run.
    let (soon, deep) = (std::time::Duration::from_millis(300), (0..20).fold(json!("x"), |inner, _| json!([inner])));
    let deep = endpoint.peer("agent").class("probe").call::<Value>("echo", &json!({"text": deep})).timeout(soon).await;
    assert!(deep.is_err(), "it is too deep");
    assert!(probe.echo(&"x".repeat(4000)).timeout(soon).await.is_err(), "it is too long");
    assert_eq!(agent.endpoint.figures()[0].malformed, 2);
    assert_eq!(agent.watch.ran(), 0);
    assert_eq!(probe.echo("short").await.unwrap(), "short");
}

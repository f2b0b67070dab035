//! Rejected, failed, aborted: what an outcome says about whether the method ran.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rmi_core::{
    CallError, RemoteError,
    error::Fate,
    message::{Exception, Rejection, RejectionCode},
    remote,
};
use rmi_tests::{
    probe::ProbeError,
    raw::Raw,
    world::{Caller, World},
};
use serde::Serialize;
use serde_json::{Value, json};

async fn refused(caller: &Caller, class: &str, method: &str, args: impl Serialize) -> CallError<Exception> {
    let class = caller.endpoint.peer("agent").class(class.to_owned());
    class.call::<Value>(method.to_owned(), args).await.expect_err("it is not served")
}

fn code(error: &CallError<Exception>) -> &str {
    match error {
        CallError::Rejected(rejection) => rejection.code.as_str(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejection_means_it_never_ran() {
    for world in World::both() {
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        for _ in 0..2 {
            let error = refused(&caller, "probe", "echo", [1]).await;
            assert_eq!((code(&error), error.fate()), ("request.arguments", Fate::NeverRan));
            let error = refused(&caller, "probe", "nothing", ()).await;
            assert_eq!((code(&error), error.fate()), ("method.unknown", Fate::NeverRan));
            assert_eq!(agent.watch.ran(), 0);
        }
        // Sent again as it should have been, it runs.
        assert_eq!(caller.probe().echo("again").await.unwrap(), "again");
        assert_eq!(agent.watch.ran(), 1);
    }
    // An agent that has forgotten cannot say so of what may be a replay.
    let stale = CallError::<Exception>::Rejected(Rejection::new(RejectionCode::Stale, ""));
    assert_eq!((stale.fate(), stale.is_retryable()), (Fate::MayHaveRun, false));
}

#[tokio::test(start_paused = true)]
async fn each_mistake_of_a_caller_has_its_code() {
    for world in World::both() {
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let cases: [(&str, &str, Value, &str); 8] = [
            ("nobody", "echo", json!(["x"]), "class.unknown"),
            ("Probe", "echo", json!(["x"]), "class.unknown"),
            ("probe", "nothing", json!([]), "method.unknown"),
            ("probe", "Echo", json!(["x"]), "method.unknown"),
            ("probe", "echo", json!([]), "request.arguments"),
            ("probe", "echo", json!([7]), "request.arguments"),
            ("probe", "echo", json!(["x", "y"]), "request.arguments"),
            ("probe", "echo", json!({"txt": "x"}), "request.arguments"),
        ];
        for (class, method, args, expected) in cases {
            let error = refused(&caller, class, method, &args).await;
            assert_eq!(code(&error), expected, "{class}.{method}({args})");
        }
        let probe = caller.endpoint.peer("agent").class("probe");
        for (version, served) in [("1.0", true), ("1.4", true), ("1", true), ("2.0", false), ("0.9", false), ("new", false)] {
            let said = probe.clone().version(version).call::<String>("echo", ["x"]).await;
            match said {
                Ok(said) => assert!(served && said == "x", "{version}"),
                Err(CallError::Rejected(rejection)) => {
                    assert!(!served, "{version}");
                    assert_eq!(rejection.code, RejectionCode::UnknownVersion);
                    assert!(rejection.details.contains("1.4") && rejection.details.contains(version), "{rejection}");
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(agent.watch.ran(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_typed_error_arrives_as_itself() {
    for world in World::both() {
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let error = caller.probe().fail(7).await.unwrap_err();
        assert_eq!(error.fate(), Fate::Ran);
        assert!(matches!(error, CallError::Remote(ProbeError::Broken { code: 7 })), "{error:?}");
        match caller.probe().fail_as_python("no such thing").await {
            Err(CallError::Remote(ProbeError::Value(message))) => assert_eq!(message, "no such thing"),
            other => panic!("{other:?}"),
        }
        assert_eq!(agent.watch.ran(), 2);
    }
}

/// The probe, as somebody sees it who does not know what it may raise.
#[remote(name = "probe", version = "1.0", server = false)]
pub trait Narrow {
    /// Raises.
    async fn raise(&self, module: &str, class: &str, message: &str) -> Result<(), NarrowError>;
    /// Fails.
    async fn fail(&self, code: u32) -> Result<(), NarrowError>;
}

#[derive(Debug, PartialEq, thiserror::Error, RemoteError)]
#[error("narrow")]
/// All that it knows of.
pub enum NarrowError {
    /// Python's.
    #[remote(class = "KeyError", module = "builtins")]
    Key(String),
}

#[tokio::test(start_paused = true)]
async fn an_unknown_exception_arrives_raw() {
    for world in World::both() {
        let (_agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let narrow: NarrowClient = caller.endpoint.client("agent");
        match narrow.raise("builtins", "KeyError", "color").await {
            Err(CallError::Remote(error)) => assert_eq!(error, NarrowError::Key("color".to_owned())),
            other => panic!("{other:?}"),
        }
        let error = narrow.raise("package.module", "Strange", "how odd").await.unwrap_err();
        assert_eq!(error.fate(), Fate::Ran);
        let CallError::Exception(exception) = error else { panic!("{error:?}") };
        assert!(exception.is("package.module", "Strange"));
        assert_eq!(exception.message(), "how odd");
        assert_eq!(exception.xargs.as_str(), r#"["how odd"]"#);
        assert_eq!(exception.exval, "Strange: how odd");
        assert_eq!(exception.trace().unwrap(), "Strange: how odd");
        // An error of the contract's own that this caller does not know keeps its fields.
        let Err(CallError::Exception(exception)) = narrow.fail(7).await else { panic!("it is raw") };
        assert!(exception.is("rmi.probe", "ProbeError.Broken"), "{exception:?}");
        assert_eq!(exception.xstate.decode::<Value>().unwrap()["code"], 7);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_outcome() {
    for world in World::both() {
        let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let probe = caller.probe();
        for call in [probe.explode("swordfish"), probe.explode_inline("swordfish")] {
            let error = call.await.unwrap_err();
            assert_eq!(error.fate(), Fate::Ran);
            assert!(matches!(error, CallError::Panicked(_)), "{error:?}");
            assert!(!error.to_string().contains("swordfish"), "{error}");
        }
        assert!(agent.tap.published().iter().all(|message| !message.to_string().contains("swordfish")));
        assert_eq!(agent.endpoint.figures()[0].panics, 2);
        assert_eq!(probe.echo("still here").await.unwrap(), "still here");
    }
}

#[tokio::test(start_paused = true)]
async fn only_our_own_mark_makes_a_rejection() {
    let world = World::unsealed();
    let (mut agent, caller) = (world.mailbox("agent").await, world.caller("caller").await);
    let exception = |module: &str, class: &str| json!({"exval": "Traceback\n\nwhy", "xmodule": module, "xclass": class, "xargs": ["why"], "xstate": {}});
    let missing = exception("gofer.rmi.dispatcher", "MemberNotFound");
    let cases = [
        (missing.clone(), Value::Null, None),
        (missing.clone(), json!({"code": "method.unknown"}), Some(RejectionCode::UnknownMethod)),
        (missing.clone(), json!({"code": "request.expired"}), None),
        (missing, json!({"code": 7}), None),
        (exception("rmi", "Panicked"), Value::Null, None),
        (exception("rmi", "Cancelled"), Value::Null, None),
    ];
    for (exception, mark, expected) in cases {
        let class = caller.endpoint.peer("agent").class("probe");
        let pending = class.call::<Value>("echo", ["x"]).send().await.unwrap();
        let reply = Raw::reply(&agent.next().await, "agent", json!({"result": exception, "rmi": mark}));
        world.post(&reply).await;
        match (pending.await, expected) {
            (Err(CallError::Remote(raised)), None) => assert_eq!(raised.message(), "why"),
            (Err(CallError::Rejected(rejection)), Some(expected)) => assert_eq!(rejection.code, expected),
            (other, _) => panic!("{other:?} for {reply:?}"),
        }
    }

    // Nor can a method say that it was rejected.
    let world = World::sealed();
    let (agent, caller) = (world.agent("agent").await, world.caller("caller").await);
    match caller.probe().raise("gofer.rmi.dispatcher", "NamespaceNotFound", "no").await {
        Err(error @ CallError::Remote(_)) => assert_eq!(error.fate(), Fate::Ran),
        other => panic!("{other:?}"),
    }
    assert_eq!(agent.watch.ran(), 1);
}

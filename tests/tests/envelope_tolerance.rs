//! What is taken from peers that leave things out, and what is refused, with or without an answer.
#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support {
    pub mod envelope;
}

use std::time::Duration;

use rmi_core::{
    Json,
    message::{Abort, AbortReason, Body, Outcome, Progress, RejectionCode, Status, Statuses},
};
use serde_json::{Value, json};
use support::envelope::{decode, encode, kind, outcome, refused, request, value};

const HELLO: &str = r#"{"version":"2.0","replyto":"q","request":{"classname":"Admin","method":"hello"}}"#;

/// The smallest good request with other values at some places.
fn with(changes: Value) -> String {
    fn merge(into: &mut Value, changes: Value) {
        match (into, changes) {
            (Value::Object(into), Value::Object(changes)) => {
                for (key, change) in changes {
                    merge(into.entry(key).or_insert(Value::Null), change);
                }
            }
            (into, changes) => *into = changes,
        }
    }
    let mut message = serde_json::from_str(HELLO).unwrap();
    merge(&mut message, changes);
    message.to_string()
}

fn progress(total: &str) -> u64 {
    let text = format!(r#"{{"version":"2.0","sn":"1","status":"progress","total":{total},"completed":1}}"#);
    match decode(text).body {
        Body::Status(Status::Progress(progress)) => progress.total,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_smallest_request_is_read() {
    let message = decode(HELLO);
    assert_eq!((message.head.sn.clone(), message.head.to.as_str()), (None, "arrival"));
    let request = request(&message);
    assert_eq!((request.args.positional.as_str(), request.args.named.as_str(), &request.cntr), ("[]", "{}", &None));
    let nulls = json!({"sn": null, "data": null, "routing": null, "timestamp": null, "rmi": null, "future": [1, {"a": 2}],
                       "request": {"args": null, "kws": null, "kwargs": null, "cntr": null, "other": 1}});
    assert_eq!(decode(with(nulls)), message);
}

#[test]
fn keywords_are_read_under_both_names() {
    let named = |changes| request(&decode(with(json!({"request": changes})))).args.named.as_str().to_owned();
    assert_eq!(named(json!({"kws": {"a": 1}, "kwargs": {"a": 2}})), r#"{"a":1}"#);
    assert_eq!(named(json!({"kws": {}, "kwargs": {"a": 2}})), r#"{"a":2}"#);
    assert_eq!(named(json!({"kws": null, "kwargs": {"a": 2}})), r#"{"a":2}"#);
    assert_eq!(named(json!({"kwargs": {"a": 2}})), r#"{"a":2}"#);
    let spaced = HELLO.replace(r#""method""#, r#""kws":{ },"kwargs":{"a": 2},"method""#);
    assert_eq!(request(&decode(spaced)).args.named.as_str(), r#"{"a": 2}"#);
}

#[test]
fn constructor_arguments_have_three_forms() {
    let cntr = |cntr: Value| {
        let cntr = request(&decode(with(json!({"request": {"cntr": cntr}})))).cntr.clone().unwrap();
        format!("{}{}", cntr.positional, cntr.named)
    };
    assert_eq!(cntr(json!([["rover"], {"age": 10}])), r#"["rover"]{"age":10}"#);
    assert_eq!(cntr(json!([["rover"]])), r#"["rover"]{}"#);
    assert_eq!(cntr(json!([])), "[]{}");
    assert_eq!(cntr(json!([null, null])), "[]{}");
    for wrong in [json!(1), json!({}), json!([{}, []]), json!([[], {}, 1]), json!("x")] {
        let refused = refused(with(json!({"request": {"cntr": wrong}})));
        assert!(refused.answer);
        assert_eq!(refused.rejection.code, RejectionCode::Malformed);
    }
}

#[test]
fn serial_numbers_are_text_of_a_limited_length() {
    let sn = |sn: Value| decode(with(json!({"sn": sn}))).head.sn.map(|sn| sn.as_str().to_owned());
    assert_eq!(sn(json!("../../etc")), Some("../../etc".into()));
    assert_eq!(sn(json!("\u{fc}\n")), Some("\u{fc}\n".into()));
    assert_eq!(sn(json!(17)), Some("17".into()));
    assert_eq!(sn(json!(-1.5)), Some("-1.5".into()));
    // Replies have it as it came, whether it is a number or its digits.
    for sn in [json!(17), json!(-1.5), json!("17"), Value::Null] {
        let mut reply = decode(with(json!({"sn": sn})));
        reply.head.to = "q".into();
        reply.body = Body::Outcome(Outcome::Result(Json::NULL));
        assert_eq!(value(&encode(&reply))["sn"], sn);
    }
    assert_eq!(sn(json!("a".repeat(256))).unwrap().len(), 256);
    let long = refused(with(json!({"sn": "a".repeat(257)})));
    assert_eq!((long.answer, long.rejection.code), (true, RejectionCode::Limit));
    assert_eq!(long.head.unwrap().sn, None);
    for wrong in [json!(true), json!([]), json!({})] {
        assert_eq!(refused(with(json!({"sn": wrong}))).rejection.code, RejectionCode::Malformed);
    }
    let lone = refused(HELLO.replace("replyto", r#"sn":"\ud800","replyto"#));
    assert_eq!((lone.answer, lone.rejection.code), (true, RejectionCode::Malformed));
}

#[test]
fn only_the_string_is_the_version() {
    for (version, found) in [
        ("2.0", "2.0"),
        ("2", "2"),
        ("null", "None"),
        ("true", "True"),
        ("\"\"", ""),
        ("\"2.0 \"", "2.0 "),
        ("[2]", "[2]"),
        ("\"9.9\"", "9.9"),
    ] {
        let refused = refused(HELLO.replace("\"2.0\"", version));
        assert_eq!(refused.rejection.code, RejectionCode::ModelVersion, "{version}");
        assert_eq!(refused.rejection.details, *format!("expected:2.0, found:{found}"));
        assert!(refused.answer);
    }
    let missing = refused(HELLO.replace(r#""version":"2.0","#, ""));
    assert_eq!(missing.rejection.details, "expected:2.0, found:None");
    let long = refused(HELLO.replace("2.0", &"\u{fc}".repeat(10_000)));
    assert!(long.rejection.details.len() < 100, "a peer's text is not sent back at any length");
    assert_eq!(decode(HELLO.replace("2.0", r"\u0032.0")), decode(HELLO));
}

#[test]
fn a_refusal_is_answered_where_the_sender_waits() {
    let all = json!({"sn": "7", "data": {"job": 1}, "routing": ["me", "you"]});
    for (wrong, code) in [
        (json!({"request": null}), RejectionCode::Malformed),
        (json!({"request": []}), RejectionCode::Malformed),
        (json!({"request": "bark"}), RejectionCode::Malformed),
        (json!({"request": {"classname": null}}), RejectionCode::Malformed),
        (json!({"request": {"method": 5}}), RejectionCode::Malformed),
        (json!({"request": {"args": {"a": 1}}}), RejectionCode::Malformed),
        (json!({"request": {"args": "abc"}}), RejectionCode::Malformed),
        (json!({"request": {"kws": [1]}}), RejectionCode::Malformed),
        (json!({"request": {"kwargs": 1}}), RejectionCode::Malformed),
        (json!({"version": "9.9"}), RejectionCode::ModelVersion),
    ] {
        let mut message: Value = serde_json::from_str(&with(all.clone())).unwrap();
        let changed: Value = serde_json::from_str(&with(wrong.clone())).unwrap();
        message["request"] = changed["request"].clone();
        message["version"] = changed["version"].clone();
        let refused = refused(message.to_string());
        assert_eq!(refused.rejection.code, code, "{wrong}");
        assert!(refused.answer && !refused.close, "{wrong}");
        let head = refused.head.unwrap();
        assert_eq!(head.sn.unwrap().as_str(), "7");
        assert_eq!(head.data.unwrap().as_str(), r#"{"job":1}"#);
        assert_eq!((head.from.unwrap().as_str(), head.to.as_str(), head.reply.unwrap().to.as_str()), ("me", "you", "q"));
    }
}

#[test]
fn a_refusal_without_a_reply_address_is_silent() {
    for text in [
        "",
        "null",
        "[]",
        r#"["2.0",{"classname":"Dog","method":"bark"}]"#,
        "\"text\"",
        "17",
        "{",
        "{}",
        "{} {}",
        "{'a':1}",
        r#"{"version":"2.0"}"#,
        r#"{"version":"2.0","request":{"classname":"Dog"}}"#,
        r#"{"version":"2.0","replyto":"","request":null}"#,
        r#"{"version":"2.0","replyto":5,"request":{"classname":"Dog","method":"bark"}}"#,
        r#"{"version":"2.0","sn":"1","sn":"2","replyto":"q","request":{"classname":"Dog","method":"bark"}}"#,
    ] {
        assert!(!refused(text).answer, "{text}");
    }
    assert!(!refused(b"\xff{}").answer);
    assert!(refused(r#"{"version":"2.0","replyto":"q"}"#).answer, "no kind, but somebody waits");
}

#[test]
fn replies_are_never_answered() {
    for text in [
        r#"{"version":"2.0","sn":"1","replyto":"q","status":"paused"}"#,
        r#"{"version":"2.0","sn":"1","replyto":"q","status":5}"#,
        r#"{"version":"9.9","sn":"1","replyto":"q","status":"accepted"}"#,
        r#"{"version":"2.0","sn":"1","replyto":"q","result":{}}"#,
        r#"{"version":"2.0","sn":"1","replyto":"q","result":null}"#,
        r#"{"version":"2.0","sn":"1","replyto":"q","result":[1]}"#,
        r#"{"version":"2.0","sn":"1","replyto":"q","rmi":{"event":{}}}"#,
    ] {
        let refused = refused(text);
        assert!(!refused.answer, "{text}");
        assert_eq!(refused.head.unwrap().sn.unwrap().as_str(), "1");
    }
}

#[test]
fn kinds_are_told_apart_as_gofer_does() {
    let all = r#""request":{"classname":"A","method":"b"},"status":"accepted","result":{"retval":1,"exval":"x"}"#;
    let read = |body: &str| kind(&decode(format!(r#"{{"version":"2.0",{body}}}"#)));
    assert_eq!(read(all), "request");
    let (_, replies) = all.split_once(r#","status""#).unwrap();
    assert_eq!(read(&format!(r#""status"{replies}"#)), "accepted");
    assert_eq!(read(r#""status":null,"result":{"retval":null,"exval":"x"}"#), "result");
    assert_eq!(read(r#""result":{"exval":null}"#), "exception");
}

#[test]
fn progress_counts_whatever_is_counted() {
    assert_eq!(progress("3"), 3);
    assert_eq!(progress("null"), 0);
    assert_eq!(progress("-4"), 0);
    assert_eq!(progress("2.9"), 2);
    assert_eq!(progress("1e3"), 1_000);
    assert_eq!(progress("1e999"), u64::MAX);
    assert_eq!(progress("18446744073709551615"), u64::MAX);
    assert_eq!(progress("18446744073709551616"), u64::MAX);
    assert_eq!(progress("\"many\""), 0);
    assert_eq!(progress("NaN"), 0);
    let bare = decode(r#"{"version":"2.0","status":"progress"}"#);
    let expected = Progress { details: rmi_core::Json::EMPTY_OBJECT, ..Progress::default() };
    assert_eq!(bare.body, Body::Status(Status::Progress(expected)));
}

#[test]
fn pythons_numbers_that_are_none_are_null() {
    let text = r#"{"version": "2.0", "data": "NaN", "result": {"retval": [NaN, Infinity, -Infinity, 1]}}"#;
    let message = decode(text);
    assert_eq!(message.head.data.as_ref().unwrap().as_str(), "\"NaN\"");
    let Outcome::Result(value) = outcome(&message) else { panic!("a result") };
    assert_eq!(value.as_str(), "[null, null, null, 1]");
}

#[test]
fn words_that_are_no_unicode_are_still_read() {
    let text =
        r#"{"version":"2.0","result":{"exval":"file \udcff","xmodule":null,"xclass":"E","xargs":["\udcff"],"xstate":null}}"#;
    let message = decode(text);
    let Outcome::Exception(e) = outcome(&message) else { panic!("an exception") };
    assert!(e.exval.starts_with("file \u{fffd}"), "{e:?}");
    assert_eq!(e.xargs.as_str(), r#"["\udcff"]"#);
}

#[test]
fn a_rejection_may_say_little() {
    let message = decode(r#"{"version":"2.0","status":"rejected"}"#);
    let Outcome::Rejected(rejection) = outcome(&message) else { panic!("a rejection") };
    assert_eq!((rejection.code.as_str(), rejection.description.as_str(), rejection.details.as_str()), ("", "", ""));
    let message = decode(r#"{"version":"2.0","status":"rejected","code":"x.y","details":{"a":1}}"#);
    let Outcome::Rejected(rejection) = outcome(&message) else { panic!("a rejection") };
    assert_eq!((rejection.code.as_str(), rejection.details.as_str()), ("x.y", r#"{"a":1}"#));
}

#[test]
fn only_our_code_makes_an_exception_something_else() {
    let read = |rmi: &str, class: &str| {
        let result = format!(r#""exval":"E: x","xmodule":"rmi","xclass":"{class}","xargs":["x"],"xstate":{{}}"#);
        outcome(&decode(format!(r#"{{"version":"2.0","result":{{{result}}}{rmi}}}"#))).clone()
    };
    assert!(matches!(read("", "Cancelled"), Outcome::Exception(_)));
    assert!(matches!(read(r#","rmi":{"code":"agent.busy"}"#, "Cancelled"), Outcome::Exception(_)));
    assert!(matches!(read(r#","rmi":{"code":"aborted.unheard"}"#, "Cancelled"), Outcome::Exception(_)));
    assert!(matches!(read(r#","rmi":{"code":5}"#, "Cancelled"), Outcome::Exception(_)));
    assert!(matches!(read(r#","rmi":"aborted.cancelled""#, "Cancelled"), Outcome::Exception(_)));
    let cancelled = Outcome::Aborted(Abort::new(AbortReason::Cancelled, "x"));
    assert_eq!(read(r#","rmi":{"code":"aborted.cancelled"}"#, "Cancelled"), cancelled);
    let Outcome::Rejected(rejection) = read(r#","rmi":{"code":"class.unknown"}"#, "E") else { panic!("a rejection") };
    assert_eq!((rejection.code, rejection.details.as_str()), (RejectionCode::UnknownClass, "x"));
}

#[test]
fn what_we_added_is_read_as_far_as_it_has_its_form() {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let message = decode(with(json!({"rmi": {"version": "1.2", "statuses": ["progress", "paused", 5], "ttl": 1500.9,
                                             "trace": trace, "future": {}}})));
    assert_eq!(message.head.ttl, Some(Duration::from_millis(1500)));
    assert_eq!(message.head.trace.as_deref(), Some(trace));
    assert_eq!(request(&message).version.as_deref(), Some("1.2"));
    assert_eq!(request(&message).wants, Some(Statuses { progress: true, ..Statuses::NONE }));

    let rmi = |rmi: Value| decode(with(json!({"rmi": rmi})));
    let plain = decode(HELLO);
    for nothing in [
        json!(5),
        json!([1]),
        json!({"version": 1, "statuses": "all", "ttl": "5", "trace": 5}),
        json!({"statuses": null, "ttl": null, "trace": trace.to_uppercase()}),
        json!({"trace": trace.replace("00-", "01-")}),
        json!({"trace": format!("{trace}0")}),
        json!({"trace": trace.replace("b7", "\u{fc}")}),
        json!({"statuses": {"accepted": true}}),
    ] {
        assert_eq!(rmi(nothing.clone()), plain, "{nothing}");
    }
    assert_eq!(request(&rmi(json!({"statuses": []}))).wants, Some(Statuses::NONE));
    assert_eq!(rmi(json!({"ttl": -1})).head.ttl, Some(Duration::ZERO));
}

#[test]
fn what_is_read_shares_the_buffer_it_came_in() {
    let text = with(json!({"sn": "0123", "data": {"a": 1}, "routing": ["from", "to"], "request": {"args": ["x"]}}));
    let delivery = support::envelope::delivery(&text, "arrival");
    let range = delivery.payload.as_ptr_range();
    let message = rmi_core::protocol::Protocol::decode(&rmi_core::Native::new(), &delivery).unwrap();
    let request = request(&message);
    for part in [
        message.head.sn.as_ref().unwrap().as_str(),
        message.head.data.as_ref().unwrap().as_str(),
        message.head.from.as_ref().unwrap().as_str(),
        message.head.to.as_str(),
        message.head.reply.as_ref().unwrap().to.as_str(),
        &request.class,
        &request.method,
        request.args.positional.as_str(),
    ] {
        assert!(range.contains(&part.as_ptr()), "{part} was copied");
    }
}

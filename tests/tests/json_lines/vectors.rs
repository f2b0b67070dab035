//! Lines that the agent of 2013 exchanged, said to ours: it says the same, but for what is listed here with the reason.

use rmi_core::protocol::JsonLines;
use serde_json::{Value, json};

use crate::{
    desk::Desk,
    peer::{self, Peer},
};

/// Where ours does something else, and what: the lines that it says, and whether it closes the link then.
fn deviation(case: &str) -> Option<(Vec<Value>, bool)> {
    let error = |text: &str| json!({ "id": "1", "version": "v1", "error": text });
    let fatal = |text: &str| json!({ "fatal_error": text });
    Some(match case {
        // Both ends answer pings, as is documented.
        "method-ping" => (vec![json!({ "id": "1", "version": "v1", "result": { "task_id": "t1", "a": 1 } })], false),
        // Both spellings are read, as only one is documented and only the other was deployed.
        "method-standbye.cache_images" => {
            (vec![error("missing parameter \"image_ids\" in \"standbye.cache_images\" command")], false)
        }
        "method-standbye.run_image" => (vec![error("missing parameter \"image_id\" in \"standbye.run_image\" command")], false),
        // Swallowed by the original, whose peer waited for ever.
        "method-list" => (vec![fatal("unknown message method")], true),
        // The original closed the link without a word.
        "json-number" | "json-null" => (vec![fatal("protocol error: malformed message.")], true),
        _ => return None,
    })
}

pub(crate) fn cases() -> Vec<Value> {
    let text = include_str!("../../vectors/teeth.json");
    let cases: Value = serde_json::from_str(text).unwrap();
    let cases = cases["cases"].as_array().unwrap().clone();
    assert_eq!(cases.len(), 44);
    cases
}

/// A line of the vectors as it was: they have been cut short, and cannot hold what is not UTF-8.
fn original(case: &str, line: &str) -> Vec<u8> {
    let length = match case {
        "line-524288" if line.contains("aaaa") => JsonLines::LONGEST_LINE,
        "line-too-long" if line.contains("aaaa") => JsonLines::LONGEST_LINE + 1,
        "invalid-utf8" => return line.as_bytes().split(|b| *b == 0xef).collect::<Vec<_>>().join(&0xff),
        _ => return line.as_bytes().to_vec(),
    };
    let end = "\"}}";
    format!("{line}{}{end}", "a".repeat(length - line.len() - end.len())).into_bytes()
}

/// Whether what was said is what was to be said. Ids that were drawn are told to `drawn`.
fn same(said: &Value, expected: &Value, drawn: &mut Vec<(String, String)>) -> bool {
    match (said, expected) {
        (Value::Object(said), Value::Object(expected)) => {
            said.len() == expected.len()
                && expected.iter().all(|(key, expected)| said.get(key).is_some_and(|said| same(said, expected, drawn)))
        }
        (Value::String(said), Value::String(expected)) if expected.len() == 36 && expected.matches('-').count() == 4 => {
            drawn.push((expected.clone(), said.clone()));
            said.len() == 36
        }
        // Of the time.
        (Value::Number(_), Value::Number(expected)) if expected.is_f64() => true,
        (said, expected) => said == expected,
    }
}

async fn expect(peer: &mut impl Peer, case: &str, expected: &Value, drawn: &mut Vec<(String, String)>) {
    let said = peer.hear().await.unwrap_or_else(|| panic!("{case}: closed in place of {expected}"));
    let value: Value = serde_json::from_str(&said).unwrap();
    assert!(same(&value, expected, drawn), "{case}: {said} in place of {expected}");
}

/// Nothing more has been said, and the link is up or closed.
async fn at_the_end(peer: &mut impl Peer, case: &str, closed: bool) {
    if closed {
        assert_eq!(peer.hear().await, None, "{case}: it is closed");
        return;
    }
    peer.say(br#"{"id": "last", "version": "v1", "method": "ping", "params": {"x": 1}}"#).await;
    let answer = json!({ "id": "last", "version": "v1", "result": { "x": 1 } });
    expect(peer, case, &answer, &mut Vec::new()).await;
}

/// Plays a case.
pub(crate) async fn play(peer: &mut impl Peer, case: &Value) {
    let name = case["case"].as_str().unwrap();
    let ours = case["role_under_test"].as_str().unwrap();
    let ours = if ours == "endpoint" { "server" } else { ours };
    let closed = !(case["agent_closed"].is_null() && case["closed"].is_null());
    let transcript: Vec<(String, String)> = serde_json::from_value(case["transcript"].clone()).unwrap();
    let mut drawn: Vec<(String, String)> = Vec::new();
    for (at, (who, line)) in transcript.iter().enumerate() {
        if who == "harness" {
            peer.log().await;
            continue;
        }
        if who != ours {
            let mut line = original(name, line);
            for (theirs, ours) in &drawn {
                line = String::from_utf8(line).map(|l| l.replace(theirs, ours).into_bytes()).unwrap_or_else(|e| e.into_bytes());
            }
            if name == "split-segments" && at > 2 && at < 5 {
                peer.say_part(&line).await;
            } else {
                peer.say(&line).await;
            }
            continue;
        }
        if let (Some((lines, closes)), true) = (deviation(name), at > 2) {
            for line in lines {
                expect(peer, name, &line, &mut drawn).await;
            }
            return at_the_end(peer, name, closes).await;
        }
        if name == "prepare_image-twice-same-task" && at == 4 {
            // The original answers when it has begun. Here the answer is the end.
            for _ in 0..4 {
                assert!(peer.hear().await.unwrap().contains("task_status"), "{name}");
            }
            continue;
        }
        expect(peer, name, &serde_json::from_str(line).unwrap(), &mut drawn).await;
    }
    if let (Some((lines, closes)), true) = (deviation(name), transcript.last().is_some_and(|(who, _)| who != ours)) {
        for line in lines {
            expect(peer, name, &line, &mut drawn).await;
        }
        return at_the_end(peer, name, closes).await;
    }
    if name == "prepare_image-twice-same-task" {
        peer.let_go().await;
        expect(peer, name, &json!({ "id": "1", "version": "v1", "result": null }), &mut drawn).await;
    }
    at_the_end(peer, name, closed).await;
}

/// The cases that a peer can play which says lines.
pub(crate) fn playable(role: &str) -> Vec<Value> {
    let transport = ["two-endpoints", "line-too-long"];
    let fits = |case: &Value| case["role_under_test"] == role && !transport.contains(&case["case"].as_str().unwrap());
    cases().into_iter().filter(fits).collect()
}

fn teeth() -> JsonLines {
    JsonLines::agent("a:b:c:d").agent_version("0.1-dev")
}

#[tokio::test]
async fn the_dialect_alone_says_what_the_original_said() {
    for case in playable("agent") {
        // Without an endpoint nobody reports progress.
        if case["case"] == "prepare_image-twice-same-task" {
            continue;
        }
        play(&mut Desk::new(teeth(), false), &case).await;
    }
    for case in playable("endpoint") {
        play(&mut Desk::new(JsonLines::server(), true), &case).await;
    }
}

#[tokio::test]
async fn an_endpoint_says_what_the_original_said() {
    for case in playable("agent") {
        play(&mut peer::wired_agent(teeth()).await, &case).await;
    }
    for case in playable("endpoint") {
        play(&mut peer::wired_server(JsonLines::server()).await, &case).await;
    }
}

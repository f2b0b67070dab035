//! Cancelling as gofer's clients do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rmi_tests::{raw::publish, world::World};
use serde_json::{Value, json};

#[tokio::test(start_paused = true)]
async fn gofer_cancels_in_its_own_form() {
    let world = World::unsealed();
    let (mut agent, mut replies) = (world.agent_with("agent", |b| b.concurrency(1)).await, world.mailbox("box").await);
    // What a gofer client writes: no sender, no date, nothing of ours.
    let gofer = |sn: &str, class: &str, method: &str, args: Value, kws: Value, data: Value| {
        json!({
            "data": data, "replyto": "box", "routing": [null, "agent"], "sn": sn, "version": "2.0",
            "request": {"args": args, "classname": class, "cntr": [[], {}], "kws": kws, "method": method},
        })
    };
    let post = async |message: Value| publish(&world.bus, "agent", message.to_string()).await;
    let cancel = |args: Value, kws: Value| gofer("asks", "Admin", "cancel", args, kws, Value::Null);
    let mut asked = 0;
    let mut answer = async |mut message: Value, replies: &mut rmi_tests::raw::Mailbox| {
        asked += 1;
        message["sn"] = format!("asks-{asked}").into();
        post(message).await;
        let mut said = replies.conversation().await;
        assert_eq!(said.iter().map(rmi_tests::raw::kind).take(2).collect::<Vec<_>>(), ["accepted", "started"]);
        said.pop().unwrap()["result"].clone()
    };
    post(gofer("runs", "probe", "listen", json!(["runs"]), json!({}), json!({"job": 1}))).await;
    assert_eq!(agent.watch.began().await, "runs");
    for _ in ["accepted", "started"] {
        assert_eq!(replies.next().await["sn"], "runs");
    }
    for (sn, job) in [("waits", 2), ("by criteria", 3), ("by name", 4), ("by kwargs", 5), ("by both", 6), ("8", 7)] {
        post(gofer(sn, "probe", "echo", json!(["x"]), json!({}), json!({"job": job}))).await;
        assert_eq!(replies.next().await["status"], "accepted");
    }
    // Before the start: the outcome comes beside the answer, as an exception that gofer can read.
    let cases = [
        ("waits", cancel(json!(["waits"]), json!({}))),
        ("by criteria", cancel(json!([null, {"match": {"job": 3}}]), json!({}))),
        ("by name", cancel(json!([]), json!({"sn": "by name"}))),
        ("by kwargs", {
            let mut asks = cancel(json!([]), json!({}));
            asks["request"]["kwargs"] = json!({"criteria": {"match": {"job": 5}}});
            asks
        }),
        // Criteria count beside a serial number.
        ("by both", cancel(json!(["runs", {"match": {"job": 6}}]), json!({}))),
        // Who counts its requests names one by its number.
        ("8", cancel(json!([8]), json!({}))),
    ];
    for (number, (sn, mut asks)) in cases.into_iter().enumerate() {
        asks["sn"] = format!("before-{number}").into();
        post(asks).await;
        let mut results = Vec::new();
        while results.len() < 2 {
            let said = replies.next().await;
            if rmi_tests::raw::is_outcome(&said) {
                results.push(said);
            }
        }
        results.sort_by_key(|said| said["sn"] != sn);
        let exception = &results[0]["result"];
        assert_eq!((&exception["xclass"], &exception["xmodule"]), (&json!("Cancelled"), &json!("rmi")), "{sn}");
        assert_eq!(exception["xargs"].as_array().unwrap().len(), 1);
        assert_eq!(results[1]["result"], json!({"retval": [sn]}));
    }
    // Who names none cancels none.
    for none in [json!([]), json!([null]), json!([null, null]), json!(["", {}]), json!([0, ""])] {
        assert_eq!(answer(cancel(none.clone(), json!({})), &mut replies).await, json!({"retval": []}), "{none}");
    }
    // While it runs.
    let cancelled = answer(cancel(json!(["runs"]), json!({})), &mut replies).await;
    assert_eq!(cancelled["retval"], json!(["runs"]));
    let done = replies.next().await;
    assert_eq!((&done["sn"], &done["result"]["retval"]), (&json!("runs"), &json!("runs was cancelled")));
    // After its end, and what never was: gofer's own words.
    for sn in ["runs", "waits", "../../etc/passwd"] {
        let unknown = answer(cancel(json!([sn]), json!({})), &mut replies).await;
        assert_eq!((&unknown["xclass"], &unknown["xmodule"]), (&json!("Exception"), &json!("builtins")));
        assert_eq!(unknown["xargs"], json!([format!("serial number ({sn}), not-found")]));
    }
    assert_eq!(agent.watch.ran(), 1);
}

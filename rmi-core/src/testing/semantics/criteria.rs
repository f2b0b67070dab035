//! Cancelling by criteria on the data of requests.

use serde_json::{Value, json};

use super::{Setting, agent, agent_with, caller, calling};
use crate::{CallError, Update, endpoint::Criteria, message::RejectionCode, testing::conformance::soon};

pub(super) async fn criteria_choose_by_the_data<S: Setting>(setting: &S) {
    let (mut agent, (endpoint, probe)) =
        (agent_with(setting, |builder| builder.concurrency(3)).await, caller(setting, "caller").await);
    let mut calls = Vec::new();
    let all = [
        ("a", json!({"job": 7, "user": "ann"})),
        ("b", json!({"job": 7.0, "user": "bob"})),
        ("c", json!({"user": "ann"})),
        // These wait for their turn.
        ("d", json!({"job": 8, "user": "ann"})),
        ("e", json!(5)),
        ("none", json!(null)),
    ];
    for (name, data) in &all {
        let mut call = probe.listen(name).data(data).send().await.unwrap();
        assert_eq!(soon("it is accepted", call.next()).await.unwrap().unwrap(), Update::Accepted);
        calls.push(call);
    }
    agent.watch.began_all(["a", "b", "c"]).await;
    let admin = endpoint.peer("agent").admin();
    let sns = |names: &[usize]| {
        let mut sns: Vec<_> = names.iter().map(|at| calls[*at].sn().clone()).collect();
        sns.sort_unstable();
        sns
    };
    let eight = Criteria::has("job", 8).unwrap().or(Criteria::gt(4).unwrap().and(Criteria::lt(6).unwrap()));
    let mut cancelled = admin.cancel_where(&eight).await.unwrap();
    cancelled.sort_unstable();
    assert_eq!(cancelled, sns(&[3, 4]), "waiting ones too");
    // A missing member is no match, and a number is itself however it is written.
    let job = Criteria::has("job", 7).unwrap();
    assert_eq!(admin.cancel_where(&job.clone().and(Criteria::has("user", "ann").unwrap())).await.unwrap(), sns(&[0]));
    assert_eq!(admin.cancel_where(&job).await.unwrap(), sns(&[1]), "the other one has been cancelled before");
    assert_eq!(admin.cancel_where(&Criteria::neq("nothing").unwrap()).await.unwrap(), sns(&[2]), "no data, no match");
    assert_eq!(admin.cancel_where(&Criteria::one_of([5, 7]).unwrap()).await.unwrap(), []);
    agent.watch.open(1);
    let mut ends = Vec::new();
    for call in calls {
        ends.push(soon("it ends", call).await.map_err(|error| error.to_string()));
    }
    let said: Vec<&str> = ends.iter().map(|end| end.as_deref().unwrap_or("never ran")).collect();
    assert_eq!(said, ["a was cancelled", "b was cancelled", "c was cancelled", "never ran", "never ran", "none"]);
}

pub(super) async fn criteria_that_cannot_be_read_cancel_nothing<S: Setting>(setting: &S) {
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let call = caller.probe.listen("it").data(7).send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    let admin = caller.endpoint.peer("agent").class("Admin");
    let deep = (0..20).fold(json!({"eq": 7}), |inner, _| json!({"or": [inner, {"eq": 7}]}));
    let wide = (0..9).fold(json!({"eq": 7}), |inner, _| json!({"or": [inner.clone(), inner]}));
    for (criteria, why) in [
        (json!({"like": 7}), "unknown variant `like`"),
        (json!({"or": [{"eq": 7}]}), "length 1"),
        (json!({"eq": 7, "neq": 8}), "criteria"),
        (json!({"in": "7"}), "sequence"),
        (deep, "at most 16 levels"),
        (wide, "256 operators"),
        (json!({"eq": "x".repeat(70_000)}), "bytes"),
    ] {
        match admin.call::<Value>("cancel", &json!({"criteria": criteria})).await {
            Err(CallError::Rejected(rejection)) => {
                assert_eq!(rejection.code, RejectionCode::Arguments);
                assert!(rejection.details.contains(why), "{why}: {rejection}");
            }
            other => panic!("{why}: {other:?}"),
        }
    }
    // Who names none cancels none; criteria count where there is a serial number as well.
    let sn = call.sn().to_string();
    for none in
        [json!({}), json!({"sn": null, "criteria": null}), json!({"criteria": {}}), json!({"sn": sn, "criteria": {"eq": 8}})]
    {
        assert_eq!(admin.call::<Value>("cancel", &none).await.unwrap(), json!([]), "{none}");
    }
    assert_eq!(agent.watch.seen(), []);
    agent.watch.open(1);
    assert_eq!(call.await.unwrap(), "it");
}

pub(super) async fn each_operator_chooses_as_it_says<S: Setting>(setting: &S) {
    let data = json!({"job": 7, "user": "ann", "tags": ["a", {"n": 1.0}], "none": null});
    let object = [
        // Every member that is named has to be there, and be the same.
        (json!({"match": {"job": 7}}), true),
        (json!({"match": {"job": 7.0, "user": "ann"}}), true),
        (json!({"match": {"job": "7"}}), false),
        (json!({"match": {"job": 7, "missing": 1}}), false),
        // One that is missing is not one that is null.
        (json!({"match": {"missing": null}}), false),
        (json!({"match": {"none": null}}), true),
        (json!({"match": {"tags": ["a", {"n": 1}]}}), true),
        (json!({"match": {"tags": ["a"]}}), false),
        (json!({"match": {}}), false),
        // The others look at all of it.
        (json!({"eq": {"none": null, "tags": ["a", {"n": 1}], "user": "ann", "job": 7}}), true),
        (json!({"eq": {"job": 7}}), false),
        (json!({"eq": 7}), false),
        (json!({"neq": {"job": 7}}), true),
        (json!({"in": [1, {"job": 7}]}), false),
        (json!({"gt": 0}), false),
        (json!({"lt": "z"}), false),
        (json!({"and": [{"match": {"job": 7}}, {"match": {"user": "ann"}}]}), true),
        (json!({"and": [{"match": {"job": 7}}, {"match": {"user": "bob"}}]}), false),
        (json!({"or": [{"match": {"job": 8}}, {"match": {"user": "ann"}}]}), true),
        (json!({"or": [{"match": {"job": 8}}, {"match": {"user": "bob"}}]}), false),
        (json!({"or": [{"and": [{"neq": 1}, {"match": {"job": 8}}]}, {"and": [{"neq": 2}, {"match": {"job": 7}}]}]}), true),
    ];
    let number = [
        (json!({"eq": 7.0}), true),
        (json!({"neq": 7}), false),
        (json!({"in": [6, 7]}), true),
        (json!({"in": []}), false),
        (json!({"in": ["7"]}), false),
        (json!({"gt": 6.5}), true),
        (json!({"gt": 7}), false),
        (json!({"lt": 7.5}), true),
        (json!({"lt": 7}), false),
        (json!({"gt": "6"}), false),
        (json!({"lt": u64::MAX}), true),
        (json!({"gt": i64::MIN}), true),
        (json!({"match": {"job": 7}}), false),
    ];
    let text = [
        (json!({"eq": "b"}), true),
        (json!({"gt": "a"}), true),
        (json!({"gt": "b"}), false),
        (json!({"lt": "c"}), true),
        (json!({"lt": 9}), false),
        (json!({"in": ["a", "b"]}), true),
        (json!({"match": {"b": 1}}), false),
    ];
    // What says nothing about itself is not meant, whatever is asked.
    let nothing = [(json!({"eq": null}), false), (json!({"neq": 1}), false), (json!({"in": [null]}), false)];
    let tables =
        [(data, object.to_vec()), (json!(7), number.to_vec()), (json!("b"), text.to_vec()), (json!(null), nothing.to_vec())];
    let (mut agent, caller) = (agent(setting).await, calling(setting, "caller").await);
    let admin = caller.endpoint.peer("agent").class("Admin");
    for (data, table) in tables {
        for (criteria, meant) in table {
            let call = caller.probe.listen("it").data(&data).send().await.unwrap();
            assert_eq!(agent.watch.began().await, "it");
            // As gofer gives it: by position, behind no serial number.
            let cancelled: Vec<String> = admin.call("cancel", (Value::Null, &criteria)).await.unwrap();
            assert_eq!(cancelled == [call.sn().as_str()], meant, "{criteria} of {data}");
            assert_eq!(cancelled.len(), usize::from(meant));
            // The same, asked again, has nothing left to cancel.
            let again: Vec<String> = admin.call("cancel", json!({"criteria": criteria})).await.unwrap();
            assert_eq!(again, Vec::<String>::new());
            if !meant {
                agent.watch.open(1);
            }
            assert_eq!(call.await.unwrap(), if meant { "it was cancelled" } else { "it" });
            agent.watch.ended("it").await;
        }
    }
}

//! Cancelling: explicit, cooperative, and by nobody else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{future::Future, time::Duration};

use rmi_core::{
    CallError, Native, Principal, Trust, Update,
    endpoint::{Criteria, Operators},
    error::Fate,
    message::{Exception, RejectionCode},
};
use rmi_tests::{
    probe::{ProbeServer, Seen, Watch},
    raw::{Raw, publish},
    tap::{Event, Tap},
    world::{Caller, World},
};
use serde_json::{Value, json};

/// So many, one after the other.
async fn futures<F: Future<Output = Result<T, E>>, T, E: std::fmt::Debug>(each: impl Fn() -> F, many: usize) -> Vec<T> {
    let mut all = Vec::new();
    for _ in 0..many {
        all.push(each().await.unwrap());
    }
    all
}

/// Asks for a cancellation by serial number.
async fn cancel(caller: &Caller, sn: &str) -> Result<Vec<String>, CallError<Exception>> {
    caller.endpoint.peer("agent").class("Admin").call("cancel", [sn]).await
}

fn assert_unknown(answer: Result<Vec<String>, CallError<Exception>>, sn: &str) {
    match answer {
        Err(CallError::Remote(exception)) => {
            assert!(exception.is("builtins", "Exception"), "{exception:?}");
            assert_eq!(exception.message(), format!("serial number ({sn}), not-found"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_told_that_it_is_cancelled() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        // One that looks ends as it likes.
        let listening = caller.probe().listen("listening").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "listening");
        assert!(listening.cancel().await.unwrap());
        assert_eq!(agent.watch.next().await, Seen::Cancelled("listening".to_owned()));
        assert_eq!(listening.await.unwrap(), "listening was cancelled");
        assert_eq!(agent.watch.next().await, Seen::Ended("listening".to_owned()));

        // One that does not look runs to its end.
        let deaf = caller.probe().hold("deaf").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "deaf");
        assert!(deaf.cancel().await.unwrap());
        world.settle().await;
        assert_eq!(agent.watch.seen(), []);
        agent.watch.open(1);
        assert_eq!(deaf.await.unwrap(), "deaf");
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_stops_nothing() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let watched = caller.probe().listen("watched").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "watched");
        drop(watched);
        let awaited = tokio::time::timeout(Duration::from_secs(1), caller.probe().listen("awaited")).await;
        assert!(awaited.is_err());
        assert_eq!(agent.watch.began().await, "awaited");
        assert_eq!(caller.endpoint.figures()[0].calls_waiting, 0);
        world.settle().await;
        assert_eq!((agent.watch.seen(), agent.endpoint.running()), (vec![], 2));
        agent.watch.open(2);
        for name in ["watched", "awaited"] {
            assert_eq!(agent.watch.next().await, Seen::Ended(name.to_owned()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn cancelled_before_its_start_it_never_runs() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent_with("agent", |b| b.concurrency(1)).await, world.caller("caller").await);
        let held = caller.probe().hold("held").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "held");
        let mut waiting = caller.probe().echo("waiting").send().await.unwrap();
        assert_eq!(waiting.next().await.unwrap().unwrap(), Update::Accepted);
        assert!(waiting.cancel().await.unwrap());
        // While the other one still runs.
        let error = waiting.await.unwrap_err();
        assert_eq!(error.fate(), Fate::NeverRan);
        assert!(matches!(error, CallError::Cancelled), "{error:?}");
        assert_eq!((agent.watch.ran(), agent.endpoint.running()), (1, 1));
        agent.watch.open(1);
        assert_eq!(held.await.unwrap(), "held");
        assert_eq!(caller.probe().echo("next").await.unwrap(), "next");
        assert_eq!(agent.watch.ran(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn only_its_own_principal_cancels() {
    let world = World::sealed();
    let (mut agent, owner, other) = (world.agent("agent").await, world.caller("owner").await, world.caller("other").await);
    let call = owner.probe().listen("it").send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    assert_unknown(cancel(&other, call.sn().as_str()).await, call.sn().as_str());
    // Nor by saying that it is somebody else.
    let mut replies = world.mailbox("box").await;
    let mut forged = world.request("cancel", json!([call.sn().as_str()])).from("owner").sn("forged").reply_to("box");
    forged.0["request"]["classname"] = "Admin".into();
    let forged = forged.signed(&world.signer("other"));
    rmi_tests::raw::publish(&world.bus, "agent", forged).await;
    assert_eq!(replies.next().await["code"], "security.authentication");
    world.settle().await;
    assert_eq!(agent.watch.seen(), []);
    // Another endpoint with the owner's key is the owner.
    let (sn, owner_again) = (call.sn().clone(), world.caller("owner").await);
    assert_eq!(cancel(&owner_again, sn.as_str()).await.unwrap(), [sn.as_str()]);
    assert_eq!(call.await.unwrap(), "it was cancelled");
}

#[tokio::test(start_paused = true)]
async fn admin_reaches_a_busy_agent() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent_with("agent", |b| b.concurrency(1)).await, world.caller("caller").await);
        let held = caller.probe().listen("held").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "held");
        // As many wait as the agent takes: the bus keeps what is more.
        let mut waiting = Vec::new();
        for number in 0..62 {
            waiting.push(caller.probe().echo(&number.to_string()).send().await.unwrap());
        }
        for waiting in &mut waiting {
            assert_eq!(waiting.next().await.unwrap().unwrap(), Update::Accepted);
        }
        let (admin, tap) = (caller.endpoint.peer("agent").class("Admin"), &agent.tap);
        for _ in 0..10 {
            let hello: String = admin.call("hello", ()).await.unwrap();
            assert_eq!(hello, "Hello, I am agent");
        }
        assert_eq!(agent.watch.ran(), 1);
        assert!(held.cancel().await.unwrap());
        assert_eq!(held.await.unwrap(), "held was cancelled");
        for waiting in waiting {
            waiting.await.unwrap();
        }
        assert_eq!((agent.watch.ran(), agent.watch.seen().len()), (63, 126));

        // More than 64 are not taken from the bus: at the agent's own address nobody is answered, at the one for `Admin` as ever.
        let mut holding = futures(|| caller.probe().listen("held").send(), 64).await;
        agent.watch.began().await;
        let delivered = |event: &Event| matches!(event, Event::Delivered(_));
        tap.until(63 + 11 + 64, "they are taken", delivered).await;
        let mut late = admin.call::<String>("hello", ()).send().await.unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(1), late.next()).await.is_err(), "not even accepted");
        assert_eq!(caller.endpoint.peer("agent").admin().hello().await.unwrap(), "Hello, I am agent");
        assert!(holding.remove(63).cancel().await.unwrap());
        agent.watch.open(64);
        assert_eq!(late.await.unwrap(), "Hello, I am agent");
        for held in holding {
            held.await.unwrap();
        }
        // Nothing else is served there.
        let class = caller.endpoint.peer("agent.admin").class("probe");
        if !world.is_sealed() {
            let error = class.call::<String>("echo", ["x"]).await.unwrap_err();
            assert!(matches!(&error, CallError::Rejected(r) if r.code == RejectionCode::UnknownClass), "{error:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn admin_falls_back_to_the_agents_own_address() {
    let world = World::unsealed();
    let (caller, mut agent) = (world.caller("caller").await, world.mailbox("old").await);
    let asking = tokio::spawn(async move { caller.endpoint.peer("old").admin().hello().await });
    let request = agent.next().await;
    assert_eq!((&request["request"]["method"], &request["routing"][1]), (&json!("hello"), &json!("old")));
    world.post(&Raw::reply(&request, "old", json!({"result": {"retval": "Hello, I am gofer agent"}}))).await;
    assert_eq!(asking.await.unwrap().unwrap(), "Hello, I am gofer agent");
}

#[tokio::test(start_paused = true)]
async fn what_waits_on_the_bus_is_cancelled_as_it_comes() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent_with("agent", |b| b.concurrency(1)).await, world.caller("caller").await);
        let holding = futures(|| caller.probe().hold("held").send(), 64).await;
        agent.watch.began().await;
        let behind = caller.probe().listen("behind").send().await.unwrap();
        let before = agent.tap.count(|event| matches!(event, Event::Delivered(_)));
        let asked = |event: &Event| matches!(event, Event::Published(m) if m["request"]["method"] == "cancel");
        let cancelling = async {
            let (cancelled, ()) = tokio::join!(behind.cancel(), async {
                caller.tap.until(2, "it asks in the lane, and behind it", asked).await;
                assert!(before <= 64);
                agent.watch.open(64);
            });
            cancelled
        };
        assert!(cancelling.await.unwrap());
        for held in holding {
            held.await.unwrap();
        }
        match behind.await {
            Ok(said) => assert_eq!(said, "behind was cancelled"),
            Err(error) => assert!(matches!(error, CallError::Cancelled), "{error:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn criteria_choose_by_the_data() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent_with("agent", |b| b.concurrency(3)).await, world.caller("caller").await);
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
            let mut call = caller.probe().listen(name).data(data).send().await.unwrap();
            assert_eq!(call.next().await.unwrap().unwrap(), Update::Accepted);
            calls.push(call);
        }
        agent.watch.began_all(["a", "b", "c"]).await;
        let admin = caller.endpoint.peer("agent").admin();
        let sns = |names: &[usize]| {
            let mut sns: Vec<_> = names.iter().map(|at| calls[*at].sn().clone()).collect();
            sns.sort_unstable();
            sns
        };
        let eight = Criteria::has("job", 8).unwrap().or(Criteria::gt(4).unwrap().and(Criteria::lt(6).unwrap()));
        assert_eq!(admin.cancel_where(&eight).await.unwrap(), sns(&[3, 4]), "waiting ones too");
        // A missing member is no match, and a number is itself however it is written.
        let job = Criteria::has("job", 7).unwrap();
        assert_eq!(admin.cancel_where(&job.clone().and(Criteria::has("user", "ann").unwrap())).await.unwrap(), sns(&[0]));
        assert_eq!(admin.cancel_where(&job).await.unwrap(), sns(&[1]), "the other one has been cancelled before");
        assert_eq!(admin.cancel_where(&Criteria::neq("nothing").unwrap()).await.unwrap(), sns(&[2]), "no data, no match");
        assert_eq!(admin.cancel_where(&Criteria::one_of([5, 7]).unwrap()).await.unwrap(), []);
        agent.watch.open(1);
        let mut ends = Vec::new();
        for call in calls {
            ends.push(call.await.map_err(|error| error.to_string()));
        }
        let said: Vec<&str> = ends.iter().map(|end| end.as_deref().unwrap_or("never ran")).collect();
        assert_eq!(said, ["a was cancelled", "b was cancelled", "c was cancelled", "never ran", "never ran", "none"]);
    }
}

#[tokio::test(start_paused = true)]
async fn criteria_that_cannot_be_read_cancel_nothing() {
    let world = World::unsealed();
    let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
    let call = caller.probe().listen("it").data(7).send().await.unwrap();
    assert_eq!(agent.watch.began().await, "it");
    let admin = caller.endpoint.peer("agent").class("Admin");
    let deep = (0..20).fold(json!({"eq": 7}), |inner, _| json!({"or": [inner, {"eq": 7}]}));
    let wide = (0..9).fold(json!({"eq": 7}), |inner, _| json!({"or": [inner.clone(), inner]}));
    for (criteria, why) in [
        (json!({"like": 7}), "unknown variant `like`"),
        (json!({"or": [{"eq": 7}]}), "length 1"),
        (json!({"eq": 7, "neq": 8}), "criteria"),
        (json!({}), "criteria"),
        (json!({"in": "7"}), "sequence"),
        (deep, "at most 16 levels"),
        (wide, "256 operators"),
        (json!({"eq": "x".repeat(70_000)}), "bytes"),
    ] {
        let asked = json!({"criteria": criteria});
        match admin.call::<Value>("cancel", &asked).await {
            Err(CallError::Rejected(rejection)) => {
                assert_eq!(rejection.code, RejectionCode::Arguments);
                assert!(rejection.details.contains(why), "{why}: {rejection}");
            }
            other => panic!("{why}: {other:?}"),
        }
    }
    for neither in [json!({}), json!({"sn": "1", "criteria": {"eq": 7}}), json!({"sn": null, "criteria": null})] {
        let error = admin.call::<Value>("cancel", &neither).await.unwrap_err();
        assert!(matches!(&error, CallError::Rejected(r) if r.details.contains("one of them")), "{error:?}");
    }
    world.settle().await;
    assert_eq!(agent.watch.seen(), []);
    agent.watch.open(1);
    assert_eq!(call.await.unwrap(), "it");
}

#[tokio::test(start_paused = true)]
async fn a_policy_lets_others_cancel() {
    let world = World::sealed();
    let ops = || Operators::new([Principal::Key("ops".into())]);
    let mut agent = world.agent_with("agent", |b| b.admin(ops())).await;
    let [owner, other, ops] = [world.caller("owner").await, world.caller("other").await, world.caller("ops").await];
    let one = owner.probe().listen("one").data(json!({"job": 1})).send().await.unwrap();
    let two = owner.probe().listen("two").data(json!({"job": 2})).send().await.unwrap();
    agent.watch.began_all(["one", "two"]).await;
    let job = Criteria::has("job", 2).unwrap();
    let admin = |caller: &Caller| caller.endpoint.peer("agent").admin();
    assert_eq!(admin(&other).cancel_where(&job).await.unwrap(), []);
    assert_unknown(cancel(&other, one.sn().as_str()).await, one.sn().as_str());
    assert_eq!(admin(&ops).cancel(one.sn()).await.unwrap(), [one.sn().clone()]);
    assert_eq!(admin(&ops).cancel_where(&job).await.unwrap(), [two.sn().clone()]);
    assert_eq!(one.await.unwrap(), "one was cancelled");
    assert_eq!(two.await.unwrap(), "two was cancelled");
}

#[tokio::test(start_paused = true)]
async fn requests_of_one_number_are_cancelled_together() {
    let world = World::unsealed();
    let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
    for name in ["one", "two", "three"] {
        world.post(&world.request("listen", json!([name])).sn("7").wants(&[])).await;
    }
    agent.watch.began_all(["one", "two", "three"]).await;
    assert_eq!(cancel(&caller, "7").await.unwrap(), ["7"]);
    for _ in 0..3 {
        while !matches!(agent.watch.next().await, Seen::Cancelled(_)) {}
    }
    world.settle().await;
    assert_unknown(cancel(&caller, "7").await, "7");
}

#[tokio::test(start_paused = true)]
async fn the_second_cancel_says_so() {
    for world in World::both() {
        let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
        let call = caller.probe().hold("it").send().await.unwrap();
        assert_eq!(agent.watch.began().await, "it");
        assert!(call.cancel().await.unwrap(), "the first one");
        assert!(!call.cancel().await.unwrap(), "the second one");
        let sn = call.sn().clone();
        assert_eq!(cancel(&caller, sn.as_str()).await.unwrap(), Vec::<String>::new());
        agent.watch.open(1);
        assert_eq!(call.await.unwrap(), "it");
        // And when it has ended, or never was, it is unknown.
        assert_unknown(cancel(&caller, sn.as_str()).await, sn.as_str());
        assert_unknown(cancel(&caller, "nonsense").await, "nonsense");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_is_somebodys_at_its_own_binding() {
    let (here, there) = (World::unsealed(), World::unsealed());
    let (probing, mut watch) = Watch::new();
    let agent = here.builder("agent", &Tap::on(&here.bus)).bind(Native::default(), there.bus.clone(), Trust::insecure());
    let _agent = agent.serve(ProbeServer::new(probing)).start().await.unwrap();
    let (owner, other) = (here.caller("owner").await, there.caller("other").await);
    let call = owner.probe().listen("it").data(1).send().await.unwrap();
    assert_eq!(watch.began().await, "it");
    assert_unknown(cancel(&other, call.sn().as_str()).await, call.sn().as_str());
    let all = Criteria::eq(1).unwrap();
    assert_eq!(other.endpoint.peer("agent").admin().cancel_where(&all).await.unwrap(), []);
    assert_eq!(owner.endpoint.peer("agent").admin().cancel_where(&all).await.unwrap(), [call.sn().clone()]);
    assert_eq!(call.await.unwrap(), "it was cancelled");
}

#[tokio::test(start_paused = true)]
async fn each_operator_chooses_as_it_says() {
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
    let world = World::unsealed();
    let (mut agent, caller) = (world.agent("agent").await, world.caller("caller").await);
    let admin = caller.endpoint.peer("agent").class("Admin");
    for (data, table) in tables {
        for (criteria, meant) in table {
            let call = caller.probe().listen("it").data(&data).send().await.unwrap();
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
    for (sn, job) in [("waits", 2), ("by criteria", 3), ("by name", 4), ("by kwargs", 5)] {
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

#[tokio::test(start_paused = true)]
async fn asking_an_agent_takes_no_longer_than_it_may() {
    let world = World::unsealed();
    let second = Duration::from_secs(1);
    // It says in its lane, late, that it knows nothing; behind what waits on the bus it never says anything.
    let (mut lane, _own) = (world.mailbox("agent.admin").await, world.mailbox("agent").await);
    let caller = world.caller("caller").await;
    let admin = caller.endpoint.peer("agent").admin().timeout(second * 3);
    let began = tokio::time::Instant::now();
    let sn = rmi_core::message::Sn::new("x").unwrap();
    let (answer, ()) = tokio::join!(admin.cancel(&sn), async {
        let request = lane.next().await;
        tokio::time::sleep(second * 2).await;
        let unknown =
            json!({"result": {"exval": "x", "xmodule": "builtins", "xclass": "Exception", "xargs": ["x"], "xstate": {}}});
        world.post(&Raw::reply(&request, "agent", unknown)).await;
    });
    assert!(matches!(answer, Err(CallError::Timeout { after, .. }) if after == second * 3), "{answer:?}");
    assert!(began.elapsed() < second * 4, "{:?}", began.elapsed());
}

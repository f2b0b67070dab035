//! Long commands: one method with a progress context, on both ends and in both profiles.

use std::time::Duration;

use rmi_core::{
    Address, CallError, Endpoint, Trust, Update,
    message::RejectionCode,
    protocol::{JsonLines, json_lines::Profile},
};
use rmi_tests::wires::Listener;
use serde_json::{Value, json};

use crate::{
    peer::{self, Peer, Real, Wired},
    provisioning::{AgentClient, AgentServer, ServerClient, ServerServer, StandbyClient, StandbyServer, Step, Teeth},
};

const PROFILES: [Profile; 2] = [Profile::Deployed, Profile::Documented];

struct Ours {
    server: Endpoint,
    agent: Endpoint,
    teeth: Teeth,
}

/// Our agent and our server, which call each other by name.
async fn ours(profile: Profile) -> Ours {
    let (listener, teeth) = (Listener::new(), Teeth::default());
    let server = peer::server(JsonLines::server().profile(profile), listener.clone(), &teeth).await;
    let agent = JsonLines::agent("rex").profile(profile).handshake(true);
    let agent = peer::agent(agent, listener.dial(), &teeth).await;
    while let Err(CallError::NoAgent(_)) = server.client::<AgentClient>("rex").status().await {
        tokio::task::yield_now().await;
    }
    Ours { server, agent, teeth }
}

#[tokio::test(start_paused = true)]
async fn a_call_reports_its_progress_and_its_end() {
    for profile in PROFILES {
        let Ours { server, teeth, agent: _agent } = ours(profile).await;
        let mut call = server.client::<StandbyClient>("rex").prepare_image("i1".into()).send().await.unwrap();
        let mut steps = Vec::new();
        while steps.last().is_none_or(|(completed, _, _)| *completed < 4) {
            match call.next().await.unwrap().unwrap() {
                Update::Progress(step) => steps.push((step.completed, step.total, step.details.disk)),
                Update::Accepted | Update::Started => {}
                Update::Done(()) => panic!("it goes on"),
            }
        }
        // Where there is a word for it, it also says that it has begun.
        steps.retain(|(completed, ..)| *completed > 0);
        let expected: Vec<_> = (1..=4).map(|completed| (completed, 4, "sda".to_owned())).collect();
        assert_eq!(steps, expected, "{profile:?}");
        teeth.gate.add_permits(1);
        assert!(matches!(call.next().await, Some(Ok(Update::Done(())))), "{profile:?}");
        let figures = server.figures()[0];
        assert_eq!((figures.orphans, figures.malformed), (0, 0), "{profile:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_keeps_what_the_profile_has_words_for() {
    for profile in PROFILES {
        let Ours { server, teeth, agent: _agent } = ours(profile).await;
        let standby = server.client::<StandbyClient>("rex");
        teeth.gate.add_permits(1);
        let CallError::Remote(raised) = standby.prepare_image("broken".into()).await.unwrap_err() else { panic!() };
        assert_eq!(raised.message(), "disk on fire", "{profile:?}");
        let class = (profile == Profile::Documented).then_some("Standby.Broken");
        assert_eq!(raised.xclass.as_deref(), class, "{profile:?}");

        let refused = server.peer("rex").class("standby").call::<Value>("run_image", json!({})).await.unwrap_err();
        match (profile, refused) {
            (Profile::Deployed, CallError::Remote(exception)) => {
                assert_eq!(exception.message(), "missing parameter \"image_id\" in \"standby.run_image\" command");
            }
            (Profile::Documented, CallError::Rejected(rejection)) => {
                assert_eq!((rejection.code, &*rejection.details), (RejectionCode::Arguments, "`image_id` is missing"));
            }
            (_, other) => panic!("{profile:?}: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn both_ends_call_each_other_on_one_link() {
    for profile in PROFILES {
        let Ours { server, agent, teeth } = ours(profile).await;
        let status = server.client::<AgentClient>("rex").status().await.unwrap();
        assert_eq!(status["mode"], "STANDBY");
        server.client::<StandbyClient>("rex").cache_images(vec!["ü".into()]).await.unwrap();
        agent.client::<ServerClient>("server").log(peer::entry()).notify().await.unwrap();
        while teeth.logged.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(*teeth.logged.lock().unwrap(), [peer::entry()]);
        assert_eq!((agent.figures()[0].orphans, server.figures()[0].orphans), (0, 0), "nobody waits for what was answered");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_protocol_cannot_say_is_an_error_of_the_caller() {
    let Ours { server, agent: _agent, .. } = ours(Profile::Deployed).await;
    let rex = server.peer("rex");
    let unsayable = [
        rex.class("standby").call::<Value>("run_image", json!(["i1"])).await,
        rex.class("standby").call::<Value>("run_image", json!({ "image_id": "i1", "task_id": "t1" })).await,
        rex.class("standby").with_cntr(&json!({ "x": 1 })).unwrap().call::<Value>("run_image", json!({})).await,
        rex.class("Kennel").call::<Value>("bark", json!({})).await,
    ];
    for unsaid in unsayable {
        assert!(matches!(unsaid, Err(CallError::Encode(_))), "{unsaid:?}");
    }
    let elsewhere = server.client::<AgentClient>("rex").status().reply_to("elsewhere").send().await.unwrap_err();
    assert!(matches!(elsewhere, CallError::Encode(_)), "{elsewhere:?}");
    let begun = server.client::<StandbyClient>("rex").prepare_image("i1".into()).send().await.unwrap();
    let cancelled = begun.cancel().await.unwrap_err();
    assert!(matches!(cancelled, CallError::Encode(_)), "{cancelled:?}");
}

async fn hear(peer: &mut impl Peer) -> Value {
    serde_json::from_str(&peer.hear().await.expect("the link is up")).unwrap()
}

async fn say(peer: &mut impl Peer, line: Value) {
    peer.say(line.to_string().as_bytes()).await;
}

#[tokio::test(start_paused = true)]
async fn a_documented_task_is_accepted_and_ends_in_its_status() {
    let mut agent = peer::wired_agent(JsonLines::agent("rex").profile(Profile::Documented)).await;
    assert_eq!(hear(&mut agent).await["method"], "ping", "there is no handshake");
    let prepare = |id: u64, image: &str| {
        let params = json!({ "task_id": { "n": 7 }, "image_id": image });
        json!({ "id": id, "version": "v1", "method": "standbye.prepare_image", "params": params })
    };
    say(&mut agent, prepare(1, "i1")).await;
    assert_eq!(hear(&mut agent).await, json!({ "id": 1, "version": "v1", "result": {} }));
    let mut percents = Vec::new();
    for _ in 0..5 {
        let status = hear(&mut agent).await;
        assert_eq!((&status["version"], &status["method"]), (&json!("v1"), &json!("task_status")));
        assert_eq!((&status["params"]["task_id"], &status["params"]["state"]), (&json!({ "n": 7 }), &json!("running")));
        percents.push(status["params"]["percent"].clone());
        say(&mut agent, json!({ "id": status["id"], "version": "v1", "result": {} })).await;
    }
    assert_eq!(percents, [json!(0), json!(25), json!(50), json!(75), json!(100)]);
    agent.let_go().await;
    let ended = hear(&mut agent).await;
    assert_eq!(ended["params"], json!({ "task_id": { "n": 7 }, "state": "complete" }));

    // The same task id is free again, and a failure says why.
    agent.let_go().await;
    say(&mut agent, prepare(2, "broken")).await;
    let mut last = hear(&mut agent).await;
    while last["params"]["state"] != "error" {
        last = hear(&mut agent).await;
    }
    assert_eq!((&last["params"]["msg"], &last["params"]["task_id"]), (&json!("disk on fire"), &json!({ "n": 7 })));
    assert_eq!(agent.endpoint.figures()[0].orphans, 0, "what is said to a task_status is nobody's");
}

#[tokio::test(start_paused = true)]
async fn a_foreign_agent_is_read_in_either_profile() {
    for profile in PROFILES {
        let mut peer = peer::wired_server(JsonLines::server().profile(profile)).await;
        say(&mut peer, json!({ "id": "h", "version": "v1", "method": "handshake", "params": { "id": "max" } })).await;
        assert_eq!(hear(&mut peer).await["id"], "h");
        let standby = peer.endpoint.client::<StandbyClient>("max");

        let mut call = standby.prepare_image("i1".into()).data(json!({})).send().await.unwrap();
        let command = hear(&mut peer).await;
        let task = command["params"]["task_id"].clone();
        assert_eq!(task, json!(call.sn().as_str()), "the task's id is the serial number");
        let spelled = if profile == Profile::Documented { "standbye.prepare_image" } else { "standby.prepare_image" };
        assert_eq!(command["method"], spelled);
        if profile == Profile::Documented {
            say(&mut peer, json!({ "id": command["id"], "version": "v1", "result": {} })).await;
            assert!(matches!(call.next().await, Some(Ok(Update::Accepted))));
        }
        let running = json!({ "task_id": task, "state": "running", "eta": 12, "percent": 37.5, "details": { "disk": "sda" } });
        say(&mut peer, json!({ "id": "s1", "version": "v1", "method": "task_status", "params": running })).await;
        assert_eq!(hear(&mut peer).await, json!({ "id": "s1", "version": "v1", "result": {} }));
        let Some(Ok(Update::Progress(step))) = call.next().await else { panic!("{profile:?}") };
        assert_eq!((step.completed, step.total, step.details), (37, 100, Step { disk: "sda".into() }));
        let failed = json!({ "task_id": task, "state": "error", "msg": "disk on fire" });
        say(&mut peer, json!({ "id": "s2", "version": "v1", "method": "task_status", "params": failed })).await;
        hear(&mut peer).await;
        let Some(Err(CallError::Remote(raised))) = call.next().await else { panic!("{profile:?}") };
        assert_eq!(raised.message(), "disk on fire");

        // Errors in every form.
        for (error, said) in [
            (json!("no"), "no"),
            (json!({ "msg": "no", "more": 1 }), "no"),
            (json!(null), "unknown error"),
            (json!({}), "unknown error"),
            (json!([1, 2]), "[1,2]"),
        ] {
            let call = standby.run_image("i1".into()).send().await.unwrap();
            let command = hear(&mut peer).await;
            say(&mut peer, json!({ "id": command["id"], "version": "v1", "error": error })).await;
            let CallError::Exception(raised) = call.await.unwrap_err() else { panic!("{error}") };
            assert_eq!(raised.message(), said);
        }
    }
}

/// Traits of any name, as commands of any name.
#[tokio::test(start_paused = true)]
async fn a_table_gives_methods_the_names_of_commands() {
    let (listener, teeth) = (Listener::new(), Teeth::default());
    let table = |lines: JsonLines| lines.no_commands().class("agent", "").tasks("standby", "images");
    let endpoint = Endpoint::builder(Address::from("server"))
        .bind(table(JsonLines::server()), listener.clone(), Trust::insecure())
        .serve(AgentServer::new(teeth.clone()))
        .serve(StandbyServer::new(teeth.clone()))
        .serve(ServerServer::new(teeth.clone()))
        .start()
        .await
        .unwrap();
    let mut peer = Real { link: Wired::from(listener.dial_raw()), endpoint, teeth };
    let command =
        |method: &str| json!({ "id": 1, "version": "v1", "method": method, "params": { "task_id": 1, "image_id": "i" } });
    say(&mut peer, command("status")).await;
    assert_eq!(hear(&mut peer).await["result"]["mode"], "STANDBY");
    say(&mut peer, command("images.run_image")).await;
    assert_eq!(hear(&mut peer).await["result"], json!({}));
    tokio::time::advance(Duration::from_secs(1)).await;
    say(&mut peer, command("standby.run_image")).await;
    assert_eq!(hear(&mut peer).await, json!({ "fatal_error": "unknown message method" }));
    assert_eq!(peer.hear().await, None);
}

/// Servers of old say `{}` where there is nothing to say.
#[tokio::test(start_paused = true)]
async fn an_object_that_says_nothing_is_nothing() {
    let mut peer = peer::wired_server(JsonLines::server()).await;
    say(&mut peer, json!({ "id": "h", "version": "v1", "method": "handshake", "params": { "id": "max" } })).await;
    hear(&mut peer).await;
    let standby = peer.endpoint.client::<StandbyClient>("max");
    for (result, fits) in [("{}", true), ("null", true), ("{\"x\": 1}", false), ("[]", false)] {
        let call = standby.cache_images(Vec::new()).send().await.unwrap();
        let id = hear(&mut peer).await["id"].clone();
        peer.say(format!(r#"{{"id": {id}, "version": "v1", "result": {result}}}"#).as_bytes()).await;
        let answered = call.await;
        assert_eq!(answered.is_ok(), fits, "{result}: {answered:?}");
    }
    // What a type with something in it makes of that is its own affair.
    let call = peer.endpoint.client::<AgentClient>("max").status().send().await.unwrap();
    let id = hear(&mut peer).await["id"].clone();
    say(&mut peer, json!({ "id": id, "version": "v1", "result": {} })).await;
    assert_eq!(call.await.unwrap(), json!({}));
}

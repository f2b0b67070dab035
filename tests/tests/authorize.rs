//! Who may call what, by a policy file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::PathBuf};

use rmi_core::{
    CallError, Principal,
    endpoint::{AdminAction, AdminPolicy},
    layer::{Authorize, Policy, PolicyError},
    message::RejectionCode,
};
use rmi_tests::world::World;

fn policies(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/policies").join(folder)
}

fn rack() -> Authorize {
    Authorize::from_file(policies("good/rack.toml")).unwrap()
}

fn key(name: &str) -> Principal {
    Principal::Key(name.into())
}

fn rejection<T: std::fmt::Debug, E: std::fmt::Debug>(answer: Result<T, CallError<E>>) -> String {
    match answer {
        Err(CallError::Rejected(rejection)) => {
            assert_eq!(rejection.code, RejectionCode::Authorization);
            rejection.details.to_string()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_rule_allows_is_not_authorized() {
    let world = World::sealed();
    let authorize = rack();
    let agent = world.agent_with("agent", |b| b.layer(authorize.clone())).await;
    let (alice, bob) = (world.caller("alice").await, world.caller("bob").await);
    alice.probe().big(1).await.unwrap();
    bob.probe().echo("x").await.unwrap();
    assert_eq!(agent.watch.ran(), 2);
    // Its caller is told which method, and neither whose it is nor which rule says so.
    assert_eq!(rejection(bob.probe().big(1).await), "\"probe.big()\" is not open to this caller");
    // It holds for `Admin` as well.
    let admin = bob.endpoint.peer("agent").class("Admin");
    admin.call::<String>("hello", ()).await.unwrap();
    assert_eq!(rejection(admin.call::<String>("help", ()).await), "\"Admin.help()\" is not open to this caller");
    assert_eq!((agent.watch.ran(), authorize.denied(), agent.endpoint.figures()[0].rejected), (2, 2, 2));
}

#[tokio::test(start_paused = true)]
async fn what_a_rule_denies_no_other_allows() {
    let world = World::sealed();
    let agent = world.agent_with("agent", |b| b.layer(rack())).await;
    let (seven, bob) = (world.caller("ops-7").await, world.caller("bob").await);
    rejection(seven.probe().echo("x").await);
    rejection(bob.probe().task_inline().await);
    bob.probe().task().await.unwrap();
    assert_eq!(agent.watch.ran(), 0);
}

#[tokio::test(start_paused = true)]
async fn everybody_may_cancel_their_own() {
    let world = World::sealed();
    let policy = Policy::parse("[[allow]]\nwho = ['key:bob']\ncall = ['probe.*']").unwrap();
    let mut agent = world.agent_with("agent", |b| b.layer(Authorize::new(policy))).await;
    let bob = world.caller("bob").await;
    let call = bob.probe().listen("x").send().await.unwrap();
    agent.watch.began().await;
    assert!(call.cancel().await.unwrap());
    assert_eq!(call.await.unwrap(), "x was cancelled");
    // Unless a rule denies it.
    let text = "[[allow]]\nwho = ['key:bob']\ncall = ['*']\n[[deny]]\nwho = ['key:bob']\ncall = ['Admin.cancel']";
    let _other = world.agent_with("other", |b| b.layer(Authorize::new(Policy::parse(text).unwrap()))).await;
    let admin = bob.endpoint.peer("other").class("Admin");
    admin.call::<String>("hello", ()).await.unwrap();
    rejection(admin.call::<Vec<String>>("cancel", ["1"]).await);
}

#[tokio::test(start_paused = true)]
async fn kinds_of_principals_never_compare_equal() {
    let world = World::unsealed();
    // Whoever is called so here says so of itself.
    let policy = |who: &str| Authorize::new(Policy::parse(&format!("[[allow]]\nwho = ['{who}']\ncall = ['*']")).unwrap());
    for (at, who) in ["key:*", "transport:*", "key:caller", "key:anonymous", "anonymous"].into_iter().enumerate() {
        let (agent, caller) = (format!("agent{at}"), world.caller("caller").await);
        let _agent = world.agent_with(&agent, |b| b.layer(policy(who))).await;
        let answer = caller.endpoint.peer(agent).class("probe").call::<String>("echo", ["x"]).await;
        if who == "anonymous" { assert_eq!(answer.unwrap(), "x") } else { drop(rejection(answer)) }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_may_hold_for_some_bindings() {
    let world = World::unsealed();
    let second = rmi_tests::tap::Tap::on(&rmi_core::Memory::new());
    let agent = world
        .agent_with("agent", |b| b.bind(rmi_core::Native::default(), second.clone(), rmi_core::Trust::insecure()).layer(rack()))
        .await;
    rejection(world.caller("caller").await.probe().echo("x").await);
    let builder = rmi_core::Endpoint::builder("caller");
    let other = builder.bind(rmi_core::Native::default(), second, rmi_core::Trust::insecure()).start().await.unwrap();
    let answer = other.peer("agent").class("probe").call::<String>("echo", ["x"]).await;
    assert_eq!((answer.unwrap().as_str(), agent.watch.ran()), ("x", 1));
    assert!(!rack().policy().explain(&Principal::Anonymous, "probe", "echo").is_allowed());
    assert!(rack().policy().explain_on(1, &Principal::Anonymous, "probe", "echo").is_allowed());
}

#[test]
fn a_policy_explains_itself() {
    let policy = Policy::from_file(policies("good/rack.toml")).unwrap();
    for (who, method, said) in [
        ("alice", "probe.big", "allowed by `operators do everything` (allow, line 7)"),
        ("alice", "probe.echo", "allowed by `operators do everything` (allow, line 7)"),
        ("bob", "probe.echo", "allowed by `callers with a key may look` (allow, line 12)"),
        ("ops-7", "probe.echo", "denied by `ops-7 has left` (deny, line 22)"),
        ("left-1", "Admin.cancel", "denied by `ops-7 has left` (deny, line 22)"),
        ("bob", "probe.task_inline", "denied by the rule in line 27 (deny)"),
        ("bob", "probe.big", "denied: no rule allows it"),
        ("bob", "Admin.cancel", "allowed: it reaches only what its caller has sent"),
        ("bob", "Admin.help", "denied: no rule allows it"),
    ] {
        let (class, method) = method.split_once('.').unwrap();
        let explained = policy.explain(&key(who), class, method);
        assert_eq!(explained.to_string(), said);
        assert_eq!((explained.is_allowed(), explained.line().is_some()), (said.starts_with("allowed"), said.contains("line")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_fails_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.toml");
    let write = |who: &str| fs::write(&file, format!("[[allow]]\nwho = ['{who}']\ncall = ['*']")).unwrap();
    write("key:bob");
    let authorize = Authorize::from_file(&file).unwrap();
    let world = World::sealed();
    let _agent = world.agent_with("agent", |b| b.layer(authorize.clone())).await;
    let bob = world.caller("bob").await;
    bob.probe().echo("x").await.unwrap();
    write("bob");
    let error = authorize.reload().unwrap_err();
    assert!(matches!(&error, PolicyError::Text { path: Some(path), line: 2, .. } if *path == file), "{error}");
    fs::remove_file(&file).unwrap();
    assert!(matches!(authorize.reload(), Err(PolicyError::Read { .. })));
    assert_eq!(authorize.failed_reloads(), 2);
    bob.probe().echo("x").await.unwrap();
    write("key:alice");
    authorize.reload().unwrap();
    rejection(bob.probe().echo("x").await);
    world.caller("alice").await.probe().echo("x").await.unwrap();
    assert_eq!(authorize.failed_reloads(), 2);
}

/// Each of these files ends with what is said about it.
#[test]
fn a_policy_that_cannot_be_used_says_where_and_what_to_write() {
    let mut files = 0;
    for file in fs::read_dir(policies("bad")).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let expected = text.lines().last().unwrap().strip_prefix("# ").unwrap();
        let error = Policy::from_file(&path).unwrap_err().to_string();
        assert_eq!(error, format!("policy `{}`, {expected}", path.display()));
        assert_eq!(Policy::parse(&text).unwrap_err().to_string(), expected);
        files += 1;
    }
    assert!(files >= 16);
    let error = Policy::from_file(policies("good/missing.toml")).unwrap_err();
    assert!(error.to_string().starts_with("cannot read the policy `"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_rule_about_nothing_that_is_served_is_found() {
    let world = World::sealed();
    let agent = world.agent("agent").await;
    let text = "[[deny]]\nwho = ['key:*']\ncall = ['prob.*', 'probe.ech', 'probe.echo', '*', 'Admin.h*', '*.task']";
    let idle = Policy::parse(text).unwrap().idle(&agent.endpoint.describe());
    assert_eq!(idle, ["line 1: `prob.*` is nothing that `agent` serves", "line 1: `probe.ech` is nothing that `agent` serves"]);
}

#[tokio::test(start_paused = true)]
async fn a_policy_grants_requests_of_others() {
    let world = World::sealed();
    let authorize = rack();
    let mut agent = world.agent_with("agent", |b| b.layer(authorize.clone()).admin(authorize.clone())).await;
    let (one, alice, bob) = (world.caller("ops-1").await, world.caller("alice").await, world.caller("bob").await);
    let call = one.probe().listen("x").send().await.unwrap();
    agent.watch.began().await;
    let admin = |caller: &rmi_tests::world::Caller| caller.endpoint.peer("agent").admin();
    assert!(admin(&bob).cancel(call.sn()).await.is_err());
    assert_eq!(admin(&alice).cancel(call.sn()).await.unwrap(), [call.sn().clone()]);
    assert_eq!(call.await.unwrap(), "x was cancelled");
    let says = |asker, action, owner: &Principal| authorize.permits(&key(asker), action, owner);
    for (asker, action, owner, granted) in [
        ("ops-2", AdminAction::Cancel, key("bob"), true),
        ("ops-2", AdminAction::Resume, key("bob"), false),
        ("ops-2", AdminAction::Cancel, Principal::Anonymous, false),
        ("auditor", AdminAction::Resume, key("ops-1"), true),
        ("auditor", AdminAction::Resume, Principal::Anonymous, true),
        ("auditor", AdminAction::Resume, key("bob"), false),
        ("auditor", AdminAction::Cancel, key("ops-1"), false),
        ("bob", AdminAction::Cancel, key("ops-1"), false),
    ] {
        assert_eq!(says(asker, action, &owner), granted, "{asker} {action:?} {owner}");
    }
}

/// The policy of the guide is one, and decides what the guide says.
#[test]
fn the_policy_of_the_guide_says_what_the_guide_says() {
    let guide = include_str!("../../rmi-core/guide/operations.md");
    let blocks: Vec<_> = guide.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let policy = Policy::parse(blocks.iter().find(|block| block.contains("[[allow]]")).unwrap()).unwrap();
    for name in ["ops-1", "ops-7", "rack-3"] {
        let said = format!("\nkey:{name} power.off: {}\n", policy.explain(&key(name), "power", "off"));
        assert!(guide.contains(&said), "{said}");
    }
    assert!(policy.permits(&key("alice"), AdminAction::Cancel, &key("rack-3")));
}

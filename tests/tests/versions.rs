//! Versions of a contract: majors side by side, minors that only add.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::convert::Infallible;

use rmi_core::{
    CallError, Client as _,
    contract::Version,
    endpoint::BuildError,
    message::{Exception, Rejection, RejectionCode},
};
use rmi_tests::{
    raw::Raw,
    tap::Tap,
    world::{Caller, World},
};
use serde_json::{Value, json};

mod v1 {
    use super::*;

    #[rmi_core::remote(name = "dhcp", version = "1.2")]
    pub(crate) trait Dhcp {
        async fn lookup(&self, ip: &str) -> Result<String, Infallible>;

        #[remote(since = "1.2")]
        async fn release(&self, ip: &str) -> Result<String, Infallible>;
    }
}

mod v2 {
    use super::*;

    #[rmi_core::remote(name = "dhcp", version = "2.0")]
    pub(crate) trait Dhcp {
        async fn lookup(&self, ip: &str, pool: u8) -> Result<String, Infallible>;

        async fn renew(&self, ip: &str) -> Result<String, Infallible>;
    }
}

/// Another of major 1.
mod again {
    use super::*;

    #[rmi_core::remote(name = "dhcp", version = "1.0")]
    pub(crate) trait Leases {
        async fn lookup(&self, ip: &str) -> Result<String, Infallible>;
    }
}

struct Service;

impl v1::Dhcp for Service {
    async fn lookup(&self, ip: &str) -> Result<String, Infallible> {
        Ok(format!("v1 {ip}"))
    }

    async fn release(&self, ip: &str) -> Result<String, Infallible> {
        Ok(format!("released {ip}"))
    }
}

impl v2::Dhcp for Service {
    async fn lookup(&self, ip: &str, pool: u8) -> Result<String, Infallible> {
        Ok(format!("v2 {ip} of {pool}"))
    }

    async fn renew(&self, ip: &str) -> Result<String, Infallible> {
        Ok(format!("renewed {ip}"))
    }
}

impl again::Leases for Service {
    async fn lookup(&self, ip: &str) -> Result<String, Infallible> {
        Ok(ip.to_owned())
    }
}

/// What a caller that has no contract is told.
async fn ask(caller: &Caller, version: Option<&str>, method: &str, args: Value) -> Result<String, CallError<Exception>> {
    let class = caller.endpoint.peer("agent").class("dhcp");
    let class = match version {
        Some(version) => class.version(version.to_owned()),
        None => class,
    };
    class.call(method.to_owned(), args).await
}

fn rejection(answer: Result<String, CallError<Exception>>) -> Rejection {
    match answer {
        Err(CallError::Rejected(rejection)) => rejection,
        other => panic!("{other:?}"),
    }
}

/// Both majors, the newer one first.
async fn both(world: &World) -> (rmi_core::Endpoint, Caller) {
    let builder = world.builder("agent", &Tap::on(&world.bus));
    let agent = builder.serve(v2::DhcpServer::new(Service)).serve(v1::DhcpServer::new(Service)).start().await.unwrap();
    (agent, world.caller("caller").await)
}

#[tokio::test(start_paused = true)]
async fn majors_are_served_side_by_side() {
    for world in World::both() {
        let (_agent, caller) = both(&world).await;
        let (first, second): (v1::DhcpClient, v2::DhcpClient) =
            (caller.endpoint.client("agent"), caller.endpoint.client("agent"));
        assert_eq!(first.lookup("10.0.0.9").await.unwrap(), "v1 10.0.0.9");
        assert_eq!(second.lookup("10.0.0.9", 7).await.unwrap(), "v2 10.0.0.9 of 7");
        assert_eq!(first.release("10.0.0.9").await.unwrap(), "released 10.0.0.9");
        assert_eq!(second.renew("10.0.0.9").await.unwrap(), "renewed 10.0.0.9");
    }
}

#[tokio::test(start_paused = true)]
async fn who_names_no_version_gets_the_lowest_major() {
    let world = World::unsealed();
    let (_agent, caller) = both(&world).await;
    assert_eq!(ask(&caller, None, "lookup", json!(["a"])).await.unwrap(), "v1 a");
    // What only another major has is not found by luck.
    let rejection = rejection(ask(&caller, None, "renew", json!(["a"])).await);
    assert_eq!(rejection.code, RejectionCode::UnknownMethod);
    assert!(rejection.details.contains("it is in 2.0"), "{rejection}");
    // A gofer peer's request says nothing of versions at all.
    let mut replies = world.mailbox("replies").await;
    let request = json!({"classname": "dhcp", "method": "lookup", "args": ["b"], "kws": {}, "cntr": null});
    world.post(&Raw::request("agent", "lookup", json!([])).with("request", request).reply_to("replies")).await;
    assert_eq!(replies.conversation().await.pop().unwrap()["result"]["retval"], "v1 b");
}

#[tokio::test(start_paused = true)]
async fn a_builder_may_choose_the_default_major() {
    let world = World::unsealed();
    let builder = world.builder("agent", &Tap::on(&world.bus)).default_major("dhcp", 2);
    let _agent = builder.serve(v1::DhcpServer::new(Service)).serve(v2::DhcpServer::new(Service)).start().await.unwrap();
    let caller = world.caller("caller").await;
    assert_eq!(ask(&caller, None, "lookup", json!(["a", 3])).await.unwrap(), "v2 a of 3");
    assert_eq!(ask(&caller, Some("1"), "lookup", json!(["a"])).await.unwrap(), "v1 a");

    for (class, major, served) in [("dhcp", 3, "1.2, 2.0"), ("dns", 1, "")] {
        let builder = world.builder("other", &Tap::on(&world.bus)).default_major(class, major);
        let builder = builder.serve(v1::DhcpServer::new(Service)).serve(v2::DhcpServer::new(Service));
        let error = builder.start().await.unwrap_err();
        assert!(matches!(&error, BuildError::DefaultMajor { served: said, .. } if said == served), "{error:?}");
        assert!(error.to_string().contains(served), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_newer_minor_is_no_obstacle() {
    let world = World::unsealed();
    let (_agent, caller) = both(&world).await;
    for version in ["1", "1.0", "1.2", "1.5", "1.65535"] {
        assert_eq!(ask(&caller, Some(version), "lookup", json!(["a"])).await.unwrap(), "v1 a", "{version}");
    }
    let rejection = rejection(ask(&caller, Some("1.5"), "leases", json!([])).await);
    assert_eq!(rejection.code, RejectionCode::UnknownMethod);
    assert_eq!(rejection.details, "\"dhcp.leases()\" is not served by `agent`: 1.5 was asked for, and 1.2 is served");
    // With a version that is served the version is not what is wrong.
    let rejection = self::rejection(ask(&caller, Some("1.1"), "leases", json!([])).await);
    assert_eq!(rejection.details, "\"dhcp.leases()\" is not served by `agent`");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_served_is_rejected_with_what_is() {
    let world = World::unsealed();
    let (_agent, caller) = both(&world).await;
    for version in ["3.1", "0.9", "65535"] {
        let rejection = rejection(ask(&caller, Some(version), "lookup", json!(["a"])).await);
        assert_eq!(rejection.code, RejectionCode::UnknownVersion);
        assert!(rejection.details.contains("1.2, 2.0") && rejection.details.contains(version), "{rejection}");
    }
    let long = "9".repeat(5_000);
    for version in ["", "one", "1.x", "+1.0", "1.0.0", " 1.0", "65536.0", &long] {
        let rejection = rejection(ask(&caller, Some(version), "lookup", json!(["a"])).await);
        assert_eq!(rejection.code, RejectionCode::UnknownVersion, "{version}");
        assert!(rejection.details.contains("is no version") && rejection.details.contains("1.2, 2.0"), "{rejection}");
        assert!(rejection.details.len() < 200, "{rejection}");
    }
}

/// What nobody serves may be a text of any length, with anything in it.
#[tokio::test(start_paused = true)]
async fn a_name_that_is_not_served_is_told_in_short() {
    let world = World::unsealed();
    let (_agent, caller) = both(&world).await;
    let long = format!("x\n{}", "y".repeat(100_000));
    let named = Value::Object([(long.clone(), json!(1))].into_iter().collect());
    let peer = caller.endpoint.peer("agent");
    for outcome in [
        peer.class(long.clone()).call::<Value>("lookup", json!(["a"])).await,
        peer.class("dhcp").call::<Value>(long.clone(), json!(["a"])).await,
        peer.class("Admin").call::<Value>("hello", named).await,
    ] {
        let Err(CallError::Rejected(rejection)) = outcome else { panic!("{outcome:?}") };
        assert!(rejection.details.contains("yyy"), "{rejection}");
        assert!(rejection.details.len() < 250 && !rejection.details.contains('\n'), "{rejection}");
    }
}

#[tokio::test]
async fn a_major_is_served_once() {
    let world = World::unsealed();
    let builder = world.builder("agent", &Tap::on(&world.bus));
    let builder = builder.serve(v1::DhcpServer::new(Service)).serve(again::LeasesServer::new(Service));
    let error = builder.start().await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, BuildError::Duplicate { .. }), "{error:?}");
    for part in ["`dhcp` 1.2", "`versions::v1::Dhcp`", "`dhcp` 1.0", "`versions::again::Leases`"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn a_method_says_when_it_came() {
    let [lookup, release] = v1::DhcpClient::CONTRACT.methods else { panic!("two methods") };
    assert_eq!((lookup.since, release.since), (None, Some(Version { major: 1, minor: 2 })));
}

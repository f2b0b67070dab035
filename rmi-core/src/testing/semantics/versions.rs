//! Versions of a contract, and what an endpoint says about what it serves.

use std::convert::Infallible;

use serde_json::{Value, json};

use super::{Agent, ProbeClient, Setting, agent, agent_with, caller};
use crate::{
    CallError, Client as _, Endpoint,
    message::{Exception, Rejection, RejectionCode},
};

mod v1 {
    #[crate::remote(name = "dhcp", version = "1.2", crate = "crate")]
    pub(super) trait Dhcp {
        async fn lookup(&self, ip: &str) -> Result<String, std::convert::Infallible>;
    }
}

mod v2 {
    #[crate::remote(name = "dhcp", version = "2.0", crate = "crate")]
    pub(super) trait Dhcp {
        async fn lookup(&self, ip: &str, pool: u8) -> Result<String, std::convert::Infallible>;

        async fn renew(&self, ip: &str) -> Result<String, std::convert::Infallible>;
    }
}

struct Service;

impl v1::Dhcp for Service {
    async fn lookup(&self, ip: &str) -> Result<String, Infallible> {
        Ok(format!("v1 {ip}"))
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

/// Both majors, the newer one first.
async fn both<S: Setting>(setting: &S) -> (Agent, Endpoint) {
    let (new, old) = (v2::DhcpServer::new(Service), v1::DhcpServer::new(Service));
    let agent = agent_with(setting, |builder| builder.serve(new).serve(old)).await;
    (agent, caller(setting, "caller").await.0)
}

/// What a caller that has no contract is told.
async fn ask(caller: &Endpoint, version: Option<&str>, method: &str, args: Value) -> Result<String, CallError<Exception>> {
    let class = caller.peer("agent").class("dhcp");
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

pub(super) async fn majors_are_served_side_by_side<S: Setting>(setting: &S) {
    let (_agent, caller) = both(setting).await;
    let (first, second): (v1::DhcpClient, v2::DhcpClient) = (caller.client("agent"), caller.client("agent"));
    assert_eq!(first.lookup("10.0.0.9").await.unwrap(), "v1 10.0.0.9");
    assert_eq!(second.lookup("10.0.0.9", 7).await.unwrap(), "v2 10.0.0.9 of 7");
    assert_eq!(second.renew("10.0.0.9").await.unwrap(), "renewed 10.0.0.9");
}

pub(super) async fn who_names_no_version_gets_the_lowest_major<S: Setting>(setting: &S) {
    let (_agent, caller) = both(setting).await;
    assert_eq!(ask(&caller, None, "lookup", json!({"ip": "a"})).await.unwrap(), "v1 a");
    // What only another major has is not found by luck.
    let rejection = rejection(ask(&caller, None, "renew", json!({"ip": "a"})).await);
    assert_eq!(rejection.code, RejectionCode::UnknownMethod, "{rejection}");
}

pub(super) async fn a_builder_may_choose_the_default_major<S: Setting>(setting: &S) {
    let (new, old) = (v2::DhcpServer::new(Service), v1::DhcpServer::new(Service));
    let _agent = agent_with(setting, |builder| builder.default_major("dhcp", 2).serve(old).serve(new)).await;
    let (caller, _) = caller(setting, "caller").await;
    assert_eq!(ask(&caller, None, "lookup", json!({"ip": "a", "pool": 3})).await.unwrap(), "v2 a of 3");
    assert_eq!(ask(&caller, Some("1"), "lookup", json!({"ip": "a"})).await.unwrap(), "v1 a");
}

pub(super) async fn a_newer_minor_is_no_obstacle<S: Setting>(setting: &S) {
    let (_agent, caller) = both(setting).await;
    for version in ["1", "1.0", "1.2", "1.5", "1.65535"] {
        assert_eq!(ask(&caller, Some(version), "lookup", json!({"ip": "a"})).await.unwrap(), "v1 a", "{version}");
    }
    let rejection = rejection(ask(&caller, Some("1.5"), "leases", json!({})).await);
    assert_eq!(rejection.code, RejectionCode::UnknownMethod);
    assert!(rejection.details.contains("1.5") && rejection.details.contains("1.2"), "{rejection}");
}

pub(super) async fn what_is_not_served_is_rejected_with_what_is<S: Setting>(setting: &S) {
    let (_agent, caller) = both(setting).await;
    for version in ["3.1", "0.9", "65535", "", "one", "1.x", "1.0.0"] {
        let rejection = rejection(ask(&caller, Some(version), "lookup", json!({"ip": "a"})).await);
        assert_eq!(rejection.code, RejectionCode::UnknownVersion, "{version}: {rejection}");
        assert!(rejection.details.contains("1.2, 2.0"), "{version}: {rejection}");
    }
}

pub(super) async fn an_endpoint_says_what_it_serves<S: Setting>(setting: &S) {
    let (agent, (caller, _)) = (agent(setting).await, caller(setting, "caller").await);
    let own = agent.endpoint.describe();
    assert_eq!(own.address, "agent");
    let probe = ProbeClient::CONTRACT.describe();
    assert!(own.contracts.contains(&probe));
    let told = caller.peer("agent").admin().describe(None).await.unwrap();
    assert_eq!(told, own);
    let one = caller.peer("agent").admin().describe(Some("probe")).await.unwrap();
    assert_eq!(one.contracts, [probe]);
}

pub(super) async fn help_is_for_people<S: Setting>(setting: &S) {
    let (_agent, (caller, _)) = (agent(setting).await, caller(setting, "caller").await);
    let admin = caller.peer("agent").class("Admin");
    let all: String = admin.call("help", ()).await.unwrap();
    assert!(all.starts_with("agent serves:\n\nAdmin 1.0\n") && all.contains("\nprobe 1.4\n"), "{all}");
    let one: String = admin.call("help", json!({"class": "probe"})).await.unwrap();
    assert!(one.contains("\n    echo(text: &str) -> String\n        Returns the text.\n") && !one.contains("Admin"), "{one}");
}

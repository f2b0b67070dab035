//! Versions of a contract: majors side by side, minors that only add.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::convert::Infallible;

use rmi_core::{CallError, Client as _, contract::Version, endpoint::BuildError};
use rmi_tests::{
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

/// Both majors, the newer one first.
async fn both(world: &World) -> (rmi_core::Endpoint, Caller) {
    let builder = world.builder("agent", &Tap::on(&world.bus));
    let agent = builder.serve(v2::DhcpServer::new(Service)).serve(v1::DhcpServer::new(Service)).start().await.unwrap();
    (agent, world.caller("caller").await)
}

#[tokio::test(start_paused = true)]
async fn a_default_major_that_is_not_served_stops_the_start() {
    let world = World::unsealed();
    for (class, major, served) in [("dhcp", 3, "1.2, 2.0"), ("dns", 1, "")] {
        let builder = world.builder("other", &Tap::on(&world.bus)).default_major(class, major);
        let builder = builder.serve(v1::DhcpServer::new(Service)).serve(v2::DhcpServer::new(Service));
        let error = builder.start().await.unwrap_err();
        assert!(matches!(&error, BuildError::DefaultMajor { served: said, .. } if said == served), "{error:?}");
        assert!(error.to_string().contains(served), "{error}");
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

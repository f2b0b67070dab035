//! An implementation that was found, and cannot be made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{convert::Infallible, error::Error as _};

use rmi_core::{Endpoint, Memory, Native, Trust, endpoint::BuildError, remote};

#[remote(name = "disk", client = false)]
trait Disk {
    async fn free(&self) -> Result<u64, Infallible>;
}

struct Missing;

fn open() -> Result<Missing, String> {
    Err("there is no disk".to_owned())
}

#[remote(new = open)]
impl Disk for Missing {
    async fn free(&self) -> Result<u64, Infallible> {
        Ok(0)
    }
}

#[tokio::test]
async fn an_instance_that_cannot_be_made_stops_the_start() {
    let agent = Endpoint::builder("agent").bind(Native::default(), Memory::new(), Trust::insecure()).serve_discovered();
    let error = agent.start().await.unwrap_err();
    assert!(matches!(&error, BuildError::Instance { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("`disk` 1.0") && text.contains("discovery_failed::Missing") && text.contains("discovery_failed.rs:"),
        "{text}"
    );
    assert_eq!(error.source().unwrap().to_string(), "there is no disk");
}

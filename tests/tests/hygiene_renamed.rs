//! The library under another name.
#![deny(warnings)]

mod vendor {
    pub(crate) mod bus {
        pub(crate) use rmi_core::*;
    }
}

mod rmi_core {}

use vendor::bus::{Client as _, RemoteError, RemoteEvent, message::Exception, remote};

#[derive(Debug, RemoteError)]
#[remote(crate = "vendor::bus")]
struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("lost")
    }
}

#[derive(Debug, RemoteEvent)]
#[remote(crate = "vendor::bus", key = "found.{what}")]
struct Found {
    what: String,
}

#[remote(crate = "crate::vendor::bus", name = "finder", events = Found)]
trait Finder {
    async fn find(&self, what: &str) -> Result<Vec<String>, Lost>;
    async fn raw(&self) -> Result<(), Exception>;
}

#[test]
fn it_is_found() {
    assert_eq!(FinderClient::CONTRACT.name, "finder");
    assert_eq!(FinderClient::CONTRACT.events, Some(Found::EVENTS));
    let found = Found { what: "it".to_owned() }.to_event();
    assert_eq!(found.ok().as_ref().map(|event| event.key.as_str()), Some("found.it"));
}

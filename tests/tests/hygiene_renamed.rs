//! The library under another name.
#![deny(warnings)]

mod vendor {
    pub(crate) mod bus {
        pub(crate) use rmi_core::*;
    }
}

mod rmi_core {}

use vendor::bus::{Client as _, RemoteError, message::Exception, remote};

#[derive(Debug, RemoteError)]
#[remote(crate = "vendor::bus")]
struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("lost")
    }
}

#[remote(crate = "crate::vendor::bus", name = "finder")]
trait Finder {
    async fn find(&self, what: &str) -> Result<Vec<String>, Lost>;
    async fn raw(&self) -> Result<(), Exception>;
}

#[test]
fn it_is_found() {
    assert_eq!(FinderClient::CONTRACT.name, "finder");
}

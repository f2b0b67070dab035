//! Two implementations of one contract, both of which are found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::convert::Infallible;

use rmi_core::{
    Endpoint, Memory, Native, Trust,
    endpoint::BuildError,
    registry::{self, Registration},
    remote,
};

#[remote(name = "clock", client = false)]
trait Clock {
    async fn now(&self) -> Result<u64, Infallible>;
}

#[derive(Default)]
struct Fast;

#[derive(Default)]
struct Slow;

#[remote]
impl Clock for Fast {
    async fn now(&self) -> Result<u64, Infallible> {
        Ok(2)
    }
}

#[remote]
impl Clock for Slow {
    async fn now(&self) -> Result<u64, Infallible> {
        Ok(1)
    }
}

#[tokio::test]
async fn a_class_that_is_discovered_twice_names_both_places() {
    let [fast, slow]: [&Registration; 2] = registry::discovered().try_into().unwrap();
    let agent = Endpoint::builder("agent").bind(Native::default(), Memory::new(), Trust::insecure()).serve_discovered();
    let error = agent.start().await.unwrap_err();
    let BuildError::Duplicate { first, second } = &error else { panic!("{error:?}") };
    assert_eq!((first.location(), second.location()), (fast.location(), slow.location()));
    assert_ne!(first.location().line(), second.location().line());
    let text = error.to_string();
    for found in [fast, slow] {
        let place = format!("`{}` at {}:{}", found.type_name(), found.location().file(), found.location().line());
        assert!(text.contains(&place), "{place}: {text}");
    }
}

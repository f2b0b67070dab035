//! A crate that is a dependency, and that nothing here names. Keep it so: this file shows what does not happen then.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rmi_core::{Endpoint, Memory, Native, Trust, registry};

#[test]
fn a_crate_that_nothing_names_registers_nothing() {
    assert!(include_str!("../Cargo.toml").contains("\nrmi-companion = "), "it is a dependency of this test");
    assert!(registry::discovered().is_empty(), "{:?}", registry::discovered());
    let error = registry::require(["greeter"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no implementation in this program is marked `#[remote]` for the class `greeter`; found: nothing. A crate that nothing names \
         is left out of the program, with all that it registers: write `use that_crate as _;` where the program starts, or serve its \
         implementation with `Builder::serve`"
    );
}

#[tokio::test]
async fn to_discover_nothing_is_no_mistake() {
    let agent = Endpoint::builder("agent").bind(Native::default(), Memory::new(), Trust::insecure()).serve_discovered();
    let agent = agent.start().await.unwrap();
    assert_eq!(agent.running(), 0);
}

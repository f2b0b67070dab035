//! What a trait says is in its contract.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{convert::Infallible, time::Duration};

use rmi_core::{
    Client as _, Context,
    contract::{Style, Version},
    remote,
    service::Service as _,
};

/// Things to do.
///
/// More than one.
#[remote(name = "todo", version = "2.7", rename_all = "camelCase", params = named)]
trait Todo: Send {
    /// Adds one.
    #[remote(alias = "put", alias = "append", idempotent, inline, timeout = "1m", ttl = "2d")]
    async fn add_item(&self, item_text: &str, #[remote(name = "prio", default = 1)] priority: u8) -> Result<u64, Infallible>;

    #[remote(name = "drop", params = positional)]
    async fn drop_all(&self, #[remote(context)] cx: &Context<u8>, #[remote(default)] tags: &[String]) -> Result<(), Infallible>;

    #[remote(oneway)]
    async fn nudge(&self);
}

#[remote(version = "3", client = false)]
trait Served {
    async fn serve(&self) -> Result<(), Infallible>;
}

#[remote(server = false)]
trait Called {
    async fn call_me(&self) -> Result<(), Infallible>;
}

struct Nothing;

impl Served for Nothing {
    async fn serve(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[test]
fn the_contract_says_what_the_trait_says() {
    let contract = TodoClient::CONTRACT;
    assert_eq!((contract.name, contract.version), ("todo", Version { major: 2, minor: 7 }));
    assert_eq!(contract.docs, "Things to do.\n\nMore than one.");
    let [add, drop, nudge] = contract.methods else { panic!("three methods: {contract:?}") };

    assert_eq!((add.name, add.aliases, add.docs), ("addItem", ["put", "append"].as_slice(), "Adds one."));
    assert!(add.idempotent && add.inline && !add.oneway && !add.context);
    assert_eq!((add.timeout, add.ttl), (Some(Duration::from_secs(60)), Some(Duration::from_secs(172_800))));
    assert_eq!(add.style, Style::Named);
    let params: Vec<_> = add.params.iter().map(|p| (p.name, p.ty, p.default)).collect();
    assert_eq!(params, [("itemText", "&str", false), ("prio", "u8", true)]);

    assert_eq!((drop.name, drop.style, drop.context), ("drop", Style::Positional, true));
    let params: Vec<_> = drop.params.iter().map(|p| (p.name, p.ty, p.default)).collect();
    assert_eq!(params, [("tags", "&[String]", true)], "the context is not on the wire");

    assert!(nudge.oneway && nudge.params.is_empty() && nudge.timeout.is_none() && !nudge.idempotent && !nudge.inline);
    assert_eq!(contract.position("append"), Some(0));
}

#[test]
fn each_half_has_the_contract_alone() {
    assert_eq!(ServedServer::new(Nothing).contract().version, Version { major: 3, minor: 0 });
    assert_eq!((CalledClient::CONTRACT.name, CalledClient::CONTRACT.methods[0].name), ("Called", "call_me"));
}

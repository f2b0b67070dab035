//! Implementations that register themselves, in this crate and in another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    cell::Cell,
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex},
};

use rmi_companion::{
    AccountArgs, AccountError, GreeterClient, GreeterServer, Polite,
    contracts::{AccountClient, AdderClient},
};
use rmi_core::{
    CallError, Client as _, Endpoint, Memory, Native, Trust,
    endpoint::{BuildError, Builder},
    registry, remote,
};

/// A contract of this crate.
#[remote(name = "local", version = "3")]
trait Local {
    async fn made(&self) -> Result<usize, Infallible>;
}

thread_local! {
    /// How many instances this test has made.
    static MADE: Cell<usize> = const { Cell::new(0) };
}

struct Here(usize);

impl Here {
    fn new() -> Self {
        Here(MADE.replace(MADE.get() + 1))
    }
}

#[remote(new = Here::new)]
impl Local for Here {
    async fn made(&self) -> Result<usize, Infallible> {
        Ok(self.0)
    }
}

/// Nothing is left of what a condition takes away.
#[remote]
#[cfg(any())]
impl Local for Nothing {}

/// An older major of what is discovered.
mod v1 {
    #[rmi_core::remote(name = "greeter", version = "1.3")]
    pub(crate) trait Greeter {
        async fn greet(&self) -> Result<String, std::convert::Infallible>;
    }

    impl Greeter for super::Polite {
        async fn greet(&self) -> Result<String, std::convert::Infallible> {
            Ok("Good morning.".to_owned())
        }
    }
}

fn builder(bus: &Memory, name: &str) -> Builder {
    Endpoint::builder(name.to_owned()).bind(Native::default(), bus.clone(), Trust::insecure())
}

#[test]
fn what_is_marked_is_found() {
    let found = registry::discovered();
    let classes: Vec<_> = found.iter().map(|f| (f.contract().name, f.contract().version.to_string(), f.type_name())).collect();
    let own = concat!(module_path!(), "::Here");
    let expected = [
        ("account", "1.0".to_owned(), "rmi_companion::Opened"),
        ("adder", "1.0".to_owned(), "rmi_companion::From7"),
        ("greeter", "2.1".to_owned(), "rmi_companion::Polite"),
        ("local", "3.0".to_owned(), own),
    ];
    assert_eq!(classes, expected);
    // Its place is that of its attribute.
    let here = found[3].location();
    let text = include_str!("discovery.rs");
    assert!(here.file().ends_with("discovery.rs"), "{here}");
    assert_eq!(text.lines().nth(here.line() as usize - 1), Some("#[remote(new = Here::new)]"));
    assert!(found[2].location().file().ends_with("companion/src/lib.rs"));
}

#[test]
fn a_program_says_what_it_needs() {
    registry::require(["account", "greeter", "local"]).unwrap();
    registry::require([] as [&str; 0]).unwrap();
    registry::require_types(["rmi_companion::Polite", "Opened", "From7"]).unwrap();

    let error = registry::require(["greeter", "dhcp", "tftp"]).unwrap_err();
    assert_eq!(error.missing(), ["dhcp", "tftp"]);
    assert_eq!(error.found().len(), 4);
    let text = error.to_string();
    for part in [
        "for the classes `dhcp`, `tftp`;",
        "`greeter` 2.1 by `rmi_companion::Polite` (",
        "companion/src/lib.rs:19)",
        "use that_crate as _;",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The end of a type's path, but not of its name.
    let error = registry::require_types(["Polite", "olite", "elsewhere::Polite"]).unwrap_err();
    assert_eq!(error.missing(), ["olite", "elsewhere::Polite"]);
}

#[tokio::test]
async fn everything_that_was_found_is_served() {
    let bus = Memory::new();
    let agent = builder(&bus, "agent").serve_discovered().serve_discovered();
    assert_eq!(MADE.get(), 0, "nothing is made before the endpoint starts");
    let agent = agent.start().await.unwrap();
    let caller = builder(&bus, "caller").start().await.unwrap();

    let greeter: GreeterClient = caller.client("agent");
    assert_eq!(greeter.greet("Ada").await.unwrap(), "Good morning, Ada.");
    let adder: AdderClient = caller.client("agent");
    assert_eq!(adder.add(35).await.unwrap(), 42);
    let account =
        |owner: &str| caller.client::<AccountClient>("agent").with_cntr(&AccountArgs { owner: owner.to_owned() }).unwrap();
    assert_eq!(account("Ada").owner().await.unwrap(), "Ada");
    assert_eq!(account("Bob").owner().await.unwrap(), "Bob");
    let error = account("nobody").owner().await.unwrap_err();
    assert!(matches!(error, CallError::Remote(AccountError { owner }) if owner == "nobody"));
    // One instance for all requests.
    assert_eq!(MADE.get(), 1);
    let local: LocalClient = caller.client("agent");
    assert_eq!(local.made().await.unwrap(), local.made().await.unwrap());
    drop((agent, caller));
}

#[tokio::test]
async fn what_is_discovered_is_not_served_by_hand_as_well() {
    let by_hand = line!() + 1;
    let builder = builder(&Memory::new(), "agent").serve(GreeterServer::new(Polite)).serve_discovered();
    let error = builder.start().await.unwrap_err();
    let BuildError::Duplicate { first, second } = &error else { panic!("{error:?}") };
    assert_eq!((first.discovered_type(), first.location().line()), (None, by_hand));
    assert_eq!((second.discovered_type(), second.location().line()), (Some("rmi_companion::Polite"), 19));
    let text = error.to_string();
    for part in [
        &format!("`greeter` 2.1 (`rmi_companion::Greeter`, by `serve` at {}:{by_hand})", file!()),
        "by the discovered `rmi_companion::Polite` at ",
        "companion/src/lib.rs:19",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(MADE.get(), 0, "nothing is made in vain");
}

#[tokio::test]
async fn another_major_of_what_is_discovered_is_served_beside_it() {
    let bus = Memory::new();
    let agent = builder(&bus, "agent").serve_discovered().serve(v1::GreeterServer::new(Polite)).start().await.unwrap();
    let caller = builder(&bus, "caller").start().await.unwrap();
    assert_eq!(caller.client::<v1::GreeterClient>("agent").greet().await.unwrap(), "Good morning.");
    assert_eq!(caller.client::<GreeterClient>("agent").greet("Ada").await.unwrap(), "Good morning, Ada.");
    drop((agent, caller));
}

#[tokio::test]
async fn a_class_served_twice_by_hand_names_both_lines() {
    let lines = (line!() + 1, line!() + 2);
    let builder = builder(&Memory::new(), "agent").serve(GreeterServer::new(Polite));
    let builder = builder.serve(GreeterServer::new(Polite));
    let error = builder.start().await.unwrap_err();
    let BuildError::Duplicate { first, second } = &error else { panic!("{error:?}") };
    assert_eq!((first.location().line(), second.location().line()), lines);
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Fields<'a>(&'a mut String);

impl tracing::field::Visit for Fields<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = format!("{} ", event.metadata().level());
        event.record(&mut Fields(&mut line));
        self.0.lock().unwrap().push(line);
    }
}

#[tokio::test]
async fn what_is_served_is_logged() {
    let log = Log::default();
    let logging = tracing::subscriber::set_default(log.clone());
    let agent = builder(&Memory::new(), "agent").serve_discovered().start().await.unwrap();
    drop(logging);
    let lines = log.0.lock().unwrap().clone();
    let discovered: Vec<_> = lines.iter().filter(|line| line.contains("message=discovered")).collect();
    assert_eq!(discovered.len(), 4, "{lines:#?}");
    for part in [
        "INFO",
        "endpoint=agent",
        "class=\"greeter\"",
        "version=2.1",
        "type=\"rmi_companion::Polite\"",
        "companion/src/lib.rs:19",
    ] {
        assert!(discovered[2].contains(part), "{part}: {}", discovered[2]);
    }
    drop(agent);
}

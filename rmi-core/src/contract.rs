//! What a trait says about itself: names, parameters, times, promises.
//!
//! `#[remote]` writes one [`Contract`] for a trait; everything that needs to know the trait at run time reads it there.

use std::time::Duration;

mod events;
mod version;

pub use self::{
    events::{Carried, EventContract, EventField, EventKind},
    version::{NotAVersion, Version},
};

/// A service's contract: everything that its trait says.
#[derive(Debug)]
#[non_exhaustive]
pub struct Contract {
    /// The wire name: the class of requests.
    pub name: &'static str,
    /// The contract's version.
    pub version: Version,
    /// Where the trait is in the code of the program that serves or calls it; empty for a contract that is no trait.
    pub path: &'static str,
    /// The trait's documentation.
    pub docs: &'static str,
    /// Its requests run one after the other, in the order in which they were admitted. A handler that calls its own contract and
    /// waits for that waits for itself.
    pub sequential: bool,
    /// The methods, in the order of their declaration.
    pub methods: &'static [Method],
    /// The events that it publishes, if it says so.
    pub events: Option<&'static EventContract>,
}

/// One method of a contract.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Method {
    /// The wire name.
    pub name: &'static str,
    /// Other names that the method answers to.
    pub aliases: &'static [&'static str],
    /// The method's documentation.
    pub docs: &'static str,
    /// The parameters on the wire, in the order of their declaration; the context is not one of them.
    pub params: &'static [Param],
    /// The version of the contract that it came with; `None` when it has been there from the start of its major.
    pub since: Option<Version>,
    /// How a client of ours writes the arguments. Both forms are always read.
    pub style: Style,
    /// Running it twice does no harm.
    pub idempotent: bool,
    /// Nobody waits for its end.
    pub oneway: bool,
    /// It takes a context, so it can report progress and notice that it is cancelled.
    pub context: bool,
    /// Its handler is polled where the request was received, and moves to a task of its own only if it is not ready at once.
    pub inline: bool,
    /// How long a client waits for the outcome unless the call says otherwise.
    pub timeout: Option<Duration>,
    /// How long a request may wait before it starts unless the call says otherwise.
    pub ttl: Option<Duration>,
}

/// One parameter of a method.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Param {
    /// The wire name.
    pub name: &'static str,
    /// The type, as the trait spells it.
    pub ty: &'static str,
    /// It may be left out.
    pub default: bool,
}

/// How arguments are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Style {
    /// In order: `args`.
    Positional,
    /// By name: `kws`.
    Named,
}

impl Contract {
    /// The index of the method that answers to a wire name.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.methods.iter().position(|m| m.name == name || m.aliases.contains(&name))
    }
}

/// What generated code builds contracts with.
#[doc(hidden)]
impl Contract {
    pub const fn new(name: &'static str, version: Version, methods: &'static [Method]) -> Self {
        Contract { name, version, path: "", docs: "", sequential: false, methods, events: None }
    }

    pub const fn events(mut self, events: &'static EventContract) -> Self {
        self.events = Some(events);
        self
    }

    pub const fn sequential(mut self) -> Self {
        self.sequential = true;
        self
    }

    pub const fn path(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }

    pub const fn docs(mut self, docs: &'static str) -> Self {
        self.docs = docs;
        self
    }
}

/// What generated code builds methods with.
#[doc(hidden)]
impl Method {
    pub const fn new(name: &'static str, params: &'static [Param]) -> Self {
        Method {
            name,
            aliases: &[],
            docs: "",
            params,
            since: None,
            style: Style::Positional,
            idempotent: false,
            oneway: false,
            context: false,
            inline: false,
            timeout: None,
            ttl: None,
        }
    }

    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub const fn docs(mut self, docs: &'static str) -> Self {
        self.docs = docs;
        self
    }

    pub const fn since(mut self, since: Version) -> Self {
        self.since = Some(since);
        self
    }

    pub const fn named(mut self) -> Self {
        self.style = Style::Named;
        self
    }

    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    pub const fn oneway(mut self) -> Self {
        self.oneway = true;
        self
    }

    pub const fn context(mut self) -> Self {
        self.context = true;
        self
    }

    pub const fn inline(mut self) -> Self {
        self.inline = true;
        self
    }

    pub const fn timeout_millis(mut self, millis: u64) -> Self {
        self.timeout = Some(Duration::from_millis(millis));
        self
    }

    pub const fn ttl_millis(mut self, millis: u64) -> Self {
        self.ttl = Some(Duration::from_millis(millis));
        self
    }
}

/// What generated code builds parameters with.
#[doc(hidden)]
impl Param {
    pub const fn new(name: &'static str, ty: &'static str) -> Self {
        Param { name, ty, default: false }
    }

    pub const fn with_default(mut self) -> Self {
        self.default = true;
        self
    }
}

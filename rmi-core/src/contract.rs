//! What a trait says about itself: names, parameters, times, promises.
//!
//! `#[remote]` writes one [`Contract`] for a trait; everything that needs to know the trait at run time reads it there.

use std::time::Duration;

use serde::{Deserialize, Serialize};

mod change;
mod compatibility;
mod description;
mod errors;
mod events;
mod fits;
mod help;
#[cfg(feature = "schema")]
mod schema;
mod types;
mod version;

#[cfg(feature = "schema")]
pub(crate) use self::schema::schema_of;
pub use self::{
    change::{Change, Finding},
    compatibility::{Incompatible, assert_compatible, check_compatible, compare},
    description::{
        Description, ErrorDescription, EventDescription, EventFieldDescription, EventKindDescription, FieldDescription,
        MethodDescription, ParamDescription, TypeDescription, VariantDescription,
    },
    errors::{ErrorField, ErrorType, ErrorVariant},
    events::{Carried, EventContract, EventField, EventKind},
    types::{Direction, SchemaOf, Type},
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
#[derive(Debug)]
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
    /// It should not be used any more; the text, which may be empty, says what to use.
    pub deprecated: Option<&'static str>,
    /// The type of the result; `None` when it is one-way.
    pub result: Option<Type>,
    /// The type of the error; `None` when it is one-way.
    pub error: Option<Type>,
    /// What the error can be.
    pub errors: ErrorType,
    /// The type of the details of progress; `None` when it takes no context.
    pub progress: Option<Type>,
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
#[derive(Debug)]
#[non_exhaustive]
pub struct Param {
    /// The wire name.
    pub name: &'static str,
    /// The type, as the trait spells it.
    pub ty: &'static str,
    /// It may be left out, because the trait says what it is then.
    pub default: bool,
    /// What it is then, as the trait spells it.
    pub default_value: &'static str,
    omitted: Option<fn() -> bool>,
    schema: Option<SchemaOf>,
}

/// How arguments are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// In order: `args`.
    #[default]
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

/// A method is equal to itself: two contracts may describe theirs alike and mean something else.
impl PartialEq for Method {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Method {}

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
            deprecated: None,
            result: None,
            error: None,
            errors: ErrorType::UNDESCRIBED,
            progress: None,
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

    pub const fn deprecated(mut self, note: &'static str) -> Self {
        self.deprecated = Some(note);
        self
    }

    pub const fn returns(mut self, returned: Returned, ok: &'static str, err: &'static str, schema: Option<SchemaOf>) -> Self {
        self.result = Some(returned.ok.spelled(ok).with_schema(schema));
        self.error = Some(returned.err.spelled(err));
        self.errors = returned.errors;
        self
    }

    pub const fn progress(mut self, details: Type, spelled: &'static str, schema: Option<SchemaOf>) -> Self {
        self.context = true;
        self.progress = Some(details.spelled(spelled).with_schema(schema));
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

/// What a method returns, as its type says.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Returned {
    pub(crate) ok: Type,
    pub(crate) err: Type,
    pub(crate) errors: ErrorType,
}

impl Param {
    /// Whether a caller may leave it out: the trait says what it is then, or its type has a value for "nothing there", as
    /// `Option` has.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.default || self.omitted.is_some_and(|omitted| omitted())
    }

    /// Its JSON Schema, as [`Type::schema`].
    #[must_use]
    pub fn schema(&self) -> Option<serde_json::Value> {
        self.schema.map(|make| make(Direction::Read))
    }
}

/// What generated code builds parameters with.
#[doc(hidden)]
impl Param {
    pub const fn new(name: &'static str, ty: &'static str) -> Self {
        Param { name, ty, default: false, default_value: "", omitted: None, schema: None }
    }

    pub const fn with_default(mut self, value: &'static str) -> Self {
        self.default = true;
        self.default_value = value;
        self
    }

    pub const fn probed(mut self, omitted: Option<fn() -> bool>, schema: Option<SchemaOf>) -> Self {
        self.omitted = omitted;
        self.schema = schema;
        self
    }
}

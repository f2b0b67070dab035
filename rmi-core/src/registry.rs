//! Discovery: implementations that register themselves.
//!
//! `#[remote]` on an implementation says that it may be found. [`Builder::serve_discovered`](crate::endpoint::Builder::serve_discovered)
//! serves all that was found, in whichever crate of the program it is.
//!
#![cfg_attr(feature = "macros", doc = "```")]
#![cfg_attr(not(feature = "macros"), doc = "```ignore")]
//! use std::convert::Infallible;
//!
//! use rmi_core::{Endpoint, Memory, Native, Trust, registry, remote};
//!
//! #[remote(name = "clock")]
//! pub trait Clock {
//!     async fn ticks(&self) -> Result<u64, Infallible>;
//! }
//!
//! #[derive(Default)]
//! struct Stopped;
//!
//! #[remote]
//! impl Clock for Stopped {
//!     async fn ticks(&self) -> Result<u64, Infallible> {
//!         Ok(7)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! registry::require(["clock"])?;
//! let endpoint = Endpoint::builder("agent")
//!     .bind(Native::default(), Memory::new(), Trust::insecure())
//!     .serve_discovered()
//!     .start()
//!     .await?;
//! # let _ = endpoint.shutdown(std::time::Duration::ZERO).await?;
//! # Ok(()) }
//! ```
//!
//! # When nothing is registered, silently
//!
//! * **A crate that is a dependency but that nothing names.** Cargo builds it, and the compiler leaves it out of the program, with
//!   what it registers. Name it where the program starts: `use my_services as _;`, or `extern crate my_services;`.
//! * An implementation, or a module of it, that a `#[cfg]` leaves out.
//! * A dynamic library that has not been loaded yet: what it registers is found by those who look after that.
//! * A platform where nothing can run before `main`: those that the crate `inventory` does not know, and WebAssembly unless its
//!   host calls `__wasm_call_ctors`.
//! * An implementation without `#[remote]`: the attribute on its trait registers nothing.
//!
//! None of these can be told from a program that has nothing to serve, so a program that discovers says what it needs:
//! [`require`]. Where that is known anyway, [`Builder::serve`](crate::endpoint::Builder::serve) says it as well, and the compiler
//! checks it.

use std::{error::Error, fmt, panic::Location, sync::Arc};

use crate::{
    contract::Contract,
    service::{Server, Service},
};

/// What making an instance comes to.
pub(crate) type Made = Result<Arc<dyn Service>, Box<dyn Error + Send + Sync>>;

/// An implementation that was found.
#[derive(Clone, Copy)]
pub struct Registration {
    contract: &'static Contract,
    type_name: fn() -> &'static str,
    location: &'static Location<'static>,
    make: fn() -> Made,
}

inventory::collect!(Registration);

impl Registration {
    /// What generated code registers.
    #[doc(hidden)]
    #[track_caller]
    #[must_use]
    pub const fn new<S: Server>(make: fn() -> Made) -> Self {
        Registration { contract: S::CONTRACT, type_name: std::any::type_name::<S::Instance>, location: Location::caller(), make }
    }

    /// The contract that it implements.
    #[must_use]
    pub fn contract(&self) -> &'static Contract {
        self.contract
    }

    /// The type that implements it, with the path of its module. For people: the compiler may spell it differently next time.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        (self.type_name)()
    }

    /// Where its `#[remote]` is.
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// A server of it: with its one instance, or with its factory.
    pub(crate) fn make(&self) -> Made {
        (self.make)()
    }

    /// Whether somebody means it by this: `Kennel`, `dogs::Kennel`, `my_crate::dogs::Kennel`.
    fn is_type(&self, name: &str) -> bool {
        self.type_name().strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with("::"))
    }
}

impl fmt::Display for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Contract { name, version, .. }, location) = (self.contract, self.location);
        write!(f, "`{name}` {version} by `{}` ({}:{})", self.type_name(), location.file(), location.line())
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registration({self})")
    }
}

/// All that was found, by class, version and type. Which comes first in the program makes no difference.
#[must_use]
pub fn discovered() -> Vec<&'static Registration> {
    let mut all: Vec<&'static Registration> = inventory::iter::<Registration>().collect();
    all.sort_by_key(|found| (found.contract.name, found.contract.version, found.type_name(), found.location.line()));
    all
}

/// Whether each of these classes was found.
///
/// # Errors
///
/// What is missing, what was found, and why something may be missing.
pub fn require<I>(classes: I) -> Result<(), Missing>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    search(["for the class", "for the classes"], classes, |found, class| found.contract.name == class)
}

/// Whether an implementation by each of these types was found: `Kennel`, or with as much of its path as tells it from others.
///
/// # Errors
///
/// As [`require`].
pub fn require_types<I>(types: I) -> Result<(), Missing>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    search(["on the type", "on the types"], types, Registration::is_type)
}

fn search<I>(what: [&'static str; 2], names: I, is: impl Fn(&Registration, &str) -> bool) -> Result<(), Missing>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let found = discovered();
    let known = |name: &str| found.iter().any(|registration| is(registration, name));
    let missing: Vec<String> =
        names.into_iter().filter(|name| !known(name.as_ref())).map(|name| name.as_ref().to_owned()).collect();
    if missing.is_empty() { Ok(()) } else { Err(Missing { what, missing, found }) }
}

/// Something that a program needs has not been found in it.
#[derive(Clone, Debug)]
pub struct Missing {
    what: [&'static str; 2],
    missing: Vec<String>,
    found: Vec<&'static Registration>,
}

impl Missing {
    /// The classes or types that are missing.
    #[must_use]
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// All that was found.
    #[must_use]
    pub fn found(&self) -> &[&'static Registration] {
        &self.found
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing: Vec<_> = self.missing.iter().map(|name| format!("`{name}`")).collect();
        let found: Vec<_> = self.found.iter().map(ToString::to_string).collect();
        let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
        let what = self.what[usize::from(self.missing.len() > 1)];
        let missing = missing.join(", ");
        write!(f, "no implementation in this program is marked `#[remote]` {what} {missing}; found: {found}. {WHY}")
    }
}

impl Error for Missing {}

/// Why something that is there is not found.
pub(crate) const WHY: &str = "A crate that nothing names is left out of the program, with all that it registers: write \
                              `use that_crate as _;` where the program starts, or serve its implementation with `Builder::serve`";

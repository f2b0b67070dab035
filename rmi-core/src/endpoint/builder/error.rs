//! Why an endpoint could not be started.

use crate::{address::Address, endpoint::offer::Origin, journal::JournalError, transport::TransportError};

/// An endpoint could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no tokio runtime.
    #[error("there is no tokio runtime: start the endpoint inside `#[tokio::main]` or `Runtime::block_on`")]
    NoRuntime,
    /// The endpoint has no binding.
    #[error("endpoint `{0}` has no binding: add `.bind(protocol, transport, trust)`; trust is `Trust::insecure()` if it must be")]
    NoBinding(Address),
    /// One major of a class is served twice.
    #[error("{first} and {second} are served at once: raise the major of one, give one another `name`, or serve only one")]
    Duplicate {
        /// What was added first.
        first: Origin,
        /// What was added after it.
        second: Origin,
    },
    /// An implementation was discovered, and its instance could not be made.
    #[error("{origin} cannot be served: its `new` failed")]
    Instance {
        /// The implementation.
        origin: Origin,
        /// What `new` said.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The major for requests that name no version is not served.
    #[error(
        "requests for `{class}` that name no version are to go to major {major}, which is not served{}{served}: serve it, or \
         correct `default_major`",
        if served.is_empty() { "" } else { "; served are " }
    )]
    DefaultMajor {
        /// The class.
        class: String,
        /// The major.
        major: u16,
        /// The versions of the class that are served.
        served: String,
    },
    /// A binding is to be sealed, and its protocol has no place for a signature.
    #[error(
        "binding {0} is sealed, but its protocol has no place for signatures: use `Trust::insecure()` and say what may be called"
    )]
    NotSealable(usize),
    /// What a binding's callers may reach names nothing that there is to be reached.
    #[error(
        "the callers of binding {binding} may reach `{entry}`, which names nothing that is served{}{served}: correct it in \
         `Trust::only` (`Class.method`, or `Class.*`), or serve it",
        if served.is_empty() { "" } else { "; served are " }
    )]
    NothingNamed {
        /// Which binding, from 0.
        binding: usize,
        /// The entry of [`Trust::only`](crate::Trust::only).
        entry: String,
        /// The classes that are served.
        served: String,
    },
    /// The journal cannot be read.
    #[error("the journal cannot be read: the endpoint does not start without what it has promised")]
    Journal(#[from] JournalError),
    /// A transport refuses.
    #[error("a transport refused what the endpoint needs of it")]
    Transport(#[from] TransportError),
}

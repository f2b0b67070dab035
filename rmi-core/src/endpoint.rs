//! A process's seat on the bus: its address, its pending calls, the contracts that it serves.

use crate::{call::Stub, contract::Contract};

/// A process's seat on the bus.
#[derive(Clone, Debug)]
pub struct Endpoint {}

/// An endpoint that may be gone.
#[derive(Clone, Debug)]
pub struct WeakEndpoint {}

impl WeakEndpoint {
    /// The endpoint, if it is still there.
    #[must_use]
    pub fn upgrade(&self) -> Option<Endpoint> {
        None
    }
}

/// A client of a contract, written by `#[remote]`.
pub trait Client: Clone + Send + Sync + Sized + 'static {
    /// The contract.
    const CONTRACT: &'static Contract;

    /// A client that reaches its contract by a stub.
    fn from_stub(stub: Stub) -> Self;

    /// The stub.
    fn stub(&self) -> &Stub;
}

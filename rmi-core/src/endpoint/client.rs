use std::sync::Arc;

use serde::Serialize;

use crate::{
    address::Address,
    call::{Call, Stub},
    contract::Contract,
    endpoint::{admin::AdminClient, dispatch::Core},
    json::{Json, JsonError},
    message::{Arguments, Constructor, Exception},
    text::Text,
};

/// A client of a contract, written by `#[remote]`. Its methods are the trait's; what every client can do besides is here.
pub trait Client: Clone + Send + Sync + Sized + 'static {
    /// The contract.
    const CONTRACT: &'static Contract;

    /// A client that reaches its contract by a stub.
    fn from_stub(stub: Stub) -> Self;

    /// The stub.
    fn stub(&self) -> &Stub;

    /// The same client for an instance that is made with these constructor arguments: one struct, whose fields are the names.
    ///
    /// # Errors
    ///
    /// The value does not serialise as an object.
    fn with_cntr<A: Serialize + ?Sized>(&self, arguments: &A) -> Result<Self, JsonError> {
        Ok(Self::from_stub(self.stub().clone().constructor(Constructor::from_struct(arguments)?)))
    }
}

/// An address, to call without a contract at hand.
#[derive(Clone, Debug)]
pub struct Peer {
    core: Arc<Core>,
    address: Address,
    binding: usize,
}

impl Peer {
    pub(crate) fn new(core: Arc<Core>, address: Address) -> Self {
        Peer { core, address, binding: 0 }
    }

    /// Over another binding than the first; see [`Endpoint::client_over`](crate::Endpoint::client_over).
    #[must_use]
    pub fn over(mut self, binding: usize) -> Self {
        self.binding = binding;
        self
    }

    /// What every endpoint of ours can be asked, and agents of gofer in part.
    #[must_use]
    pub fn admin(&self) -> AdminClient {
        AdminClient::new(Arc::clone(&self.core), self.binding, self.address.clone())
    }

    /// A class that is served there.
    #[must_use]
    pub fn class(&self, class: impl Into<Text>) -> PeerClass {
        PeerClass { stub: Stub::of_class(&self.core, self.binding, self.address.clone(), class.into()) }
    }
}

/// A class at an address.
#[derive(Clone, Debug)]
pub struct PeerClass {
    stub: Stub,
}

impl PeerClass {
    /// Names the version of the contract that is meant (`1.0`).
    #[must_use]
    pub fn version(self, version: impl Into<Text>) -> Self {
        PeerClass { stub: self.stub.version(version.into()) }
    }

    /// The class with constructor arguments: by name from what serialises as an object (a struct, a map), by position from what
    /// serialises as an array.
    ///
    /// # Errors
    ///
    /// The value serialises as neither.
    pub fn with_cntr<A: Serialize + ?Sized>(self, arguments: &A) -> Result<Self, JsonError> {
        let Arguments { positional, named, .. } = encode(arguments)?;
        Ok(PeerClass { stub: self.stub.constructor(Constructor { positional, named }) })
    }

    /// A call of a method. Arguments that serialise as an array (an array, a `Vec`, a tuple) are given by position, those that
    /// serialise as an object by name, and `()` means none.
    pub fn call<T>(&self, method: impl Into<Text>, arguments: impl Serialize) -> Call<T> {
        self.stub.dynamic(method.into(), encode(&arguments))
    }

    /// A call with arguments by position and by name.
    pub fn call_with<T>(&self, method: impl Into<Text>, positional: impl Serialize, named: impl Serialize) -> Call<T, Exception> {
        let arguments = encode(&positional).and_then(|first| {
            let second = encode(&named)?;
            Ok(Arguments { named: second.named, ..first })
        });
        self.stub.dynamic(method.into(), arguments)
    }
}

fn encode<A: Serialize + ?Sized>(arguments: &A) -> Result<Arguments, JsonError> {
    let json = Json::encode(arguments)?;
    match json.as_str().as_bytes().first() {
        Some(b'[') => Ok(Arguments { positional: json, ..Arguments::NONE }),
        Some(b'{') => Ok(Arguments { named: json, ..Arguments::NONE }),
        _ if json.is_null() => Ok(Arguments::NONE),
        _ => Err(JsonError::custom("arguments are an array, a tuple or an object: write `[value]` for a single one")),
    }
}

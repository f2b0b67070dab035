//! What a program that defines, serves or calls a contract usually needs.

pub use crate::{
    call::{Call, Pending, Update},
    context::Context,
    endpoint::{Client, Endpoint},
    error::CallError,
};

#[cfg(feature = "macros")]
pub use crate::remote;
pub use crate::{RemoteError, RemoteEvent};

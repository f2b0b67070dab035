#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod address;
pub mod call;
pub mod context;
pub mod contract;
pub mod endpoint;
pub mod error;
mod escape;
pub mod event;
// What it shows needs these features; documentation is built with all of them.
#[cfg(all(
    any(doc, doctest),
    feature = "macros",
    feature = "discovery",
    feature = "testing",
    feature = "policy",
    feature = "metrics",
    feature = "journal",
    feature = "tls"
))]
pub mod guide;
pub mod journal;
pub mod json;
pub mod layer;
mod lock;
pub mod message;
pub mod prelude;
pub mod protocol;
#[cfg(feature = "discovery")]
#[cfg_attr(docsrs, doc(cfg(feature = "discovery")))]
pub mod registry;
mod scan;
pub mod seal;
pub mod service;
mod table;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
pub mod text;
pub mod time;
pub mod trace;
pub mod transport;

#[doc(hidden)]
pub mod __private;

#[cfg(feature = "macros")]
#[cfg_attr(docsrs, doc(cfg(feature = "macros")))]
pub use rmi_macros::{RemoteError, RemoteEvent, remote};

pub use crate::{
    address::Address,
    call::{Call, Pending, Update},
    context::Context,
    endpoint::{Client, Endpoint},
    error::{CallError, RemoteError},
    event::RemoteEvent,
    json::Json,
    protocol::{Limits, Native},
    seal::{Ed25519, Keyring, Principal, Trust},
    transport::memory::Memory,
};

//! Methods and arguments that exist only on conditions, and lints that follow them.
#![deny(warnings, clippy::all, clippy::pedantic, missing_docs, missing_debug_implementations, unreachable_pub)]
#![allow(unexpected_cfgs)]
#![allow(clippy::unwrap_used, clippy::missing_errors_doc, clippy::many_single_char_names)]

use std::convert::Infallible;

use rmi_core::{Client as _, contract::Method, remote, service::Service as _};

/// What is there and what is not.
#[remote]
pub trait Sometimes {
    /// Never there.
    #[cfg(never)]
    async fn first(&self, x: DoesNotExist) -> Result<NorDoesThis, Infallible>;

    /// Always there.
    #[cfg(not(never))]
    #[remote(name = "second")]
    async fn here(&self, #[cfg(never)] gone: DoesNotExist, stays: u8, #[cfg(not(never))] too: &str) -> Result<u8, Infallible>;

    /// The other form of it.
    #[cfg(never)]
    #[remote(name = "second")]
    async fn here(&self) -> Result<u8, Infallible>;

    /// Not there either, in a roundabout way.
    #[cfg_attr(not(never), cfg(never))]
    async fn third(&self, x: DoesNotExist) -> Result<(), Infallible>;

    /// Last.
    #[deprecated = "call `second`"]
    #[expect(clippy::too_many_arguments, non_snake_case)]
    async fn Last(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> Result<u8, Infallible>;
}

#[derive(Debug)]
struct Here;

impl Sometimes for Here {
    async fn here(&self, stays: u8, too: &str) -> Result<u8, Infallible> {
        Ok(stays + u8::try_from(too.len()).unwrap())
    }

    #[allow(non_snake_case)]
    async fn Last(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> Result<u8, Infallible> {
        Ok(a + b + c + d + e + f + g + h)
    }
}

/// Nothing at all.
#[remote]
#[cfg(never)]
pub trait Never {
    /// Gone.
    async fn gone(&self) -> Result<DoesNotExist, Infallible>;
}

/// Once.
#[remote]
#[deprecated]
#[cfg_attr(not(never), allow(clippy::wrong_self_convention))]
pub trait Old {
    /// Something.
    async fn into_something(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// An error, now and then.
#[derive(Debug, thiserror::Error, rmi_core::RemoteError)]
pub enum Failure {
    /// There.
    #[error("there")]
    #[deprecated]
    There {
        /// There.
        here: u8,
        /// Not there.
        #[cfg(never)]
        gone: DoesNotExist,
    },
    /// Not there.
    #[cfg(never)]
    #[error("gone")]
    Gone(DoesNotExist),
}

#[test]
fn what_does_not_exist_is_nowhere() {
    let server = SometimesServer::new(Here);
    let methods: Vec<_> = server.contract().methods.iter().map(|m: &Method| m.name).collect();
    assert_eq!(methods, ["second", "Last"]);
    let params: Vec<_> = SometimesClient::CONTRACT.methods[0].params.iter().map(|p| p.name).collect();
    assert_eq!(params, ["stays", "too"]);
    let _ = |client: &SometimesClient| drop(client.here(1, "one"));
}

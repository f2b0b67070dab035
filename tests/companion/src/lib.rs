//! A crate of services, of which nobody is told: whoever names the crate discovers them.

use std::{convert::Infallible, num::ParseIntError};

use rmi_core::{RemoteError, remote};
use serde::{Deserialize, Serialize};

/// Says what it is.
#[remote(name = "greeter", version = "2.1")]
pub trait Greeter {
    /// Greets somebody.
    async fn greet(&self, name: &str) -> Result<String, Infallible>;
}

/// Greets in one way: the default instance is what is served.
#[derive(Debug, Default)]
pub struct Polite;

#[remote]
impl Greeter for Polite {
    async fn greet(&self, name: &str) -> Result<String, Infallible> {
        Ok(format!("Good morning, {name}."))
    }
}

/// Contracts in a module of their own.
pub mod contracts {
    use super::{AccountError, Infallible, remote};

    /// Adds.
    #[remote(name = "adder")]
    pub trait Adder {
        /// Adds a number to its own.
        async fn add(&self, number: u32) -> Result<u32, Infallible>;
    }

    /// One account of many.
    #[remote(name = "account")]
    pub trait Account {
        /// Whose it is.
        async fn owner(&self) -> Result<String, AccountError>;
    }
}

/// Adds to a number that it was made with.
#[derive(Debug)]
pub struct From7(u32);

impl From7 {
    fn parse() -> Result<Self, ParseIntError> {
        "7".parse().map(From7)
    }
}

#[remote(new = From7::parse)]
impl contracts::Adder for From7 {
    async fn add(&self, number: u32) -> Result<u32, Infallible> {
        Ok(self.0.saturating_add(number))
    }
}

/// Which account.
#[derive(Debug, Serialize, Deserialize)]
pub struct AccountArgs {
    /// Whose.
    pub owner: String,
}

/// There is no such account.
#[derive(Debug, PartialEq, Eq, thiserror::Error, RemoteError)]
#[error("{owner} has no account")]
pub struct AccountError {
    /// Who has none.
    pub owner: String,
}

/// An account, made anew for each request.
#[derive(Debug)]
pub struct Opened {
    owner: String,
}

impl Opened {
    fn open(arguments: AccountArgs) -> Result<Self, AccountError> {
        match arguments {
            AccountArgs { owner } if owner == "nobody" => Err(AccountError { owner }),
            AccountArgs { owner } => Ok(Opened { owner }),
        }
    }
}

#[remote(new = Opened::open, per_call)]
impl contracts::Account for Opened {
    async fn owner(&self) -> Result<String, AccountError> {
        Ok(self.owner.clone())
    }
}

//! The Dog of gofer's documentation, as a contract, a service and a demonstration of every calling style.

pub mod agent;
pub mod demo;
mod dogs;

use std::convert::Infallible;

use rmi_core::{Context, Json, RemoteError, RemoteEvent, remote};
use serde::{Deserialize, Serialize};

pub use dogs::{Chance, Module, Ranch};

/// What a dog may raise.
#[derive(Debug, PartialEq, thiserror::Error, RemoteError)]
pub enum DogError {
    /// Python's `ValueError`, on purpose: a Python caller catches it as its own.
    #[error("('{0}', {1})")]
    #[remote(class = "ValueError", module = "builtins")]
    Value(String, i64),
    /// Python's `KeyError`.
    #[error("'{0}'")]
    #[remote(class = "KeyError", module = "builtins")]
    Key(String),
    /// An error of the dog's own.
    #[error("This is myerror.")]
    MyError {
        /// What it is about.
        b: i64,
    },
}

/// What everybody may hear of a dog.
#[derive(Debug, PartialEq, RemoteEvent)]
pub enum DogEvent {
    /// It has barked.
    #[remote(key = "dog.barked.{name}")]
    Barked {
        /// Who.
        name: String,
        /// What.
        words: String,
    },
}

/// Who a dog is: its constructor arguments, and what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DogArgs {
    /// Its name.
    #[serde(default = "DogArgs::name")]
    pub name: String,
    /// Its age, in years.
    #[serde(default = "DogArgs::age")]
    pub age: u32,
}

impl DogArgs {
    fn name() -> String {
        "chance".to_owned()
    }

    fn age() -> u32 {
        1
    }
}

/// A dog.
#[remote(events = DogEvent)]
pub trait Dog {
    /// Barks.
    #[remote(idempotent)]
    async fn bark(&self, words: &str) -> Result<String, Infallible>;

    /// Repeats the words, for everybody to hear.
    #[remote(idempotent)]
    async fn bark_times(
        &self,
        #[remote(context)] cx: &Context,
        words: &str,
        #[remote(default = 1)] times: u32,
    ) -> Result<String, Infallible>;

    /// Says who it is.
    #[remote(idempotent)]
    async fn who(&self) -> Result<DogArgs, Infallible>;

    /// Does not.
    async fn sit(&self) -> Result<(), DogError>;

    /// Misses a key.
    async fn key_error(&self, key: &str) -> Result<(), DogError>;

    /// Raises an error of its own.
    async fn my_error(&self) -> Result<(), DogError>;

    /// Wags its tail so many times, `delay` seconds apart, and reports each.
    #[remote(timeout = "10m")]
    async fn wag(
        &self,
        #[remote(context)] cx: &Context<String>,
        n: u64,
        #[remote(default = 0.05)] delay: f64,
    ) -> Result<String, Infallible>;

    /// Sleeps, in seconds.
    #[remote(timeout = "10m")]
    async fn nap(&self, seconds: f64) -> Result<(), Infallible>;

    /// Sleeps until it is woken, in seconds.
    #[remote(timeout = "10m")]
    async fn cancellable(&self, #[remote(context)] cx: &Context, seconds: f64) -> Result<String, Infallible>;

    /// Says something of so many characters.
    #[remote(idempotent)]
    async fn big(&self, n: usize) -> Result<String, DogError>;
}

/// Who a cowboy is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CowboyArgs {
    /// His name.
    pub name: String,
    /// His age, in years.
    #[serde(default)]
    pub age: u32,
}

/// A cowboy.
#[remote]
pub trait Cowboy {
    /// Says hello.
    #[remote(idempotent)]
    async fn howdy(&self) -> Result<String, Infallible>;
}

/// The functions of gofer's module `dog`.
#[remote(name = "dog")]
pub trait DogModule {
    /// Returns its argument.
    #[remote(idempotent, inline)]
    async fn echo(&self, something: Json) -> Result<Json, Infallible>;
}

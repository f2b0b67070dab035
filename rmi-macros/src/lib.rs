#![doc = include_str!("../README.md")]

use proc_macro::TokenStream;

mod attributes;
mod duration;
mod errors;
mod expand;
mod implementation;
mod model;
mod names;
mod options;
mod parse;
mod remote;
mod remote_error;
mod remote_event;
mod spell;
#[cfg(test)]
mod tests;

/// Makes a trait a remote contract: the trait itself, `<Trait>Client` and `<Trait>Server<S>`. Lets an implementation be discovered.
///
/// ```
/// use std::convert::Infallible;
///
/// use rmi_core::remote;
///
/// #[remote(name = "dog", version = "1.0", rename_all = "camelCase")]
/// pub trait Dog {
///     /// Says something.
///     #[remote(idempotent, timeout = "1s")]
///     async fn bark(&self, words: &str) -> Result<String, Infallible>;
/// }
/// ```
///
/// | on | options |
/// |---|---|
/// | the trait | `name`, `version`, `rename_all`, `params`, `sequential`, `crate`, `client = false`, `server = false` |
/// | a method | `name`, `alias`, `timeout`, `ttl`, `idempotent`, `oneway`, `inline`, `params`, `since` |
/// | an argument | `name`, `default`, `default = expr`, `context` |
/// | an implementation of such a trait | `new = path`, `per_call`, `server = path`, `crate` |
///
/// On an implementation it is optional, and means that the implementation can be discovered: `rmi_core::registry` says how, and when
/// it silently cannot.
///
/// ```
/// # use std::convert::Infallible;
/// # use rmi_core::{registry, remote};
/// # #[remote(name = "dog")]
/// # pub trait Dog {
/// #     async fn bark(&self, words: &str) -> Result<String, Infallible>;
/// # }
/// struct Kennel;
///
/// impl Kennel {
///     fn open() -> Result<Self, std::io::Error> {
///         Ok(Kennel)
///     }
/// }
///
/// #[remote(new = Kennel::open)]
/// impl Dog for Kennel {
///     async fn bark(&self, words: &str) -> Result<String, Infallible> {
///         Ok(words.to_owned())
///     }
/// }
///
/// registry::require(["dog"]).unwrap();
/// ```
///
/// The repository's `docs/macro.md` explains every option and shows what is generated.
#[proc_macro_attribute]
pub fn remote(attr: TokenStream, item: TokenStream) -> TokenStream {
    remote::do_remote(attr.into(), item.into()).into()
}

/// Makes an error travel: every variant gets a stable wire name, its fields are kept, and what arrives is rebuilt from it.
///
/// ```
/// use rmi_core::{RemoteError, message::Exception};
///
/// #[derive(Debug, thiserror::Error, RemoteError)]
/// pub enum DogError {
///     #[error("{name} is asleep")]
///     Asleep { name: String },
///     #[error("{0} is no trick")]
///     #[remote(class = "ValueError", module = "builtins")]
///     NoTrick(String),
/// }
///
/// let raised: Exception = DogError::NoTrick("flying".to_owned()).to_exception("dog");
/// assert!(raised.is("builtins", "ValueError"));
/// ```
///
/// | on | options |
/// |---|---|
/// | the type | `name`, `rename_all`, `crate`; on a struct also `class`, `module`, `skip` |
/// | a variant | `name`, `rename_all`, `class`, `module`, `skip` |
/// | a field | `name`, `skip` |
#[proc_macro_derive(RemoteError, attributes(remote))]
pub fn remote_error(item: TokenStream) -> TokenStream {
    remote_error::do_remote_error(item.into()).into()
}

/// Makes a type an event: each variant has a key, whose template names the fields that travel in it, and a body with the rest.
///
/// ```
/// use rmi_core::RemoteEvent;
///
/// #[derive(Debug, PartialEq, RemoteEvent)]
/// pub enum DogEvent {
///     /// A dog has barked.
///     #[remote(key = "dog.barked.{name}")]
///     Barked { name: String, words: String },
/// }
///
/// let barked = DogEvent::Barked { name: "rex".to_owned(), words: "woof".to_owned() };
/// let event = barked.to_event()?;
/// assert_eq!((&*event.key, event.body.as_str()), ("dog.barked.rex", r#"{"words":"woof"}"#));
/// assert_eq!(DogEvent::from_event(&event).transpose()?, Some(barked));
/// # Ok::<(), rmi_core::event::EventError>(())
/// ```
///
/// | on | options |
/// |---|---|
/// | an enum | `name`, `rename_all`, `crate` |
/// | a struct | `key`, `name`, `rename_all`, `crate` |
/// | a variant | `key`, `rename_all` |
/// | a field | `name`, `body`, `default` |
#[proc_macro_derive(RemoteEvent, attributes(remote))]
pub fn remote_event(item: TokenStream) -> TokenStream {
    remote_event::do_remote_event(item.into()).into()
}

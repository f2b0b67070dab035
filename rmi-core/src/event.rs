//! Events: what a service tells everybody who wants to know.
//!
//! An event is data, an enum like an error: each variant has a key, which says what happened and travels where the bus can look
//! at it, and a body, which holds the rest. Derive [`RemoteEvent`], publish with
//! [`Endpoint::publish`](crate::Endpoint::publish), subscribe with [`Endpoint::subscribe`](crate::Endpoint::subscribe).

pub(crate) mod key;

pub use self::key::{KeyFlaw, LONGEST_KEY, overlap};
use crate::{contract::EventContract, json::JsonError, message::Event, text::Text};

/// A type whose values are events.
///
/// Derive it: each variant gets a key template, whose fields travel in the key, and the rest of its fields are the body.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no event",
    label = "does not implement `RemoteEvent`",
    note = "derive it: `#[derive(RemoteEvent)]`, with `#[remote(key = \"..\")]` on each variant"
)]
pub trait RemoteEvent: Sized + Send + 'static {
    /// The kinds of events that there are.
    const EVENTS: &'static EventContract;

    /// Writes the event.
    ///
    /// # Errors
    ///
    /// A field cannot be a word of the key, or cannot be written as JSON; the error names it.
    fn to_event(&self) -> Result<Event, EventError>;

    /// Reads an event; `None` when its key is not one of this type's.
    fn from_event(event: &Event) -> Option<Result<Self, EventError>>;

    /// Whether a key is one of this type's.
    #[must_use]
    fn knows(key: &str) -> bool {
        Self::EVENTS.position(key).is_some()
    }

    /// The patterns that match all keys of this type.
    #[must_use]
    fn patterns() -> Vec<Text> {
        Self::EVENTS.kinds.iter().map(|kind| Text::from(kind.pattern())).collect()
    }
}

/// Every event, as it is.
impl RemoteEvent for Event {
    const EVENTS: &'static EventContract = &EventContract::new("Event", &[]);

    fn to_event(&self) -> Result<Event, EventError> {
        key::check(&self.key).map_err(|flaw| EventError::Key { key: self.key.clone(), flaw })?;
        Ok(self.clone())
    }

    fn from_event(event: &Event) -> Option<Result<Self, EventError>> {
        Some(Ok(event.clone()))
    }

    fn knows(_: &str) -> bool {
        true
    }

    fn patterns() -> Vec<Text> {
        vec![Text::from_static("#")]
    }
}

/// An event that cannot be written, or does not have the form that its key promises.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The value of a field cannot be a word of a key.
    #[error("the field `{field}` cannot be a word of the event's key: {value:?} {flaw}")]
    Word {
        /// The field.
        field: &'static str,
        /// Its value, as far as it is worth showing.
        value: String,
        /// What is wrong with it.
        flaw: KeyFlaw,
    },
    /// This is no key.
    #[error("`{key}` is no key of an event: it {flaw}")]
    Key {
        /// What was to be the key.
        key: Text,
        /// What is wrong with it.
        flaw: KeyFlaw,
    },
    /// A field cannot be written as JSON.
    #[error("the field `{field}` cannot be written: {error}")]
    Write {
        /// The field.
        field: &'static str,
        /// Why not.
        error: JsonError,
    },
    /// A field is missing, or does not have the type that the contract says.
    #[error("an event `{key}` cannot be read: {error}")]
    Read {
        /// The event's key.
        key: Text,
        /// The field, and what is wrong with it.
        error: String,
    },
}

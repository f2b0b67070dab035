//! Writing and reading the fields of an event.

use std::{
    fmt::{Display, Write},
    str::FromStr,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    contract::EventContract,
    event::{EventError, key},
    json::{Json, JsonError},
    message::{Arguments, ArgumentsReader, Event},
    text::Text,
};

/// Writes one event: words become its key, fields its body.
#[derive(Debug)]
pub struct EventWriter {
    key: String,
    body: Vec<u8>,
    error: Option<EventError>,
}

impl EventWriter {
    /// An event that starts with nothing.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        EventWriter { key: String::with_capacity(64), body: Vec::with_capacity(128), error: None }
    }

    /// Words of the key that are always the same.
    pub fn words(&mut self, words: &'static str) {
        self.separate();
        self.key.push_str(words);
    }

    /// A field that is a word of the key.
    pub fn word<T: Display + ?Sized>(&mut self, field: &'static str, value: &T) {
        /// How much of a value that does not fit is worth showing.
        const SHOWN: usize = 64;
        self.separate();
        let start = self.key.len();
        // A `String` takes everything; a `Display` that fails has written what there is.
        let _ = write!(self.key, "{value}");
        let word = &self.key[start..];
        if let Err(flaw) = key::check_word(word).and_then(|()| key::check_length(&self.key)) {
            let value = word.chars().take(SHOWN).collect();
            self.error.get_or_insert(EventError::Word { field, value, flaw });
        }
    }

    fn separate(&mut self) {
        if !self.key.is_empty() {
            self.key.push('.');
        }
    }

    /// A field of the body.
    pub fn field<T: Serialize + ?Sized>(&mut self, field: &'static str, value: &T) {
        self.body.push(if self.body.is_empty() { b'{' } else { b',' });
        let written = serde_json::to_writer(&mut self.body, field).and_then(|()| {
            self.body.push(b':');
            serde_json::to_writer(&mut self.body, value)
        });
        if let Err(error) = written {
            self.error.get_or_insert(EventError::Write { field, error: JsonError(error) });
        }
    }

    /// The event.
    ///
    /// # Errors
    ///
    /// What is wrong with the first field that cannot be written.
    pub fn finish(mut self) -> Result<Event, EventError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let key = Text::from(self.key);
        key::check(&key).map_err(|flaw| EventError::Key { key: key.clone(), flaw })?;
        if self.body.is_empty() {
            return Ok(Event { key, body: Json::EMPTY_OBJECT });
        }
        self.body.push(b'}');
        let body = String::from_utf8(self.body).map_err(|e| EventError::Write { field: "", error: JsonError::custom(e) })?;
        Ok(Event { key, body: Json::trusted(body) })
    }
}

/// Reads one event whose kind is known.
#[derive(Debug)]
pub struct EventReader<'a> {
    key: &'a Text,
    body: ArgumentsReader<'a>,
}

impl EventReader<'_> {
    /// Finds the kind of an event, and lets `read` make it of its fields. `None` when the contract has no such key.
    pub fn read<E>(
        event: &Event,
        contract: &EventContract,
        read: impl FnOnce(&mut EventReader<'_>, usize) -> Result<E, EventError>,
    ) -> Option<Result<E, EventError>> {
        let kind = contract.position(&event.key)?;
        let fields = Arguments { positional: Json::EMPTY_ARRAY, named: event.body.clone(), ..Arguments::NONE };
        let body = match fields.reader(usize::MAX) {
            Ok(body) => body,
            Err(rejection) => return Some(Err(unreadable(&event.key, rejection.details.as_str()))),
        };
        Some(read(&mut EventReader { key: &event.key, body }, kind))
    }

    /// A field that is a word of the key: its place among the words, and its name.
    pub fn word<T>(&self, at: usize, field: &str) -> Result<T, EventError>
    where
        T: FromStr,
        T::Err: Display,
    {
        let word = self.key.split('.').nth(at).unwrap_or_default();
        word.parse().map_err(|error| unreadable(self.key, format!("`{field}`: {error}")))
    }

    /// A field of the body. A missing one is an error unless its type has a value for that, as `Option` has.
    pub fn field<T: DeserializeOwned>(&mut self, field: &str) -> Result<T, EventError> {
        self.body.required(field).map_err(|rejection| unreadable(self.key, rejection.details.as_str()))
    }

    /// A field of the body, or the default of its type.
    pub fn or_default<T: DeserializeOwned + Default>(&mut self, field: &str) -> Result<T, EventError> {
        self.body.optional(field, T::default).map_err(|rejection| unreadable(self.key, rejection.details.as_str()))
    }

    /// For a kind that the type does not have.
    pub fn unknown(&self) -> EventError {
        unreadable(self.key, "there is no such kind")
    }
}

fn unreadable(key: &Text, error: impl Into<String>) -> EventError {
    EventError::Read { key: key.detached(), error: error.into() }
}

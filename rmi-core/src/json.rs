//! JSON text that is carried as it was written.

mod write;

use std::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

pub(crate) use self::write::write;
use crate::text::Text;

/// One JSON value as text, known to be well formed.
///
/// Arguments, results, user data and details stay in this form until the type that they are meant for decodes them, so a
/// value is parsed once and numbers keep every digit.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Text);

impl Json {
    /// `null`
    pub const NULL: Json = Json(Text::from_static("null"));
    /// `[]`
    pub const EMPTY_ARRAY: Json = Json(Text::from_static("[]"));
    /// `{}`
    pub const EMPTY_OBJECT: Json = Json(Text::from_static("{}"));

    /// Writes a value as JSON.
    ///
    /// # Errors
    ///
    /// The value's `Serialize` implementation failed, or a map had keys that are not strings.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Json, JsonError> {
        let mut text = Vec::with_capacity(128);
        write(&mut text, value).map_err(JsonError)?;
        String::from_utf8(text).map(|text| Json(text.into())).map_err(JsonError::custom)
    }

    /// Reads the value as `T`.
    ///
    /// # Errors
    ///
    /// The value does not have the form that `T` wants; the error says where.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        serde_json::from_str(self.as_str()).map_err(JsonError)
    }

    /// Reads the value as `T`, which may borrow from it.
    ///
    /// # Errors
    ///
    /// As [`Json::decode`].
    pub fn decode_borrowed<'a, T: Deserialize<'a>>(&'a self) -> Result<T, JsonError> {
        serde_json::from_str(self.as_str()).map_err(JsonError)
    }

    /// Checks that a text is one JSON value.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn parse(text: impl Into<Text>) -> Result<Json, JsonError> {
        let text = text.into();
        let value: &RawValue = serde_json::from_str(&text).map_err(JsonError)?;
        Ok(Json(text.share(value.get())))
    }

    /// A value found while parsing `whole`; shares its buffer.
    #[must_use]
    pub fn within(whole: &Text, value: &RawValue) -> Json {
        Json(whole.share(value.get()))
    }

    /// A value found while scanning `whole`; shares its buffer.
    pub(crate) fn part(whole: &Text, value: &str) -> Json {
        Json(whole.share(value))
    }

    /// A text that our own writer has just produced.
    pub(crate) fn trusted(text: String) -> Json {
        debug_assert!(serde_json::from_str::<&RawValue>(&text).is_ok(), "not JSON: {text}");
        Json(text.into())
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The JSON text, shared.
    #[must_use]
    pub fn text(&self) -> &Text {
        &self.0
    }

    /// Whether the value is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.as_str() == "null"
    }

    /// The same value in a buffer of its own; see [`Text::detached`].
    #[must_use]
    pub fn detached(&self) -> Json {
        Json(self.0.detached())
    }
}

impl Default for Json {
    fn default() -> Self {
        Json::NULL
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&serde_json::Value> for Json {
    fn from(value: &serde_json::Value) -> Self {
        Json::trusted(value.to_string())
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        Json::from(&value)
    }
}

impl Serialize for Json {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(self.as_str()).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Json(String::from(Box::<str>::from(raw)).into()))
    }
}

/// A value that could not be written as JSON, or JSON that does not have the form that was wanted.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct JsonError(pub(crate) serde_json::Error);

impl JsonError {
    /// An error with a text of one's own.
    pub fn custom(text: impl fmt::Display) -> Self {
        JsonError(serde::de::Error::custom(text))
    }
}

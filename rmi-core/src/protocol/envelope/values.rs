//! Single values of the envelope, read as far as their form allows.

use std::{borrow::Cow, fmt};

use crate::{json::Json, scan::Value, text::Text};
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

/// The string that a value is; `None` when it is none, or has escapes that are no characters. Shared unless it has escapes.
pub(super) fn string(whole: &Text, raw: Value<'_>) -> Option<Text> {
    match raw.plain() {
        Some(plain) => Some(whole.share(plain)),
        None => raw.unescaped().map(Text::from),
    }
}

/// What a person is to read: a string, with U+FFFD for what is no character; or any other value as its JSON text. `None` for
/// null.
pub(super) fn words(whole: &Text, raw: Value<'_>) -> Option<Text> {
    if !raw.get().starts_with('"') {
        return (raw.get() != "null").then(|| whole.share(raw.get()));
    }
    string(whole, raw).or_else(|| serde_json::from_str(raw.get()).ok().map(|Lossy(text)| text))
}

/// A string whose lone surrogates, which Python writes for bytes that were no text, are replaced.
struct Lossy(Text);

impl<'de> Deserialize<'de> for Lossy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Lossy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Lossy(Text::from(String::from_utf8_lossy(bytes).into_owned())))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// An array; empty when it is missing or null; `None` when it is something else.
pub(super) fn array(whole: &Text, raw: Option<Value<'_>>) -> Option<Json> {
    shaped(whole, raw, '[', Json::EMPTY_ARRAY)
}

/// An object; empty when it is missing or null; `None` when it is something else.
pub(super) fn object(whole: &Text, raw: Option<Value<'_>>) -> Option<Json> {
    shaped(whole, raw, '{', Json::EMPTY_OBJECT)
}

fn shaped(whole: &Text, raw: Option<Value<'_>>, first: char, empty: Json) -> Option<Json> {
    match raw {
        None => Some(empty),
        Some(raw) if raw.get() == empty.as_str() || raw.get() == "null" => Some(empty),
        Some(raw) => raw.get().starts_with(first).then(|| Json::part(whole, raw.get())),
    }
}

/// Whether an array or object has nothing in it.
pub(super) fn is_empty(json: &Json) -> bool {
    let text = json.as_str();
    text.get(1..text.len() - 1).is_some_and(|inner| inner.trim_ascii().is_empty())
}

/// A number as a count: fractions are cut, negative numbers are 0, what is too large is the largest. `None` when it is no
/// number.
pub(super) fn count(raw: Value<'_>) -> Option<u64> {
    if let Ok(count) = raw.get().parse() {
        return Some(count);
    }
    if !raw.get().starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return None;
    }
    // The cast cuts and saturates.
    raw.get().parse::<f64>().ok().map(|count| count as u64)
}

/// A value as Python's `str` shows it, as far as that is what a person expects to read; shortened.
pub(super) fn as_python_shows(raw: Option<Value<'_>>) -> String {
    let shown: Cow<'_, str> = match raw.map(|raw| raw.get()) {
        None | Some("null") => Cow::Borrowed("None"),
        Some("true") => Cow::Borrowed("True"),
        Some("false") => Cow::Borrowed("False"),
        Some(text) => serde_json::from_str::<String>(text).map_or(Cow::Borrowed(text), Cow::Owned),
    };
    shortened(&shown).to_owned()
}

/// At most 64 bytes of a text that a peer wrote and is to be told about.
pub(super) fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(64)]
}

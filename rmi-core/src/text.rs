//! Text that can share the buffer it was read from.

use std::{fmt, ops::Deref};

use bytes::Bytes;
use bytestring::ByteString;

/// Immutable UTF-8 text, cheap to clone.
///
/// A `Text` that was read from a frame is a slice of that frame: nothing is copied, and the frame lives as long as the text.
/// What is kept for long (a table key, a stored address) should be [`detached`](Text::detached) first.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(ByteString);

impl Text {
    /// Text with no characters.
    pub const EMPTY: Text = Text::from_static("");

    /// Wraps a static string without copying it.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Text(ByteString::from_static(text))
    }

    /// Checks that a whole buffer is UTF-8 and shares it.
    ///
    /// # Errors
    ///
    /// The buffer is not UTF-8.
    pub fn from_utf8(buffer: Bytes) -> Result<Self, std::str::Utf8Error> {
        ByteString::try_from(buffer).map(Text)
    }

    /// The part of this text that `part` points at: shared when `part` lies inside, copied when it does not.
    #[must_use]
    pub fn share(&self, part: &str) -> Text {
        let whole = self.0.as_bytes().as_ptr() as usize..self.0.as_bytes().as_ptr() as usize + self.0.len();
        let start = part.as_ptr() as usize;
        if !part.is_empty() && whole.contains(&start) && start + part.len() <= whole.end {
            Text(self.0.slice_ref(part))
        } else {
            Text::from(part)
        }
    }

    /// The same text in a buffer of its own.
    #[must_use]
    pub fn detached(&self) -> Text {
        Text::from(self.as_str())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text's bytes, shared.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }
}

/// A name that a peer made up, fit for an error or a log: not long, on one line, and not holding on to the message.
pub(crate) fn shown(name: &str) -> Text {
    let one_line = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    Text::from(name.chars().take(128).map(one_line).collect::<String>())
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl std::borrow::Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text(ByteString::from(text))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text(ByteString::from(text))
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for Text {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl serde::Serialize for Text {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Text::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_shares_the_buffer_and_a_foreign_part_is_copied() {
        let whole = Text::from("hello world".to_owned());
        let part = whole.share(&whole.as_str()[6..]);
        assert_eq!(part, "world");
        assert_eq!(part.as_ptr() as usize, whole.as_ptr() as usize + 6);
        let foreign = String::from("elsewhere");
        assert_eq!(whole.share(&foreign), "elsewhere");
        assert_ne!(part.detached().as_ptr(), part.as_ptr());
    }
}

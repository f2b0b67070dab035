use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A contract's version. Within a major, things are only added.
///
/// As text, and in documents, it is `major.minor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// Changes that break callers.
    pub major: u16,
    /// Additions.
    pub minor: u16,
}

impl Version {
    /// Reads `major.minor` or `major`: decimal digits, each number at most 65535.
    #[must_use]
    pub fn parse(text: &str) -> Option<Version> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        Some(Version { major: number(major)?, minor: number(minor)? })
    }
}

/// `u16::from_str` would take a sign.
fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A text is no version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a version is `major` or `major.minor`, each at most 65535: write \"1.0\"")]
pub struct NotAVersion;

impl FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        Version::parse(text).ok_or(NotAVersion)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_one_or_two_numbers() {
        assert_eq!(Version::parse("1.2"), Some(Version { major: 1, minor: 2 }));
        assert_eq!(Version::parse("3"), Some(Version { major: 3, minor: 0 }));
        assert_eq!(Version::parse("65535.65535"), Some(Version { major: u16::MAX, minor: u16::MAX }));
        for text in ["", ".", "1.", ".1", "+1", "1.+2", "-1", "1.2.3", "1,2", "65536", " 1", "v1", "1.x", "٣"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}

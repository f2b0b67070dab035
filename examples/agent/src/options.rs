//! What several commands of the program are told in the same words.

use std::fmt;

use clap::ValueEnum;
use rmi_core::{
    protocol::{JsonLines, json_lines::Profile},
    transport::tcp::Options,
};
use rmi_options::Scheme;

/// The most seconds that an option takes: a year.
pub(crate) const SECONDS: u64 = 365 * 24 * 60 * 60;

/// An error of the program, with its cause.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// In which words an agent and its server talk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, ValueEnum)]
pub enum Dialect {
    /// The native envelope, signed or not
    #[default]
    Native,
    /// The line protocol, as the agents of 2013 spoke it
    Teeth,
    /// The line protocol, as its text describes it
    Source,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dialect::Native => "native",
            Dialect::Teeth => "teeth",
            Dialect::Source => "source",
        })
    }
}

impl Dialect {
    /// In which words the line protocol is spoken; `None` for the native envelope.
    #[must_use]
    pub fn profile(self) -> Option<Profile> {
        match self {
            Dialect::Native => None,
            Dialect::Teeth => Some(Profile::Deployed),
            Dialect::Source => Some(Profile::Documented),
        }
    }

    /// How its messages are signed.
    #[must_use]
    pub fn scheme(self) -> Scheme {
        match self {
            Dialect::Native => Scheme::Ed25519,
            Dialect::Teeth | Dialect::Source => Scheme::None,
        }
    }

    /// How a link is made for it.
    #[must_use]
    pub fn tcp(self) -> Options {
        match self {
            Dialect::Native => Options::default(),
            Dialect::Teeth | Dialect::Source => Options::default().max_line(JsonLines::LONGEST_LINE),
        }
    }
}

/// A number of bytes, with or without a unit: `512M`, `10G`.
///
/// # Errors
///
/// It is none, or has another unit than K, M, G or T, which are powers of 1024.
pub fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size: write a number of bytes, or one with K, M, G or T behind it");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text.get(digits.len()..).map(str::to_ascii_uppercase).as_deref() {
        Some("") => 0,
        Some("K" | "KIB") => 10,
        Some("M" | "MIB") => 20,
        Some("G" | "GIB") => 30,
        Some("T" | "TIB") => 40,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// Text of others, for a terminal: on one line, and without what would control it.
#[must_use]
pub fn printable(text: &str) -> String {
    let orders = |c: char| {
        // Those that turn the text around are no control characters, and show something else than was said.
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if orders(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        for (text, bytes) in
            [("0", 0), ("4096", 4096), ("3k", 3 << 10), ("512M", 512 << 20), ("10GiB", 10 << 30), ("1T", 1 << 40)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "G", "-1", "1.5G", "10X", "99999999T", "1 G"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_others_say_does_not_control_a_terminal() {
        assert_eq!(printable("fine\x1b[2J\nno"), "fine\\u{1b}[2J\\u{a}no");
        assert_eq!(printable("a\u{202e}b"), "a\\u{202e}b");
    }
}

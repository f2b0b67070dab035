//! What several commands of the program are told in the same words.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use clap::{Args, ValueEnum};
use rmi_core::{
    Ed25519, Keyring, Trust,
    protocol::{JsonLines, json_lines::Profile},
    seal::PrivateKey,
    transport::tcp::Options,
};

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

    /// How a link is made for it.
    #[must_use]
    pub fn tcp(self) -> Options {
        match self {
            Dialect::Native => Options::default(),
            Dialect::Teeth | Dialect::Source => Options::default().max_line(JsonLines::LONGEST_LINE),
        }
    }
}

/// Who is trusted. There is no default: without signatures is spelled out.
#[derive(Clone, Debug, Args)]
pub struct Security {
    /// Sign with this private key (`rmi keygen` makes one); needs --trust
    #[arg(long, value_name = "FILE", requires = "trust", required_unless_present = "insecure")]
    pub key: Option<PathBuf>,
    /// Trust whoever signs with a key of this directory (see `rmi trust`); needs --key
    #[arg(long, value_name = "DIR", requires = "key")]
    pub trust: Option<PathBuf>,
    /// Sign nothing: whoever reaches the port is obeyed. The line protocol knows nothing else
    #[arg(long, conflicts_with_all = ["key", "trust"])]
    pub insecure: bool,
}

impl Security {
    /// Opens the keys.
    ///
    /// # Errors
    ///
    /// A key cannot be read, or the dialect has no place for signatures.
    pub fn open(&self, dialect: Dialect) -> Result<Trust, Error> {
        let (Some(key), Some(trust)) = (&self.key, &self.trust) else { return Ok(Trust::insecure()) };
        if dialect != Dialect::Native {
            return Err(
                format!("the dialect `{dialect}` has no place for signatures: use --insecure, or --dialect native").into()
            );
        }
        Ok(Trust::from(Ed25519::new(PrivateKey::load(key)?, Keyring::load(trust)?)))
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

/// Where an end of links is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Whether TLS is spoken there.
    pub tls: bool,
    /// `host:port`
    pub at: String,
}

impl Address {
    /// The same with the address that was got.
    #[must_use]
    pub fn got(&self, at: SocketAddr) -> Self {
        Address { tls: self.tls, at: at.to_string() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "tls" } else { "tcp" }, self.at)
    }
}

impl FromStr for Address {
    type Err = String;

    /// `tcp://host:port`, `tls://host:port`, or `host:port`, which is the first.
    fn from_str(text: &str) -> Result<Self, String> {
        let (tls, rest) = match text.split_once("://") {
            None => (false, text),
            Some(("tcp", rest)) => (false, rest.trim_end_matches('/')),
            Some(("tls", rest)) => (true, rest.trim_end_matches('/')),
            Some((scheme, _)) => {
                return Err(format!("agents and servers meet over tcp://host:port or tls://host:port, and not over {scheme}://"));
            }
        };
        match rest.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(Address { tls, at: rest.to_owned() }),
            _ => Err(format!("`{text}` names no port: write tcp://host:port")),
        }
    }
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
    fn an_address_has_a_host_and_a_port() {
        for (text, tls, at) in [
            ("tcp://[::1]:8081", false, "[::1]:8081"),
            ("server:8081", false, "server:8081"),
            ("tls://server:1/", true, "server:1"),
        ] {
            assert_eq!(text.parse(), Ok(Address { tls, at: at.to_owned() }));
        }
        for text in ["server", "tcp://server", ":8081", "amqp://server:5672", "server:port"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_others_say_does_not_control_a_terminal() {
        assert_eq!(printable("fine\x1b[2J\nno"), "fine\\u{1b}[2J\\u{a}no");
        assert_eq!(printable("a\u{202e}b"), "a\\u{202e}b");
    }
}

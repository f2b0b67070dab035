use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

/// What a public key is called where people compare keys: the SHA-256 of its 32 raw bytes, in lower-case hex.
///
/// `openssl pkey -pubin -in key.pem -outform DER | tail -c 32 | sha256sum` prints the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(key: &[u8; 32]) -> Self {
        Fingerprint(Sha256::digest(key).into())
    }

    /// The first 16 digits: enough to find a key in a log, too few to trust it by.
    #[must_use]
    pub fn short(&self) -> String {
        let mut digits = self.to_string();
        digits.truncate(16);
        digits
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads all 64 digits, in either case.
impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits = text.as_bytes();
        let mut bytes = [0; 32];
        if digits.len() != 64 {
            return Err(FingerprintError);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex(pair[0])? << 4 | hex(pair[1])?;
        }
        Ok(Fingerprint(bytes))
    }
}

fn hex(digit: u8) -> Result<u8, FingerprintError> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()).ok_or(FingerprintError)
}

/// A text that is not a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint has 64 hexadecimal digits")]
pub struct FingerprintError;

//! The signing wrapper: `{"message": "<the envelope's text>", "signature": "<base64>"}`.
//!
//! The text is a JSON string, not an object, so that the very bytes that were signed arrive, whoever parses and writes the
//! document on the way. A signature that is not plain Ed25519 names its scheme under a third key, `scheme`.

use std::{borrow::Cow, fmt, sync::LazyLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use memchr::memmem;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use super::Signature;
use crate::{
    message::{Rejection, RejectionCode},
    text::Text,
};

/// Searches for the wrapper's key; prepared once, for that takes longer than a search.
static KEY: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("\"message\""));

/// A payload, told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrapped {
    /// A document with no wrapper around it; not looked into, so it need not be JSON.
    Plain(Text),
    /// The wrapper's content.
    Sealed {
        /// The text, exactly as it was signed.
        text: Text,
        /// The signature; empty when the wrapper has none, which then does not verify.
        signature: Signature,
    },
}

/// Puts a text and its signature into the wrapper.
#[must_use]
pub fn wrap(text: &str, signature: &Signature) -> Bytes {
    // An envelope has a quote in every sixth place or so; with one allocation for all, or two at worst.
    let room = text.len() + text.len() / 4 + signature.bytes.len() / 3 * 4 + 64;
    let mut out = Vec::with_capacity(room);
    out.extend_from_slice(b"{\"message\": ");
    write_string(&mut out, text);
    if let Some(scheme) = &signature.scheme {
        out.extend_from_slice(b", \"scheme\": ");
        write_string(&mut out, scheme);
    }
    out.extend_from_slice(b", \"signature\": \"");
    out.extend_from_slice(STANDARD.encode(&signature.bytes).as_bytes());
    out.extend_from_slice(b"\"}");
    Bytes::from(out)
}

/// Takes the wrapper off a payload, if there is one: if it is an object with the key `message`, wherever that stands and
/// whatever else is there. Does not verify anything.
///
/// Costs a search for the key when there is none, which is a plain message's case, and one parse otherwise: cheap enough for an
/// unsealed binding, which reads wrapped messages too, unverified, as gofer does without an authenticator.
///
/// # Errors
///
/// The payload is not UTF-8, or has the key and cannot be read as a wrapper: it is not JSON, names a key twice, or what should
/// be a string or base64 is none.
pub fn peel(payload: Bytes) -> Result<Wrapped, WrapperError> {
    let payload = Text::from_utf8(payload).map_err(|_| WrapperError::Utf8)?;
    if !may_be_wrapped(&payload) {
        return Ok(Wrapped::Plain(payload));
    }
    let outer: Outer<'_> = serde_json::from_str(&payload)?;
    let Some(message) = outer.message else { return Ok(Wrapped::Plain(payload)) };
    let signature = match outer.signature {
        Some(raw) => STANDARD.decode(&*Part::read(raw)?.0).map_err(|_| WrapperError::Base64)?.into(),
        None => Bytes::new(),
    };
    let scheme = outer.scheme.map(Part::read).transpose()?.map(|scheme| scheme.into_text(&payload));
    Ok(Wrapped::Sealed { text: message.into_text(&payload), signature: Signature { bytes: signature, scheme } })
}

/// Whether it is worth parsing. The key may stand elsewhere, or its letters be escaped, so this is never the verdict.
fn may_be_wrapped(payload: &str) -> bool {
    let bytes = payload.as_bytes();
    // An array would be read as the wrapper's fields in their order.
    let object = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    object
        && (KEY.find(bytes).is_some()
            || memchr::memchr(b'\\', bytes).is_some_and(|at| memmem::find(&bytes[at..], b"\\u").is_some()))
}

/// A payload that has the wrapper's key and cannot be read as one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WrapperError {
    /// It is not UTF-8.
    #[error("the payload is not UTF-8")]
    Utf8,
    /// It is not a JSON object of strings.
    #[error("the signing wrapper cannot be read: {0}")]
    Malformed(String),
    /// The signature is not base64.
    #[error("the wrapper's signature is not base64")]
    Base64,
}

impl From<serde_json::Error> for WrapperError {
    fn from(error: serde_json::Error) -> Self {
        WrapperError::Malformed(error.to_string())
    }
}

impl From<WrapperError> for Rejection {
    fn from(error: WrapperError) -> Self {
        let code = match error {
            WrapperError::Utf8 | WrapperError::Malformed(_) => RejectionCode::Malformed,
            WrapperError::Base64 => RejectionCode::Authentication,
        };
        Rejection::new(code, error.to_string())
    }
}

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow)]
    message: Option<Part<'a>>,
    // Read only after there is a message: in a plain document they may be anything.
    #[serde(borrow)]
    signature: Option<&'a RawValue>,
    #[serde(borrow)]
    scheme: Option<&'a RawValue>,
}

/// A string of the wrapper: a slice of the payload where it has no escapes.
struct Part<'a>(Cow<'a, str>);

impl<'a> Part<'a> {
    fn read(raw: &'a RawValue) -> Result<Self, WrapperError> {
        Ok(serde_json::from_str(raw.get())?)
    }

    fn into_text(self, payload: &Text) -> Text {
        match self.0 {
            Cow::Borrowed(part) => payload.share(part),
            Cow::Owned(part) => Text::from(part),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Part<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Part<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Part<'de>, E> {
                Ok(Part(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Part<'de>, E> {
                Ok(Part(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

/// Writes a JSON string with the escapes that RFC 8259, section 7, demands, in the short form where there is one.
fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[written..at]);
        written = at + 1;
        let short = match byte {
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            0..0x20 => {
                let digit = |four: u8| b"0123456789abcdef"[usize::from(four)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 0xf)]);
                continue;
            }
            other => other,
        };
        out.extend_from_slice(&[b'\\', short]);
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}

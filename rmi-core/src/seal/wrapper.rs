//! The signing wrapper: `{"message": "<the envelope's text>", "signature": "<base64>"}`.
//!
//! The text is a JSON string, not an object, so that the very bytes that were signed arrive, whoever parses and writes the
//! document on the way. A signature that is not plain Ed25519 names its scheme under a third key, `scheme`.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use memchr::memmem;

use super::Signature;
use crate::{
    escape::{self, push_string},
    message::{Rejection, RejectionCode},
    scan::{ScanError, Scanner, Value},
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
    let base64 = signature.bytes.len().div_ceil(3) * 4;
    let scheme = signature.scheme.as_deref().map_or(0, escape::room);
    let mut out = Vec::with_capacity(escape::room(text) + scheme + base64 + 64);
    out.extend_from_slice(b"{\"message\": ");
    push_string(&mut out, text);
    if let Some(scheme) = &signature.scheme {
        out.extend_from_slice(b", \"scheme\": ");
        push_string(&mut out, scheme);
    }
    out.extend_from_slice(b", \"signature\": \"");
    let start = out.len();
    out.resize(start + base64, 0);
    // There is room for it; and were there not, an empty signature verifies nowhere.
    let written = STANDARD.encode_slice(&signature.bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
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
/// The payload is not UTF-8, or has the key and cannot be read as a wrapper: it is not JSON, names a key twice, or its message or scheme
/// is no string. What its signature looks like is no error here: one that cannot be read is empty, and verifies nowhere.
pub fn peel(payload: Bytes) -> Result<Wrapped, WrapperError> {
    let payload = Text::from_utf8(payload).map_err(|_| WrapperError::Utf8)?;
    if !may_be_wrapped(&payload) {
        return Ok(Wrapped::Plain(payload));
    }
    let outer = Outer::read(&payload)?;
    let Some(message) = outer.message.filter(|value| value.get() != "null") else { return Ok(Wrapped::Plain(payload)) };
    let text = match outer.said {
        Some(said) => Text::from(said),
        None => string(&payload, message)?,
    };
    let scheme = outer.scheme.filter(|value| value.get() != "null").map(|value| string(&payload, value)).transpose()?;
    let signature = outer.signature.and_then(|value| string(&payload, value).ok()).and_then(|base64| decoded(&base64));
    let signature = signature.unwrap_or_default();
    Ok(Wrapped::Sealed { text, signature: Signature { bytes: signature, scheme } })
}

/// What a string of the wrapper says: a slice of the payload where it has no escapes.
fn string(payload: &Text, value: Value<'_>) -> Result<Text, WrapperError> {
    match value.plain() {
        Some(plain) => Ok(payload.share(plain)),
        None => value.unescaped().map(Text::from).ok_or_else(|| WrapperError::Malformed(format!("{NO_STRING}: {}", kind(value)))),
    }
}

/// What base64 says.
fn decoded(base64: &str) -> Option<Bytes> {
    // A signature of a curve is no longer than this: its buffer has just its size.
    let mut short = [0; 72];
    match STANDARD.decode_slice(base64, &mut short) {
        Ok(length) => Some(Bytes::copy_from_slice(&short[..length])),
        Err(_) => decoded_as_python(base64).map(Bytes::from),
    }
}

/// What Python's `b64decode` says, by which gofer reads signatures: characters that are not base64's are passed over, line breaks among
/// them; nothing counts after the padding, nor the bits before it that are left over. `None` where it raises an error.
fn decoded_as_python(base64: &str) -> Option<Vec<u8>> {
    if !base64.is_ascii() {
        return None;
    }
    let mut out = Vec::with_capacity(base64.len() / 4 * 3);
    let (mut bits, mut digits, mut padding) = (0_u32, 0_u8, 0_u8);
    for byte in base64.bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' if digits >= 2 => {
                padding += 1;
                if digits + padding < 4 {
                    continue;
                }
                let rest = bits << (6 * u32::from(4 - digits));
                out.extend_from_slice(&rest.to_be_bytes()[1..usize::from(digits)]);
                return Some(out);
            }
            _ => continue,
        };
        padding = 0;
        bits = bits << 6 | u32::from(digit);
        digits += 1;
        if digits == 4 {
            out.extend_from_slice(&bits.to_be_bytes()[1..]);
            (bits, digits) = (0, 0);
        }
    }
    (digits == 0).then_some(out)
}

const NO_STRING: &str = "a string was expected";

fn kind(value: Value<'_>) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'"') => "a string whose escapes are no characters",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        _ => "a number or a constant",
    }
}

/// The wrapper's keys. The last two are looked at only when there is a message: in a plain document they may be anything.
#[derive(Default)]
struct Outer<'a> {
    message: Option<Value<'a>>,
    /// What the message says, if it has escapes, as almost every one has, and they are simple.
    said: Option<String>,
    signature: Option<Value<'a>>,
    scheme: Option<Value<'a>>,
}

impl<'a> Outer<'a> {
    fn read(payload: &'a str) -> Result<Self, WrapperError> {
        let mut outer = Outer::default();
        let mut twice = false;
        let mut scanner = Scanner::new(payload);
        let mut more = scanner.object()?;
        while more {
            let key = scanner.key()?;
            let unescaped = if key.plain().is_none() { key.unescaped() } else { None };
            let key = key.plain().or(unescaped.as_deref());
            // The first of them alone: each takes room for as long as the rest of the payload is.
            let value = if key == Some("message") && outer.message.is_none() {
                let (value, said) = scanner.value_said()?;
                outer.said = said;
                value
            } else {
                scanner.value()?
            };
            let field = match key {
                Some("message") => Some(&mut outer.message),
                Some("signature") => Some(&mut outer.signature),
                Some("scheme") => Some(&mut outer.scheme),
                _ => None,
            };
            twice |= field.is_some_and(|field| field.replace(value).is_some());
            more = scanner.another()?;
        }
        scanner.end()?;
        if twice { Err(WrapperError::Malformed("a key is given twice".to_owned())) } else { Ok(outer) }
    }
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
}

impl From<ScanError> for WrapperError {
    fn from(error: ScanError) -> Self {
        WrapperError::Malformed(error.to_string())
    }
}

impl From<WrapperError> for Rejection {
    fn from(error: WrapperError) -> Self {
        Rejection::new(RejectionCode::Malformed, error.to_string())
    }
}

//! The signing wrapper: `{"message": "<the envelope's text>", "signature": "<base64>"}`.
//!
//! The text is a JSON string, not an object, so that the very bytes that were signed arrive, whoever parses and writes the
//! document on the way. A signature that is not plain Ed25519 names its scheme under a third key, `scheme`.

use std::sync::LazyLock;

use base64::{DecodeSliceError, Engine, engine::general_purpose::STANDARD};
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
/// The payload is not UTF-8, or has the key and cannot be read as a wrapper: it is not JSON, names a key twice, or what should
/// be a string or base64 is none.
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
    let given = |value: Option<Value<'_>>| value.filter(|value| value.get() != "null").map(|value| string(&payload, value));
    let signature = match given(outer.signature).transpose()? {
        Some(base64) => decoded(&base64)?,
        None => Bytes::new(),
    };
    let scheme = given(outer.scheme).transpose()?;
    Ok(Wrapped::Sealed { text, signature: Signature { bytes: signature, scheme } })
}

/// What a string of the wrapper says: a slice of the payload where it has no escapes.
fn string(payload: &Text, value: Value<'_>) -> Result<Text, WrapperError> {
    match value.plain() {
        Some(plain) => Ok(payload.share(plain)),
        None => value.unescaped().map(Text::from).ok_or_else(|| WrapperError::Malformed(format!("{NO_STRING}: {}", kind(value)))),
    }
}

/// What base64 says, in a buffer of just that size.
fn decoded(base64: &str) -> Result<Bytes, WrapperError> {
    // A signature of a curve is no longer than this. Others are decoded elsewhere first.
    let mut short = [0; 72];
    match STANDARD.decode_slice(base64, &mut short) {
        Ok(length) => Ok(Bytes::copy_from_slice(&short[..length])),
        Err(DecodeSliceError::OutputSliceTooSmall) => STANDARD.decode(base64).map(Bytes::from).map_err(|_| WrapperError::Base64),
        Err(DecodeSliceError::DecodeError(_)) => Err(WrapperError::Base64),
    }
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
    /// The signature is not base64.
    #[error("the wrapper's signature is not base64")]
    Base64,
}

impl From<ScanError> for WrapperError {
    fn from(error: ScanError) -> Self {
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

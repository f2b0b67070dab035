//! The signing wrapper: what is written, what is told apart, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use proptest::prelude::*;
use rmi_core::{
    message::{Rejection, RejectionCode},
    seal::{Signature, Wrapped, WrapperError, peel, wrap},
};
use serde_json::{Value, json};

const PLAIN: &str = r#"{"data": null, "replyto": "q", "request": {"args": ["hello"], "classname": "Dog", "cntr": null, "kws": {}, "method": "bark"}, "routing": [null, "dog"], "sn": "1", "version": "2.0"}"#;

fn signature(bytes: &[u8], scheme: Option<&str>) -> Signature {
    Signature { bytes: Bytes::copy_from_slice(bytes), scheme: scheme.map(Into::into) }
}

fn read(payload: &str) -> Result<Wrapped, WrapperError> {
    peel(Bytes::from(payload.to_owned()))
}

fn sealed(text: &str, signature: Signature) -> Result<Wrapped, WrapperError> {
    Ok(Wrapped::Sealed { text: text.into(), signature })
}

fn plain(payload: &str) -> Result<Wrapped, WrapperError> {
    Ok(Wrapped::Plain(payload.into()))
}

#[test]
fn the_wrapper_is_written_as_gofer_writes_it() {
    assert_eq!(wrap(r#"{"a": "b\\"}"#, &signature(b"sig", None)), r#"{"message": "{\"a\": \"b\\\\\"}", "signature": "c2ln"}"#);
    assert_eq!(
        wrap("\u{0}\u{1f}\n\t\r\u{8}\u{c}\u{7f}ü\u{1f980}", &signature(b"", Some("x\"y"))),
        "{\"message\": \"\\u0000\\u001f\\n\\t\\r\\b\\f\u{7f}ü\u{1f980}\", \"scheme\": \"x\\\"y\", \"signature\": \"\"}"
    );
}

#[test]
fn a_plain_message_stays_as_it_is_and_shares_its_buffer() {
    let payload = Bytes::from_static(PLAIN.as_bytes());
    let Wrapped::Plain(text) = peel(payload.clone()).unwrap() else { panic!("sealed") };
    assert_eq!(text, PLAIN);
    assert_eq!(text.as_ptr(), payload.as_ptr());
}

#[test]
fn a_text_without_escapes_shares_the_buffer() {
    let payload = Bytes::from_static(br#"{"message": "[1, 2]", "signature": ""}"#);
    let Wrapped::Sealed { text, .. } = peel(payload.clone()).unwrap() else { panic!("plain") };
    assert_eq!(text, "[1, 2]");
    assert_eq!(text.as_ptr() as usize, payload.as_ptr() as usize + 13);
}

#[test]
fn the_keys_may_come_in_any_order_among_others() {
    let expected = || sealed("{}", signature(b"sig", Some("s")));
    for payload in [
        r#"{"message": "{}", "scheme": "s", "signature": "c2ln"}"#,
        r#"{"signature": "c2ln", "scheme": "s", "message": "{}"}"#,
        r#"{"x": [{"message": 1}], "signature":"c2ln","version":"9","message":"{}","scheme":"s","request":{}}"#,
        " \n\t{\r\"scheme\" : \"s\" , \"message\" : \"{}\" , \"signature\" : \"c2ln\" } \n",
        r#"{"\u006dess\u0061ge": "{}", "s\u0063heme": "s", "signatur\u0065": "c2\u006cn"}"#,
    ] {
        assert_eq!(read(payload), expected(), "{payload}");
    }
}

#[test]
fn a_wrapper_without_a_signature_has_an_empty_one() {
    for payload in [
        r#"{"message": "{}"}"#,
        r#"{"message": "{}", "signature": null, "scheme": null}"#,
        r#"{"message": "{}", "signature": ""}"#,
    ] {
        assert_eq!(read(payload), sealed("{}", signature(b"", None)), "{payload}");
    }
}

#[test]
fn what_has_no_message_is_plain() {
    for payload in [
        PLAIN,
        "",
        "null",
        "\"message\"",
        r#"["text", "c2ln", null]"#,
        r#"["message", "signature"]"#,
        r#"{"signature": 5}"#,
        r#"{"message": null, "signature": 5}"#,
        r#"{"data": {"message": "{}", "signature": "c2ln"}}"#,
        r#"{"data": "\"message\"", "scheme": {}}"#,
        r#"{"data": "\u00fc"}"#,
        "not JSON",
    ] {
        assert_eq!(read(payload), plain(payload), "{payload}");
    }
}

#[test]
fn what_cannot_be_read_is_an_error_that_can_be_answered() {
    for payload in [
        r#"{"message": {}, "signature": "c2ln"}"#,
        r#"{"message": 5}"#,
        r#"{"message": "{}", "message": "{}", "signature": "c2ln"}"#,
        r#"{"message": "{}", "\u006dessage": "{}", "signature": "c2ln"}"#,
        r#"{"message": "{}", "signature": "c2ln", "signature": "c2ln"}"#,
        r#"{"message": "{}", "signature": "", "scheme": 5}"#,
        r#"{"message": "{}", "signature": "c2ln"} {}"#,
        r#"{"message": "{}", "signature": "c2ln""#,
        r#"{"message": "\ud800", "signature": "c2ln"}"#,
        r#"{"message": "\udc00\ud800", "signature": "c2ln"}"#,
        r#"{"message": "\x", "signature": "c2ln"}"#,
        "{\"message\": \"\n\", \"signature\": \"c2ln\"}",
    ] {
        let error = read(payload).unwrap_err();
        assert!(matches!(error, WrapperError::Malformed(_)), "{payload}: {error}");
        assert_eq!(Rejection::from(error).code, RejectionCode::Malformed);
    }
    assert_eq!(peel(Bytes::from_static(b"{\"message\": \"\xff\"}")), Err(WrapperError::Utf8));
}

#[test]
fn a_signature_is_decoded_as_python_decodes_it() {
    for (base64, said) in [
        (r"c2ln\n", "sig"),
        (" c2ln", "sig"),
        (r"c2\r\nln", "sig"),
        ("c2l!n", "sig"),
        (r"c2ln\u0000", "sig"),
        ("=c2ln", "sig"),
        ("c2ln==", "sig"),
        ("c2=ln", "sig"),
        ("c2=l=n", "si"),
        ("c2lu=", "sin"),
        ("c2lv====", "sio"),
        ("c2==ln", "s"),
        ("c2ln=c2ln", "sigsig"),
        ("c3R=c2ln", "st"),
        ("c3S=", "st"),
        ("cx==", "s"),
    ] {
        let read = read(&format!(r#"{{"message": "{{}}", "signature": "{base64}"}}"#));
        assert_eq!(read, sealed("{}", signature(said.as_bytes(), None)), "{base64}");
    }
}

#[test]
fn a_signature_that_cannot_be_read_is_none() {
    for no in [
        r#""c2l""#,
        r#""c2l!""#,
        r#""c3R""#,
        r#""cw=""#,
        r#""c=w=""#,
        r#""_-__""#,
        r#""c2lnü""#,
        r#""\ud800""#,
        "5",
        "{}",
        "[\"c2ln\"]",
        "true",
    ] {
        let read = read(&format!(r#"{{"message": "{{}}", "signature": {no}}}"#));
        assert_eq!(read, sealed("{}", signature(b"", None)), "{no}");
    }
}

#[test]
fn errors_stay_small_whatever_was_sent() {
    let long = "x".repeat(1 << 16);
    for payload in [
        format!(r#"{{"message": ["{long}"]}}"#),
        format!(r#"{{"message": "", "scheme": {{"{long}": 1}}}}"#),
        format!(r#"{{"message": "", "{long}": }}"#),
    ] {
        let error = read(&payload).unwrap_err().to_string();
        assert!(error.len() < 200, "{error}");
    }
}

#[test]
fn nesting_without_end_is_no_danger() {
    let deep = format!(r#"{{"x": {}{}, "message": "m"}}"#, "[".repeat(1 << 20), "]".repeat(1 << 20));
    // No peer nests like this, and nothing follows it further than 127 levels.
    assert!(matches!(read(&deep), Err(WrapperError::Malformed(_))));
    let less = format!(r#"{{"x": {}{}, "message": "m"}}"#, "[".repeat(100), "]".repeat(100));
    assert_eq!(read(&less), sealed("m", signature(b"", None)));
    assert!(read(&deep[..1 << 20]).is_ok_and(|wrapped| matches!(wrapped, Wrapped::Plain(_))));
    assert!(read(&format!(r#"{{"message": "m", "x": {}"#, "[".repeat(1 << 20))).is_err());
}

#[test]
fn escapes_are_read_as_others_write_them() {
    // What Python writes: ASCII only, with surrogate pairs.
    let python = r#"{"message": "{\"data\": \"\u00fc\ud83e\udd80\/\b\f\"}", "signature": "c2ln"}"#;
    assert_eq!(read(python), sealed("{\"data\": \"ü\u{1f980}/\u{8}\u{c}\"}", signature(b"sig", None)));
}

/// Texts of all kinds, with many of the characters that are written specially.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC*",
        proptest::collection::vec(any::<char>(), 0..64).prop_map(String::from_iter),
        "[\"\\\\\n\u{0}-\u{1f}ü🦀a]*"
    ]
}

proptest! {
    #[test]
    fn what_is_wrapped_comes_back(text in texts(), bytes: Vec<u8>, scheme in proptest::option::of(texts())) {
        let signature = signature(&bytes, scheme.as_deref());
        let wrapped = wrap(&text, &signature);
        let mut expected = json!({ "message": text, "signature": STANDARD.encode(&bytes) });
        if let Some(scheme) = &scheme {
            expected["scheme"] = Value::from(scheme.as_str());
        }
        prop_assert_eq!(serde_json::from_slice::<Value>(&wrapped).unwrap(), expected);
        prop_assert_eq!(peel(wrapped), sealed(&text, signature));
    }

    #[test]
    fn strings_are_written_as_serde_json_writes_them(text in texts()) {
        let wrapped = wrap(&text, &signature(b"", None));
        let expected = format!("{{\"message\": {}, \"signature\": \"\"}}", serde_json::to_string(&text).unwrap());
        prop_assert_eq!(wrapped, expected);
    }

    #[test]
    fn other_writers_are_understood(text in texts(), bytes: Vec<u8>, pretty: bool) {
        let document = json!({ "signature": STANDARD.encode(&bytes), "message": text, "extra": [text] });
        let written = if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) }.unwrap();
        prop_assert_eq!(read(&written), sealed(&text, signature(&bytes, None)));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let _ = peel(Bytes::from(bytes));
    }

    #[test]
    fn a_damaged_wrapper_is_read_as_any_parser_reads_it(
        text in texts(), at: prop::sample::Index, byte: u8, cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut damaged = wrap(&text, &signature(&[7; 64], Some("s"))).to_vec();
        let at = at.index(damaged.len());
        damaged[at] = byte;
        if let Some(cut) = cut {
            damaged.truncate(cut.index(damaged.len()));
        }
        let document: Option<Value> = serde_json::from_slice(&damaged).ok();
        let message = document.as_ref().and_then(|document| document.get("message")).filter(|message| !message.is_null());
        match peel(Bytes::from(damaged.clone())) {
            Ok(Wrapped::Plain(_)) => prop_assert_eq!(message, None),
            Ok(Wrapped::Sealed { text, signature }) => {
                prop_assert_eq!(message, Some(&Value::from(text.as_str())));
                let document = document.as_ref().unwrap();
                let base64 = document.get("signature").and_then(Value::as_str).unwrap_or_default();
                // What is not base64 by its RFC is read as Python reads it, or is empty.
                if let Ok(bytes) = STANDARD.decode(base64) {
                    prop_assert_eq!(&signature.bytes, &bytes);
                }
                prop_assert_eq!(signature.scheme.as_deref(), document.get("scheme").and_then(Value::as_str));
            }
            Err(_) => {}
        }
    }
}

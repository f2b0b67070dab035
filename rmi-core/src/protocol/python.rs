//! What Python's `json` writes that is not JSON: `NaN`, `Infinity` and `-Infinity`.

use memchr::memmem;

use crate::{protocol::depth::string_end, text::Text};

const TOKENS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];

/// The text with these tokens, outside of strings, as `null`. `None` when there are none.
pub(crate) fn without_special_numbers(text: &Text) -> Option<Text> {
    let bytes = text.as_bytes();
    if memmem::find(bytes, b"NaN").is_none() && memmem::find(bytes, b"Infinity").is_none() {
        return None;
    }
    let mut out = String::with_capacity(text.len() + 16);
    let (mut at, mut copied) = (0, 0);
    while at < bytes.len() {
        if bytes[at] == b'"' {
            at = string_end(bytes, at + 1)?;
        } else if let Some(token) = TOKENS.into_iter().find(|token| bytes[at..].starts_with(token)) {
            out.push_str(text.get(copied..at)?);
            out.push_str("null");
            at += token.len();
            copied = at;
        } else {
            at += 1;
        }
    }
    if copied == 0 {
        return None;
    }
    out.push_str(text.get(copied..)?);
    Some(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_become_null_and_strings_stay() {
        let text = Text::from(r#"{"NaN": [NaN, -Infinity,Infinity], "a\"NaN": "Infinity"}"#);
        let read = without_special_numbers(&text).unwrap();
        assert_eq!(read, r#"{"NaN": [null, null,null], "a\"NaN": "Infinity"}"#);
        assert_eq!(without_special_numbers(&Text::from(r#"["NaN"]"#)), None);
        assert_eq!(without_special_numbers(&Text::from("[1]")), None);
        assert_eq!(without_special_numbers(&Text::from(r#"[NaN, "NaN"#)), None);
    }

    #[test]
    fn what_was_wrong_stays_wrong() {
        for wrong in ["[xNaN]", "[NaNa]", "[1Infinity]", "{NaN:1}", "[--Infinity]", "NaN NaN"] {
            let read = without_special_numbers(&Text::from(wrong)).unwrap();
            assert!(serde_json::from_str::<serde_json::Value>(&read).is_err(), "{read}");
        }
    }
}

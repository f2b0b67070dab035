//! Strings as JSON, for those who write it without a serializer.

use crate::scan::{is_plain, is_special, plain_length};

/// Appends a string of JSON, with its quotes, and with the escapes that RFC 8259, section 7, demands: in the short form where
/// there is one.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let plain = plain_end(bytes);
    out.extend_from_slice(&bytes[..plain]);
    push_escaped(out, &bytes[plain..]);
    out.push(b'"');
}

/// Up to where a text is known to have nothing to escape: in almost every name, number and date to its end.
fn plain_end(bytes: &[u8]) -> usize {
    const SHORT: usize = 16;
    if bytes.len() < SHORT {
        let mut padded = [b' '; SHORT];
        padded[..bytes.len()].copy_from_slice(bytes);
        return if is_plain(&padded) { bytes.len() } else { 0 };
    }
    let whole = plain_length(bytes);
    // What is left is shorter than a vector: the halves of the last one overlap what was looked at already.
    let rest = &bytes[whole..];
    let ends = [rest.first_chunk::<SHORT>(), bytes.last_chunk::<SHORT>()];
    if rest.len() < 2 * SHORT && ends.iter().flatten().all(|end| is_plain(*end)) { bytes.len() } else { whole }
}

fn push_escaped(out: &mut Vec<u8>, text: &[u8]) {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    let mut written = 0;
    for (at, byte) in text.iter().enumerate() {
        if !is_special(*byte) {
            continue;
        }
        out.extend_from_slice(&text[written..at]);
        written = at + 1;
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            _ => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
    out.extend_from_slice(&text[written..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_written_as_serde_json_writes_them() {
        let special =
            ['"', '\\', '\n', '\r', '\t', '\u{8}', '\u{c}', '\u{1f}', '\0', ' ', '\u{7f}', 'ü', '\u{2028}', '\u{1f436}'];
        for length in 0..100 {
            for at in 0..=length {
                for special in special {
                    let mut text = "x".repeat(length);
                    text.insert(at, special);
                    let mut out = Vec::new();
                    push_string(&mut out, &text);
                    assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
                }
            }
        }
    }
}

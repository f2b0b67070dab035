//! Strings as JSON, for those who write it without a serializer.

use crate::scan::{STEP, first_special, is_plain, is_special, plain_length};

/// Appends a string of JSON, with its quotes, and with the escapes that RFC 8259, section 7, demands: in the short form where
/// there is one.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    // With something for what comes after it.
    out.reserve(bytes.len() + 2 + STEP);
    out.push(b'"');
    let plain = plain_end(bytes);
    out.extend_from_slice(&bytes[..plain]);
    if plain < bytes.len() {
        push_escaped(out, &bytes[plain..]);
    }
    out.push(b'"');
}

/// How much room [`push_string`] takes for a text, at most.
pub(crate) fn room(text: &str) -> usize {
    text.len() + added(text.as_bytes()) + STEP + 2
}

/// How many bytes escapes add to a text, at most.
fn added(text: &[u8]) -> usize {
    // Short enough that a byte holds the sum, and of one length, so that the compiler counts with whole vectors.
    const VECTOR: usize = 32;
    let more = |byte: &u8| u8::from(is_special(*byte)) + 4 * u8::from(*byte < 0x20);
    let sum = |bytes: &[u8]| usize::from(bytes.iter().fold(0_u8, |sum, byte| sum + more(byte)));
    let vectors = text.chunks_exact(VECTOR);
    sum(vectors.remainder()) + vectors.map(sum).sum::<usize>()
}

/// Up to where a text is known to have nothing to escape: in almost every name, number and date to its end.
fn plain_end(bytes: &[u8]) -> usize {
    if bytes.len() < STEP {
        let mut padded = [b' '; STEP];
        padded[..bytes.len()].copy_from_slice(bytes);
        return if is_plain(&padded) { bytes.len() } else { 0 };
    }
    let whole = plain_length(bytes);
    // What is left is shorter than a vector: the halves of the last one overlap what was looked at already.
    let rest = &bytes[whole..];
    let ends = [rest.first_chunk::<STEP>(), bytes.last_chunk::<STEP>()];
    if rest.len() < 2 * STEP && ends.iter().flatten().all(|end| is_plain(*end)) { bytes.len() } else { whole }
}

/// In steps that are copied whole, up to what is special in them: a wrapped envelope has a quote in every sixth place, too few
/// for it to be read byte by byte, and too many for each piece to be a copy of its own length.
fn push_escaped(out: &mut Vec<u8>, text: &[u8]) {
    let (mut at, mut read) = (out.len(), 0);
    // A step may be copied past the end of what it is up to.
    out.resize(at + text.len() + added(text) + STEP, 0);
    while let Some(step) = text[read..].first_chunk::<STEP>() {
        out[at..at + STEP].copy_from_slice(step);
        let plain = first_special(step);
        read += plain;
        at += plain;
        if plain == STEP {
            let plain = plain_length(&text[read..]);
            out[at..at + plain].copy_from_slice(&text[read..read + plain]);
            read += plain;
            at += plain;
        } else {
            at += escape(&mut out[at..], text[read]);
            read += 1;
        }
    }
    for byte in &text[read..] {
        at += if is_special(*byte) { escape(&mut out[at..], *byte) } else { place(&mut out[at..], &[*byte]) };
    }
    out.truncate(at);
}

/// Writes the escape of a special byte: how long it is.
#[inline]
fn escape(out: &mut [u8], byte: u8) -> usize {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => return place(out, &[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]]),
    };
    place(out, &[b'\\', short])
}

#[inline]
fn place<const N: usize>(out: &mut [u8], bytes: &[u8; N]) -> usize {
    out[..N].copy_from_slice(bytes);
    N
}

/// Reads a string of JSON from behind its opening quote: what it says, and where its closing quote is. `None` where there is
/// anything but escapes of two bytes, and for what is no string: for a parser.
pub(crate) fn unescape(written: &[u8]) -> Option<(String, usize)> {
    // What is said is never longer than how it is written.
    let mut said = vec![0; written.len()];
    let (mut at, mut read) = (0, 0);
    loop {
        let rest = &written[read..];
        let plain = match rest.first_chunk::<STEP>() {
            Some(step) => {
                said[at..at + STEP].copy_from_slice(step);
                match first_special(step) {
                    STEP => {
                        let plain = STEP + plain_length(&rest[STEP..]);
                        said[at..at + plain].copy_from_slice(&rest[..plain]);
                        plain
                    }
                    plain => plain,
                }
            }
            None => {
                let plain = rest.iter().take_while(|byte| !is_special(**byte)).count();
                said[at..at + plain].copy_from_slice(&rest[..plain]);
                plain
            }
        };
        read += plain;
        at += plain;
        match written.get(read..) {
            Some([b'"', ..]) => break,
            Some([b'\\', escaped, ..]) => {
                said[at] = match escaped {
                    b'"' | b'\\' | b'/' => *escaped,
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    _ => return None,
                };
                read += 2;
                at += 1;
            }
            // In the middle of a text of many steps.
            Some([byte, ..]) if !is_special(*byte) => {}
            _ => return None,
        }
    }
    said.truncate(at);
    Some((String::from_utf8(said).ok()?, read))
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
                    assert!(out.len() <= room(&text), "{text:?}");
                    assert!(special == '\u{1f}' || special == '\0' || unescape(&out[1..]) == Some((text.clone(), out.len() - 2)));
                    assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
                }
            }
        }
    }

    #[test]
    fn what_many_escapes_made_longer_is_read_as_it_was() {
        let texts = ["\"a\":\"bc\",".repeat(40), "\n".repeat(90), format!("{}\"{}\\", "x".repeat(300), "ü".repeat(70))];
        for text in texts {
            let mut out = b"before".to_vec();
            push_string(&mut out, &text);
            assert_eq!(out[6..], *serde_json::to_vec(&text).unwrap());
            assert!(out.len() <= 6 + room(&text));
            let end = out.len() - 8;
            out.extend_from_slice(b", and after");
            assert_eq!(unescape(&out[7..]), Some((text, end)));
            assert_eq!(unescape(&out[7..7 + end]), None, "it has no end");
        }
        for other in ["\\u00fc\"", "\\x\"", "\\", "", "\n\"", "a\u{1}b\""] {
            assert_eq!(unescape(other.as_bytes()), None, "{other:?}");
        }
    }
}

//! How deep a JSON text is nested, told before it is parsed.

use memchr::memchr2;

/// Whether no array or object of a JSON text lies deeper than `max` levels; `[]` is one level.
///
/// One pass, no recursion, no allocation. A text that is not JSON gets some answer: it is for the parser to refuse it.
#[must_use]
pub fn within_depth(text: &[u8], max: usize) -> bool {
    // A text with few brackets cannot be deep, wherever they stand. Almost every message ends here.
    brackets(text) <= max || walk(text, max)
}

/// How many `[` and `{` there are, in strings or not.
fn brackets(text: &[u8]) -> usize {
    // Short enough that a byte holds the count, so that the compiler counts with whole vectors.
    text.chunks(128).map(|chunk| usize::from(chunk.iter().fold(0_u8, |count, byte| count + u8::from(byte | 0x20 == b'{')))).sum()
}

fn walk(text: &[u8], max: usize) -> bool {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'[' | b'{' => {
                depth += 1;
                if depth > max {
                    return false;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => match string_end(text, at) {
                Some(end) => at = end,
                None => return true,
            },
            _ => {}
        }
    }
    true
}

/// The position after the quotation mark that ends a string.
pub(super) fn string_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let rest = text.get(at..)?;
        let found = memchr2(b'"', b'\\', rest)?;
        if rest[found] == b'"' {
            return Some(at + found + 1);
        }
        at += found + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(open: &str, close: &str, levels: usize) -> String {
        format!("{}{}", open.repeat(levels), close.repeat(levels))
    }

    #[test]
    fn arrays_and_objects_are_levels() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\" : ", "}]")] {
            let step = open.matches(['[', '{']).count();
            for levels in [1, 2, 63, 64, 65, 1_000] {
                let text = nested(open, close, levels);
                assert!(within_depth(text.as_bytes(), levels * step), "{text}");
                assert!(!within_depth(text.as_bytes(), levels * step - 1), "{text}");
            }
        }
        assert!(within_depth(b"1", 0));
        assert!(!within_depth(b"[]", 0));
    }

    #[test]
    fn width_is_not_depth() {
        let text = format!("[{}{{}}]", "[],".repeat(10_000));
        assert!(within_depth(text.as_bytes(), 2));
        assert!(!within_depth(text.as_bytes(), 1));
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        let text = br#"["[[[[{{{{", "\"[[[[", "\\", ["\\\"]]"], {"[[": 1}]"#;
        assert!(within_depth(text, 2));
        assert!(!within_depth(text, 1));
    }

    #[test]
    fn counts_do_not_wrap() {
        assert!(!within_depth(&[b'['; 256], 255));
        assert!(!within_depth(&[b'{'; 100_000], 64));
        assert!(within_depth(&[b'['; 256], 256));
    }

    #[test]
    fn what_is_not_json_gets_an_answer() {
        for text in ["", "\"", "\"\\", "]]]][", "[\"\\\"", "{\"a\":\"[[[[[["] {
            assert!(within_depth(text.as_bytes(), 1), "{text}");
        }
    }
}

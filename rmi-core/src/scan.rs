//! JSON text taken apart without being read: members and elements as slices, checked against RFC 8259 in one pass.
//!
//! An envelope's values stay text until the types that they are meant for decode them. What this pass lets through is
//! well formed, so that it can be passed on inside another document as it is.

use crate::escape::unescape;

/// A value, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    text: &'a str,
    /// It is a string without escapes: what is between its quotes is what it says.
    plain: bool,
}

impl<'a> Value<'a> {
    /// The value's text.
    pub(crate) fn get(self) -> &'a str {
        self.text
    }

    /// What a string says, when it is written without escapes.
    pub(crate) fn plain(self) -> Option<&'a str> {
        self.plain.then(|| &self.text[1..self.text.len() - 1])
    }
}

impl Value<'_> {
    /// What a string with escapes says; `None` when it is no string, or its escapes are no characters.
    pub(crate) fn unescaped(self) -> Option<String> {
        let written = self.text.strip_prefix('"')?;
        // Surrogates come in pairs, or not at all: for a parser.
        unescape(written.as_bytes()).map(|(said, _)| said).or_else(|| serde_json::from_str(self.text).ok())
    }
}

/// Where a text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub(crate) struct ScanError {
    what: &'static str,
    at: usize,
}

/// The deepest nesting that is followed: what a document of ours is deeper than this is refused.
const DEEPEST: u32 = 127;

/// A place in a JSON text.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// The beginning of a text.
    pub(crate) fn new(text: &'a str) -> Self {
        Scanner { text, at: 0 }
    }

    fn fail<T>(&self, what: &'static str) -> Result<T, ScanError> {
        Err(ScanError { what, at: self.at })
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The first byte of what comes next.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                byte => return byte,
            }
        }
    }

    /// Nothing but white space follows.
    pub(crate) fn end(&mut self) -> Result<(), ScanError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.fail("something follows the value"),
        }
    }

    /// Goes into an object: whether it has a member. Each begins with its [`key`](Self::key), and after its value
    /// [`another`](Self::another) says whether there is one more.
    #[inline]
    pub(crate) fn object(&mut self) -> Result<bool, ScanError> {
        self.expect(b'{', "an object was expected")?;
        let empty = self.peek() == Some(b'}');
        self.at += usize::from(empty);
        Ok(!empty)
    }

    /// Whether a member follows, rather than the end of the object.
    #[inline]
    pub(crate) fn another(&mut self) -> Result<bool, ScanError> {
        self.more(b'}')
    }

    /// The key of a member, up to its value.
    pub(crate) fn key(&mut self) -> Result<Value<'a>, ScanError> {
        if self.peek() != Some(b'"') {
            return self.fail("a key was expected");
        }
        let key = self.string()?;
        self.expect(b':', "`:` was expected")?;
        Ok(key)
    }

    /// Takes the key of a member if it is this one, written in the shortest way: with its quotes and its colon.
    #[inline]
    pub(crate) fn take_key(&mut self, quoted: &'static str) -> bool {
        self.peek();
        let taken = self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(quoted.as_bytes()));
        self.at += if taken { quoted.len() } else { 0 };
        taken
    }

    /// An array, element by element: `element` has to take the value.
    #[inline]
    pub(crate) fn array(&mut self, mut element: impl FnMut(&mut Self, usize) -> Result<(), ScanError>) -> Result<(), ScanError> {
        self.expect(b'[', "an array was expected")?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        for index in 0.. {
            element(self, index)?;
            if !self.more(b']')? {
                break;
            }
        }
        Ok(())
    }

    /// Any value, whole.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<Value<'a>, ScanError> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{' | b'[') => self.nested(),
            _ => {
                let start = self.at;
                self.scalar()?;
                Ok(Value { text: &self.text[start..self.at], plain: false })
            }
        }
    }

    /// Any value, whole, and what it says if it is a string with escapes that were read on the way.
    pub(crate) fn value_said(&mut self) -> Result<(Value<'a>, Option<String>), ScanError> {
        let value = match self.peek() {
            Some(b'"') => unescape(&self.text.as_bytes()[self.at + 1..]),
            _ => None,
        };
        let Some((said, length)) = value else { return Ok((self.value()?, None)) };
        let start = self.at;
        self.at += length + 2;
        // Every escape is longer than what it stands for.
        let plain = said.len() == length;
        Ok((Value { text: &self.text[start..self.at], plain }, (!plain).then_some(said)))
    }

    #[inline]
    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), ScanError> {
        if self.peek() != Some(byte) {
            return self.fail(what);
        }
        self.at += 1;
        Ok(())
    }

    /// Whether a comma follows, rather than the end.
    #[inline]
    fn more(&mut self, close: u8) -> Result<bool, ScanError> {
        let more = match self.peek() {
            Some(b',') => true,
            Some(byte) if byte == close => false,
            _ => return self.fail("`,` or the end of the array or object was expected"),
        };
        self.at += 1;
        Ok(more)
    }

    /// An array or object, without recursion: the kinds of those that are open are bits.
    fn nested(&mut self) -> Result<Value<'a>, ScanError> {
        let start = self.at;
        let (mut open, mut depth) = (0u128, 0u32);
        loop {
            // A value begins here.
            match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    if depth == DEEPEST {
                        return self.fail("nested deeper than can be followed");
                    }
                    self.at += 1;
                    depth += 1;
                    let object = bracket == b'{';
                    open = open << 1 | u128::from(object);
                    let close = if object { b'}' } else { b']' };
                    if self.peek() != Some(close) {
                        if object {
                            self.key()?;
                        }
                        continue;
                    }
                    self.at += 1;
                    open >>= 1;
                    depth -= 1;
                }
                Some(b'"') => drop(self.string()?),
                _ => self.scalar()?,
            }
            // A value has ended here.
            loop {
                if depth == 0 {
                    return Ok(Value { text: &self.text[start..self.at], plain: false });
                }
                let object = open & 1 == 1;
                if self.more(if object { b'}' } else { b']' })? {
                    if object {
                        self.key()?;
                    }
                    break;
                }
                open >>= 1;
                depth -= 1;
            }
        }
    }

    /// A string: the byte here is its quote.
    fn string(&mut self) -> Result<Value<'a>, ScanError> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut plain = true;
        self.at += 1;
        loop {
            self.at = next_special(bytes, self.at);
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Value { text: &self.text[start..self.at], plain });
                }
                Some(b'\\') => {
                    plain = false;
                    self.escape(bytes)?;
                }
                Some(_) => return self.fail("a control character stands in a string"),
                None => return self.fail("a string has no end"),
            }
        }
    }

    fn escape(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        match bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') if bytes.get(self.at + 2..self.at + 6).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => {
                self.at += 6;
            }
            _ => return self.fail("an escape is none"),
        }
        Ok(())
    }

    fn scalar(&mut self) -> Result<(), ScanError> {
        let rest = &self.text.as_bytes()[self.at..];
        let length = match rest.first() {
            Some(b'n') if rest.starts_with(b"null") => 4,
            Some(b't') if rest.starts_with(b"true") => 4,
            Some(b'f') if rest.starts_with(b"false") => 5,
            Some(b'-' | b'0'..=b'9') => return self.number(),
            Some(_) => return self.fail("a value was expected"),
            None => return self.fail("the text ends before its value"),
        };
        self.at += length;
        Ok(())
    }

    fn number(&mut self) -> Result<(), ScanError> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        if self.at == start { self.fail("a digit was expected") } else { Ok(()) }
    }
}

/// How far a string is looked through in pairs of words: names, numbers and dates end there. A text goes on in vectors.
const SHORT: usize = 64;

/// Where the next quote, backslash or control character is; the end when there is none.
#[inline]
fn next_special(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(step) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let plain = first_special(step);
        if plain < STEP {
            return at + plain;
        }
        at += STEP;
        if at - from == SHORT {
            at += plain_length(&bytes[at..]);
        }
    }
    while bytes.get(at).is_some_and(|b| !is_special(*b)) {
        at += 1;
    }
    at
}

/// How many bytes are looked at in one step where special ones are frequent.
pub(crate) const STEP: usize = 16;

/// Where the first special byte of a step is; its length when there is none.
#[inline]
pub(crate) fn first_special(step: &[u8; STEP]) -> usize {
    let pair = u128::from_le_bytes(*step);
    let (low, high) = (specials(pair as u64), specials((pair >> 64) as u64));
    let bits = if low == 0 { 64 + high.trailing_zeros() } else { low.trailing_zeros() };
    bits as usize / 8
}

/// How many bytes, from the first on, are nothing special, counted in whole vectors.
pub(crate) fn plain_length(bytes: &[u8]) -> usize {
    const VECTOR: usize = 32;
    bytes.chunks_exact(VECTOR).take_while(|vector| is_plain(vector)).count() * VECTOR
}

/// Whether a short text has nothing special in it. Without a branch per byte this is a few comparisons of whole vectors.
#[inline]
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |plain, byte| plain & !is_special(*byte))
}

/// Whether a byte cannot stand in a string of JSON as it is, or ends it.
pub(crate) const fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The high bit of each special byte of a word; what stands above the first such bit means nothing.
#[inline]
const fn specials(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let control = word.wrapping_sub(ONES * 0x20);
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    (control | quote | backslash) & !word & HIGH
}

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;

    use super::*;

    fn is_json(text: &str) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.value().and_then(|_| scanner.end()).is_ok()
    }

    /// What serde_json takes is what is taken here, and nothing else.
    #[test]
    fn the_verdict_is_that_of_a_parser() {
        let alphabet = br#"{}[]:,"\ntrue0123456789.-+eE u/
"#;
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed >> 33).unwrap_or(0) % below
        };
        let good = r#"{"a": [1, -0.5e+3, true, null, "\u00fc\n/", {}, []], "b": {"c": false, "d": "0123456789abcdef"}}"#;
        let mut taken = 0;
        for round in 0..300_000 {
            let mut text = if round % 3 == 0 { Vec::new() } else { good.as_bytes().to_vec() };
            for _ in 0..=random(if text.is_empty() { 12 } else { 3 }) {
                let at = random(text.len() + 1);
                let byte = alphabet[random(alphabet.len())];
                match random(3) {
                    0 if at < text.len() => drop(text.remove(at)),
                    1 if at < text.len() => text[at] = byte,
                    _ => text.insert(at, byte),
                }
            }
            let Ok(text) = String::from_utf8(text) else { continue };
            let expected = serde_json::from_str::<IgnoredAny>(&text).is_ok();
            assert_eq!(is_json(&text), expected, "{text:?}");
            taken += usize::from(expected);
        }
        assert!(taken > 10_000, "{taken} of the inputs were JSON");
    }

    #[test]
    fn strings_are_followed_to_their_end() {
        for length in 0..80 {
            let inner = "é".repeat(length);
            for (text, plain) in [(format!("\"{inner}\""), true), (format!("\"{inner}\\\"x\""), false)] {
                let mut scanner = Scanner::new(&text);
                let value = scanner.value().unwrap();
                assert_eq!(value.get(), text);
                assert_eq!(value.plain().is_some(), plain);
                scanner.end().unwrap();
            }
            let escaped = format!("\"{inner}\\\"\\\\\\/\\n\\t\\r\\b\\f\\u00fc\\ud83d\\ude00{inner}\"");
            for text in [&escaped, &escaped.replace("\\u", "u")] {
                let value = Scanner::new(text).value().unwrap();
                assert_eq!(value.unescaped(), serde_json::from_str(text).ok(), "{text}");
            }
            assert!(!is_json(&format!("\"{inner}\u{1}\"")));
            assert!(!is_json(&format!("\"{inner}")));
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(is_json(&deep(127)));
        assert!(!is_json(&deep(128)));
        assert!(!is_json(&"[{\"a\":".repeat(1_000_000)));
    }
}

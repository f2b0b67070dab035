//! JSON text, written once from front to back.

use memchr::memchr2_iter;

use crate::{escape, json::Json};

/// A JSON text in the making. Punctuation and keys are the caller's, values are written here.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Writer(Vec::with_capacity(bytes))
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    /// JSON text that needs no escapes: punctuation, keys, names.
    pub(crate) fn literal(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// ASCII text that needs no escapes, in quotation marks.
    pub(crate) fn quoted(&mut self, text: &[u8]) {
        self.0.push(b'"');
        self.0.extend_from_slice(text);
        self.0.push(b'"');
    }

    /// A value as it is, but for line breaks: between tokens they become spaces, and inside of strings there are none. So a
    /// message is always one line.
    pub(crate) fn raw(&mut self, json: &Json) {
        self.raw_text(json.as_str());
    }

    /// The text of a value, as [`raw`](Self::raw).
    pub(crate) fn raw_text(&mut self, text: &str) {
        let start = self.0.len();
        let text = text.as_bytes();
        self.0.extend_from_slice(text);
        for at in memchr2_iter(b'\n', b'\r', text) {
            self.0[start + at] = b' ';
        }
    }

    pub(crate) fn raw_or_null(&mut self, json: Option<&Json>) {
        match json {
            Some(json) => self.raw(json),
            None => self.literal("null"),
        }
    }

    pub(crate) fn string_or_null(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None => self.literal("null"),
        }
    }

    pub(crate) fn string(&mut self, text: &str) {
        escape::push_string(&mut self.0, text);
    }

    pub(crate) fn number(&mut self, mut value: u64) {
        let mut digits = [0; 20];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.0.extend_from_slice(&digits[first..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Writer)) -> String {
        let mut writer = Writer::with_capacity(0);
        write(&mut writer);
        String::from_utf8(writer.finish()).unwrap()
    }

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 1, 9, 10, 12_345, u64::MAX] {
            assert_eq!(written(|w| w.number(number)), number.to_string());
        }
    }

    #[test]
    fn a_value_with_line_breaks_is_written_on_one_line() {
        let json = Json::parse("[1,\r\n \"a\\nb\"]".to_owned()).unwrap();
        assert_eq!(written(|w| w.raw(&json)), "[1,   \"a\\nb\"]");
    }
}

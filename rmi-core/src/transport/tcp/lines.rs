//! What is read, taken apart into lines without being copied.

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr_iter};

/// How much is read at a time, at least and at most. A frame keeps the buffer that it was read into.
const LEAST: usize = 4 << 10;
const MOST: usize = 64 << 10;

/// A line is longer than is allowed.
#[derive(Debug)]
pub(super) struct TooLong;

/// What has been read and is not a line yet.
#[derive(Debug)]
pub(super) struct Lines {
    buffer: BytesMut,
    /// How much of it has been looked through for the end of a line.
    searched: usize,
    /// The longest line, without its end.
    longest: usize,
    /// How much is read next.
    step: usize,
}

impl Lines {
    pub(super) fn new(longest: usize) -> Self {
        Lines { buffer: BytesMut::new(), searched: 0, longest, step: LEAST }
    }

    /// Room to read into.
    pub(super) fn room(&mut self) -> &mut BytesMut {
        self.buffer.reserve(self.step);
        &mut self.buffer
    }

    /// So much was read into the room: the next is as large as it has to be.
    pub(super) fn has_read(&mut self, bytes: usize) {
        let next = if bytes < self.step { (self.step / 2).max(bytes.next_power_of_two()) } else { 2 * self.step };
        self.step = next.clamp(LEAST, MOST);
    }

    /// How many bytes of an unfinished line there are.
    pub(super) fn unfinished(&self) -> usize {
        self.buffer.len()
    }

    /// Keeps no memory while nothing comes.
    pub(super) fn rest(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    /// Takes the lines that are complete. Blank ones are none; an end may be `\n` or `\r\n`.
    pub(super) fn take(&mut self, into: &mut Vec<Bytes>) -> Result<(), TooLong> {
        let Some(first) = memchr(b'\n', &self.buffer[self.searched..]).map(|at| at + self.searched) else {
            self.searched = self.buffer.len();
            // One more for a `\r` that may be part of its end.
            return if self.buffer.len() > self.longest.saturating_add(1) { Err(TooLong) } else { Ok(()) };
        };
        self.searched = 0;
        let last = memchr::memrchr(b'\n', &self.buffer[first..]).map_or(first, |at| at + first);
        let block = self.buffer.split_to(last + 1).freeze();
        let mut start = 0;
        for end in std::iter::once(first).chain(memchr_iter(b'\n', &block[first + 1..]).map(|at| at + first + 1)) {
            let mut line = &block[start..end];
            if let [rest @ .., b'\r'] = line {
                line = rest;
            }
            if line.len() > self.longest {
                return Err(TooLong);
            }
            if !line.is_empty() {
                into.push(block.slice(start..start + line.len()));
            }
            start = end + 1;
        }
        // The rest has not been looked through, and has no end of a line.
        self.searched = self.buffer.len();
        if self.buffer.len() > self.longest.saturating_add(1) { Err(TooLong) } else { Ok(()) }
    }
}

/// Why a payload cannot be a line, if it cannot.
pub(super) fn unfit(payload: &[u8], longest: usize) -> Option<String> {
    if payload.len() > longest {
        return Some(format!("{} bytes, and a line has {longest} at most", payload.len()));
    }
    if payload.is_empty() {
        return Some("an empty payload would be a blank line, which nobody reads".to_owned());
    }
    if payload.last() == Some(&b'\r') {
        return Some("a payload that ends with a carriage return would lose it".to_owned());
    }
    memchr(b'\n', payload).map(|at| format!("there is a line feed at byte {at}, and a frame is one line"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(chunks: &[&str], longest: usize) -> Result<Vec<String>, TooLong> {
        let mut lines = Lines::new(longest);
        let mut taken = Vec::new();
        for chunk in chunks {
            lines.room().extend_from_slice(chunk.as_bytes());
            lines.take(&mut taken)?;
        }
        Ok(taken.into_iter().map(|line| String::from_utf8(line.to_vec()).unwrap()).collect())
    }

    #[test]
    fn lines_end_with_a_line_feed() {
        assert_eq!(fed(&["one\ntwo\nthr", "ee", "\n"], 10).unwrap(), ["one", "two", "three"]);
    }

    #[test]
    fn carriage_returns_and_blank_lines_are_nothing() {
        assert_eq!(fed(&["\r\n\n one\r", "\n\r\n\ntwo\r\n"], 10).unwrap(), [" one", "two"]);
    }

    #[test]
    fn a_carriage_return_within_a_line_stays() {
        assert_eq!(fed(&["o\rne\r\r\n"], 10).unwrap(), ["o\rne\r"]);
    }

    #[test]
    fn a_line_of_the_greatest_length_is_taken_and_no_longer_one() {
        assert_eq!(fed(&["12345", "\r", "\n"], 5).unwrap(), ["12345"]);
        assert!(fed(&["123456\n"], 5).is_err());
        assert!(fed(&["1\n123456\n2\n"], 5).is_err());
        assert!(fed(&["1234567"], 5).is_err(), "without an end as well");
    }
}

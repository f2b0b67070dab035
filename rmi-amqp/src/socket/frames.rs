//! What a broker passes on from others, made readable to the client library.
//!
//! A broker takes whatever bytes somebody writes as a routing key, a correlation id or the name of a header. The library takes
//! them for text, and gives the connection up where they are none; it does so over headers that are longer than its frames, which a
//! publisher with longer frames can send; and it reads tables within tables as deep as they go. From a durable queue such a message would
//! come again with every connection. Here bytes that are no text become `?`, and headers that are too long, nested too deep, or no table are
//! left out.

use std::ops::Range;

/// What is looked at is at most so long; frames beyond it are the library's to refuse.
const LONGEST: usize = 1 << 20;
/// How deep a header may be nested.
const DEEPEST: usize = 16;
/// Type, channel and length before a frame, and one byte behind it.
const HEAD: usize = 7;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
/// Among the flags of a header: there is a table of headers.
const TABLE: u16 = 1 << 13;

/// Where in a frame the connection is.
#[derive(Debug)]
pub(super) struct Frames {
    /// How long a frame may be.
    longest: usize,
    /// How much of what comes is passed on as it is.
    passes: usize,
}

/// How much was read, and how much of it is left to pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) read: usize,
    pub(super) left: usize,
}

impl Frames {
    pub(super) fn new(longest: u32) -> Self {
        Frames { longest: longest as usize, passes: 0 }
    }

    /// Mends what is there of a connection's bytes. What can be passed on is at their beginning afterwards; what was not read is the
    /// beginning of a frame that has to be there as a whole, and where it was.
    pub(super) fn mend(&mut self, bytes: &mut [u8]) -> Passed {
        let (mut read, mut left) = (0, 0);
        loop {
            let passes = self.passes.min(bytes.len() - read);
            self.passes -= passes;
            if read != left {
                bytes.copy_within(read..read + passes, left);
            }
            (read, left) = (read + passes, left + passes);
            let Some(&[kind, _, _, a, b, c, d]) = bytes[read..].first_chunk::<HEAD>() else { return Passed { read, left } };
            let size = u32::from_be_bytes([a, b, c, d]) as usize;
            let whole = size.saturating_add(HEAD + 1);
            if !matches!(kind, METHOD | HEADER) || size > LONGEST {
                self.passes = whole;
                continue;
            }
            let Some(frame) = bytes[read..].get_mut(..whole) else { return Passed { read, left } };
            let length = self.frame(frame);
            if read != left {
                bytes.copy_within(read..read + length, left);
            }
            (read, left) = (read + whole, left + length);
        }
    }

    /// Mends one frame, and tells how long it is now. What does not hold together is the library's to refuse.
    fn frame(&self, frame: &mut [u8]) -> usize {
        let whole = frame.len();
        let kind = frame[0];
        let mut payload = Reader { bytes: &mut frame[HEAD..whole - 1], at: 0 };
        if kind == METHOD {
            let _ = method(&mut payload);
            return whole;
        }
        let Some((table, sound)) = header(&mut payload) else { return whole };
        if sound && whole <= self.longest {
            return whole;
        }
        tracing::debug!(
            bytes = table.len(),
            "the headers of a message are left out: they are nested too deep, or longer than a frame"
        );
        // The flags follow the class, the weight and the length of the body.
        let flags = &mut frame[HEAD + 12..HEAD + 14];
        let without = u16::from_be_bytes([flags[0], flags[1]]) & !TABLE;
        flags.copy_from_slice(&without.to_be_bytes());
        frame.copy_within(HEAD + table.end.., HEAD + table.start);
        let whole = whole - table.len();
        let size = u32::try_from(whole - HEAD - 1).unwrap_or_default().to_be_bytes();
        frame[3..HEAD].copy_from_slice(&size);
        whole
    }
}

/// The arguments of those methods that carry what others have written.
fn method(payload: &mut Reader<'_>) -> Option<()> {
    match (payload.short()?, payload.short()?) {
        // basic.deliver
        (60, 60) => {
            payload.text()?;
            payload.skip(9)?;
            payload.text()?;
            payload.text()
        }
        // basic.return
        (60, 50) => {
            payload.skip(2)?;
            payload.text()?;
            payload.text()?;
            payload.text()
        }
        // channel.close and connection.close: a broker cuts its reason off after 255 bytes, wherever that is.
        (20, 40) | (10, 50) => {
            payload.skip(2)?;
            payload.text()
        }
        // connection.blocked
        (10, 60) => payload.text(),
        _ => Some(()),
    }
}

/// The properties of a message, in the order of AMQP 0-9-1, section 4.2.6.1: the highest bit of the flags is the first. Tells where
/// the table of headers is, and whether it can be read.
fn header(payload: &mut Reader<'_>) -> Option<(Range<usize>, bool)> {
    payload.skip(12)?;
    let flags = payload.short()?;
    let mut headers = (0..0, true);
    for bit in (2..16).rev().filter(|bit| flags & 1 << bit != 0) {
        match bit {
            // The headers.
            13 => {
                let from = payload.at;
                let length = payload.long()? as usize;
                let table = payload.take(length)?;
                let sound = Reader { bytes: table, at: 0 }.entries(true, DEEPEST).is_some();
                headers = (from..payload.at, sound);
            }
            // The delivery mode and the priority.
            12 | 11 => payload.skip(1)?,
            // The timestamp.
            6 => payload.skip(8)?,
            _ => payload.text()?,
        }
    }
    Some(headers)
}

struct Reader<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, length: usize) -> Option<&mut [u8]> {
        let taken = self.bytes.get_mut(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        self.take(length).map(|_| ())
    }

    fn octet(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn short(&mut self) -> Option<u16> {
        self.take(2)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
    }

    fn long(&mut self) -> Option<u32> {
        self.take(4)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// A short string, which has to be text.
    fn text(&mut self) -> Option<()> {
        let length = self.octet()?;
        let text = self.take(usize::from(length))?;
        if std::str::from_utf8(text).is_err() {
            text.iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = b'?');
        }
        Some(())
    }

    /// What is left, as the entries of a table, which have names, or of an array.
    fn entries(&mut self, named: bool, deeper: usize) -> Option<()> {
        while self.at < self.bytes.len() {
            if named {
                self.text()?;
            }
            match self.octet()? {
                b'V' => {}
                b't' | b'b' | b'B' => self.skip(1)?,
                b's' | b'U' | b'u' => self.skip(2)?,
                b'I' | b'i' | b'f' => self.skip(4)?,
                b'L' | b'l' | b'd' | b'T' => self.skip(8)?,
                b'D' => self.skip(5)?,
                b'S' | b'x' => {
                    let length = self.long()?;
                    self.skip(length as usize)?;
                }
                kind @ (b'F' | b'A') => {
                    let length = self.long()?;
                    let deeper = deeper.checked_sub(1)?;
                    let inner = self.take(length as usize)?;
                    Reader { bytes: inner, at: 0 }.entries(kind == b'F', deeper)?;
                }
                _ => return None,
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[kind, 0, 1][..], &size, payload, &[0xCE]].concat()
    }

    /// Mends what comes in pieces of a length.
    fn mended(bytes: &[u8], length: usize) -> Vec<u8> {
        let (mut frames, mut held, mut out) = (Frames::new(32_768), Vec::new(), Vec::new());
        for piece in bytes.chunks(length) {
            held.extend_from_slice(piece);
            let passed = frames.mend(&mut held);
            out.extend_from_slice(&held[..passed.left]);
            held.drain(..passed.read);
        }
        assert!(held.is_empty(), "everything was passed on");
        out
    }

    fn deliver(tag: &[u8], key: &[u8]) -> Vec<u8> {
        let text = |bytes: &[u8]| [&[u8::try_from(bytes.len()).unwrap()], bytes].concat();
        frame(METHOD, &[&[0, 60, 0, 60][..], &text(tag), &[0; 9], &text(b"x"), &text(key)].concat())
    }

    /// A header with a content type, such headers, and a type.
    fn headed(table: &[u8]) -> Vec<u8> {
        let size = u32::try_from(table.len()).unwrap().to_be_bytes();
        frame(HEADER, &[&[0, 60, 0, 0][..], &[0; 8], &0xA020_u16.to_be_bytes(), b"\x01c", &size, table, b"\x01t"].concat())
    }

    fn without_headers() -> Vec<u8> {
        frame(HEADER, &[&[0, 60, 0, 0][..], &[0; 8], &0x8020_u16.to_be_bytes(), b"\x01c\x01t"].concat())
    }

    fn nested(depth: usize) -> Vec<u8> {
        let mut value = b"V".to_vec();
        for _ in 0..depth {
            value = [&b"A"[..], &u32::try_from(value.len()).unwrap().to_be_bytes(), &value].concat();
        }
        [&[1, b'x'][..], &value].concat()
    }

    #[test]
    fn what_is_text_stays_and_what_is_not_is_asked_for() {
        let (body, deep) = (frame(3, b"\xFF\xFE\x01\x00"), headed(&nested(100)));
        let from =
            [deliver(b"tag", "größe".as_bytes()), body.clone(), deep, deliver(b"\xFFag", b"a.\xE9"), body.clone(), frame(8, b"")];
        let to =
            [deliver(b"tag", "größe".as_bytes()), body.clone(), without_headers(), deliver(b"?ag", b"a.?"), body, frame(8, b"")];
        for length in 1..from.concat().len() {
            assert_eq!(mended(&from.concat(), length), to.concat(), "in pieces of {length}");
        }
    }

    #[test]
    fn headers_are_kept_as_deep_and_as_long_as_they_may_be() {
        let long = |length: u32| [&[1, b'x', b'S'][..], &length.to_be_bytes(), &vec![b'-'; length as usize]].concat();
        for fine in [nested(DEEPEST), long(32_000), Vec::new()] {
            assert_eq!(mended(&headed(&fine), usize::MAX), headed(&fine));
        }
        for wrong in [nested(DEEPEST + 1), nested(20_000), long(40_000), b"\x01x?".to_vec()] {
            assert_eq!(mended(&headed(&wrong), usize::MAX), without_headers());
        }
    }

    #[test]
    fn whatever_comes_is_passed_on() {
        let mut random = 1u64;
        for round in 0..2000usize {
            let bytes: Vec<u8> = (0..round % 97)
                .map(|_| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (random >> 56) as u8
                })
                .collect();
            for whole in [frame(METHOD, &bytes), frame(HEADER, &bytes), headed(&bytes)] {
                let out = mended(&[&whole[..], &frame(8, b"")].concat(), 7);
                assert!(out.len() <= whole.len() + 8 && out.ends_with(&frame(8, b"")));
            }
        }
    }
}

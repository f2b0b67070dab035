//! What a broker passes on from others, made readable to the client library.
//!
//! A broker takes whatever bytes somebody writes as a routing key, a correlation id or the name of a header. The library takes
//! them for text, and gives the connection up where they are none; it reads tables within tables as deep as they go. From a durable queue
//! such a message would come again with every connection. Here bytes that are no text become `?`, and headers that are nested too deep, or
//! are no table, one header without a name. Nothing changes its length.

/// What is looked at is at most so long; frames beyond it are the library's to refuse.
const LONGEST: usize = 1 << 20;
/// How deep a header may be nested.
const DEEPEST: usize = 16;
/// Type, channel and length before a frame, and one byte behind it.
const HEAD: usize = 7;

const METHOD: u8 = 1;
const HEADER: u8 = 2;

/// Where in a frame the connection is.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// How much of what comes is passed on as it is.
    passes: usize,
}

impl Frames {
    /// Mends what is there of a connection's bytes. Tells how many of them can be passed on; the rest is the beginning of a frame that has to
    /// be there as a whole.
    pub(super) fn mend(&mut self, bytes: &mut [u8]) -> usize {
        let mut at = 0;
        loop {
            let passes = self.passes.min(bytes.len() - at);
            self.passes -= passes;
            at += passes;
            let Some(&[kind, _, _, a, b, c, d]) = bytes[at..].first_chunk::<HEAD>() else {
                // What is no frame at all (`AMQP` and a version: it wants to speak another) is shorter than any.
                return if bytes.get(at) == Some(&b'A') { bytes.len() } else { at };
            };
            let size = u32::from_be_bytes([a, b, c, d]) as usize;
            let whole = size.saturating_add(HEAD + 1);
            if !matches!(kind, METHOD | HEADER) || size > LONGEST {
                self.passes = whole;
                continue;
            }
            let Some(frame) = bytes[at..].get_mut(..whole) else { return at };
            let mut payload = Reader { bytes: &mut frame[HEAD..HEAD + size], at: 0 };
            // What does not hold together is the library's to refuse.
            let _ = if kind == METHOD { method(&mut payload) } else { header(&mut payload) };
            at += whole;
        }
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

/// The properties of a message, in the order of AMQP 0-9-1, section 4.2.6.1: the highest bit of the flags is the first.
fn header(payload: &mut Reader<'_>) -> Option<()> {
    payload.skip(12)?;
    let flags = payload.short()?;
    for bit in (2..16).rev().filter(|bit| flags & 1 << bit != 0) {
        match bit {
            // The headers.
            13 => {
                let length = payload.long()? as usize;
                let table = payload.take(length)?;
                if (Reader { bytes: &mut *table, at: 0 }).entries(true, DEEPEST).is_none() {
                    replace(table);
                }
            }
            // The delivery mode and the priority.
            12 | 11 => payload.skip(1)?,
            // The timestamp.
            6 => payload.skip(8)?,
            _ => payload.text()?,
        }
    }
    Some(())
}

/// One header without a name, of the same length.
fn replace(table: &mut [u8]) {
    if let Some((head, value)) = table.split_first_chunk_mut::<6>() {
        let [a, b, c, d] = u32::try_from(value.len()).unwrap_or_default().to_be_bytes();
        *head = [0, b'S', a, b, c, d];
    }
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
        let (mut frames, mut held, mut out) = (Frames::default(), Vec::new(), Vec::new());
        for piece in bytes.chunks(length) {
            held.extend_from_slice(piece);
            let passed = frames.mend(&mut held);
            out.extend(held.drain(..passed));
        }
        assert!(held.is_empty(), "everything was passed on");
        out
    }

    fn deliver(tag: &[u8], key: &[u8]) -> Vec<u8> {
        let text = |bytes: &[u8]| [&[u8::try_from(bytes.len()).unwrap()], bytes].concat();
        frame(METHOD, &[&[0, 60, 0, 60][..], &text(tag), &[0; 9], &text(b"x"), &text(key)].concat())
    }

    fn headed(table: &[u8]) -> Vec<u8> {
        let size = u32::try_from(table.len()).unwrap().to_be_bytes();
        frame(HEADER, &[&[0, 60, 0, 0][..], &[0; 8], &(1u16 << 13).to_be_bytes(), &size, table].concat())
    }

    #[test]
    fn what_is_text_stays_and_what_is_not_is_asked_for() {
        let body = frame(3, b"\xFF\xFE\x01\x00");
        let from =
            [deliver(b"tag", "größe".as_bytes()), body.clone(), deliver(b"\xFFag", b"a.\xE9"), body.clone(), frame(8, b"")]
                .concat();
        let to = [deliver(b"tag", "größe".as_bytes()), body.clone(), deliver(b"?ag", b"a.?"), body, frame(8, b"")].concat();
        for length in 1..from.len() {
            assert_eq!(mended(&from, length), to, "in pieces of {length}");
        }
    }

    #[test]
    fn headers_are_read_as_deep_as_they_may_be() {
        let nested = |depth: usize| {
            let mut value = b"V".to_vec();
            for _ in 0..depth {
                value = [&b"A"[..], &u32::try_from(value.len()).unwrap().to_be_bytes(), &value].concat();
            }
            [&[1, b'x'][..], &value].concat()
        };
        let fine = headed(&nested(DEEPEST));
        assert_eq!(mended(&fine, usize::MAX), fine);
        for depth in [DEEPEST + 1, 20_000] {
            let table = nested(depth);
            let mut replaced = table.clone();
            replace(&mut replaced);
            assert_ne!(replaced, table);
            assert_eq!(mended(&headed(&table), usize::MAX), headed(&replaced));
        }
    }

    #[test]
    fn whatever_comes_is_passed_on_in_its_length() {
        let mut random = 1u64;
        for round in 0..2000usize {
            let bytes: Vec<u8> = (0..round % 97)
                .map(|_| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (random >> 56) as u8
                })
                .collect();
            for whole in [frame(METHOD, &bytes), frame(HEADER, &bytes), headed(&bytes)] {
                assert_eq!(mended(&whole, 7).len(), whole.len());
            }
        }
    }
}

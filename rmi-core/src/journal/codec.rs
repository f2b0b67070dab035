//! How a row's value is written: its version, its content, and a checksum over its key and both.
//!
//! Numbers are little-endian, texts and bytes have their length before them, and what may be missing has a 0 or a 1 before it.

use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{
    address::Address,
    journal::{Accepted, Entry, Received, State},
    json::Json,
    message::{Abort, AbortReason, Exception, Outcome, Rejection, RejectionCode, ReplyPath, Sn},
    seal::Principal,
    text::Text,
    time::Timestamp,
    transport::{LinkId, Properties, Purpose, SharedProperties},
};

/// The version of what is written here.
const VERSION: u8 = 1;
/// The length of a checksum: what a disk does by chance it does not keep.
const SUM: usize = 8;

/// A value, with its version and its checksum.
pub(super) fn sealed(key: &[u8], write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer(vec![VERSION]);
    write(&mut writer);
    let Writer(mut value) = writer;
    let sum = sum(key, &value);
    value.extend_from_slice(&sum);
    value
}

/// The content of a value that is whole and of a known version.
pub(super) fn opened<'a>(key: &[u8], value: &'a [u8]) -> Result<Reader<'a>, &'static str> {
    let Some((content, said)) = value.split_last_chunk::<SUM>() else { return Err("it is cut off") };
    if sum(key, content) != *said {
        return Err("its checksum does not hold");
    }
    match content.split_first() {
        Some((&VERSION, content)) => Ok(Reader(content)),
        Some(_) => Err("it is of another version"),
        None => Err("it is empty"),
    }
}

/// The date in the row of a floor.
#[cfg(feature = "journal")]
pub(super) fn floor(key: &[u8], value: &[u8]) -> Option<Timestamp> {
    let mut content = opened(key, value).ok()?;
    let _binding = content.text()?;
    let _principal = content.option(Reader::principal)?;
    content.timestamp()
}

fn sum(key: &[u8], content: &[u8]) -> [u8; SUM] {
    let whole = Sha256::new().chain_update(key).chain_update(content).finalize();
    let mut sum = [0; SUM];
    sum.copy_from_slice(&whole[..SUM]);
    sum
}

#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(super) fn timestamp(&mut self, at: Timestamp) {
        self.0.extend_from_slice(&at.as_millis().to_le_bytes());
    }

    pub(super) fn principal(&mut self, principal: &Principal) {
        match principal {
            Principal::Anonymous => self.byte(0),
            Principal::Key(name) => {
                self.byte(1);
                self.text(name);
            }
            Principal::Transport(name) => {
                self.byte(2);
                self.text(name);
            }
        }
    }

    pub(super) fn entry(&mut self, entry: &Entry) {
        self.text(&entry.binding);
        self.principal(&entry.principal);
        self.option(entry.sn.as_ref(), |w, sn| w.text(sn.as_str()));
        self.option(entry.link, |w, link| w.number(link.0));
        self.byte(u8::from(entry.by_text));
        self.number(entry.digest);
        self.option(entry.sent, Writer::timestamp);
    }

    /// What it is known by is in a row of its own.
    pub(super) fn accepted(&mut self, request: &Accepted) {
        self.option(request.reply.as_ref(), |w, reply| {
            w.text(reply.to.as_str());
            w.option(reply.token.as_ref(), |w, token| w.text(token.as_str()));
        });
        let Received { payload, exchange, key, purpose, properties, link, peer } = &request.received;
        self.bytes(payload);
        self.text(exchange);
        self.text(key);
        self.byte(match purpose {
            Purpose::Requests => 0,
            Purpose::Replies => 1,
            Purpose::Events => 2,
            Purpose::Everything => 3,
        });
        let Properties { content_type, content_encoding, kind, reply_to, correlation_id, headers: _, retain } = &**properties;
        for property in [content_type, content_encoding, kind, reply_to, correlation_id] {
            self.option(property.as_ref(), |w, text| w.text(text));
        }
        self.byte(u8::from(*retain));
        self.number(link.0);
        self.option(peer.as_ref(), |w, peer| w.text(peer));
        self.timestamp(request.at);
        self.option(request.expires, Writer::timestamp);
    }

    pub(super) fn faded(&mut self) {
        self.byte(0);
    }

    pub(super) fn barred(&mut self) {
        self.byte(1);
    }

    pub(super) fn concluded(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Result(json) => {
                self.byte(2);
                self.text(json.as_str());
            }
            Outcome::Exception(exception) => {
                self.byte(3);
                let Exception { exval, xmodule, xclass, xargs, xstate } = &**exception;
                self.text(exval);
                self.option(xmodule.as_ref(), |w, name| w.text(name));
                self.option(xclass.as_ref(), |w, name| w.text(name));
                self.text(xargs.as_str());
                self.text(xstate.as_str());
            }
            Outcome::Rejected(rejection) => {
                self.byte(4);
                self.text(rejection.code.as_str());
                self.text(&rejection.description);
                self.text(&rejection.details);
                self.option(rejection.retry_after, |w, time| {
                    w.number(time.as_secs());
                    w.number(u64::from(time.subsec_nanos()));
                });
            }
            Outcome::Aborted(abort) => {
                self.byte(5);
                self.text(abort.reason.as_str());
                self.text(&abort.message);
            }
        }
    }
}

/// Reads what a [`Writer`] wrote. `None` is content that does not have the form that its checksum vouches for: another
/// version's.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Content that was opened before.
    pub(super) fn of(content: &'a [u8]) -> Self {
        Reader(content)
    }

    /// What has not been read.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Nothing is left.
    pub(super) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Option<Text> {
        std::str::from_utf8(self.bytes()?).ok().map(Text::from)
    }

    fn json(&mut self) -> Option<Json> {
        Json::parse(self.text()?).ok()
    }

    pub(super) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.flag()? { read(self).map(Some) } else { Some(None) }
    }

    pub(super) fn timestamp(&mut self) -> Option<Timestamp> {
        Some(Timestamp::from_millis(i64::from_le_bytes(self.take(8)?.try_into().ok()?)))
    }

    pub(super) fn principal(&mut self) -> Option<Principal> {
        Some(match self.byte()? {
            0 => Principal::Anonymous,
            1 => Principal::Key(self.text()?),
            2 => Principal::Transport(self.text()?),
            _ => return None,
        })
    }

    pub(super) fn entry(&mut self) -> Option<Entry> {
        Some(Entry {
            binding: self.text()?,
            principal: self.principal()?,
            sn: self.option(|r| Sn::new(r.text()?))?,
            link: self.option(|r| r.number().map(LinkId))?,
            by_text: self.flag()?,
            digest: self.number()?,
            sent: self.option(Reader::timestamp)?,
        })
    }

    pub(super) fn accepted(&mut self, entry: Entry) -> Option<Accepted> {
        let reply = self.option(|r| Some(ReplyPath { to: Address::from(r.text()?), token: r.option(Reader::json)? }))?;
        let payload = Bytes::copy_from_slice(self.bytes()?);
        let (exchange, key) = (self.text()?, self.text()?);
        let purpose = match self.byte()? {
            0 => Purpose::Requests,
            1 => Purpose::Replies,
            2 => Purpose::Events,
            3 => Purpose::Everything,
            _ => return None,
        };
        let mut property = || self.option(Reader::text);
        let (content_type, content_encoding, kind) = (property()?, property()?, property()?);
        let (reply_to, correlation_id) = (property()?, property()?);
        let retain = self.flag()?;
        let properties = Properties { content_type, content_encoding, kind, reply_to, correlation_id, headers: false, retain };
        let properties = SharedProperties::from(properties);
        let (link, peer) = (LinkId(self.number()?), self.option(Reader::text)?);
        let received = Received { payload, exchange, key, purpose, properties, link, peer };
        Some(Accepted { entry, reply, received, at: self.timestamp()?, expires: self.option(Reader::timestamp)? })
    }

    pub(super) fn state(&mut self) -> Option<State> {
        Some(match self.byte()? {
            0 => State::Faded,
            1 => State::Barred,
            2 => State::Concluded(Outcome::Result(self.json()?)),
            3 => {
                let (exval, xmodule, xclass) = (self.text()?, self.option(Reader::text)?, self.option(Reader::text)?);
                let exception = Exception { exval, xmodule, xclass, xargs: self.json()?, xstate: self.json()? };
                State::Concluded(exception.into())
            }
            4 => {
                let (code, description, details) = (RejectionCode::from_name(&self.text()?), self.text()?, self.text()?);
                let retry_after = self.option(|r| {
                    Some(Duration::new(r.number()?, u32::try_from(r.number()?).ok().filter(|n| *n < 1_000_000_000)?))
                })?;
                State::Concluded(Rejection { code, description, details, retry_after }.into())
            }
            5 => {
                let name = self.text()?;
                let reason = AbortReason::ALL.into_iter().find(|reason| name == reason.as_str())?;
                State::Concluded(Abort::new(reason, self.text()?).into())
            }
            _ => return None,
        })
    }
}

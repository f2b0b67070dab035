//! What a request is remembered under.

use crate::{message::Sn, transport::LinkId};

/// A request's serial number as a key of its own: an attacker's long text costs no more than it has to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(super) serial: Serial,
    pub(super) link: Option<LinkId>,
    /// The digest of the text, of an unsealed request whose number another one had that still ran.
    pub(super) text: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Serial {
    Uuid(u128),
    Text(Box<str>),
}

impl Key {
    pub(crate) fn new(sn: &Sn, link: Option<LinkId>) -> Self {
        Key { serial: uuid_of(sn).map_or_else(|| Serial::Text(sn.as_str().into()), Serial::Uuid), link, text: None }
    }

    /// That of a request which is told by its text from another of the same number.
    pub(crate) fn by_text(self, digest: u64) -> Self {
        Key { text: Some(digest), ..self }
    }

    /// Whether it is told by its text.
    pub(crate) fn is_by_text(&self) -> bool {
        self.text.is_some()
    }
}

/// The number of a serial number that is a UUID in the one form that we write; other forms are other serial numbers.
pub(crate) fn uuid_of(sn: &Sn) -> Option<u128> {
    let text = sn.as_str();
    let canonical = text.len() == 36 && !text.bytes().any(|b| b.is_ascii_uppercase());
    canonical.then(|| uuid::Uuid::try_parse(text).ok()).flatten().map(|id| id.as_u128())
}

use super::super::keys::PublicKey;
use crate::{text::Text, time::Timestamp};

/// The scheme of plain Ed25519, which a signature need not name.
pub(in crate::seal) const SCHEME: &str = "ed25519";

/// A public key, with when and for what it is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    key: PublicKey,
    scheme: Text,
    pub(super) not_before: Option<Timestamp>,
    pub(super) not_after: Option<Timestamp>,
}

impl TrustedKey {
    /// A key that is trusted at all times, for plain Ed25519.
    #[must_use]
    pub fn new(key: PublicKey) -> Self {
        TrustedKey { key, scheme: Text::from_static(SCHEME), not_before: None, not_after: None }
    }

    /// Trusts it from this moment on.
    #[must_use]
    pub fn not_before(mut self, at: Timestamp) -> Self {
        self.not_before = Some(at);
        self
    }

    /// Trusts it up to this moment, which is the last.
    #[must_use]
    pub fn not_after(mut self, at: Timestamp) -> Self {
        self.not_after = Some(at);
        self
    }

    /// Trusts it for signatures of this scheme, and no others.
    #[must_use]
    pub fn for_scheme(mut self, scheme: impl Into<Text>) -> Self {
        self.scheme = scheme.into().detached();
        self
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The scheme that it is trusted for: `ed25519` unless told otherwise.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Whether it is trusted at a moment.
    #[must_use]
    pub fn is_valid_at(&self, at: Timestamp) -> bool {
        self.not_before.is_none_or(|first| first <= at) && !self.is_over_at(at)
    }

    pub(super) fn is_over_at(&self, at: Timestamp) -> bool {
        self.not_after.is_some_and(|last| last < at)
    }
}

impl From<PublicKey> for TrustedKey {
    fn from(key: PublicKey) -> Self {
        TrustedKey::new(key)
    }
}

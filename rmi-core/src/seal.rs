//! Who says it: signatures over messages as they travel, and the keys that they are checked with.
//!
//! A binding is sealed or it is not; that is fixed when it is opened ([`Trust`]) and never read off a message. On a sealed
//! binding everything that is sent is signed and everything that is received must be: signing and verifying fail closed.
//! Signed is not secret: whoever can read the bus can read the message.

mod ed25519;
mod gofer;
mod keyring;
mod keys;
mod wrapper;

use std::{
    fmt::{self, Debug},
    sync::Arc,
};

use bytes::Bytes;

pub use self::{
    ed25519::Ed25519,
    gofer::{DigestAuthenticator, DigestKeys, Gofer},
    keyring::{Keyring, KeyringError, TrustedKey},
    keys::{Fingerprint, FingerprintError, KeyError, PrivateKey, PublicKey},
    wrapper::{Wrapped, WrapperError, peel, wrap},
};
use crate::text::Text;

/// Signs and verifies. Does nothing but compute: the endpoint calls it where it may take its time.
pub trait Authenticator: Send + Sync + Debug + 'static {
    /// Signs texts exactly as they are.
    ///
    /// # Errors
    ///
    /// A text could not be signed. Nothing goes out unsigned instead.
    fn sign(&self, texts: &[&[u8]]) -> Result<Vec<Signature>, AuthError>;

    /// Verifies texts exactly as they are: one result for each, in their order.
    fn verify(&self, sealed: &[Sealed<'_>]) -> Vec<Result<Principal, AuthError>>;

    /// Whether a verified sender may answer for an address: by default only for its own.
    fn answers(&self, sender: &str, address: &str) -> bool {
        sender == address
    }

    /// What a message must say to be taken. A scheme whose peers leave it out has no protection against replays.
    fn demands(&self) -> Demands {
        Demands { sender: true, dated: true }
    }
}

/// What a sealed message must say about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demands {
    /// It names its sender, whose key it is verified with.
    pub sender: bool,
    /// A request has a serial number and a date, so that a replay can be told.
    pub dated: bool,
}

/// A signature as it travels, without its base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The signature's bytes.
    pub bytes: Bytes,
    /// The scheme, when it is not plain Ed25519. Compared with what the key is for; never chooses it.
    pub scheme: Option<Text>,
}

/// A text and the signature that came with it.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a> {
    /// The exact text that was signed.
    pub text: &'a [u8],
    /// Its signature.
    pub signature: &'a Signature,
    /// The sender that the text names.
    pub sender: Option<&'a str>,
}

/// Who a message is from. The three kinds never compare equal.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// The holder of a key that the keyring has under this name.
    Key(Text),
    /// Whom the transport vouches for: a TLS peer, an AMQP `user_id`, an MQTT client id under a broker's access rules.
    Transport(Text),
    /// Nobody in particular. What an unverified message says of its sender is no name.
    Anonymous,
}

impl Principal {
    /// The same principal, whose name is in a buffer of its own and no part of a message; see [`Text::detached`].
    #[must_use]
    pub fn detached(&self) -> Principal {
        match self {
            Principal::Key(name) => Principal::Key(name.detached()),
            Principal::Transport(name) => Principal::Transport(name.detached()),
            Principal::Anonymous => Principal::Anonymous,
        }
    }

    /// The name, if the principal has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Principal::Key(name) | Principal::Transport(name) => Some(name),
            Principal::Anonymous => None,
        }
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Principal::Key(name) => write!(f, "key:{name}"),
            Principal::Transport(name) => write!(f, "transport:{name}"),
            Principal::Anonymous => f.write_str("anonymous"),
        }
    }
}

/// A message could not be signed, or its signature does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The message is not signed, and must be.
    #[error("the message is not signed")]
    Unsigned,
    /// The message names no sender, so there is no key to check it with.
    #[error("the message names no sender")]
    NoSender,
    /// The keyring has no key of this sender that is valid now.
    #[error("no trusted key of `{0}` is valid now")]
    UnknownSender(Text),
    /// The signature is not by a key of the sender.
    #[error("the signature is not by a key of `{0}`")]
    BadSignature(Text),
    /// The signature has a scheme that the sender's key is not for.
    #[error("the signature's scheme `{0}` is not the key's")]
    Scheme(Text),
    /// The signature does not have its scheme's form.
    #[error("the signature cannot be read: {0}")]
    Malformed(Text),
    /// The authenticator could not do its work.
    #[error("the authenticator failed: {0}")]
    Failed(Text),
}

/// What a binding demands of its peers, and what it gives them. Fixed when it is opened.
#[derive(Clone, Debug)]
pub struct Trust {
    /// None where nothing is signed.
    pub(crate) authenticator: Option<Arc<dyn Authenticator>>,
    /// What may be called; none means everything that is served.
    pub(crate) only: Option<Arc<[String]>>,
}

impl Trust {
    /// Everything is signed, in both directions.
    pub fn sealed(authenticator: impl Authenticator) -> Self {
        Trust { authenticator: Some(Arc::new(authenticator)), only: None }
    }

    /// Nothing is signed: whoever can reach the bus can call, and can answer for anybody. What may be called is logged when
    /// the binding is opened; [`Trust::only`] narrows it.
    #[must_use]
    pub fn insecure() -> Self {
        Trust { authenticator: None, only: None }
    }

    /// Lets callers reach these methods of what is served and no others: `Class.method`, or `Class.*`.
    #[must_use]
    pub fn only<I: IntoIterator<Item = S>, S: Into<String>>(self, methods: I) -> Self {
        Trust { only: Some(methods.into_iter().map(Into::into).collect()), ..self }
    }

    /// Whether the binding is sealed.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.authenticator.is_some()
    }
}

impl<A: Authenticator> From<A> for Trust {
    fn from(authenticator: A) -> Self {
        Trust::sealed(authenticator)
    }
}

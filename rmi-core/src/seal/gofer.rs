mod keys;

use std::{fmt::Write, sync::Arc};

use bytes::Bytes;
use sha2::{Digest, Sha256};

pub use self::keys::DigestKeys;
use super::{AuthError, Authenticator, Demands, Principal, Sealed, Signature};
use crate::text::{Text, shown};

/// gofer's `Authenticator` plug-in: signs the digest of a message, not the message.
///
/// What it does is entirely the implementation's choice, as with gofer; it must match what the peers have. Compare secrets in
/// constant time.
pub trait DigestAuthenticator: Send + Sync + std::fmt::Debug + 'static {
    /// Signs a digest: the lower-case hex of the SHA-256 of a message's text. The signature is any text that is not empty.
    ///
    /// # Errors
    ///
    /// It could not be signed. Nothing goes out unsigned instead, unlike with gofer.
    fn sign(&self, digest: &str) -> Result<String, AuthError>;

    /// Validates the signature of a digest, and says whose it is.
    ///
    /// gofer's own peers name no sender, so whose signature it is must come from the signature alone: from the secret that it was
    /// made with.
    ///
    /// # Errors
    ///
    /// The signature does not hold.
    fn validate(&self, sender: Option<&str>, digest: &str, signature: &str) -> Result<Principal, AuthError>;

    /// Whether whom [`validate`](DigestAuthenticator::validate) named may answer for an address.
    ///
    /// There is no default, since both answers can be wrong: where all peers share one secret it has to be yes, and every one of
    /// them can then answer for any other; where each has its own, it has to be the one who listens there.
    fn answers(&self, principal: &str, address: &str) -> bool;
}

/// gofer's signing scheme, for bindings whose peers are gofer's.
///
/// **There is no protection against replays**: gofer's messages have no date, and need no serial number nor sender, so none is
/// demanded ([`Demands`]); whoever can read the bus can send a request again, and it is taken. A message is also not bound to whom
/// it is meant for by anything but its own `routing`. Use it only towards peers that cannot do better.
#[derive(Clone, Debug)]
pub struct Gofer {
    plugin: Arc<dyn DigestAuthenticator>,
}

impl Gofer {
    /// gofer's scheme, with this plug-in.
    #[must_use]
    pub fn new(plugin: impl DigestAuthenticator) -> Self {
        Gofer { plugin: Arc::new(plugin) }
    }

    fn sign_one(&self, text: &[u8]) -> Result<Signature, AuthError> {
        let signature = self.plugin.sign(&digest(text))?;
        if signature.is_empty() {
            // Where gofer writes '', which says that the message is not signed.
            return Err(AuthError::Failed(Text::from_static("the plug-in's signature is empty")));
        }
        Ok(Signature { bytes: Bytes::from(signature), scheme: None })
    }

    fn verify_one(&self, sealed: &Sealed<'_>) -> Result<Principal, AuthError> {
        if let Some(scheme) = &sealed.signature.scheme {
            return Err(AuthError::Scheme(shown(scheme)));
        }
        if sealed.signature.bytes.is_empty() {
            return Err(AuthError::Unsigned);
        }
        let signature = std::str::from_utf8(&sealed.signature.bytes)
            .map_err(|_| AuthError::Malformed(Text::from_static("gofer's signatures are UTF-8 text")))?;
        self.plugin.validate(sealed.sender, &digest(sealed.text), signature)
    }
}

impl Authenticator for Gofer {
    fn sign(&self, texts: &[&[u8]]) -> Result<Vec<Signature>, AuthError> {
        texts.iter().map(|text| self.sign_one(text)).collect()
    }

    fn verify(&self, sealed: &[Sealed<'_>]) -> Vec<Result<Principal, AuthError>> {
        sealed.iter().map(|sealed| self.verify_one(sealed)).collect()
    }

    fn answers(&self, sender: &str, address: &str) -> bool {
        self.plugin.answers(sender, address)
    }

    /// Neither a sender nor a date: gofer's peers send none.
    fn demands(&self) -> Demands {
        Demands { sender: false, dated: false }
    }
}

/// The lower-case hex of the SHA-256 of a text's bytes.
fn digest(text: &[u8]) -> String {
    Sha256::digest(text).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

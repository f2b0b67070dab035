use base64::{Engine, engine::general_purpose::STANDARD};

use super::DigestAuthenticator;
use crate::{
    seal::{AuthError, Keyring, Principal, PrivateKey, keyring::SCHEME},
    text::{Text, shown},
};

/// A plug-in for [`Gofer`](super::Gofer) with the keys that [`Ed25519`](crate::Ed25519) takes.
///
/// gofer's messages name no sender, so the signature does: its text is `<name>:<base64>`, an Ed25519 signature of the digest's text
/// (64 characters of hex) by a key that the keyring has under that name. A message that does name a sender must name the same.
///
/// A peer in Python needs as much (`key` and `ring` are `cryptography`'s Ed25519 keys):
///
/// ```python
/// class Authenticator(object):
///
///     def sign(self, digest):
///         return '%s:%s' % (NAME, b64encode(key.sign(digest.encode())).decode())
///
///     def validate(self, document, digest, signature):
///         name, _, signed = signature.rpartition(':')
///         try:
///             ring[name].verify(b64decode(signed), digest.encode())
///         except (KeyError, InvalidSignature):
///             raise ValidationFailed(name)
/// ```
#[derive(Clone, Debug)]
pub struct DigestKeys {
    name: Text,
    key: PrivateKey,
    keyring: Keyring,
}

impl DigestKeys {
    /// Signs under this name, and verifies with a keyring, which stays shared.
    #[must_use]
    pub fn new(name: impl Into<Text>, key: PrivateKey, keyring: Keyring) -> Self {
        DigestKeys { name: name.into(), key, keyring }
    }
}

impl DigestAuthenticator for DigestKeys {
    fn sign(&self, digest: &str) -> Result<String, AuthError> {
        let failed = || AuthError::Failed(Text::from_static("Ed25519 could not sign"));
        let signature = self.key.sign(digest.as_bytes()).ok_or_else(failed)?;
        Ok(format!("{}:{}", self.name, STANDARD.encode(signature)))
    }

    fn validate(&self, sender: Option<&str>, digest: &str, signature: &str) -> Result<Principal, AuthError> {
        let form = || AuthError::Malformed(Text::from_static("it is `<name>:<base64>`"));
        let (name, signed) = signature.rsplit_once(':').ok_or_else(form)?;
        let signed = STANDARD.decode(signed).map_err(|_| form())?;
        if sender.is_some_and(|sender| sender != name) {
            return Err(AuthError::BadSignature(shown(sender.unwrap_or_default())));
        }
        let (ring, mut known) = (self.keyring.ring(), false);
        for (name, key) in ring.live(name, self.keyring.now()).filter(|(_, key)| key.scheme() == SCHEME) {
            known = true;
            if key.key().verifies(digest.as_bytes(), &signed) {
                return Ok(Principal::Key(name.clone()));
            }
        }
        Err(if known { AuthError::BadSignature(shown(name)) } else { AuthError::UnknownSender(shown(name)) })
    }

    fn answers(&self, principal: &str, address: &str) -> bool {
        self.keyring.answers(principal, address)
    }
}

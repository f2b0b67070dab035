use std::{fmt, path::Path};

use ed25519_dalek::{
    Signature, VerifyingKey,
    pkcs8::{DecodePublicKey, EncodePublicKey, spki::der::pem::LineEnding},
};

use super::{Fingerprint, KeyError, read_pem};

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// An Ed25519 key to verify with (RFC 8032).
///
/// Every key of this type is one that means something: a key of low order, with which a signature can be made for any text, or
/// one that is not written canonically, so that it has two names, is refused when it is read. It is parsed once, then.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Takes the 32 bytes of RFC 8032, section 5.1.2.
    ///
    /// # Errors
    ///
    /// They are no point of the curve, or a weak one.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotPublic { path: None }).and_then(PublicKey::strong)
    }

    /// The 32 bytes of RFC 8032, section 5.1.2.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Reads SPKI PEM (`BEGIN PUBLIC KEY`), as `openssl pkey -pubout` writes it: one key.
    ///
    /// # Errors
    ///
    /// The text is something else, several keys, another algorithm's key, or a weak one.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        match PublicKey::all_from_pem(pem)?[..] {
            [key] => Ok(key),
            _ => Err(KeyError::NotPublic { path: None }),
        }
    }

    /// Reads the keys of a text, at least one. What is around the blocks is comment (RFC 7468, section 5.2).
    pub(crate) fn all_from_pem(pem: &str) -> Result<Vec<Self>, KeyError> {
        if pem.contains("PRIVATE KEY-----") {
            return Err(KeyError::Private { path: None });
        }
        let malformed = || KeyError::NotPublic { path: None };
        let mut keys = Vec::new();
        let mut rest = pem;
        while let Some(begin) = rest.find("-----BEGIN ") {
            let block = &rest[begin..];
            let end = block.find(END).ok_or_else(malformed)? + END.len();
            if !block.starts_with(BEGIN) {
                return Err(malformed());
            }
            let key = VerifyingKey::from_public_key_pem(&block[..end]).map_err(|_| malformed())?;
            keys.push(PublicKey::strong(key)?);
            rest = &block[end..];
        }
        if keys.is_empty() { Err(malformed()) } else { Ok(keys) }
    }

    /// Writes SPKI PEM.
    ///
    /// # Errors
    ///
    /// Only if the encoder fails, which it has no reason to.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        self.0.to_public_key_pem(LineEnding::LF).map_err(|_| KeyError::Encode)
    }

    /// Reads a key file. Blocks while it does.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no public key (see [`PublicKey::from_pem`]).
    pub fn load(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        PublicKey::from_pem(&read_pem(path, |_, _| Ok(()))?).map_err(|e| e.in_file(path))
    }

    /// What the key is called where people compare keys.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.0.as_bytes())
    }

    /// Whether a signature of a text is by this key, strictly: neither a signature with a point of low order nor one whose
    /// scalar is not reduced passes, so that no second valid signature can be made from a first.
    #[must_use]
    pub fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        // One by one, on purpose: the batch equation of Ed25519 accepts signatures that this refuses.
        Signature::from_slice(signature).is_ok_and(|signature| self.0.verify_strict(text, &signature).is_ok())
    }

    /// The public half of a private key, which cannot be weak.
    pub(super) fn trusted(key: VerifyingKey) -> Self {
        PublicKey(key)
    }

    fn strong(key: VerifyingKey) -> Result<Self, KeyError> {
        if key.is_weak() || !is_canonical(key.as_bytes()) {
            return Err(KeyError::Weak { path: None });
        }
        Ok(PublicKey(key))
    }
}

/// Whether the y coordinate is less than 2^255 - 19 (RFC 8032, section 5.1.3, step 1).
fn is_canonical(key: &[u8; 32]) -> bool {
    key[31] & 0x7f != 0x7f || key[1..31].iter().any(|byte| *byte != 0xff) || key[0] < 0xed
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint().short())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{
    Signer, SigningKey,
    pkcs8::{ObjectIdentifier, PrivateKeyInfoRef, SecretDocument},
};
use zeroize::Zeroizing;

use super::{KeyError, PublicKey, read_pem};

/// PKCS#8 version 1 of an Ed25519 key, up to the 32 bytes of the key (RFC 8410, section 7).
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// `id-Ed25519` (RFC 8410, section 3).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// An Ed25519 key to sign with (RFC 8032).
///
/// Cheap to clone: there is one copy in memory, which is cleared when the last clone is dropped. It is never printed.
#[derive(Clone)]
pub struct PrivateKey(Arc<SigningKey>);

impl PrivateKey {
    /// Makes a new key from the system's random numbers.
    ///
    /// # Errors
    ///
    /// The system gave none.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|e| KeyError::Random(e.to_string()))?;
        Ok(PrivateKey(Arc::new(SigningKey::from_bytes(&seed))))
    }

    /// Reads PKCS#8 PEM (`BEGIN PRIVATE KEY`), as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    ///
    /// The text is something else, another algorithm's key, or encrypted.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        if pem.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
            return Err(KeyError::Encrypted { path: None });
        }
        // The cause stays out of it: an error travels into logs.
        let seed = seed_in(pem.trim_ascii()).ok_or(KeyError::NotPrivate { path: None })?;
        Ok(PrivateKey(Arc::new(SigningKey::from_bytes(&seed))))
    }

    /// Writes PKCS#8 PEM, in memory that is cleared when it is dropped.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        // By hand, in version 1 of the format: OpenSSL 3.0 and older cannot read version 2, which the encoder at hand writes,
        // and that encoder leaves a copy of the key behind.
        let mut der = Zeroizing::new([0; PKCS8.len() + 32]);
        der[..PKCS8.len()].copy_from_slice(&PKCS8);
        der[PKCS8.len()..].copy_from_slice(self.0.as_bytes());
        let mut pem = Zeroizing::new(String::with_capacity(128));
        pem.push_str("-----BEGIN PRIVATE KEY-----\n");
        STANDARD.encode_string(*der, &mut pem);
        pem.push_str("\n-----END PRIVATE KEY-----\n");
        pem
    }

    /// Reads a key file. Blocks while it does.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is no private key (see [`PrivateKey::from_pem`]), or, on Unix, its mode is wider than 0600.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        PrivateKey::from_pem(&read_pem(path, owner_only)?).map_err(|e| e.in_file(path))
    }

    /// Writes a new key file, of mode 0600 on Unix, and has it reach the disk. Blocks while it does.
    ///
    /// # Errors
    ///
    /// The file is there already, whatever it holds, or cannot be written; then none is left behind.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), KeyError> {
        let path = path.as_ref();
        let pem = self.to_pem();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyError::Exists { path: path.to_owned() },
            _ => KeyError::Write { path: path.to_owned(), source },
        })?;
        file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(|source| {
            // It is ours, and half a key is of no use; if it cannot be removed, the first error matters more.
            let _ = fs::remove_file(path);
            KeyError::Write { path: path.to_owned(), source }
        })
    }

    /// The key that others verify with.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey::trusted(self.0.verifying_key())
    }

    /// Signs a text exactly as it is. `None` if that fails, which it has no reason to.
    pub(crate) fn sign(&self, text: &[u8]) -> Option<[u8; 64]> {
        self.0.try_sign(text).ok().map(|signature| signature.to_bytes())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(of {})", self.public())
    }
}

/// The 32 bytes of the key in PKCS#8 PEM, of version 1 or 2.
fn seed_in(pem: &str) -> Option<Zeroizing<[u8; 32]>> {
    let (label, document) = SecretDocument::from_pem(pem).ok()?;
    let info = PrivateKeyInfoRef::try_from(document.as_bytes()).ok()?;
    let right =
        label == "PRIVATE KEY" && info.algorithm.assert_algorithm_oid(ED25519).is_ok() && info.algorithm.parameters.is_none();
    match info.private_key.as_bytes() {
        [4, 32, seed @ ..] if right => Some(Zeroizing::new(seed.try_into().ok()?)),
        _ => None,
    }
}

#[cfg(unix)]
fn owner_only(path: &Path, file: &File) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt;

    let metadata = file.metadata().map_err(|source| KeyError::Read { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & !0o600 != 0 { Err(KeyError::Mode { path: path.to_owned(), mode }) } else { Ok(()) }
}

#[cfg(not(unix))]
fn owner_only(_: &Path, _: &File) -> Result<(), KeyError> {
    Ok(())
}

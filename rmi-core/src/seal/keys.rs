//! Ed25519 keys, and the PEM files that operators keep them in.
//!
//! The files are those of OpenSSL and of everybody else: PKCS#8 for the private key, SPKI for the public one (RFC 8410).

mod error;
mod file;
mod fingerprint;
mod private;
mod public;

pub(super) use self::file::read_pem;
pub use self::{
    error::KeyError,
    fingerprint::{Fingerprint, FingerprintError},
    private::PrivateKey,
    public::PublicKey,
};

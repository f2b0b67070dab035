//! Certificates for tests: an authority, and those whom it vouches for.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, SanType};
use rmi_core::transport::tcp::tls::{ClientTls, ServerTls};

/// Writes the certificate of a new authority, `ca.crt`, and a certificate and its key for each of these names: `NAME.crt` and `NAME.pem`.
///
/// # Panics
///
/// A name is none, or a file cannot be written.
pub fn issue(directory: &Path, names: &[&str]) {
    let authority = Authority::new();
    fs::write(directory.join("ca.crt"), authority.pem()).expect("a file");
    for name in names {
        let Identity { chain, key } = authority.vouch(&[name]);
        fs::write(directory.join(format!("{name}.crt")), chain).expect("a file");
        fs::write(directory.join(format!("{name}.pem")), key).expect("a file");
    }
}

/// An authority.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub chain: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// An authority that nobody has heard of.
    ///
    /// # Panics
    ///
    /// There is no randomness.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = named("authority");
        let key = KeyPair::generate().expect("a key");
        Authority { issuer: CertifiedIssuer::self_signed(params, key).expect("a certificate") }
    }

    /// Its certificate, as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Vouches for somebody under these names: IP addresses, DNS names, or what has a `:` in it as a URI.
    ///
    /// # Panics
    ///
    /// A name is none.
    #[must_use]
    pub fn vouch(&self, names: &[&str]) -> Identity {
        self.vouch_with(names, |_| {})
    }

    /// Vouches for somebody in a special way.
    ///
    /// # Panics
    ///
    /// A name is none.
    pub fn vouch_with(&self, names: &[&str], special: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name = named("its common name");
        for name in names {
            let text = || (*name).try_into().expect("a name");
            params.subject_alt_names.push(match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) if name.contains(':') => SanType::URI(text()),
                Err(_) => SanType::DnsName(text()),
            });
        }
        special(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity { chain: certificate.pem(), key: key.serialize_pem() }
    }

    /// A listener under a name, that demands certificates of this authority.
    ///
    /// # Panics
    ///
    /// It is no name.
    #[must_use]
    pub fn mutual(&self, name: &str) -> ServerTls {
        let Identity { chain, key } = self.vouch(&[name]);
        ServerTls::new(chain, key).expect("they fit").demands(self.pem()).expect("an authority")
    }

    /// A dialler under a name, that dials a listener of this name.
    ///
    /// # Panics
    ///
    /// One of them is no name.
    #[must_use]
    pub fn dialling(&self, name: &str, listener: &str) -> ClientTls {
        let Identity { chain, key } = self.vouch(&[name]);
        let tls = ClientTls::trusts(self.pem()).expect("an authority").presents(chain, key).expect("they fit");
        tls.server_name(listener).expect("a name")
    }
}

impl Default for Authority {
    fn default() -> Self {
        Authority::new()
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

//! TLS with the broker.

use rmi_core::transport::TransportError;
#[cfg(feature = "tls")]
use {
    crate::{error::refused, url::Host},
    lapin::tcp::RustlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
    std::{fmt, sync::Arc},
};

/// How the broker is trusted, and who it is told that one is.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use rmi_amqp::{Amqp, Options, Sasl, Tls};
///
/// let tls = Tls::trusts(std::fs::read("ca.pem")?)?.presents(std::fs::read("dog.pem")?, std::fs::read("dog.key")?)?;
/// let amqp = Amqp::connect("amqps://broker.example.org/").tls(tls).options(Options::default().sasl(Sasl::External)).await?;
/// # Ok(()) }
/// ```
#[cfg(feature = "tls")]
#[derive(Clone)]
pub struct Tls {
    roots: Arc<RootCertStore>,
    identity: Option<Arc<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>>,
    server_name: Option<String>,
}

#[cfg(feature = "tls")]
impl Tls {
    /// Trusts brokers whose certificates an authority has signed that this machine trusts.
    ///
    /// # Errors
    ///
    /// The machine's authorities cannot be read.
    pub fn system() -> Result<Self, TransportError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (good, _) = roots.add_parsable_certificates(found.certs);
        if good == 0 {
            let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
            return Err(refused(format!("no authority that this machine trusts can be read{why}")));
        }
        Ok(Tls { roots: Arc::new(roots), identity: None, server_name: None })
    }

    /// Trusts brokers whose certificates one of these authorities has signed, and no others. PEM.
    ///
    /// # Errors
    ///
    /// There is no certificate in it, or one cannot be read.
    pub fn trusts(authorities: impl AsRef<[u8]>) -> Result<Self, TransportError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates("the authorities that are trusted", authorities.as_ref())? {
            let added = roots.add(certificate);
            added.map_err(|error| refused(format!("the authorities that are trusted: {error}")).caused_by(error))?;
        }
        Ok(Tls { roots: Arc::new(roots), identity: None, server_name: None })
    }

    /// Presents a certificate: the certificate first, then those that lead to the authority. PEM.
    ///
    /// # Errors
    ///
    /// One of them cannot be read, or the key is not the certificate's.
    pub fn presents(self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, TransportError> {
        let chain = certificates("the certificate", chain.as_ref())?;
        let key = PrivateKeyDer::from_pem_slice(key.as_ref());
        let key = key.map_err(|error| refused(format!("the certificate's key: {error}")).caused_by(error))?;
        let tls = Tls { identity: Some(Arc::new((chain, key))), ..self };
        // So it is found out here that the two do not belong together.
        tls.config()?;
        Ok(tls)
    }

    /// The name that the broker's certificate has to have, in place of the host that is dialled.
    #[must_use]
    pub fn server_name(self, name: impl Into<String>) -> Self {
        Tls { server_name: Some(name.into()), ..self }
    }

    pub(crate) fn name(&self, host: &Host) -> String {
        self.server_name.clone().unwrap_or_else(|| host.name.clone())
    }

    pub(crate) fn connector(&self) -> Result<RustlsConnector, TransportError> {
        Ok(RustlsConnector::from(self.config()?))
    }

    fn config(&self) -> Result<ClientConfig, TransportError> {
        // Named here: nothing is installed for the process.
        let config =
            ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
        let config = config.map_err(|error| refused(format!("the versions of TLS: {error}")).caused_by(error))?;
        let config = config.with_root_certificates(Arc::clone(&self.roots));
        match &self.identity {
            None => Ok(config.with_no_client_auth()),
            Some(identity) => {
                let (chain, key) = (identity.0.clone(), identity.1.clone_key());
                let config = config.with_client_auth_cert(chain, key);
                config.map_err(|error| refused(format!("the certificate cannot be presented: {error}")).caused_by(error))
            }
        }
    }
}

#[cfg(feature = "tls")]
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("authorities", &self.roots.len())
            .field("presents", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .finish()
    }
}

#[cfg(feature = "tls")]
fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TransportError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| refused(format!("{what}: {error}")).caused_by(error))?;
    if certificates.is_empty() {
        return Err(refused(format!(
            "{what}: there is no certificate in it; PEM is expected, which begins with `-----BEGIN CERTIFICATE-----`"
        )));
    }
    Ok(certificates)
}

/// TLS is wanted, and not built in.
#[cfg(not(feature = "tls"))]
#[derive(Clone, Debug)]
pub(crate) enum Tls {}

#[cfg(not(feature = "tls"))]
pub(crate) fn missing() -> TransportError {
    crate::error::refused("TLS is not built in: switch on the feature `tls` of rmi-amqp")
}

//! TLS for links: who may listen, who may dial, and what they are called.
//!
//! Both ends name the authorities that they trust; nothing of the system's is trusted by itself. The only provider of cryptography is
//! ring; none is installed for the process.
//!
//! # What a peer is called
//!
//! Its name comes with everything that it sends ([`Delivery::peer`](crate::transport::Delivery::peer)), and is its
//! [`Principal::Transport`](crate::Principal) where the binding does not demand signatures.
//!
//! * A dialler calls its listener by the name that it checked the certificate for: the host that it dialled, or
//!   [`server_name`](ClientTls::server_name).
//! * A listener calls a dialler by the first DNS name in its certificate's subject alternative names, or where there is none by the
//!   first URI. A wildcard is no name, and the subject's common name is not looked at (RFC 9525, 6.3). A dialler whose certificate has
//!   no such name is let in, and has none. Where no certificate is demanded, nobody has a name.
//!
//! ```no_run
//! use rmi_core::transport::tcp::{Tcp, tls::{ClientTls, ServerTls}};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let ours = ServerTls::new(std::fs::read("dog.pem")?, std::fs::read("dog.key")?)?.demands(std::fs::read("kennel-ca.pem")?)?;
//! let listener = Tcp::listen("0.0.0.0:7000").tls(ours).await?;
//!
//! let theirs = ClientTls::trusts(std::fs::read("kennel-ca.pem")?)?.presents(std::fs::read("me.pem")?, std::fs::read("me.key")?)?;
//! let dialler = Tcp::connect("dog.example.org:7000").tls(theirs).await?;
//! # Ok(()) }
//! ```

use std::{
    fmt, io,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsAcceptor, TlsConnector, TlsStream,
    rustls::{
        ClientConfig, ConfigBuilder, ConfigSide, RootCertStore, ServerConfig, WantsVerifier, WantsVersions,
        client::WantsClientCert,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
        server::WebPkiClientVerifier,
    },
};

use super::{dialler::Reached, stream::Stream};
use crate::text::Text;

/// What is given for TLS cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct TlsError {
    what: &'static str,
    why: String,
}

impl TlsError {
    fn new(what: &'static str, why: impl fmt::Display) -> Self {
        TlsError { what, why: why.to_string() }
    }
}

/// How a dialler talks TLS. A clone is the same.
#[derive(Clone)]
pub struct ClientTls {
    roots: Arc<RootCertStore>,
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

impl ClientTls {
    /// Trusts listeners whose certificates these authorities have signed. PEM.
    ///
    /// # Errors
    ///
    /// There is no certificate in it, or one cannot be read.
    pub fn trusts(authorities: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        let roots = Arc::new(authorities_of(authorities.as_ref())?);
        let config = Arc::new(client(&roots)?.with_no_client_auth());
        Ok(ClientTls { roots, config, name: None })
    }

    /// Presents a certificate, where the listener demands one: the certificate first, then those that lead to the authority. PEM.
    ///
    /// # Errors
    ///
    /// One of them cannot be read, or the key is not the certificate's.
    pub fn presents(self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        let (chain, key) = identity(chain.as_ref(), key.as_ref())?;
        let config = client(&self.roots)?.with_client_auth_cert(chain, key);
        let config = config.map_err(|error| TlsError::new("the certificate cannot be presented", error))?;
        Ok(ClientTls { config: Arc::new(config), ..self })
    }

    /// The name that the listener's certificate has to have, in place of the host that is dialled.
    ///
    /// # Errors
    ///
    /// It is no DNS name and no IP address.
    pub fn server_name(self, name: impl Into<String>) -> Result<Self, TlsError> {
        let name = ServerName::try_from(name.into()).map_err(|error| TlsError::new("the server's name", error))?;
        Ok(ClientTls { name: Some(name), ..self })
    }

    pub(super) async fn greet(&self, stream: TcpStream, address: &str) -> io::Result<Reached> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => {
                let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
                ServerName::try_from(host.to_owned()).map_err(|error| {
                    io::Error::new(io::ErrorKind::InvalidInput, format!("`{host}` is no name for a certificate: {error}"))
                })?
            }
        };
        let peer = Text::from(name.to_str().into_owned());
        let stream = TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await?;
        Ok((Stream::Tls(Box::new(TlsStream::Client(stream))), Some(peer)))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("authorities", &self.roots.len()).field("name", &self.name).finish_non_exhaustive()
    }
}

/// How a listener talks TLS. A clone is the same, and is [renewed](ServerTls::renew) with it.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<RwLock<Arc<ServerConfig>>>,
    authorities: Option<Arc<RootCertStore>>,
}

impl ServerTls {
    /// Presents a certificate: the certificate first, then those that lead to the authority. PEM. Diallers need none.
    ///
    /// # Errors
    ///
    /// One of them cannot be read, or the key is not the certificate's.
    pub fn new(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        let config = server(None, chain.as_ref(), key.as_ref())?;
        Ok(ServerTls { config: Arc::new(RwLock::new(Arc::new(config))), authorities: None })
    }

    /// Demands a certificate of diallers that one of these authorities has signed. PEM.
    ///
    /// # Errors
    ///
    /// There is no certificate in it, or one cannot be read.
    pub fn demands(self, authorities: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        let authorities = Arc::new(authorities_of(authorities.as_ref())?);
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&authorities), provider()).build();
        let verifier = verifier.map_err(|error| TlsError::new("the authorities of diallers", error))?;
        let before = self.current();
        let config = versions(ServerConfig::builder_with_provider(provider()))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&before.cert_resolver));
        Ok(ServerTls { config: Arc::new(RwLock::new(Arc::new(config))), authorities: Some(authorities) })
    }

    /// Presents another certificate from now on, to those who dial from now on: links that are up stay up. What is demanded of diallers
    /// stays as it is. If it fails, everything stays as it was.
    ///
    /// # Errors
    ///
    /// As for [`ServerTls::new`].
    pub fn renew(&self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<(), TlsError> {
        let config = server(self.authorities.clone(), chain.as_ref(), key.as_ref())?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(())
    }

    fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) async fn greet(&self, stream: TcpStream) -> io::Result<Reached> {
        let stream = TlsAcceptor::from(self.current()).accept(stream).await?;
        let peer = stream.get_ref().1.peer_certificates().and_then(|chain| name_of(chain.first()?));
        Ok((Stream::Tls(Box::new(TlsStream::Server(stream))), peer))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("demands", &self.authorities.is_some()).finish_non_exhaustive()
    }
}

/// What a certificate calls its holder.
fn name_of(certificate: &CertificateDer<'_>) -> Option<Text> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let dns = certificate.valid_dns_names().find(|name| !name.contains('*'));
    dns.or_else(|| certificate.valid_uri_names().next()).filter(|name| !name.is_empty()).map(Text::from)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn versions<S: ConfigSide>(builder: ConfigBuilder<S, WantsVersions>) -> Result<ConfigBuilder<S, WantsVerifier>, TlsError> {
    builder.with_safe_default_protocol_versions().map_err(|error| TlsError::new("the versions of TLS", error))
}

fn client(roots: &Arc<RootCertStore>) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
    Ok(versions(ClientConfig::builder_with_provider(provider()))?.with_root_certificates(Arc::clone(roots)))
}

fn server(authorities: Option<Arc<RootCertStore>>, chain: &[u8], key: &[u8]) -> Result<ServerConfig, TlsError> {
    let (chain, key) = identity(chain, key)?;
    let builder = versions(ServerConfig::builder_with_provider(provider()))?;
    let builder = match authorities {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(authorities, provider()).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| TlsError::new("the authorities of diallers", error))?)
        }
    };
    builder.with_single_cert(chain, key).map_err(|error| TlsError::new("the certificate cannot be presented", error))
}

fn identity(chain: &[u8], key: &[u8]) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain = certificates("the certificate", chain)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::new("the certificate's key", error))?;
    Ok((chain, key))
}

fn authorities_of(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    const WHAT: &str = "the authorities that are trusted";
    let mut roots = RootCertStore::empty();
    for certificate in certificates(WHAT, pem)? {
        roots.add(certificate).map_err(|error| TlsError::new(WHAT, error))?;
    }
    Ok(roots)
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| TlsError::new(what, error))?;
    if certificates.is_empty() {
        return Err(TlsError::new(
            what,
            "there is no certificate in it; PEM is expected, which begins with `-----BEGIN CERTIFICATE-----`",
        ));
    }
    Ok(certificates)
}

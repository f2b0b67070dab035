//! What is given for TLS: authorities, and a certificate of one's own.

use std::{fs, path::PathBuf};

use clap::Args;
use rmi_core::transport::{
    TransportError,
    tcp::tls::{ClientTls, ServerTls},
};

use crate::ending::Ending;

/// What tls:// needs.
#[derive(Clone, Debug, Args)]
pub(crate) struct TlsArguments {
    /// Believe certificates that these authorities have signed (PEM); tls:// needs it, amqps:// believes the machine's authorities
    /// without it, and with --listen it demands certificates
    #[arg(help_heading = "TLS", long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Present this certificate (PEM), with those that lead to its authority
    #[arg(help_heading = "TLS", long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(help_heading = "TLS", long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The name that the peer's certificate has to have, in place of the URL's host
    #[arg(help_heading = "TLS", long, value_name = "NAME")]
    tls_name: Option<String>,
}

/// One end's part.
pub(crate) enum Tls {
    Client(ClientTls),
    Server(ServerTls),
}

impl TlsArguments {
    /// What a connection to a broker needs of this.
    pub(crate) fn broker(&self, wanted: bool) -> Result<Option<rmi_amqp::Tls>, Box<Ending>> {
        let given = self.tls_ca.is_some() || self.tls_cert.is_some() || self.tls_name.is_some();
        if !wanted {
            let ending = || Ending::usage("what is given for TLS is of no use to amqp://").try_this("amqps://");
            return if given { Err(ending()) } else { Ok(None) };
        }
        let unusable = |error: TransportError| Ending::usage(error.message);
        let mut tls = match &self.tls_ca {
            Some(authorities) => rmi_amqp::Tls::trusts(read(authorities)?),
            None => rmi_amqp::Tls::system(),
        }
        .map_err(unusable)?;
        if let (Some(cert), Some(key)) = (&self.tls_cert, &self.tls_key) {
            tls = tls.presents(read(cert)?, read(key)?).map_err(unusable)?;
        }
        Ok(Some(match &self.tls_name {
            Some(name) => tls.server_name(name.as_str()),
            None => tls,
        }))
    }

    /// What the URL's scheme needs of this: nothing without TLS, and then nothing may be given.
    pub(crate) fn check(&self, wanted: bool, listens: bool) -> Result<Option<Tls>, Box<Ending>> {
        if !wanted {
            let given = self.tls_ca.is_some() || self.tls_cert.is_some() || self.tls_name.is_some();
            let ending = || Ending::usage("what is given for TLS is of no use to tcp://").try_this("tls://");
            return if given { Err(ending()) } else { Ok(None) };
        }
        let identity = match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => Some((read(cert)?, read(key)?)),
            _ => None,
        };
        let authorities = self.tls_ca.as_ref().map(read).transpose()?;
        let unusable = |error| Ending::file(&error);
        if listens {
            let Some((cert, key)) = identity else {
                let ending = Ending::usage("whoever listens at tls:// needs a certificate");
                return Err(ending.try_this("--tls-cert FILE --tls-key FILE"));
            };
            let tls = ServerTls::new(cert, key).map_err(unusable)?;
            let tls = match authorities {
                Some(authorities) => tls.demands(authorities).map_err(unusable)?,
                None => tls,
            };
            return Ok(Some(Tls::Server(tls)));
        }
        let Some(authorities) = authorities else {
            let ending = Ending::usage("tls:// needs to know whose certificates to believe");
            return Err(ending.try_this("--tls-ca FILE, the certificate of the authority that signed the agent's"));
        };
        let mut tls = ClientTls::trusts(authorities).map_err(unusable)?;
        if let Some((cert, key)) = identity {
            tls = tls.presents(cert, key).map_err(unusable)?;
        }
        if let Some(name) = &self.tls_name {
            tls = tls.server_name(name.as_str()).map_err(unusable)?;
        }
        Ok(Some(Tls::Client(tls)))
    }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, Box<Ending>> {
    fs::read(path).map_err(|e| Ending::usage(format!("`{}` cannot be read: {e}", path.display())))
}

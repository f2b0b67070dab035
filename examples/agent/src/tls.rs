//! TLS between agents, their server and its operators: who is believed, and what is presented.

use std::{fs, path::PathBuf};

use clap::Args;
use rmi_core::transport::tcp::tls::{ClientTls, ServerTls};

use crate::options::{Address, Error};

/// What `tls://` needs.
#[derive(Clone, Debug, Default, Args)]
pub struct Tls {
    /// Believe certificates that these authorities have signed (PEM). Whoever dials tls:// needs it; whoever listens there demands
    /// certificates with it, and calls each agent by the name in its certificate
    #[arg(help_heading = "TLS", long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Present this certificate (PEM), with those that lead to its authority; whoever listens at tls:// needs it
    #[arg(help_heading = "TLS", long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(help_heading = "TLS", long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

type Identity = (Vec<u8>, Vec<u8>);

impl Tls {
    /// What dialling an address needs: nothing without TLS. `name` is the name that the certificate there has to have, in place of the
    /// host.
    ///
    /// # Errors
    ///
    /// A file cannot be read or used, is missing, or is of no use.
    pub fn dials(&self, at: &Address, name: Option<&str>) -> Result<Option<ClientTls>, Error> {
        if !at.tls {
            return self.is_of_no_use(at, name.is_some());
        }
        let Some(authorities) = &self.tls_ca else {
            return Err(format!("{at} needs to know whose certificates to believe: add --tls-ca FILE").into());
        };
        let mut tls = ClientTls::trusts(read(authorities)?)?;
        if let Some((certificate, key)) = self.identity()? {
            tls = tls.presents(certificate, key)?;
        }
        Ok(Some(match name {
            Some(name) => tls.server_name(name)?,
            None => tls,
        }))
    }

    /// What listening at an address needs: nothing without TLS.
    ///
    /// # Errors
    ///
    /// As [`dials`](Self::dials).
    pub fn listens(&self, at: &Address) -> Result<Option<ServerTls>, Error> {
        let Some((certificate, key)) = self.identity()? else {
            return if at.tls {
                Err(format!("whoever listens at {at} needs a certificate: add --tls-cert FILE --tls-key FILE").into())
            } else {
                Ok(None)
            };
        };
        if !at.tls {
            return Ok(None);
        }
        let tls = ServerTls::new(certificate, key)?;
        Ok(Some(match &self.tls_ca {
            Some(authorities) => tls.demands(read(authorities)?)?,
            None => tls,
        }))
    }

    /// Demands that nothing is given that no address has a use for.
    ///
    /// # Errors
    ///
    /// Something is.
    pub fn is_used<'a>(&self, by: impl IntoIterator<Item = &'a Address>) -> Result<(), Error> {
        let mut all = by.into_iter();
        let first = all.next();
        match first {
            Some(at) if !at.tls && !all.any(|at| at.tls) => self.is_of_no_use::<()>(at, false).map(drop),
            _ => Ok(()),
        }
    }

    fn is_of_no_use<T>(&self, at: &Address, more: bool) -> Result<Option<T>, Error> {
        if more || self.tls_ca.is_some() || self.tls_cert.is_some() {
            return Err(format!("what is given for TLS is of no use to {at}: write tls://").into());
        }
        Ok(None)
    }

    /// The certificate and its key.
    fn identity(&self) -> Result<Option<Identity>, Error> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Ok(Some((read(certificate)?, read(key)?))),
            _ => Ok(None),
        }
    }
}

/// A file that the command line names.
pub(crate) fn read(path: &PathBuf) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

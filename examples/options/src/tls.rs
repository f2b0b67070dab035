//! What is given for TLS: authorities, and a certificate of one's own.

use std::path::PathBuf;

use clap::Args;
use rmi_core::transport::tcp::tls::{ClientTls, ServerTls};

use crate::{Unusable, Url, unusable::read};

/// What tls:// and amqps:// need.
#[derive(Clone, Debug, Default, Args)]
pub struct Tls {
    /// Believe certificates that these authorities have signed (PEM). Whoever dials tls:// needs it; whoever listens there demands
    /// certificates with it; amqps:// believes the machine's authorities without it
    #[arg(help_heading = "TLS", long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Present this certificate (PEM), with those that lead to its authority; whoever listens at tls:// needs it
    #[arg(help_heading = "TLS", long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(help_heading = "TLS", long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// The name that the certificate of whoever is dialled has to have, in place of the URL's host
    #[arg(help_heading = "TLS", long, value_name = "NAME")]
    pub tls_name: Option<String>,
}

/// One way of a program to its peers.
#[derive(Clone, Copy, Debug)]
pub enum Way<'a> {
    /// It dials there.
    Dials(&'a Url),
    /// It listens there.
    Listens(&'a Url),
}

type Identity = (Vec<u8>, Vec<u8>);

impl Tls {
    /// Demands that what is given is of use to one of a program's ways, and that each way has what it needs.
    ///
    /// # Errors
    ///
    /// Something is given that no way has a use for, or is missing.
    pub fn check<'a>(&self, ways: impl IntoIterator<Item = Way<'a>>) -> Result<(), Unusable> {
        let (mut first, mut by_tls, mut dials) = (None, false, false);
        for way in ways {
            let (Way::Dials(url) | Way::Listens(url)) = way;
            first.get_or_insert(url);
            if !url.is_tls() {
                continue;
            }
            by_tls = true;
            match way {
                Way::Listens(_) if self.tls_cert.is_none() => {
                    let message = "whoever listens at tls:// needs a certificate";
                    return Err(Unusable::usage(message, "--tls-cert FILE --tls-key FILE"));
                }
                Way::Listens(_) => {}
                Way::Dials(url) if self.tls_ca.is_none() && !url.is_brokers() => {
                    let advice = "--tls-ca FILE, the certificate of the authority that signed the peer's";
                    return Err(Unusable::usage("tls:// needs to know whose certificates to believe", advice));
                }
                Way::Dials(_) => dials = true,
            }
        }
        let given = self.tls_ca.is_some() || self.tls_cert.is_some() || self.tls_name.is_some();
        match first {
            Some(url) if given && !by_tls => {
                let (plain, tls) = if url.is_brokers() { ("amqp", "amqps") } else { ("tcp", "tls") };
                Err(Unusable::usage(format!("what is given for TLS is of no use to {plain}://"), format!("{tls}://")))
            }
            Some(_) if self.tls_name.is_some() && !dials => {
                Err(Unusable::usage("--tls-name is whom one dials, and nobody is dialled by TLS", "it without --tls-name"))
            }
            _ => Ok(()),
        }
    }

    /// What dialling a peer needs: nothing without TLS.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check); or a file cannot be read or used.
    pub fn dials(&self, url: &Url) -> Result<Option<ClientTls>, Unusable> {
        self.check_alone(Way::Dials(url))?;
        let Some(authorities) = self.tls_ca.as_ref().filter(|_| url.is_tls()) else { return Ok(None) };
        let mut tls = ClientTls::trusts(read(authorities)?).map_err(Unusable::file)?;
        if let Some((certificate, key)) = self.identity()? {
            tls = tls.presents(certificate, key).map_err(Unusable::file)?;
        }
        Ok(Some(match &self.tls_name {
            Some(name) => tls.server_name(name.as_str()).map_err(Unusable::file)?,
            None => tls,
        }))
    }

    /// What listening needs: nothing without TLS.
    ///
    /// # Errors
    ///
    /// As [`dials`](Self::dials).
    pub fn listens(&self, url: &Url) -> Result<Option<ServerTls>, Unusable> {
        self.check_alone(Way::Listens(url))?;
        let Some((certificate, key)) = self.identity()?.filter(|_| url.is_tls()) else { return Ok(None) };
        let tls = ServerTls::new(certificate, key).map_err(Unusable::file)?;
        Ok(Some(match &self.tls_ca {
            Some(authorities) => tls.demands(read(authorities)?).map_err(Unusable::file)?,
            None => tls,
        }))
    }

    /// What a connection to a broker needs: nothing without TLS.
    ///
    /// # Errors
    ///
    /// As [`dials`](Self::dials); or the machine's authorities cannot be read.
    #[cfg(feature = "amqp")]
    pub fn broker(&self, url: &Url) -> Result<Option<rmi_amqp::Tls>, Unusable> {
        if !url.is_tls() {
            return Ok(None);
        }
        let tls = match &self.tls_ca {
            Some(authorities) => rmi_amqp::Tls::trusts(read(authorities)?),
            None => rmi_amqp::Tls::system(),
        };
        let mut tls = tls.map_err(Unusable::file)?;
        if let Some((certificate, key)) = self.identity()? {
            tls = tls.presents(certificate, key).map_err(Unusable::file)?;
        }
        Ok(Some(match &self.tls_name {
            Some(name) => tls.server_name(name.as_str()),
            None => tls,
        }))
    }

    /// What one of several ways needs: what it has no use for may be another's.
    fn check_alone(&self, way: Way<'_>) -> Result<(), Unusable> {
        let (Way::Dials(url) | Way::Listens(url)) = way;
        let needs = Tls { tls_name: None, ..self.clone() };
        if url.is_tls() { needs.check([way]) } else { Ok(()) }
    }

    /// The certificate and its key.
    fn identity(&self) -> Result<Option<Identity>, Unusable> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Ok(Some((read(certificate)?, read(key)?))),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        tls: Tls,
    }

    fn given(arguments: &str) -> Tls {
        Program::try_parse_from(["program"].into_iter().chain(arguments.split_whitespace())).unwrap().tls
    }

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_missing_or_of_no_use_is_said() {
        let (tcp, tls) = (url("tcp://a:1"), url("tls://a:1"));
        let identity = "--tls-cert a.crt --tls-key a.pem";
        for (arguments, ways, part) in [
            ("", vec![Way::Dials(&tls)], "--tls-ca FILE"),
            ("", vec![Way::Listens(&tls)], "--tls-cert FILE --tls-key FILE"),
            ("--tls-ca x", vec![Way::Dials(&tcp)], "try: tls://"),
            ("--tls-ca x", vec![Way::Listens(&tcp), Way::Listens(&tcp)], "of no use to tcp://"),
            (identity, vec![Way::Dials(&tcp)], "of no use"),
            ("--tls-name x", vec![Way::Dials(&tcp)], "of no use"),
            (&format!("{identity} --tls-name x"), vec![Way::Listens(&tls)], "--tls-name"),
        ] {
            let error = clap::Error::from(given(arguments).check(ways).unwrap_err()).to_string();
            assert!(error.contains(part), "{arguments}: {error}");
        }
        for (arguments, ways) in [
            ("", vec![Way::Dials(&tcp)]),
            ("", vec![]),
            ("--tls-ca x --tls-name x", vec![Way::Dials(&tls)]),
            (identity, vec![Way::Listens(&tcp), Way::Listens(&tls)]),
        ] {
            assert!(given(arguments).check(ways).is_ok(), "{arguments}");
        }
    }

    #[cfg(feature = "amqp")]
    #[test]
    fn a_broker_may_be_believed_by_the_machines_authorities() {
        let (amqp, amqps) = (url("amqp://a"), url("amqps://a"));
        assert!(given("").check([Way::Dials(&amqps)]).is_ok());
        let error = clap::Error::from(given("--tls-ca x").check([Way::Dials(&amqp)]).unwrap_err()).to_string();
        assert!(error.contains("try: amqps://"), "{error}");
        assert!(given("--tls-ca nowhere.crt").broker(&amqps).unwrap_err().to_string().contains("nowhere.crt"));
        assert!(given("").broker(&amqp).unwrap().is_none());
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let tls = url("tls://a:1");
        let missing = given("--tls-ca nowhere.crt").dials(&tls).unwrap_err().to_string();
        assert!(missing.contains("nowhere.crt"), "{missing}");
        let missing = given("--tls-cert nowhere.crt --tls-key a.pem").listens(&tls).unwrap_err().to_string();
        assert!(missing.contains("nowhere.crt"), "{missing}");
        assert!(given("--tls-ca nowhere.crt").dials(&url("tcp://a:1")).unwrap().is_none());
    }
}

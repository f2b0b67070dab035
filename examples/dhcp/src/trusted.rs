use std::{error::Error, path::PathBuf};

use clap::{Args, error::ErrorKind};
use rmi_core::{Ed25519, Keyring, Trust, seal::PrivateKey};

/// Who is trusted: spelled out.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Trust")]
pub(crate) struct Trusted {
    /// Sign with this private key (`rmi keygen` makes one); needs --trust
    #[arg(long, value_name = "FILE", requires = "trust")]
    key: Option<PathBuf>,
    /// Believe whoever signs with a key of this directory (see `rmi trust`); needs --key
    #[arg(long, value_name = "DIR", requires = "key")]
    trust: Option<PathBuf>,
    /// Sign nothing and believe everybody
    #[arg(long, conflicts_with_all = ["key", "trust"])]
    insecure: bool,
}

impl Trusted {
    /// Whether it is said who is trusted where messages can be signed.
    pub(crate) fn check(&self) -> Result<(), clap::Error> {
        if self.insecure || self.key.is_some() {
            return Ok(());
        }
        let why = "it is not said whether messages are signed: --key FILE --trust DIR, to sign and verify (`rmi keygen` makes a key), or \
                   --insecure, to believe everybody\n";
        Err(clap::Error::raw(ErrorKind::MissingRequiredArgument, why))
    }

    /// What is demanded where messages can be signed, and the keys that are believed.
    pub(crate) fn sealed(&self) -> Result<(Trust, Option<Keyring>), Box<dyn Error>> {
        self.check()?;
        match (&self.key, &self.trust) {
            (Some(key), Some(trust)) => {
                let keyring = Keyring::load(trust)?;
                Ok((Ed25519::new(PrivateKey::load(key)?, keyring.clone()).into(), Some(keyring)))
            }
            _ => Ok((Trust::insecure(), None)),
        }
    }

    /// The name of the key's file: who signs with it.
    pub(crate) fn name(&self) -> Option<String> {
        Some(self.key.as_ref()?.file_stem()?.to_str()?.to_owned())
    }
}

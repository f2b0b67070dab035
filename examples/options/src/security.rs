//! Who is trusted: there is no default, and without signatures is spelled out.

use std::path::PathBuf;

use clap::Args;
use rmi_core::{
    Ed25519, Keyring, Trust,
    seal::{DigestKeys, Gofer, PrivateKey},
};

use crate::Unusable;

/// What is signed, and who is believed.
#[derive(Clone, Debug, Default, Args)]
pub struct Security {
    /// Sign with this private key (`rmi keygen` makes one); needs --trust
    #[arg(help_heading = "Trust", long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Believe whoever signs with a key of this directory (see `rmi trust`); needs --key
    #[arg(help_heading = "Trust", long, value_name = "DIR")]
    pub trust: Option<PathBuf>,
    /// Sign nothing and believe everybody
    #[arg(help_heading = "Trust", long, conflicts_with_all = ["key", "trust"])]
    pub insecure: bool,
}

/// How messages of a dialect are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// With Ed25519: the native envelope's own.
    Ed25519,
    /// By gofer's scheme, with the same keys.
    Gofer,
    /// The dialect has no place for signatures.
    None,
}

/// The keys, opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What a binding demands of its peers.
    pub trust: Trust,
    /// Who is believed; nobody in particular where nothing is signed.
    pub keyring: Option<Keyring>,
}

impl Opened {
    /// What a program says about that when it starts.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.keyring {
            Some(keyring) => {
                let names = keyring.senders().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                format!("signed; callers: {names}")
            }
            None => "insecure: whoever reaches it can call".to_owned(),
        }
    }
}

impl Security {
    /// Whether anything is said about signatures.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.insecure || self.key.is_some() || self.trust.is_some()
    }

    /// Demands that it is said whether messages are signed, and how, where they can be.
    ///
    /// # Errors
    ///
    /// It is not said, or half of it, or the dialect cannot do it.
    pub fn check(&self, scheme: Scheme) -> Result<(), Unusable> {
        match (&self.key, &self.trust) {
            _ if self.insecure => Ok(()),
            (Some(_), Some(_)) if scheme == Scheme::None => Err(Unusable::usage(
                "this dialect has no place for signatures",
                "--insecure in place of --key and --trust; tls:// can tell who is there",
            )),
            (Some(_), Some(_)) => Ok(()),
            (Some(_), None) => Err(Unusable::usage(
                "--key says what you sign with, but not whom you believe",
                "--trust DIR as well, a directory of public keys (`rmi trust add` fills it)",
            )),
            (None, Some(_)) => Err(Unusable::usage(
                "--trust says whom you believe, but not what you sign with",
                "--key FILE as well (`rmi keygen` makes a key)",
            )),
            (None, None) if scheme == Scheme::None => Err(Unusable::usage(
                "this dialect has no place for signatures, and whoever is reached is believed",
                "--insecure, to say so; tls:// can tell who is there",
            )),
            (None, None) => Err(Unusable::usage(
                "it is not said whether messages are signed",
                "--key FILE --trust DIR, to sign and verify (`rmi keygen` makes a key, `rmi trust add` trusts one), or --insecure, to \
                 believe everybody",
            )),
        }
    }

    /// Opens the keys. `name` is what whoever signs is called.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check); or a key cannot be read.
    pub fn open(&self, scheme: Scheme, name: &str) -> Result<Opened, Unusable> {
        self.check(scheme)?;
        let (Some(key), Some(trust)) = (&self.key, &self.trust) else {
            return Ok(Opened { trust: Trust::insecure(), keyring: None });
        };
        let key = PrivateKey::load(key).map_err(Unusable::file)?;
        let keyring = Keyring::load(trust).map_err(Unusable::file)?;
        let trust = match scheme {
            Scheme::Gofer => Trust::from(Gofer::new(DigestKeys::new(name.to_owned(), key, keyring.clone()))),
            Scheme::Ed25519 | Scheme::None => Trust::from(Ed25519::new(key, keyring.clone())),
        };
        Ok(Opened { trust, keyring: Some(keyring) })
    }

    /// The name of the key's file without its ending: who signs with it, unless it is said otherwise.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let name = self.key.as_ref()?.file_stem()?.to_str()?;
        (!name.is_empty()).then(|| name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        security: Security,
    }

    fn said(arguments: &[&str], scheme: Scheme) -> Result<(), String> {
        let program = Program::try_parse_from(["program"].iter().chain(arguments)).map_err(|error| error.to_string())?;
        program.security.check(scheme).map_err(|error| clap::Error::from(error).to_string())
    }

    #[test]
    fn trust_is_spelled_out() {
        let both = ["--key", "ann.key", "--trust", "trusted"];
        for scheme in [Scheme::Ed25519, Scheme::Gofer] {
            for arguments in [["--insecure"].as_slice(), &both] {
                assert_eq!(said(arguments, scheme), Ok(()));
            }
            for (arguments, part) in [
                ([].as_slice(), "--insecure, to believe everybody"),
                (&both[..2], "--trust DIR as well"),
                (&both[2..], "--key FILE as well"),
                (&["--insecure", "--key", "ann.key"], "cannot be used with"),
                (&["--insecure", "--trust", "trusted"], "cannot be used with"),
            ] {
                let error = said(arguments, scheme).unwrap_err();
                assert!(error.contains(part), "{arguments:?}: {error}");
            }
        }
    }

    #[test]
    fn where_nothing_can_be_signed_that_is_spelled_out_as_well() {
        assert_eq!(said(&["--insecure"], Scheme::None), Ok(()));
        for arguments in [[].as_slice(), &["--key", "ann.key", "--trust", "trusted"]] {
            let error = said(arguments, Scheme::None).unwrap_err();
            assert!(error.contains("no place for signatures") && error.contains("try: --insecure"), "{error}");
        }
    }

    #[test]
    fn a_key_says_whose_it_is() {
        let named = |file: &str| Security { key: Some(file.into()), ..Security::default() }.name();
        assert_eq!((named("keys/ann.key").as_deref(), named("/"), Security::default().name()), (Some("ann"), None, None));
    }
}

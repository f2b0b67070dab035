//! `rmi keygen`: a key to sign with, and its public half to be trusted.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use rmi_core::seal::{PrivateKey, PublicKey};
use serde::Serialize;

use crate::{ending::Ending, exit::Exit, out::Out};

/// Make a key to sign with
///
/// Writes NAME.key, the private key, which only you may read (mode 0600, PKCS#8), and NAME.pem, the public key, which is for everybody
/// who is to believe what you say. Nothing is overwritten. NAME is what you are called where the key is trusted.
#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// Your name; the files are written into the directory before it, if there is one
    #[arg(value_name = "NAME")]
    name: PathBuf,
}

#[derive(Serialize)]
struct KeyLine<'a> {
    result: Key<'a>,
}

#[derive(Serialize)]
struct Key<'a> {
    name: &'a str,
    key: &'a Path,
    public: &'a Path,
    fingerprint: String,
}

impl Keygen {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Box<Ending>> {
        let name = self.name.file_name().and_then(|name| name.to_str()).filter(|name| !name.starts_with('.'));
        let Some(name) = name else {
            let ending = Ending::usage(format!("`{}` is no name for a key", self.name.display()));
            return Err(ending.try_this("a word, as in `rmi keygen ann` or `rmi keygen keys/ann`"));
        };
        let (private, public) = (beside(&self.name, "key"), beside(&self.name, "pem"));
        if public.exists() {
            let ending = Ending::usage(format!("`{}` is there already, and no key is overwritten", public.display()));
            return Err(ending.try_this("another name, or move the old key away"));
        }
        let key = PrivateKey::generate().map_err(|e| Ending::file(&e))?;
        key.save(&private).map_err(|e| Ending::file(&e))?;
        write_public(&key.public(), &public).inspect_err(|_| {
            // One without the other is of no use; if it cannot be removed, the first error matters more.
            let _ = std::fs::remove_file(&private);
        })?;
        let fingerprint = key.public().fingerprint().to_string();
        if out.is_json() {
            out.line(&KeyLine { result: Key { name, key: &private, public: &public, fingerprint } });
        } else {
            out.text(&format!("{}\n{}\n{fingerprint}", private.display(), public.display()));
            out.aside(&format!(
                "sign with `--key {}`; who is to believe you runs `rmi trust add DIR {}`",
                private.display(),
                public.display()
            ));
        }
        Ok(Exit::Result)
    }
}

/// `keys/ann` with an ending behind it, whatever dots the name has.
fn beside(name: &Path, ending: &str) -> PathBuf {
    let mut path = name.as_os_str().to_owned();
    path.push(".");
    path.push(ending);
    PathBuf::from(path)
}

fn write_public(key: &PublicKey, path: &Path) -> Result<(), Box<Ending>> {
    let pem = key.to_pem().map_err(|e| Ending::file(&e))?;
    let written: io::Result<()> = OpenOptions::new().write(true).create_new(true).open(path).and_then(|mut file| {
        file.write_all(pem.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|e| Ending::usage(format!("`{}` cannot be written: {e}", path.display())))
}

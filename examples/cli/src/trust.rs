//! `rmi trust`: the directory of public keys that `--trust` names.

mod directory;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table, presets::UTF8_HORIZONTAL_ONLY};
use rmi_core::{
    Keyring,
    seal::PublicKey,
    time::{Clock, SystemClock, Timestamp},
};
use serde::Serialize;

use self::directory::{Directory, Entry, Sidecar};
use crate::{
    ending::Ending,
    exit::Exit,
    out::{Out, printable},
};

/// Say whose keys are trusted
///
/// A directory of public keys: `NAME.pem` holds keys of NAME, `NAME.json` beside it says when they are valid and what else NAME may
/// answer for, and `revoked` lists the fingerprints of keys that are not trusted whoever's they are. Nobody is trusted because he was
/// seen first. Programs that run read the directory when they start, or when they are told to read it again.
#[derive(Debug, Args)]
pub(crate) struct Trust {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the keys, with what is said about each
    List {
        /// The directory
        dir: PathBuf,
    },
    /// Trust the public key in a file; the directory is made if it is not there
    Add(Add),
    /// Trust a key no more, at once and for good
    Revoke {
        /// The directory
        dir: PathBuf,
        /// The key's fingerprint, or at least 8 digits of its beginning; or a name, which means all its keys
        key: String,
    },
    /// Trust a key up to a moment and no longer
    Expire {
        /// The directory
        dir: PathBuf,
        /// The key's fingerprint, or at least 8 digits of its beginning; or a name, which means all its keys
        key: String,
        /// The last moment, in RFC 3339, as in 2027-01-31T00:00:00Z; now unless it is said
        #[arg(long, value_name = "DATE", value_parser = moment)]
        at: Option<Timestamp>,
    },
    /// Check that the directory can be loaded; exit status 1 if not
    Verify {
        /// The directory
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Add {
    /// The directory
    dir: PathBuf,
    /// The public key, in PEM
    file: PathBuf,
    /// Whose key it is; otherwise the file's name without its ending
    #[arg(long)]
    name: Option<String>,
    /// Trust it from this moment on, in RFC 3339, as in 2026-12-01T00:00:00Z
    #[arg(long, value_name = "DATE", value_parser = moment)]
    not_before: Option<Timestamp>,
    /// Trust it up to this moment
    #[arg(long, value_name = "DATE", value_parser = moment)]
    not_after: Option<Timestamp>,
    /// An address that it may answer for, beside its own; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    answers_for: Vec<String>,
}

#[derive(Serialize)]
struct EntryLine<'a> {
    key: KeyText<'a>,
}

#[derive(Serialize)]
struct KeyText<'a> {
    name: &'a str,
    fingerprint: String,
    state: &'static str,
    not_before: Option<&'a str>,
    not_after: Option<&'a str>,
    answers_for: &'a [String],
    file: String,
}

#[derive(Serialize)]
struct VerifiedLine {
    result: Verified,
}

#[derive(Serialize)]
struct Verified {
    names: usize,
    keys: usize,
    valid: usize,
}

impl Trust {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Box<Ending>> {
        match self.command {
            Command::List { dir } => list(&Directory::open(dir)?, out),
            Command::Add(add) => add.run(out)?,
            Command::Revoke { dir, key } => {
                let directory = Directory::open(dir)?;
                let keys = directory.find(&key)?;
                for entry in directory.revoke(&keys)? {
                    out.note(&format!("{} of {} is not trusted any more", entry.key.fingerprint().short(), entry.sender));
                }
            }
            Command::Expire { dir, key, at } => {
                let directory = Directory::open(dir)?;
                let keys = directory.find(&key)?;
                let at = at.unwrap_or_else(|| SystemClock.now());
                for entry in directory.expire(&keys, at)? {
                    out.note(&format!("{} of {} is trusted up to {at}", entry.key.fingerprint().short(), entry.sender));
                }
            }
            Command::Verify { dir } => return verify(dir, out),
        }
        Ok(Exit::Result)
    }
}

impl Add {
    fn run(self, out: &Out) -> Result<(), Box<Ending>> {
        let key = PublicKey::load(&self.file).map_err(|e| Ending::file(&e))?;
        let name = match self.name.or_else(|| Some(self.file.file_stem()?.to_str()?.to_owned())) {
            Some(name) if !name.is_empty() => name,
            _ => return Err(Ending::usage("the file's name says nobody's name").try_this("--name, to say whose key it is")),
        };
        if self.not_before.zip(self.not_after).is_some_and(|(first, last)| last < first) {
            return Err(Ending::usage("--not-after is before --not-before: the key would never be valid"));
        }
        let directory = Directory::make(self.dir)?;
        let about = Sidecar::new(&name, self.not_before, self.not_after, self.answers_for);
        let file = directory.add(&name, &key, about)?;
        out.note(&format!("{} is trusted as {name}, by {}", key.fingerprint().short(), file.display()));
        Ok(())
    }
}

fn list(directory: &Directory, out: &Out) {
    let now = SystemClock.now();
    if out.is_json() {
        for entry in directory.entries() {
            let about = &entry.about;
            let key = KeyText {
                name: &entry.sender,
                fingerprint: entry.key.fingerprint().to_string(),
                state: entry.state(now),
                not_before: about.not_before.as_deref(),
                not_after: about.not_after.as_deref(),
                answers_for: &about.answers_for,
                file: entry.file.display().to_string(),
            };
            out.line(&EntryLine { key });
        }
        return;
    }
    if directory.entries().is_empty() {
        out.note("no keys: nobody is trusted");
        return;
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(["name", "fingerprint", "state", "valid", "answers for"]);
    match out.width() {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    for entry in directory.entries() {
        table.add_row([
            printable(&entry.sender),
            entry.key.fingerprint().short(),
            entry.state(now).to_owned(),
            validity(entry),
            printable(&entry.about.answers_for.join("\n")),
        ]);
    }
    out.text(&table.to_string());
}

fn validity(entry: &Entry) -> String {
    match (&entry.about.not_before, &entry.about.not_after) {
        (None, None) => "always".to_owned(),
        (Some(first), None) => format!("from {first}"),
        (None, Some(last)) => format!("up to {last}"),
        (Some(first), Some(last)) => format!("{first} to {last}"),
    }
}

fn verify(dir: PathBuf, out: &Out) -> Result<Exit, Box<Ending>> {
    // What programs load is the judge, and not how this one reads it.
    let keyring = match Keyring::load(&dir) {
        Ok(keyring) => keyring,
        Err(error) => {
            out.ending(&Ending::file(&error));
            return Ok(Exit::Exception);
        }
    };
    let names = keyring.senders();
    let directory = Directory::open(dir)?;
    let verified = Verified {
        names: names.len(),
        keys: directory.entries().len(),
        valid: names.iter().map(|name| keyring.live(name).len()).sum(),
    };
    for name in names.iter().filter(|name| keyring.live(name).is_empty()) {
        out.note(&format!("{name} has no key that is valid now"));
    }
    if out.is_json() {
        out.line(&VerifiedLine { result: verified });
    } else {
        let Verified { names, keys, valid } = verified;
        out.text(&format!("good: {keys} keys, {valid} of {names} names valid now"));
    }
    Ok(Exit::Result)
}

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "write an RFC 3339 date with a zone, as in 2027-01-31T00:00:00Z".to_owned())
}

//! The directory itself, in the form that is documented at [`Keyring`]: which key is in which file, and how that is changed.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use rmi_core::{
    Keyring,
    seal::{Fingerprint, PublicKey, TrustedKey},
    time::{Clock, SystemClock, Timestamp},
};
use serde::{Deserialize, Serialize};

use crate::ending::Ending;

const END: &str = "-----END PUBLIC KEY-----";

/// A directory that can be loaded, and its keys.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    keyring: Keyring,
    entries: Vec<Entry>,
}

/// A key, and what is said about it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) sender: String,
    pub(super) key: PublicKey,
    pub(super) about: Sidecar,
    pub(super) revoked: bool,
    /// The file that the key is in, and the text that it is there.
    pub(super) file: PathBuf,
    block: String,
}

/// What stands beside a key file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sidecar {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sender: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) not_before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) not_after: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scheme: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) answers_for: Vec<String>,
}

impl Sidecar {
    pub(super) fn new(
        sender: &str,
        not_before: Option<Timestamp>,
        not_after: Option<Timestamp>,
        answers_for: Vec<String>,
    ) -> Self {
        let date = |at: Option<Timestamp>| at.map(Timestamp::to_millis);
        let (not_before, not_after) = (date(not_before), date(not_after));
        Sidecar { sender: Some(sender.to_owned()), not_before, not_after, scheme: None, answers_for }
    }

    /// The same with a name only where the file does not say it.
    fn beside(mut self, sender: &str, stem: &str) -> Self {
        self.sender = (sender != stem).then(|| sender.to_owned());
        self
    }
}

impl Entry {
    /// What the key is worth at a moment.
    pub(super) fn state(&self, now: Timestamp) -> &'static str {
        let read = |text: &Option<String>| text.as_deref().and_then(Timestamp::parse);
        if self.revoked {
            "revoked"
        } else if read(&self.about.not_after).is_some_and(|last| last < now) {
            "expired"
        } else if read(&self.about.not_before).is_some_and(|first| now < first) {
            "not yet valid"
        } else {
            "valid"
        }
    }
}

impl Directory {
    /// Reads a directory. What programs would not load is not changed either.
    pub(super) fn open(path: PathBuf) -> Result<Self, Box<Ending>> {
        let keyring = Keyring::load(&path).map_err(|e| Ending::file(&e))?;
        let entries = read(&path)?;
        Ok(Directory { path, keyring, entries })
    }

    /// Reads a directory, and makes it first if it is not there.
    pub(super) fn make(path: PathBuf) -> Result<Self, Box<Ending>> {
        fs::create_dir_all(&path).map_err(|e| Ending::usage(format!("`{}` cannot be made: {e}", path.display())))?;
        Directory::open(path)
    }

    /// All keys, by name.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The keys that a name or the beginning of a fingerprint means.
    pub(super) fn find(&self, wanted: &str) -> Result<Vec<Entry>, Box<Ending>> {
        let named: Vec<_> = self.entries.iter().filter(|entry| entry.sender == wanted).cloned().collect();
        if !named.is_empty() {
            return Ok(named);
        }
        let digits = wanted.to_ascii_lowercase();
        let begins = |entry: &&Entry| digits.len() >= 8 && entry.key.fingerprint().to_string().starts_with(&digits);
        let found: Vec<_> = self.entries.iter().filter(begins).cloned().collect();
        let many = found.iter().any(|entry| entry.key != found[0].key);
        if found.is_empty() || many {
            let what = if many { "more than one key begins" } else { "nobody is called, and no key begins" };
            let ending = Ending::usage(format!("{what} `{wanted}` in `{}`", self.path.display()));
            return Err(ending.try_this(format!("rmi trust list {}", self.path.display())));
        }
        Ok(found)
    }

    /// Trusts a key of a sender. Returns the file that it is in then.
    pub(super) fn add(&self, sender: &str, key: &PublicKey, about: Sidecar) -> Result<PathBuf, Box<Ending>> {
        let known = self.entries.iter().find(|entry| entry.key == *key && entry.sender == sender);
        if let Some(known) = known {
            let ending = Ending::usage(format!("`{}` has this key of {sender} already", known.file.display()));
            return Err(ending.try_this("`rmi trust expire` to change how long it is trusted"));
        }
        if let Some(other) = self.entries.iter().find(|entry| entry.key == *key) {
            // One key for two names: either could speak for the other.
            return Err(Ending::usage(format!("this key is {}'s already, by `{}`", other.sender, other.file.display())));
        }
        let mut trusted = TrustedKey::new(*key);
        if let Some(at) = about.not_before.as_deref().and_then(Timestamp::parse) {
            trusted = trusted.not_before(at);
        }
        if let Some(at) = about.not_after.as_deref().and_then(Timestamp::parse) {
            trusted = trusted.not_after(at);
        }
        self.keyring.trust(sender, trusted).map_err(|e| Ending::file(&e))?;

        let pem = key.to_pem().map_err(|e| Ending::file(&e))?;
        let file = self.file_for(sender, key);
        // What it says about itself comes first: the key counts from the moment at which it is there. Without it nothing is said.
        let about = about.beside(sender, &stem(&file));
        if about != Sidecar::default() {
            self.write_about(&file, &about)?;
        }
        self.write(&file, &pem)?;
        self.check()?;
        Ok(file)
    }

    /// A file of the key's own: what stands beside it is about no other.
    fn file_for(&self, sender: &str, key: &PublicKey) -> PathBuf {
        let is_file_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
        let plain = !sender.starts_with('.') && sender.len() <= 64 && sender.chars().all(is_file_name);
        let first = self.path.join(format!("{sender}.pem"));
        if plain && !first.exists() && !first.with_extension("json").exists() {
            return first;
        }
        let short = key.fingerprint().short();
        let name = if plain { format!("{sender}-{short}.pem") } else { format!("{short}.pem") };
        self.path.join(name)
    }

    /// Trusts keys no more. Returns those that were trusted.
    pub(super) fn revoke(&self, keys: &[Entry]) -> Result<Vec<Entry>, Box<Ending>> {
        let live: Vec<_> = keys.iter().filter(|entry| !entry.revoked).cloned().collect();
        let path = self.path.join("revoked");
        let mut text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(unreadable(&path, &e)),
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let today = SystemClock.now().to_seconds();
        for entry in &live {
            let name: String = entry.sender.chars().filter(|c| !c.is_control()).collect();
            text.push_str(&format!("{} # {name}, {today}\n", entry.key.fingerprint()));
        }
        self.write(&path, &text)?;
        self.check()?;
        Ok(live)
    }

    /// Trusts keys up to a moment. Returns them.
    pub(super) fn expire(&self, keys: &[Entry], at: Timestamp) -> Result<Vec<Entry>, Box<Ending>> {
        for entry in keys {
            let not_before = entry.about.not_before.as_deref().and_then(Timestamp::parse);
            if not_before.is_some_and(|first| at < first) {
                let ending = Ending::usage(format!("{} is not valid before {not_before:?}", entry.key.fingerprint().short()));
                return Err(ending.try_this("`rmi trust revoke`, if it is never to be"));
            }
        }
        for entry in keys {
            let about = Sidecar { not_after: Some(at.to_millis()), ..entry.about.clone() };
            let together = self.entries.iter().filter(|other| other.file == entry.file);
            let whole = together.clone().all(|other| keys.iter().any(|key| key.key == other.key));
            if whole {
                self.write_about(&entry.file, &about.beside(&entry.sender, &stem(&entry.file)))?;
                continue;
            }
            // The others of the file stay as they are: this one gets a file of its own, before it leaves theirs.
            let own = self.path.join(format!("{}-{}.pem", stem(&entry.file), entry.key.fingerprint().short()));
            self.write_about(&own, &about.beside(&entry.sender, &stem(&own)))?;
            self.write(&own, &(entry.block.trim().to_owned() + "\n"))?;
            let rest = fs::read_to_string(&entry.file).map_err(|e| unreadable(&entry.file, &e))?;
            self.write(&entry.file, &rest.replacen(&entry.block, "", 1))?;
        }
        self.check()?;
        Ok(keys.to_vec())
    }

    fn write_about(&self, key_file: &Path, about: &Sidecar) -> Result<(), Box<Ending>> {
        let text = serde_json::to_string_pretty(about).map_err(|e| Ending::file(&e))?;
        self.write(&key_file.with_file_name(format!("{}.json", stem(key_file))), &(text + "\n"))
    }

    /// Writes a file beside the old one and puts it in its place, so that whoever loads the directory meanwhile finds one of the two.
    fn write(&self, path: &Path, text: &str) -> Result<(), Box<Ending>> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Files whose names begin with a dot are nobody's keys.
        let beside = self.path.join(format!(".{name}.{}", std::process::id()));
        let written = OpenOptions::new().write(true).create_new(true).open(&beside).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, path)
        });
        written.map_err(|e| {
            let _ = fs::remove_file(&beside);
            Ending::usage(format!("`{}` cannot be written: {e}", path.display()))
        })
    }

    /// What was written can be loaded.
    fn check(&self) -> Result<(), Box<Ending>> {
        Keyring::load(&self.path).map(drop).map_err(|e| Ending::file(&e))
    }
}

/// Reads the keys of a directory that has been loaded, by name.
fn read(directory: &Path) -> Result<Vec<Entry>, Box<Ending>> {
    let listed = fs::read_dir(directory).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let listed = listed.map_err(|e| unreadable(directory, &e))?;
    let mut files: Vec<PathBuf> = listed.into_iter().map(|entry| entry.path()).collect();
    files.sort();
    let revoked = match fs::read_to_string(directory.join("revoked")) {
        Ok(text) => text.lines().filter_map(|line| line.split('#').next()?.trim().parse::<Fingerprint>().ok()).collect(),
        Err(_) => Vec::new(),
    };
    let mut entries = Vec::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(".pem").filter(|stem| !stem.starts_with('.')) else { continue };
        let text = fs::read_to_string(&file).map_err(|e| unreadable(&file, &e))?;
        let about = match fs::read_to_string(directory.join(format!("{stem}.json"))) {
            Ok(json) => serde_json::from_str(&json).map_err(|e| Ending::file(&e))?,
            Err(_) => Sidecar::default(),
        };
        for block in text.split_inclusive(END) {
            let Some(begin) = block.find("-----BEGIN ") else { continue };
            let key = PublicKey::from_pem(&block[begin..]).map_err(|e| Ending::file(&e))?;
            let sender = about.sender.clone().unwrap_or_else(|| stem.to_owned());
            let (about, file, block) = (about.clone(), file.clone(), block.to_owned());
            entries.push(Entry { sender, key, about, revoked: revoked.contains(&key.fingerprint()), file, block });
        }
    }
    entries.sort_by(|a, b| a.sender.cmp(&b.sender));
    Ok(entries)
}

/// The name of a key file without its ending.
fn stem(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(".pem").unwrap_or(&name).to_owned()
}

fn unreadable(path: &Path, error: &io::Error) -> Box<Ending> {
    Ending::usage(format!("`{}` cannot be read: {error}", path.display()))
}

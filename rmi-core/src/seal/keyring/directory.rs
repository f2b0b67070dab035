//! Reads the directory that is documented at [`Keyring`](super::Keyring).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{KeyringError, Ring, TrustedKey};
use crate::{
    seal::keys::{PublicKey, read_pem},
    text::Text,
    time::Timestamp,
};

/// What stands beside a key file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sidecar {
    sender: Option<String>,
    not_before: Option<String>,
    not_after: Option<String>,
    scheme: Option<String>,
    #[serde(default)]
    answers_for: Vec<String>,
}

/// Reads all of a directory, or says what is wrong with the first file that is.
pub(super) fn read(directory: &Path) -> Result<Ring, KeyringError> {
    let failed = |source| KeyringError::Read { path: directory.to_owned(), source };
    let entries = fs::read_dir(directory).map_err(failed)?.collect::<io::Result<Vec<_>>>().map_err(failed)?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    // So that the same directory makes the same ring, and the same error.
    paths.sort();

    let mut ring = Ring::default();
    for path in paths {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(KeyringError::FileName { path });
        };
        if name.starts_with('.') {
            continue;
        } else if name == "revoked" {
            read_revoked(&path, &mut ring)?;
        } else if let Some(stem) = name.strip_suffix(".pem") {
            read_keys(&path, stem, &mut ring)?;
        } else if name.ends_with(".json") {
            if !path.with_extension("pem").exists() {
                return Err(KeyringError::Orphan { path });
            }
        } else {
            tracing::warn!(file = %path.display(), "skipped in the keyring: neither `<sender>.pem`, its `.json`, nor `revoked`");
        }
    }
    Ok(ring)
}

fn read_keys(path: &Path, stem: &str, ring: &mut Ring) -> Result<(), KeyringError> {
    let keys = PublicKey::all_from_pem(&read_pem(path, |_, _| Ok(()))?).map_err(|e| e.in_file(path))?;
    let beside = path.with_extension("json");
    let wrong = |why: String| KeyringError::Sidecar { path: beside.clone(), why };
    let sidecar: Sidecar = match read_optional(&beside)? {
        Some(text) => serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?,
        None => Sidecar::default(),
    };
    let moment = |name: &str, text: Option<String>| match text {
        Some(text) => Timestamp::parse(&text).map(Some).ok_or_else(|| {
            wrong(format!("`{name}` is `{text}`: write an RFC 3339 date with a zone, as in 2026-11-20T00:00:00Z"))
        }),
        None => Ok(None),
    };
    let not_before = moment("not_before", sidecar.not_before)?;
    let not_after = moment("not_after", sidecar.not_after)?;
    if not_before.zip(not_after).is_some_and(|(first, last)| last < first) {
        return Err(wrong("`not_after` is before `not_before`, so that the keys are never valid: correct one of them".into()));
    }
    let sender = sidecar.sender.unwrap_or_else(|| stem.to_owned());
    let scheme = sidecar.scheme.map(Text::from);
    if sender.is_empty() || scheme.as_deref() == Some("") {
        return Err(wrong("`sender` and `scheme` must not be empty: name them, or leave the key out".into()));
    }
    for key in keys {
        let mut trusted = TrustedKey::new(key);
        (trusted.not_before, trusted.not_after) = (not_before, not_after);
        if let Some(scheme) = &scheme {
            trusted = trusted.for_scheme(scheme.clone());
        }
        ring.add(&sender, trusted);
    }
    sidecar.answers_for.into_iter().for_each(|address| ring.allow_answers(&sender, address));
    Ok(())
}

fn read_revoked(path: &Path, ring: &mut Ring) -> Result<(), KeyringError> {
    let text = read_optional(path)?.unwrap_or_default();
    for (at, line) in text.lines().enumerate() {
        let fingerprint = line.split('#').next().unwrap_or_default().trim();
        if !fingerprint.is_empty() {
            let wrong = |_| KeyringError::Revoked { path: path.to_owned(), line: at + 1 };
            ring.revoke(fingerprint.parse().map_err(wrong)?);
        }
    }
    Ok(())
}

/// A file's text, or `None` when there is no such file.
fn read_optional(path: &Path) -> Result<Option<String>, KeyringError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeyringError::Read { path: path.to_owned(), source }),
    }
}

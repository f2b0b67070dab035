use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::sync;

/// What the cache knows of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) size: u64,
    /// In hexadecimal, in lower case.
    pub(super) sha256: String,
}

pub(super) fn image(directory: &Path, id: Uuid) -> PathBuf {
    directory.join(format!("{id}.img"))
}

fn label(directory: &Path, id: Uuid) -> PathBuf {
    directory.join(format!("{id}.json"))
}

pub(super) fn part(directory: &Path, id: Uuid) -> PathBuf {
    directory.join(format!("{id}.part"))
}

/// Every image that is whole as far as its length says, the least recently used first. What is left of others is removed.
pub(super) fn load(directory: &Path) -> io::Result<Vec<(Uuid, Stored)>> {
    let mut found: Vec<(SystemTime, Uuid, Stored)> = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let Some((id, kind)) = ours(&path) else { continue };
        match kind {
            "json" => match read(directory, id) {
                Ok((used, stored)) => found.push((used, id, stored)),
                Err(error) => {
                    tracing::warn!(image = %id, %error, "an image in the cache is not whole: it is dropped");
                    remove(directory, id);
                }
            },
            "img" if label(directory, id).exists() => {}
            // A crash came between the two names, or in the middle of a download; or it has just been dropped with its label.
            _ => discard(&path),
        }
    }
    found.sort_unstable_by_key(|(used, id, _)| (*used, *id));
    Ok(found.into_iter().map(|(_, id, stored)| (id, stored)).collect())
}

/// The UUID and the kind of a file of the cache's own: one that has exactly the name that the cache would have given it.
fn ours(path: &Path) -> Option<(Uuid, &str)> {
    let (stem, kind) = path.file_name()?.to_str()?.split_once('.')?;
    let id = Uuid::try_parse(stem).ok()?;
    (id.to_string() == stem && matches!(kind, "img" | "json" | "part")).then_some((id, kind))
}

fn read(directory: &Path, id: Uuid) -> io::Result<(SystemTime, Stored)> {
    let mut text = String::new();
    let file = File::open(label(directory, id))?;
    let used = file.metadata()?.modified()?;
    file.take(4096).read_to_string(&mut text)?;
    let stored: Stored = serde_json::from_str(&text)?;
    let length = fs::symlink_metadata(image(directory, id))?;
    if !length.is_file() || length.len() != stored.size {
        let what = format!("it should be a file of {} bytes, and has {}", stored.size, length.len());
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok((used, stored))
}

/// Gives an image that is on the disk its name.
pub(super) fn land(directory: &Path, id: Uuid, stored: &Stored, part: &Path) -> io::Result<()> {
    fs::rename(part, image(directory, id))?;
    let label = label(directory, id);
    let new = label.with_extension("part");
    let written = (|| {
        // The image had this name until now: what has it again is not ours.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(serde_json::to_string(stored)?.as_bytes())?;
        // By the same clock as later uses: what the system notes by itself may be some milliseconds behind, and out of order.
        file.set_modified(SystemTime::now())?;
        file.sync_all()?;
        fs::rename(&new, &label)?;
        sync(directory)
    })();
    if written.is_err() {
        remove(directory, id);
    }
    written
}

/// Notes that an image is used now. If that fails it only goes earlier than it should.
pub(super) fn touch(directory: &Path, id: Uuid) {
    let _ = File::open(label(directory, id)).and_then(|file| file.set_modified(SystemTime::now()));
}

/// Removes an image, its label last: without its image that is dropped by the next start.
pub(super) fn remove(directory: &Path, id: Uuid) {
    discard(&image(directory, id));
    discard(&label(directory, id));
}

fn discard(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "a file of the cache cannot be removed");
        }
        _ => {}
    }
}

//! Writes an image from the cache to a disk, and reads it back.

use std::io::{Read, Seek, Write};

use sha2::{Digest, Sha256};

use crate::{
    cache::{Held, hex},
    contract::{DiskError, ImageError, Phase, Prepared},
    device::Claim,
    erase::{BLOCK, read_back},
    work::Meter,
};

/// How much is written between two flushes, in bytes.
const FLUSH: u64 = 64 << 20;

/// Writes an image to the beginning of a disk and verifies it. What the disk has behind it stays as it was.
///
/// The image has been compared with its checksum before: a disk is not overwritten with what is damaged.
///
/// # Errors
///
/// The disk is too small, cannot be written, or reads back something else; the image cannot be read; the work was stopped.
pub fn prepare(claim: &Claim, image: &Held, meter: &mut Meter<'_>) -> Result<Prepared, ImageError> {
    let (id, size) = (image.id(), image.size());
    let subject = claim.disk().name();
    if size > claim.disk().size() {
        return Err(DiskError::TooSmall { disk: subject.to_owned(), size: claim.disk().size(), needed: size }.into());
    }
    claim.set_image(None);
    let mut source = image.file();
    source.rewind().map_err(|error| image.failed("reading it from the cache", &error))?;
    let mut disk = claim.file();
    disk.rewind().map_err(|error| claim.failed("seeking", 0, &error))?;
    let mut block = vec![0; BLOCK];
    let mut at = 0;
    while at < size {
        let part = &mut block[..(size - at).min(BLOCK as u64) as usize];
        source.read_exact(part).map_err(|error| image.failed("reading it from the cache", &error))?;
        disk.write_all(part).map_err(|error| claim.failed("writing", at, &error))?;
        let before = at;
        at += part.len() as u64;
        if at / FLUSH != before / FLUSH || at == size {
            disk.sync_data().map_err(|error| claim.failed("flushing", at, &error))?;
        }
        meter.done(Phase::Write, subject, part.len() as u64)?;
    }
    let mut found = Sha256::new();
    read_back(claim, size, |_, part| {
        found.update(part);
        meter.done(Phase::Verify, subject, part.len() as u64).map_err(DiskError::from)
    })?;
    let sha256 = hex(&found.finalize());
    if sha256 != image.sha256() {
        // Where is not known: the image is compared by its checksum.
        return Err(DiskError::Verification { disk: subject.to_owned(), at: 0 }.into());
    }
    claim.set_image(Some(id));
    Ok(Prepared { image_id: id, disk: subject.to_owned(), bytes: size, sha256 })
}

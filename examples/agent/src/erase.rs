//! Overwrites a disk and verifies that it reads back what was written.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};

use crate::{
    contract::{DiskError, ErasedDisk, Pattern, Phase},
    device::Claim,
    work::Meter,
};

/// How much is read or written at a time, in bytes. Work is stopped between two blocks.
pub(crate) const BLOCK: usize = 1 << 20;
/// How much is written between two flushes, in bytes: what is reported as written is on the device but for this much.
const FLUSH: u64 = 64 << 20;

/// What overwriting does not reach.
pub const NOT_DONE: [&str; 2] = [
    "sectors that the device has replaced, and flash that it keeps in reserve, are not reached by overwriting",
    "the device's own erase commands (ATA Secure Erase, NVMe Format and Sanitize) are not used",
];

/// How many bytes it takes to erase so many bytes: every pass is written and read.
#[must_use]
pub fn effort(size: u64, patterns: &[Pattern]) -> u64 {
    size.saturating_mul(patterns.len() as u64).saturating_mul(2)
}

/// Overwrites the whole disk, pattern after pattern, each of them verified, and gives its blocks back at the end if asked to.
///
/// # Errors
///
/// It cannot be written or read, reads back something else, has another size at the end, or the work was stopped.
pub fn erase(claim: &Claim, patterns: &[Pattern], discard: bool, meter: &mut Meter<'_>) -> Result<ErasedDisk, DiskError> {
    claim.set_image(None);
    let (name, size) = (claim.disk().name(), claim.disk().size());
    for pattern in patterns {
        let content = Content::new(*pattern).map_err(|error| claim.failed("drawing a seed", 0, &error))?;
        write(claim, &mut content.begin(), meter)?;
        verify(claim, &mut content.begin(), meter)?;
    }
    claim.check()?;
    let mut discarded = None;
    if discard {
        meter.done(Phase::Discard, name, 0)?;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // What the device does not support is told, and is no failure: the disk has been overwritten.
        discarded = Some(fallocate(claim.file(), flags, 0, size).is_ok());
        claim.file().sync_data().map_err(|error| claim.failed("flushing", size, &error))?;
    }
    Ok(ErasedDisk { disk: name.to_owned(), bytes: size, passes: patterns.to_vec(), discarded })
}

fn write(claim: &Claim, content: &mut Stream, meter: &mut Meter<'_>) -> Result<(), DiskError> {
    let (name, size, mut file) = (claim.disk().name(), claim.disk().size(), claim.file());
    let mut block = vec![0; BLOCK];
    let mut at = 0;
    file.rewind().map_err(|error| claim.failed("seeking", 0, &error))?;
    while at < size {
        let length = (size - at).min(BLOCK as u64) as usize;
        content.fill(&mut block[..length]);
        file.write_all(&block[..length]).map_err(|error| claim.failed("writing", at, &error))?;
        let before = at;
        at += length as u64;
        if at / FLUSH != before / FLUSH || at == size {
            file.sync_data().map_err(|error| claim.failed("flushing", at, &error))?;
        }
        meter.done(Phase::Write, name, length as u64)?;
    }
    Ok(())
}

fn verify(claim: &Claim, content: &mut Stream, meter: &mut Meter<'_>) -> Result<(), DiskError> {
    let (name, size) = (claim.disk().name(), claim.disk().size());
    let mut expected = vec![0; BLOCK];
    read_back(claim, size, |at, found| {
        content.fill(&mut expected[..found.len()]);
        if let Some(wrong) = first_difference(&expected[..found.len()], found) {
            return Err(DiskError::Verification { disk: name.to_owned(), at: at + wrong as u64 });
        }
        meter.done(Phase::Verify, name, found.len() as u64).map_err(DiskError::from)
    })
}

/// Reads the first so many bytes of a disk from the device, and not from what the kernel remembers of them as far as it can be
/// asked to forget.
pub(crate) fn read_back(
    claim: &Claim,
    length: u64,
    mut each: impl FnMut(u64, &[u8]) -> Result<(), DiskError>,
) -> Result<(), DiskError> {
    let mut file: &File = claim.file();
    // A file system may not support it; then what is compared may be the kernel's copy.
    let _ = fadvise(file, 0, None, Advice::DontNeed);
    file.seek(SeekFrom::Start(0)).map_err(|error| claim.failed("seeking", 0, &error))?;
    let mut block = vec![0; BLOCK];
    let mut at = 0;
    while at < length {
        let part = &mut block[..(length - at).min(BLOCK as u64) as usize];
        file.read_exact(part).map_err(|error| claim.failed("reading back", at, &error))?;
        each(at, part)?;
        at += part.len() as u64;
    }
    Ok(())
}

/// Where two blocks of one length begin to differ.
pub(crate) fn first_difference(expected: &[u8], found: &[u8]) -> Option<usize> {
    if expected == found {
        return None;
    }
    expected.iter().zip(found).position(|(expected, found)| expected != found)
}

/// What a pass writes, which can be said twice.
enum Content {
    Same(u8),
    Random([u8; 32]),
}

enum Stream {
    Same(u8),
    Random(Box<ChaCha8Rng>),
}

impl Content {
    fn new(pattern: Pattern) -> io::Result<Self> {
        Ok(match pattern {
            Pattern::Zeros => Content::Same(0x00),
            Pattern::Ones => Content::Same(0xFF),
            Pattern::Byte(byte) => Content::Same(byte),
            Pattern::Random => {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed).map_err(io::Error::other)?;
                Content::Random(seed)
            }
        })
    }

    fn begin(&self) -> Stream {
        match self {
            Content::Same(byte) => Stream::Same(*byte),
            Content::Random(seed) => Stream::Random(Box::new(ChaCha8Rng::from_seed(*seed))),
        }
    }
}

impl Stream {
    fn fill(&mut self, block: &mut [u8]) {
        match self {
            Stream::Same(byte) => block.fill(*byte),
            Stream::Random(random) => random.fill_bytes(block),
        }
    }
}

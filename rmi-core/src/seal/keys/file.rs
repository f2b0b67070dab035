use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use zeroize::Zeroizing;

use super::KeyError;

/// No PEM file of keys comes near this, in bytes.
const LIMIT: usize = 64 * 1024;

/// Reads a PEM file into memory that is cleared afterwards. `check` sees the open file first, so that what is checked is what
/// is read.
pub(in crate::seal) fn read_pem(
    path: &Path,
    check: impl FnOnce(&Path, &File) -> Result<(), KeyError>,
) -> Result<Zeroizing<String>, KeyError> {
    let failed = |source| KeyError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    check(path, &file)?;
    // Room for all of it from the start: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LIMIT + 64));
    file.take(LIMIT as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > LIMIT {
        return Err(KeyError::TooLarge { path: path.to_owned(), limit: LIMIT });
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(failed(io::Error::new(io::ErrorKind::InvalidData, "the file is not text"))),
    }
}

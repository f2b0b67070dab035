//! What can be read of a store's file that does not hold.
//!
//! A damaged tree is not walked: its pages are looked for one by one, and each row stands for itself by its salt and its checksum. What
//! is found may be old: pages that are not in use any more keep what was in them. So only what stays true is taken: that a request has
//! come, how it ended where that stands beside it, and up to where requests were forgotten. Nothing that is found is run, and no
//! outcome is sent for it again: who asks for it is told what is known.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use crate::journal::{
    Change, Key, RequestId, Step, codec,
    durable::directory::Salt,
    rows::{Named, Part},
};
use crate::time::Timestamp;

/// Pages begin at multiples of this.
const PAGE: usize = 4096;
/// What a page of leaves begins with: its kind, a filler, how many rows.
const LEAF: u8 = 1;
const HEAD: usize = 4;
/// How much of a page is looked through: what lies behind that is payloads, which are not taken.
const LONGEST: usize = 256 << 10;

/// The rows that can be taken over from a damaged file.
pub(super) fn rows(path: &Path, salt: Salt) -> io::Result<Vec<(Key, Vec<u8>)>> {
    let mut file = File::open(path)?;
    let mut found = Found::default();
    let (mut at, mut page) = (0_u64, Vec::new());
    loop {
        file.seek(SeekFrom::Start(at))?;
        page.clear();
        // A part of the disk that cannot be read is not what the rest fails by.
        let read = (&mut file).take(PAGE as u64).read_to_end(&mut page);
        if read.is_ok() && page.is_empty() {
            return Ok(found.rows());
        }
        if read.is_ok()
            && let Some(length) = leaf_length(&page)
        {
            if length > page.len() {
                let _ = (&mut file).take((length - page.len()) as u64).read_to_end(&mut page);
            }
            found.leaf(&page, salt);
        }
        at += PAGE as u64;
    }
}

#[derive(Debug, Default)]
struct Found {
    entries: BTreeMap<RequestId, Vec<u8>>,
    outcomes: BTreeMap<RequestId, Vec<u8>>,
    /// With the date in each, of which the latest holds.
    floors: BTreeMap<Vec<u8>, (Option<Timestamp>, Vec<u8>)>,
}

impl Found {
    /// Takes the rows of a page.
    fn leaf(&mut self, page: &[u8], salt: Salt) {
        let mut rows: Vec<(Named, &[u8], &[u8])> = Vec::new();
        for (key, value) in leaf_rows(page) {
            let Some(value) = value.strip_prefix(&salt) else { continue };
            if codec::opened(key, value).is_ok()
                && let Some(named) = Key::named(key)
            {
                rows.push((named, key, value));
            }
        }
        for (named, key, value) in &rows {
            match named {
                Named::Request(id, Part::Entry) => {
                    self.entries.entry(*id).or_insert_with(|| value.to_vec());
                }
                // Only beside what it is the outcome of: numbers begin again when a journal has become empty.
                Named::Request(id, Part::Concluded)
                    if rows.iter().any(|(other, ..)| *other == Named::Request(*id, Part::Entry)) =>
                {
                    self.outcomes.insert(*id, value.to_vec());
                }
                Named::Floor => {
                    let at = codec::floor(key, value);
                    let latest = self.floors.entry(key.to_vec()).or_insert_with(|| (at, value.to_vec()));
                    if latest.0 < at {
                        *latest = (at, value.to_vec());
                    }
                }
                Named::Since | Named::Request(..) => {}
            }
        }
    }

    fn rows(mut self) -> Vec<(Key, Vec<u8>)> {
        let mut rows: Vec<(Key, Vec<u8>)> = Vec::new();
        for (id, entry) in self.entries {
            rows.push((Key::entry(id), entry));
            match self.outcomes.remove(&id) {
                Some(outcome) => rows.push((Key::concluded(id), outcome)),
                None => rows.extend(Step::Faded { id }.changes().into_iter().filter_map(|change| match change {
                    Change::Put(key, value) => Some((key, value)),
                    Change::DeleteRange(..) => None,
                })),
            }
        }
        rows.extend(self.floors.into_iter().filter_map(|(key, (_, value))| Some((Key::read(&key)?, value))));
        rows
    }
}

/// How much of a page that may be one of leaves is looked through, from its beginning.
fn leaf_length(page: &[u8]) -> Option<usize> {
    let count = leaf_count(page)?;
    number(page, HEAD + 8 * count - 4).map(|length| length.min(LONGEST))
}

fn leaf_count(page: &[u8]) -> Option<usize> {
    let [LEAF, _, low, high] = *page.first_chunk::<HEAD>()? else { return None };
    let count = usize::from(u16::from_le_bytes([low, high]));
    (count > 0 && HEAD + 8 * count <= PAGE).then_some(count)
}

fn number(page: &[u8], at: usize) -> Option<usize> {
    let bytes = page.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

/// The keys and values of a page: where each ends is said at its beginning.
fn leaf_rows(page: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let count = leaf_count(page).unwrap_or_default();
    let key_end = move |row: usize| number(page, HEAD + 4 * row);
    let value_end = move |row: usize| number(page, HEAD + 4 * (count + row));
    (0..count).filter_map(move |row| {
        let (keys, values) = (HEAD + 8 * count, key_end(count - 1)?);
        let key = if row == 0 { keys } else { key_end(row - 1)? };
        let value = if row == 0 { values } else { value_end(row - 1)? };
        Some((page.get(key..key_end(row)?)?, page.get(value..value_end(row)?)?))
    })
}

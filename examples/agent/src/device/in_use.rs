use std::{
    ffi::OsString,
    fs::{self, Metadata},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use super::identity::{Identity, number_of};
use crate::system::System;

/// What uses a file or a block device, as far as the kernel's tables say. What they do not say (a file system over several
/// devices has a number of its own) `O_EXCL` finds when the device is opened.
///
/// The tables name paths, and a file may have several: what counts is the inode that a path leads to, or the device's number.
pub(super) fn find(system: &System, real: &Path, identity: &Identity) -> Option<String> {
    match identity.number() {
        Some(number) => {
            let all = parts(system, &number);
            let numbers: Vec<&str> = all.iter().map(|(number, _)| number.as_str()).collect();
            swapped(system, |path, found| {
                path == real || found.is_some_and(|found| device_number(found).is_some_and(|n| numbers.contains(&n.as_str())))
            })
            .or_else(|| device(system, &all))
        }
        None => {
            let same = |path: &Path, found: Option<&Metadata>| {
                path == real || found.is_some_and(|found| identity.is_inode(found.dev(), found.ino()))
            };
            swapped(system, same).or_else(|| attached(system, same))
        }
    }
}

/// The device that a block device is a part of, as `major:minor`.
pub(super) fn whole(system: &System, number: &str) -> Option<String> {
    let base = format!("/sys/dev/block/{number}");
    system.attribute(format!("{base}/partition"))?;
    system.attribute(format!("{base}/../dev"))
}

/// The number and the directory of a block device, and of each of its partitions.
fn parts(system: &System, number: &str) -> Vec<(String, String)> {
    let base = format!("/sys/dev/block/{number}");
    let mut all = vec![(number.to_owned(), base.clone())];
    for part in system.names(&base) {
        if let Some(number) = system.attribute(format!("{base}/{part}/dev")) {
            all.push((number, format!("{base}/{part}")));
        }
    }
    all
}

fn device(system: &System, all: &[(String, String)]) -> Option<String> {
    let mounts = system.read("/proc/self/mountinfo").unwrap_or_default();
    for (number, directory) in all {
        if let Some(at) = mounts.lines().find_map(|line| mounted(line, number)) {
            let at = unescaped(at);
            return Some(format!("{number} is mounted at {}: unmount it", at.display()));
        }
        if let Some(holder) = system.names(format!("{directory}/holders")).first() {
            return Some(format!("{number} is a part of {holder}"));
        }
    }
    None
}

/// Where a line of `mountinfo` says that a device is mounted (proc(5): the third word is the device, the fifth the place).
fn mounted<'a>(line: &'a str, number: &str) -> Option<&'a str> {
    let mut words = line.split(' ');
    (words.nth(2)? == number).then(|| words.nth(1)).flatten()
}

/// A file that a loop device stands for.
fn attached(system: &System, is_it: impl Fn(&Path, Option<&Metadata>) -> bool) -> Option<String> {
    let name = system.names("/sys/block").into_iter().find(|name| {
        let Some(path) = system.path_in(format!("/sys/block/{name}/loop/backing_file")) else { return false };
        is_it(&path, fs::metadata(&path).ok().as_ref())
    })?;
    Some(format!("the loop device {name} stands for it: name that one, or detach it"))
}

/// `/proc/swaps` has a line for each, whose first word is a path.
fn swapped(system: &System, is_it: impl Fn(&Path, Option<&Metadata>) -> bool) -> Option<String> {
    let swaps = system.read("/proc/swaps").unwrap_or_default();
    let found = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next()).find_map(|word| {
        let path = unescaped(word);
        is_it(&path, fs::metadata(&path).ok().as_ref()).then_some(path)
    })?;
    Some(format!("{} is swapped to: swapoff it", found.display()))
}

fn device_number(found: &Metadata) -> Option<String> {
    found.file_type().is_block_device().then(|| number_of(found.rdev()))
}

/// A path of the kernel's tables, which writes white space and backslashes as three octal digits (proc(5)).
fn unescaped(word: &str) -> PathBuf {
    let bytes = word.as_bytes();
    let mut path = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = (*byte == b'\\').then(|| word.get(at + 1..at + 4)).flatten();
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(code) => {
                path.push(code);
                at += 4;
            }
            None => {
                path.push(*byte);
                at += 1;
            }
        }
    }
    PathBuf::from(OsString::from_vec(path))
}

impl System {
    /// The path that an attribute names, with whatever bytes it has.
    fn path_in(&self, attribute: impl AsRef<Path>) -> Option<PathBuf> {
        let bytes = fs::read(self.path(attribute)).ok()?;
        let path = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        (!path.is_empty()).then(|| PathBuf::from(std::ffi::OsStr::from_bytes(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_kernels_tables_are_read() {
        for (word, path) in
            [("/swap", "/swap"), ("/a\\040b\\134c", "/a b\\c"), ("/x\\04", "/x\\04"), ("/x\\999", "/x\\999"), ("\\", "\\")]
        {
            assert_eq!(unescaped(word), Path::new(path), "{word}");
        }
    }
}

use std::path::Path;

use super::identity::Identity;
use crate::system::System;

/// What uses a file or a block device, as far as the kernel's tables say. What they do not say (a file system over several
/// devices has a number of its own) `O_EXCL` finds when the device is opened.
pub(super) fn find(system: &System, real: &Path, identity: &Identity) -> Option<String> {
    swapped(system, real).or_else(|| match identity.number() {
        Some(number) => device(system, &number),
        None => attached(system, real),
    })
}

/// A block device, and its partitions.
fn device(system: &System, number: &str) -> Option<String> {
    let base = format!("/sys/dev/block/{number}");
    let mut all = vec![(number.to_owned(), base.clone())];
    for part in system.names(&base) {
        if let Some(number) = system.attribute(format!("{base}/{part}/dev")) {
            all.push((number, format!("{base}/{part}")));
        }
    }
    let mounts = system.read("/proc/self/mountinfo").unwrap_or_default();
    for (number, directory) in all {
        if let Some(at) = mounts.lines().find_map(|line| mounted(line, &number)) {
            return Some(format!("{number} is mounted at {at}: unmount it"));
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
fn attached(system: &System, real: &Path) -> Option<String> {
    let name = system.names("/sys/block").into_iter().find(|name| {
        system.attribute(format!("/sys/block/{name}/loop/backing_file")).is_some_and(|file| Path::new(&file) == real)
    })?;
    Some(format!("the loop device {name} stands for it: name that one, or detach it"))
}

fn swapped(system: &System, real: &Path) -> Option<String> {
    let swaps = system.read("/proc/swaps").unwrap_or_default();
    let found = swaps.lines().skip(1).any(|line| line.split_whitespace().next().is_some_and(|path| Path::new(path) == real));
    found.then(|| "it is swapped to: swapoff it".to_owned())
}

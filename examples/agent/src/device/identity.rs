use std::{
    fs::File,
    io::{self, Seek, SeekFrom},
    os::unix::fs::{FileTypeExt, MetadataExt},
};

use crate::system::System;

/// What tells one file or block device from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) kind: Kind,
    /// The file system's device and the inode of the file or the device node.
    device: u64,
    inode: u64,
    /// The block device that the node stands for.
    number: u64,
    pub(super) size: u64,
    /// The kernel's own sequence number of a block device, which no later device has, whatever its number (Linux 5.15).
    sequence: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Block,
}

impl Identity {
    /// Of what is open.
    pub(super) fn of(mut file: &File, system: &System) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let kind = if metadata.file_type().is_block_device() {
            Kind::Block
        } else if metadata.is_file() {
            Kind::File
        } else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a file nor a block device"));
        };
        let (size, number) = match kind {
            Kind::File => (metadata.len(), 0),
            Kind::Block => {
                let size = file.seek(SeekFrom::End(0))?;
                file.rewind()?;
                (size, metadata.rdev())
            }
        };
        let mut identity = Identity { kind, device: metadata.dev(), inode: metadata.ino(), number, size, sequence: None };
        if let Some(number) = identity.number() {
            // A partition has none of its own: its disk has it.
            let own = system.attribute(format!("/sys/dev/block/{number}/diskseq"));
            identity.sequence = own.or_else(|| system.attribute(format!("/sys/dev/block/{number}/../diskseq")));
        }
        Ok(identity)
    }

    /// `major:minor` of a block device.
    pub(super) fn number(&self) -> Option<String> {
        (self.kind == Kind::Block).then(|| number_of(self.number))
    }

    /// Whether it is the file with this inode.
    pub(super) fn is_inode(&self, device: u64, inode: u64) -> bool {
        self.kind == Kind::File && (self.device, self.inode) == (device, inode)
    }

    /// Whether both stand for the same bytes.
    pub(super) fn is_same_place(&self, other: &Identity) -> bool {
        match (self.kind, other.kind) {
            (Kind::Block, Kind::Block) => self.number == other.number,
            (Kind::File, Kind::File) => (self.device, self.inode) == (other.device, other.inode),
            _ => false,
        }
    }

    /// Whether it can only be told from a later one while something holds it open: the inode of a file that is deleted becomes another
    /// file's.
    pub(super) fn needs_pin(&self) -> bool {
        self.kind == Kind::File || self.sequence.is_none()
    }

    /// In what the one that is there now differs.
    pub(super) fn difference(&self, now: &Identity) -> Option<String> {
        if self.kind != now.kind {
            return Some("a file has become a block device, or the other way round".to_owned());
        }
        if (self.number, &self.sequence) != (now.number, &now.sequence) {
            return Some("there is another block device at its path".to_owned());
        }
        if (self.device, self.inode) != (now.device, now.inode) {
            return Some(format!("another file is at its path (inode {}, and it was {})", now.inode, self.inode));
        }
        (self.size != now.size).then(|| format!("it has {} bytes, and had {}", now.size, self.size))
    }
}

/// `major:minor`.
pub(super) fn number_of(device: u64) -> String {
    format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device))
}

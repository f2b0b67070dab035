//! Disks: only those that the command line named, only while they are what they were, and one task at a time.
//!
//! A disk is known by a name. The wire says names and nothing else; they are compared with those that the command line gave, and
//! what they stand for was looked up when the agent started. [`Disks::open`] follows symbolic links then, once, because
//! `/dev/disk/by-id/..` is how disks should be named; every [`Disks::claim`] demands that the path still leads to the same place,
//! and that the same device or file is there.

mod identity;
mod in_use;

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::fs::OFlags;
use uuid::Uuid;

use self::identity::{Identity, Kind};
use crate::{contract::DiskError, system::System};

/// The disks of an agent, in the order in which they were named.
#[derive(Clone, Debug)]
pub struct Disks {
    system: System,
    disks: Vec<Arc<Disk>>,
}

/// What the command line says about a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name that it is known by.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What it is for.
    pub role: Role,
}

/// What a disk is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Images are prepared on it.
    System,
    /// Config drives are written to it. It is erased with the others.
    ConfigDrive,
}

/// A disk of an agent.
#[derive(Debug)]
pub struct Disk {
    name: String,
    role: Role,
    /// As it was named.
    named: PathBuf,
    /// Where that led when the agent started.
    real: PathBuf,
    identity: Identity,
    /// Keeps the inode from becoming another file's, where nothing else tells them apart.
    _pin: Option<File>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The task that has it.
    busy: Option<String>,
    image: Option<Uuid>,
}

impl Disks {
    /// What has fewer bytes is no disk.
    pub const SMALLEST: u64 = 1 << 20;

    /// Looks at every disk that the command line names. Nothing is written.
    ///
    /// # Errors
    ///
    /// One of them is not there, is neither a file nor a block device, is too small, in use, or there twice.
    pub fn open(system: System, named: impl IntoIterator<Item = Named>) -> Result<Self, DiskError> {
        let mut disks: Vec<Arc<Disk>> = Vec::new();
        for Named { name, path, role } in named {
            let unsuitable = |why: String| DiskError::Unsuitable { disk: name.clone(), why };
            if disks.iter().any(|other| other.name == name) {
                return Err(unsuitable("two disks have this name".to_owned()));
            }
            let real = fs::canonicalize(&path).map_err(|error| unsuitable(format!("{}: {error}", path.display())))?;
            let file = open_unfollowed(&real, None).map_err(|error| unsuitable(format!("{}: {error}", real.display())))?;
            let identity = Identity::of(&file, &system).map_err(|error| unsuitable(format!("{}: {error}", real.display())))?;
            if identity.size < Self::SMALLEST {
                let why =
                    format!("{} has {} bytes, and no disk has fewer than {}", real.display(), identity.size, Self::SMALLEST);
                return Err(unsuitable(why));
            }
            if let Some(other) = disks.iter().find(|other| other.identity.is_same_place(&identity)) {
                return Err(unsuitable(format!("{} is the disk `{}` as well", real.display(), other.name)));
            }
            if let Some(other) = disks.iter().find(|other| overlap(&system, &other.identity, &identity)) {
                let why = format!(
                    "{} and the disk `{}` have the same bytes: one is a partition of the other",
                    real.display(),
                    other.name
                );
                return Err(unsuitable(why));
            }
            if let Some(how) = in_use::find(&system, &real, &identity) {
                return Err(DiskError::InUse { disk: name, how });
            }
            let _pin = identity.needs_pin().then_some(file);
            disks.push(Arc::new(Disk { name, role, named: path, real, identity, _pin, state: Mutex::default() }));
        }
        Ok(Disks { system, disks })
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Disk> {
        self.disks.iter().map(|disk| &**disk)
    }

    /// Their names.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.disks.iter().map(|disk| disk.name.clone()).collect()
    }

    /// The name of the one disk with a role, or of the one that was asked for.
    ///
    /// # Errors
    ///
    /// There is none, there are several and none was asked for, or the one that was asked for is not for this.
    pub fn choose(&self, role: Role, asked: Option<&str>) -> Result<String, DiskError> {
        let names: Vec<String> = self.disks.iter().filter(|d| d.role == role).map(|d| d.name.clone()).collect();
        match (asked, names.as_slice()) {
            (Some(asked), names) if names.iter().any(|name| name == asked) => Ok(asked.to_owned()),
            (Some(asked), _) => Err(DiskError::Unknown { disk: asked.to_owned(), known: names }),
            (None, [one]) => Ok(one.clone()),
            (None, []) => {
                let option = match role {
                    Role::System => "--disk",
                    Role::ConfigDrive => "--config-drive",
                };
                Err(DiskError::NoDisk { option: option.to_owned() })
            }
            (None, _) => Err(DiskError::Ambiguous { known: names }),
        }
    }

    /// Takes a disk for a task, to read and write it. It is free again when the claim is dropped.
    ///
    /// # Errors
    ///
    /// There is no such disk, another task or another program has it, or it is not what it was.
    pub fn claim(&self, name: &str, task: &str) -> Result<Claim, DiskError> {
        let Some(disk) = self.disks.iter().find(|disk| disk.name == name) else {
            return Err(DiskError::Unknown { disk: name.to_owned(), known: self.names() });
        };
        // The place among this agent's tasks comes first: whoever does not get it does not touch the disk.
        let seat = Seat::take(disk, task)?;
        let changed = |what: String| DiskError::Changed { disk: disk.name.clone(), what };
        let leads = fs::canonicalize(&disk.named).map_err(|error| changed(format!("{}: {error}", disk.named.display())))?;
        if leads != disk.real {
            return Err(changed(format!(
                "{} led to {}, and leads to {}",
                disk.named.display(),
                disk.real.display(),
                leads.display()
            )));
        }
        if let Some(how) = in_use::find(&self.system, &disk.real, &disk.identity) {
            return Err(DiskError::InUse { disk: disk.name.clone(), how });
        }
        let file = open_unfollowed(&disk.real, Some(disk.identity.kind)).map_err(|error| match error.raw_os_error() {
            Some(code) if code == rustix::io::Errno::BUSY.raw_os_error() => DiskError::InUse {
                disk: disk.name.clone(),
                how: "the kernel says that something has it open for itself".to_owned(),
            },
            Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => {
                changed(format!("{} has become a symbolic link", disk.real.display()))
            }
            _ => DiskError::Io { disk: disk.name.clone(), doing: "opening".to_owned(), at: 0, error: error.to_string() },
        })?;
        // What counts is what was opened, and not what was at the path a moment ago.
        let found = Identity::of(&file, &self.system).map_err(|error| changed(error.to_string()))?;
        if let Some(what) = disk.identity.difference(&found) {
            return Err(changed(what));
        }
        file.try_lock().map_err(|_| DiskError::InUse {
            disk: disk.name.clone(),
            how: "another program holds a lock (flock) on it".to_owned(),
        })?;
        Ok(Claim { seat, file, system: self.system.clone() })
    }
}

/// Whether one is a partition of the other: what is written to the one is lost on the other.
fn overlap(system: &System, one: &Identity, other: &Identity) -> bool {
    let (Some(one), Some(other)) = (one.number(), other.number()) else { return false };
    in_use::whole(system, &one).as_ref() == Some(&other) || in_use::whole(system, &other).as_ref() == Some(&one)
}

impl Disk {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Where it is.
    #[must_use]
    pub fn real_path(&self) -> &Path {
        &self.real
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.identity.size
    }

    /// The task that has it.
    #[must_use]
    pub fn busy(&self) -> Option<String> {
        self.state().busy.clone()
    }

    /// The image that was prepared on it.
    #[must_use]
    pub fn image(&self) -> Option<Uuid> {
        self.state().image
    }

    /// The kernel's number of the block device, `major:minor`; `None` when it is a file.
    #[must_use]
    pub fn number(&self) -> Option<String> {
        self.identity.number()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A disk that a task has, open for reading and writing. Another task is told [`DiskError::Busy`] meanwhile, and another program
/// that asks for a lock waits: a block device is held exclusively (`O_EXCL`), so that nobody mounts it either.
#[derive(Debug)]
pub struct Claim {
    seat: Seat,
    file: File,
    system: System,
}

impl Claim {
    /// The disk.
    #[must_use]
    pub fn disk(&self) -> &Disk {
        &self.seat.0
    }

    /// Its bytes.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Demands that it is still what was claimed: one that has grown meanwhile has bytes that nobody has written.
    ///
    /// # Errors
    ///
    /// It has another size, or cannot be asked.
    pub fn check(&self) -> Result<(), DiskError> {
        let now = Identity::of(&self.file, &self.system).map_err(|error| self.failed("looking at it", 0, &error))?;
        match self.disk().identity.difference(&now) {
            Some(what) => Err(DiskError::Changed { disk: self.disk().name.clone(), what }),
            None => Ok(()),
        }
    }

    /// What is prepared on it from now on. Whoever begins to write says `None` first.
    pub fn set_image(&self, image: Option<Uuid>) {
        self.seat.0.state().image = image;
    }

    /// Says where something failed.
    pub(crate) fn failed(&self, doing: &str, at: u64, error: &io::Error) -> DiskError {
        DiskError::Io { disk: self.disk().name.clone(), doing: doing.to_owned(), at, error: error.to_string() }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Closing it would do, if no process were being started at this moment: until it is, that has the file open as well.
        let _ = self.file.unlock();
    }
}

/// A place among the tasks of this agent.
#[derive(Debug)]
struct Seat(Arc<Disk>);

impl Seat {
    fn take(disk: &Arc<Disk>, task: &str) -> Result<Self, DiskError> {
        let mut state = disk.state();
        if let Some(by) = &state.busy {
            return Err(DiskError::Busy { disk: disk.name.clone(), by: by.clone() });
        }
        state.busy = Some(task.to_owned());
        drop(state);
        Ok(Seat(Arc::clone(disk)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.state().busy = None;
    }
}

/// Opens what is at a path whose last part is no symbolic link: to look at it, or to read and write it.
fn open_unfollowed(path: &Path, write: Option<Kind>) -> io::Result<File> {
    // A FIFO, which would wait for its other end, is opened all the same, and then refused.
    let mut flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    if write == Some(Kind::Block) {
        flags |= OFlags::EXCL;
    }
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    OpenOptions::new().read(true).write(write.is_some()).custom_flags(flags).open(path)
}

//! Firmware: which versions the machine says it has, which are wanted, and what updates those that differ.
//!
//! Versions are read from `/sys` and `/proc`. What is wanted is said by the request, or by a directory of the operator's:
//!
//! ```text
//! firmware/bios/version        the version that is wanted
//! firmware/bios/update         a program that installs it, if there is one: it gets the component, its version, and the wanted one
//! firmware/disk:sda/version
//! ```
//!
//! A component's name that comes by the wire is compared with the names in that directory, and is no part of a path.

mod updater;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use self::updater::Updater;
use crate::{
    contract::{Component, ComponentState, FirmwareError, FirmwareReport, Phase, Step, Wanted},
    device::Disks,
    system::System,
    work::{Stop, Work},
};

/// What is configured about firmware.
#[derive(Debug, Default)]
pub struct Firmware {
    directory: Option<PathBuf>,
    /// The task that updates.
    busy: Mutex<Option<String>>,
}

/// A component in the operator's directory.
#[derive(Debug)]
struct Configured {
    version: String,
    updater: Option<Updater>,
}

impl Firmware {
    /// How long the update of one component may take: it is not interrupted before.
    pub const LONGEST_UPDATE: Duration = Updater::MOST;
    /// How long a version may be, in bytes.
    const LONGEST_VERSION: usize = 64;

    /// With a directory that says what is wanted, or without.
    #[must_use]
    pub fn new(directory: Option<PathBuf>) -> Self {
        Firmware { directory, busy: Mutex::default() }
    }

    /// Compares each component with what is wanted, and runs the updater of each that differs. Blocks.
    ///
    /// # Errors
    ///
    /// See [`FirmwareError`]. What can be known before anything is run is an error before anything is run.
    pub fn secure(
        &self,
        system: &System,
        disks: &Disks,
        wanted: Option<Vec<Wanted>>,
        task: &str,
        work: &dyn Work,
    ) -> Result<FirmwareReport, FirmwareError> {
        let _turn = self.turn(task)?;
        let mut configured = match &self.directory {
            Some(directory) => configured(directory)
                .map_err(|error| FirmwareError::Configuration(format!("{}: {error}", directory.display())))?,
            None => BTreeMap::new(),
        };
        let wanted = wanted.unwrap_or_else(|| {
            let want = |(component, found): (&String, &Configured)| Wanted {
                component: component.clone(),
                version: found.version.clone(),
            };
            configured.iter().map(want).collect()
        });
        if wanted.is_empty() {
            return Err(FirmwareError::NothingWanted);
        }
        let versions = versions(system, disks);
        for (index, Wanted { component, version }) in wanted.iter().enumerate() {
            if !is_version(version) {
                return Err(FirmwareError::NoVersion { component: component.clone(), most: Self::LONGEST_VERSION as u64 });
            }
            if wanted[..index].iter().any(|earlier| earlier.component == *component) {
                return Err(FirmwareError::Twice { component: component.clone() });
            }
            if !versions.contains_key(component) {
                let known = versions.keys().cloned().collect();
                return Err(FirmwareError::Unsupported { component: component.clone(), known });
            }
        }
        let total = wanted.len() as u64;
        let mut components = Vec::new();
        for (completed, Wanted { component, version: wanted }) in (0..).zip(wanted) {
            match work.stop() {
                Some(Stop::Cancelled) => return Err(FirmwareError::Cancelled { completed, total }),
                Some(Stop::Stopping) => return Err(FirmwareError::Stopping { completed, total }),
                None => {}
            }
            work.report(total, completed, Step { phase: Phase::Update, subject: component.clone(), rate: None });
            let version = versions.get(&component).cloned().unwrap_or_default();
            let updater = configured.remove(&component).and_then(|found| found.updater);
            let (version, state) = bring(system, disks, &component, version, &wanted, updater);
            components.push(Component { component, version, wanted, state });
        }
        work.report(total, total, Step { phase: Phase::Update, subject: String::new(), rate: None });
        Ok(FirmwareReport { components })
    }

    fn turn(&self, task: &str) -> Result<Turn<'_>, FirmwareError> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(by) = &*busy {
            return Err(FirmwareError::Busy { by: by.clone() });
        }
        *busy = Some(task.to_owned());
        Ok(Turn(self))
    }
}

/// The one task that may update.
struct Turn<'a>(&'a Firmware);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.busy.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Brings one component to its wanted version, as far as it goes: the version that it has then, and how.
fn bring(
    system: &System,
    disks: &Disks,
    component: &str,
    version: String,
    wanted: &str,
    updater: Option<Updater>,
) -> (String, ComponentState) {
    if version == wanted {
        return (version, ComponentState::Current);
    }
    let Some(updater) = updater else { return (version, ComponentState::NoUpdater) };
    if let Err(error) = updater.run(component, &version, wanted) {
        return (version, ComponentState::Failed { error });
    }
    match versions(system, disks).remove(component) {
        Some(now) if now == wanted => (now, ComponentState::Updated { from: version }),
        Some(now) => (now, ComponentState::RestartNeeded),
        None => (version, ComponentState::RestartNeeded),
    }
}

/// Whether a text can be a version. What comes by the wire is given to an updater, which is a script more often than not: it is no option
/// there (`-f`), no path (`../x`), and nothing that a shell would take apart for more than words.
fn is_version(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-+:~()".contains(c);
    text.len() <= Firmware::LONGEST_VERSION && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(allowed)
}

/// Every component whose version the machine says.
fn versions(system: &System, disks: &Disks) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    for (component, path) in [("bios", "/sys/class/dmi/id/bios_version"), ("ec", "/sys/class/dmi/id/ec_firmware_release")] {
        if let Some(version) = system.attribute(path) {
            versions.insert(component.to_owned(), version);
        }
    }
    let cpuinfo = system.read("/proc/cpuinfo").unwrap_or_default();
    let microcode = cpuinfo.lines().find_map(|line| line.split_once(':').filter(|(key, _)| key.trim() == "microcode"));
    if let Some((_, version)) = microcode {
        versions.insert("microcode".to_owned(), version.trim().to_owned());
    }
    for disk in disks.iter() {
        let Some(number) = disk.number() else { continue };
        // NVMe says it so, SCSI and ATA so.
        let version =
            ["firmware_rev", "rev"].iter().find_map(|name| system.attribute(format!("/sys/dev/block/{number}/device/{name}")));
        if let Some(version) = version {
            versions.insert(format!("disk:{}", disk.name()), version);
        }
    }
    versions
}

fn configured(directory: &Path) -> io::Result<BTreeMap<String, Configured>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(component) = entry.file_name().into_string() else { continue };
        let version = match fs::read_to_string(entry.path().join("version")) {
            Ok(version) => version.trim().to_owned(),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
            Err(error) => return Err(error),
        };
        let updater = Updater::find(entry.path().join("update"))?;
        found.insert(component, Configured { version, updater });
    }
    Ok(found)
}

//! Config drives: what an image is told about where it runs, as OpenStack writes it.
//!
//! The drive is a FAT volume with the label `CONFIG-2`, which cloud-init takes as well as an ISO 9660 one named `config-2`, and
//! which can be made without a tool that the machine would need. It is made in memory, written at the beginning of its disk, and
//! read back.

use std::io::{Cursor, Seek, Write};

use hadris_fat::{
    FatVolumeWriteExt,
    format::{FatFormatOptions, FatVolumeFormatter},
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    contract::{ConfigDrive, DiskError, Phase, RunError},
    device::Claim,
    erase::{first_difference, read_back},
    work::Meter,
};

/// The label that cloud-init looks for.
pub const LABEL: &str = "CONFIG-2";
/// How many bytes a config drive may say. A request that is longer would rarely arrive.
pub const MOST: u64 = 4 << 20;
/// What an empty file system takes, with what its clusters waste.
const ROOM: u64 = 512 << 10;

/// A config drive that is not written yet.
#[derive(Debug)]
pub struct Volume {
    bytes: Vec<u8>,
    instance: String,
}

impl Volume {
    /// Makes a config drive.
    ///
    /// # Errors
    ///
    /// It is to say too much, or the file system could not be made.
    pub fn make(settings: &ConfigDrive) -> Result<Self, RunError> {
        let mut meta_data = settings.meta_data.clone();
        let given = meta_data.get("uuid").and_then(Value::as_str).filter(|uuid| !uuid.is_empty()).map(str::to_owned);
        let instance = given.unwrap_or_else(|| Uuid::new_v4().to_string());
        meta_data.insert("uuid".to_owned(), Value::String(instance.clone()));

        let json = |value: &Value| serde_json::to_vec_pretty(value).map_err(|error| RunError::ConfigDrive(error.to_string()));
        let mut files = vec![("meta_data.json", json(&Value::Object(meta_data))?)];
        if let Some(text) = &settings.user_data {
            files.push(("user_data", text.clone().into_bytes()));
        }
        for (name, value) in [("network_data.json", &settings.network_data), ("vendor_data.json", &settings.vendor_data)] {
            if let Some(value) = value {
                files.push((name, json(value)?));
            }
        }
        let said: u64 = files.iter().map(|(_, text)| text.len() as u64).sum();
        if said > MOST {
            return Err(RunError::TooLong { bytes: said, most: MOST });
        }
        let bytes = format(said, &files).map_err(|error| RunError::ConfigDrive(error.to_string()))?;
        Ok(Volume { bytes, instance })
    }

    /// The instance's id, as `meta_data.json` says it.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The volume.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes it at the beginning of a disk, and reads it back. What the disk has behind it stays as it was.
    ///
    /// # Errors
    ///
    /// The disk is too small, cannot be written, or reads back something else; the work was stopped.
    pub fn write(&self, claim: &Claim, meter: &mut Meter<'_>) -> Result<(), DiskError> {
        let (name, length) = (claim.disk().name(), self.bytes.len() as u64);
        if length > claim.disk().size() {
            return Err(DiskError::TooSmall { disk: name.to_owned(), size: claim.disk().size(), needed: length });
        }
        let mut file = claim.file();
        file.rewind().map_err(|error| claim.failed("seeking", 0, &error))?;
        file.write_all(&self.bytes).map_err(|error| claim.failed("writing", 0, &error))?;
        file.sync_data().map_err(|error| claim.failed("flushing", 0, &error))?;
        meter.done(Phase::Write, name, length)?;
        read_back(claim, length, |at, found| {
            let start = at as usize;
            if let Some(wrong) = first_difference(&self.bytes[start..start + found.len()], found) {
                return Err(DiskError::Verification { disk: name.to_owned(), at: at + wrong as u64 });
            }
            meter.done(Phase::Verify, name, found.len() as u64).map_err(DiskError::from)
        })
    }
}

fn format(said: u64, files: &[(&str, Vec<u8>)]) -> hadris_fat::Result<Vec<u8>> {
    let size = (said + said / 8 + ROOM).next_multiple_of(256 << 10);
    let mut bytes = vec![0; size as usize];
    {
        let volume = FatVolumeFormatter::format(Cursor::new(&mut bytes[..]), FatFormatOptions::new(size).volume_label(LABEL))?;
        let openstack = volume.create_dir(&volume.root_dir(), "openstack")?;
        let latest = volume.create_dir(&openstack, "latest")?;
        for (name, text) in files {
            let entry = volume.create_file(&latest, name)?;
            let mut file = volume.write_file(&entry)?;
            let mut rest = text.as_slice();
            while !rest.is_empty() {
                let written = file.write(rest)?;
                rest = rest.get(written..).unwrap_or_default();
            }
            file.finish()?;
        }
        volume.sync()?;
    }
    Ok(bytes)
}

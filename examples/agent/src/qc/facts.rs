use std::collections::{BTreeMap, BTreeSet};

use crate::{device::Disks, system::System};

/// What a machine has. What cannot be read says why.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) cpus: Result<Cpus, String>,
    /// In bytes.
    pub(super) memory: Result<u64, String>,
    /// The disks that the command line named: name and bytes.
    pub(super) disks: Vec<(String, u64)>,
    /// Those of hardware.
    pub(super) interfaces: Vec<Interface>,
}

#[derive(Debug)]
pub(super) struct Cpus {
    pub(super) models: BTreeSet<String>,
    pub(super) sockets: u64,
    pub(super) threads: u64,
}

#[derive(Debug)]
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) up: bool,
    /// In Mb/s.
    pub(super) speed: Option<u64>,
}

impl Facts {
    pub(super) fn read(system: &System, disks: &Disks) -> Self {
        Facts {
            cpus: cpus(system),
            memory: memory(system),
            disks: disks.iter().map(|disk| (disk.name().to_owned(), disk.size())).collect(),
            interfaces: interfaces(system),
        }
    }

    /// As text.
    pub(super) fn told(&self) -> BTreeMap<String, String> {
        let mut told = BTreeMap::new();
        if let Ok(cpus) = &self.cpus {
            told.insert("cpu.model".to_owned(), cpus.models.iter().cloned().collect::<Vec<_>>().join(", "));
            told.insert("cpu.sockets".to_owned(), cpus.sockets.to_string());
            told.insert("cpu.threads".to_owned(), cpus.threads.to_string());
        }
        if let Ok(memory) = self.memory {
            told.insert("memory".to_owned(), memory.to_string());
        }
        for (name, size) in &self.disks {
            told.insert(format!("disk.{name}"), size.to_string());
        }
        for Interface { name, up, speed } in &self.interfaces {
            let speed = speed.map_or_else(String::new, |speed| format!(", {speed} Mb/s"));
            told.insert(format!("network.{name}"), format!("{}{speed}", if *up { "up" } else { "down" }));
        }
        told
    }
}

/// `/proc/cpuinfo` has a paragraph for each thread. Some architectures and virtual machines name no socket: that is one.
fn cpus(system: &System) -> Result<Cpus, String> {
    let text = system.read("/proc/cpuinfo").map_err(|error| error.to_string())?;
    let (mut models, mut sockets, mut threads) = (BTreeSet::new(), BTreeSet::new(), 0);
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        match key.trim() {
            "processor" => threads += 1,
            "model name" => drop(models.insert(value.trim().to_owned())),
            "physical id" => drop(sockets.insert(value.trim().to_owned())),
            _ => {}
        }
    }
    if threads == 0 {
        return Err("/proc/cpuinfo names no processor".to_owned());
    }
    Ok(Cpus { models, sockets: sockets.len().max(1) as u64, threads })
}

fn memory(system: &System) -> Result<u64, String> {
    let text = system.read("/proc/meminfo").map_err(|error| error.to_string())?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB"));
    let kibibytes = total.and_then(|number| number.trim().parse::<u64>().ok());
    kibibytes.and_then(|number| number.checked_mul(1024)).ok_or_else(|| "/proc/meminfo has no MemTotal in kB".to_owned())
}

/// What has a device behind it; bridges, tunnels and the loop-back have none.
fn interfaces(system: &System) -> Vec<Interface> {
    let base = "/sys/class/net";
    let names = system.names(base).into_iter().filter(|name| system.path(format!("{base}/{name}/device")).exists());
    names
        .map(|name| Interface {
            up: system.attribute(format!("{base}/{name}/operstate")).as_deref() == Some("up"),
            // An interface without a link says -1, or nothing.
            speed: system.attribute(format!("{base}/{name}/speed")).and_then(|speed| speed.parse().ok()),
            name,
        })
        .collect()
}

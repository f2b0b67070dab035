//! A machine made of files, its agent, and somebody who calls it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use agent::{
    Parts, Provisioner,
    cache::{Cache, Source},
    contract::{AgentServer, DecommissionClient, DecommissionServer, Phase, StandbyClient, StandbyServer, Step},
    device::{Disks, Named, Role},
    firmware::Firmware,
    launch::Launcher,
    system::System,
    task::Tasks,
    work::{Stop, Work},
};
use rmi_core::{Endpoint, Memory, Native, Trust};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use uuid::Uuid;

pub const MIB: u64 = 1 << 20;

/// What a machine is made of.
pub struct Machine {
    pub dir: TempDir,
    pub disks: Vec<Named>,
    pub bound: u64,
    pub system: System,
    pub firmware: Option<PathBuf>,
    pub run: Option<PathBuf>,
}

impl Machine {
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("images")).unwrap();
        Machine { dir, disks: Vec::new(), bound: 64 * MIB, system: System::default(), firmware: None, run: None }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file full of what somebody left.
    pub fn disk(mut self, name: &str, size: u64) -> Self {
        let path = self.path(name);
        fs::write(&path, noise(size as usize, name.len() as u64)).unwrap();
        self.disks.push(Named { name: name.to_owned(), path, role: Role::System });
        self
    }

    pub fn config_drive(mut self, size: u64) -> Self {
        self = self.disk("config-drive", size);
        self.disks.last_mut().unwrap().role = Role::ConfigDrive;
        self
    }

    /// Puts an image where images come from.
    pub fn image(&self, size: usize) -> (Uuid, Vec<u8>) {
        let id = Uuid::new_v4();
        let bytes = noise(size, id.as_u128() as u64);
        publish(&self.path("images"), id, &bytes);
        (id, bytes)
    }

    pub fn open_disks(&self) -> Disks {
        Disks::open(self.system.clone(), self.disks.clone()).unwrap()
    }

    pub fn cache(&self) -> Cache {
        Cache::open(self.path("cache"), self.bound, Some(Source::Directory(self.path("images")))).unwrap()
    }

    pub async fn start(self) -> World {
        let parts = Parts {
            system: self.system.clone(),
            disks: self.open_disks(),
            cache: Some(self.cache()),
            firmware: Firmware::new(self.firmware.clone()),
            launcher: Launcher::new(self.run.clone()).unwrap(),
            tasks: Tasks::default(),
            started: Instant::now(),
        };
        let me = Provisioner::new(parts);
        let bus = Memory::new();
        let agent = Endpoint::builder("a:b:c:d")
            .bind(Native::default(), bus.clone(), Trust::insecure())
            .serve(AgentServer::new(me.clone()))
            .serve(DecommissionServer::new(me.clone()))
            .serve(StandbyServer::new(me.clone()))
            .start()
            .await
            .unwrap();
        let caller = Endpoint::builder("server").bind(Native::default(), bus, Trust::insecure()).start().await.unwrap();
        World { machine: self, me, agent, caller }
    }
}

/// A machine with its agent, and somebody who calls it.
pub struct World {
    pub machine: Machine,
    pub me: Provisioner,
    pub agent: Endpoint,
    pub caller: Endpoint,
}

impl World {
    pub fn decommission(&self) -> DecommissionClient {
        self.caller.client("a:b:c:d")
    }

    pub fn standby(&self) -> StandbyClient {
        self.caller.client("a:b:c:d")
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.machine.path(name)).unwrap()
    }
}

/// Writes an image and its checksum.
pub fn publish(directory: &Path, id: Uuid, bytes: &[u8]) {
    fs::write(directory.join(format!("{id}.img")), bytes).unwrap();
    fs::write(directory.join(format!("{id}.sha256")), format!("{}  {id}.img\n", sha256(bytes))).unwrap();
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that are not the same as others.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = vec![0; length];
    for part in bytes.chunks_mut(4) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        part.copy_from_slice(&(state >> 33).to_le_bytes()[..part.len()]);
    }
    bytes
}

/// Work that nobody stops, unless after so many reports.
#[derive(Default)]
pub struct Plain {
    pub steps: Mutex<Vec<(u64, u64, Step)>>,
    pub asked: AtomicU64,
    pub stop_after: Option<u64>,
}

impl Plain {
    pub fn stopping_after(asked: u64) -> Self {
        Plain { stop_after: Some(asked), ..Plain::default() }
    }

    pub fn phases(&self) -> Vec<Phase> {
        let mut phases: Vec<Phase> = self.steps.lock().unwrap().iter().map(|(_, _, step)| step.phase).collect();
        phases.dedup();
        phases
    }
}

impl Work for Plain {
    fn report(&self, total: u64, completed: u64, step: Step) {
        self.steps.lock().unwrap().push((total, completed, step));
    }

    fn stop(&self) -> Option<Stop> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        self.stop_after.filter(|after| asked >= *after).map(|_| Stop::Cancelled)
    }
}

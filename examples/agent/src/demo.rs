//! The whole life of a machine, in temporary files: quality control, an image, and the end.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rmi_core::{Endpoint, Memory, Native, Pending, RemoteError, Trust, Update};
use serde::de::DeserializeOwned;
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    Parts, Provisioner,
    cache::{Cache, Source},
    config_drive::LABEL,
    contract::{
        AgentClient, AgentServer, ConfigDrive, CpuSpecification, DecommissionClient, DecommissionServer, Launch, Pattern,
        Specification, StandbyClient, StandbyServer, Step,
    },
    device::{Disks, Named, Role},
    firmware::Firmware,
    launch::Launcher,
    system::System,
    task::Tasks,
};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

const MIB: usize = 1 << 20;
const AGENT: &str = "52:54:00:12:34:56";

/// Runs the demonstration. What it makes is gone when it ends.
///
/// # Errors
///
/// Something did not go as it is shown.
pub async fn run() -> Outcome {
    let scratch = Scratch::new()?;
    let image = scratch.fill()?;
    say("a machine", &format!("two files of 8 and 2 MiB are its disks: {}", scratch.0.display()));

    let bus = Memory::new();
    let agent = scratch.agent(&bus).await?;
    let server = Endpoint::builder("server").bind(Native::default(), bus, Trust::insecure()).start().await?;
    say("an agent", &format!("{AGENT} serves `agent`, `decom` and `standby`"));

    look(&server).await?;
    deploy(&server, &scratch, image).await?;
    decommission(&server, &scratch).await?;

    let _ = server.shutdown(Duration::from_secs(5)).await?;
    let drained = agent.shutdown(Duration::from_secs(5)).await?;
    say("shut down", &format!("drained, {} tasks left behind", drained.left_behind));
    Ok(())
}

async fn look(server: &Endpoint) -> Outcome {
    let status = server.client::<AgentClient>(AGENT).status().await?;
    let disks: Vec<String> = status.disks.iter().map(|disk| format!("{} ({} bytes)", disk.name, disk.bytes)).collect();
    say("status", &format!("{}, disks {}", status.mode, disks.join(" and ")));

    let decom: DecommissionClient = server.client(AGENT);
    let specification = Specification {
        cpu: Some(CpuSpecification { threads: Some(4096), ..CpuSpecification::default() }),
        memory_at_least: Some(64 << 20),
        disks_at_least: vec![8 << 20, 2 << 20],
        network: None,
    };
    let report = decom.qc(specification).await?;
    say("qc", if report.passed { "this machine passes" } else { "this machine does not pass:" });
    for finding in report.findings {
        let mark = if finding.passed { "ok  " } else { "FAIL" };
        say("", &format!("{mark} {}: {}, found {}", finding.what, finding.expected, finding.found));
    }
    Ok(())
}

async fn deploy(server: &Endpoint, scratch: &Scratch, image: Uuid) -> Outcome {
    let standby: StandbyClient = server.client(AGENT);
    let cached = standby.cache_images(vec![image]).await?;
    say("cache_images", &format!("{image}: {}", serde_json::to_string(&cached.images[0].state)?));

    let prepared = watch("prepare_image", standby.prepare_image(image, None).send().await?).await?;
    say("", &format!("{} bytes are on {}, with the SHA-256 {}..", prepared.bytes, prepared.disk, &prepared.sha256[..16]));

    let config_drive = ConfigDrive {
        meta_data: json!({"hostname": "node-1"}).as_object().cloned().unwrap_or_default(),
        user_data: Some("#cloud-config\n".to_owned()),
        ..ConfigDrive::default()
    };
    let running = standby.run_image(image, config_drive, None).await?;
    say("run_image", &format!("a config drive ({LABEL}, {} bytes) for instance {}", running.config_drive, running.instance));
    let next = match running.launch {
        Launch::Dry => "no --run-command: nothing takes the agent's place".to_owned(),
        Launch::Exec { command } => format!("`{}` takes the agent's place", command.join(" ")),
    };
    say("", &next);
    expect(fs::read(scratch.path("config-drive"))?.windows(13).any(|part| part == b"#cloud-config"), "no config drive")
}

async fn decommission(server: &Endpoint, scratch: &Scratch) -> Outcome {
    let decom: DecommissionClient = server.client(AGENT);
    let refused = decom.disk_erase(Some(vec!["/dev/sda".to_owned()]), vec![Pattern::Zeros], false).await;
    match refused {
        Err(error) => say("another disk", &error.source().map_or_else(|| error.to_string(), ToString::to_string)),
        Ok(_) => return Err("it erased a disk that nobody named".into()),
    }
    let erasing = decom.disk_erase(None, vec![Pattern::Random, Pattern::Zeros], false).send().await?;
    let erased = watch("disk_erase", erasing).await?;
    say("", &format!("{} disks are overwritten and verified; what that does not reach:", erased.disks.len()));
    for what in erased.not_done {
        say("", &format!("- {what}"));
    }
    expect(fs::read(scratch.path("sda"))?.iter().all(|byte| *byte == 0), "something is left on the disk")
}

/// Shows the steps of a task, and gives its result.
async fn watch<T, E>(what: &str, mut task: Pending<T, E, Step>) -> Outcome<T>
where
    T: DeserializeOwned,
    E: RemoteError + Error + Send + Sync,
{
    let mut shown = None;
    while let Some(update) = task.next().await {
        match update? {
            Update::Progress(step) => {
                let (phase, subject) = (step.details.phase, step.details.subject);
                // One line for each thing that is done: a bar would be drawn over itself.
                if shown.as_ref() != Some(&(phase, subject.clone())) {
                    let percent = (step.completed * 100).checked_div(step.total).unwrap_or(0);
                    say(if shown.is_none() { what } else { "" }, &format!("{percent:3} % {phase} {subject}"));
                    shown = Some((phase, subject));
                }
            }
            Update::Done(result) => return Ok(result),
            Update::Accepted | Update::Started => {}
        }
    }
    Err("the task has no end".into())
}

fn expect(holds: bool, otherwise: &str) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

fn say(what: &str, words: &str) {
    println!("{what:>14}  {words}");
}

/// A directory of the demonstration's own.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Outcome<Self> {
        let directory = std::env::temp_dir().join(format!("provisioning-agent-{}", Uuid::new_v4()));
        fs::create_dir(&directory)?;
        Ok(Scratch(directory))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Disks that somebody has used, and an image.
    fn fill(&self) -> Outcome<Uuid> {
        for (name, size) in [("sda", 8 * MIB), ("config-drive", 2 * MIB)] {
            fs::write(self.path(name), b"the last tenant's secrets. ".repeat(size / 27 + 1).get(..size).unwrap_or_default())?;
        }
        let image = Uuid::new_v4();
        let bytes = b"an operating system. ".repeat(3 * MIB / 21);
        let images = self.path("images");
        fs::create_dir(&images)?;
        fs::write(images.join(format!("{image}.img")), &bytes)?;
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(images.join(format!("{image}.sha256")), digest)?;
        Ok(image)
    }

    async fn agent(&self, bus: &Memory) -> Outcome<Endpoint> {
        let named = [("sda", Role::System), ("config-drive", Role::ConfigDrive)];
        let named = named.map(|(name, role)| Named { name: name.to_owned(), path: self.path(name), role });
        let system = System::default();
        let provisioner = Provisioner::new(Parts {
            disks: Disks::open(system.clone(), named)?,
            system,
            cache: Some(Cache::open(self.path("cache"), 64 * MIB as u64, Some(Source::Directory(self.path("images"))))?),
            firmware: Firmware::default(),
            launcher: Launcher::default(),
            tasks: Tasks::default(),
            started: Instant::now(),
        });
        let agent = Endpoint::builder(AGENT)
            .bind(Native::default(), bus.clone(), Trust::insecure())
            .serve(AgentServer::new(provisioner.clone()))
            .serve(DecommissionServer::new(provisioner.clone()))
            .serve(StandbyServer::new(provisioner))
            .start()
            .await?;
        Ok(agent)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(Path::new(&self.0));
    }
}

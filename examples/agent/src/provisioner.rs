//! The agent's services: what the contracts promise, done with the machine that it runs on.

use std::{collections::HashSet, convert::Infallible, sync::Arc, time::Instant};

use rmi_core::Context;
use uuid::Uuid;

use crate::{
    cache::{Cache, Held, Kept},
    config_drive::Volume,
    contract::{
        Agent, CacheReport, CacheState, CachedImage, ConfigDrive, Decommission, DiskError, DiskStatus, Erased, FirmwareError,
        FirmwareReport, ImageError, Mode, Pattern, Prepared, QcError, QcReport, RunError, Running, Specification, Standby,
        StatusReport, Step, TaskState, Wanted,
    },
    device::{Disks, Role},
    erase::{self, NOT_DONE},
    firmware::Firmware,
    launch::Launcher,
    prepare, qc,
    system::System,
    task::{Job, Tasks},
    work::Meter,
};

/// An agent of one machine. Clones are the same agent.
#[derive(Clone, Debug)]
pub struct Provisioner(Arc<Parts>);

/// What an agent is made of.
#[derive(Debug)]
pub struct Parts {
    /// What the kernel says.
    pub system: System,
    /// The disks that the command line named.
    pub disks: Disks,
    /// The images, when it keeps some.
    pub cache: Option<Cache>,
    /// What is configured about firmware.
    pub firmware: Firmware,
    /// What runs in its place.
    pub launcher: Launcher,
    /// Its long tasks.
    pub tasks: Tasks,
    /// When it was started.
    pub started: Instant,
}

impl Provisioner {
    /// How many images one request may name.
    pub const MOST_IMAGES: usize = 1024;
    /// How many passes one erasure may have.
    pub const MOST_PASSES: usize = 16;

    /// An agent made of these.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Provisioner(Arc::new(parts))
    }

    /// What it is made of.
    #[must_use]
    pub fn parts(&self) -> &Parts {
        &self.0
    }

    fn cache(&self) -> Result<&Cache, ImageError> {
        self.0.cache.as_ref().ok_or_else(|| ImageError::NoCache { option: "--cache and --images".to_owned() })
    }

    /// Names of disks, each once, all of them if none was asked for.
    fn chosen(&self, asked: Option<Vec<String>>) -> Result<Vec<String>, DiskError> {
        let known = self.0.disks.names();
        if known.is_empty() {
            return Err(DiskError::NoDisk { option: "--disk".to_owned() });
        }
        let Some(asked) = asked else { return Ok(known) };
        let mut chosen: Vec<String> = Vec::new();
        for disk in asked {
            if !known.contains(&disk) {
                return Err(DiskError::Unknown { disk, known });
            }
            if !chosen.contains(&disk) {
                chosen.push(disk);
            }
        }
        if chosen.is_empty() {
            return Err(DiskError::Ambiguous { known });
        }
        Ok(chosen)
    }
}

impl Agent for Provisioner {
    async fn status(&self) -> Result<StatusReport, Infallible> {
        let parts = &self.0;
        let tasks = parts.tasks.report();
        let mode = if parts.tasks.is_stopping() || parts.launcher.is_set() {
            Mode::Stopping
        } else if tasks.iter().any(|task| task.state == TaskState::Running) {
            Mode::Busy
        } else {
            Mode::Standby
        };
        let disk = |disk: &crate::device::Disk| DiskStatus {
            name: disk.name().to_owned(),
            bytes: disk.size(),
            busy: disk.busy(),
            image: disk.image().map(|image| image.to_string()),
        };
        Ok(StatusReport {
            mode,
            uptime: parts.started.elapsed().as_secs_f64(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            disks: parts.disks.iter().map(disk).collect(),
            cache: parts.cache.as_ref().map(Cache::status),
            tasks,
        })
    }
}

impl Decommission for Provisioner {
    async fn disk_erase(
        &self,
        cx: &Context<Step>,
        disks: Option<Vec<String>>,
        patterns: Vec<Pattern>,
        discard: bool,
    ) -> Result<Erased, DiskError> {
        let disks = self.chosen(disks)?;
        if patterns.is_empty() || patterns.len() > Self::MOST_PASSES {
            let why = format!("{} passes were asked for, and there are 1 to {}", patterns.len(), Self::MOST_PASSES);
            return Err(DiskError::Unsuitable { disk: disks.join(", "), why });
        }
        let me = self.clone();
        let work = move |job: &Job| {
            // All of them are had before the first is written: what cannot be done is known before anything is lost.
            let claims = disks.iter().map(|disk| me.0.disks.claim(disk, &job.name())).collect::<Result<Vec<_>, _>>()?;
            let efforts = claims.iter().map(|claim| erase::effort(claim.disk().size(), &patterns));
            let total = efforts.fold(0, u64::saturating_add);
            let mut meter = Meter::new(job, total);
            let erased = claims.iter().map(|claim| erase::erase(claim, &patterns, discard, &mut meter));
            let disks = erased.collect::<Result<Vec<_>, _>>()?;
            Ok(Erased { disks, not_done: NOT_DONE.map(str::to_owned).to_vec() })
        };
        let failed = |error| DiskError::Io { disk: String::new(), doing: "the task".to_owned(), at: 0, error };
        self.0.tasks.begin("decom.disk_erase", cx).run(work, failed).await
    }

    async fn firmware_secure(&self, cx: &Context<Step>, wanted: Option<Vec<Wanted>>) -> Result<FirmwareReport, FirmwareError> {
        let me = self.clone();
        let work = move |job: &Job| {
            let Parts { firmware, system, disks, .. } = &*me.0;
            firmware.secure(system, disks, wanted, &job.name(), job)
        };
        self.0.tasks.begin("decom.firmware_secure", cx).run(work, FirmwareError::Configuration).await
    }

    async fn qc(&self, cx: &Context<Step>, specification: Specification) -> Result<QcReport, QcError> {
        let me = self.clone();
        let work = move |_: &Job| qc::check(&me.0.system, &me.0.disks, &specification);
        self.0.tasks.begin("decom.qc", cx).run(work, QcError::Failed).await
    }
}

impl Standby for Provisioner {
    async fn cache_images(&self, cx: &Context<Step>, image_ids: Vec<Uuid>) -> Result<CacheReport, ImageError> {
        let cache = self.cache()?.clone();
        if image_ids.len() > Self::MOST_IMAGES {
            return Err(ImageError::TooMany { asked: image_ids.len() as u64, most: Self::MOST_IMAGES as u64 });
        }
        let work = move |job: &Job| {
            let mut meter = Meter::new(job, 0);
            let mut keep = HashSet::new();
            let mut images = Vec::new();
            for image_id in &image_ids {
                let state = match cache.ensure(*image_id, &keep, &mut meter) {
                    Ok(Kept::Present(bytes)) => CacheState::Present { bytes },
                    Ok(Kept::Fetched(bytes)) => CacheState::Fetched { bytes },
                    Err(stopped @ (ImageError::Cancelled { .. } | ImageError::Stopping { .. })) => return Err(stopped),
                    Err(error) => CacheState::Missing { error },
                };
                keep.insert(*image_id);
                images.push(CachedImage { image_id: *image_id, state });
            }
            cache.prefer(&image_ids);
            Ok(CacheReport { images })
        };
        self.0.tasks.begin("standby.cache_images", cx).run(work, task_failed(Uuid::nil())).await
    }

    async fn prepare_image(&self, cx: &Context<Step>, image_id: Uuid, disk: Option<String>) -> Result<Prepared, ImageError> {
        let cache = self.cache()?.clone();
        let disk = self.0.disks.choose(Role::System, disk.as_deref())?;
        let me = self.clone();
        let work = move |job: &Job| {
            let claim = me.0.disks.claim(&disk, &job.name())?;
            // It is compared, written, and read back.
            let mut meter = Meter::before(job, 3);
            let held = had(&cache, image_id, &mut meter)?;
            prepare::prepare(&claim, &held, &mut meter)
        };
        self.0.tasks.begin("standby.prepare_image", cx).run(work, task_failed(image_id)).await
    }

    async fn run_image(
        &self,
        cx: &Context<Step>,
        image_id: Uuid,
        config_drive: ConfigDrive,
        disk: Option<String>,
    ) -> Result<Running, RunError> {
        if self.0.launcher.is_set() {
            return Err(RunError::Leaving);
        }
        let mut prepared = self.0.disks.iter().filter(|found| found.image() == Some(image_id));
        let prepared = prepared.find(|found| disk.as_deref().is_none_or(|asked| asked == found.name()));
        let Some(prepared) = prepared else { return Err(RunError::NotPrepared { image_id }) };
        let disk = prepared.name().to_owned();
        let target = self.0.disks.choose(Role::ConfigDrive, None)?;
        let me = self.clone();
        let work = move |job: &Job| {
            let volume = Volume::make(&config_drive)?;
            // Both disks, so that nobody erases the one while the other is written.
            let system = me.0.disks.claim(&disk, &job.name())?;
            if system.disk().image() != Some(image_id) {
                return Err(RunError::NotPrepared { image_id });
            }
            let claim = me.0.disks.claim(&target, &job.name())?;
            let length = volume.bytes().len() as u64;
            volume.write(&claim, &mut Meter::new(job, 2 * length))?;
            let path = |claim: &crate::device::Claim| claim.disk().real_path().display().to_string();
            let launch = me.0.launcher.plan(image_id, &path(&system), &path(&claim));
            // The disks stay taken until the program has them: nobody erases what is about to run.
            if !me.0.launcher.set(&launch, vec![system, claim]) {
                return Err(RunError::Leaving);
            }
            Ok(Running { image_id, disk, instance: volume.instance().to_owned(), config_drive: length, launch })
        };
        self.0.tasks.begin("standby.run_image", cx).run(work, RunError::Failed).await
    }
}

/// An image that agrees with its checksum, to be written and read back: from the cache, or fetched. One that is damaged in the cache is fetched again, once.
fn had(cache: &Cache, id: Uuid, meter: &mut Meter<'_>) -> Result<Held, ImageError> {
    let mut again = true;
    loop {
        let (Kept::Present(size) | Kept::Fetched(size)) = cache.ensure(id, &HashSet::new(), meter)?;
        meter.to_do(3 * size);
        match cache.hold(id, meter) {
            // It was damaged, or somebody else's image took its place just now.
            Err(ImageError::Damaged { .. } | ImageError::NotFound { .. } | ImageError::Io { .. }) if again => again = false,
            held => return held,
        }
    }
}

fn task_failed(image_id: Uuid) -> impl FnOnce(String) -> ImageError {
    move |error| ImageError::Io { image_id, doing: "the task".to_owned(), error }
}

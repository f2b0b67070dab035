//! The whole life of a machine, in temporary files: quality control, an image, and the end.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;
use rmi_core::{Endpoint, Native, Pending, RemoteError, Trust, Update, transport::tcp::Tcp};
use serde::de::DeserializeOwned;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    sync::Notify,
    task::JoinHandle,
};
use uuid::Uuid;

use crate::{
    config_drive::LABEL,
    contract::{
        AgentClient, ConfigDrive, CpuSpecification, DecommissionClient, Launch, LogEntry, Pattern, Server, ServerServer,
        Specification, StandbyClient, Step, TaskState, TaskStatus,
    },
    operator::connected,
    options::Dialect,
    run::Run,
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

    let listener = Tcp::listen("127.0.0.1:0").await?;
    let at = listener.local_addr().ok_or("a listener has an address")?.to_string();
    let server = Endpoint::builder("server")
        .bind(Native::default(), listener, Trust::insecure())
        .serve(ServerServer::new(Ear))
        .start()
        .await?;
    say("a server", &format!("listens at tcp://{at}; agents dial it"));
    let agent = scratch.agent(&at, Dialect::Native)?;
    let deadline = Instant::now() + Duration::from_secs(30);
    while !connected(&server).iter().any(|name| name == AGENT) {
        expect(Instant::now() < deadline, "the agent does not come")?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    look(&server).await?;
    deploy(&server, &scratch, image).await?;
    decommission(&server, &scratch).await?;
    agent.stop().await?;
    let _ = server.shutdown(Duration::from_secs(5)).await?;

    lines(&scratch).await?;
    say("shut down", "both agents have drained");
    Ok(())
}

/// The same agent, as a server of the line protocol hears it.
async fn lines(scratch: &Scratch) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?.to_string();
    let agent = scratch.agent(&at, Dialect::Source)?;
    let (stream, _) = listener.accept().await?;
    say("line protocol", "the same agent says its lines to a server of another make:");
    let mut stream = BufReader::new(stream);
    let command = json!({"id": "1", "version": "v1", "method": "decom.qc", "params": {"task_id": "t1", "specification": {"disks_at_least": [1]}}});
    say("", &format!("-> {command}"));
    stream.write_all(format!("{command}\n").as_bytes()).await?;
    let mut line = String::new();
    while !line.contains("\"complete\"") {
        line.clear();
        let read = tokio::time::timeout(Duration::from_secs(30), stream.read_line(&mut line)).await??;
        expect(read > 0, "the agent has hung up")?;
        let shown: String = line.trim_end().chars().take(150).collect();
        say("", &format!("<- {shown}{}", if shown.len() < line.trim_end().len() { ".." } else { "" }));
    }
    drop(stream);
    agent.stop().await
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

    /// `agent run`, in this process.
    fn agent(&self, server: &str, dialect: Dialect) -> Outcome<Working> {
        let path = |name| self.path(name).display().to_string();
        let disk = format!("sda={}", path("sda"));
        let (config_drive, cache, images) = (path("config-drive"), path("cache"), path("images"));
        let dialect = dialect.to_string();
        let arguments = [
            "agent",
            "--server",
            server,
            "--id",
            AGENT,
            "--disk",
            &disk,
            "--config-drive",
            &config_drive,
            "--cache",
            &cache,
            "--images",
            &images,
            "--dialect",
            &dialect,
            "--insecure",
        ];
        say("an agent", &format!("agent run --server tcp://{server} --id {AGENT} --disk sda=.. --dialect {dialect} --insecure"));
        let stop = Arc::new(Notify::new());
        let told = Arc::clone(&stop);
        let run = Alone::try_parse_from(arguments)?.run;
        let stops = move || {
            let told = Arc::clone(&told);
            async move { told.notified().await }
        };
        Ok(Working { stop, ended: tokio::spawn(run.run(stops)) })
    }
}

/// `agent run` alone.
#[derive(Parser)]
struct Alone {
    #[command(flatten)]
    run: Run,
}

/// An agent at work.
struct Working {
    stop: Arc<Notify>,
    ended: JoinHandle<Outcome>,
}

impl Working {
    async fn stop(self) -> Outcome {
        self.stop.notify_one();
        self.ended.await?
    }
}

/// Hears what agents say by themselves.
struct Ear;

impl Server for Ear {
    async fn log(&self, entry: LogEntry) {
        say("log", &entry.message);
    }

    async fn task_status(&self, status: TaskStatus) {
        if status.state != TaskState::Running {
            say("task_status", &format!("{} {}", status.method, status.state));
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(Path::new(&self.0));
    }
}

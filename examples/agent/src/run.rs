//! `agent run`: the agent of this machine, at work for its server.

mod reporter;

use std::{
    future::Future,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use rmi_core::{Endpoint, Native, journal::Durable, protocol::JsonLines, transport::tcp::Tcp};
use rmi_options::{Security, Tls, Url, Way, say};
use tokio::sync::Notify;

use crate::{
    Parts, Provisioner,
    cache::{Cache, Source},
    contract::{AgentServer, DecommissionServer, StandbyServer},
    device::{Disks, Named, Role},
    firmware::Firmware,
    launch::Launcher,
    options::{Dialect, Error, SECONDS, size},
    system::System,
    task::Tasks,
};

/// Be the agent of this machine: dial the server, and do what it says
///
/// It uses the disks that are named here, and no others. It erases them when it is told to: name those that may be erased.
///
/// ctrl-c or SIGTERM drains it: it takes no more commands, gives running ones the time of --grace, then stops them between two blocks,
/// answers, and ends. A second ctrl-c stops them at once.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// Where the server is: tcp://, or tls:// with --tls-ca
    #[arg(long, value_name = "tcp://HOST:PORT", value_parser = Url::peer)]
    pub server: Url,
    /// Who this agent is; the MAC address of the first network interface of hardware unless it is said
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// What the server is called
    #[arg(long, value_name = "NAME", default_value = "server")]
    pub server_name: String,
    /// A disk that may be erased and written: a file or a block device. May be repeated. NAME is what the server calls it: the path
    /// unless it is said
    #[arg(long = "disk", value_name = "[NAME=]PATH", value_parser = disk)]
    pub disks: Vec<Named>,
    /// Where config drives are written: a partition, a disk or a file. It is erased with the disks
    #[arg(long, value_name = "PATH")]
    pub config_drive: Option<PathBuf>,
    /// Keep images in this directory
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// How many bytes of images to keep at most, as in 512M or 10G
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "10G")]
    pub cache_size: u64,
    /// Where images come from: UUID.img, with UUID.sha256 beside it, in a directory or below an https:// or http:// URL
    #[arg(long, value_name = "DIR|URL")]
    pub images: Option<Source>,
    /// Believe certificates of https:// that these authorities have signed (PEM)
    #[arg(long, value_name = "FILE", requires = "images")]
    pub images_ca: Option<PathBuf>,
    /// What firmware should be, and how it is updated: COMPONENT/version and COMPONENT/update in this directory
    #[arg(long, value_name = "DIR")]
    pub firmware: Option<PathBuf>,
    /// What takes the agent's place when an image is to run: it gets the image's UUID, the path of its disk, and that of its config drive.
    /// Without it nothing does
    #[arg(long, value_name = "PROGRAM")]
    pub run_command: Option<PathBuf>,
    /// Write down in this directory what becomes of commands: what a crash or a power failure interrupts is then told to who gave the
    /// command, and never run twice
    #[arg(long, value_name = "DIR")]
    pub journal: Option<PathBuf>,
    /// How long running commands have to end by themselves when the agent is told to stop, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=SECONDS))]
    pub grace: u64,
    /// How to talk with the server
    #[arg(long, value_enum, default_value_t)]
    pub dialect: Dialect,
    /// Say who this agent is in the dialect `source` as well, whose text has no handshake: otherwise its server calls it `link.<n>`, or by the name in its certificate
    #[arg(long)]
    pub handshake: bool,
    /// Who is trusted
    #[command(flatten)]
    pub security: Security,
    /// TLS to the server
    #[command(flatten)]
    pub tls: Tls,
}

/// `NAME=PATH`, or `PATH`.
fn disk(text: &str) -> Result<Named, String> {
    // The names of `/dev/disk/by-id` may have a `=` of their own: what has a `/` before it is no name.
    let named = text.split_once('=').filter(|(name, _)| !name.contains('/'));
    let (name, path) = named.unwrap_or((text, text));
    if name.is_empty() || path.is_empty() {
        return Err("write --disk PATH, or --disk NAME=PATH".to_owned());
    }
    Ok(Named { name: name.to_owned(), path: path.into(), role: Role::System })
}

/// How long stopped work has to say so.
const LAST_WORDS: Duration = Duration::from_secs(30);

impl Run {
    /// Serves until one of `stops` is ready, drains, and runs the configured program if an image is to run: then it does not return.
    ///
    /// `stops` gives a future for each time that the agent is told to stop.
    ///
    /// # Errors
    ///
    /// A disk cannot be used, a key not be read, the cache not be opened, or the program not be run.
    pub async fn run<F>(self, stops: impl Fn() -> F + Send + Sync + 'static) -> Result<(), Error>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let system = System::default();
        self.tls.check([Way::Dials(&self.server)])?;
        self.security.check(self.dialect.scheme())?;
        let id = match &self.id {
            Some(id) => id.clone(),
            None => first_interface(&system).ok_or("no network interface of hardware has an address: say who it is with --id")?,
        };
        let trust = self.security.open(self.dialect.scheme(), &id)?.trust;
        let parts = self.parts(system)?;
        let tasks = parts.tasks.clone();
        let me = Provisioner::new(parts);

        let tcp = Tcp::connect(self.server.authority()).options(self.dialect.tcp());
        let tcp = match self.tls.dials(&self.server)? {
            Some(tls) => tcp.tls(tls).patiently().await?,
            None => tcp.patiently().await?,
        };
        let builder = Endpoint::builder(id.as_str());
        let builder = match self.dialect.profile() {
            None => builder.bind(Native::default(), tcp.clone(), trust),
            Some(profile) => {
                let lines = JsonLines::agent(id.as_str()).profile(profile).peer_name(self.server_name.as_str());
                let lines = if self.handshake { lines.handshake(true) } else { lines };
                builder.bind(lines, tcp.clone(), trust)
            }
        };
        let builder = match &self.journal {
            Some(directory) => builder.journal(Durable::open(directory)?),
            None => builder,
        };
        let grace = Duration::from_secs(self.grace);
        let endpoint = builder
            .serve(AgentServer::new(me.clone()))
            .serve(DecommissionServer::new(me.clone()))
            .serve(StandbyServer::new(me.clone()))
            .grace(grace + LAST_WORDS)
            .start()
            .await?;
        let disks: Vec<String> = me.parts().disks.iter().map(|d| format!("{} ({} bytes)", d.name(), d.size())).collect();
        say(&format!(
            "{id} works for {} with {}",
            self.server,
            if disks.is_empty() { "no disks".to_owned() } else { disks.join(", ") }
        ));
        let reporting = reporter::start(&endpoint, &tcp, &self.server_name, self.dialect == Dialect::Native, tasks.clone());

        let stopped = Arc::new(Notify::new());
        let told = Arc::clone(&stopped);
        let stopping = tokio::spawn(async move {
            stops().await;
            told.notify_one();
            let _ = tokio::time::timeout(grace, stops()).await;
            tasks.stop();
        });
        let launcher = &me.parts().launcher;
        let told = async {
            tokio::select! {
                () = stopped.notified() => say("told to stop: draining"),
                () = launcher.wait() => say("an image is to run: draining"),
            }
        };
        let drained = endpoint.run_until(told).await;
        stopping.abort();
        reporting.abort();
        drained?;
        say("drained");
        // Whatever takes this process's place may restart the machine: not while something is being written.
        let tasks = &me.parts().tasks;
        if !tasks.is_idle() {
            say("waiting for work that cannot be interrupted");
            if tokio::time::timeout(Firmware::LONGEST_UPDATE + LAST_WORDS, tasks.idle()).await.is_err() {
                return Err("work that was told to stop does not end: nothing takes the agent's place".into());
            }
        }
        Ok(launcher.exec()?)
    }

    fn source(&self) -> Result<Option<Source>, Error> {
        let Some(source) = self.images.clone() else { return Ok(None) };
        Ok(Some(match &self.images_ca {
            Some(authorities) => source.believes(&read(authorities)?)?,
            None => source,
        }))
    }

    fn parts(&self, system: System) -> Result<Parts, Error> {
        let config_drive = self.config_drive.clone();
        let config_drive = config_drive.map(|path| Named { name: "config-drive".to_owned(), path, role: Role::ConfigDrive });
        let disks = Disks::open(system.clone(), self.disks.iter().cloned().chain(config_drive))?;
        let cache = match &self.cache {
            Some(directory) => Some(Cache::open(directory, self.cache_size, self.source()?)?),
            None if self.images.is_some() => return Err("--images needs --cache: what is fetched is kept there".into()),
            None => None,
        };
        Ok(Parts {
            system,
            disks,
            cache,
            firmware: Firmware::new(self.firmware.clone()),
            launcher: Launcher::new(self.run_command.clone()).map_err(|error| format!("--run-command: {error}"))?,
            tasks: Tasks::default(),
            started: Instant::now(),
        })
    }
}

fn first_interface(system: &System) -> Option<String> {
    let base = "/sys/class/net";
    let hardware = |name: &String| system.path(format!("{base}/{name}/device")).exists();
    system.names(base).into_iter().filter(hardware).find_map(|name| system.attribute(format!("{base}/{name}/address")))
}

/// A file that the command line names.
fn read(path: &PathBuf) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_may_have_a_name() {
        let read = |text: &str| disk(text).map(|named| (named.name, named.path.display().to_string()));
        let pair = |name: &str, path: &str| Ok((name.to_owned(), path.to_owned()));
        assert_eq!(read("sda=/dev/sda"), pair("sda", "/dev/sda"));
        assert_eq!(read("/dev/sda"), pair("/dev/sda", "/dev/sda"));
        // Never the file `0` of wherever the agent was started.
        assert_eq!(read("/dev/disk/by-id/wwn=0"), pair("/dev/disk/by-id/wwn=0", "/dev/disk/by-id/wwn=0"));
        assert_eq!(read("a=/dev/disk/by-id/wwn=0"), pair("a", "/dev/disk/by-id/wwn=0"));
        assert!(read("=/dev/sda").is_err() && read("sda=").is_err() && read("").is_err());
    }
}

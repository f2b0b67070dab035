//! Private RabbitMQ nodes: each with its own ports, directory, cookie and port mapper, stopped by its own process id, and gone with
//! the process that started it.

mod inside;
mod pool;

use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

pub use self::{
    inside::Held,
    pool::{Lent, Pool},
};
use crate::ports::Port;

/// How long a node may take until it answers, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Where Debian's package has the scripts that do not change the user.
const SCRIPTS: &str = "/usr/lib/rabbitmq/bin";
/// What the names of nodes and their directories begin with, before the process that started them.
const PREFIX: &str = "rmi-rabbit-";

/// A broker that suites may use together, as long as they use names of their own: the one that `RMI_TEST_AMQP_URL` names, or a
/// private one that is started now and ends with this process.
#[must_use]
pub fn url() -> String {
    static PRIVATE: LazyLock<Rabbit> = LazyLock::new(Rabbit::start);
    std::env::var("RMI_TEST_AMQP_URL").unwrap_or_else(|_| PRIVATE.url())
}

/// A private node.
#[derive(Debug)]
pub struct Rabbit {
    home: PathBuf,
    name: String,
    port: Port,
    distribution: Port,
    mapper: u16,
    cookie: String,
    config: String,
    plugins: String,
    /// The port mapper, which nodes of a cluster share; the first has it.
    epmd: Option<(Port, Mutex<Child>)>,
    broker: Mutex<Option<Child>>,
}

impl Rabbit {
    /// Starts a node, and waits until it answers.
    #[must_use]
    pub fn start() -> Self {
        Rabbit::with("")
    }

    /// Starts a node with further lines of configuration (`rabbitmq.conf`).
    #[must_use]
    pub fn with(config: &str) -> Self {
        Rabbit::with_plugins(config, &[])
    }

    /// Starts a node with further lines of configuration, and plugins of those that come with it.
    #[must_use]
    pub fn with_plugins(config: &str, plugins: &[&str]) -> Self {
        let mut rabbit = Rabbit::first(config);
        rabbit.plugins = plugins.join(",");
        rabbit.restart();
        rabbit
    }

    /// One with a port mapper, which is not started yet.
    fn first(config: &str) -> Self {
        let (mapper, epmd) = epmd();
        let mut rabbit = Rabbit::new(mapper.number(), unique().replace('-', ""), config);
        rabbit.epmd = Some((mapper, Mutex::new(epmd)));
        rabbit
    }

    /// Starts so many nodes, which find each other and are one cluster.
    #[must_use]
    pub fn cluster(nodes: usize) -> Vec<Self> {
        let mut cluster = vec![Rabbit::first("")];
        for _ in 1..nodes {
            cluster.push(Rabbit::new(cluster[0].mapper, cluster[0].cookie.clone(), ""));
        }
        let mut config = "cluster_formation.peer_discovery_backend = classic_config\n".to_owned();
        for (number, node) in cluster.iter().enumerate() {
            let _ = writeln!(config, "cluster_formation.classic_config.nodes.{} = {}", number + 1, node.node());
        }
        for node in &mut cluster {
            node.config.clone_from(&config);
        }
        thread::scope(|starting| {
            for node in &cluster {
                starting.spawn(|| node.restart());
            }
        });
        cluster
    }

    fn new(mapper: u16, cookie: String, config: &str) -> Self {
        sweep();
        let name = format!("{PREFIX}{}", unique());
        let home = std::env::temp_dir().join(&name);
        Rabbit {
            home,
            name,
            port: Port::claim(),
            distribution: Port::claim(),
            mapper,
            cookie,
            config: config.to_owned(),
            plugins: String::new(),
            epmd: None,
            broker: Mutex::new(None),
        }
    }

    /// Where it listens, with the credentials that it starts with.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port.number())
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    /// Its name among the nodes of a cluster.
    #[must_use]
    pub fn node(&self) -> String {
        format!("{}@localhost", self.name)
    }

    /// The process id of the broker, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.broker.lock().unwrap().as_ref().map(Child::id)
    }

    /// Starts it again after it was [killed](Rabbit::kill), with what it had on disk, and waits until it answers.
    pub fn restart(&self) {
        fs::create_dir_all(&self.home).unwrap();
        fs::write(self.home.join("rabbitmq.conf"), format!("listeners.tcp.1 = {}\n{}\n", self.address(), self.config)).unwrap();
        fs::write(self.home.join("plugins"), format!("[{}].\n", self.plugins)).unwrap();
        let cookie = self.home.join(".erlang.cookie");
        if !cookie.exists() {
            fs::write(&cookie, &self.cookie).unwrap();
            Command::new("chmod").arg("400").arg(&cookie).status().unwrap();
        }
        let mut command = self.script("rabbitmq-server");
        let log = fs::File::create(self.home.join("output")).unwrap();
        // So the script becomes the broker, and there is one process to stop.
        command.env("RUNNING_UNDER_SYSTEMD", "true").stdin(Stdio::null()).stderr(log.try_clone().unwrap()).stdout(log);
        *self.broker.lock().unwrap() = Some(keep(command));
        self.await_listener();
    }

    /// Ends it as a power failure does.
    pub fn kill(&self) {
        if let Some(mut broker) = self.broker.lock().unwrap().take() {
            let _ = broker.kill();
            let _ = broker.wait();
        }
    }

    /// Sends a signal to the broker: `STOP` and `CONT` make it stand still and go on.
    pub fn signal(&self, signal: &str) {
        let pid = self.pid().expect("the broker runs").to_string();
        assert!(Command::new("kill").arg(format!("-{signal}")).arg(pid).status().unwrap().success());
    }

    /// Runs `rabbitmqctl` on it, and returns what it prints.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let done = self.script("rabbitmqctl").arg("-q").args(arguments).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "rabbitmqctl {arguments:?}: {out}{err}");
        out.into_owned()
    }

    fn script(&self, name: &str) -> Command {
        let path = Path::new(SCRIPTS).join(name);
        assert!(
            path.exists(),
            "RabbitMQ is missing: install it (Debian: apt-get install rabbitmq-server), or run ./tests/run as root"
        );
        // Nothing that the machine has configured for a broker of its own applies to this one.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(path)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("LANG", "C.UTF-8")
            .env("RABBITMQ_NODENAME", self.node())
            .env("RABBITMQ_DIST_PORT", self.distribution.number().to_string())
            .env("ERL_EPMD_PORT", self.mapper.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_CONFIG_FILE", self.home.join("rabbitmq"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", self.home.join("plugins"))
            .env("RABBITMQ_MNESIA_BASE", self.home.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", self.home.join("log"))
            .env("RABBITMQ_PID_FILE", self.home.join("pid"))
            // A broker that waits does not spin.
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+sbwt none +sbwtdcpu none +sbwtdio none");
        command
    }

    fn await_listener(&self) {
        let began = Instant::now();
        while !greets(&self.address()) {
            let ended = self.broker.lock().unwrap().as_mut().is_none_or(|broker| broker.try_wait().unwrap().is_some());
            assert!(!ended && began.elapsed() < PATIENCE, "RabbitMQ does not start:\n{}", self.output());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn output(&self) -> String {
        fs::read_to_string(self.home.join("output")).unwrap_or_default()
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        self.kill();
        if let Some((_, epmd)) = &self.epmd {
            let mut epmd = epmd.lock().unwrap();
            let _ = epmd.kill();
            let _ = epmd.wait();
        }
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// A broker says what it is when it is told what is spoken (AMQP 0-9-1, section 4.2.2).
fn greets(address: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut first = [0];
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    // A method frame, Connection.Start.
    stream.write_all(b"AMQP\x00\x00\x09\x01").is_ok() && stream.read_exact(&mut first).is_ok() && first == [1]
}

/// A port mapper of one's own, in the foreground: the one that a node would start stays when the node has gone.
fn epmd() -> (Port, Child) {
    let port = Port::claim();
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--", "epmd", "-address", "127.0.0.1", "-port", &port.number().to_string()])
        .stderr(Stdio::null());
    let epmd = keep(command);
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port.number())).is_err() {
        assert!(began.elapsed() < PATIENCE, "epmd does not start: install erlang-base");
        thread::sleep(Duration::from_millis(10));
    }
    (port, epmd)
}

/// Starts a process that is killed when this one ends. The kernel does that when the *thread* ends that started it: so one thread
/// starts them all, and never ends.
fn keep(command: Command) -> Child {
    type Order = (Command, mpsc::Sender<std::io::Result<Child>>);
    static KEEPER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, started) in orders {
                let _ = started.send(command.spawn());
            }
        });
        sender
    });
    let (started, child) = mpsc::channel();
    KEEPER.send((command, started)).unwrap();
    child.recv().unwrap().unwrap()
}

fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Removes what processes have left behind that ended without stopping their brokers.
fn sweep() {
    for entry in fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|owner| !Path::new(&format!("/proc/{owner}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

//! `dhcp` as its users have it: processes, a file that outlives them, and callers that are other programs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::LazyLock,
};

use rackhd_api::DhcpEvent;
use rmi_amqp::{Amqp, Options};
use rmi_core::{Endpoint, Trust, seal::PrivateKey};
use rmi_tests::{certificates::issue, program::beside, rabbit::Rabbit};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const POOL: &str = "10.1.1.0/29";

fn program(path: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(path);
    command.args(arguments).env_remove("RUST_LOG").env_remove("COLUMNS").stdin(Stdio::null());
    command
}

fn dhcp(arguments: &[&str]) -> Output {
    program(env!("CARGO_BIN_EXE_dhcp"), arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// `dhcp serve`, until this is dropped, and what it said when it began.
struct Service {
    child: Child,
    stdout: BufReader<ChildStdout>,
    said: Vec<String>,
}

impl Service {
    fn start(store: &Path, arguments: &[&str]) -> Self {
        let store = store.to_str().unwrap();
        let mut command = program(env!("CARGO_BIN_EXE_dhcp"), &["serve", "--pool", POOL, "--store", store]);
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut service = Service { child, stdout, said: Vec::new() };
        while !service.said.last().is_some_and(|line| line.starts_with("serving ")) {
            let mut line = String::new();
            assert!(service.stdout.read_line(&mut line).unwrap() > 0, "it ended: {:?}", service.said);
            service.said.push(line.trim_end().to_owned());
        }
        service
    }

    fn tcp(store: &Path) -> Self {
        Service::start(store, &["--url", "tcp://127.0.0.1:0", "--insecure"])
    }

    /// Where it listens.
    fn url(&self) -> String {
        let words = self.said.iter().flat_map(|line| line.split_whitespace());
        words.into_iter().find(|word| word.starts_with("tcp://")).expect("it says where").to_owned()
    }

    fn lease(&self, arguments: &[&str]) -> Output {
        let url = self.url();
        dhcp(&[&["lease", "--url", &url, "--insecure"], arguments].concat())
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn file() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("leases.redb");
    (directory, path)
}

/// The command line, as anybody on the bus.
fn rmi(arguments: &[&str]) -> Output {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| beside(env!("CARGO_BIN_EXE_dhcp"), "rmi", "rmi-cli", "cli"));
    program(PROGRAM.to_str().unwrap(), arguments).output().unwrap()
}

#[test]
fn the_demonstration_shows_what_it_says() {
    let demo = dhcp(&[]);
    assert!(demo.status.success(), "{demo:?}");
    let shown = out(&demo);
    for part in [
        "dhcp.bind.success.507f191e810c19729de860ea",
        "lookupIpLease 10.1.1.1: Some(08:00:27:52:d2:a4)",
        "lookupIpLease 10.1.1.6: None",
        "10.1.1.1 is taken by 08:00:27:52:d2:a4",
        "08:00:27:52:d2:a4 still has 10.1.1.1",
        "no address of the pool 10.1.1.1-10.1.1.6 is free",
        "08:00:27:52:d2:a4 is back, and has 10.1.1.1",
        "put a backup in its place",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn help_teaches() {
    let help = out(&dhcp(&["--help"]));
    assert!(help.contains("dhcp serve --url tcp://127.0.0.1:7000 --url amqp://localhost --dialect rackhd"), "{help}");
    assert!(help.contains("rmi call --dialect rackhd amqp://localhost dhcp dhcp.lookupIpLease"), "{help}");
    let help = out(&dhcp(&["serve", "--help"]));
    for part in ["--dialect rackhd --dialect envelope", "rackhd-legacy", "10.1.1.10-10.1.1.200", "--insecure"] {
        assert!(help.contains(part), "{part}: {help}");
    }
}

#[test]
fn what_is_not_said_or_does_not_go_together_is_a_usage_error() {
    let serve = ["serve", "--pool", POOL, "--store", "leases.redb"];
    for (arguments, part) in [
        (["--insecure"].as_slice(), "--url"),
        (&["--url", "tcp://127.0.0.1:0"], "--key"),
        (&["--url", "tcp://127.0.0.1:0", "--key", "dhcp.key"], "--trust"),
        (&["--url", "tcp://127.0.0.1:0", "--dialect", "rackhd", "--insecure"], "amqp://"),
        (&["--url", "tcp://127.0.0.1:0", "--lease-time", "1s", "--insecure"], "10s"),
    ] {
        let output = dhcp(&[&serve, arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(err(&output).contains(part), "{arguments:?}: {output:?}");
    }
    let pool = dhcp(&["serve", "--pool", "10.0.0.0/8", "--store", "x", "--url", "tcp://127.0.0.1:0", "--insecure"]);
    assert!(pool.status.code() == Some(2) && err(&pool).contains("16777214 addresses"), "{pool:?}");
}

#[test]
fn leases_are_listed_and_altered_by_the_command() {
    let (_directory, store) = file();
    let service = Service::tcp(&store);
    let mac = "08:00:27:52:d2:a4";
    let bound = service.lease(&["bind", mac, "--ip", "10.1.1.4", "--node", "507f191e810c19729de860ea"]);
    assert!(out(&bound).starts_with("08:00:27:52:d2:a4 has 10.1.1.4 until "), "{bound:?}");
    assert_eq!(out(&service.lease(&["pin", "10.1.1.4"])), "08:00:27:52:d2:a4 has 10.1.1.4 for good\n");
    let list = out(&service.lease(&["list"]));
    let row: Vec<&str> = list.lines().nth(1).unwrap().split_whitespace().collect();
    let [listed, ip, state, _, pinned, node] = row[..] else { panic!("{list}") };
    assert_eq!((listed, ip, state, pinned, node), (mac, "10.1.1.4", "bound", "10.1.1.4", "507f191e810c19729de860ea"));
    assert_eq!(out(&service.lease(&["remove", mac])), "08:00:27:52:d2:a4 has 10.1.1.4 no more\n");
    assert_eq!(out(&service.lease(&["unpin", mac])), "10.1.1.4 is pinned to 08:00:27:52:d2:a4 no more\n");

    let refused = service.lease(&["remove", mac]);
    assert_eq!((refused.status.code(), err(&refused).as_str()), (Some(1), "dhcp: 08:00:27:52:d2:a4 has no lease\n"));
    let wrong = service.lease(&["pin", "rex"]);
    assert!(wrong.status.code() == Some(2) && err(&wrong).contains("neither a MAC address"), "{wrong:?}");
}

#[test]
fn what_was_answered_survives_a_kill() {
    let (_directory, store) = file();
    for last in 1..=4 {
        let service = Service::tcp(&store);
        let mac = format!("08:00:27:00:00:0{last}");
        assert!(service.lease(&["bind", &mac]).status.success());
        if last == 1 {
            assert!(service.lease(&["pin", &mac]).status.success());
        }
        service.kill();
    }
    let service = Service::tcp(&store);
    let list = out(&service.lease(&["list"]));
    for last in 1..=4 {
        assert!(list.contains(&format!("08:00:27:00:00:0{last}  10.1.1.{last}  ")), "{list}");
    }
    assert!(list.lines().nth(1).unwrap().trim_end().ends_with("10.1.1.1         -"), "{list}");
}

#[test]
fn it_drains_when_it_is_told_to_stop_and_leaves_the_file_to_the_next() {
    let (_directory, store) = file();
    for signal in [Signal::TERM, Signal::INT] {
        let mut service = Service::tcp(&store);
        let second =
            dhcp(&["serve", "--pool", POOL, "--store", store.to_str().unwrap(), "--url", "tcp://127.0.0.1:0", "--insecure"]);
        assert!(second.status.code() == Some(1) && err(&second).contains("another process has the lease table"), "{second:?}");
        kill_process(Pid::from_child(&service.child), signal).unwrap();
        let mut said = String::new();
        service.stdout.read_to_string(&mut said).unwrap();
        assert_eq!(said, "drained\n");
        assert!(service.child.wait().unwrap().success());
    }
}

#[test]
fn what_is_excluded_is_leased_to_nobody() {
    let (_directory, store) = file();
    let service = Service::start(&store, &["--url", "tcp://127.0.0.1:0", "--insecure"]);
    // Before it was excluded.
    assert!(out(&service.lease(&["bind", "08:00:27:00:00:01"])).contains("has 10.1.1.1 "));
    drop(service);
    let excluding = ["--exclude", "10.1.1.1", "--exclude", "10.1.1.3-10.1.1.5", "--url", "tcp://127.0.0.1:0", "--insecure"];
    let service = Service::start(&store, &excluding);
    assert_eq!(service.said.last().unwrap(), "serving 2 addresses, 10.1.1.1-10.1.1.6 without 10.1.1.1, 10.1.1.3-10.1.1.5");
    for (mac, ip) in [("08:00:27:00:00:02", "10.1.1.2"), ("08:00:27:00:00:03", "10.1.1.6")] {
        assert!(out(&service.lease(&["bind", mac])).contains(&format!("has {ip} ")), "{mac}");
    }
    let full = service.lease(&["bind", "08:00:27:00:00:04"]);
    assert!(!full.status.success() && err(&full).contains("is free"), "{full:?}");
    let named = service.lease(&["bind", "08:00:27:00:00:04", "--ip", "10.1.1.3"]);
    assert!(!named.status.success() && err(&named).contains("10.1.1.3 is outside the pool"), "{named:?}");
    let call = |ip: &str| out(&rmi(&["call", &service.url(), "dhcp", "dhcp.ipInRange", ip, "--insecure"]));
    assert_eq!((call("10.1.1.2").as_str(), call("10.1.1.3").as_str()), ("true\n", "false\n"));
    let list = out(&service.lease(&["list"]));
    assert!(list.contains("08:00:27:00:00:01  10.1.1.1 "), "who has it keeps it: {list}");
    drop(service);
    let serve = ["serve", "--pool", POOL, "--store", store.to_str().unwrap(), "--url", "tcp://127.0.0.1:0", "--insecure"];
    for (excluded, part) in
        [("10.1.2.1", "cannot be left out"), ("10.1.1.0/24", "everything is left out"), ("x", "are no addresses")]
    {
        let output = dhcp(&[&serve[..], &["--exclude", excluded]].concat());
        assert!(output.status.code() == Some(2) && err(&output).contains(part), "{output:?}");
    }
}

#[test]
fn it_can_be_stopped_before_it_serves() {
    let (_directory, store) = file();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("amqp://{}", silent.local_addr().unwrap());
    let arguments = ["serve", "--pool", POOL, "--store", store.to_str().unwrap(), "--url", &url, "--dialect", "rackhd"];
    let child = program(env!("CARGO_BIN_EXE_dhcp"), &arguments).stdout(Stdio::piped()).spawn().unwrap();
    let _connection = silent.accept().unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && out(&output).is_empty(), "{output:?}");
}

#[test]
fn a_damaged_file_is_said_to_be_so_and_what_to_do() {
    let (_directory, store) = file();
    fs::write(&store, "leases").unwrap();
    let output = dhcp(&["serve", "--pool", POOL, "--store", store.to_str().unwrap(), "--url", "tcp://127.0.0.1:0", "--insecure"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("is damaged") && err(&output).contains("put a backup in its place"), "{output:?}");
    assert_eq!(fs::read_to_string(&store).unwrap(), "leases");
}

#[test]
fn it_is_called_signed() {
    let (directory, store) = file();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let trusted = at("trusted");
    fs::create_dir(&trusted).unwrap();
    for name in ["dhcp", "operator"] {
        let key = PrivateKey::generate().unwrap();
        key.save(at(&format!("{name}.key"))).unwrap();
        fs::write(at(&format!("trusted/{name}.pem")), key.public().to_pem().unwrap()).unwrap();
    }
    let service = Service::start(&store, &["--url", "tcp://127.0.0.1:0", "--key", &at("dhcp.key"), "--trust", &trusted]);
    assert!(service.said[0].ends_with("(signed)"), "{:?}", service.said);
    let url = service.url();
    let signed = ["lease", "--url", &url, "--key", &at("operator.key"), "--trust", &trusted];
    let bound = dhcp(&[&signed, ["bind", "08:00:27:52:d2:a4"].as_slice()].concat());
    assert!(bound.status.success(), "{bound:?}");
    let stranger = service.lease(&["list"]);
    assert!(!stranger.status.success(), "{stranger:?}");
}

#[test]
fn it_is_called_by_tls() {
    let (directory, store) = file();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    issue(directory.path(), &["127.0.0.1"]);
    let identity = ["--tls-cert", &at("127.0.0.1.crt"), "--tls-key", &at("127.0.0.1.pem")];
    let service = Service::start(&store, &[&["--url", "tls://127.0.0.1:0", "--insecure"], identity.as_slice()].concat());
    let url = service.said.iter().flat_map(|line| line.split_whitespace()).find(|word| word.starts_with("tls://")).unwrap();
    let bound = dhcp(&["lease", "--url", url, "--insecure", "--tls-ca", &at("ca.crt"), "bind", "08:00:27:52:d2:a4"]);
    assert!(bound.status.success(), "{bound:?}");
    let unknown = dhcp(&["lease", "--url", url, "--insecure", "list"]);
    assert!(unknown.status.code() == Some(2) && err(&unknown).contains("--tls-ca FILE"), "{unknown:?}");
}

/// Who calls as RackHD's services do.
async fn http(url: &str, generation: &str) -> Endpoint {
    let dialect = if generation == "rackhd" { rackhd_api::on() } else { rackhd_api::legacy() };
    let amqp = Amqp::connect(url).options(dialect.options(Options::default())).await.unwrap();
    Endpoint::builder("on-http").bind(dialect, amqp, Trust::insecure()).start().await.unwrap()
}

#[tokio::test]
async fn rackhds_callers_and_native_ones_meet_at_one_broker() {
    let broker = tokio::task::spawn_blocking(Rabbit::start).await.unwrap();
    let (url, (_directory, store)) = (broker.url(), file());
    for generation in ["rackhd", "rackhd-legacy"] {
        let wires = ["--url", &url, "--dialect", generation, "--dialect", "envelope", "--insecure"];
        let service = Service::start(&store, &wires);
        assert!(service.said.iter().all(|line| !line.contains("guest")), "{:?}", service.said);
        let lease = |arguments: &[&str]| dhcp(&[&["lease", "--url", &url, "--insecure"], arguments].concat());
        let http = http(&url, generation).await;
        let mut events = http.subscribe::<DhcpEvent>().await.unwrap();
        let bound = lease(&["bind", "08:00:27:52:d2:a4", "--ip", "10.1.1.2"]);
        assert!(bound.status.success(), "{bound:?}");
        assert_eq!(events.next().await.unwrap().unwrap().key, *"dhcp.bind.success.external");
        let table: rackhd_api::DhcpClient = http.client("dhcp");
        let mac = "08:00:27:52:d2:a4".parse().unwrap();
        assert_eq!(table.lookup_ip_lease([10, 1, 1, 2].into()).await.unwrap(), Some(mac));
        let call = |arguments: &[&str]| {
            let output = rmi(&[&["call", "--dialect", generation, &url, "dhcp"], arguments].concat());
            assert!(output.status.success(), "{arguments:?}: {output:?}");
            out(&output).trim_end().to_owned()
        };
        assert_eq!(call(&["dhcp.lookupIpLease", "10.1.1.2"]), "\"08:00:27:52:d2:a4\"");
        assert_eq!(call(&["dhcp.ipInRange", "10.1.1.9"]), "false");
        assert_eq!(table.remove_lease(mac).await.unwrap().unwrap().ip_address.octets(), [10, 1, 1, 2]);
        let gone = lease(&["remove", "08:00:27:52:d2:a4"]);
        assert!(err(&gone).contains("has no lease"), "{gone:?}");
    }
}

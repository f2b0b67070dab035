//! Agents, their server and its operators as processes of their own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use uuid::Uuid;

#[path = "suite/certificates.rs"]
mod certificates;

const MIB: usize = 1 << 20;

/// A process that is killed with the test that began it.
struct Process {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_agent"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let says = BufReader::new(child.stdout.take().unwrap());
        Process { child, says }
    }

    /// Waits for a line with this in it.
    fn hears(&mut self, words: &str) -> String {
        let mut heard = String::new();
        loop {
            let before = heard.len();
            assert!(self.says.read_line(&mut heard).unwrap() > 0, "it ended without saying `{words}`, and said: {heard}");
            if heard[before..].contains(words) {
                return heard[before..].trim_end().to_owned();
            }
        }
    }

    /// Waits for its end.
    fn ends(mut self) -> (i32, String) {
        let mut rest = String::new();
        while self.says.read_line(&mut rest).unwrap() > 0 {}
        (self.child.wait().unwrap().code().unwrap_or(-1), rest)
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server, and files for an agent's machine.
struct Site {
    dir: TempDir,
    dialect: &'static str,
    server: Process,
    agents: String,
    operators: String,
}

fn port(line: &str) -> String {
    line.split("://").nth(1).unwrap().split(' ').next().unwrap().to_owned()
}

impl Site {
    fn open(dialect: &'static str) -> Self {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("sda"), vec![7; 4 * MIB]).unwrap();
        fs::write(dir.path().join("cd"), vec![7; 2 * MIB]).unwrap();
        fs::create_dir(dir.path().join("images")).unwrap();
        let listen = ["server", "--insecure", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--dialect", dialect];
        let mut server = Process::start(&listen);
        let agents = port(&server.hears("for agents at"));
        let operators = port(&server.hears("for operators at"));
        Site { dir, dialect, server, agents, operators }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn image(&self, size: usize) -> (Uuid, Vec<u8>) {
        let (id, bytes) = (Uuid::new_v4(), vec![0x5A; size]);
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(self.path(&format!("images/{id}.img")), &bytes).unwrap();
        fs::write(self.path(&format!("images/{id}.sha256")), digest).unwrap();
        (id, bytes)
    }

    /// An agent that is connected.
    fn agent(&mut self, more: &[&str]) -> Process {
        let disk = format!("sda={}", self.path("sda"));
        let (config_drive, cache, images) = (self.path("cd"), self.path("cache"), self.path("images"));
        let mut arguments = vec!["run", "--insecure", "--server", &self.agents, "--id", "node-1", "--disk", &disk];
        arguments.extend(["--config-drive", &config_drive, "--cache", &cache, "--cache-size", "3M", "--images", &images]);
        arguments.extend(["--dialect", self.dialect, "--handshake"]);
        arguments.extend(more);
        let agent = Process::start(&arguments);
        self.server.hears("node-1 is connected");
        agent
    }

    fn ctl(&self, arguments: &[&str]) -> Output {
        let all = ["ctl", "--insecure", "--server", &self.operators];
        Command::new(env!("CARGO_BIN_EXE_agent")).args(all).args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Its exit status and the JSON lines that it wrote.
    fn ctl_json(&self, arguments: &[&str]) -> (i32, Vec<Value>) {
        let output = self.ctl(&[&["--form", "json"], arguments].concat());
        let lines = String::from_utf8(output.stdout).unwrap();
        let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (output.status.code().unwrap(), lines)
    }
}

/// A whole life, in each dialect.
fn life(dialect: &'static str) {
    let mut site = Site::open(dialect);
    let ran = site.path("ran");
    let program = site.path("boot");
    fs::write(&program, format!("#!/bin/sh\necho \"$@\" > {ran}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let agent = site.agent(&["--run-command", &program]);
    let (image, bytes) = site.image(MIB + 5);
    let (large, _) = site.image(3 * MIB);
    let (image, large) = (image.to_string(), large.to_string());

    assert_eq!(site.ctl_json(&["list"]), (0, vec![json!({"agents": ["node-1"]})]));
    let (code, status) = site.ctl_json(&["status", "node-1"]);
    assert_eq!((code, &status[0]["result"]["mode"]), (0, &json!("STANDBY")));
    assert_eq!(status[0]["result"]["disks"][0], json!({"name": "sda", "bytes": 4 * MIB}));

    fs::write(site.path("spec"), r#"{"memory_at_least": 1048576, "disks_at_least": [4194304]}"#).unwrap();
    assert_eq!(site.ctl(&["qc", "node-1", "--spec", &site.path("spec")]).status.code(), Some(0));
    fs::write(site.path("spec"), r#"{"disks_at_least": [4194305]}"#).unwrap();
    let (code, report) = site.ctl_json(&["qc", "node-1", "--spec", &site.path("spec")]);
    assert_eq!((code, &report.last().unwrap()["result"]["passed"]), (1, &json!(false)));

    let (code, cached) = site.ctl_json(&["cache", "node-1", &image, &large]);
    let images = &cached.last().unwrap()["result"]["images"];
    assert_eq!((code, &images[0]["state"]["fetched"]["bytes"]), (1, &json!(MIB + 5)));
    assert!(images[1]["state"]["missing"]["error"]["NoRoom"].is_object(), "{images}");

    let (code, prepared) = site.ctl_json(&["prepare", "node-1", &image]);
    assert_eq!((code, &prepared.last().unwrap()["result"]["bytes"]), (0, &json!(MIB + 5)));
    assert_eq!(fs::read(site.path("sda")).unwrap()[..bytes.len()], bytes);

    let refused = site.ctl(&["erase", "node-1", "--disk", &site.path("cd")]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("no disk is named"));

    fs::write(site.path("settings"), r##"{"meta_data": {"hostname": "n"}, "user_data": "#cloud-config\n"}"##).unwrap();
    let (code, running) = site.ctl_json(&["run", "node-1", &image, "--config-drive", &site.path("settings")]);
    assert_eq!(code, 0);
    let command = &running.last().unwrap()["result"]["launch"]["exec"]["command"];
    let real = |name: &str| fs::canonicalize(site.path(name)).unwrap().display().to_string();
    assert_eq!(command, &json!([program, image, real("sda"), real("cd")]));
    // The agent answered, drained, and became the program.
    assert_eq!(agent.ends().0, 0);
    assert_eq!(fs::read_to_string(&ran).unwrap(), format!("{image} {} {}\n", real("sda"), real("cd")));
    assert!(fs::read(site.path("cd")).unwrap().windows(13).any(|part| part == b"#cloud-config"));

    let gone = site.ctl(&["status", "node-1"]);
    assert_eq!(gone.status.code(), Some(4));
    assert!(String::from_utf8(gone.stderr).unwrap().contains("no agent `node-1` is connected"));
}

#[test]
fn a_life_in_the_native_envelope() {
    life("native");
}

#[test]
fn a_life_in_the_line_protocol_as_it_was_deployed() {
    life("teeth");
}

#[test]
fn a_life_in_the_line_protocol_as_it_was_documented() {
    life("source");
}

#[test]
fn progress_is_shown_in_every_dialect() {
    for dialect in ["native", "teeth", "source"] {
        let mut site = Site::open(dialect);
        let _agent = site.agent(&[]);
        let (code, lines) = site.ctl_json(&["erase", "node-1", "--patterns", "0xA5,zeros", "--discard"]);
        assert_eq!(code, 0, "{dialect}: {lines:?}");
        let steps: Vec<&Value> = lines.iter().filter(|line| line["status"] == "progress").collect();
        let total = json!(2 * 2 * (4 + 2) * MIB);
        assert!(steps.len() >= 4 && steps.iter().all(|step| step["total"] == total), "{dialect}: {lines:?}");
        assert_eq!(steps[0]["details"]["phase"], "write");
        let erased = &lines.last().unwrap()["result"]["disks"];
        assert_eq!(erased[0]["passes"], json!([{"byte": 0xA5}, "zeros"]), "{dialect}");
        assert!(fs::read(site.path("sda")).unwrap().iter().all(|byte| *byte == 0));
    }
}

/// Long enough for whoever interrupts it.
const LONG: &str = "random,random,random,random";

/// An operator who erases, and has seen the first step.
fn erasing(site: &Site) -> Process {
    let all = ["ctl", "--insecure", "--server", &site.operators, "--form", "json", "erase", "node-1", "--patterns", LONG];
    let mut operator = Process::start(&all);
    operator.hears("progress");
    operator
}

fn large(site: &Site) {
    fs::File::create(site.path("sda")).unwrap().set_len(256 * MIB as u64).unwrap();
}

#[test]
fn an_operator_who_is_interrupted_cancels() {
    let mut site = Site::open("native");
    large(&site);
    let _agent = site.agent(&[]);
    let operator = erasing(&site);
    operator.signal("INT");
    let (code, rest) = operator.ends();
    assert!(code == 1 && rest.contains("cancelled after"), "{code}: {rest}");
    let (_, status) = site.ctl_json(&["status", "node-1"]);
    assert_eq!(status[0]["result"]["mode"], "STANDBY");
}

#[test]
fn an_agent_that_is_told_to_stop_answers_first() {
    for dialect in ["native", "teeth"] {
        let mut site = Site::open(dialect);
        large(&site);
        let mut agent = site.agent(&["--grace", "0"]);
        let operator = erasing(&site);
        agent.signal("TERM");
        agent.hears("draining");
        let (code, rest) = operator.ends();
        assert!(code == 1 && rest.contains("the agent is stopping"), "{dialect}: {code}: {rest}");
        let (code, rest) = agent.ends();
        assert!(code == 0 && rest.contains("drained"), "{dialect}: {code}: {rest}");
        site.server.hears("node-1 is gone");
    }
}

#[test]
fn an_agent_that_is_killed_loses_its_answer_and_comes_back_to_work() {
    let mut site = Site::open("teeth");
    large(&site);
    let agent = site.agent(&[]);
    let operator = erasing(&site);
    agent.signal("KILL");
    let (code, rest) = operator.ends();
    assert!(code == 6 && rest.contains("whether it was done is unknown"), "{code}: {rest}");
    site.server.hears("node-1 is gone");
    let _agent = site.agent(&[]);
    let (code, status) = site.ctl_json(&["status", "node-1"]);
    assert_eq!((code, &status[0]["result"]["tasks"]), (0, &json!([])));
    let (code, _) = site.ctl_json(&["erase", "node-1", "--disk", "config-drive"]);
    assert_eq!(code, 0);
}

/// In the native envelope the server asks for the outcome when the agent is back, and the journal knows it.
#[test]
fn an_erasure_that_a_crash_interrupts_is_told_and_not_run_again() {
    let mut site = Site::open("native");
    large(&site);
    let journal = site.path("journal");
    let agent = site.agent(&["--journal", &journal]);
    let operator = erasing(&site);
    agent.signal("KILL");
    let _ = agent.ends();
    let before = fs::read(site.path("sda")).unwrap();
    let _agent = site.agent(&["--journal", &journal]);
    let (code, rest) = operator.ends();
    assert!(code == 6 && rest.contains("the agent stopped while the method ran"), "{code}: {rest}");
    assert!(fs::read(site.path("sda")).unwrap() == before, "the erasure was run again");
    let (_, status) = site.ctl_json(&["status", "node-1"]);
    assert_eq!(status[0]["result"]["tasks"], json!([]));
}

#[test]
fn a_server_with_a_command_waits_for_the_agent_and_ends() {
    let site = Site::open("native");
    // A port that is free, and then is not.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let disk = format!("sda={}", site.path("sda"));
    let _agent = Process::start(&["run", "--insecure", "--server", &free, "--id", "node-2", "--disk", &disk]);
    let all = ["server", "--insecure", "--listen", &free, "--wait", "60", "--form", "json", "erase", "node-2"];
    let (code, rest) = Process::start(&all).ends();
    assert!(code == 0 && rest.contains("\"fulfilled\":true"), "{code}: {rest}");
    assert!(fs::read(site.path("sda")).unwrap().iter().all(|byte| *byte == 0));
    let all = ["server", "--insecure", "--listen", &free, "--wait", "0", "status", "nobody"];
    assert_eq!(Process::start(&all).ends().0, 4);
}

#[test]
fn everything_is_signed_or_nothing_is() {
    use rmi_core::seal::PrivateKey;
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::create_dir(path("ring")).unwrap();
    for name in ["server", "node-1", "alice"] {
        let key = PrivateKey::generate().unwrap();
        key.save(path(&format!("{name}.key"))).unwrap();
        fs::write(path(&format!("ring/{name}.pem")), key.public().to_pem().unwrap()).unwrap();
    }
    PrivateKey::generate().unwrap().save(path("mallory.key")).unwrap();
    fs::write(path("sda"), vec![7; 2 * MIB]).unwrap();
    let (ring, server_key, node_key) = (path("ring"), path("server.key"), path("node-1.key"));
    let listen = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--key", &server_key, "--trust", &ring];
    let mut server = Process::start(&[&["server"], &listen[..]].concat());
    let agents = port(&server.hears("for agents at"));
    let operators = port(&server.hears("for operators at"));
    let disk = format!("sda={}", path("sda"));
    let run = ["run", "--server", &agents, "--id", "node-1", "--disk", &disk, "--key", &node_key, "--trust", &ring];
    let _agent = Process::start(&run);
    server.hears("node-1 is connected");
    let ctl = |name: &str, key: &str| {
        let key = path(key);
        let all = ["ctl", "--server", &operators, "--name", name, "--key", &key, "--trust", &ring, "erase", "node-1"];
        Command::new(env!("CARGO_BIN_EXE_agent")).args(all).output().unwrap().status.code()
    };
    assert_ne!(ctl("mallory", "mallory.key"), Some(0));
    assert_ne!(ctl("alice", "mallory.key"), Some(0));
    assert!(fs::read(path("sda")).unwrap().iter().all(|byte| *byte == 7));
    assert_eq!(ctl("alice", "alice.key"), Some(0));
    assert!(fs::read(path("sda")).unwrap().iter().all(|byte| *byte == 0));
}

/// With certificates the line protocol, which has no signatures, knows who is who: by their names.
#[test]
fn a_certificate_says_who_is_who() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    certificates::issue(dir.path(), &["127.0.0.1", "node-1", "node-2", "operator"]);
    let others = TempDir::new().unwrap();
    certificates::issue(others.path(), &["node-1"]);
    for disk in ["sda", "sdb", "sdc"] {
        fs::write(path(disk), vec![7; 2 * MIB]).unwrap();
    }
    for dialect in ["native", "teeth", "source"] {
        let (ca, cert, key) = (path("ca.crt"), path("127.0.0.1.crt"), path("127.0.0.1.pem"));
        let tls = ["--tls-ca", &ca, "--tls-cert", &cert, "--tls-key", &key];
        let at = ["--listen", "tls://127.0.0.1:0", "--control", "tls://127.0.0.1:0", "--dialect", dialect];
        let mut server = Process::start(&[&["server", "--insecure"], &at[..], &tls[..]].concat());
        let agents = format!("tls://{}", port(&server.hears("for agents at tls://")));
        let operators = format!("tls://{}", port(&server.hears("for operators at tls://")));
        let agent = |id: &str, disk: &str, certificate: Option<(&str, &str)>| {
            let disk = format!("sda={}", path(disk));
            let mut all = vec!["run", "--insecure", "--server", &agents, "--id", id, "--disk", &disk, "--dialect", dialect];
            all.extend(["--tls-ca", &ca]);
            if let Some((certificate, key)) = certificate {
                all.extend(["--tls-cert", certificate, "--tls-key", key]);
            }
            Process::start(&all)
        };
        // One without a certificate, one whose certificate nobody believes, and one that has another name than it says.
        let _nobody = agent("node-1", "sdb", None);
        let (theirs, their_key) = (others.path().join("node-1.crt"), others.path().join("node-1.pem"));
        let _other = agent("node-1", "sdb", Some((theirs.to_str().unwrap(), their_key.to_str().unwrap())));
        let _liar = agent("node-1", "sdc", Some((&path("node-2.crt"), &path("node-2.pem"))));
        let _agent = agent("node-1", "sda", Some((&path("node-1.crt"), &path("node-1.pem"))));
        server.hears("node-1 is connected");
        let ctl = |certificate: &[&str]| {
            let all = ["ctl", "--insecure", "--server", &operators, "--tls-ca", &ca];
            let erase = ["erase", "node-1"];
            let output = Command::new(env!("CARGO_BIN_EXE_agent")).args(all).args(certificate).args(erase).output().unwrap();
            output.status.code()
        };
        if dialect == "native" {
            // Operators speak it in any case.
            assert_eq!(ctl(&[]), Some(6), "nobody who has no certificate commands");
        }
        let (cert, key) = (path("operator.crt"), path("operator.pem"));
        assert_eq!(ctl(&["--tls-cert", &cert, "--tls-key", &key]), Some(0), "{dialect}");
        assert!(fs::read(path("sda")).unwrap().iter().all(|byte| *byte == 0), "{dialect}");
        for untouched in ["sdb", "sdc"] {
            assert!(fs::read(path(untouched)).unwrap().iter().all(|byte| *byte == 7), "{dialect}: {untouched}");
        }
        fs::write(path("sda"), vec![7; 2 * MIB]).unwrap();
    }
}

/// What the agent says to a server that is not ours, line by line.
struct Wire(BufReader<TcpStream>);

impl Wire {
    fn line(&mut self) -> Value {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).unwrap() > 0, "the agent has hung up");
        serde_json::from_str(&line).unwrap()
    }

    /// The next line that is no ping and no log.
    fn next(&mut self) -> Value {
        loop {
            let line = self.line();
            if !["ping", "log"].iter().any(|method| line["method"] == *method) {
                return line;
            }
        }
    }

    fn say(&mut self, line: &Value) {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

fn on_the_wire(dialect: &str) -> (Process, Wire, TempDir) {
    let dir = TempDir::new().unwrap();
    let disk: PathBuf = dir.path().join("sda");
    fs::write(&disk, vec![7; MIB]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (at, disk) = (listener.local_addr().unwrap().to_string(), format!("sda={}", disk.display()));
    let agent = Process::start(&["run", "--insecure", "--server", &at, "--id", "a:b:c:d", "--disk", &disk, "--dialect", dialect]);
    let wire = Wire(BufReader::new(listener.accept().unwrap().0));
    (agent, wire, dir)
}

#[test]
fn a_server_of_2013_is_answered_in_its_words() {
    let (_agent, mut wire, dir) = on_the_wire("teeth");
    let hello = wire.line();
    assert_eq!(
        (&hello["method"], &hello["params"]["id"], &hello["version"]),
        (&json!("handshake"), &json!("a:b:c:d"), &json!("v1"))
    );
    wire.say(&json!({"id": hello["id"], "version": "v1", "result": null}));
    wire.say(&json!({"id": "s", "version": "v1", "method": "status", "params": {}}));
    let status = wire.next();
    assert_eq!((&status["id"], &status["result"]["mode"]), (&json!("s"), &json!("STANDBY")));
    assert!(status["result"]["uptime"].is_f64() && status["result"]["version"].is_string());
    wire.say(&json!({"id": 7, "version": "v1", "method": "standby.prepare_image", "params": {"task_id": "t1"}}));
    let missing = wire.next();
    assert_eq!(missing["id"], 7);
    assert_eq!(missing["error"], "missing parameter \"image_id\" in \"standby.prepare_image\" command");
    wire.say(&json!({"id": "e", "version": "v1", "method": "decom.disk_erase", "params": {"task_id": "t2"}}));
    let mut last = wire.next();
    while last["method"] == "task_status" {
        assert_eq!(last["params"]["task_id"], "t2");
        last = wire.next();
    }
    assert_eq!((&last["id"], &last["result"]["disks"][0]["bytes"]), (&json!("e"), &json!(MIB)));
    assert!(fs::read(dir.path().join("sda")).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn a_server_by_the_text_is_told_how_tasks_are() {
    let (_agent, mut wire, dir) = on_the_wire("source");
    wire.say(&json!({"id": "e", "version": "v1", "method": "decom.disk_erase", "params": {"task_id": "t2"}}));
    let accepted = wire.next();
    assert_eq!((&accepted["id"], accepted.get("result").is_some()), (&json!("e"), true));
    let mut states = Vec::new();
    while states.last() != Some(&json!("complete")) {
        let said = wire.next();
        assert_eq!((&said["method"], &said["params"]["task_id"]), (&json!("task_status"), &json!("t2")), "{said}");
        if said["params"]["state"] == "running" {
            assert!(said["params"].get("percent").is_some() && said["params"].get("eta").is_some(), "{said}");
        }
        states.push(said["params"]["state"].clone());
    }
    assert!(states.len() > 2);
    assert!(fs::read(dir.path().join("sda")).unwrap().iter().all(|byte| *byte == 0));
    wire.say(&json!({"id": "f", "version": "v1", "method": "standbye.prepare_image", "params": {"task_id": "t3", "image_id": Uuid::new_v4()}}));
    let mut said = wire.next();
    while said["params"]["state"] != "error" {
        said = wire.next();
    }
    assert_eq!(said["params"]["msg"], "the agent has no images: start it with --cache and --images");
}

/// The next link may lead to a server that has given the same `task_id` to another task. It asks, and is told.
#[test]
fn the_end_of_a_task_that_outlives_its_link_is_in_the_status() {
    let dir = TempDir::new().unwrap();
    let disk = dir.path().join("sda");
    fs::File::create(&disk).unwrap().set_len(64 * MIB as u64).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (at, disk) = (listener.local_addr().unwrap().to_string(), format!("sda={}", disk.display()));
    let run = ["run", "--insecure", "--server", &at, "--id", "a:b:c:d", "--disk", &disk, "--dialect", "source"];
    let _agent = Process::start(&run);
    let dialled = || Wire(BufReader::new(listener.accept().unwrap().0));
    let mut wire = dialled();
    wire.say(&json!({"id": "e", "version": "v1", "method": "decom.disk_erase", "params": {"task_id": "t2"}}));
    while wire.next()["method"] != "task_status" {}
    drop(wire);
    let mut wire = dialled();
    for asked in 0.. {
        wire.say(&json!({"id": format!("s{asked}"), "version": "v1", "method": "status", "params": {}}));
        let status = wire.next();
        assert_eq!(status["id"], format!("s{asked}"), "nothing is said that was not asked: {status}");
        let task = &status["result"]["tasks"][0];
        assert_eq!(task["task_id"], "\"e\"");
        if task["state"] != "running" {
            assert_eq!(task["state"], "complete");
            break;
        }
    }
}

#[test]
fn what_is_not_said_or_cannot_be_is_refused_with_a_reason() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_agent")).args(arguments).stdin(Stdio::null()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let server = ["--server", "127.0.0.1:1", "--id", "x"];
    for (arguments, code, why) in [
        (vec!["run", "--server", "127.0.0.1:1"], 2, "--key"),
        (vec!["run", "--insecure"], 2, "--server"),
        (vec!["run", "--insecure", "--server", "amqp://x:1"], 2, "not over amqp"),
        (vec!["server", "--key", "x", "--trust", "y", "--insecure"], 2, "cannot be used with"),
        (vec!["ctl", "--insecure", "erase", "x", "--patterns", "nonsense"], 2, "write zeros"),
        ([&["run", "--insecure"], &server[..], &["--disk", "/dev/null"]].concat(), 1, "neither a file nor a block device"),
        ([&["run", "--insecure"], &server[..], &["--disk", "/nothing"]].concat(), 1, "No such file"),
        ([&["run", "--insecure"], &server[..], &["--images", "/x"]].concat(), 1, "--images needs --cache"),
        ([&["run", "--key", "/x", "--trust", "/y", "--dialect", "teeth"], &server[..]].concat(), 2, "no place for signatures"),
        (vec!["server", "--insecure", "--listen", "127.0.0.1:0", "--control", "0.0.0.0:0"], 1, "not of this machine only"),
        (vec!["ctl", "--insecure", "--server", "127.0.0.1:1", "list"], 6, "tcp://127.0.0.1:1 does not answer"),
        (vec!["ctl", "--insecure", "--server", "tls://127.0.0.1:1", "list"], 2, "--tls-ca FILE"),
        (vec!["ctl", "--insecure", "--tls-ca", "/x", "list"], 2, "try: tls://"),
        (vec!["server", "--insecure", "--listen", "tls://127.0.0.1:0"], 2, "--tls-cert FILE --tls-key FILE"),
        (vec!["server", "--insecure", "--listen", "127.0.0.1:0", "--tls-ca", "/x"], 2, "try: tls://"),
        (vec!["server", "--insecure", "--tls-cert", "/x"], 2, "--tls-key"),
        (vec!["server", "--insecure", "--wait", "99999999999"], 2, "--wait"),
        ([&["run", "--insecure"], &server[..], &["--grace", "99999999999"]].concat(), 2, "--grace"),
        ([&["run", "--insecure"], &server[..], &["--run-command", "/nothing"]].concat(), 1, "--run-command: /nothing"),
    ] {
        let (found, said) = run(&arguments);
        assert!(found == code && said.contains(why), "{arguments:?}: {found}: {said}");
    }
}

#[test]
fn without_arguments_it_shows_itself_and_ends() {
    let output = Command::new(env!("CARGO_BIN_EXE_agent")).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for word in ["status", "qc", "cache_images", "prepare_image", "run_image", "disk_erase", "shut down"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

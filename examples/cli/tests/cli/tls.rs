//! Agents at tls://, and certificates of both ends.

use std::{fs, sync::mpsc, thread};

use kennel::{DogModuleServer, Module};
use rmi_core::{
    Endpoint, Native, Trust,
    transport::tcp::{Tcp, tls::ServerTls},
};
use rmi_tests::certificates::issue;
use tempfile::{TempDir, tempdir};

use crate::{
    agent,
    program::{Ended, command, run, words},
};

/// An authority, and a certificate for each of these names: `NAME.crt` and `NAME.pem` beside `ca.crt`.
fn certificates(names: &[&str]) -> TempDir {
    let here = tempdir().unwrap();
    issue(here.path(), names);
    here
}

/// An agent at a port of its own, until this is dropped.
struct Agent {
    url: String,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Agent {
    fn start(here: &TempDir, name: &str, demands: bool) -> Self {
        let read = |file: &str| fs::read(here.path().join(file)).unwrap();
        let mut tls = ServerTls::new(read(&format!("{name}.crt")), read(&format!("{name}.pem"))).unwrap();
        if demands {
            tls = tls.demands(read("ca.crt")).unwrap();
        }
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (say, hear) = mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = Tcp::listen("127.0.0.1:0").tls(tls).await.unwrap();
                say.send(listener.local_addr().unwrap().port()).unwrap();
                let dog = Endpoint::builder("dog").bind(Native::default(), listener, Trust::insecure());
                let dog = dog.serve(DogModuleServer::new(Module)).start().await.unwrap();
                let _ = stopped.await;
                drop(dog);
            });
        });
        Agent { url: format!("tls://127.0.0.1:{}", hear.recv().unwrap()), _stop: stop }
    }

    fn call(&self, here: &TempDir, arguments: &str) -> Ended {
        let line = format!("call {} dog dog.echo hello --insecure {arguments}", self.url);
        run(command().args(words(&line)).current_dir(here.path()))
    }
}

#[test]
fn an_agent_is_believed_by_its_certificate() {
    let here = certificates(&["127.0.0.1", "kennel"]);
    let agent = Agent::start(&here, "127.0.0.1", false);
    let ended = agent.call(&here, "--tls-ca ca.crt");
    assert_eq!((ended.status, ended.stdout.as_str()), (0, "\"hello\"\n"), "{ended:?}");
    assert_eq!(agent.call(&here, "--tls-ca ca.crt --tls-name kennel").status, 6, "it has another name");

    let kennel = Agent::start(&here, "kennel", false);
    assert_eq!(kennel.call(&here, "--tls-ca ca.crt").status, 6, "its name is not the URL's host");
    assert_eq!(kennel.call(&here, "--tls-ca ca.crt --tls-name kennel").status, 0);

    let others = certificates(&["kennel"]);
    fs::copy(others.path().join("ca.crt"), here.path().join("other-ca.crt")).unwrap();
    assert_eq!(agent.call(&here, "--tls-ca other-ca.crt").status, 6, "another authority");
}

#[test]
fn an_agent_may_demand_a_certificate() {
    let here = certificates(&["127.0.0.1", "ann"]);
    let agent = Agent::start(&here, "127.0.0.1", true);
    assert_eq!(agent.call(&here, "--tls-ca ca.crt --tls-cert ann.crt --tls-key ann.pem").status, 0);
    let without = agent.call(&here, "--tls-ca ca.crt --timeout 2s");
    assert!([5, 6].contains(&without.status), "{without:?}");
}

#[test]
fn kennel_agent_is_reached_by_tls() {
    let here = certificates(&["127.0.0.1", "ann"]);
    let identity = ["--insecure", "--tls-cert", "127.0.0.1.crt", "--tls-key", "127.0.0.1.pem"];
    for demanded in [[].as_slice(), &["--tls-ca", "ca.crt"]] {
        let agent = agent::Agent::by_tls(&[&identity, demanded].concat(), here.path());
        let call = |arguments: &str| {
            let line = format!("call {} dog dog.echo hello --insecure --tls-ca ca.crt --timeout 2s {arguments}", agent.url);
            run(command().args(words(&line)).current_dir(here.path()))
        };
        assert_eq!(call("--tls-cert ann.crt --tls-key ann.pem").status, 0);
        assert_eq!(call("").status == 0, demanded.is_empty(), "{demanded:?}");
    }
}

#[test]
fn what_is_given_for_tls_is_checked() {
    let here = certificates(&["ann"]);
    for (arguments, why) in [
        ("tls://127.0.0.1:1 dog Dog.bark", "--tls-ca FILE"),
        ("tls://127.0.0.1:1 dog Dog.bark --tls-ca nowhere.crt", "nowhere.crt"),
        ("tls://127.0.0.1:1 dog Dog.bark --tls-ca ann.pem", "certificate"),
        ("tls://127.0.0.1:1 dog Dog.bark --tls-ca ca.crt --tls-cert ann.crt", "--tls-key"),
        ("tls://127.0.0.1:1 dog Dog.bark --listen", "--tls-cert FILE --tls-key FILE"),
        ("tcp://127.0.0.1:1 dog Dog.bark --tls-ca ca.crt", "try: tls://"),
    ] {
        let ended = run(command().args(words(&format!("call {arguments} --insecure"))).current_dir(here.path()));
        assert_eq!(ended.status, 2, "{arguments}: {ended:?}");
        assert!(ended.stderr.contains(why), "{arguments}: {ended:?}");
    }
}

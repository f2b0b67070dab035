//! The programs in the place of gofer's: `kennel agent` for an agent, `rmi` for a client.

use std::{fs, path::Path};

use rmi_core::seal::PrivateKey;
use rmi_tests::{gofer::Peer, rabbit};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    agent::Agent,
    program::{Ended, rmi, words},
};

/// A part of a test that waits for peers.
fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn call(url: &str, line: &str) -> Ended {
    rmi(words(&format!("call {url} {line}")))
}

/// The keys of an agent and of a caller: each has its own, and trusts the other's.
struct Keys(TempDir);

impl Keys {
    fn new(agent: &str) -> Self {
        let keys = Keys(TempDir::new().unwrap());
        for (name, other) in [(agent, "walker"), ("walker", agent)] {
            let key = PrivateKey::generate().unwrap();
            key.save(keys.path(&format!("{name}.key"))).unwrap();
            fs::write(keys.path(&format!("{name}.pem")), key.public().to_pem().unwrap()).unwrap();
            fs::create_dir_all(keys.path(&format!("trusted-by-{other}"))).unwrap();
            fs::copy(keys.path(&format!("{name}.pem")), keys.path(&format!("trusted-by-{other}/{name}.pem"))).unwrap();
        }
        keys
    }

    fn path(&self, name: &str) -> String {
        Path::new(self.0.path()).join(name).display().to_string()
    }

    /// What a program of ours is told.
    fn ours(&self, name: &str) -> [String; 6] {
        let (key, trusted) = (self.path(&format!("{name}.key")), self.path(&format!("trusted-by-{name}")));
        ["--dialect".into(), "gofer".into(), "--key".into(), key, "--trust".into(), trusted]
    }

    /// What a peer in Python is told.
    fn theirs(&self, name: &str, other: &str) -> Value {
        json!({"name": name, "key": self.path(&format!("{name}.key")), "ring": {other: self.path(&format!("{other}.pem"))}})
    }
}

#[test]
fn kennel_agent_is_an_agent_to_gofers_clients() {
    let url = rabbit::url();
    let mut agent = Agent::by_broker(&url, &["--address", "bello", "--insecure"]);
    wait(async {
        let client = Peer::client(json!({"url": url})).await;
        let times = json!({"kws": {"times": 2}});
        assert_eq!(client.call("bello", "Dog.bark_times", json!(["ruf"]), times).await["retval"], "ruf ruf");
        let sat = client.call("bello", "Dog.sit", json!([]), json!({})).await;
        assert_eq!((&sat["raised"], &sat["args"]), (&json!("ValueError"), &json!(["I do not sit", 42])));
        let cowboy = client.call("bello", "Cowboy.howdy", json!([]), json!({"cntr": [["Tex"], {"age": 40}]})).await;
        assert_eq!(cowboy["retval"], "Howdy, name=Tex; age=40");
        assert_eq!(client.call("bello", "Admin.hello", json!([]), json!({})).await["retval"], "Hello, I am bello");
    });
    assert_eq!(agent.signal(Signal::TERM), "drained\n");
}

#[test]
fn kennel_agent_signs_by_gofers_scheme() {
    let (url, keys) = (rabbit::url(), Keys::new("signed"));
    let ours = keys.ours("signed");
    let arguments: Vec<&str> = ["--address", "signed"].into_iter().chain(ours.iter().map(String::as_str)).collect();
    let _agent = Agent::by_broker(&url, &arguments);
    wait(async {
        let walker = Peer::client(json!({"url": url, "authenticator": keys.theirs("walker", "signed")})).await;
        assert!(walker.call("signed", "Dog.bark", json!(["x"]), json!({})).await["retval"].is_string());
        let anybody = Peer::client(json!({"url": url})).await;
        let told = anybody.call("signed", "Dog.bark", json!(["x"]), json!({})).await;
        assert_eq!(told["args"][0], "security.authentication", "{told}");
    });
    // And ours call it in the same words.
    let ended = call(&url, &format!("signed Dog.bark hello --as walker {}", keys.ours("walker").join(" ")));
    assert!(ended.status == 0 && ended.stdout.contains("hello"), "{ended:?}");
}

#[test]
fn rmi_call_is_a_client_to_gofers_agents() {
    let (url, keys) = (rabbit::url(), Keys::new("theirs"));
    wait(async {
        for (queue, reads) in [("reads-kwargs", "kwargs"), ("reads-kws", "kws")] {
            let peer = Peer::agent(json!({"url": url, "queue": queue, "reads": reads})).await;
            for dialect in ["native", "gofer"] {
                let (url, line) =
                    (url.clone(), format!("{queue} Dog.bark_times ruf --kw times=2 --raw --dialect {dialect} --insecure"));
                let ended = tokio::task::spawn_blocking(move || call(&url, &line)).await.unwrap();
                assert_eq!((ended.status, ended.stdout.as_str()), (0, "ruf ruf\n"), "{ended:?}");
            }
            drop(peer);
        }
        let _peer = Peer::agent(json!({"url": url, "queue": "theirs", "authenticator": keys.theirs("theirs", "walker")})).await;
        let lines = [
            (format!("theirs Dog.bark hello --as walker {}", keys.ours("walker").join(" ")), 0, "hello"),
            (format!("theirs Dog.sit --as walker {}", keys.ours("walker").join(" ")), 1, "ValueError"),
            // Who signs otherwise is not understood, and told what to say.
            (
                format!("theirs Dog.bark hello --as walker --timeout 2s {}", keys.ours("walker")[2..].join(" ")),
                5,
                "--dialect gofer",
            ),
            // An agent that demands signatures tells whoever has none.
            ("theirs Dog.bark hello --insecure".to_owned(), 3, "security.authentication"),
            // One that is gone has taken its queue, or left it.
            ("never-there Dog.bark hello --insecure".to_owned(), 4, "never-there"),
            ("reads-kws Dog.bark hello --timeout 300ms --insecure".to_owned(), 5, "timed out"),
        ];
        for (line, status, part) in lines {
            let url = url.clone();
            let ended = tokio::task::spawn_blocking({
                let line = line.clone();
                move || call(&url, &line)
            })
            .await
            .unwrap();
            assert_eq!(ended.status, status, "{line}: {ended:?}");
            assert!(format!("{}{}", ended.stdout, ended.stderr).contains(part), "{line}: {ended:?}");
        }
    });
}

/// What the guide shows is what there is.
#[test]
fn the_commands_of_the_guide_work() {
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gofer.md")).unwrap();
    let url = rabbit::url();
    let commands: Vec<&str> = guide.lines().filter_map(|line| line.strip_prefix("As a process: `")?.strip_suffix("`.")).collect();
    let [agent, caller] = commands[..] else { panic!("{commands:?}") };
    let address: Vec<&str> = agent.strip_prefix("kennel agent --url amqp://broker ").unwrap().split_whitespace().collect();
    let _agent = Agent::by_broker(&url, &address);
    let ended = rmi(words(&caller.strip_prefix("rmi ").unwrap().replace("amqp://broker", &url)));
    assert!(ended.status == 0 && ended.stdout.contains("hello"), "{ended:?}");
}

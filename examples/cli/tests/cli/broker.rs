//! Agents that are reached by RabbitMQ.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    thread,
};

use rmi_tests::{
    on_core::{Bus, World},
    rabbit,
};
use rustix::process::Signal;
use serde_json::json;

use crate::{
    agent::Agent,
    program::{Ended, rmi, words},
};

fn ask(url: &str, command: &str) -> Ended {
    let ended = rmi(words(&format!("{} --insecure", command.replace("{}", url))));
    let shown = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!shown.contains("guest:guest"), "credentials are shown: {shown}");
    ended
}

#[test]
fn an_agent_at_a_broker_is_called_and_described() {
    let url = rabbit::url();
    let mut agent = Agent::by_broker(&url, &["--address", "rex", "--insecure"]);
    let ended = ask(&url, "call {} rex Dog.bark hello --json");
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.end()["result"].as_str().is_some_and(|said| said.contains("hello")), "{ended:?}");
    let ended = ask(&url, "call {} rex Dog.wag 3 --kw delay=0.01 --watch --json");
    assert_eq!(ended.lines().iter().filter(|line| line["status"] == "progress").count(), 3, "{ended:?}");
    assert!(ask(&url, "describe {} rex").stdout.contains("bark_times"));
    assert_eq!(ask(&url, "call {} nobody Dog.bark hello").status, 4, "nobody there is told at once");

    // Another agent of this address shares its requests, and both drain.
    let other = Agent::by_broker(&url, &["--address", "rex", "--insecure"]);
    assert_eq!(ask(&url, "call {} rex Dog.bark hello").status, 0);
    drop(other);
    assert_eq!(agent.signal(Signal::TERM), "drained\n");
}

#[test]
fn an_address_may_lead_through_an_exchange() {
    let url = rabbit::url();
    let _agent = Agent::by_broker(&url, &["--address", "amq.direct/rover", "--insecure"]);
    for address in ["amq.direct/rover", "rover"] {
        let ended = ask(&url, &format!("call {{}} {address} Dog.bark hello"));
        assert!(ended.status == 0 && ended.stdout.contains("hello"), "{address}: {ended:?}");
    }
    assert_eq!(ask(&url, "call {} amq.direct/nobody Dog.bark hello").status, 4, "nobody there is told at once");
    assert_eq!(ask(&url, "call {} no-such-exchange/rover Dog.bark hello --timeout 5s").stdout, "");
}

/// Kills a subscriber that has not heard anything, whatever becomes of the test.
struct Subscriber(Child);

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first line that a subscriber prints, while this is published again and again: it says nothing until it has heard something.
fn heard(subscribe: &[&str], publish: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rmi"));
    let mut subscriber = Subscriber(command.args(subscribe).stdout(Stdio::piped()).spawn().unwrap());
    let mut stdout = BufReader::new(subscriber.0.stdout.take().unwrap());
    thread::scope(|scope| {
        let hearing = scope.spawn(|| {
            let mut line = String::new();
            stdout.read_line(&mut line).map(|_| line)
        });
        while !hearing.is_finished() {
            let ended = rmi(publish.iter().copied());
            assert_eq!(ended.status, 0, "{ended:?}");
        }
        hearing.join().unwrap().unwrap()
    })
}

#[test]
fn events_are_published_and_heard_at_a_broker() {
    let url = rabbit::url();
    let heard = heard(
        &["subscribe", &url, "dog.barked.*", "--insecure", "--json"],
        &["publish", &url, "dog.barked.rex", r#"{"words":"woof"}"#, "--insecure"],
    );
    let heard: serde_json::Value = serde_json::from_str(&heard).unwrap();
    assert_eq!(heard["event"]["key"], json!("dog.barked.rex"), "{heard}");
}

/// The lease service as RackHD's processes know it, in words that `rmi` is told.
#[test]
fn services_of_rackhd_are_called_in_their_words() {
    let (url, runtime) = (rabbit::url(), tokio::runtime::Runtime::new().unwrap());
    for (dialect, legacy) in [("rackhd", false), ("rackhd-legacy", true)] {
        let bus = Bus::Rabbit(String::new());
        let world = if legacy { World::legacy(&bus) } else { World::on(&bus) };
        let _leases = runtime.block_on(world.leases());
        // As it stands in the documentation: the dialect's name says that nothing is signed, and it is shown what that means.
        let lookup = ["call", "--dialect", dialect, &url, "dhcp", "dhcp.lookupIpLease", "10.1.1.2", "--json"];
        let ended = rmi(lookup);
        assert_eq!((ended.status, &ended.end()["result"]), (0, &json!("08:00:27:52:d2:a4")), "{ended:?}");
        assert!(ended.stderr.contains("everybody is believed"), "{ended:?}");
        let ended = rmi(lookup.into_iter().chain(["--insecure"]));
        assert_eq!((ended.status, &*ended.stderr), (0, ""), "who has said it is not told");
        let ended = rmi(["call", "--dialect", dialect, &url, "dhcp", "dhcp.lookupIpLease", "10.1.1.99"]);
        assert!(ended.status == 1 && ended.stderr.contains("no such lease: 10.1.1.99"), "{ended:?}");
        let ended = rmi(["call", "--dialect", dialect, &url, "dhcp", "dhcp.lookupIpLease", "::1"]);
        assert!(ended.status == 2 && ended.stderr.contains("IPv4"), "{ended:?}");
        assert_eq!(rmi(["call", "--dialect", dialect, &url, "dhcp", "dhcp.nosuch"]).status, 4);
    }
    for command in [&["describe", &url, "dhcp"][..], &["cancel", &url, "dhcp", "7"], &["call", &url, "dhcp", "Admin.hello"]] {
        let ended = rmi(command.iter().copied().chain(["--dialect", "rackhd"]));
        assert!(ended.status == 2 && ended.stderr.contains("no `Admin`"), "{ended:?}");
    }
    let ended = rmi(["call", "--dialect", "rackhd", "tcp://127.0.0.1:1", "dhcp", "dhcp.peekLeaseTable"]);
    assert!(ended.status == 2 && ended.stderr.contains("RabbitMQ"), "{ended:?}");

    let key = "graph.finished.4f2f";
    let heard = heard(
        &["subscribe", "--dialect", "rackhd", &url, "graph.#", "--json"],
        &["publish", "--dialect", "rackhd", &url, key, r#"{"status":"succeeded"}"#],
    );
    assert!(heard.contains(key) && heard.contains("succeeded"), "{heard}");
}

#[test]
fn what_is_of_no_use_at_a_broker_is_told() {
    let url = rabbit::url();
    let ended = ask(&url, "call {} dog Dog.bark hello --listen");
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("broker"), "{ended:?}");
    assert_eq!(ask(&url, "call {} dog Dog.bark hello --tls-name x").status, 2);
    let ended = ask("amqp://dog:secret@127.0.0.1:1/kennel", "call {} dog Dog.bark hello --json");
    assert_eq!(ended.status, 6, "{ended:?}");
    assert!(ended.stdout.contains("127.0.0.1:1") && !ended.stdout.contains("secret"), "{ended:?}");
}

//! Calls with keys made by `rmi keygen` and trusted by `rmi trust`.

use std::{fs, os::unix::fs::PermissionsExt};

use rustix::process::Signal;
use tempfile::{TempDir, tempdir};

use crate::{
    agent::Agent,
    program::{Ended, command, run, words},
};

fn within(directory: &TempDir, line: &str) -> Ended {
    run(command().args(words(line)).current_dir(directory.path()))
}

/// An agent and a caller who trust each other.
fn kennel() -> (TempDir, Agent) {
    let here = tempdir().unwrap();
    for name in ["dog", "ann"] {
        assert_eq!(within(&here, &format!("keygen {name}")).status, 0);
        assert_eq!(within(&here, &format!("trust add trusted {name}.pem")).status, 0);
    }
    let agent = Agent::start(&["--key", "dog.key", "--trust", "trusted"], here.path());
    (here, agent)
}

#[test]
fn who_is_trusted_is_answered() {
    let (here, agent) = kennel();
    let ended = within(&here, &format!("call {} dog dog.echo hello --key ann.key --trust trusted", agent.url));
    assert_eq!((ended.status, ended.stdout.as_str()), (0, "\"hello\"\n"), "{ended:?}");
    let ended = within(&here, &format!("describe {} dog Dog.bark --key ann.key --trust trusted --json", agent.url));
    assert_eq!(ended.end()["contracts"][0]["methods"][0]["name"], "bark");
}

/// The agent has heard it, says so, and runs nothing.
#[track_caller]
fn refused(ended: &Ended) {
    assert_eq!((ended.status, ended.stdout.as_str()), (3, ""), "{ended:?}");
    assert!(ended.stderr.contains("was rejected (security.authentication)"), "{ended:?}");
    assert!(ended.stderr.contains("try: the agent's directory of trusted keys"), "{ended:?}");
}

#[test]
fn who_signs_with_another_key_is_refused() {
    let (here, agent) = kennel();
    fs::create_dir(here.path().join("forged")).unwrap();
    assert_eq!(within(&here, "keygen forged/ann").status, 0);
    let line = format!("call {} dog Dog.bark hello --key forged/ann.key --trust trusted", agent.url);
    refused(&within(&here, &line));
    // Under a name that the agent does not know it is no better.
    refused(&within(&here, &format!("{line} --as mallory")));
}

#[test]
fn who_does_not_sign_is_refused() {
    let (here, agent) = kennel();
    refused(&within(&here, &format!("call {} dog Dog.bark hello --insecure --as ann", agent.url)));
}

#[test]
fn an_agent_that_is_not_trusted_is_not_believed() {
    let (here, agent) = kennel();
    assert_eq!(within(&here, "trust add others ann.pem").status, 0);
    let ended = within(&here, &format!("call {} dog Dog.bark hello --key ann.key --trust others --timeout 1s", agent.url));
    assert_eq!((ended.status, ended.stdout.as_str()), (5, ""), "{ended:?}");
    assert!(ended.stderr.contains("is not heard if you do not trust it"), "{ended:?}");
}

#[test]
fn keys_that_cannot_be_used_are_named() {
    let (here, agent) = kennel();
    let call = |key: &str, trust: &str| {
        let line = format!("call {} dog Dog.bark hello --key {key} --trust {trust} --json", agent.url);
        let ended = within(&here, &line);
        assert_eq!(ended.status, 2, "{ended:?}");
        ended
    };
    assert!(call("nobody.key", "trusted").stderr.contains("nobody.key"));
    assert!(call("ann.key", "nowhere").stderr.contains("nowhere"));
    let other = here.path().join("other.key");
    fs::write(&other, "not a key").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(call("other.key", "trusted").stderr.contains("no private Ed25519 key"));
    let wide = here.path().join("ann.key");
    fs::set_permissions(&wide, fs::Permissions::from_mode(0o644)).unwrap();
    let ended = call("ann.key", "trusted");
    assert!(ended.stderr.contains("chmod 600"), "{ended:?}");
    assert_eq!(ended.end()["usage"]["message"].as_str().map(|message| message.contains("0644")), Some(true));
}

#[test]
fn a_key_that_is_revoked_is_refused_once_the_agent_has_read_its_keys_again() {
    let (here, mut agent) = kennel();
    let line = format!("call {} dog Dog.bark hello --key ann.key --trust trusted", agent.url);
    assert_eq!(within(&here, &line).status, 0);
    assert_eq!(within(&here, "trust revoke trusted ann").status, 0);
    assert_eq!(agent.signal(Signal::HUP), "the keys were read again\n");
    refused(&within(&here, &line));
    // What cannot be read changes nothing.
    fs::write(here.path().join("trusted/bob.pem"), "no key").unwrap();
    assert_eq!(agent.signal(Signal::HUP), "the keys could not be read again\n");
    fs::remove_file(here.path().join("trusted/bob.pem")).unwrap();
    refused(&within(&here, &line));
}

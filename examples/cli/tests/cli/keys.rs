//! Keys and the directory of those that are trusted.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use rmi_core::{Keyring, seal::PrivateKey};
use serde_json::json;
use tempfile::{TempDir, tempdir};

use crate::program::{Ended, command, run, words};

/// Runs the program in a directory.
fn within(directory: &TempDir, line: &str) -> Ended {
    run(command().args(words(line)).current_dir(directory.path()))
}

/// As [`within`], for what has to go well.
#[track_caller]
fn well(directory: &TempDir, line: &str) -> Ended {
    let ended = within(directory, line);
    assert_eq!(ended.status, 0, "{line}: {ended:?}");
    ended
}

fn ring(directory: &TempDir) -> Keyring {
    Keyring::load(directory.path().join("trusted")).unwrap()
}

fn fingerprint(directory: &TempDir, name: &str) -> String {
    let key = PrivateKey::load(directory.path().join(format!("{name}.key"))).unwrap();
    key.public().fingerprint().to_string()
}

#[test]
fn a_key_is_two_files_and_only_one_is_for_others() {
    let here = tempdir().unwrap();
    let ended = well(&here, "keygen ann");
    let mode = |file: &str| fs::metadata(here.path().join(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("ann.key"), 0o600);
    assert!(ended.stdout.contains(&fingerprint(&here, "ann")), "{ended:?}");
    assert!(fs::read_to_string(here.path().join("ann.pem")).unwrap().starts_with("-----BEGIN PUBLIC KEY-----"));

    let again = within(&here, "keygen ann");
    assert_eq!(again.status, 2, "a key is never overwritten: {again:?}");
    fs::remove_file(here.path().join("ann.pem")).unwrap();
    assert_eq!(within(&here, "keygen ann").status, 2);
    assert!(!here.path().join("ann.pem").exists(), "a public key without its private one");

    fs::create_dir(here.path().join("keys")).unwrap();
    let line = well(&here, "keygen keys/bob.smith --json").end();
    assert_eq!((&line["result"]["name"], &line["result"]["key"]), (&json!("bob.smith"), &json!("keys/bob.smith.key")));
    for name in ["..", "nowhere/ann", ".ann"] {
        assert_eq!(within(&here, &format!("keygen {name}")).status, 2);
    }
}

#[test]
fn what_is_added_is_what_programs_load() {
    let here = tempdir().unwrap();
    for name in ["ann", "bob"] {
        well(&here, &format!("keygen {name}"));
    }
    well(&here, "trust add trusted ann.pem --answers-for ann.log");
    well(&here, "trust add trusted bob.pem --name a/b --not-after 2099-01-01T00:00:00Z");
    let keyring = ring(&here);
    assert_eq!(keyring.senders(), ["a/b", "ann"]);
    assert!(keyring.answers("ann", "ann.log") && !keyring.answers("ann", "bob"));
    assert_eq!(keyring.live("a/b").len(), 1);

    let lines = well(&here, "trust list trusted --json").lines();
    assert_eq!((&lines[0]["key"]["name"], &lines[0]["key"]["not_after"]), (&json!("a/b"), &json!("2099-01-01T00:00:00.000Z")));
    assert_eq!(lines[1]["key"]["fingerprint"], json!(fingerprint(&here, "ann")));
    assert_eq!(lines[1]["key"]["answers_for"], json!(["ann.log"]));
    let table = well(&here, "trust list trusted").stdout;
    assert!(table.contains("up to 2099") && table.contains(&fingerprint(&here, "ann")[..16]), "{table}");
    assert_eq!(well(&here, "trust verify trusted").stdout, "good: 2 keys, 2 of 2 names valid now\n");
}

#[test]
fn a_name_is_never_a_path() {
    let here = tempdir().unwrap();
    well(&here, "keygen ann");
    well(&here, "trust add trusted ann.pem --name ../../ann");
    assert_eq!(ring(&here).senders(), ["../../ann"]);
    let files: Vec<_> = fs::read_dir(here.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
}

#[test]
fn what_contradicts_itself_is_not_added() {
    let here = tempdir().unwrap();
    for name in ["k1", "k2", "k3", "k4"] {
        well(&here, &format!("keygen {name}"));
    }
    for name in ["k1", "k2", "k3"] {
        well(&here, &format!("trust add trusted {name}.pem --name ann"));
    }
    assert_eq!(ring(&here).live("ann").len(), 3);
    for (line, why) in [
        ("trust add trusted k4.pem --name ann", "more than 3 live keys"),
        ("trust add trusted k1.pem --name ann", "already"),
        ("trust add trusted k1.pem --name bob", "ann's already"),
        ("trust add trusted k4.key", "private"),
        ("trust add trusted k5.pem", "cannot read"),
        ("trust add trusted k4.pem --not-after tomorrow", "RFC 3339"),
        ("trust add trusted k4.pem --not-before 2099-01-01T00:00:00Z --not-after 2098-01-01T00:00:00Z", "never be valid"),
    ] {
        let ended = within(&here, line);
        assert_eq!(ended.status, 2, "{line}: {ended:?}");
        assert!(ended.stderr.contains(why), "{line}: {ended:?}");
        assert_eq!(ring(&here).live("ann").len(), 3);
        assert_eq!(ring(&here).senders(), ["ann"]);
    }
}

#[test]
fn what_is_revoked_is_not_trusted_whoever_has_it() {
    let here = tempdir().unwrap();
    for name in ["ann", "bob"] {
        well(&here, &format!("keygen {name}"));
        well(&here, &format!("trust add trusted {name}.pem"));
    }
    well(&here, &format!("trust revoke trusted {}", &fingerprint(&here, "ann")[..8].to_uppercase()));
    assert!(ring(&here).live("ann").is_empty() && !ring(&here).live("bob").is_empty());
    let lines = well(&here, "trust list trusted --json").lines();
    assert_eq!((&lines[0]["key"]["state"], &lines[1]["key"]["state"]), (&json!("revoked"), &json!("valid")));
    for unknown in ["cat", "0123456789abcdef", &fingerprint(&here, "bob")[..7]] {
        assert_eq!(within(&here, &format!("trust revoke trusted {unknown}")).status, 2);
    }
    assert!(!ring(&here).live("bob").is_empty());
}

#[test]
fn one_key_of_a_file_expires_and_the_others_stay() {
    let here = tempdir().unwrap();
    for name in ["ann", "new"] {
        well(&here, &format!("keygen {name}"));
    }
    well(&here, "trust add trusted ann.pem");
    // As an operator does it by hand.
    let file = here.path().join("trusted/ann.pem");
    let both = fs::read_to_string(&file).unwrap() + &fs::read_to_string(here.path().join("new.pem")).unwrap();
    fs::write(&file, both).unwrap();
    assert_eq!(ring(&here).live("ann").len(), 2);

    well(&here, &format!("trust expire trusted {}", fingerprint(&here, "ann")));
    let live = ring(&here).live("ann");
    assert_eq!(live.len(), 1);
    assert_eq!(live[0].key().fingerprint().to_string(), fingerprint(&here, "new"));

    well(&here, "trust expire trusted ann --at 2020-01-01T00:00:00Z");
    assert!(ring(&here).live("ann").is_empty());
    let ended = well(&here, "trust verify trusted");
    assert!(ended.stderr.contains("ann has no key that is valid now"), "{ended:?}");
}

#[test]
fn a_directory_that_cannot_be_loaded_is_named_and_left_alone() {
    let here = tempdir().unwrap();
    well(&here, "keygen ann");
    well(&here, "trust add trusted ann.pem");
    fs::write(here.path().join("trusted/bob.pem"), "no key").unwrap();
    let ended = within(&here, "trust verify trusted");
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.stderr.contains("bob.pem"), "{ended:?}");
    assert_eq!(within(&here, "trust revoke trusted ann").status, 2);
    assert!(!Path::new(&here.path().join("trusted/revoked")).exists());
    assert_eq!(within(&here, "trust verify nowhere").status, 1);
    assert_eq!(within(&here, "trust list nowhere").status, 2);
}

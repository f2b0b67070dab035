//! The keyring: rotation, validity, revocation, and the directory that it is read from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use rmi_core::{
    seal::{AuthError, Authenticator, Ed25519, Keyring, KeyringError, Principal, PrivateKey, Sealed, TrustedKey},
    time::{Clock, Timestamp},
};
use tempfile::TempDir;

const TEXT: &[u8] = b"a text";

/// A clock that says what it is told.
#[derive(Debug, Default)]
struct Wall(AtomicI64);

impl Wall {
    fn set(&self, date: &str) {
        self.0.store(at(date).as_millis(), Ordering::Relaxed);
    }
}

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

fn at(date: &str) -> Timestamp {
    Timestamp::parse(date).unwrap()
}

fn key() -> PrivateKey {
    PrivateKey::generate().unwrap()
}

fn pem(key: &PrivateKey) -> String {
    key.public().to_pem().unwrap()
}

fn verify(keyring: &Keyring, key: &PrivateKey, sender: &str) -> Result<Principal, AuthError> {
    let signature = Ed25519::new(key.clone(), Keyring::new()).sign(&[TEXT]).unwrap().pop().unwrap();
    let receiver = Ed25519::new(self::key(), keyring.clone());
    receiver.verify(&[Sealed { text: TEXT, signature: &signature, sender: Some(sender) }]).pop().unwrap()
}

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn load(files: &[(&str, &str)]) -> Result<Keyring, KeyringError> {
    Keyring::load(directory(files).path())
}

#[test]
fn a_key_is_rotated_without_a_gap() {
    let (old, new) = (key(), key());
    let files = directory(&[("dhcp-1.pem", &pem(&old))]);
    let keyring = Keyring::load(files.path()).unwrap();
    assert!(verify(&keyring, &old, "dhcp-1").is_ok());
    assert!(verify(&keyring, &new, "dhcp-1").is_err());

    fs::write(files.path().join("dhcp-1.pem"), pem(&old) + &pem(&new)).unwrap();
    keyring.reload().unwrap();
    assert_eq!(verify(&keyring, &old, "dhcp-1"), Ok(Principal::Key("dhcp-1".into())));
    assert_eq!(verify(&keyring, &new, "dhcp-1"), Ok(Principal::Key("dhcp-1".into())));

    fs::write(files.path().join("dhcp-1.pem"), pem(&new)).unwrap();
    keyring.reload().unwrap();
    assert_eq!(verify(&keyring, &old, "dhcp-1"), Err(AuthError::BadSignature("dhcp-1".into())));
    assert!(verify(&keyring, &new, "dhcp-1").is_ok());

    fs::remove_file(files.path().join("dhcp-1.pem")).unwrap();
    keyring.reload().unwrap();
    assert_eq!(verify(&keyring, &new, "dhcp-1"), Err(AuthError::UnknownSender("dhcp-1".into())));
    assert_eq!(keyring.failed_reloads(), 0);
}

#[test]
fn a_key_is_valid_within_its_dates_by_the_clock_of_the_moment() {
    let (key, clock) = (key(), Arc::new(Wall::default()));
    let dates = r#"{"not_before": "2026-11-20T00:00:00Z", "not_after": "2026-12-20T01:00:00+01:00"}"#;
    let files = directory(&[("dhcp-1.pem", &pem(&key)), ("dhcp-1.json", dates)]);
    let keyring = Keyring::load_with_clock(files.path(), clock.clone()).unwrap();
    let unknown = Err(AuthError::UnknownSender("dhcp-1".into()));
    for (now, valid) in [
        ("2026-11-19T23:59:59.999Z", false),
        ("2026-11-20T00:00:00Z", true),
        ("2026-12-20T00:00:00Z", true),
        ("2026-12-20T00:00:00.001Z", false),
    ] {
        clock.set(now);
        let result = verify(&keyring, &key, "dhcp-1");
        assert_eq!(result, if valid { Ok(Principal::Key("dhcp-1".into())) } else { unknown.clone() }, "{now}");
        assert_eq!(keyring.live("dhcp-1").len(), usize::from(valid));
    }
}

#[test]
fn a_revoked_key_is_nobodys() {
    let (good, bad) = (key(), key());
    let list = format!("# lost on a train\n\n  {} # dhcp-1's\n", bad.public().fingerprint());
    let keys = pem(&good) + &pem(&bad);
    let files = directory(&[("dhcp-1.pem", &keys), ("dhcp-2.pem", &pem(&bad)), ("revoked", &list)]);
    let keyring = Keyring::load(files.path()).unwrap();
    assert!(verify(&keyring, &good, "dhcp-1").is_ok());
    assert!(verify(&keyring, &bad, "dhcp-1").is_err());
    assert!(verify(&keyring, &bad, "dhcp-2").is_err());
    assert_eq!(keyring.senders(), ["dhcp-1"]);

    // Revoking by the program outlives a reload, and comes before trusting.
    keyring.revoke(good.public().fingerprint());
    assert!(verify(&keyring, &good, "dhcp-1").is_err());
    keyring.reload().unwrap();
    keyring.trust("dhcp-1", good.public()).unwrap();
    assert!(verify(&keyring, &good, "dhcp-1").is_err());
}

#[test]
fn a_fourth_live_key_is_refused() {
    let keys: Vec<_> = (0..4).map(|_| key()).collect();
    let three: String = keys[..3].iter().map(pem).collect();
    let four = three.clone() + &pem(&keys[3]);
    assert!(load(&[("dhcp-1.pem", &three)]).is_ok());

    let error = load(&[("dhcp-1.pem", &four)]).unwrap_err();
    assert!(matches!(&error, KeyringError::TooManyKeys { sender, .. } if sender == "dhcp-1"), "{error}");
    assert!(error.to_string().contains(&keys[3].public().fingerprint().short()), "{error}");

    // The same spread over two files.
    let second = [("dhcp-1.pem", three.as_str()), ("new.pem", &pem(&keys[3])), ("new.json", r#"{"sender": "dhcp-1"}"#)];
    assert!(matches!(load(&second), Err(KeyringError::TooManyKeys { .. })));

    // What is over, or revoked, or there twice, does not count.
    let over = [second[0], second[1], ("new.json", r#"{"sender": "dhcp-1", "not_after": "2001-01-01T00:00:00Z"}"#)];
    assert!(load(&over).is_ok());
    let revoked = keys[0].public().fingerprint().to_string();
    assert!(load(&[("dhcp-1.pem", &four), ("revoked", &revoked)]).is_ok());
    assert!(load(&[("dhcp-1.pem", &(three.clone() + &pem(&keys[0])))]).is_ok());

    // By the program: what was there stays.
    let keyring = load(&[("dhcp-1.pem", &three)]).unwrap();
    assert!(matches!(keyring.trust("dhcp-1", keys[3].public()), Err(KeyringError::TooManyKeys { .. })));
    assert!(verify(&keyring, &keys[0], "dhcp-1").is_ok());
    assert!(verify(&keyring, &keys[3], "dhcp-1").is_err());
    keyring.trust("dhcp-2", keys[3].public()).unwrap();
    assert!(matches!(keyring.trust("", keys[3].public()), Err(KeyringError::EmptyName)));
}

#[test]
fn a_clock_that_is_set_back_brings_no_fourth_key_to_life() {
    let clock = Arc::new(Wall::default());
    clock.set("2026-11-20T00:00:00Z");
    let keyring = Keyring::with_clock(clock.clone());
    for _ in 0..5 {
        keyring.trust("dhcp-1", TrustedKey::new(key().public()).not_after(at("2026-11-01T00:00:00Z"))).unwrap();
    }
    assert_eq!(keyring.live("dhcp-1").len(), 0);
    clock.set("2026-10-01T00:00:00Z");
    assert_eq!(keyring.live("dhcp-1").len(), 3);
}

#[test]
fn a_failed_reload_keeps_the_last_good_ring_and_is_counted() {
    let (old, new, added) = (key(), key(), key());
    let files = directory(&[("dhcp-1.pem", &pem(&old))]);
    let keyring = Keyring::load(files.path()).unwrap();
    keyring.trust("console", added.public()).unwrap();

    fs::write(files.path().join("dhcp-1.pem"), pem(&new)).unwrap();
    fs::write(files.path().join("z.pem"), "-----BEGIN PUBLIC KEY-----\nhalf a f").unwrap();
    let error = keyring.reload().unwrap_err();
    assert!(error.to_string().contains("z.pem"), "{error}");
    assert_eq!(keyring.failed_reloads(), 1);
    assert!(verify(&keyring, &old, "dhcp-1").is_ok());
    assert!(verify(&keyring, &new, "dhcp-1").is_err());
    assert!(verify(&keyring, &added, "console").is_ok());

    fs::remove_file(files.path().join("z.pem")).unwrap();
    keyring.reload().unwrap();
    assert!(verify(&keyring, &new, "dhcp-1").is_ok());
    assert!(verify(&keyring, &added, "console").is_ok());

    files.close().unwrap();
    assert!(matches!(keyring.reload(), Err(KeyringError::Read { .. })));
    assert_eq!(keyring.failed_reloads(), 2);
    assert!(verify(&keyring, &new, "dhcp-1").is_ok());
}

#[test]
fn a_reload_reaches_every_clone() {
    let key = key();
    let files = directory(&[]);
    let keyring = Keyring::load(files.path()).unwrap();
    let clone = keyring.clone();
    fs::write(files.path().join("dhcp-1.pem"), pem(&key)).unwrap();
    keyring.reload().unwrap();
    assert!(verify(&clone, &key, "dhcp-1").is_ok());
    // There is nothing to read for a ring of the program's.
    Keyring::new().reload().unwrap();
}

#[test]
fn a_senders_name_is_a_map_key_and_nothing_else() {
    let (key, secret) = (key(), key());
    let files = directory(&[("dhcp-1.pem", &pem(&key))]);
    let outside = files.path().parent().unwrap().join(format!("{}-outside.pem", std::process::id()));
    fs::write(&outside, pem(&secret)).unwrap();
    let keyring = Keyring::load(files.path()).unwrap();
    let name = outside.file_stem().unwrap().to_str().unwrap();
    for sender in ["../../etc/passwd", &format!("../{name}"), "dhcp-1.pem", "./dhcp-1", "", "DHCP-1", "dhcp-1\0", "revoked"] {
        let result = verify(&keyring, &secret, sender);
        assert_eq!(result, Err(AuthError::UnknownSender(sender.replace('\0', "\u{fffd}").into())), "{sender}");
    }
    fs::remove_file(outside).unwrap();

    // Where an operator wants such names they are names like any other.
    keyring.trust("../../etc/passwd", secret.public()).unwrap();
    assert!(verify(&keyring, &secret, "../../etc/passwd").is_ok());
    let keyring = load(&[("one.pem", &pem(&secret)), ("one.json", r#"{"sender": "rack/7/agent \u0000ü"}"#)]).unwrap();
    assert_eq!(keyring.senders(), ["rack/7/agent \0ü"]);
    assert!(verify(&keyring, &secret, "rack/7/agent \0ü").is_ok());
    assert!(verify(&keyring, &secret, "one").is_err());
}

#[test]
fn dots_in_a_file_name_belong_to_the_name() {
    let keyring = load(&[("10.0.0.2.pem", &pem(&key())), ("10.0.0.2.json", r#"{"answers_for": ["dhcp"]}"#)]).unwrap();
    assert_eq!(keyring.senders(), ["10.0.0.2"]);
    assert!(keyring.answers("10.0.0.2", "dhcp"));
}

#[test]
fn a_sender_answers_for_its_own_address_and_those_it_was_allowed() {
    let files = [
        ("dhcp-1.pem", &*pem(&key())),
        ("dhcp-1.json", r#"{"answers_for": ["dhcp", "rmi/dhcp"]}"#),
        ("dhcp-2.pem", &pem(&key())),
    ];
    let keyring = load(&files).unwrap();
    for (sender, address, may) in [
        ("dhcp-1", "dhcp-1", true),
        ("dhcp-1", "dhcp", true),
        ("dhcp-1", "rmi/dhcp", true),
        ("dhcp-1", "dhcp-2", false),
        ("dhcp-1", "rmi/dhcp-1", false),
        ("dhcp-2", "dhcp", false),
        ("stranger", "dhcp", false),
    ] {
        assert_eq!(keyring.answers(sender, address), may, "{sender} for {address}");
    }
    keyring.allow_answers("dhcp-2", "dhcp");
    keyring.reload().unwrap_err();
    assert!(keyring.answers("dhcp-2", "dhcp"));
}

#[test]
fn a_scheme_belongs_to_the_key() {
    let key = key();
    let keyring = load(&[("a.pem", &pem(&key)), ("a.json", r#"{"scheme": "ed25519-tree"}"#)]).unwrap();
    assert_eq!(keyring.live("a")[0].scheme(), "ed25519-tree");
    assert!(matches!(verify(&keyring, &key, "a"), Err(AuthError::Scheme(_))));
}

#[test]
fn what_is_wrong_in_a_directory_is_said_with_the_file() {
    let good = pem(&key());
    let private = key().to_pem();
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("a.pem", "")], "a.pem"),
        (&[("a.pem", private.as_str())], "a.pem"),
        (&[("a.pem", include_str!("../vectors/keys/rsa.public.pem"))], "a.pem"),
        (&[("a.json", "{}")], "a.json"),
        (&[("a.pem", &good), ("a.json", "")], "a.json"),
        (&[("a.pem", &good), ("a.json", r#"{"notafter": "2026-11-20T00:00:00Z"}"#)], "a.json"),
        (&[("a.pem", &good), ("a.json", r#"{"not_after": "2026-11-20"}"#)], "a.json"),
        (
            &[("a.pem", &good), ("a.json", r#"{"not_before": "2027-01-01T00:00:00Z", "not_after": "2026-01-01T00:00:00Z"}"#)],
            "a.json",
        ),
        (&[("a.pem", &good), ("a.json", r#"{"sender": ""}"#)], "a.json"),
        (&[("a.pem", &good), ("a.json", r#"{"scheme": ""}"#)], "a.json"),
        (&[("a.pem", &good), ("revoked", "# one\nabcdef")], "line 2"),
    ];
    for (files, place) in cases {
        let error = load(files).expect_err(place).to_string();
        assert!(error.contains(place), "{files:?}: {error}");
        assert!(!error.contains(private.lines().nth(1).unwrap()), "{error}");
    }
    let missing = Keyring::load("/no/such/keyring").unwrap_err();
    assert!(missing.to_string().contains("/no/such/keyring"), "{missing}");
}

#[test]
fn files_that_are_not_ours_are_left_alone() {
    let files = directory(&[
        ("a.pem", &pem(&key())),
        (".a.pem.swp", "x"),
        (".b.pem", "x"),
        ("README", "x"),
        ("b.pem.old", "x"),
        ("c.pub", "x"),
    ]);
    fs::create_dir(files.path().join("..data")).unwrap();
    fs::create_dir(files.path().join("old")).unwrap();
    assert_eq!(Keyring::load(files.path()).unwrap().senders(), ["a"]);
}

#[cfg(unix)]
#[test]
fn a_mounted_secret_is_read_through_its_links() {
    let files = directory(&[]);
    let data = files.path().join("..data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("a.pem"), pem(&key())).unwrap();
    std::os::unix::fs::symlink(Path::new("..data/a.pem"), files.path().join("a.pem")).unwrap();
    assert_eq!(Keyring::load(files.path()).unwrap().senders(), ["a"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_name_that_is_not_text_is_an_error() {
    use std::os::unix::ffi::OsStrExt;

    let files = directory(&[]);
    fs::write(files.path().join(std::ffi::OsStr::from_bytes(b"\xff.pem")), pem(&key())).unwrap();
    assert!(matches!(Keyring::load(files.path()), Err(KeyringError::FileName { .. })));
}

#[test]
fn readers_do_not_wait_for_a_reload_and_see_one_ring_or_the_other() {
    // A pair of keys that always change together: who sees one of the old and one of the new has seen half a reload.
    let (old, new) = ([key(), key()], [key(), key()]);
    let files = directory(&[("a.pem", &(pem(&old[0]) + &pem(&old[1])))]);
    let keyring = Keyring::load(files.path()).unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            loop {
                let keys: Vec<_> = keyring.live("a").iter().map(|trusted| *trusted.key()).collect();
                if keys == [new[0].public(), new[1].public()] {
                    break;
                }
                assert_eq!(keys, [old[0].public(), old[1].public()]);
            }
        });
        for _ in 0..50 {
            keyring.reload().unwrap();
        }
        fs::write(files.path().join("a.pem"), pem(&new[0]) + &pem(&new[1])).unwrap();
        keyring.reload().unwrap();
        reader.join().unwrap();
    });
}

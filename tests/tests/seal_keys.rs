//! Key files: what is read, what is written, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use rmi_core::seal::{Fingerprint, KeyError, PrivateKey, PublicKey};

const OPENSSL_PRIVATE: &str = include_str!("../vectors/keys/openssl.private.pem");
const OPENSSL_PUBLIC: &str = include_str!("../vectors/keys/openssl.public.pem");
const OPENSSL_FINGERPRINT: &str = "e3151204126e4236d4f63983d5776c23f00bf97cfca60b0e9cab8c76cd1da8d3";
/// `openssl pkeyutl -sign -rawin` over `signed.txt`.
const OPENSSL_SIGNATURE: &str = "iUiQJrM6v6un/rUwUkKI+MsvCJ4b4hOa7kYbrRf6ZXcZixDfQC31p0mgskpq68nk7eo0O8TxL7kb8B6TFzAeAQ==";
const SIGNED: &[u8] = include_bytes!("../vectors/keys/signed.txt");

fn spki(key: &[u8; 32]) -> String {
    let mut der = vec![0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
    der.extend(key);
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// A file as OpenSSL would leave it, with this mode.
#[cfg(unix)]
fn private_file(mode: u32) -> (tempfile::TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.pem");
    fs::write(&path, OPENSSL_PRIVATE).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    (directory, path)
}

#[test]
fn keys_made_by_openssl_are_read_and_written_alike() {
    let private = PrivateKey::from_pem(OPENSSL_PRIVATE).unwrap();
    let public = PublicKey::from_pem(OPENSSL_PUBLIC).unwrap();
    assert_eq!(private.public(), public);
    assert_eq!(private.to_pem().as_str(), OPENSSL_PRIVATE);
    assert_eq!(public.to_pem().unwrap(), OPENSSL_PUBLIC);
    assert_eq!(public.fingerprint().to_string(), OPENSSL_FINGERPRINT);
    assert_eq!(public.to_string(), OPENSSL_FINGERPRINT[..16]);
    assert_eq!(OPENSSL_FINGERPRINT.to_uppercase().parse::<Fingerprint>().unwrap(), public.fingerprint());
}

#[test]
fn windows_line_ends_and_blank_lines_around_a_key_do_no_harm() {
    let pem = format!("\r\n{}\r\n", OPENSSL_PRIVATE.replace('\n', "\r\n"));
    assert_eq!(PrivateKey::from_pem(&pem).unwrap().public(), PublicKey::from_pem(OPENSSL_PUBLIC).unwrap());
    let pem = format!("subject=agent 1\n\n{}\n", OPENSSL_PUBLIC.replace('\n', "\r\n"));
    assert!(PublicKey::from_pem(&pem).is_ok());
}

#[test]
fn a_signature_made_by_openssl_verifies() {
    let public = PublicKey::from_pem(OPENSSL_PUBLIC).unwrap();
    let signature = STANDARD.decode(OPENSSL_SIGNATURE).unwrap();
    assert!(public.verifies(SIGNED, &signature));
    assert!(!public.verifies(&SIGNED[1..], &signature));
    assert!(!public.verifies(SIGNED, &signature[1..]));
    assert!(!public.verifies(SIGNED, b""));
}

#[test]
fn a_private_key_with_its_public_half_is_read() {
    // RFC 8410, section 10.3: version 2, with an attribute and the public key.
    let pem = "-----BEGIN PRIVATE KEY-----\n\
        MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\n\
        Z9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PRIVATE KEY-----\n";
    let public =
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    assert_eq!(PrivateKey::from_pem(pem).unwrap().public(), PublicKey::from_pem(public).unwrap());
}

#[test]
fn new_keys_differ_and_come_back_from_their_pem() {
    let (one, other) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
    assert_ne!(one.public(), other.public());
    assert_eq!(PrivateKey::from_pem(&one.to_pem()).unwrap().public(), one.public());
    assert_eq!(PublicKey::from_pem(&one.public().to_pem().unwrap()).unwrap(), one.public());
}

#[test]
fn a_private_key_is_never_printed() {
    let key = PrivateKey::from_pem(OPENSSL_PRIVATE).unwrap();
    assert_eq!(format!("{key:?}"), format!("PrivateKey(of {})", &OPENSSL_FINGERPRINT[..16]));
    let mangled = OPENSSL_PRIVATE.replace("MC4CAQ", "MC4CAg");
    let error = PrivateKey::from_pem(&mangled).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("EIO11Iql"), "{error:?}");
}

#[test]
fn what_is_no_ed25519_key_is_refused_with_what_to_do() {
    let rsa = include_str!("../vectors/keys/rsa.public.pem");
    let x25519 = include_str!("../vectors/keys/x25519.public.pem");
    let encrypted = include_str!("../vectors/keys/openssl.encrypted.pem");
    let two = OPENSSL_PUBLIC.repeat(2);
    for pem in ["", "hello", rsa, x25519, &two, &OPENSSL_PUBLIC[..60]] {
        let error = PublicKey::from_pem(pem).unwrap_err();
        assert!(matches!(error, KeyError::NotPublic { .. }), "{pem}: {error}");
        assert!(error.to_string().contains("openssl pkey"), "{error}");
    }
    assert!(matches!(PublicKey::from_pem(OPENSSL_PRIVATE), Err(KeyError::Private { .. })));
    for pem in ["", "hello", OPENSSL_PUBLIC, &OPENSSL_PRIVATE[..60], &OPENSSL_PRIVATE.repeat(2)] {
        let error = PrivateKey::from_pem(pem).unwrap_err();
        assert!(matches!(error, KeyError::NotPrivate { .. }), "{pem}: {error}");
        assert!(error.to_string().contains("openssl genpkey"), "{error}");
    }
    // 32 bytes like an Ed25519 key's, but for X25519.
    let mut der = STANDARD.decode(OPENSSL_PRIVATE.lines().nth(1).unwrap()).unwrap();
    assert_eq!(der[11], 0x70);
    der[11] = 0x6e;
    let x25519 = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
    assert!(matches!(PrivateKey::from_pem(&x25519), Err(KeyError::NotPrivate { .. })));
    assert!(matches!(PrivateKey::from_pem(encrypted), Err(KeyError::Encrypted { .. })));
}

#[test]
fn weak_public_keys_are_refused() {
    // The points of order 1, 2, 4 and 8, and how else they can be written: with the unused sign bit, or with p added.
    let weak = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ];
    for digits in weak {
        let bytes: [u8; 32] = hex(digits).try_into().unwrap();
        assert!(matches!(PublicKey::from_bytes(&bytes), Err(KeyError::Weak { .. })), "{digits}");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weak.pem");
        fs::write(&path, spki(&bytes)).unwrap();
        let error = PublicKey::load(&path).unwrap_err();
        assert!(matches!(error, KeyError::Weak { .. }), "{digits}: {error}");
        assert!(error.to_string().contains("weak.pem"), "{error}");
    }
}

#[test]
fn a_public_key_has_one_spelling() {
    // 2^255 - 19 + y for a small y on the curve, not of low order: reads as a point, under a second name.
    let spellings = (0xed..=0xff).map(|first| {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (first, 0x7f);
        bytes
    });
    for bytes in spellings {
        assert!(PublicKey::from_bytes(&bytes).is_err(), "{bytes:x?}");
    }
}

#[cfg(unix)]
#[test]
fn a_private_key_that_others_may_read_is_refused() {
    for mode in [0o644, 0o640, 0o604, 0o620, 0o601, 0o700, 0o1600] {
        let (_directory, path) = private_file(mode);
        let error = PrivateKey::load(&path).unwrap_err();
        assert!(matches!(&error, KeyError::Mode { mode: found, .. } if *found == mode), "{mode:o}: {error}");
        assert!(error.to_string().ends_with(&format!("chmod 600 {}", path.display())), "{error}");
    }
    for mode in [0o600, 0o400] {
        let (_directory, path) = private_file(mode);
        assert!(PrivateKey::load(&path).is_ok(), "{mode:o}");
    }
}

#[cfg(unix)]
#[test]
fn a_key_is_saved_for_its_owner_alone_and_never_over_another_file() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.pem");
    let key = PrivateKey::generate().unwrap();
    key.save(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(PrivateKey::load(&path).unwrap().public(), key.public());

    let other = PrivateKey::generate().unwrap();
    assert!(matches!(other.save(&path), Err(KeyError::Exists { .. })));
    assert_eq!(PrivateKey::load(&path).unwrap().public(), key.public());

    // Nor through a link, even one that leads nowhere.
    let link = directory.path().join("link.pem");
    std::os::unix::fs::symlink(directory.path().join("nowhere.pem"), &link).unwrap();
    assert!(matches!(other.save(&link), Err(KeyError::Exists { .. })));
    assert!(!directory.path().join("nowhere.pem").exists());
}

#[test]
fn errors_name_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.pem");
    let error = PrivateKey::load(&missing).unwrap_err();
    assert!(matches!(error, KeyError::Read { .. }));
    assert!(error.to_string().contains("missing.pem"), "{error}");
    assert_eq!(error.path(), Some(missing.as_path()));

    let error = PrivateKey::generate().unwrap().save(directory.path().join("no/such/agent.pem")).unwrap_err();
    assert!(matches!(error, KeyError::Write { .. }), "{error}");

    let large = directory.path().join("large.pem");
    fs::write(&large, vec![b' '; 1 << 20]).unwrap();
    assert!(matches!(PublicKey::load(&large), Err(KeyError::TooLarge { .. })));

    let text = directory.path().join("text.pem");
    fs::write(&text, "hello").unwrap();
    assert!(PublicKey::load(&text).unwrap_err().to_string().contains("text.pem"));
}

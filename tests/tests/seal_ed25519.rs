//! Signing and verifying with Ed25519.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use rmi_core::{
    seal::{
        AuthError, Authenticator, Demands, Ed25519, Keyring, Principal, PrivateKey, PublicKey, Sealed, Signature, Trust,
        TrustedKey,
    },
    text::Text,
};
use serde_json::Value;

const TEXT: &[u8] = br#"{"data": null, "routing": ["dhcp-1", "dog"], "sn": "1", "version": "2.0"}"#;

fn key() -> PrivateKey {
    PrivateKey::generate().unwrap()
}

fn seed(seed: [u8; 32]) -> PrivateKey {
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend(seed);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
    PrivateKey::from_pem(&pem).unwrap()
}

fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn signature(bytes: impl Into<Bytes>) -> Signature {
    Signature { bytes: bytes.into(), scheme: None }
}

/// An authenticator that trusts its own key under this name.
fn own(sender: &'static str) -> Ed25519 {
    let key = key();
    let keyring = Keyring::new();
    keyring.trust(Text::from_static(sender), key.public()).unwrap();
    Ed25519::new(key, keyring)
}

fn sign(authenticator: &impl Authenticator, text: &[u8]) -> Signature {
    authenticator.sign(&[text]).unwrap().pop().unwrap()
}

fn verify(
    authenticator: &impl Authenticator,
    text: &[u8],
    signature: &Signature,
    sender: Option<&str>,
) -> Result<Principal, AuthError> {
    let mut results = authenticator.verify(&[Sealed { text, signature, sender }]);
    assert_eq!(results.len(), 1);
    results.pop().unwrap()
}

#[test]
fn the_signature_is_that_of_rfc_8032() {
    // Section 7.1, test 3.
    let secret = hex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7");
    let public = hex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
    let expected = hex(
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    );
    let key = seed(secret.try_into().unwrap());
    assert_eq!(key.public(), PublicKey::from_bytes(&public.try_into().unwrap()).unwrap());
    assert_eq!(sign(&Ed25519::new(key, Keyring::new()), &[0xaf, 0x82]), signature(expected));
}

#[test]
fn a_signature_of_the_sender_is_its_principal() {
    let authenticator = own("dhcp-1");
    let signature = sign(&authenticator, TEXT);
    assert_eq!(signature.bytes.len(), 64);
    assert_eq!(signature.scheme, None);
    assert_eq!(verify(&authenticator, TEXT, &signature, Some("dhcp-1")), Ok(Principal::Key("dhcp-1".into())));
    let named = Signature { scheme: Some("ed25519".into()), ..signature };
    assert_eq!(verify(&authenticator, TEXT, &named, Some("dhcp-1")), Ok(Principal::Key("dhcp-1".into())));
}

#[test]
fn a_change_of_any_byte_is_found() {
    let authenticator = own("dhcp-1");
    let good = sign(&authenticator, TEXT);
    let bad = Err(AuthError::BadSignature("dhcp-1".into()));
    for at in 0..TEXT.len() {
        let mut text = TEXT.to_vec();
        text[at] ^= 1;
        assert_eq!(verify(&authenticator, &text, &good, Some("dhcp-1")), bad, "text byte {at}");
    }
    for at in 0..good.bytes.len() {
        for bit in [1, 0x80] {
            let mut bytes = good.bytes.to_vec();
            bytes[at] ^= bit;
            assert_eq!(verify(&authenticator, TEXT, &signature(bytes), Some("dhcp-1")), bad, "signature byte {at}");
        }
    }
    for length in [1, 32, 63] {
        assert_eq!(verify(&authenticator, TEXT, &signature(good.bytes.slice(..length)), Some("dhcp-1")), bad);
    }
    let longer = [&good.bytes[..], &[0]].concat();
    assert_eq!(verify(&authenticator, TEXT, &signature(longer), Some("dhcp-1")), bad);
}

#[test]
fn an_unknown_sender_and_no_sender_and_no_signature_are_told_apart() {
    let authenticator = own("dhcp-1");
    let good = sign(&authenticator, TEXT);
    assert_eq!(verify(&authenticator, TEXT, &good, None), Err(AuthError::NoSender));
    assert_eq!(verify(&authenticator, TEXT, &good, Some("dhcp-2")), Err(AuthError::UnknownSender("dhcp-2".into())));
    assert_eq!(verify(&authenticator, TEXT, &signature(""), Some("dhcp-1")), Err(AuthError::Unsigned));
}

#[test]
fn a_senders_key_is_good_for_that_sender_only() {
    let (one, other) = (key(), key());
    let keyring = Keyring::new();
    keyring.trust("one", one.public()).unwrap();
    keyring.trust("other", other.public()).unwrap();
    let authenticator = Ed25519::new(one, keyring);
    let by_one = sign(&authenticator, TEXT);
    assert!(verify(&authenticator, TEXT, &by_one, Some("one")).is_ok());
    assert_eq!(verify(&authenticator, TEXT, &by_one, Some("other")), Err(AuthError::BadSignature("other".into())));
}

#[test]
fn the_wire_does_not_choose_the_scheme() {
    let authenticator = own("dhcp-1");
    let good = sign(&authenticator, TEXT);
    for scheme in ["none", "", "Ed25519", "hmac-sha256"] {
        let named = Signature { scheme: Some(scheme.into()), ..good.clone() };
        assert_eq!(verify(&authenticator, TEXT, &named, Some("dhcp-1")), Err(AuthError::Scheme(scheme.into())));
    }
    // Nor does a plain signature get past a key that is for something else.
    let key = key();
    let keyring = Keyring::new();
    keyring.trust("tree-1", TrustedKey::new(key.public()).for_scheme("ed25519-tree")).unwrap();
    let authenticator = Ed25519::new(key, keyring);
    let plain = sign(&authenticator, TEXT);
    assert!(matches!(verify(&authenticator, TEXT, &plain, Some("tree-1")), Err(AuthError::Scheme(_))));
}

#[test]
fn a_second_valid_signature_cannot_be_made_from_a_first() {
    // S + L, which an equation that does not look at S would accept.
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let authenticator = own("dhcp-1");
    let mut bytes = sign(&authenticator, TEXT).bytes.to_vec();
    let mut carry = 0;
    for (byte, l) in bytes[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(l) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(carry, 0);
    assert!(verify(&authenticator, TEXT, &signature(bytes), Some("dhcp-1")).is_err());
}

#[test]
fn a_signature_whose_point_is_of_low_order_is_refused() {
    // R is the neutral element and S = H(R, A, M) * a: made with the private key, and valid for all but strict verification.
    let key = seed(std::array::from_fn(|at| at as u8));
    assert_eq!(key.public().to_bytes()[..4], [0x03, 0xa1, 0x07, 0xbf]);
    let keyring = Keyring::new();
    keyring.trust("dhcp-1", key.public()).unwrap();
    let authenticator = Ed25519::new(key, keyring);
    let bytes = hex(
        "01000000000000000000000000000000000000000000000000000000000000001f4b2aa2a6a6b168344f5f106ccdf7ed693108b2972f2169f0a22971b7ac1504",
    );
    let refused = Err(AuthError::BadSignature("dhcp-1".into()));
    assert_eq!(verify(&authenticator, b"a small order point", &signature(bytes), Some("dhcp-1")), refused);
}

#[test]
fn many_at_once_are_judged_one_by_one() {
    let authenticator = own("dhcp-1");
    let texts: Vec<Vec<u8>> = (0..16).map(|n| format!("text {n}").into_bytes()).collect();
    let borrowed: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    let signatures = authenticator.sign(&borrowed).unwrap();
    let sealed: Vec<_> = (0..16)
        .map(|n| Sealed {
            text: &texts[if n == 7 { 8 } else { n }],
            signature: &signatures[n],
            sender: match n {
                3 => None,
                5 => Some("stranger"),
                _ => Some("dhcp-1"),
            },
        })
        .collect();
    let results = authenticator.verify(&sealed);
    assert_eq!(results.len(), 16);
    for (n, result) in results.into_iter().enumerate() {
        match n {
            3 => assert_eq!(result, Err(AuthError::NoSender)),
            5 => assert_eq!(result, Err(AuthError::UnknownSender("stranger".into()))),
            7 => assert_eq!(result, Err(AuthError::BadSignature("dhcp-1".into()))),
            _ => assert_eq!(result, Ok(Principal::Key("dhcp-1".into())), "{n}"),
        }
    }
    assert!(authenticator.sign(&[]).unwrap().is_empty());
    assert!(authenticator.verify(&[]).is_empty());
}

#[test]
fn a_claimed_name_is_cut_and_cleaned_in_errors() {
    let authenticator = own("dhcp-1");
    let claimed = format!("\n[ERROR] all is lost\u{1b}[31m{}", "x".repeat(1 << 20));
    let error = verify(&authenticator, TEXT, &sign(&authenticator, TEXT), Some(&claimed)).unwrap_err().to_string();
    assert!(error.len() < 300 && !error.chars().any(char::is_control), "{error}");
}

#[test]
fn changes_in_the_ring_count_at_once() {
    let (old, new) = (key(), key());
    let keyring = Keyring::new();
    let receiver = Ed25519::new(key(), keyring.clone());
    let (by_old, by_new) =
        (sign(&Ed25519::new(old.clone(), Keyring::new()), TEXT), sign(&Ed25519::new(new.clone(), Keyring::new()), TEXT));
    assert!(verify(&receiver, TEXT, &by_old, Some("dhcp-1")).is_err());
    keyring.trust("dhcp-1", old.public()).unwrap();
    keyring.trust("dhcp-1", new.public()).unwrap();
    assert!(verify(&receiver, TEXT, &by_old, Some("dhcp-1")).is_ok());
    assert!(verify(&receiver, TEXT, &by_new, Some("dhcp-1")).is_ok());
    receiver.keyring().revoke(old.public().fingerprint());
    assert_eq!(verify(&receiver, TEXT, &by_old, Some("dhcp-1")), Err(AuthError::BadSignature("dhcp-1".into())));
    assert!(verify(&receiver, TEXT, &by_new, Some("dhcp-1")).is_ok());
}

#[test]
fn who_may_answer_is_the_rings_affair() {
    let authenticator = own("dhcp-1");
    assert!(authenticator.answers("dhcp-1", "dhcp-1"));
    assert!(!authenticator.answers("dhcp-1", "dhcp"));
    authenticator.keyring().allow_answers("dhcp-1", "dhcp");
    assert!(authenticator.answers("dhcp-1", "dhcp"));
    assert!(!authenticator.answers("dhcp-2", "dhcp"));
    assert_eq!(authenticator.demands(), Demands { sender: true, dated: true });
    assert!(Trust::from(authenticator).is_sealed());
}

#[test]
fn gofers_texts_are_sealed_as_they_are() {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/gofer.json")).unwrap();
    let authenticator = own("dog");
    for vector in vectors["signing"]["vectors"].as_array().unwrap() {
        let text = vector["message"].as_str().unwrap();
        let signature = sign(&authenticator, text.as_bytes());
        // Through the wrapper and back: the same bytes are verified that were signed.
        let wrapped = rmi_core::seal::wrap(text, &signature);
        let rmi_core::seal::Wrapped::Sealed { text: peeled, signature } = rmi_core::seal::peel(wrapped).unwrap() else {
            panic!("not sealed")
        };
        assert_eq!(peeled, text);
        assert!(verify(&authenticator, peeled.as_bytes(), &signature, Some("dog")).is_ok());
        // The same document in other bytes is another text.
        let again = serde_json::from_str::<Value>(text).unwrap().to_string();
        assert_ne!(again, text);
        assert!(verify(&authenticator, again.as_bytes(), &signature, Some("dog")).is_err());
    }
}

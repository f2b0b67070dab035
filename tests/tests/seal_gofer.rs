//! gofer's signing scheme, against what a real gofer signed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use rmi_core::seal::{
    AuthError, Authenticator, Demands, DigestAuthenticator, DigestKeys, Gofer, Keyring, Principal, PrivateKey, Sealed, Signature,
    Wrapped, peel, wrap,
};
use serde_json::Value;
use sha2::Sha256;

/// The plug-in that the recorded conversations were held with: HMAC-SHA256 of the digest's text, in hex.
#[derive(Debug)]
struct Secret(&'static str);

impl Secret {
    fn mac(&self, digest: &str) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).unwrap().chain_update(digest)
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16);
    text.as_bytes().chunks(2).map(|pair| Some((digit(pair[0])? * 16 + digit(*pair.get(1)?)?) as u8)).collect()
}

impl DigestAuthenticator for Secret {
    fn sign(&self, digest: &str) -> Result<String, AuthError> {
        Ok(self.mac(digest).finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn validate(&self, _: Option<&str>, digest: &str, signature: &str) -> Result<Principal, AuthError> {
        let bad = || AuthError::BadSignature("cats".into());
        let signature = unhex(signature).ok_or_else(bad)?;
        self.mac(digest).verify_slice(&signature).map_err(|_| bad())?;
        Ok(Principal::Key("cats".into()))
    }

    fn answers(&self, principal: &str, _: &str) -> bool {
        principal == "cats"
    }
}

/// A plug-in that cannot sign, or signs with nothing.
#[derive(Debug)]
struct Broken(Option<&'static str>);

impl DigestAuthenticator for Broken {
    fn sign(&self, _: &str) -> Result<String, AuthError> {
        self.0.map(str::to_owned).ok_or(AuthError::Failed("no key today".into()))
    }

    fn validate(&self, _: Option<&str>, _: &str, _: &str) -> Result<Principal, AuthError> {
        Ok(Principal::Anonymous)
    }

    fn answers(&self, _: &str, _: &str) -> bool {
        false
    }
}

fn vectors() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("../vectors/gofer.json")).unwrap();
    file["signing"]["vectors"].as_array().unwrap().clone()
}

fn verify(authenticator: &Gofer, text: &[u8], signature: &Signature) -> Result<Principal, AuthError> {
    authenticator.verify(&[Sealed { text, signature, sender: None }]).pop().unwrap()
}

#[test]
fn what_gofer_signed_verifies_and_what_we_sign_is_the_same() {
    let authenticator = Gofer::new(Secret("mycathas9lives"));
    let vectors = vectors();
    assert!(!vectors.is_empty());
    for vector in &vectors {
        let body = vector["body_text"].as_str().unwrap();
        let Wrapped::Sealed { text, signature } = peel(Bytes::from(body.to_owned())).unwrap() else { panic!("{body}") };
        assert_eq!(text, vector["message"].as_str().unwrap());
        assert_eq!(verify(&authenticator, text.as_bytes(), &signature), Ok(Principal::Key("cats".into())));

        let ours = authenticator.sign(&[text.as_bytes()]).unwrap().pop().unwrap();
        assert_eq!(ours, signature);
        assert_eq!(wrap(&text, &ours), body);
    }
}

#[test]
fn a_change_of_any_byte_is_found() {
    let authenticator = Gofer::new(Secret("mycathas9lives"));
    let text = vectors()[0]["message"].as_str().unwrap().as_bytes().to_vec();
    let good = authenticator.sign(&[&text]).unwrap().pop().unwrap();
    for at in 0..text.len() {
        let mut text = text.clone();
        text[at] ^= 1;
        assert!(verify(&authenticator, &text, &good).is_err(), "text byte {at}");
    }
    for at in 0..good.bytes.len() {
        let mut bytes = good.bytes.to_vec();
        bytes[at] ^= 1;
        assert!(verify(&authenticator, &text, &Signature { bytes: bytes.into(), scheme: None }).is_err(), "byte {at}");
    }
    assert!(verify(&Gofer::new(Secret("another secret")), &text, &good).is_err());
}

#[test]
fn what_gofer_could_not_have_sent_is_refused_before_the_plug_in_sees_it() {
    // This one takes everything.
    let authenticator = Gofer::new(Broken(None));
    let text = b"{}";
    let refused = |bytes: &'static [u8], scheme: Option<&str>| {
        verify(&authenticator, text, &Signature { bytes: Bytes::from_static(bytes), scheme: scheme.map(Into::into) })
    };
    assert_eq!(refused(b"text", None), Ok(Principal::Anonymous));
    assert_eq!(refused(b"", None), Err(AuthError::Unsigned));
    assert!(matches!(refused(b"\xff\xfe", None), Err(AuthError::Malformed(_))));
    assert_eq!(refused(b"text", Some("ed25519")), Err(AuthError::Scheme("ed25519".into())));
}

#[test]
fn what_cannot_be_signed_is_not_sent() {
    assert_eq!(Gofer::new(Broken(None)).sign(&[b"{}"]), Err(AuthError::Failed("no key today".into())));
    assert!(matches!(Gofer::new(Broken(Some(""))).sign(&[b"{}"]), Err(AuthError::Failed(_))));
    assert!(Gofer::new(Broken(Some("x"))).sign(&[b"{}"]).is_ok());
}

#[test]
fn gofers_peers_name_no_sender_and_no_date() {
    let authenticator = Gofer::new(Secret("mycathas9lives"));
    assert_eq!(authenticator.demands(), Demands { sender: false, dated: false });
    assert!(authenticator.answers("cats", "dog"));
    assert!(!authenticator.answers("dogs", "dogs"));
}

#[test]
fn digests_are_signed_with_keys_under_a_name() {
    let (key, keyring) = (PrivateKey::generate().unwrap(), Keyring::new());
    keyring.trust("walker", key.public()).unwrap();
    let keys = DigestKeys::new("walker", key, keyring.clone());
    let digest = "ab".repeat(32);
    let signature = keys.sign(&digest).unwrap();
    let walker = Principal::Key("walker".into());
    assert_eq!(keys.validate(None, &digest, &signature), Ok(walker.clone()));
    assert_eq!(keys.validate(Some("walker"), &digest, &signature), Ok(walker));
    // Not for another digest, nor as somebody else, nor in another form.
    assert_eq!(keys.validate(None, &"ac".repeat(32), &signature), Err(AuthError::BadSignature("walker".into())));
    assert_eq!(keys.validate(Some("dog"), &digest, &signature), Err(AuthError::BadSignature("dog".into())));
    let as_another = signature.replace("walker:", "dog:");
    assert_eq!(keys.validate(None, &digest, &as_another), Err(AuthError::UnknownSender("dog".into())));
    for wrong in ["walker", "walker:", "walker:%", ":", "", "walker:AAAA", "walker:\u{1F415}"] {
        assert!(keys.validate(None, &digest, wrong).is_err(), "{wrong}");
    }
    assert!(keys.answers("walker", "walker") && !keys.answers("walker", "dog"));
    keyring.allow_answers("walker", "dog");
    assert!(keys.answers("walker", "dog"));
}

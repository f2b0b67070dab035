//! A broker, endpoints of ours on it, and peers of gofer's.

use std::{convert::Infallible, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use kennel::{Chance, DogArgs, DogModuleServer, DogServer, Module};
use rmi_amqp::{Amqp, Exchange, Options};
use rmi_core::{
    Endpoint, Native, RemoteError, Trust,
    endpoint::Builder,
    remote,
    seal::{AuthError, DigestAuthenticator, Principal},
};
use rmi_tests::{
    amqp::{self, url},
    gofer::Peer,
    probe::{ProbeServer, Watch},
};
use serde_json::{Value, json};
use sha2::Sha256;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// An error of Python's own, which both ends have.
#[derive(Debug, PartialEq, thiserror::Error, RemoteError)]
pub(crate) enum PlacesError {
    #[error("no place for {0}")]
    #[remote(class = "KennelFull", module = "kennels")]
    Full(u32),
}

/// What the peer's dogs do besides.
#[remote(name = "Dog")]
pub(crate) trait Places {
    /// Finds none.
    async fn full(&self, places: u32) -> Result<(), PlacesError>;
}

pub(crate) struct None;

impl Places for None {
    async fn full(&self, places: u32) -> Result<(), PlacesError> {
        Err(PlacesError::Full(places))
    }
}

/// A name that nobody else has on the broker.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}-{}", uuid::Uuid::new_v4().simple())
}

pub(crate) fn options() -> Options {
    amqp::options().exchange("amq.direct", Exchange::direct())
}

pub(crate) async fn amqp() -> Amqp {
    amqp::connect(options()).await
}

/// An agent of ours to be, by this address.
pub(crate) async fn ours(address: &str, trust: impl Into<Trust>) -> Builder {
    Endpoint::builder(address.to_owned()).bind(Native::default(), amqp().await, trust)
}

/// The dogs at a queue.
pub(crate) async fn kennel(address: &str, trust: impl Into<Trust>) -> Endpoint {
    serving(ours(address, trust).await).start().await.unwrap()
}

pub(crate) fn serving(builder: Builder) -> Builder {
    builder
        .serve(DogServer::per_call(|me: DogArgs| Ok::<_, Infallible>(Chance::new(me, Default::default()))))
        .serve(DogModuleServer::new(Module))
}

/// An agent of ours that does what it is told.
pub(crate) async fn probe(address: &str, special: impl FnOnce(Builder) -> Builder) -> (Endpoint, Watch) {
    let (probing, watch) = Watch::new();
    let builder = ours(address, Trust::insecure()).await.serve(ProbeServer::new(probing));
    (special(builder).start().await.unwrap(), watch)
}

/// An endpoint of ours that calls agents of gofer's.
pub(crate) async fn caller(trust: impl Into<Trust>) -> Endpoint {
    Endpoint::builder(unique("caller")).bind(Native::gofer(), amqp().await, trust).start().await.unwrap()
}

/// A client of gofer's.
pub(crate) async fn client(authenticator: Value) -> Peer {
    Peer::client(json!({"url": url().await, "authenticator": authenticator})).await
}

/// An agent of gofer's, with these options beside where it is.
pub(crate) async fn agent(queue: &str, more: Value) -> Peer {
    let mut options = json!({"url": url().await, "queue": queue});
    for (key, value) in more.as_object().into_iter().flatten() {
        options[key] = value.clone();
    }
    Peer::agent(options).await
}

/// The keys of an object.
pub(crate) fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Waits until so many messages wait in a queue.
pub(crate) async fn depth(client: &Peer, queue: &str, ready: u64) {
    rmi_tests::soon::soon("the queue holds as much", async {
        loop {
            let told = client.ask(json!({"do": "depth", "queue": queue})).await;
            if told["ready"] == ready {
                return;
            }
        }
    })
    .await;
}

/// gofer's plug-in with a secret that everybody shares: HMAC-SHA256 of the digest's text, in hex.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secret(pub(crate) &'static str);

impl Secret {
    fn mac(self, digest: &str) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).unwrap().chain_update(digest)
    }
}

impl DigestAuthenticator for Secret {
    fn sign(&self, digest: &str) -> Result<String, AuthError> {
        Ok(self.mac(digest).finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn validate(&self, _: Option<&str>, digest: &str, signature: &str) -> Result<Principal, AuthError> {
        let byte = |at: usize| u8::from_str_radix(signature.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..signature.len()).step_by(2).map(byte).collect();
        let bad = || AuthError::BadSignature("everybody".into());
        self.mac(digest).verify_slice(&bytes.ok_or_else(bad)?).map_err(|_| bad())?;
        Ok(Principal::Key("everybody".into()))
    }

    fn answers(&self, _: &str, _: &str) -> bool {
        true
    }
}

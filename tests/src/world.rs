//! A bus, and endpoints on it that trust each other or do not ask.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use rmi_core::{
    Ed25519, Endpoint, Keyring, Memory, Native, Trust,
    endpoint::Builder,
    seal::PrivateKey,
    time::Clock,
    transport::{Receipt, memory::Options},
};

use crate::{
    clock::FakeClock,
    probe::{ProbeClient, ProbeServer, Watch},
    raw::{self, Mailbox, Raw},
    tap::Tap,
};

/// A bus and what its endpoints have in common.
#[derive(Debug)]
pub struct World {
    /// A seat on the bus that no endpoint uses.
    pub bus: Memory,
    /// What all endpoints take for the date.
    pub clock: FakeClock,
    /// Whom all endpoints trust.
    pub keyring: Keyring,
    keys: Mutex<HashMap<String, PrivateKey>>,
    sealed: bool,
}

/// An endpoint that serves a probe.
#[derive(Debug)]
pub struct Agent {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Its seat.
    pub tap: Tap,
    /// Its probe.
    pub watch: Watch,
}

/// An endpoint that serves nothing.
#[derive(Debug)]
pub struct Caller {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Its seat.
    pub tap: Tap,
}

impl Caller {
    /// The probe at the address `agent`.
    #[must_use]
    pub fn probe(&self) -> ProbeClient {
        self.endpoint.client("agent")
    }
}

impl World {
    /// Everybody signs, with Ed25519 keys of their own.
    #[must_use]
    pub fn sealed() -> Self {
        World::with(true, Options::default())
    }

    /// Nobody signs.
    #[must_use]
    pub fn unsealed() -> Self {
        World::with(false, Options::default())
    }

    /// One of each.
    #[must_use]
    pub fn both() -> [Self; 2] {
        [World::sealed(), World::unsealed()]
    }

    /// A world on a bus with other bounds.
    #[must_use]
    pub fn with(sealed: bool, options: Options) -> Self {
        let (bus, clock) = (Memory::with(options), FakeClock::default());
        World { bus, clock, keyring: Keyring::new(), keys: Mutex::default(), sealed }
    }

    /// Whether everybody signs.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Signs as somebody whom everybody trusts to be that.
    pub fn signer(&self, name: &str) -> Ed25519 {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let key = keys.entry(name.to_owned()).or_insert_with(|| {
            let key = PrivateKey::generate().expect("random numbers");
            self.keyring.trust(name.to_owned(), key.public()).expect("its first key");
            key
        });
        Ed25519::new(key.clone(), self.keyring.clone())
    }

    /// What an endpoint of this name demands and gives.
    #[must_use]
    pub fn trust(&self, name: &str) -> Trust {
        if self.sealed { Trust::sealed(self.signer(name)) } else { Trust::insecure() }
    }

    /// An endpoint that is not started yet.
    pub fn builder(&self, name: &str, tap: &Tap) -> Builder {
        let trust = self.trust(name);
        Endpoint::builder(name.to_owned()).bind(Native::default(), tap.clone(), trust).clock(self.clock.clone())
    }

    /// An endpoint of this name that serves a probe.
    pub async fn agent(&self, name: &str) -> Agent {
        self.agent_with(name, |builder| builder).await
    }

    /// An endpoint of this name that serves a probe, and is built with something special.
    pub async fn agent_with(&self, name: &str, special: impl FnOnce(Builder) -> Builder) -> Agent {
        let (tap, (probing, watch)) = (Tap::on(&self.bus), Watch::new());
        let builder = self.builder(name, &tap).serve(ProbeServer::new(probing));
        let endpoint = special(builder).start().await.expect("it starts");
        Agent { endpoint, tap, watch }
    }

    /// An endpoint of this name that serves nothing.
    pub async fn caller(&self, name: &str) -> Caller {
        let tap = Tap::on(&self.bus);
        let endpoint = self.builder(name, &tap).start().await.expect("it starts");
        Caller { endpoint, tap }
    }

    /// A mailbox that is read by hand.
    pub async fn mailbox(&self, address: &str) -> Mailbox {
        Mailbox::open(&self.bus, address).await
    }

    /// A request by `caller` for a method of the probe at `agent`, dated now.
    pub fn request(&self, method: &str, args: serde_json::Value) -> Raw {
        Raw::request("agent", method, args).sent(self.clock.now())
    }

    /// Posts a message to whom it is for, signed by its sender where everybody signs.
    pub async fn post(&self, message: &Raw) -> Receipt {
        let payload = match (self.sealed, message.0["routing"][0].as_str()) {
            (true, Some(sender)) => message.signed(&self.signer(sender)),
            _ => message.plain(),
        };
        raw::publish(&self.bus, message.destination(), payload).await
    }

    /// Waits until `agent` has looked at everything that was posted to it before.
    pub async fn settle(&self) {
        self.settle_at("agent").await;
    }

    /// Waits until an agent has looked at everything that was posted to it before, as its answer to another request tells.
    pub async fn settle_at(&self, agent: &str) {
        let id = self.clock.id().to_string();
        let mut mailbox = self.mailbox(&id).await;
        let hello = Raw::request(agent, "hello", serde_json::json!([])).from("settler").sn(&id).reply_to(&id).wants(&[]);
        let mut hello = hello.sent(self.clock.now());
        hello.0["request"]["classname"] = "Admin".into();
        self.post(&hello).await;
        mailbox.next().await;
    }
}

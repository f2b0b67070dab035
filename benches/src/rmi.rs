//! Ourselves: an agent and a caller on an in-memory bus or with a link between them, as a user starts them.

mod flows;

use std::{convert::Infallible, time::Duration};

use rmi_amqp::{self as amqp, Amqp};
use rmi_core::{
    Ed25519, Endpoint, Keyring, Memory, Native, Trust,
    endpoint::{Builder, Figures, WindowSize},
    remote,
    seal::PrivateKey,
    transport::{Transport, tcp::Tcp},
};

pub use self::flows::{EventFlow, OneWayFlow};
use crate::{Error, load::Echo};

/// Says what it hears.
#[remote]
pub trait Parrot {
    /// In a task of its own, as a method runs unless it is told otherwise.
    async fn spawned(&self, text: String) -> Result<String, Infallible>;

    /// Where the request was received.
    #[remote(inline)]
    async fn inline(&self, text: String) -> Result<String, Infallible>;
}

/// The parrot.
#[derive(Clone, Copy, Debug)]
pub struct Polly;

impl Parrot for Polly {
    async fn spawned(&self, text: String) -> Result<String, Infallible> {
        Ok(text)
    }

    async fn inline(&self, text: String) -> Result<String, Infallible> {
        Ok(text)
    }
}

/// Whether messages are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealing {
    /// `Trust::insecure()` at both ends.
    Unsigned,
    /// Ed25519 at both ends, each with a key of its own.
    Signed,
}

impl Sealing {
    /// What two who have these addresses start with, to trust each other.
    ///
    /// # Errors
    ///
    /// There is no randomness to make keys of.
    pub fn trust(self, names: [&str; 2]) -> Result<[Trust; 2], Error> {
        match self {
            Sealing::Unsigned => Ok([Trust::insecure(), Trust::insecure()]),
            Sealing::Signed => {
                let keys = [PrivateKey::generate()?, PrivateKey::generate()?];
                let keyring = Keyring::new();
                for (name, key) in names.iter().zip(&keys) {
                    keyring.trust(*name, key.public())?;
                }
                Ok(keys.map(|key| Ed25519::new(key, keyring.clone()).into()))
            }
        }
    }
}

/// How long handlers may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// The agent's address.
pub const AGENT: &str = "parrot";
/// The caller's address.
pub const CALLER: &str = "keeper";

/// An agent, a caller, and a client between them.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Serves the parrot.
    pub agent: Endpoint,
    /// Calls it.
    pub caller: Endpoint,
    /// The caller's client.
    pub client: ParrotClient,
}

impl Pair {
    /// Starts both on a bus of their own, with all defaults.
    ///
    /// # Errors
    ///
    /// One of the endpoints does not start.
    pub async fn start(sealing: Sealing) -> Result<Self, Error> {
        let bus = Memory::new();
        Pair::on(bus.clone(), bus, sealing, None).await
    }

    /// Starts both in one process, with a link over TCP between them, with all defaults: the agent listens, the caller dials.
    ///
    /// # Errors
    ///
    /// There is no TCP on this machine, or one of the endpoints does not start.
    pub async fn over_tcp(sealing: Sealing) -> Result<Self, Error> {
        let listener = Tcp::listen("127.0.0.1:0").await?;
        let address = listener.local_addr().ok_or("it listens nowhere")?;
        let dialler = Tcp::connect(address.to_string()).await?;
        Pair::on(listener, dialler, sealing, None).await
    }

    /// Starts both on transports of the same bus: the agent's and the caller's; with the window that they have by default, unless
    /// one is given.
    ///
    /// # Errors
    ///
    /// One of the endpoints does not start.
    pub async fn on(
        agents: impl Transport,
        callers: impl Transport,
        sealing: Sealing,
        window: Option<WindowSize>,
    ) -> Result<Self, Error> {
        let window = |builder: Builder| match window {
            Some(window) => builder.window(window),
            None => builder,
        };
        Pair::with(agents, callers, sealing, window, window).await
    }

    /// Starts both, each built with something special.
    ///
    /// # Errors
    ///
    /// One of the endpoints does not start.
    pub async fn with(
        agents: impl Transport,
        callers: impl Transport,
        sealing: Sealing,
        special_agent: impl FnOnce(Builder) -> Builder,
        special_caller: impl FnOnce(Builder) -> Builder,
    ) -> Result<Self, Error> {
        Pair::named([AGENT, CALLER], agents, callers, sealing, special_agent, special_caller).await
    }

    /// Starts both at a broker, each with a connection of its own. Their addresses end with `number`: others are at that broker.
    ///
    /// # Errors
    ///
    /// The broker cannot be reached, or one of the endpoints does not start.
    pub async fn over_rabbit(url: &str, number: usize, sealing: Sealing, options: amqp::Options) -> Result<Self, Error> {
        let (agents, callers) = (Amqp::connect(url).options(options.clone()).await?, Amqp::connect(url).options(options).await?);
        let names = [AGENT, CALLER].map(|name| format!("{name}{number}"));
        let names = names.each_ref().map(String::as_str);
        Pair::named(names, agents, callers, sealing, |agent| agent, |caller| caller).await
    }

    async fn named(
        [agent, caller]: [&str; 2],
        agents: impl Transport,
        callers: impl Transport,
        sealing: Sealing,
        special_agent: impl FnOnce(Builder) -> Builder,
        special_caller: impl FnOnce(Builder) -> Builder,
    ) -> Result<Self, Error> {
        let [agents_trust, callers_trust] = sealing.trust([agent, caller])?;
        let served = Endpoint::builder(agent).bind(Native::default(), agents, agents_trust).serve(ParrotServer::new(Polly));
        let calling = Endpoint::builder(caller).bind(Native::default(), callers, callers_trust);
        let (served, calling) = (special_agent(served).start().await?, special_caller(calling).start().await?);
        let client = calling.client(agent);
        Ok(Pair { agent: served, caller: calling, client })
    }

    /// What the caller's and the agent's only binding have counted.
    #[must_use]
    pub fn figures(&self) -> Vec<Figures> {
        self.caller.figures().into_iter().chain(self.agent.figures()).collect()
    }

    /// Shuts both down.
    ///
    /// # Errors
    ///
    /// A handler still ran after five seconds.
    pub async fn stop(self) -> Result<(), Error> {
        let _ = self.caller.shutdown(GRACE).await?;
        let drained = self.agent.shutdown(GRACE).await?;
        if drained.left_behind > 0 { Err(format!("{} handlers were left behind", drained.left_behind).into()) } else { Ok(()) }
    }
}

/// Calls the method that runs in a task of its own.
#[derive(Clone, Debug)]
pub struct Spawned(pub ParrotClient);

impl Echo for Spawned {
    async fn echo(&self, text: String) -> Result<String, Error> {
        Ok(self.0.spawned(text).await?)
    }
}

/// Calls the method that runs where the request was received.
#[derive(Clone, Debug)]
pub struct Inline(pub ParrotClient);

impl Echo for Inline {
    async fn echo(&self, text: String) -> Result<String, Error> {
        Ok(self.0.inline(text).await?)
    }
}

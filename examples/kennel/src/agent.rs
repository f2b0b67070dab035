//! `kennel agent`: the dogs as a process of their own, which others call.

use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
};

use clap::{Args, ValueEnum};
use rmi_amqp::Amqp;
use rmi_core::{
    Ed25519, Endpoint, Keyring, Native, Trust,
    journal::Durable,
    seal::{DigestKeys, Gofer, PrivateKey},
    transport::{Transport, tcp::Tcp},
};

use crate::{Chance, CowboyArgs, CowboyServer, DogArgs, DogModuleServer, DogServer, Module, Ranch};

/// Serve the classes `Dog`, `Cowboy` and `dog` over TCP or RabbitMQ, until ctrl-c or SIGTERM
///
/// Says on standard output where it is reached, when it is. It drains when it is told to stop: what runs may finish.
///
/// On SIGHUP it reads the directory of --trust again.
///
/// Trust is spelled out: with --key and --trust everything is signed and verified, with --insecure whoever reaches the port can call.
#[derive(Clone, Debug, Args)]
pub struct Agent {
    /// Where to listen; port 0 is any that is free
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "url")]
    pub listen: Option<String>,
    /// The broker to be reached by, in place of a port: amqp://USER:PASSWORD@HOST:PORT/VHOST, amqps with TLS, where all but HOST may be left out
    ///
    /// Several agents may have one address, and share its requests; one with --journal has to be the only one.
    #[arg(long, value_name = "URL", conflicts_with = "listen")]
    pub url: Option<String>,
    /// The agent's address, which callers name
    #[arg(long, default_value = "dog")]
    pub address: String,
    /// Sign with this private key (`rmi keygen` makes one); needs --trust
    #[arg(long, value_name = "FILE", requires = "trust", required_unless_present = "insecure")]
    pub key: Option<PathBuf>,
    /// Take requests of whoever signs with a key of this directory (see `rmi trust`); needs --key
    #[arg(long, value_name = "DIR", requires = "key")]
    pub trust: Option<PathBuf>,
    /// Sign nothing, and take requests of everybody
    #[arg(long, conflicts_with_all = ["key", "trust"])]
    pub insecure: bool,
    /// How messages are written
    #[arg(long, value_name = "NAME", default_value = "native")]
    pub dialect: Dialect,
    /// Write down in this directory what becomes of requests, so that a crash loses none
    #[arg(long, value_name = "DIR")]
    pub journal: Option<PathBuf>,
}

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// The envelope that gofer speaks as well; with --key and --trust, signed with Ed25519
    Native,
    /// The same; with --key and --trust, signed by gofer's scheme
    Gofer,
}

impl Agent {
    /// Serves until the future is ready, and drains then.
    ///
    /// # Errors
    ///
    /// A key cannot be read, the port cannot be had, or what was sent at the end could not be flushed.
    pub async fn run(self, stop: impl Future) -> Result<(), Box<dyn Error>> {
        let (trust, how) = match (&self.key, &self.trust) {
            (Some(key), Some(trust)) => {
                let keyring = Keyring::load(trust)?;
                reload_on_hangup(keyring.clone())?;
                let names = keyring.senders().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let key = PrivateKey::load(key)?;
                let trust = match self.dialect {
                    Dialect::Native => Trust::from(Ed25519::new(key, keyring)),
                    Dialect::Gofer => Trust::from(Gofer::new(DigestKeys::new(self.address.as_str(), key, keyring))),
                };
                (trust, format!("signed; callers: {names}"))
            }
            _ => (Trust::insecure(), "insecure: whoever reaches it can call".to_owned()),
        };
        let mut builder = Endpoint::builder(self.address.as_str());
        if let Some(directory) = &self.journal {
            builder = builder.journal(Durable::open(directory)?);
        }
        // At a port nobody else listens, and with a journal nobody else may: what this agent has never had, nobody has.
        if self.listen.is_some() || self.journal.is_some() {
            builder = builder.queue_of_its_own();
        }
        let (transport, at) = reached(self.listen, self.url).await?;
        let barks = Arc::new(AtomicU64::new(0));
        let endpoint = builder
            .bind(Native::default(), transport, trust)
            .serve(DogServer::per_call(move |me: DogArgs| Ok::<_, Infallible>(Chance::new(me, Arc::clone(&barks)))))
            .serve(CowboyServer::per_call(|he: CowboyArgs| Ok::<_, Infallible>(Ranch(he))))
            .serve(DogModuleServer::new(Module))
            .start()
            .await?;
        say(&format!("{} listens at {at} ({how})", self.address));
        let _ = endpoint.run_until(stop).await?;
        say("drained");
        Ok(())
    }
}

/// How the agent is reached, and where that is.
async fn reached(listen: Option<String>, url: Option<String>) -> Result<(Arc<dyn Transport>, String), Box<dyn Error>> {
    if let Some(url) = url {
        let connect = Amqp::connect(url);
        let at = connect.shown();
        return Ok((Arc::new(connect.await?), at));
    }
    let listener = Tcp::listen(listen.ok_or("neither a port nor a broker is named")?).await?;
    let at = listener.local_addr().ok_or("a listener has an address")?;
    Ok((Arc::new(listener), format!("tcp://{at}")))
}

/// Reads the keys again whenever SIGHUP says so; what cannot be read leaves those that were read before.
#[cfg(unix)]
fn reload_on_hangup(keyring: Keyring) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            let keyring = keyring.clone();
            let read = tokio::task::spawn_blocking(move || keyring.reload()).await;
            say(if matches!(read, Ok(Ok(()))) { "the keys were read again" } else { "the keys could not be read again" });
        }
    });
    Ok(())
}

#[cfg(not(unix))]
fn reload_on_hangup(_: Keyring) -> std::io::Result<()> {
    Ok(())
}

/// Whoever started the agent may have stopped listening to it.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

//! `kennel agent`: the dogs as a process of their own, which others call.

use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
};

use clap::Args;
use rmi_core::{Ed25519, Endpoint, Keyring, Native, Trust, seal::PrivateKey, transport::tcp::Tcp};

use crate::{Chance, CowboyArgs, CowboyServer, DogArgs, DogModuleServer, DogServer, Module, Ranch};

/// Serve the classes `Dog`, `Cowboy` and `dog` over TCP, until ctrl-c or SIGTERM
///
/// Says on standard output where it listens, when it does. It drains when it is told to stop: what runs may finish.
///
/// Trust is spelled out: with --key and --trust everything is signed and verified, with --insecure whoever reaches the port can call.
#[derive(Clone, Debug, Args)]
pub struct Agent {
    /// Where to listen; port 0 is any that is free
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: String,
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
                let names = keyring.senders().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                (Trust::from(Ed25519::new(PrivateKey::load(key)?, keyring)), format!("signed; callers: {names}"))
            }
            _ => (Trust::insecure(), "insecure: whoever reaches the port can call".to_owned()),
        };
        let listener = Tcp::listen(self.listen).await?;
        let at = listener.local_addr().ok_or("a listener has an address")?;
        let barks = Arc::new(AtomicU64::new(0));
        let endpoint = Endpoint::builder(self.address.as_str())
            .bind(Native::default(), listener, trust)
            .serve(DogServer::per_call(move |me: DogArgs| Ok::<_, Infallible>(Chance::new(me, Arc::clone(&barks)))))
            .serve(CowboyServer::per_call(|he: CowboyArgs| Ok::<_, Infallible>(Ranch(he))))
            .serve(DogModuleServer::new(Module))
            .start()
            .await?;
        say(&format!("{} listens at tcp://{at} ({how})", self.address));
        let _ = endpoint.run_until(stop).await?;
        say("drained");
        Ok(())
    }
}

/// Whoever started the agent may have stopped listening to it.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

//! `kennel agent`: the dogs as a process of their own, which others call.

use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    path::PathBuf,
    pin::pin,
    sync::{Arc, atomic::AtomicU64},
};

use clap::{Args, ValueEnum};
use rmi_amqp::{Amqp, Exchange, Options};
use rmi_core::{
    Endpoint, Native,
    journal::Durable,
    transport::{Transport, tcp::Tcp},
};
use rmi_options::{Scheme, Security, Tls, Unusable, Url, Way, reload_on_hangup, say};

use crate::{Chance, CowboyArgs, CowboyServer, DogArgs, DogModuleServer, DogServer, Module, Ranch};

/// Serve the classes `Dog`, `Cowboy` and `dog` over TCP or RabbitMQ, until ctrl-c or SIGTERM
///
/// Says on standard output where it is reached, when it is. It drains when it is told to stop: what runs may finish. Told once more it ends
/// at once.
///
/// On SIGHUP it reads the directory of --trust again.
///
/// Trust is spelled out: with --key and --trust everything is signed and verified, with --insecure whoever reaches the port can call.
#[derive(Clone, Debug, Args)]
pub struct Agent {
    /// Where to listen: tcp://, or tls:// with --tls-cert; port 0 is any that is free
    #[arg(long, value_name = "HOST:PORT", value_parser = Url::peer, required_unless_present = "url")]
    pub listen: Option<Url>,
    /// The broker to be reached by, in place of a port: amqp://USER:PASSWORD@HOST:PORT/VHOST, amqps with TLS, where all but HOST may be left out
    ///
    /// Several agents may have one address, and share its requests; one with --journal has to be the only one.
    #[arg(long, value_name = "URL", value_parser = broker, conflicts_with = "listen")]
    pub url: Option<Url>,
    /// The agent's address, which callers name; at a broker also EXCHANGE/QUEUE, of an exchange that is there
    #[arg(long, default_value = "dog")]
    pub address: String,
    /// How messages are written
    #[arg(long, value_name = "NAME", default_value = "native")]
    pub dialect: Dialect,
    /// Write down in this directory what becomes of requests, so that a crash loses none
    #[arg(long, value_name = "DIR")]
    pub journal: Option<PathBuf>,
    /// Whose requests are taken
    #[command(flatten)]
    pub security: Security,
    /// TLS to callers or to the broker
    #[command(flatten)]
    pub tls: Tls,
}

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// The envelope that gofer speaks as well; with --key and --trust, signed with Ed25519
    Native,
    /// The same; with --key and --trust, signed by gofer's scheme
    Gofer,
}

impl Dialect {
    fn scheme(self) -> Scheme {
        match self {
            Dialect::Native => Scheme::Ed25519,
            Dialect::Gofer => Scheme::Gofer,
        }
    }
}

fn broker(text: &str) -> Result<Url, String> {
    let url: Url = text.parse()?;
    if url.is_brokers() { Ok(url) } else { Err(format!("{url} is no broker: --listen {url}, to listen there")) }
}

impl Agent {
    /// Looks at what no single argument says.
    ///
    /// # Errors
    ///
    /// It is not said whose requests are taken, or what is given for TLS does not go with where it is reached.
    pub fn check(&self) -> Result<(), Unusable> {
        self.security.check(self.dialect.scheme())?;
        self.tls.check(self.listen.iter().map(Way::Listens).chain(self.url.iter().map(Way::Dials)))
    }

    /// Serves until the future is ready, and drains then; one that has not begun to serve just ends.
    ///
    /// # Errors
    ///
    /// A key cannot be read, the port cannot be had, or what was sent at the end could not be flushed.
    pub async fn run(self, stop: impl Future) -> Result<(), Box<dyn Error>> {
        let opened = self.security.open(self.dialect.scheme(), &self.address)?;
        let how = opened.shown();
        if let Some(keyring) = opened.keyring {
            reload_on_hangup(keyring)?;
        }
        let mut builder = Endpoint::builder(self.address.as_str());
        if let Some(directory) = &self.journal {
            builder = builder.journal(Durable::open(directory)?);
        }
        // At a port nobody else listens, and with a journal nobody else may: what this agent has never had, nobody has.
        if self.listen.is_some() || self.journal.is_some() {
            builder = builder.queue_of_its_own();
        }
        let starting = async {
            let (transport, at) = self.reached().await?;
            let barks = Arc::new(AtomicU64::new(0));
            let endpoint = builder
                .bind(Native::default(), transport, opened.trust)
                .serve(DogServer::per_call(move |me: DogArgs| Ok::<_, Infallible>(Chance::new(me, Arc::clone(&barks)))))
                .serve(CowboyServer::per_call(|he: CowboyArgs| Ok::<_, Infallible>(Ranch(he))))
                .serve(DogModuleServer::new(Module))
                .start()
                .await?;
            Ok::<_, Box<dyn Error>>((endpoint, at))
        };
        let mut stop = pin!(stop);
        let (endpoint, at) = tokio::select! {
            started = starting => started?,
            _ = &mut stop => return Ok(()),
        };
        say(&format!("{} listens at {at} ({how})", self.address));
        let _ = endpoint.run_until(stop).await?;
        say("drained");
        Ok(())
    }

    /// How the agent is reached, and where that is.
    async fn reached(&self) -> Result<(Arc<dyn Transport>, String), Box<dyn Error>> {
        if let Some(url) = &self.url {
            let mut options = Options::default();
            // As with gofer's: the queue is bound to an exchange that is there.
            if let Some((exchange, _)) = self.address.split_once('/') {
                options = options.exchange(exchange.to_owned(), Exchange::direct().passive());
            }
            let connect = Amqp::connect(url.authority()).options(options);
            let connect = match self.tls.broker(url)? {
                Some(tls) => connect.tls(tls),
                None => connect,
            };
            return Ok((Arc::new(connect.await?), url.to_string()));
        }
        let url = self.listen.as_ref().ok_or("neither a port nor a broker is named")?;
        let listen = Tcp::listen(url.authority());
        let listener = match self.tls.listens(url)? {
            Some(tls) => listen.tls(tls).await?,
            None => listen.await?,
        };
        let at = listener.local_addr().ok_or("a listener has an address")?;
        Ok((Arc::new(listener), url.got(at).to_string()))
    }
}

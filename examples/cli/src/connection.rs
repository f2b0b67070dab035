//! From a URL and what is said about trust to an endpoint: the one place where a transport and a dialect are chosen.

use std::{sync::Arc, time::Duration};

use clap::{Args, ValueEnum};
use rmi_amqp::{Amqp, Exchange, rackhd::RackHd};
use rmi_core::{
    Endpoint, Native, Trust,
    endpoint::{BuildError, Builder},
    protocol::{JsonLines, json_lines::Profile},
    time::{Clock, SystemClock},
    transport::{Transport, tcp::Tcp},
};
use rmi_options::{Scheme, Security, Tls, Url, Way};

use crate::{ending::Ending, exit::Exit, out::Out};

/// How an agent is reached, and how it is trusted.
#[derive(Clone, Debug, Args)]
pub(crate) struct Connection {
    /// How and where the agent is reached: tcp://HOST:PORT, tls://HOST:PORT, or by RabbitMQ: amqp://USER:PASSWORD@HOST:PORT/VHOST, amqps with TLS, where all but HOST may be left out
    #[arg(value_name = "URL", value_parser = Url::to_dial)]
    pub(crate) url: Url,
    /// Be called this; otherwise the name of the key's file without its ending, or one made up where nothing is signed
    #[arg(help_heading = "Connection", long = "as", value_name = "NAME")]
    name: Option<String>,
    /// How messages are written
    #[arg(help_heading = "Connection", long, value_name = "NAME", default_value = "native")]
    dialect: Dialect,
    /// Listen at the URL, and wait until the agent dials
    #[arg(help_heading = "Connection", long)]
    listen: bool,
    #[command(flatten)]
    security: Security,
    #[command(flatten)]
    tls: Tls,
}

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Dialect {
    /// The envelope that gofer speaks as well; with --key and --trust, signed with Ed25519
    Native,
    /// The same towards agents of gofer's, whose replies are kept while the link is down; with --key and --trust, signed by gofer's scheme
    Gofer,
    /// The provisioning agent's lines, as it was deployed; nothing can be signed
    Teeth,
    /// The provisioning agent's lines, as they were documented; nothing can be signed
    TeethDocumented,
    /// RackHD's conventions on RabbitMQ, as its last release speaks; nothing can be signed, so that its name says --insecure as well
    Rackhd,
    /// RackHD's conventions as they were first written down; as rackhd otherwise
    RackhdLegacy,
}

impl Dialect {
    fn scheme(self) -> Scheme {
        match self {
            Dialect::Native => Scheme::Ed25519,
            Dialect::Gofer => Scheme::Gofer,
            Dialect::Teeth | Dialect::TeethDocumented | Dialect::Rackhd | Dialect::RackhdLegacy => Scheme::None,
        }
    }

    /// RackHD's conventions, with everything that is known of its services.
    fn rackhd(self) -> Option<RackHd> {
        match self {
            Dialect::Rackhd => Some(rackhd_api::on()),
            Dialect::RackhdLegacy => Some(rackhd_api::legacy()),
            Dialect::Native | Dialect::Gofer | Dialect::Teeth | Dialect::TeethDocumented => None,
        }
    }
}

impl Connection {
    /// An endpoint that serves nothing and calls whatever is at the URL: a class of what has this address, if that is known. A call
    /// takes this time at most unless it says otherwise.
    pub(crate) async fn open(&self, timeout: Option<Duration>, callee: Callee<'_>, out: &Out) -> Result<Endpoint, Box<Ending>> {
        let (trust, name) = self.who()?;
        if !self.security.insecure && !trust.is_sealed() {
            out.note(
                "rmi: RackHD's conventions have no signatures: everybody is believed (--insecure says so, and this is not shown)",
            );
        }
        let mut builder = Endpoint::builder(name.as_str());
        if let Some(timeout) = timeout {
            builder = builder.timeout(timeout);
        }
        if self.dialect.rackhd().is_some() && !self.url.is_brokers() {
            return Err(Ending::usage("RackHD's conventions are spoken on RabbitMQ").try_this("amqp://HOST in place of the URL"));
        }
        if self.dialect.rackhd().is_some() && matches!(callee, Some((_, "Admin"))) {
            let no = "RackHD's conventions have no `Admin`: nobody says in their words what is served, and nothing is cancelled";
            return Err(Ending::usage(no).try_this("--dialect native, where the service speaks that as well"));
        }
        let transport = self.transport(callee).await?;
        self.bind(builder, transport, trust, &name, callee).start().await.map_err(|error| match error {
            BuildError::Transport(error) => Ending::transport("the transport refused", &error),
            error => Ending::file(&error),
        })
    }

    /// Whether the agent dials, so that it has to be waited for.
    pub(crate) fn listens(&self) -> bool {
        self.listen
    }

    /// The one place where a scheme becomes a transport.
    async fn transport(&self, callee: Callee<'_>) -> Result<Arc<dyn Transport>, Box<Ending>> {
        let at = self.url.authority();
        if self.url.is_brokers() {
            return self.broker(callee).await;
        }
        let opened = if self.listen {
            self.tls.check([Way::Listens(&self.url)])?;
            let listen = Tcp::listen(at);
            match self.tls.listens(&self.url)? {
                Some(tls) => listen.tls(tls).await,
                None => listen.await,
            }
        } else {
            self.tls.check([Way::Dials(&self.url)])?;
            let connect = Tcp::connect(at);
            match self.tls.dials(&self.url)? {
                Some(tls) => connect.tls(tls).await,
                None => connect.await,
            }
        };
        match opened {
            Ok(transport) => Ok(Arc::new(transport)),
            Err(error) if self.listen => Err(Ending::transport(format!("nothing can listen at {}", self.url), &error)),
            Err(error) => Err(self.advise(Ending::transport(format!("{} cannot be reached", self.url), &error))),
        }
    }

    async fn broker(&self, callee: Callee<'_>) -> Result<Arc<dyn Transport>, Box<Ending>> {
        if self.listen {
            return Err(
                Ending::usage("nobody listens at a broker: agents and callers both dial it").try_this("it without --listen")
            );
        }
        let name = format!("rmi, process {}", std::process::id());
        let mut options = rmi_amqp::Options::default().name(name);
        if let Some(rackhd) = self.dialect.rackhd() {
            options = rackhd.options(options);
        }
        // An address may lead through an exchange, as gofer's: whoever names it says that it is there.
        if let Some(exchange) = callee.and_then(|(address, _)| address.split_once('/')).map(|(exchange, _)| exchange.to_owned()) {
            options = options.exchange(exchange, Exchange::direct().passive());
        }
        self.tls.check([Way::Dials(&self.url)])?;
        let mut connect = Amqp::connect(self.url.authority()).options(options);
        if let Some(tls) = self.tls.broker(&self.url)? {
            connect = connect.tls(tls);
        }
        match connect.await {
            Ok(amqp) => Ok(Arc::new(amqp)),
            Err(error) => Err(self.advise(Ending::transport(format!("{} cannot be reached", self.url), &error))),
        }
    }

    /// The one place where a name becomes a dialect.
    fn bind(&self, builder: Builder, transport: Arc<dyn Transport>, trust: Trust, name: &str, callee: Callee<'_>) -> Builder {
        if let Some(rackhd) = self.dialect.rackhd() {
            return builder.bind(rackhd, transport, trust);
        }
        let profile = match self.dialect {
            // Agents of gofer's are among those at a broker, and some of them read arguments by name nowhere else.
            Dialect::Native if self.url.is_brokers() => {
                return builder.bind(Native::default().repeat_keywords(), transport, trust);
            }
            Dialect::Gofer => return builder.bind(Native::gofer(), transport, trust),
            Dialect::Native | Dialect::Rackhd | Dialect::RackhdLegacy => {
                return builder.bind(Native::default(), transport, trust);
            }
            Dialect::Teeth => Profile::Deployed,
            Dialect::TeethDocumented => Profile::Documented,
        };
        let mut lines = if self.listen { JsonLines::server() } else { JsonLines::agent(name) }.profile(profile);
        if let Some((address, class)) = callee {
            lines = lines.peer_name(address);
            // Classes that are not the protocol's own are commands of their own names.
            if !["agent", "server", "decom", "standby"].contains(&class) {
                lines = lines.class(class, class);
            }
        }
        builder.bind(lines, transport, trust)
    }

    /// What is signed and believed, and who we are.
    fn who(&self) -> Result<(Trust, String), Box<Ending>> {
        if let Some(name) = self.name.as_deref().filter(|name| name.is_empty() || name.len() > LONGEST_NAME) {
            return Err(Ending::usage(format!("a name has 1 to {LONGEST_NAME} bytes, and `--as` has {}", name.len())));
        }
        // The dialect's name says that nothing is signed, as its help tells, and so does what is shown when it is used.
        if self.security.insecure || (self.dialect.rackhd().is_some() && !self.security.is_given()) {
            let name = match &self.name {
                Some(name) => name.clone(),
                // Nobody else has it, so that nobody's replies are taken for another's.
                None => format!("rmi-{}", &SystemClock.id().simple().to_string()[..12]),
            };
            return Ok((Trust::insecure(), name));
        }
        let scheme = self.dialect.scheme();
        self.security.check(scheme)?;
        let unnamed = || Ending::usage("the key's file does not say your name").try_this("--as NAME");
        let name = self.name.clone().or_else(|| self.security.name()).ok_or_else(unnamed)?;
        Ok((self.security.open(scheme, &name)?.trust, name))
    }

    /// What helps against an ending on this connection.
    pub(crate) fn advise(&self, ending: Box<Ending>) -> Box<Ending> {
        match ending.exit() {
            Exit::Transport if self.url.is_brokers() => {
                ending.try_this(format!("is RabbitMQ at {}, and may you use its virtual host?", self.url))
            }
            Exit::Transport => ending.try_this(format!("is an agent listening at {}?", self.url)),
            Exit::Timeout if self.security.insecure => ending.try_this("a longer --timeout"),
            Exit::Timeout => {
                let heard = "a longer --timeout; but an agent is not heard if you do not trust it: is its key in `rmi trust list`, \
                             under its address?";
                let gofers = " gofer's agents sign by a scheme of their own: --dialect gofer";
                let may_be_gofers = self.url.is_brokers() && self.dialect == Dialect::Native;
                ending.try_this(format!("{heard}{}", if may_be_gofers { gofers } else { "" }))
            }
            _ => ending,
        }
    }
}

/// The address that is called, and its class.
pub(crate) type Callee<'a> = Option<(&'a str, &'a str)>;

/// The longest name that a person gives himself, in bytes.
const LONGEST_NAME: usize = 255;

/// Sends what waits, and leaves.
pub(crate) async fn close(endpoint: &Endpoint) {
    // What could not be flushed was not confirmed: the command has said so, or nobody asked.
    let _ = endpoint.shutdown(Duration::ZERO).await;
}

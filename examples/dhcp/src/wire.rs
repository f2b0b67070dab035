//! Where the service is reached, and in which words.

use std::{error::Error, fmt, sync::Arc};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueEnum, builder::EnumValueParser, error::ErrorKind};
use rmi_amqp::{Amqp, Options, rackhd::RackHd};
use rmi_core::{
    Native, Trust,
    endpoint::Builder,
    transport::{Transport, tcp::Tcp},
};
use rmi_options::{Tls, Url, Way};

/// In which words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dialect {
    /// The native envelope, which can be signed
    Envelope,
    /// RackHD's conventions as its last release speaks them; nothing can be signed, and whoever reaches the broker can call
    Rackhd,
    /// RackHD's conventions as they were first written down; as rackhd otherwise
    RackhdLegacy,
}

/// One way to the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wire {
    pub(crate) url: Url,
    pub(crate) dialect: Dialect,
}

/// All of them: each `--dialect` is for the `--url` before it.
#[derive(Clone, Debug)]
pub(crate) struct Wires(pub(crate) Vec<Wire>);

impl Dialect {
    pub(crate) fn rackhd(self) -> Option<RackHd> {
        match self {
            Dialect::Envelope => None,
            Dialect::Rackhd => Some(rackhd_api::on()),
            Dialect::RackhdLegacy => Some(rackhd_api::legacy()),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Dialect::Envelope => "the native envelope",
            Dialect::Rackhd => "RackHD's conventions",
            Dialect::RackhdLegacy => "RackHD's conventions of 2015",
        }
    }
}

const URL: &str = "url";
const DIALECT: &str = "dialect";

const SEVERAL: &str = "Where to be reached: amqp://USER:PASSWORD@HOST:PORT/VHOST, amqps with TLS, where all but HOST may be left out, or tcp://HOST:PORT or tls://HOST:PORT to listen at; any number \
                       of them";
const EACH: &str = "In which words at the --url before it; envelope unless it is said. Several --dialect behind one --url are all \
                    spoken there";

impl Args for Wires {
    fn augment_args(command: Command) -> Command {
        let url = Arg::new(URL).long(URL).value_name("URL").required(true).action(ArgAction::Append).help(SEVERAL);
        let dialect = Arg::new(DIALECT).long(DIALECT).value_name("DIALECT").action(ArgAction::Append).help(EACH);
        command.arg(url.value_parser(clap::value_parser!(Url))).arg(dialect.value_parser(EnumValueParser::<Dialect>::new()))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Wires::augment_args(command)
    }
}

impl FromArgMatches for Wires {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (at, urls) = (matches.indices_of(URL), matches.get_many::<Url>(URL));
        let urls: Vec<(usize, &Url)> = at.into_iter().flatten().zip(urls.into_iter().flatten()).collect();
        let (at, dialects) = (matches.indices_of(DIALECT), matches.get_many::<Dialect>(DIALECT));
        let mut dialects = at.into_iter().flatten().zip(dialects.into_iter().flatten().copied()).peekable();
        if dialects.peek().is_some_and(|(first, _)| urls.first().is_none_or(|(url, _)| first < url)) {
            return Err(wrong("a --dialect is for the --url before it, and before the first there is none"));
        }
        let mut wires = Vec::new();
        for (n, (_, url)) in urls.iter().enumerate() {
            let next = urls.get(n + 1).map_or(usize::MAX, |(next, _)| *next);
            let mut spoken = Vec::new();
            while let Some((_, dialect)) = dialects.next_if(|(at, _)| *at < next) {
                spoken.push(dialect);
            }
            if spoken.is_empty() {
                spoken.push(Dialect::Envelope);
            }
            for dialect in spoken {
                let wire = Wire { url: (*url).clone(), dialect };
                if dialect != Dialect::Envelope && !wire.url.is_brokers() {
                    return Err(wrong("RackHD's conventions are spoken over brokers: give their --dialect an amqp:// --url"));
                }
                if wires.contains(&wire) {
                    return Err(wrong(format!("{wire} is given twice")));
                }
                wires.push(wire);
            }
        }
        Ok(Wires(wires))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Wires::from_arg_matches(matches)?;
        Ok(())
    }
}

fn wrong(why: impl fmt::Display) -> clap::Error {
    clap::Error::raw(ErrorKind::ArgumentConflict, format!("{why}\n"))
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.url, self.dialect.words())
    }
}

impl Wire {
    /// Whether messages can be signed. RackHD's have no place for that: who names the dialect says so.
    pub(crate) fn is_sealable(&self) -> bool {
        self.dialect == Dialect::Envelope
    }

    /// How who serves is reached by it.
    pub(crate) fn way(&self) -> Way<'_> {
        if self.url.is_brokers() { Way::Dials(&self.url) } else { Way::Listens(&self.url) }
    }

    /// Binds an endpoint of this name to it, as who serves. Says where it is reached.
    pub(crate) async fn listen(
        &self,
        builder: Builder,
        name: &str,
        trust: Trust,
        tls: &Tls,
    ) -> Result<(Builder, String), Box<dyn Error>> {
        if self.url.is_brokers() {
            return Ok((self.connect(builder, name, trust, tls).await?, self.to_string()));
        }
        let listen = Tcp::listen(self.url.authority());
        let listener = match tls.listens(&self.url)? {
            Some(tls) => listen.tls(tls).await,
            None => listen.await,
        };
        let listener = listener.map_err(|source| self.unreachable(source))?;
        let at = listener.local_addr().ok_or("a listener has an address")?;
        Ok((builder.bind(Native::default(), listener, trust), format!("{} in {}", self.url.got(at), self.dialect.words())))
    }

    /// Binds an endpoint of this name to it, as who calls, or to a broker.
    pub(crate) async fn connect(&self, builder: Builder, name: &str, trust: Trust, tls: &Tls) -> Result<Builder, Box<dyn Error>> {
        let failed = |source| self.unreachable(source);
        if !self.url.is_brokers() {
            let connect = Tcp::connect(self.url.authority());
            let tcp = match tls.dials(&self.url)? {
                Some(tls) => connect.tls(tls).await,
                None => connect.await,
            };
            return Ok(builder.bind(Native::default(), tcp.map_err(failed)?, trust));
        }
        let (options, rackhd) = (Options::default().name(name), self.dialect.rackhd());
        let options = match &rackhd {
            Some(dialect) => dialect.options(options),
            None => options,
        };
        let mut connect = Amqp::connect(self.url.authority()).options(options);
        if let Some(tls) = tls.broker(&self.url)? {
            connect = connect.tls(tls);
        }
        let amqp: Arc<dyn Transport> = Arc::new(connect.await.map_err(failed)?);
        Ok(match rackhd {
            Some(dialect) => builder.bind(dialect, amqp, trust),
            None => builder.bind(Native::default(), amqp, trust),
        })
    }

    fn unreachable(&self, source: rmi_core::transport::TransportError) -> Unreachable {
        Unreachable { wire: self.clone(), source }
    }
}

/// It cannot be reached, or nothing can listen there.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be used", wire.url)]
struct Unreachable {
    wire: Wire,
    #[source]
    source: rmi_core::transport::TransportError,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        wires: Wires,
    }

    fn parsed(arguments: &str) -> Result<Vec<String>, String> {
        let program = Program::try_parse_from(["program"].into_iter().chain(arguments.split_whitespace()));
        let program = program.map_err(|error| error.to_string())?;
        Ok(program.wires.0.iter().map(|wire| format!("{} {:?}", wire.url, wire.dialect)).collect())
    }

    #[test]
    fn each_dialect_is_for_the_url_before_it() {
        let amqp = "amqp://me:secret@broker";
        let all = parsed(&format!("--url {amqp} --dialect rackhd --dialect envelope --url tcp://[::1]:7000")).unwrap();
        assert_eq!(all, ["amqp://broker:5672 Rackhd", "amqp://broker:5672 Envelope", "tcp://[::1]:7000 Envelope"]);
        let both = parsed("--url tcp://a:0 --url amqp://b:5672 --dialect rackhd-legacy").unwrap();
        assert_eq!(both, ["tcp://a:0 Envelope", "amqp://b:5672 RackhdLegacy"]);
    }

    #[test]
    fn what_does_not_go_together_is_said() {
        for (arguments, part) in [
            ("", "--url"),
            ("--dialect rackhd --url amqp://a", "before the first"),
            ("--url tcp://a:1 --dialect rackhd", "amqp://"),
            ("--url amqp://a --dialect rackhd --url amqp://a --dialect rackhd", "twice"),
            ("--url tcp://a", "the port behind the host"),
            ("--url amqp://a:x", "port"),
            ("--url http://a", "write tcp://"),
        ] {
            let error = parsed(arguments).unwrap_err();
            assert!(error.contains(part), "{arguments}: {error}");
        }
    }
}

//! Where the service is reached, and in which words.

use std::{error::Error, fmt, sync::Arc};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueEnum, builder::EnumValueParser, error::ErrorKind};
use rmi_amqp::{Amqp, Options, rackhd::RackHd};
use rmi_core::{
    Native, Trust,
    endpoint::Builder,
    transport::{Transport, tcp::Tcp},
};

/// Where to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Url {
    /// Host and port.
    Tcp(String),
    /// A broker, with credentials.
    Amqp(String),
}

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

impl std::str::FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            Some(("tcp", at))
                if at.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) =>
            {
                Ok(Url::Tcp(at.to_owned()))
            }
            Some(("tcp", _)) => Err("write a host and a port, as in tcp://127.0.0.1:7000".to_owned()),
            Some(("amqp" | "amqps", _)) => {
                Amqp::connect(text).check().map_err(|error| error.to_string())?;
                Ok(Url::Amqp(text.to_owned()))
            }
            _ => Err("write amqp://[USER[:PASSWORD]@]HOST[:PORT][/VHOST] or tcp://HOST:PORT".to_owned()),
        }
    }
}

/// Without credentials.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Url::Tcp(at) => write!(f, "tcp://{at}"),
            Url::Amqp(url) => f.write_str(&Amqp::connect(url.as_str()).shown()),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

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

const SEVERAL: &str = "Where to be reached: amqp://USER:PASSWORD@HOST:PORT/VHOST, amqps with TLS, where all but HOST may be left out, or tcp://HOST:PORT to listen at; any number \
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
                if dialect != Dialect::Envelope && matches!(wire.url, Url::Tcp(_)) {
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

    /// Binds an endpoint of this name to it, as who serves. Says where it is reached.
    pub(crate) async fn listen(&self, builder: Builder, name: &str, trust: Trust) -> Result<(Builder, String), Box<dyn Error>> {
        if let Url::Tcp(at) = &self.url {
            let listener = Tcp::listen(at.clone()).await.map_err(|source| Unreachable { wire: self.clone(), source })?;
            let at = listener.local_addr().ok_or("a listener has an address")?;
            return Ok((builder.bind(Native::default(), listener, trust), format!("tcp://{at} in {}", self.dialect.words())));
        }
        Ok((self.connect(builder, name, trust).await?, self.to_string()))
    }

    /// Binds an endpoint of this name to it, as who calls, or to a broker.
    pub(crate) async fn connect(&self, builder: Builder, name: &str, trust: Trust) -> Result<Builder, Box<dyn Error>> {
        let failed = |source| Unreachable { wire: self.clone(), source };
        let options = Options::default().name(name);
        Ok(match (&self.url, self.dialect.rackhd()) {
            (Url::Tcp(at), _) => builder.bind(Native::default(), Tcp::connect(at.clone()).await.map_err(failed)?, trust),
            (Url::Amqp(url), None) => {
                builder.bind(Native::default(), Amqp::connect(url.as_str()).options(options).await.map_err(failed)?, trust)
            }
            (Url::Amqp(url), Some(dialect)) => {
                let amqp = Amqp::connect(url.as_str()).options(dialect.options(options)).await.map_err(failed)?;
                builder.bind(dialect, Arc::new(amqp) as Arc<dyn Transport>, trust)
            }
        })
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
        assert!(!format!("{:?}", amqp.parse::<Url>()).contains("secret"));
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
            ("--url tcp://a", "a host and a port"),
            ("--url amqp://a:x", "port"),
            ("--url http://a", "tcp://HOST:PORT"),
        ] {
            let error = parsed(arguments).unwrap_err();
            assert!(error.contains(part), "{arguments}: {error}");
        }
    }
}

//! Where to: the scheme of a URL says how messages travel.

use std::{fmt, net::SocketAddr, str::FromStr};

/// Where to, and how.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    kind: Kind,
    /// Host and port; the whole URL, with credentials, where it is a broker's.
    authority: String,
}

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By links over TCP.
    Tcp,
    /// By links over TLS.
    Tls,
    /// By RabbitMQ.
    Amqp,
    /// By RabbitMQ, over TLS.
    Amqps,
}

impl Url {
    /// How messages travel.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Host and port; the whole URL, with credentials, where it is a broker's.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Whether it leads to a broker, and not to a peer.
    #[must_use]
    pub fn is_brokers(&self) -> bool {
        matches!(self.kind, Kind::Amqp | Kind::Amqps)
    }

    /// Whether TLS is spoken there.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self.kind, Kind::Tls | Kind::Amqps)
    }

    /// The port of a peer.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        if self.is_brokers() { None } else { self.authority.rsplit_once(':')?.1.parse().ok() }
    }

    /// The same with the address that was got.
    #[must_use]
    pub fn got(&self, at: SocketAddr) -> Self {
        Url { kind: self.kind, authority: at.to_string() }
    }

    /// Where a peer is: `tcp://HOST:PORT`, `tls://HOST:PORT`, or `HOST:PORT`, which is the first.
    ///
    /// # Errors
    ///
    /// It is none of these.
    pub fn peer(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            None => peer(Kind::Tcp, text),
            Some(("tcp" | "tls", _)) => text.parse(),
            Some((scheme, _)) => {
                Err(format!("here peers meet over tcp://HOST:PORT or tls://HOST:PORT, and not over {scheme}://"))
            }
        }
    }

    /// Where somebody listens: a port that is any that is free is none to dial.
    ///
    /// # Errors
    ///
    /// It is no URL, or has the port 0.
    pub fn to_dial(text: &str) -> Result<Self, String> {
        let url: Url = text.parse()?;
        if url.port() == Some(0) { Err(PORT.to_owned()) } else { Ok(url) }
    }
}

const PORT: &str = "write the port behind the host, a number from 1 to 65535, as in tcp://127.0.0.1:7000";

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("write how and where to, as in tcp://127.0.0.1:7000".to_owned());
        };
        match scheme {
            "tcp" => peer(Kind::Tcp, rest),
            "tls" => peer(Kind::Tls, rest),
            "amqp" => broker(Kind::Amqp, text),
            "amqps" => broker(Kind::Amqps, text),
            "mqtt" | "mqtts" => Err("MQTT is not built into this program yet: tcp://, tls:// and amqp:// are".to_owned()),
            "memory" => Err("a bus in memory is inside one process, and nobody else is on it: use tcp://".to_owned()),
            other => Err(format!("there is no transport for `{other}://`: write tcp://, tls:// or amqp://")),
        }
    }
}

fn peer(kind: Kind, rest: &str) -> Result<Url, String> {
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
    if authority.contains(['/', '?', '#', '@']) {
        return Err("nothing stands before the host or behind the port: write tcp://HOST:PORT".to_owned());
    }
    if host.is_empty() || (host.contains(':') && !(host.starts_with('[') && host.ends_with(']'))) {
        return Err("write the host before the port, and an IPv6 address in brackets, as in tcp://[::1]:7000".to_owned());
    }
    if port.parse::<u16>().is_err() {
        return Err(PORT.to_owned());
    }
    Ok(Url { kind, authority: authority.to_owned() })
}

/// A broker's URL is its transport's to read.
#[cfg(feature = "amqp")]
fn broker(kind: Kind, text: &str) -> Result<Url, String> {
    rmi_amqp::Amqp::connect(text).check().map_err(|error| error.to_string())?;
    Ok(Url { kind, authority: text.to_owned() })
}

#[cfg(not(feature = "amqp"))]
fn broker(_: Kind, _: &str) -> Result<Url, String> {
    Err("RabbitMQ is not built into this program: tcp:// and tls:// are".to_owned())
}

/// Without credentials.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Tcp => write!(f, "tcp://{}", self.authority),
            Kind::Tls => write!(f, "tls://{}", self.authority),
            #[cfg(feature = "amqp")]
            Kind::Amqp | Kind::Amqps => f.write_str(&rmi_amqp::Amqp::connect(self.authority.as_str()).shown()),
            #[cfg(not(feature = "amqp"))]
            Kind::Amqp | Kind::Amqps => f.write_str("a broker"),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_scheme_a_host_and_a_port() {
        for text in ["tcp://127.0.0.1:7000", "tls://[::1]:7000/", "tcp://dogs.example:1"] {
            let url: Url = text.parse().unwrap();
            assert_eq!(url.to_string(), text.trim_end_matches('/'));
        }
    }

    #[cfg(feature = "amqp")]
    #[test]
    fn the_password_of_a_broker_is_not_shown() {
        let url: Url = "amqp://dog:secret@broker/kennel".parse().unwrap();
        assert_eq!(
            (url.to_string(), format!("{url:?}")),
            ("amqp://broker:5672/kennel".to_owned(), "amqp://broker:5672/kennel".to_owned())
        );
        assert!(url.authority().contains("secret") && url.is_brokers() && !url.is_tls());
    }

    #[test]
    fn what_is_no_url_is_told_what_to_write() {
        let mut cases = vec![
            ("127.0.0.1:7000", "tcp://127.0.0.1:7000"),
            ("tcp://127.0.0.1", "port"),
            ("tcp://127.0.0.1:65536", "1 to 65535"),
            ("tcp://:7000", "host"),
            ("tcp://::1:7000", "brackets"),
            ("tcp://a:1/path", "behind the port"),
            ("tcp://me@a:1", "before the host"),
            ("mqtt://a:1", "not built"),
            ("memory://", "one process"),
            ("http://a:1", "`http://`"),
        ];
        if cfg!(feature = "amqp") {
            cases.extend([("amqp://a:x", "the port of `a`"), ("amqps://", "host")]);
        } else {
            cases.push(("amqp://a", "not built"));
        }
        for (text, part) in cases {
            let error = text.parse::<Url>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_port_that_is_any_is_for_whoever_listens() {
        assert_eq!("tcp://127.0.0.1:0".parse::<Url>().unwrap().port(), Some(0));
        assert!(Url::to_dial("tcp://127.0.0.1:0").unwrap_err().contains("1 to 65535"));
        assert!(Url::to_dial("tcp://127.0.0.1:1").is_ok());
    }

    #[test]
    fn peers_may_be_written_without_a_scheme() {
        for (text, kind, authority) in [
            ("tcp://[::1]:8081", Kind::Tcp, "[::1]:8081"),
            ("server:8081", Kind::Tcp, "server:8081"),
            ("tls://server:1/", Kind::Tls, "server:1"),
        ] {
            assert_eq!(Url::peer(text), Ok(Url { kind, authority: authority.to_owned() }));
        }
        for text in ["server", "tcp://server", ":8081", "amqp://server:5672", "server:port"] {
            assert!(Url::peer(text).is_err(), "{text}");
        }
    }
}

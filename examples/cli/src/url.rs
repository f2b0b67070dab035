//! Where to: the scheme of a URL says how messages travel.

use std::fmt;

use rmi_amqp::Amqp;

/// Where to, and how.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) scheme: Scheme,
    /// Host and port; the whole URL, with credentials, where it is a broker's.
    pub(crate) authority: String,
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Url {
    /// Whether it leads to a broker, and not to a peer.
    pub(crate) fn is_brokers(&self) -> bool {
        matches!(self.scheme, Scheme::Amqp | Scheme::Amqps)
    }
}

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Lines over TCP.
    Tcp,
    /// Lines over TLS.
    Tls,
    /// RabbitMQ.
    Amqp,
    /// RabbitMQ, over TLS.
    Amqps,
}

impl std::str::FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("write how and where to, as in tcp://127.0.0.1:7000".to_owned());
        };
        let scheme = match scheme {
            "tcp" => Scheme::Tcp,
            "tls" => Scheme::Tls,
            // Each of these gets its place in `connection.rs`, with the transport's own crate.
            "amqp" => return broker(Scheme::Amqp, text),
            "amqps" => return broker(Scheme::Amqps, text),
            "mqtt" | "mqtts" => return Err("MQTT is not built into this program yet: tcp://, tls:// and amqp:// are".to_owned()),
            "memory" => return Err("a bus in memory is inside one process, and nobody else is on it: use tcp://".to_owned()),
            other => return Err(format!("there is no transport for `{other}://`: write tcp://, tls:// or amqp://")),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
        if authority.contains(['/', '?', '#', '@']) {
            return Err("nothing stands before the host or behind the port: write tcp://HOST:PORT".to_owned());
        }
        if host.is_empty() || (host.contains(':') && !(host.starts_with('[') && host.ends_with(']'))) {
            return Err("write the host before the port, and an IPv6 address in brackets, as in tcp://[::1]:7000".to_owned());
        }
        if !port.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err("write the port behind the host, a number from 1 to 65535, as in tcp://127.0.0.1:7000".to_owned());
        }
        Ok(Url { scheme, authority: authority.to_owned() })
    }
}

/// A broker's URL is its transport's to read.
fn broker(scheme: Scheme, text: &str) -> Result<Url, String> {
    Amqp::connect(text).check().map_err(|error| error.to_string())?;
    Ok(Url { scheme, authority: text.to_owned() })
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Scheme::Tcp => write!(f, "tcp://{}", self.authority),
            Scheme::Tls => write!(f, "tls://{}", self.authority),
            Scheme::Amqp | Scheme::Amqps => f.write_str(&Amqp::connect(self.authority.as_str()).shown()),
        }
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

    #[test]
    fn the_password_of_a_broker_is_not_shown() {
        let url: Url = "amqp://dog:secret@broker/kennel".parse().unwrap();
        assert_eq!(
            (url.to_string(), format!("{url:?}")),
            ("amqp://broker:5672/kennel".to_owned(), "amqp://broker:5672/kennel".to_owned())
        );
        assert!(url.authority.contains("secret"));
    }

    #[test]
    fn what_is_no_url_is_told_what_to_write() {
        let cases = [
            ("127.0.0.1:7000", "tcp://127.0.0.1:7000"),
            ("tcp://127.0.0.1", "port"),
            ("tcp://127.0.0.1:0", "1 to 65535"),
            ("tcp://:7000", "host"),
            ("tcp://::1:7000", "brackets"),
            ("tcp://a:1/path", "behind the port"),
            ("tcp://me@a:1", "before the host"),
            ("amqp://a:x", "the port of `a`"),
            ("amqps://", "host"),
            ("mqtt://a:1", "not built"),
            ("memory://", "one process"),
            ("http://a:1", "`http://`"),
        ];
        for (text, part) in cases {
            let error = text.parse::<Url>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

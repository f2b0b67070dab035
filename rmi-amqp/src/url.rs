//! `amqp://user:password@host:port/vhost`, with several hosts where there are several brokers.

use std::fmt;

/// A URL is not understood. It says what is wrong, and never shows the URL: a password may be in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the URL of the broker: {0}")]
pub struct UrlError(String);

/// What a URL says.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) tls: bool,
    pub(crate) hosts: Vec<Host>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) vhost: String,
    pub(crate) query: Vec<(String, String)>,
}

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Url").field("hosts", &self.hosts).field("vhost", &self.vhost).finish_non_exhaustive()
    }
}

impl Url {
    /// The URL without credentials.
    pub(crate) fn shown(&self) -> String {
        let scheme = if self.tls { "amqps" } else { "amqp" };
        let hosts: Vec<_> = self.hosts.iter().map(Host::to_string).collect();
        let vhost = if self.vhost == "/" { String::new() } else { format!("/{}", self.vhost) };
        format!("{scheme}://{}{vhost}", hosts.join(","))
    }

    /// Reads `amqp[s]://[user[:password]@]host[:port][,host[:port]…][/vhost][?key=value&…]`.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let wrong = |what: &str| UrlError(what.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("it begins with `amqp://` or `amqps://`"))?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "amqp" => false,
            "amqps" => true,
            _ => return Err(wrong("it begins with `amqp://` or `amqps://`")),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // The last `@`: a password that has one should have it as `%40`, and is understood without.
        let (path_from, credentials) = match rest.rfind('@') {
            Some(at) => (&rest[at + 1..], Some(&rest[..at])),
            None => (rest, None),
        };
        let (hosts, vhost) = match path_from.split_once('/') {
            // RabbitMQ's own grammar takes a single `/` for the virtual host without a name, which nobody has.
            Some((hosts, vhost)) if !vhost.is_empty() => (hosts, decode(vhost)?),
            Some((hosts, _)) => (hosts, "/".to_owned()),
            None => (path_from, "/".to_owned()),
        };
        let (user, password) = match credentials.map(|both| both.split_once(':').map_or((both, None), |(u, p)| (u, Some(p)))) {
            Some((user, password)) => (Some(decode(user)?), password.map(decode).transpose()?),
            None => (None, None),
        };
        let hosts: Result<Vec<_>, _> = hosts.split(',').map(|host| self::host(host, tls)).collect();
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(key)?, decode(value)?));
        }
        Ok(Url { tls, hosts: hosts?, user, password, vhost, query: pairs })
    }
}

fn host(text: &str, tls: bool) -> Result<Host, UrlError> {
    let usual = if tls { 5671 } else { 5672 };
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, rest) = rest.split_once(']').ok_or_else(|| UrlError("an IPv6 address ends with `]`".to_owned()))?;
            if !(rest.is_empty() || rest.starts_with(':')) {
                return Err(UrlError("after the `]` of an IPv6 address comes nothing, or `:` and a port".to_owned()));
            }
            (name, rest.strip_prefix(':'))
        }
        None => text.rsplit_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    if name.is_empty() {
        return Err(UrlError("there is no host in it".to_owned()));
    }
    let port = match port {
        None => usual,
        Some(port) => {
            let port = port.parse().ok().filter(|port| *port > 0);
            port.ok_or_else(|| UrlError(format!("the port of `{name}` is a number from 1 to 65535")))?
        }
    };
    Ok(Host { name: decode(name)?, port })
}

/// Undoes `%2f` and the like (RFC 3986, section 2.1).
fn decode(text: &str) -> Result<String, UrlError> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let wrong = || UrlError("after `%` come two hexadecimal digits, and what they say is UTF-8".to_owned());
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(wrong)?;
        let code = digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u8::from_str_radix(digits, 16));
        bytes.push(code.and_then(Result::ok).ok_or_else(wrong)?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_its_place() {
        let url = Url::parse("amqps://d%40g:s%2fe:c@one,two:5673,[::1]:7/ken%20nel?heartbeat=5&x=%26").unwrap();
        assert!(url.tls);
        let host = |name: &str, port| Host { name: name.to_owned(), port };
        assert_eq!(url.hosts, [host("one", 5671), host("two", 5673), host("::1", 7)]);
        assert_eq!((url.user.as_deref(), url.password.as_deref()), (Some("d@g"), Some("s/e:c")));
        assert_eq!(url.vhost, "ken nel");
        assert_eq!(url.query, [("heartbeat".to_owned(), "5".to_owned()), ("x".to_owned(), "&".to_owned())]);
    }

    #[test]
    fn what_is_not_said_is_as_usual() {
        let url = Url::parse("amqp://broker").unwrap();
        assert_eq!((url.tls, url.vhost.as_str(), &url.user), (false, "/", &None));
        assert_eq!(url.hosts[0].to_string(), "broker:5672");
        assert_eq!(Url::parse("amqp://broker/").unwrap().vhost, "/");
        assert_eq!(Url::parse("amqp://broker/%2f").unwrap().vhost, "/");
    }

    #[test]
    fn what_is_shown_has_no_password() {
        let shown = |url| Url::parse(url).unwrap().shown();
        assert_eq!(shown("amqp://dog:secret@one,[::1]:7/kennel"), "amqp://one:5672,[::1]:7/kennel");
        assert_eq!(shown("amqps://dog:secret@one?heartbeat=1"), "amqps://one:5671");
    }

    #[test]
    fn an_error_does_not_show_the_password() {
        for wrong in [
            "http://dog:secret@broker",
            "amqp://dog:secret@",
            "amqp://dog:secret@broker:x",
            "amqp://dog:secret@broker:0",
            "amqp://dog:secret@[::1]5672",
            "amqp://dog:secret%2@broker",
            "secret",
        ] {
            let error = Url::parse(wrong).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(!format!("{:?}", Url::parse("amqp://dog:secret@broker").unwrap()).contains("secret"));
    }
}

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use rmi_core::transport::TransportError;
use tokio::sync::watch;

#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::{
    Amqp,
    consume::Subscribers,
    error::refused,
    handle::Handle,
    link::Link,
    options::{Credentials, Options, Sasl},
    publish::Publisher,
    socket::Target,
    url::{Url, UrlError},
};

/// Connects, when it is awaited; see [`Amqp::connect`].
#[derive(Debug)]
#[must_use = "it does nothing until it is awaited"]
pub struct Connect {
    url: Result<Url, UrlError>,
    options: Options,
    credentials: Option<Credentials>,
    patient: bool,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Connect {
    pub(crate) fn new(url: String) -> Self {
        Connect {
            url: Url::parse(&url),
            options: Options::default(),
            credentials: None,
            patient: false,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Looks at the URL before anything is connected.
    ///
    /// # Errors
    ///
    /// It is not understood.
    pub fn check(&self) -> Result<(), UrlError> {
        self.url.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    /// Where it leads, without credentials: fit to be shown.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.url {
            Ok(url) => url.shown(),
            Err(error) => error.to_string(),
        }
    }

    /// With these bounds, times and declarations. What the URL's query says (`heartbeat` in seconds, `frame_max` in bytes,
    /// `connection_timeout` in milliseconds, `auth_mechanism`) holds before it.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// As this user, in place of the one in the URL. They are in no log and no error.
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some(Credentials { user: user.into(), password: password.into() });
        self
    }

    /// With TLS: whom to trust, and who one is. Without it, `amqps` trusts the authorities that this machine trusts.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Does not fail when no broker takes the connection now, for whatever reason: it is tried again until one does, and the log says why
    /// not yet.
    pub fn patiently(mut self) -> Self {
        self.patient = true;
        self
    }

    async fn connect(self) -> Result<Amqp, TransportError> {
        let url = self.url.map_err(|error| refused(error.to_string()))?;
        let options = query(&url, self.options)?;
        let from_url = match url.user {
            Some(user) => Credentials { user, password: url.password.unwrap_or_default() },
            None => Credentials::default(),
        };
        #[cfg(feature = "tls")]
        let tls = match (self.tls, url.tls) {
            (Some(tls), _) => Some(tls),
            (None, true) => Some(Tls::system()?),
            (None, false) => None,
        };
        #[cfg(not(feature = "tls"))]
        let tls = if url.tls { return Err(crate::tls::missing()) } else { None };
        let target = Target { hosts: url.hosts, vhost: url.vhost, credentials: self.credentials.unwrap_or(from_url), tls };
        let (link, orders) = Link::new(target, options);
        let first = match link.connect().await {
            Ok(first) => Some(first),
            Err(error) if self.patient => {
                tracing::warn!(%error, "no connection to RabbitMQ; it is tried again");
                None
            }
            Err(error) => return Err(error),
        };
        let mut state = link.watch();
        let connected = first.is_some();
        let publisher = Publisher::start(&link);
        let subscribers = Arc::new(Subscribers::default());
        // From here on whoever does not wait any more ends the connection.
        let handle = Handle { link: Arc::clone(&link), publisher, subscribers, closing: watch::Sender::new(false) };
        tokio::spawn(Arc::clone(&link).drive(first, orders));
        if connected {
            // Whoever asks for the links finds this one.
            let mut links = link.reporter.watch();
            crate::link::up(&mut state).await;
            links.next().await;
        }
        Ok(Amqp { handle: Arc::new(handle) })
    }
}

impl IntoFuture for Connect {
    type Output = Result<Amqp, TransportError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.connect())
    }
}

/// What a URL's query says, in the words that other clients have for it.
fn query(url: &Url, mut options: Options) -> Result<Options, TransportError> {
    for (key, value) in &url.query {
        let number = || value.parse::<u32>().map_err(|_| refused(format!("`{key}` in the URL of the broker is a number")));
        options = match key.as_str() {
            "heartbeat" => match number()? {
                0 => {
                    return Err(refused(
                        "`heartbeat` in the URL of the broker is at least 1: without any, nobody notices a lost link",
                    ));
                }
                seconds => options.heartbeat(Duration::from_secs(seconds.into())),
            },
            "frame_max" => options.frame_max(number()?),
            "connection_timeout" => options.connect_timeout(Duration::from_millis(number()?.into())),
            "auth_mechanism" => options.sasl(match value.to_ascii_lowercase().as_str() {
                "plain" => Sasl::Plain,
                "amqplain" => Sasl::AmqPlain,
                "external" => Sasl::External,
                _ => {
                    return Err(refused("`auth_mechanism` in the URL of the broker is one of plain, amqplain and external"));
                }
            }),
            _ => {
                return Err(refused(format!(
                    "`{key}` in the URL of the broker is not known; there are heartbeat, frame_max, connection_timeout and auth_mechanism"
                )));
            }
        };
    }
    Ok(options)
}

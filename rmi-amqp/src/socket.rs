//! One connection: dialled, encrypted where that is wanted, and welcomed by the broker.

mod frames;
mod mended;

use std::{
    fmt, io,
    net::Shutdown,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties,
    uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism},
};
use rmi_core::transport::TransportError;
use socket2::{SockRef, Socket, TcpKeepalive};
use tokio::{net::lookup_host, time::timeout};

use self::mended::{Mended, mending};
use crate::{
    error::{disconnected, refused, told},
    options::{Credentials, Options, Sasl},
    tls::Tls,
    url::Host,
};

/// Where brokers are, and how they are told who one is.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) hosts: Vec<Host>,
    pub(crate) vhost: String,
    pub(crate) credentials: Credentials,
    pub(crate) tls: Option<Tls>,
}

/// Ends a connection at once, whatever the library waits for: also one whose peer takes nothing any more.
pub(crate) struct Kill(Socket);

impl Kill {
    pub(crate) fn now(&self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl Drop for Kill {
    /// A handshake that was given up would otherwise be waited for by the library's thread, for as long as the peer is silent.
    fn drop(&mut self) {
        self.now();
    }
}

impl fmt::Debug for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kill")
    }
}

/// Dials one broker.
pub(crate) async fn open(target: &Target, host: &Host, options: &Options) -> Result<(Connection, Kill), TransportError> {
    let within = options.connect_timeout;
    match timeout(within, dial(target, host, options)).await {
        Ok(opened) => opened,
        Err(_) => Err(disconnected(format!("the broker at {host} does not answer: {within:?} were not enough to connect"))),
    }
}

async fn dial(target: &Target, host: &Host, options: &Options) -> Result<(Connection, Kill), TransportError> {
    let unreachable =
        |error: io::Error| disconnected(format!("the broker at {host} cannot be reached: {error}")).caused_by(error);
    let runtime = lapin::runtime::default_runtime().map_err(|error| told("the library has no runtime", error))?;
    let mut failed = None;
    let mut connected = None;
    for address in lookup_host((host.name.as_str(), host.port)).await.map_err(unreachable)? {
        match AsyncTcpStream::connect(&runtime, address).await {
            Ok(stream) => {
                connected = Some(stream);
                break;
            }
            Err(error) => failed = Some(error),
        }
    }
    let Some(stream) = connected else {
        return Err(unreachable(failed.unwrap_or_else(|| io::Error::from(io::ErrorKind::NotFound))));
    };
    let kill = match &stream {
        AsyncTcpStream::Plain(stream) => {
            let socket = SockRef::from(stream.get_ref());
            let tuned = socket.set_tcp_nodelay(true).and_then(|()| {
                socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(15)))?;
                socket.try_clone()
            });
            Kill(tuned.map_err(unreachable)?)
        }
        _ => return Err(refused("a stream that is encrypted before it was asked to be")),
    };
    #[cfg(feature = "tls")]
    let stream = match &target.tls {
        None => stream,
        Some(tls) => {
            let encrypted = stream.into_rustls(&tls.connector()?, &tls.name(host)).await;
            encrypted.map_err(|error| refused(format!("TLS with the broker at {host} failed: {error}")).caused_by(error))?
        }
    };
    #[cfg(not(feature = "tls"))]
    if target.tls.is_some() {
        return Err(crate::tls::missing());
    }
    let properties = ConnectionProperties::default()
        .with_client_property("product".into(), env!("CARGO_PKG_NAME").into())
        .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into())
        .with_connection_name(name(options).into());
    let stream = AsyncTcpStream::Plain(Mended::new(stream, options.frame_max));
    // The library asks for a stream once, unless the broker goes before it has said anything.
    let stream = Mutex::new(Some(stream));
    let take = async move |_, _| {
        let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        stream.ok_or_else(|| lapin::Error::from(io::Error::from(io::ErrorKind::ConnectionAborted)))
    };
    let connection = Connection::connector(uri(target, host, options), mending(), take, properties).await;
    let connection = connection.map_err(|error| {
        let who = match options.sasl {
            Sasl::External => "whom the certificate names".to_owned(),
            Sasl::Plain | Sasl::AmqPlain => format!("`{}`", target.credentials.user),
        };
        told(&format!("the broker at {host} did not welcome {who} to the virtual host `{}`", target.vhost), error)
    })?;
    Ok((connection, kill))
}

fn name(options: &Options) -> String {
    options.name.clone().unwrap_or_else(|| {
        let program = std::env::current_exe().ok();
        let program = program.as_deref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
        program.unwrap_or_else(|| "rmi".to_owned())
    })
}

fn uri(target: &Target, host: &Host, options: &Options) -> AMQPUri {
    let Credentials { user, password } = target.credentials.clone();
    let mechanism = match options.sasl {
        Sasl::Plain => SASLMechanism::Plain,
        Sasl::AmqPlain => SASLMechanism::AMQPlain,
        Sasl::External => SASLMechanism::External,
    };
    AMQPUri {
        // What is encrypted has been by now.
        scheme: AMQPScheme::AMQP,
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo { username: user, password },
            host: host.name.clone(),
            port: host.port,
        },
        vhost: target.vhost.clone(),
        query: AMQPQueryString {
            frame_max: Some(options.frame_max),
            channel_max: None,
            heartbeat: Some(u16::try_from(options.heartbeat.as_secs()).unwrap_or(u16::MAX).max(1)),
            connection_timeout: None,
            auth_mechanism: Some(mechanism),
        },
    }
}

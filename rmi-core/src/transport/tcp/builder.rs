use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    sync::{Arc, Mutex},
};

use tokio::net::TcpListener;

use super::{
    Options, Role, Tcp,
    dialler::{Dialler, Orders},
    end::End,
    listener::Accepting,
};
use crate::transport::{TransportError, TransportErrorKind};

type Opening = Pin<Box<dyn Future<Output = Result<Tcp, TransportError>> + Send>>;

/// An end that is about to dial. Awaiting it makes the first link, or fails when there is none in time.
#[derive(Debug)]
#[must_use = "nothing is dialled until it is awaited"]
pub struct Connect {
    addresses: Vec<String>,
    options: Options,
    patient: bool,
    #[cfg(feature = "tls")]
    tls: Option<super::tls::ClientTls>,
}

impl Connect {
    pub(super) fn new(address: String) -> Self {
        Connect {
            addresses: vec![address],
            options: Options::default(),
            patient: false,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Another address of the same peer, which is dialled when those before it do not answer.
    pub fn or(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// Sets bounds and habits.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Does not wait for the first link, and does not fail without it: it is dialled until it is there.
    pub fn patiently(mut self) -> Self {
        self.patient = true;
        self
    }

    /// Talks TLS.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn tls(mut self, tls: super::tls::ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    async fn open(self) -> Result<Tcp, TransportError> {
        // Who was dialled may have nothing to say until it is called.
        let end = End::new(self.options.identify(None));
        let dialler = Arc::new(Dialler {
            addresses: self.addresses,
            #[cfg(feature = "tls")]
            tls: self.tls,
            orders: Mutex::new(Orders::None),
        });
        let first = if self.patient { None } else { Some(dialler.dial(&end).await?) };
        let mut links = end.reporter.watch();
        let waits = first.is_some();
        tokio::spawn(Arc::clone(&dialler).keep(Arc::clone(&end), first));
        // From here on whoever stops waiting for it ends it.
        let tcp = Tcp::new(end, Role::Dialler(dialler));
        if waits {
            // Whoever asks for the links next is told of it.
            links.next().await;
        }
        Ok(tcp)
    }
}

impl IntoFuture for Connect {
    type Output = Result<Tcp, TransportError>;
    type IntoFuture = Opening;

    fn into_future(self) -> Opening {
        Box::pin(self.open())
    }
}

/// An end that is about to listen. Awaiting it opens the port.
#[derive(Debug)]
#[must_use = "nothing listens until it is awaited"]
pub struct Listen {
    address: String,
    options: Options,
    #[cfg(feature = "tls")]
    tls: Option<super::tls::ServerTls>,
}

impl Listen {
    pub(super) fn new(address: String) -> Self {
        Listen {
            address,
            options: Options::default(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Sets bounds and habits.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Talks TLS.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn tls(mut self, tls: super::tls::ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    async fn open(self) -> Result<Tcp, TransportError> {
        let failed = |error: std::io::Error| {
            TransportError::new(TransportErrorKind::Refused, format!("cannot listen at {}: {error}", self.address))
                .caused_by(error)
        };
        let listener = TcpListener::bind(&self.address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let end = End::new(self.options);
        let accepting = Accepting {
            listener,
            #[cfg(feature = "tls")]
            tls: self.tls,
        };
        tokio::spawn(accepting.run(Arc::clone(&end)));
        Ok(Tcp::new(end, Role::Listener(address)))
    }
}

impl IntoFuture for Listen {
    type Output = Result<Tcp, TransportError>;
    type IntoFuture = Opening;

    fn into_future(self) -> Opening {
        Box::pin(self.open())
    }
}

use std::fmt;

use futures_util::StreamExt;
use tarpc::{
    client, context,
    serde_transport::tcp,
    server::{BaseChannel, Channel},
    tokio_serde::formats::{Bincode, Json},
};

use crate::{Error, load::Echo};

/// Listens and dials with a codec: the two ends have it with types of their own.
macro_rules! over {
    ($codec:expr) => {{
        let mut listening = tcp::listen("127.0.0.1:0", $codec).await?;
        let address = listening.local_addr();
        tokio::spawn(async move {
            while let Some(Ok(stream)) = listening.next().await {
                let server = BaseChannel::with_defaults(stream).execute(Server.serve());
                tokio::spawn(server.for_each(|response| async move {
                    tokio::spawn(response);
                }));
            }
        });
        let stream = tcp::connect(address, $codec).await?;
        Ok(Tarpc(ParrotClient::new(client::Config::default(), stream).spawn()))
    }};
}
mod service {
    #![allow(missing_docs, missing_debug_implementations, unreachable_pub)]

    #[tarpc::service]
    pub trait Parrot {
        async fn echo(text: String) -> String;
    }
}

use service::{Parrot, ParrotClient};

#[derive(Clone)]
struct Server;

impl Parrot for Server {
    async fn echo(self, _: context::Context, text: String) -> String {
        text
    }
}

/// tarpc over its own in-memory channel or over TCP, with its defaults, and a task for each request, as its examples have it. It has deadlines,
/// cancellation, spans and a limit of what is in flight; in memory it passes values as they are, without writing them down.
#[derive(Clone)]
pub struct Tarpc(ParrotClient);

impl Tarpc {
    /// Starts the server. Needs a runtime.
    #[must_use]
    pub fn start() -> Self {
        let (near, far) = tarpc::transport::channel::unbounded();
        let server = BaseChannel::with_defaults(far).execute(Server.serve());
        tokio::spawn(server.for_each(|response| async move {
            tokio::spawn(response);
        }));
        Tarpc(ParrotClient::new(client::Config::default(), near).spawn())
    }

    /// Starts a server over TCP, and dials it: tarpc's own framing and transport, with their defaults.
    ///
    /// # Errors
    ///
    /// There is no TCP on this machine.
    pub async fn start_tcp(codec: Codec) -> Result<Self, Error> {
        match codec {
            Codec::Json => over!(Json::default),
            Codec::Bincode => over!(Bincode::default),
        }
    }
}

/// What values are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// JSON, by serde_json.
    Json,
    /// bincode.
    Bincode,
}

impl Echo for Tarpc {
    async fn echo(&self, text: String) -> Result<String, Error> {
        Ok(self.0.echo(context::current(), text).await?)
    }
}

impl fmt::Debug for Tarpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tarpc")
    }
}

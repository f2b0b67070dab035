use std::fmt;

use futures_util::StreamExt;
use tarpc::{
    client, context,
    server::{BaseChannel, Channel},
};

use crate::{Error, load::Echo};

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

/// tarpc over its own in-memory channel, with its defaults, and a task for each request, as its examples have it. It has deadlines,
/// cancellation, spans and a limit of what is in flight; it passes values as they are, without writing them down.
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

//! The end that others dial.

use std::{io, sync::Arc, time::Duration};

use tokio::net::{TcpListener, TcpStream};

use super::{
    dialler::unless_closed,
    end::{End, Place},
    socket,
    stream::Stream,
};

/// Takes connections until the end is closed.
pub(super) struct Accepting {
    pub(super) listener: TcpListener,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<super::tls::ServerTls>,
}

impl Accepting {
    pub(super) async fn run(self, end: Arc<End>) {
        loop {
            match unless_closed(&end, self.listener.accept()).await {
                None => return,
                Some(Ok((stream, from))) => {
                    tracing::trace!(%from, "a connection");
                    self.admit(&end, stream);
                }
                Some(Err(error)) => {
                    end.counting.not_accepted.one();
                    if is_the_peers(&error) {
                        continue;
                    }
                    // No file descriptors, or no memory: as long as it lasts, asking again at once would be all that is done.
                    tracing::warn!(%error, "no connection can be accepted now");
                    if unless_closed(&end, tokio::time::sleep(REST)).await.is_none() {
                        return;
                    }
                }
            }
        }
    }

    fn admit(&self, end: &Arc<End>, stream: TcpStream) {
        if end.connections() >= end.options.max_links as u64 && !end.evict() {
            end.counting.refused.one();
            tracing::debug!(most = end.options.max_links, "a connection was turned away: there are as many as there may be");
            return;
        }
        if let Err(error) = socket::prepare(&stream, &end.options) {
            end.counting.not_accepted.one();
            tracing::debug!(%error, "a connection was gone before it was taken");
            return;
        }
        let place = end.place();
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let (end, tls) = (Arc::clone(end), tls.clone());
            tokio::spawn(async move { greet(end, tls, stream, place).await });
            return;
        }
        tokio::spawn(work(Arc::clone(end), stream, place));
    }
}

/// How long nothing is accepted after the system has refused to.
const REST: Duration = Duration::from_millis(100);

/// Whether only the one connection failed, before it was taken.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn work(end: Arc<End>, stream: TcpStream, place: Arc<Place>) {
    end.attach(Stream::Plain(stream), None, 1, place).await;
}

#[cfg(feature = "tls")]
async fn greet(end: Arc<End>, tls: super::tls::ServerTls, stream: TcpStream, place: Arc<Place>) {
    let hands = tokio::time::timeout(end.options.connect_timeout, tls.greet(stream));
    match unless_closed(&end, end.greet(&place, hands)).await {
        Some(Some(Ok(Ok((stream, peer))))) => {
            end.attach(stream, peer, 1, place).await;
        }
        Some(Some(failed)) => {
            end.counting.not_greeted.one();
            let error = match failed {
                Ok(Err(error)) => error,
                _ => io::ErrorKind::TimedOut.into(),
            };
            tracing::debug!(%error, "a TLS handshake failed");
        }
        // Closed, or evicted, and counted there.
        Some(None) | None => {}
    }
}

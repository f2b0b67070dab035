//! The end that dials: one link at a time, and another when it is lost.

use std::{
    future::{Future, poll_fn},
    io,
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use tokio::{net::TcpStream, time::timeout};

use super::{end::End, socket, stream::Stream};
use crate::{
    lock::lock,
    text::Text,
    transport::{TransportError, TransportErrorKind},
};

/// Whom to dial, and how.
#[derive(Debug)]
pub(super) struct Dialler {
    /// `host:port`, tried in their order.
    pub(super) addresses: Vec<String>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<super::tls::ClientTls>,
    /// How the next link is come by, when somebody has said so.
    pub(super) orders: Mutex<Orders>,
}

/// What somebody wants of the next link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Orders {
    #[default]
    None,
    /// Not before this time is over.
    After(Duration),
    /// There is to be none.
    Never,
}

/// A connection, and who is at its other end as far as TLS says.
pub(super) type Reached = (Stream, Option<Text>);

impl Dialler {
    /// Dials each address until one answers.
    pub(super) async fn dial(&self, end: &End) -> Result<Reached, TransportError> {
        let mut failed = Vec::new();
        for address in &self.addresses {
            let limit = end.options.connect_timeout;
            match timeout(limit, self.reach(address, end)).await {
                Ok(Ok(reached)) => return Ok(reached),
                Ok(Err(error)) => failed.push((address, error)),
                Err(_) => {
                    let error = io::Error::new(io::ErrorKind::TimedOut, format!("no connection in {limit:?}"));
                    failed.push((address, error));
                }
            }
        }
        end.counting.not_reached.one();
        let said: Vec<String> = failed.iter().map(|(address, error)| format!("{address}: {error}")).collect();
        let error = TransportError::new(TransportErrorKind::Disconnected, format!("cannot connect to {}", said.join("; ")));
        Err(match failed.pop() {
            Some((_, last)) => error.caused_by(last),
            None => error,
        })
    }

    async fn reach(&self, address: &str, end: &End) -> io::Result<Reached> {
        let stream = TcpStream::connect(address).await?;
        socket::prepare(&stream, &end.options)?;
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return tls.greet(stream, address).await;
        }
        Ok((Stream::Plain(stream), None))
    }

    /// Keeps a link up until the end is closed.
    pub(super) async fn keep(self: Arc<Self>, end: Arc<End>, mut first: Option<Reached>) {
        let (mut generation, mut failures) = (0, 0);
        loop {
            let reached = match first.take() {
                Some(reached) => Ok(reached),
                None => match unless_closed(&end, self.dial(&end)).await {
                    Some(reached) => reached,
                    None => return,
                },
            };
            match reached {
                Ok((stream, peer)) => {
                    generation += 1;
                    tracing::debug!(generation, addresses = ?self.addresses, "connected");
                    let useful = end.attach(stream, peer, generation, end.place()).await;
                    // A peer that takes connections and drops them is not dialled without end at the first pace.
                    failures = if useful { 0 } else { failures + 1 };
                }
                Err(error) => {
                    failures += 1;
                    tracing::info!(%error, failures, "a link could not be made");
                }
            }
            let orders = std::mem::take(&mut *lock(&self.orders));
            let pause = match orders {
                Orders::Never => {
                    // Until somebody wants it back, which nobody can yet.
                    unless_closed(&end, std::future::pending::<()>()).await;
                    return;
                }
                Orders::After(time) => time,
                Orders::None => pause(&end, failures),
            };
            if unless_closed(&end, tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }
}

/// Half of it is random, so that those who lost one listener do not come back at once.
fn pause(end: &End, failures: u32) -> Duration {
    let (first, most) = (end.options.pause, end.options.max_pause);
    let whole = first.saturating_mul(2u32.saturating_pow(failures.min(20))).min(most);
    let random = uuid::Uuid::new_v4().as_u128() as u16;
    whole / 2 + (whole / 2).mul_f64(f64::from(random) / f64::from(u16::MAX))
}

/// Something that is not waited for once the end is closed.
pub(super) async fn unless_closed<T>(end: &End, what: impl Future<Output = T>) -> Option<T> {
    let (mut what, mut closed) = (pin!(what), pin!(end.closed()));
    poll_fn(|cx| match closed.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => what.as_mut().poll(cx).map(Some),
    })
    .await
}

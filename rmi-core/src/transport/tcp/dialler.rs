//! The end that dials: one link at a time, and another when it is lost.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout},
};

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
        let found: Vec<SocketAddr> = lookup_host(address).await?.collect();
        let stream = connect(&found, end.options.connect_timeout).await?;
        if is_to_itself(&stream) {
            // Its port is not to be kept from whoever is to listen there.
            let _ = stream.set_zero_linger();
            return Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                "nobody listens there (the port was connected to itself)",
            ));
        }
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
                    let began = Instant::now();
                    let useful =
                        end.attach(stream, peer, generation, end.place()).await || began.elapsed() >= end.options.max_pause;
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

/// Connects to one of a host's addresses, in their order. Each has an equal share of the time that is left, so that one that does not
/// answer leaves some for the others.
async fn connect(found: &[SocketAddr], limit: Duration) -> io::Result<TcpStream> {
    let began = Instant::now();
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for (tried, at) in found.iter().enumerate() {
        let share = limit.saturating_sub(began.elapsed()).div_f64((found.len() - tried) as f64);
        failed = match timeout(share, TcpStream::connect(at)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error,
            Err(_) => io::Error::new(io::ErrorKind::TimedOut, format!("no connection to {at} in {share:?}")),
        };
    }
    Err(failed)
}

/// Whether a connection's two ends are the same: the system gave it the very port that it was to reach, where nobody listens (RFC
/// 9293, 3.5, a simultaneous open with itself). That happens on one machine, where the port is among those that are given away.
fn is_to_itself(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(near), Ok(far)) if near == far)
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

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};
    use tokio::net::TcpListener;

    use super::*;
    use crate::transport::tcp::Options;

    #[tokio::test]
    async fn an_address_that_does_not_answer_leaves_time_for_others() {
        // Nobody takes its connections, and it has room for few.
        let deaf = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        deaf.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        deaf.listen(0).unwrap();
        let at = deaf.local_addr().unwrap().as_socket().unwrap();
        let mut full = Vec::new();
        while let Ok(Ok(stream)) = timeout(Duration::from_millis(50), TcpStream::connect(at)).await {
            full.push(stream);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let other = listener.local_addr().unwrap();
        let limit = Duration::from_millis(400);
        let reached = timeout(limit, connect(&[at, other], limit)).await.unwrap().unwrap();
        assert_eq!(reached.peer_addr().unwrap(), other);
        let error = connect(&[at], Duration::from_millis(20)).await.unwrap_err();
        assert!(error.to_string().contains(&at.to_string()), "{error}");
    }

    #[test]
    fn pauses_grow_to_the_longest_and_are_half_random() {
        let end = End::new(Options::default().pauses(Duration::from_millis(100), Duration::from_secs(10)));
        for (failures, whole) in [(0, 100), (1, 200), (3, 800), (7, 10_000), (u32::MAX, 10_000)] {
            let whole = Duration::from_millis(whole);
            let pauses: Vec<_> = (0..64).map(|_| pause(&end, failures)).collect();
            assert!(pauses.iter().all(|pause| (whole / 2..=whole).contains(pause)), "{failures}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{failures}: all alike");
        }
    }

    #[tokio::test]
    async fn whoever_is_connected_to_itself_is_told() {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let at = socket.local_addr().unwrap();
        assert!(is_to_itself(&socket.connect(at).await.unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        assert!(!is_to_itself(&TcpStream::connect(listener.local_addr().unwrap()).await.unwrap()));
    }
}

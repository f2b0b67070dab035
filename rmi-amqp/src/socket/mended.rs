//! The stream that the client library reads: what the broker sends, mended; and the runtime that has such streams.

use std::{
    io::{self, IoSlice, Read, Write},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use async_rs::{Runtime, Tokio, traits::Reactor, util::RuntimeParts};
use futures_util::{AsyncRead, AsyncWrite, Stream};
use lapin::AsyncTcpStream;

use super::frames::Frames;

/// tokio, with streams that are mended.
pub(super) type Mending = Runtime<RuntimeParts<Tokio, Streams>>;

/// How much is read at a time while a frame is not there as a whole.
const MORE: usize = 4096;

/// The runtime to connect with.
pub(super) fn mending() -> Mending {
    Runtime::new(RuntimeParts::new(Tokio::current(), Streams(Tokio::current())))
}

/// A connection to a broker, whose frames can be read by the client library.
pub(super) struct Mended {
    stream: AsyncTcpStream<<Tokio as Reactor>::TcpStream>,
    frames: Frames,
    /// What has been read and not been passed on: so much of it can be.
    held: Vec<u8>,
    ready: usize,
}

impl Mended {
    /// Frames are no longer than so.
    pub(super) fn new(stream: AsyncTcpStream<<Tokio as Reactor>::TcpStream>, longest: u32) -> Self {
        Mended { stream, frames: Frames::new(longest), held: Vec::new(), ready: 0 }
    }
}

impl AsyncRead for Mended {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            if this.ready > 0 {
                let passed = this.ready.min(buffer.len());
                buffer[..passed].copy_from_slice(&this.held[..passed]);
                this.held.drain(..passed);
                this.ready -= passed;
                return Poll::Ready(Ok(passed));
            }
            if this.held.is_empty() {
                let read = ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
                let passed = this.frames.mend(&mut buffer[..read]);
                this.held.extend_from_slice(&buffer[passed.read..read]);
                if passed.left > 0 || read == 0 {
                    return Poll::Ready(Ok(passed.left));
                }
                continue;
            }
            let mut more = [0; MORE];
            let read = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut more))?;
            this.held.extend_from_slice(&more[..read]);
            // What was cut off in the middle of a frame is passed on as it is.
            this.ready = this.held.len();
            if read > 0 {
                let passed = this.frames.mend(&mut this.held);
                this.held.drain(passed.left..passed.read);
                this.ready = passed.left;
            }
        }
    }
}

impl AsyncWrite for Mended {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_close(cx)
    }
}

/// tokio's timers, and streams that are mended.
#[derive(Clone, Debug)]
pub(super) struct Streams(Tokio);

impl Reactor for Streams {
    type TcpStream = Mended;
    type Sleep = <Tokio as Reactor>::Sleep;

    // The library registers and connects nothing: it is given its stream.
    fn register<H: Read + Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<Mended, _>(io::Error::from(io::ErrorKind::Unsupported))
    }

    fn sleep(&self, time: Duration) -> Self::Sleep {
        self.0.sleep(time)
    }

    fn interval(&self, time: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(time)
    }

    fn tcp_connect_addr(&self, _: SocketAddr) -> impl Future<Output = io::Result<Mended>> + Send + 'static {
        std::future::ready(Err(io::Error::from(io::ErrorKind::Unsupported)))
    }
}

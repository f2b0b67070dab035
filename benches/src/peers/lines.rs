use std::{
    borrow::Cow,
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{Buf, BytesMut};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, oneshot},
};

use crate::{Error, load::Echo};

/// The least that a call over TCP with JSON can be: `{"id":1,"v":"text"}` in a line there, the same back, answered where it was read.
/// What is ready is written together. Nobody is addressed, nothing ends a wait, nothing is bounded.
#[derive(Clone, Debug)]
pub struct Lines(mpsc::Sender<Request>);

type Request = (String, oneshot::Sender<String>);
type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<String>>>>;

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    id: u64,
    #[serde(borrow)]
    v: Cow<'a, str>,
}

impl Lines {
    /// Starts a server, and dials it.
    ///
    /// # Errors
    ///
    /// There is no TCP on this machine.
    pub async fn start() -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        Lines::dial(address).await
    }

    async fn dial(address: SocketAddr) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (reading, writing) = stream.into_split();
        let (requests, inbox) = mpsc::channel(1024);
        let waiting = Waiting::default();
        tokio::spawn(write(writing, inbox, Arc::clone(&waiting)));
        tokio::spawn(read(reading, waiting));
        Ok(Lines(requests))
    }
}

/// Calls `each` for every whole line, and leaves the rest.
fn lines(buffer: &mut BytesMut, mut each: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
    let mut done = 0;
    while let Some(length) = buffer[done..].iter().position(|byte| *byte == b'\n') {
        each(&buffer[done..done + length])?;
        done += length + 1;
    }
    buffer.advance(done);
    Ok(())
}

async fn serve(mut stream: TcpStream) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let (mut buffer, mut out) = (BytesMut::with_capacity(1 << 16), Vec::new());
    while stream.read_buf(&mut buffer).await? > 0 {
        lines(&mut buffer, |line| {
            let line: Line<'_> = serde_json::from_slice(line)?;
            serde_json::to_writer(&mut out, &line)?;
            out.push(b'\n');
            Ok(())
        })?;
        stream.write_all(&out).await?;
        out.clear();
    }
    Ok(())
}

async fn write(mut stream: OwnedWriteHalf, mut inbox: mpsc::Receiver<Request>, waiting: Waiting) -> Result<(), Error> {
    let (mut id, mut batch, mut out) = (0, Vec::new(), Vec::new());
    while inbox.recv_many(&mut batch, 64).await > 0 {
        {
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            for (text, back) in batch.drain(..) {
                id += 1;
                waiting.insert(id, back);
                serde_json::to_writer(&mut out, &Line { id, v: text.into() })?;
                out.push(b'\n');
            }
        }
        stream.write_all(&out).await?;
        out.clear();
    }
    Ok(())
}

async fn read(mut stream: OwnedReadHalf, waiting: Waiting) -> Result<(), Error> {
    let mut buffer = BytesMut::with_capacity(1 << 16);
    while stream.read_buf(&mut buffer).await? > 0 {
        lines(&mut buffer, |line| {
            let line: Line<'_> = serde_json::from_slice(line)?;
            if let Some(back) = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&line.id) {
                // Nobody waits any more: that is the caller's affair.
                let _ = back.send(line.v.into_owned());
            }
            Ok(())
        })?;
    }
    Ok(())
}

impl Echo for Lines {
    async fn echo(&self, text: String) -> Result<String, Error> {
        let (back, answer) = oneshot::channel();
        self.0.send((text, back)).await.map_err(|_| "the connection has ended")?;
        Ok(answer.await?)
    }
}

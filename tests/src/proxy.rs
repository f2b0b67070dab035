//! A proxy that stands between two ends of a connection, and does to it what networks do: cuts it, stalls it, resets it, delays it,
//! splits what is sent into single bytes or a few, joins it into large pieces, or changes a byte.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// What is done to what is sent, in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Writes so many bytes at a time.
    pub split: Option<usize>,
    /// Waits so long for more, and writes all of it at once.
    pub join: Option<Duration>,
    /// Lets so much time pass before each piece.
    pub delay: Option<Duration>,
    /// Changes one byte of so many, at random from the proxy's seed, and never a line feed, nor into one.
    pub garble: Option<u64>,
    /// Ends each connection after so many bytes.
    pub cut_after: Option<u64>,
}

/// A proxy. It ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    at: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    to: SocketAddr,
    manner: Mutex<Manner>,
    refusing: watch::Sender<bool>,
    stalled: watch::Sender<bool>,
    ends: Mutex<Vec<Ends>>,
    carried: AtomicU64,
    random: AtomicU64,
}

/// The tasks of one connection, which both halves of either socket go with.
#[derive(Debug)]
struct Ends {
    end: watch::Sender<Option<How>>,
    hung: watch::Sender<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Closed,
    Reset,
    /// At the dialler's end.
    Orphaned,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Stands in front of an address.
    ///
    /// # Panics
    ///
    /// No port is free.
    pub async fn to(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let at = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared {
            to,
            manner: Mutex::default(),
            refusing: watch::Sender::new(false),
            stalled: watch::Sender::new(false),
            ends: Mutex::default(),
            carried: AtomicU64::new(0),
            random: AtomicU64::new(1),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Proxy { at, shared, accepting }
    }

    /// Where it is dialled.
    #[must_use]
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// Does this to what is sent from now on.
    pub fn behave(&self, manner: Manner) {
        *lock(&self.shared.manner) = manner;
    }

    /// Where its random numbers begin.
    pub fn seed(&self, seed: u64) {
        self.shared.random.store(seed.wrapping_mul(2).wrapping_add(1), Ordering::Relaxed);
    }

    /// Closes every connection.
    pub fn cut(&self) {
        self.end(How::Closed);
    }

    /// Resets every connection: what is under way is lost at both ends.
    pub fn reset(&self) {
        self.end(How::Reset);
    }

    /// Forwards nothing until [`Proxy::flow`]; connections stay up, as when a cable is out.
    pub fn stall(&self) {
        self.shared.stalled.send_replace(true);
    }

    /// Forwards nothing of the connections that there are, for as long as they last; new ones are as usual. What is left behind when
    /// an address moves to another machine.
    pub fn hang(&self) {
        for ends in &*lock(&self.shared.ends) {
            ends.hung.send_replace(true);
        }
    }

    /// Ends the connections of which nothing is forwarded any more.
    pub fn cut_hung(&self) {
        for ends in lock(&self.shared.ends).iter().filter(|ends| *ends.hung.borrow()) {
            ends.end.send_replace(Some(How::Closed));
        }
    }

    /// Closes every connection towards whoever dialled it, and not towards whom it leads to, until it is ended in another way: how
    /// it looks where one end has crashed and nobody has told the other.
    pub fn orphan(&self) {
        for ends in &*lock(&self.shared.ends) {
            ends.end.send_replace(Some(How::Orphaned));
        }
    }

    /// Forwards again.
    pub fn flow(&self) {
        self.shared.stalled.send_replace(false);
    }

    /// Closes new connections at once, or takes them again.
    pub fn refuse(&self, refuse: bool) {
        self.shared.refusing.send_replace(refuse);
    }

    /// Cuts, and takes no connection for so long.
    pub fn away(&self, outage: Duration) {
        self.refuse(true);
        self.cut();
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            tokio::time::sleep(outage).await;
            shared.refusing.send_replace(false);
        });
    }

    /// How many bytes it has carried.
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.shared.carried.load(Ordering::Relaxed)
    }

    fn end(&self, how: How) {
        for ends in lock(&self.shared.ends).drain(..) {
            ends.end.send_replace(Some(how));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.end(How::Closed);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((near, _)) = listener.accept().await {
        if *shared.refusing.borrow() {
            continue;
        }
        let (end, ended) = watch::channel(None);
        let mut ends = lock(&shared.ends);
        ends.retain(|ends| !ends.end.is_closed());
        let (hung, hangs) = watch::channel(false);
        ends.push(Ends { end, hung });
        drop(ends);
        tokio::spawn(connect(near, Arc::clone(&shared), ended, hangs));
    }
}

async fn connect(
    near: TcpStream,
    shared: Arc<Shared>,
    mut ended: watch::Receiver<Option<How>>,
    hangs: watch::Receiver<bool>,
) -> io::Result<()> {
    let far = TcpStream::connect(shared.to).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    {
        let (mut there, mut back) = (Pipe::new(near_in, far_out, &shared, &hangs), Pipe::new(far_in, near_out, &shared, &hangs));
        let how = tokio::select! {
            _ = there.run() => None,
            _ = back.run() => None,
            how = ended.wait_for(Option::is_some) => how.ok().and_then(|how| *how),
        };
        if how == Some(How::Reset) {
            there.from.as_ref().set_zero_linger()?;
            back.from.as_ref().set_zero_linger()?;
        }
        if how == Some(How::Orphaned) {
            let (Pipe { from: near, to: far, .. }, Pipe { from: far_in, to: near_out, .. }) = (there, back);
            drop((near, near_out));
            let _ = ended.wait_for(|how| *how != Some(How::Orphaned)).await;
            drop((far, far_in));
        }
    }
    Ok(())
}

/// One direction of a connection.
struct Pipe {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    shared: Arc<Shared>,
    hangs: watch::Receiver<bool>,
    carried: u64,
}

impl Pipe {
    fn new(from: OwnedReadHalf, to: OwnedWriteHalf, shared: &Arc<Shared>, hangs: &watch::Receiver<bool>) -> Self {
        Pipe { from, to, shared: Arc::clone(shared), hangs: hangs.clone(), carried: 0 }
    }

    async fn run(&mut self) -> io::Result<()> {
        let mut piece = Vec::with_capacity(64 << 10);
        let mut stalled = self.shared.stalled.subscribe();
        loop {
            piece.clear();
            if self.from.read_buf(&mut piece).await? == 0 {
                return Ok(());
            }
            let manner = *lock(&self.shared.manner);
            if let Some(wait) = manner.join {
                while let Ok(read) = tokio::time::timeout(wait, self.from.read_buf(&mut piece)).await {
                    if read? == 0 || piece.len() > (1 << 20) {
                        break;
                    }
                }
            }
            if let Some(delay) = manner.delay {
                tokio::time::sleep(delay).await;
            }
            let _ = stalled.wait_for(|stalled| !*stalled).await;
            if *self.hangs.borrow() {
                // For good: whoever wants it ends the connection.
                std::future::pending::<()>().await;
            }
            self.garble(&mut piece, manner.garble);
            if let Some(most) = manner.cut_after
                && self.carried + piece.len() as u64 >= most
            {
                let rest = usize::try_from(most.saturating_sub(self.carried)).unwrap_or(0).min(piece.len());
                self.to.write_all(&piece[..rest]).await?;
                return Ok(());
            }
            self.carried += piece.len() as u64;
            self.shared.carried.fetch_add(piece.len() as u64, Ordering::Relaxed);
            if let Some(size) = manner.split {
                for part in piece.chunks(size.max(1)) {
                    self.to.write_all(part).await?;
                    tokio::task::yield_now().await;
                }
            } else {
                self.to.write_all(&piece).await?;
            }
        }
    }

    fn garble(&self, piece: &mut [u8], one_of: Option<u64>) {
        let Some(one_of) = one_of else { return };
        for byte in piece.iter_mut().filter(|byte| **byte != b'\n') {
            let random = self.random();
            if random.is_multiple_of(one_of) {
                let other = (random >> 32) as u8;
                *byte = if other == b'\n' { b'?' } else { other };
            }
        }
    }

    /// Good enough for faults: splitmix64.
    fn random(&self) -> u64 {
        let state = self.shared.random.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

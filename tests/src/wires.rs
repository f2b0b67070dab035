//! A transport of links inside one process: a listener that has many, and diallers that have one.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use rmi_core::{
    text::Text,
    transport::{
        Acker, Capabilities, Deliveries, Delivery, Destination, Frame, Link, LinkId, LinkReporter, Links, Purpose, Receipt,
        Source, Subscription, Transport, TransportError, TransportErrorKind,
    },
};
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

/// How many frames a link holds, and how many an end that nobody receives from.
const ROOM: usize = 64;

/// The end that others dial: it has as many links as there are diallers. A clone is the same end.
#[derive(Clone, Debug)]
pub struct Listener {
    end: Arc<End>,
}

/// The end that dials: it has one link, or none while it is away. A clone is the same end.
#[derive(Clone, Debug)]
pub struct Dialler {
    end: Arc<End>,
    to: To,
    generation: Arc<AtomicU64>,
}

/// Whom an end dials.
#[derive(Clone, Debug)]
enum To {
    End(Arc<End>),
    Hand(mpsc::Sender<Raw>),
}

/// An end without an endpoint: a peer that is played by hand.
#[derive(Debug)]
pub struct Raw {
    outgoing: mpsc::Sender<Bytes>,
    incoming: mpsc::Receiver<Bytes>,
}

/// What an end keeps.
struct End {
    reporter: LinkReporter,
    up: Mutex<HashMap<LinkId, (mpsc::Sender<Bytes>, AbortHandle)>>,
    next: AtomicU64,
    arrived: mpsc::Sender<Delivery>,
    arriving: Mutex<Option<mpsc::Receiver<Delivery>>>,
    closed: watch::Sender<bool>,
}

impl Listener {
    /// An end that nobody has dialled yet.
    #[must_use]
    pub fn new() -> Self {
        Listener { end: End::new() }
    }

    /// Dials: an end with a link to this one.
    #[must_use]
    pub fn dial(&self) -> Dialler {
        let dialler = Dialler { end: End::new(), to: To::End(Arc::clone(&self.end)), generation: Arc::default() };
        dialler.connect();
        dialler
    }

    /// Dials by hand.
    #[must_use]
    pub fn dial_raw(&self) -> Raw {
        let (outgoing, theirs) = mpsc::channel(ROOM);
        let (to_us, incoming) = mpsc::channel(ROOM);
        self.end.attach(1, to_us, theirs);
        Raw { outgoing, incoming }
    }
}

impl Default for Listener {
    fn default() -> Self {
        Listener::new()
    }
}

impl Dialler {
    /// Dials a listener that is played by hand: what is returned receives the other end of each link.
    #[must_use]
    pub fn by_hand() -> (Self, mpsc::Receiver<Raw>) {
        let (accepted, accepting) = mpsc::channel(ROOM);
        let dialler = Dialler { end: End::new(), to: To::Hand(accepted), generation: Arc::default() };
        dialler.connect();
        (dialler, accepting)
    }

    fn connect(&self) {
        let (outgoing, theirs) = mpsc::channel(ROOM);
        let (to_us, incoming) = mpsc::channel(ROOM);
        match &self.to {
            To::End(listener) => listener.attach(1, to_us, theirs),
            To::Hand(accepted) => {
                let _ = accepted.try_send(Raw { outgoing: to_us, incoming: theirs });
            }
        }
        self.end.attach(self.next_generation(), outgoing, incoming);
    }

    fn next_generation(&self) -> u64 {
        self.generation.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Raw {
    /// Sends one frame.
    ///
    /// # Panics
    ///
    /// The link is down.
    pub async fn send(&self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    /// Sends one frame, which need not be text.
    ///
    /// # Panics
    ///
    /// The link is down.
    pub async fn send_bytes(&self, bytes: &[u8]) {
        self.outgoing.send(Bytes::copy_from_slice(bytes)).await.expect("the link is up");
    }

    /// Whether the other end has closed the link.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.outgoing.is_closed()
    }

    /// The next frame; `None` when the other end has closed the link.
    ///
    /// # Panics
    ///
    /// The frame is not text.
    pub async fn recv(&mut self) -> Option<String> {
        let frame = self.incoming.recv().await?;
        Some(String::from_utf8(frame.to_vec()).expect("frames are text"))
    }
}

impl End {
    fn new() -> Arc<Self> {
        let (arrived, arriving) = mpsc::channel(ROOM);
        Arc::new(End {
            reporter: LinkReporter::default(),
            up: Mutex::default(),
            next: AtomicU64::new(1),
            arrived,
            arriving: Mutex::new(Some(arriving)),
            closed: watch::Sender::new(false),
        })
    }

    /// A link is up. Each has an id of its own, also one that takes the place of another.
    fn attach(self: &Arc<Self>, generation: u64, outgoing: mpsc::Sender<Bytes>, mut incoming: mpsc::Receiver<Bytes>) {
        let id = LinkId(self.next.fetch_add(1, Ordering::Relaxed));
        let end = Arc::clone(self);
        let mut up = self.up.lock().unwrap();
        self.reporter.up(Link { id, generation, peer: None });
        let pump = tokio::spawn(async move {
            while let Some(payload) = incoming.recv().await {
                let mut delivery = Delivery::new(payload, Text::EMPTY, Purpose::Everything, Acker::settled());
                delivery.link = id;
                if end.arrived.send(delivery).await.is_err() {
                    break;
                }
            }
            end.drop_link(id, "the other end closed it");
        });
        up.insert(id, (outgoing, pump.abort_handle()));
    }

    fn drop_link(&self, link: LinkId, why: &'static str) -> bool {
        let Some((_, pump)) = self.up.lock().unwrap().remove(&link) else { return false };
        self.reporter.down(link, why);
        pump.abort();
        true
    }

    fn check_open(&self) -> Result<(), TransportError> {
        let closed = TransportError::new(TransportErrorKind::Closed, "this end was closed");
        if *self.closed.borrow() { Err(closed) } else { Ok(()) }
    }

    async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        self.check_open()?;
        let (Destination::Link, Some(link)) = (&frame.to, frame.link) else {
            return Err(TransportError::new(TransportErrorKind::Refused, "frames go by a link"));
        };
        let outgoing = self.up.lock().unwrap().get(&link).map(|(outgoing, _)| outgoing.clone());
        let gone = || TransportError::new(TransportErrorKind::Disconnected, "the link is down");
        outgoing.ok_or_else(gone)?.send(frame.payload).await.map_err(|_| gone())?;
        Ok(Receipt::Handed)
    }

    fn subscribe(&self, subscription: &Subscription) -> Result<Box<dyn Deliveries>, TransportError> {
        self.check_open()?;
        let refused = |why| TransportError::new(TransportErrorKind::Refused, why);
        if subscription.acknowledged || subscription.durable {
            return Err(refused("what comes by a link is settled when it is delivered, and is gone with the link"));
        }
        if subscription.source != Source::Links || subscription.purpose != Purpose::Everything {
            return Err(refused("there are only links, and everything comes by them"));
        }
        let arriving = self.arriving.lock().unwrap().take().ok_or_else(|| refused("somebody receives already"))?;
        Ok(Box::new(Arriving { arriving, closed: self.closed.subscribe() }))
    }

    fn close(&self) {
        let links: Vec<LinkId> = self.up.lock().unwrap().keys().copied().collect();
        for link in links {
            self.drop_link(link, "closed");
        }
        self.closed.send_replace(true);
        self.reporter.close();
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("End")
    }
}

#[derive(Debug)]
struct Arriving {
    arriving: mpsc::Receiver<Delivery>,
    closed: watch::Receiver<bool>,
}

#[async_trait]
impl Deliveries for Arriving {
    async fn recv(&mut self, into: &mut Vec<Delivery>, max: usize) -> Result<usize, TransportError> {
        tokio::select! {
            biased;
            _ = self.closed.wait_for(|closed| *closed) => Ok(0),
            received = self.arriving.recv_many(into, max) => Ok(received),
        }
    }
}

fn capabilities() -> Capabilities {
    let mut can = Capabilities::default();
    can.links = true;
    can
}

#[async_trait]
impl Transport for Listener {
    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        self.end.publish(frame).await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Deliveries>, TransportError> {
        self.end.subscribe(&subscription)
    }

    fn links(&self) -> Links {
        self.end.reporter.watch()
    }

    /// A listener cannot call back: whoever dialled comes again by itself, or does not.
    async fn pause(&self, link: LinkId, _: Option<Duration>) -> Result<(), TransportError> {
        let closed = self.end.drop_link(link, "closed");
        closed.then_some(()).ok_or_else(|| TransportError::new(TransportErrorKind::Refused, "there is no such link"))
    }

    async fn close(&self) -> Result<(), TransportError> {
        self.end.close();
        Ok(())
    }
}

#[async_trait]
impl Transport for Dialler {
    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        self.end.publish(frame).await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Deliveries>, TransportError> {
        self.end.subscribe(&subscription)
    }

    fn links(&self) -> Links {
        self.end.reporter.watch()
    }

    async fn pause(&self, link: LinkId, resume: Option<Duration>) -> Result<(), TransportError> {
        if !self.end.drop_link(link, "paused") {
            return Err(TransportError::new(TransportErrorKind::Refused, "there is no such link"));
        }
        if let Some(after) = resume {
            let dialler = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                dialler.connect();
            });
        }
        Ok(())
    }

    async fn close(&self) -> Result<(), TransportError> {
        self.end.close();
        Ok(())
    }
}

//! What one end keeps: its links, what they bring, and how it ends.

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
};

use tokio::sync::{oneshot, watch};

use super::{
    Options,
    budget::Budget,
    counters::{Counters, Counting},
    held::Held,
    inbox::Inbox,
    outbox::{Outbox, gone},
    pump::{Pump, Why},
    stream::Stream,
};
use crate::{
    lock::lock,
    text::Text,
    transport::{Attempt, Destination, Frame, Link, LinkId, LinkReporter, Receipt, TransportError, TransportErrorKind},
};

/// One end of any number of links.
#[derive(Debug)]
pub(super) struct End {
    pub(super) options: Options,
    pub(super) counting: Counting,
    pub(super) inbox: Arc<Inbox>,
    pub(super) budget: Arc<Budget>,
    pub(super) reporter: LinkReporter,
    links: Mutex<BTreeMap<LinkId, Arc<Joint>>>,
    /// The last number that a link was given.
    last: AtomicU64,
    /// How many connections there are: those that still shake hands, those that are still written to, and those that are gone and
    /// have brought something that waits to be received.
    connections: AtomicU64,
    /// The last number that a connection was given.
    arrived: AtomicU64,
    /// Those that shake hands, and how each is told to give up.
    greeting: Mutex<BTreeMap<u64, oneshot::Sender<()>>>,
    /// Nothing new begins.
    closed: watch::Sender<bool>,
    /// Nothing waits for anything any more.
    abandoned: watch::Sender<bool>,
    /// Wakes whoever waits for the last connection to end.
    ended: tokio::sync::Notify,
}

/// What a link is to those who use it.
#[derive(Debug)]
pub(super) struct Joint {
    pub(super) id: LinkId,
    pub(super) peer: Option<Text>,
    pub(super) outbox: Outbox,
    pub(super) held: Arc<Held>,
    /// Something has come by it.
    pub(super) spoken: AtomicBool,
    /// It has to make room: what waits is not written.
    pub(super) evicted: AtomicBool,
    /// The number of its connection: the smaller, the older.
    arrived: u64,
}

impl Joint {
    /// Whether it may have to make room: nothing that was let in has come by it, and nothing is looked at just now.
    fn is_stranger(&self) -> bool {
        !self.held.is_known() && self.held.is_empty()
    }
}

/// A connection that counts among those that there may be. What it has brought keeps it until it is received: otherwise those that
/// come and go could bring more than is ever handled.
#[derive(Debug)]
pub(super) struct Place {
    end: Arc<End>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.end.greeting).remove(&self.number);
        if self.end.connections.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.end.ended.notify_waiters();
        }
    }
}

impl End {
    pub(super) fn new(options: Options) -> Arc<Self> {
        Arc::new(End {
            budget: Arc::new(Budget::new(options.memory)),
            options,
            counting: Counting::default(),
            inbox: Arc::default(),
            reporter: LinkReporter::default(),
            links: Mutex::default(),
            last: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
            greeting: Mutex::default(),
            closed: watch::Sender::new(false),
            abandoned: watch::Sender::new(false),
            ended: tokio::sync::Notify::new(),
        })
    }

    pub(super) fn counters(&self) -> Counters {
        let links = lock(&self.links).len() as u64;
        let (greeting, held) = (lock(&self.greeting).len() as u64, self.budget.used() as u64);
        Counters { links, greeting, held, ..self.counting.read() }
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Waits until nothing new is to begin.
    pub(super) async fn closed(&self) {
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    async fn abandoned(&self) {
        let _ = self.abandoned.subscribe().wait_for(|abandoned| *abandoned).await;
    }

    /// A place for one more connection.
    pub(super) fn place(self: &Arc<Self>) -> Arc<Place> {
        self.connections.fetch_add(1, Ordering::SeqCst);
        Arc::new(Place { end: Arc::clone(self), number: self.arrived.fetch_add(1, Ordering::Relaxed) })
    }

    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Ends the oldest connection by which nothing has come that was let in, to make room for another. False when there is none.
    pub(super) fn evict(&self) -> bool {
        let oldest = {
            let links = lock(&self.links);
            links.values().filter(|joint| joint.is_stranger()).min_by_key(|joint| joint.arrived).cloned()
        };
        let evicted = {
            let mut greeting = lock(&self.greeting);
            match (greeting.first_entry(), &oldest) {
                (Some(first), Some(joint)) if joint.arrived < *first.key() => false,
                (Some(first), _) => first.remove().send(()).is_ok(),
                (None, _) => false,
            }
        };
        let evicted = evicted
            || oldest.is_some_and(|joint| {
                joint.evicted.store(true, Ordering::SeqCst);
                self.leave(joint.id, "nothing had come by it, and it made room for another connection")
            });
        if evicted {
            self.counting.silent.one();
        }
        evicted
    }

    /// A connection that shakes hands, until it has or has to make room: `None` then.
    #[cfg(feature = "tls")]
    pub(super) async fn greet<T>(&self, place: &Place, hands: impl Future<Output = T>) -> Option<T> {
        let (evict, evicted) = oneshot::channel();
        lock(&self.greeting).insert(place.number, evict);
        let (mut hands, mut evicted) = (pin!(hands), pin!(evicted));
        let greeted = poll_fn(|cx| match hands.as_mut().poll(cx) {
            Poll::Ready(greeted) => Poll::Ready(Some(greeted)),
            Poll::Pending => evicted.as_mut().poll(cx).map(|_| None),
        })
        .await;
        lock(&self.greeting).remove(&place.number);
        greeted
    }

    /// Brings a link up and works on it until it is down again. Says whether anything has come by it.
    pub(super) async fn attach(self: &Arc<Self>, stream: Stream, peer: Option<Text>, generation: u64, place: Arc<Place>) -> bool {
        let options = &self.options;
        let joint = {
            let mut links = lock(&self.links);
            // Looked at with the lock that closing takes: no link comes up after it.
            if self.is_closed() {
                return false;
            }
            // Numbered with it as well: links are reported in the order of their numbers.
            let id = LinkId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
            let joint = Arc::new(Joint {
                id,
                peer: peer.clone(),
                outbox: Outbox::new(options.queue),
                held: Arc::new(Held::new(options.unsettled, options.unsettled_bytes, Arc::clone(&self.budget))),
                spoken: AtomicBool::new(false),
                evicted: AtomicBool::new(false),
                arrived: place.number,
            });
            links.insert(id, Arc::clone(&joint));
            self.counting.opened.one();
            self.reporter.up(Link { id, generation, peer });
            joint
        };
        let abandoned = self.abandoned();
        let why = {
            let mut running = pin!(Pump::new(Arc::clone(self), Arc::clone(&joint), stream, place).run());
            let mut abandoned = pin!(abandoned);
            poll_fn(|cx| match running.as_mut().poll(cx) {
                Poll::Ready(why) => Poll::Ready(why),
                Poll::Pending => abandoned.as_mut().poll(cx).map(|()| Why::Ours),
            })
            .await
        };
        self.forget(joint.id, &why.to_string());
        joint.spoken.load(Ordering::Relaxed)
    }

    /// A link is down: nobody uses it any more. What waits is still written, if its connection is.
    fn forget(&self, id: LinkId, why: &str) -> bool {
        let mut links = lock(&self.links);
        let Some(joint) = links.remove(&id) else { return false };
        self.counting.closed.one();
        self.reporter.down(id, why.to_owned());
        drop(links);
        tracing::debug!(link = id.0, %why, "a link is down");
        joint.outbox.finish();
        true
    }

    /// Leaves a link once what waits has been written. False when there is none.
    pub(super) fn leave(&self, id: LinkId, why: &str) -> bool {
        self.forget(id, why)
    }

    fn joint(&self, link: Option<LinkId>) -> Option<Arc<Joint>> {
        let links = lock(&self.links);
        match link {
            Some(link) => links.get(&link).cloned(),
            // Who names none means the only one.
            None if links.len() == 1 => links.values().next().cloned(),
            None => None,
        }
    }

    fn check(&self, frame: &Frame) -> Result<Arc<Joint>, TransportError> {
        if self.is_closed() {
            return Err(closed());
        }
        if frame.to != Destination::Link {
            return Err(refused("there are only links here, and neither addresses nor topics: frames go by `Destination::Link`"));
        }
        if let Some(why) = super::lines::unfit(&frame.payload, self.options.max_line) {
            return Err(refused(why));
        }
        self.joint(frame.link).ok_or_else(gone)
    }

    pub(super) fn try_publish(&self, frame: Frame) -> Attempt {
        let joint = match self.check(&frame) {
            Ok(joint) => joint,
            Err(error) => return Attempt::Done(Err(error)),
        };
        match joint.outbox.try_push(&frame.payload) {
            Some(pushed) => Attempt::Done(pushed.map(|()| Receipt::Handed)),
            None => Attempt::Waits(frame),
        }
    }

    pub(super) async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        let joint = self.check(&frame)?;
        let pushed = match joint.outbox.try_push(&frame.payload) {
            Some(pushed) => pushed,
            None => joint.outbox.push(&frame.payload, self.options.wait).await,
        };
        if let Err(error) = &pushed
            && error.kind == TransportErrorKind::Full
        {
            self.counting.full.one();
        }
        pushed.map(|()| Receipt::Handed)
    }

    /// Ends every link once what waits has been written, for as long as that may take. Whoever closes it as well waits as well.
    pub(super) async fn close(&self) {
        self.shut();
        let all = async {
            loop {
                let ended = self.ended.notified();
                if self.connections() == 0 {
                    return;
                }
                ended.await;
            }
        };
        let _ = tokio::time::timeout(self.options.linger, all).await;
        self.abandoned.send_replace(true);
    }

    /// Ends everything at once.
    pub(super) fn abandon(&self) {
        self.shut();
        self.abandoned.send_replace(true);
    }

    /// Ends every link, unless that has been done before.
    fn shut(&self) {
        if self.closed.send_replace(true) {
            return;
        }
        let links: Vec<LinkId> = lock(&self.links).keys().copied().collect();
        for link in links {
            self.leave(link, "closed here");
        }
        self.reporter.close();
        self.inbox.close();
    }
}

pub(super) fn refused(why: impl Into<String>) -> TransportError {
    TransportError::new(TransportErrorKind::Refused, why)
}

pub(super) fn closed() -> TransportError {
    TransportError::new(TransportErrorKind::Closed, "the transport was closed")
}

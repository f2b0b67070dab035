//! What one end keeps: its links, what they bring, and how it ends.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

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
    next: AtomicU64,
    /// How many connections there are, those that still shake hands and those that are still written to included.
    connections: AtomicU64,
    greeting: AtomicU64,
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
}

/// A connection that counts among those that there may be.
#[derive(Debug)]
pub(super) struct Place(Arc<End>);

impl Drop for Place {
    fn drop(&mut self) {
        if self.0.connections.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.ended.notify_waiters();
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
            next: AtomicU64::new(1),
            connections: AtomicU64::new(0),
            greeting: AtomicU64::new(0),
            closed: watch::Sender::new(false),
            abandoned: watch::Sender::new(false),
            ended: tokio::sync::Notify::new(),
        })
    }

    pub(super) fn counters(&self) -> Counters {
        let links = lock(&self.links).len() as u64;
        let (greeting, held) = (self.greeting.load(Ordering::Relaxed), self.budget.used() as u64);
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
    pub(super) fn place(self: &Arc<Self>) -> Place {
        self.connections.fetch_add(1, Ordering::SeqCst);
        Place(Arc::clone(self))
    }

    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Closes the oldest link by which nothing has come, to make room for another. False when there is none.
    pub(super) fn evict(&self) -> bool {
        let silent = lock(&self.links).values().find(|joint| !joint.spoken.load(Ordering::Relaxed)).map(|joint| joint.id);
        let evicted = silent.is_some_and(|id| self.leave(id, "it had said nothing, and made room for another connection"));
        if evicted {
            self.counting.silent.one();
        }
        evicted
    }

    /// A connection that shakes hands.
    #[cfg(feature = "tls")]
    pub(super) fn greet(&self, one: bool) {
        if one {
            self.greeting.fetch_add(1, Ordering::Relaxed);
        } else {
            self.greeting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Brings a link up and works on it until it is down again. Says whether anything has come by it.
    pub(super) async fn attach(self: &Arc<Self>, stream: Stream, peer: Option<Text>, generation: u64, place: Place) -> bool {
        let options = &self.options;
        let id = LinkId(self.next.fetch_add(1, Ordering::Relaxed));
        let joint = Arc::new(Joint {
            id,
            peer: peer.clone(),
            outbox: Outbox::new(options.queue),
            held: Arc::new(Held::new(options.unsettled, options.unsettled_bytes, Arc::clone(&self.budget))),
            spoken: AtomicBool::new(false),
        });
        {
            let mut links = lock(&self.links);
            // Looked at with the lock that closing takes: no link comes up after it.
            if self.is_closed() {
                return false;
            }
            links.insert(id, Arc::clone(&joint));
            self.counting.opened.one();
            self.reporter.up(Link { id, generation, peer });
        }
        let abandoned = self.abandoned();
        let why = {
            let mut running = std::pin::pin!(Pump::new(Arc::clone(self), Arc::clone(&joint), stream).run());
            let mut abandoned = std::pin::pin!(abandoned);
            std::future::poll_fn(|cx| {
                use std::{future::Future, task::Poll};
                match running.as_mut().poll(cx) {
                    Poll::Ready(why) => Poll::Ready(why),
                    Poll::Pending => abandoned.as_mut().poll(cx).map(|()| Why::Ours),
                }
            })
            .await
        };
        self.forget(id, &why.to_string());
        drop(place);
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

    /// Ends every link once what waits has been written, for as long as that may take.
    pub(super) async fn close(&self) {
        if self.shut() {
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
        }
        self.abandoned.send_replace(true);
    }

    /// Ends everything at once.
    pub(super) fn abandon(&self) {
        self.shut();
        self.abandoned.send_replace(true);
    }

    /// Ends every link. False when that has been done before.
    fn shut(&self) -> bool {
        if self.closed.send_replace(true) {
            return false;
        }
        let links: Vec<LinkId> = lock(&self.links).keys().copied().collect();
        for link in links {
            self.leave(link, "closed here");
        }
        self.reporter.close();
        self.inbox.close();
        true
    }
}

pub(super) fn refused(why: impl Into<String>) -> TransportError {
    TransportError::new(TransportErrorKind::Refused, why)
}

pub(super) fn closed() -> TransportError {
    TransportError::new(TransportErrorKind::Closed, "the transport was closed")
}

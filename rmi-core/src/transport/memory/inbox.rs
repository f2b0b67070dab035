use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use async_trait::async_trait;

use super::{
    bus::Bus,
    mailbox::{Mailbox, Taken},
    seat::Seat,
};
use crate::transport::{Deliveries, Delivery, Disposition, LinkId, Purpose, Settle, TransportError};

/// A consumer of a mailbox, for as long as its seat is on the bus. Its deliveries are settled through it.
pub(super) struct Attachment {
    pub(super) bus: Arc<Bus>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) consumer: u64,
    pub(super) purpose: Purpose,
    pub(super) link: LinkId,
}

impl Settle for Attachment {
    fn settle(&self, tag: u64, disposition: Disposition) {
        if let Some(dead) = self.mailbox.settle(self.consumer, tag, disposition) {
            self.bus.discard(*dead, self.mailbox.name());
        }
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("mailbox", self.mailbox.name())
            .field("consumer", &self.consumer)
            .finish_non_exhaustive()
    }
}

/// What a seat and one of its inboxes have in common.
#[derive(Debug)]
pub(super) struct Port(Mutex<PortState>);

#[derive(Debug)]
struct PortState {
    standing: Standing,
    /// Set while the inbox waits for another standing.
    waker: Option<Waker>,
}

/// How an inbox stands to its source.
#[derive(Debug)]
pub(super) enum Standing {
    /// It receives.
    At(Arc<Attachment>),
    /// Its seat is off the bus.
    Away,
    /// It has ended: with an error that is told once, or without.
    Ended(Option<TransportError>),
}

impl Port {
    pub(super) fn new(at: Arc<Attachment>) -> Self {
        Port(Mutex::new(PortState { standing: Standing::At(at), waker: None }))
    }

    /// Changes the standing, wakes the inbox, and returns the attachment that it had.
    pub(super) fn change(&self, standing: Standing) -> Option<Arc<Attachment>> {
        let mut state = self.lock();
        let before = std::mem::replace(&mut state.standing, standing);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        match before {
            Standing::At(at) => Some(at),
            Standing::Away | Standing::Ended(_) => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, PortState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The deliveries of a subscription.
#[derive(Debug)]
pub(super) struct Inbox {
    seat: Arc<Seat>,
    member: u64,
    port: Arc<Port>,
    /// What the port said last: good until the mailbox says that we have left.
    at: Option<Arc<Attachment>>,
}

impl Inbox {
    pub(super) fn new(seat: Arc<Seat>, member: u64, port: Arc<Port>) -> Self {
        Inbox { seat, member, port, at: None }
    }

    fn poll(&mut self, into: &mut Vec<Delivery>, max: usize, cx: &mut Context<'_>) -> Poll<Result<usize, TransportError>> {
        loop {
            if let Some(at) = &self.at {
                match at.mailbox.take(at, max, into, cx) {
                    Taken::Got(taken) => return Poll::Ready(Ok(taken)),
                    Taken::Waiting => return Poll::Pending,
                    // The port was changed before the consumer was removed.
                    Taken::Left => self.at = None,
                }
            }
            let mut port = self.port.lock();
            match &mut port.standing {
                Standing::At(at) => self.at = Some(Arc::clone(at)),
                Standing::Ended(error) => return Poll::Ready(error.take().map_or(Ok(0), Err)),
                Standing::Away => {
                    let old = port.waker.replace(cx.waker().clone());
                    drop(port);
                    drop(old);
                    return Poll::Pending;
                }
            }
        }
    }
}

#[async_trait]
impl Deliveries for Inbox {
    async fn recv(&mut self, into: &mut Vec<Delivery>, max: usize) -> Result<usize, TransportError> {
        if max == 0 {
            return Ok(0);
        }
        Receive { inbox: self, into, max, waited: false }.await
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.seat.leave(self.member);
    }
}

/// A wait for deliveries. Dropped, it leaves to others what it was woken for.
struct Receive<'a> {
    inbox: &'a mut Inbox,
    into: &'a mut Vec<Delivery>,
    max: usize,
    waited: bool,
}

impl Future for Receive<'_> {
    type Output = Result<usize, TransportError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let polled = this.inbox.poll(this.into, this.max, cx);
        this.waited = polled.is_pending();
        polled
    }
}

impl Drop for Receive<'_> {
    fn drop(&mut self) {
        if self.waited
            && let Some(at) = &self.inbox.at
        {
            at.mailbox.stop_waiting(at.consumer);
        }
    }
}

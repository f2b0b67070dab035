//! What all links have brought, for the one who receives it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    lock::lock,
    text::Text,
    transport::{
        Acker, Deliveries, Delivery, LinkId, Purpose, TransportError,
        tcp::{end::Place, held::Held},
    },
};

/// What one link has brought in one go.
#[derive(Debug)]
pub(super) struct Brought {
    pub(super) link: LinkId,
    pub(super) peer: Option<Text>,
    pub(super) held: Arc<Held>,
    /// Kept until it is received.
    pub(super) _place: Arc<Place>,
    pub(super) lines: std::vec::IntoIter<Bytes>,
}

/// What has arrived and is not received. As much as links may hold unsettled.
#[derive(Debug, Default)]
pub(super) struct Inbox(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    arrived: VecDeque<Brought>,
    /// Somebody receives.
    taken: bool,
    waker: Option<Waker>,
    closed: bool,
}

impl Inbox {
    /// A link has brought something.
    pub(super) fn put(&self, brought: Brought) {
        let mut state = lock(&self.0);
        if state.closed {
            return;
        }
        state.arrived.push_back(brought);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Receives from now on; `None` when somebody does already.
    pub(super) fn receive(self: &Arc<Self>) -> Option<Receiving> {
        let taken = std::mem::replace(&mut lock(&self.0).taken, true);
        (!taken).then(|| Receiving(Arc::clone(self)))
    }

    /// Nothing more is received.
    pub(super) fn close(&self) {
        let mut state = lock(&self.0);
        state.closed = true;
        let arrived = std::mem::take(&mut state.arrived);
        let waker = state.waker.take();
        drop(state);
        drop(arrived);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, into: &mut Vec<Delivery>, max: usize, cx: &Context<'_>) -> Poll<usize> {
        let mut state = lock(&self.0);
        if state.closed || max == 0 {
            return Poll::Ready(0);
        }
        let before = into.len();
        while let Some(brought) = state.arrived.front_mut() {
            for line in brought.lines.by_ref().take(max - (into.len() - before)) {
                let tag = line.len() as u64;
                let mut delivery = Delivery::new(line, Text::EMPTY, Purpose::Everything, Acker::new(brought.held.clone(), tag));
                delivery.link = brought.link;
                delivery.peer.clone_from(&brought.peer);
                into.push(delivery);
            }
            if brought.lines.len() > 0 {
                break;
            }
            state.arrived.pop_front();
        }
        if into.len() > before {
            return Poll::Ready(into.len() - before);
        }
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// The one who receives.
#[derive(Debug)]
pub(super) struct Receiving(Arc<Inbox>);

#[async_trait]
impl Deliveries for Receiving {
    async fn recv(&mut self, into: &mut Vec<Delivery>, max: usize) -> Result<usize, TransportError> {
        Ok(std::future::poll_fn(|cx| self.0.poll(into, max, cx)).await)
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        let mut state = lock(&self.0.0);
        state.taken = false;
        state.waker = None;
    }
}

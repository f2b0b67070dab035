use std::{
    collections::VecDeque,
    sync::Mutex,
    task::{Context, Poll, Waker},
};

use tokio::sync::Notify;

use crate::{
    lock::lock,
    message::{Event, Head},
    seal::Principal,
    transport::{Acker, Disposition},
};

/// What becomes of an event for which a subscription has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// It waits on the bus, together with all that come after it. Nothing is dropped here; where the bus has no more room for
    /// this subscription it drops the oldest that it holds, and the subscriber is told how many. Nobody else waits.
    #[default]
    Wait,
    /// What has waited longest is dropped, and the subscriber is told how many.
    DropOldest,
    /// The subscription ends: what is waiting can still be taken, and after it comes [`Missed::Overflowed`](super::Missed::Overflowed).
    Fail,
}

/// An event that has arrived, and waits to be taken.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) event: Event,
    pub(super) head: Head,
    pub(super) principal: Principal,
    pub(super) redelivered: bool,
    /// How many events before this one are lost; [`Queue::put`] knows.
    pub(super) missed: u64,
    /// What was lost before this one; [`Queue::put`] knows.
    pub(super) after: Option<Loss>,
    /// How long the message was: the event's parts share its buffer, and keep all of it alive.
    pub(super) size: usize,
    pub(super) acker: Acker,
}

impl Item {
    /// How many bytes it keeps alive, about.
    fn size(&self) -> usize {
        self.size + size_of::<Item>()
    }
}

/// What was lost for a while, and events with it. The greater covers the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loss {
    Subscription,
    Link,
}

/// What a subscriber finds next.
#[derive(Debug)]
pub(super) enum Next {
    Event(Box<Item>),
    /// So many are lost.
    Lagged(u64),
    /// This was lost here.
    Lost(Loss),
    Over(End),
}

/// Why nothing more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The endpoint has been closed. Also what is said after the other reasons have been told.
    Closed,
    /// There was no room, and the subscription is one that fails then.
    Overflowed,
    /// The transport has given it up.
    Lost,
}

/// What became of an event that was put.
#[derive(Debug)]
pub(super) enum Put {
    Taken,
    /// It took the place of so many others.
    Dropped(u64),
    /// There is no room for it.
    Full(Box<Item>),
    /// Nothing is taken any more.
    Over,
}

/// Events that wait to be taken, bounded by their number and by their bytes.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    room: Notify,
    capacity: usize,
    most_bytes: usize,
    overflow: Overflow,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Box<Item>>,
    bytes: usize,
    /// How many were dropped at the front.
    lagged: u64,
    /// How many were dropped by the bus behind those that wait.
    behind: u64,
    /// What was lost before the first of those that wait.
    lost_before: Option<Loss>,
    /// What was lost behind those that wait.
    lost_behind: Option<Loss>,
    end: Option<End>,
    reader: Option<Waker>,
}

impl Queue {
    pub(super) fn new(capacity: usize, most_bytes: usize, overflow: Overflow) -> Self {
        Queue { state: Mutex::default(), room: Notify::new(), capacity: capacity.max(1), most_bytes, overflow }
    }

    /// So many events are lost that would have come next.
    pub(super) fn missed(&self, many: u64) {
        let mut state = lock(&self.state);
        state.behind += many;
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }

    /// This was lost after all that has come until now.
    pub(super) fn lost(&self, loss: Loss) {
        let mut state = lock(&self.state);
        state.lost_behind = state.lost_behind.max(Some(loss));
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }

    pub(super) fn put(&self, mut item: Box<Item>) -> Put {
        // Dropped after the lock is released: they settle, and wake.
        let mut dropped = Vec::new();
        let mut state = lock(&self.state);
        if state.end.is_some() {
            return Put::Over;
        }
        let size = item.size();
        while !state.fits(size, self) {
            match self.overflow {
                Overflow::Wait => return Put::Full(item),
                Overflow::Fail => {
                    let reader = state.over(End::Overflowed);
                    drop(state);
                    wake(reader);
                    return Put::Over;
                }
                Overflow::DropOldest => {
                    let Some(oldest) = state.pop() else { break };
                    state.lagged += 1 + oldest.missed;
                    state.lost_before = state.lost_before.max(oldest.after);
                    dropped.push(oldest);
                }
            }
        }
        state.bytes += size;
        item.missed = std::mem::take(&mut state.behind);
        item.after = state.lost_behind.take();
        state.waiting.push_back(item);
        let reader = state.reader.take();
        drop(state);
        wake(reader);
        let many = dropped.len() as u64;
        for oldest in dropped {
            // Nobody else is to get it either.
            oldest.acker.settle(Disposition::Ack);
        }
        if many == 0 { Put::Taken } else { Put::Dropped(many) }
    }

    /// Puts an event as soon as there is room for it. What is dropped before that goes back to the bus.
    pub(super) async fn put_in_turn(&self, mut item: Box<Item>) -> Put {
        loop {
            let room = self.room.notified();
            match self.put(item) {
                Put::Full(back) => item = back,
                other => return other,
            }
            room.await;
        }
    }

    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Next> {
        let mut state = lock(&self.state);
        if state.lagged > 0 {
            return Poll::Ready(Next::Lagged(std::mem::take(&mut state.lagged)));
        }
        if let Some(loss) = state.lost_before.take() {
            return Poll::Ready(Next::Lost(loss));
        }
        if let Some(first) = state.waiting.front_mut() {
            if first.missed > 0 {
                return Poll::Ready(Next::Lagged(std::mem::take(&mut first.missed)));
            }
            if let Some(loss) = first.after.take() {
                return Poll::Ready(Next::Lost(loss));
            }
        }
        if let Some(item) = state.pop() {
            drop(state);
            self.room.notify_waiters();
            return Poll::Ready(Next::Event(item));
        }
        if state.behind > 0 {
            return Poll::Ready(Next::Lagged(std::mem::take(&mut state.behind)));
        }
        // An end says more.
        if let Some(loss) = state.lost_behind.take()
            && state.end.is_none()
        {
            return Poll::Ready(Next::Lost(loss));
        }
        if let Some(end) = &mut state.end {
            return Poll::Ready(Next::Over(std::mem::replace(end, End::Closed)));
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Takes nothing more; what waits can still be taken.
    pub(super) fn end(&self, why: End) {
        let reader = lock(&self.state).over(why);
        wake(reader);
        self.room.notify_waiters();
    }

    /// Nobody reads any more: what waits goes back to the bus, where somebody else may have it.
    pub(super) fn abandon(&self, why: End) {
        let mut state = lock(&self.state);
        let waiting = std::mem::take(&mut state.waiting);
        state.bytes = 0;
        let reader = state.over(why);
        drop(state);
        wake(reader);
        self.room.notify_waiters();
        drop(waiting);
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.state).waiting.len()
    }
}

impl State {
    fn fits(&self, size: usize, queue: &Queue) -> bool {
        // One alone always fits, or it would wait for ever.
        self.waiting.is_empty() || (self.waiting.len() < queue.capacity && self.bytes.saturating_add(size) <= queue.most_bytes)
    }

    fn pop(&mut self) -> Option<Box<Item>> {
        let item = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(item.size());
        Some(item)
    }

    fn over(&mut self, why: End) -> Option<Waker> {
        self.end.get_or_insert(why);
        self.reader.take()
    }
}

fn wake(reader: Option<Waker>) {
    if let Some(reader) = reader {
        reader.wake();
    }
}

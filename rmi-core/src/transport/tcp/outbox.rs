//! What waits to be written to one link: bounded, in its order, and joined to few large writes.

use std::{
    collections::VecDeque,
    sync::Mutex,
    task::{Context, Waker},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::sync::{Semaphore, TryAcquireError};

use crate::{
    lock::lock,
    transport::{TransportError, TransportErrorKind},
};

/// What a frame counts beside its payload.
const EACH: usize = 64;
/// A longer payload is written from where it is. A shorter one is copied behind others.
const LONG: usize = 16 << 10;

/// What waits to be written.
#[derive(Debug)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    /// As much room as there is. Whoever waits for some gets it in their order.
    room: Semaphore,
    size: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    /// What is complete, and before what is in `tail`.
    chunks: VecDeque<Bytes>,
    tail: BytesMut,
    /// How much room it takes.
    weight: usize,
    frames: usize,
    /// Whoever writes, when it has nothing to write.
    writer: Option<Waker>,
    /// Whoever writes, while the socket takes nothing.
    blocked: Option<Waker>,
    finished: bool,
}

/// A part of what waits, on its way.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) chunks: VecDeque<Bytes>,
    weight: usize,
    frames: usize,
}

impl Outbox {
    pub(super) fn new(size: usize) -> Self {
        let size = size.clamp(EACH, u32::MAX as usize).min(Semaphore::MAX_PERMITS);
        Outbox { waiting: Mutex::default(), room: Semaphore::new(size), size }
    }

    /// A frame that is longer than all the room takes all of it.
    fn weight(&self, payload: &Bytes) -> u32 {
        u32::try_from((payload.len() + EACH).min(self.size)).unwrap_or(u32::MAX)
    }

    /// Puts a frame behind the others, if there is room. `None` if there is not.
    pub(super) fn try_push(&self, payload: &Bytes) -> Option<Result<(), TransportError>> {
        let weight = self.weight(payload);
        match self.room.try_acquire_many(weight) {
            Ok(permit) => {
                permit.forget();
                Some(self.put(payload, weight))
            }
            Err(TryAcquireError::NoPermits) => None,
            Err(TryAcquireError::Closed) => Some(Err(gone())),
        }
    }

    /// Puts a frame behind the others when there is room, in the order in which they ask for it.
    pub(super) async fn push(&self, payload: &Bytes, wait: Duration) -> Result<(), TransportError> {
        let weight = self.weight(payload);
        match tokio::time::timeout(wait, self.room.acquire_many(weight)).await {
            Ok(Ok(permit)) => {
                permit.forget();
                self.put(payload, weight)
            }
            Ok(Err(_)) => Err(gone()),
            Err(_) => {
                let why = format!("the peer has taken too little for {wait:?}: {} bytes wait to be sent to it", self.size);
                Err(TransportError::new(TransportErrorKind::Full, why))
            }
        }
    }

    fn put(&self, payload: &Bytes, weight: u32) -> Result<(), TransportError> {
        let mut waiting = lock(&self.waiting);
        if waiting.finished {
            return Err(gone());
        }
        waiting.weight += weight as usize;
        waiting.frames += 1;
        if payload.len() > LONG {
            if !waiting.tail.is_empty() {
                let before = waiting.tail.split().freeze();
                waiting.chunks.push_back(before);
            }
            waiting.chunks.push_back(payload.clone());
        } else {
            waiting.tail.extend_from_slice(payload);
        }
        waiting.tail.extend_from_slice(b"\n");
        let writer = waiting.writer.take();
        drop(waiting);
        if let Some(writer) = writer {
            writer.wake();
        }
        Ok(())
    }

    /// All that waits; the writer is woken when there is something, or when there will be nothing more.
    pub(super) fn take(&self, batch: &mut Batch, cx: &Context<'_>) -> Taken {
        let mut waiting = lock(&self.waiting);
        if waiting.frames == 0 {
            if waiting.finished {
                return Taken::Finished;
            }
            if !waiting.writer.as_ref().is_some_and(|writer| writer.will_wake(cx.waker())) {
                waiting.writer = Some(cx.waker().clone());
            }
            return Taken::Nothing;
        }
        std::mem::swap(&mut batch.chunks, &mut waiting.chunks);
        let tail = waiting.tail.split().freeze();
        batch.chunks.push_back(tail);
        batch.weight = std::mem::take(&mut waiting.weight);
        batch.frames = std::mem::take(&mut waiting.frames);
        Taken::Some
    }

    /// Wakes the writer when no more is taken, although it waits for something else.
    pub(super) fn wake_at_end(&self, cx: &Context<'_>) {
        let mut waiting = lock(&self.waiting);
        if !waiting.finished && !waiting.blocked.as_ref().is_some_and(|blocked| blocked.will_wake(cx.waker())) {
            waiting.blocked = Some(cx.waker().clone());
        }
    }

    /// Whether anything waits.
    pub(super) fn has_some(&self) -> bool {
        lock(&self.waiting).frames > 0
    }

    /// A batch has been written: there is room again. Returns how many frames it was.
    pub(super) fn written(&self, batch: &mut Batch) -> usize {
        self.room.add_permits(std::mem::take(&mut batch.weight));
        std::mem::take(&mut batch.frames)
    }

    /// Takes no more. What waits can still be written.
    pub(super) fn finish(&self) {
        self.room.close();
        let mut waiting = lock(&self.waiting);
        waiting.finished = true;
        let wakers = [waiting.writer.take(), waiting.blocked.take()];
        drop(waiting);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Whether no more is taken.
    pub(super) fn is_finished(&self) -> bool {
        self.room.is_closed()
    }

    /// Forgets what waits, and says how many frames that is.
    pub(super) fn clear(&self) -> usize {
        self.finish();
        let mut waiting = lock(&self.waiting);
        waiting.chunks.clear();
        waiting.tail = BytesMut::new();
        std::mem::take(&mut waiting.frames)
    }
}

impl Batch {
    /// How many of its frames are not written yet, at most.
    pub(super) fn frames(&self) -> usize {
        self.frames
    }
}

/// What there is to write.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Some,
    Nothing,
    /// And there will be nothing more.
    Finished,
}

pub(super) fn gone() -> TransportError {
    TransportError::new(TransportErrorKind::Disconnected, "the link is down")
}

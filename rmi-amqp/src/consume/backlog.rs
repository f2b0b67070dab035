//! What has come by a consumer without acknowledgements and was not taken: bounded.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::Stream;
use lapin::{Consumer, message::Delivery};
use rmi_core::transport::WhenFull;
use tokio::{sync::Notify, time::sleep};

use crate::{counters::Tally, error::said, options::Options};

/// How often it is looked after what has come while nobody takes anything.
const LOOK: Duration = Duration::from_millis(100);

/// What a message takes beside its payload, about.
const BESIDE: usize = size_of::<Delivery>() + 128;

/// What has come by a consumer that acknowledges nothing, and was not taken.
///
/// The broker sends such a consumer all it has, and the client library keeps that without a bound. So whoever takes some looks at all
/// the rest, and while nobody takes anything the subscription's own task looks at it, in intervals. Where more waits than the options
/// allow, the oldest is dropped, or the consumer is ended.
#[derive(Debug)]
pub(super) struct Backlog {
    most: usize,
    most_bytes: usize,
    when_full: WhenFull,
    tally: Arc<Tally>,
    held: Mutex<Held>,
    /// Somebody waits for what comes.
    attended: AtomicBool,
    /// The subscription's task looks at it.
    watched: AtomicBool,
    unattended: Notify,
    flooded: Notify,
}

#[derive(Debug, Default)]
struct Held {
    waiting: VecDeque<Delivery>,
    bytes: usize,
    /// How many were dropped before the first.
    missed: u64,
    /// Nothing more is kept.
    flooded: bool,
    /// The library has said that nothing more comes.
    over: bool,
}

/// Somebody waits for what comes, as long as this is kept.
pub(super) struct Attending<'a>(&'a Backlog);

impl Drop for Attending<'_> {
    fn drop(&mut self) {
        self.0.attended.store(false, SeqCst);
        if !self.0.watched.load(SeqCst) {
            self.0.watched.store(true, SeqCst);
            self.0.unattended.notify_one();
        }
    }
}

impl Backlog {
    pub(super) fn new(options: &Options, when_full: WhenFull, tally: &Arc<Tally>) -> Self {
        Backlog {
            most: options.backlog,
            most_bytes: options.backlog_bytes,
            when_full,
            tally: Arc::clone(tally),
            held: Mutex::default(),
            attended: AtomicBool::new(false),
            // Until somebody comes for the first time.
            watched: AtomicBool::new(true),
            unattended: Notify::new(),
            flooded: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn attend(&self) -> Attending<'_> {
        self.attended.store(true, SeqCst);
        Attending(self)
    }

    /// Takes what there is, each with how many were dropped before it. `Ready(0)` when nothing comes any more.
    pub(super) fn poll_take(
        &self,
        cx: &mut Context<'_>,
        consumer: &mut Consumer,
        max: usize,
        mut take: impl FnMut(Delivery, u64),
    ) -> Poll<usize> {
        let mut held = self.lock();
        let mut count = 0;
        while count < max {
            if let Some(delivery) = held.pop() {
                take(delivery, std::mem::take(&mut held.missed));
                count += 1;
                continue;
            }
            if held.over || held.flooded {
                return Poll::Ready(count);
            }
            match Pin::new(&mut *consumer).poll_next(cx) {
                Poll::Ready(Some(Ok(delivery))) => {
                    take(delivery, std::mem::take(&mut held.missed));
                    count += 1;
                }
                Poll::Ready(Some(Err(error))) => tracing::debug!(error = %said(&error), "a consumer has ended"),
                Poll::Ready(None) => held.over = true,
                Poll::Pending if count == 0 => return Poll::Pending,
                Poll::Pending => return Poll::Ready(count),
            }
        }
        // There may be more than was asked for.
        self.gather(&mut held, consumer, cx);
        Poll::Ready(count)
    }

    /// Returns when more has come than may wait, and the consumer is to be ended for that.
    pub(super) async fn overflows(&self, consumer: Consumer) {
        let looking = async {
            loop {
                sleep(LOOK).await;
                self.watched.store(false, SeqCst);
                if self.attended.load(SeqCst) {
                    self.unattended.notified().await;
                }
                self.watched.store(true, SeqCst);
                // A new one each time, which leaves no listener behind.
                let mut consumer = consumer.clone();
                self.gather(&mut self.lock(), &mut consumer, &mut Context::from_waker(Waker::noop()));
            }
        };
        tokio::select! {
            () = self.flooded.notified() => {}
            () = looking => {}
        }
    }

    /// Keeps all that has come, within bounds.
    fn gather(&self, held: &mut Held, consumer: &mut Consumer, cx: &mut Context<'_>) {
        while !held.over
            && let Poll::Ready(come) = Pin::new(&mut *consumer).poll_next(cx)
        {
            match come {
                Some(Ok(delivery)) => self.keep(held, delivery),
                Some(Err(error)) => tracing::debug!(error = %said(&error), "a consumer has ended"),
                None => held.over = true,
            }
        }
    }

    fn keep(&self, held: &mut Held, delivery: Delivery) {
        if held.flooded {
            return;
        }
        held.push(delivery);
        // One alone always fits.
        while held.waiting.len() > 1 && (held.waiting.len() > self.most || held.bytes > self.most_bytes) {
            if self.when_full == WhenFull::DropOldest {
                held.pop();
                held.missed += 1;
                self.tally.dropped.add();
            } else {
                held.flooded = true;
                self.tally.flooded.add();
                self.flooded.notify_one();
                return;
            }
        }
    }
}

impl Held {
    fn push(&mut self, delivery: Delivery) {
        self.bytes += delivery.data.len() + BESIDE;
        self.waiting.push_back(delivery);
    }

    fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(delivery.data.len() + BESIDE);
        if self.waiting.is_empty() {
            // What a burst took is not kept for the next one.
            self.waiting = VecDeque::new();
        }
        Some(delivery)
    }
}

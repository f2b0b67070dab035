//! Publishing: whoever publishes hands his frame to the library himself, behind those that wait; what the broker says to it is gathered
//! for all by one task, and another has the channels and ends every wait.
//!
//! What is to be confirmed goes by a channel in confirm mode, many at a time; everything else by another. While there is no link, or the
//! broker takes nothing, frames wait.

mod channels;
mod flight;
mod job;
mod keeper;
mod returned;
mod sending;

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use rmi_core::transport::{Frame, Receipt, TransportError};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch},
    time::{Instant, timeout, timeout_at},
};

use self::{flight::Ready, job::Job, sending::Sending};
use crate::{
    convert::Route,
    error::{closed, full},
    link::Link,
};

/// How often the gathering task looks for more before others have their turn.
const ROUNDS: usize = 4;

/// Where frames are given to be published.
#[derive(Debug)]
pub(crate) struct Publisher {
    shared: Arc<Shared>,
    frames: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    /// The keeper has ended, and whether with nothing left over.
    done: watch::Receiver<Option<bool>>,
}

/// What publishers and the two tasks share.
#[derive(Debug)]
struct Shared {
    link: Arc<Link>,
    sending: Mutex<Sending>,
    ready: Arc<Ready>,
    /// There is something to do for the keeper.
    keeper: Notify,
    /// When it gives up what is left, once there is nothing more to come.
    until: watch::Sender<Option<Instant>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Sending> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears what has come, and sends what there is room for now.
    fn gather(&self, cx: &Context<'_>) {
        for _ in 0..ROUNDS {
            if self.ready.poll(cx).is_pending() {
                return;
            }
            let mut sending = self.lock();
            sending.gather();
            sending.send();
            if sending.wants_keeper() {
                self.keeper.notify_one();
            }
        }
        cx.waker().wake_by_ref();
    }
}

impl Publisher {
    pub(crate) fn start(link: &Arc<Link>) -> Self {
        let (ended, done) = watch::channel(None);
        let ready = Arc::<Ready>::default();
        let sending = Mutex::new(Sending::new(Arc::clone(link), Arc::clone(&ready)));
        let shared =
            Arc::new(Shared { link: Arc::clone(link), sending, ready, keeper: Notify::new(), until: watch::Sender::new(None) });
        let gathering = Arc::clone(&shared);
        let gatherer = tokio::spawn(poll_fn(move |cx| {
            gathering.gather(cx);
            Poll::<()>::Pending
        }));
        let kept = Arc::clone(&shared);
        tokio::spawn(async move {
            let flushed = keeper::keep(&kept).await;
            gatherer.abort();
            ended.send_replace(Some(flushed));
        });
        let (frames, bytes) = (link.options.waiting + link.options.window, link.options.waiting_bytes);
        Publisher {
            shared,
            frames: Arc::new(Semaphore::new(frames.min(Semaphore::MAX_PERMITS))),
            bytes: Arc::new(Semaphore::new(bytes.min(u32::MAX as usize))),
            done,
        }
    }

    /// Publishes, and waits for what becomes of it: for room, for its exchange, for the link and for the broker's word, in all no longer
    /// than the options say. One that is dropped before it is sent is not sent.
    pub(crate) async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        let given = Instant::now();
        let link = &self.shared.link;
        let options = &link.options;
        let route = Route::of(&frame.to, options)?;
        let room = self.room(frame.payload.len()).await?;
        if !route.exchange.is_empty() && !link.exchanges.ensure(link, route.exchange, given + options.wait).await? {
            // Without the exchange there is nobody.
            return Ok(if frame.mandatory { Receipt::NoRoute } else { Receipt::Handed });
        }
        let confirmed = frame.mandatory || (frame.persistent && options.confirms);
        let (answer, told) = oneshot::channel();
        let job = Job {
            frame,
            confirmed,
            given,
            late: false,
            unsent: false,
            suspected: 0,
            repeated: false,
            answer: Some(answer),
            _room: room,
        };
        {
            let mut sending = self.shared.lock();
            sending.give(job)?;
            if sending.wants_keeper() {
                self.shared.keeper.notify_one();
            }
        }
        told.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn room(&self, length: usize) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), TransportError> {
        let bytes = u32::try_from(length.min(self.shared.link.options.waiting_bytes)).unwrap_or(u32::MAX).max(1);
        let (frames, all) = (|| Arc::clone(&self.frames), || Arc::clone(&self.bytes));
        if let (Ok(frame), Ok(bytes)) = (frames().try_acquire_owned(), all().try_acquire_many_owned(bytes)) {
            return Ok((frame, bytes));
        }
        let wait = self.shared.link.options.wait;
        let both = async { Ok((frames().acquire_owned().await?, all().acquire_many_owned(bytes).await?)) };
        match timeout(wait, both).await {
            Ok(room) => room.map_err(|_: tokio::sync::AcquireError| closed()),
            Err(_) => {
                self.shared.link.tally.full.add();
                let away = self.shared.lock().away(wait).message;
                Err(full(format!("too much waits to be published, and did so for {wait:?}: {away}")))
            }
        }
    }

    /// Takes nothing more, and waits until what was given is done with. `false` if that was not so in time.
    pub(crate) async fn drain(&self, deadline: Instant) -> bool {
        self.shared.lock().closed = true;
        self.frames.close();
        self.bytes.close();
        self.shared.until.send_replace(Some(deadline));
        let mut done = self.done.clone();
        match timeout_at(deadline + Duration::from_millis(100), done.wait_for(Option::is_some)).await {
            Ok(Ok(flushed)) => flushed.unwrap_or(false),
            Ok(Err(_)) | Err(_) => false,
        }
    }
}

impl Drop for Publisher {
    /// What was given is still sent, as long as there is the link.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.keeper.notify_one();
    }
}

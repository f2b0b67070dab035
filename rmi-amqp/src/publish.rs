//! Publishing: whoever publishes hands his frame to the library himself, behind those that wait; what the broker says to it is gathered
//! for all by one task, and another has the channels and ends every wait.
//!
//! What is to be confirmed goes by a channel in confirm mode, many at a time; everything else by another. While there is no link, or the
//! broker takes nothing, frames wait.

mod channels;
mod flight;
mod handing;
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

use rmi_core::transport::{Attempt, Frame, Receipt, TransportError};
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::{Instant, timeout, timeout_at},
};

use self::{
    flight::Ready,
    job::{Job, Room},
    sending::Sending,
};
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

    fn give(&self, sending: &mut Sending, job: Job) -> Result<(), TransportError> {
        sending.give(job)?;
        if sending.wants_keeper() {
            self.keeper.notify_one();
        }
        Ok(())
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

    /// Publishes if that takes no waiting. Of what is not confirmed nothing more will be said than that it was sent.
    pub(crate) fn try_publish(&self, frame: Frame) -> Attempt {
        let link = &self.shared.link;
        match Route::of(&frame.to, &link.options) {
            Ok(route) if route.exchange.is_empty() || link.exchanges.is_known(link, route.exchange) => {}
            Ok(_) => return Attempt::Waits(frame),
            Err(error) => return Attempt::Done(Err(error)),
        }
        let Some(room) = self.room_now(frame.payload.len()) else { return Attempt::Waits(frame) };
        let mut sending = self.shared.lock();
        if !sending.has_way() {
            return Attempt::Waits(frame);
        }
        let mut job = Job::new(frame, &link.options, room);
        job.handed = !job.confirmed;
        let told = (!job.handed).then(|| job.awaited());
        match (self.shared.give(&mut sending, job), told) {
            (Err(error), _) => Attempt::Done(Err(error)),
            (Ok(()), None) => Attempt::Done(Ok(Receipt::Handed)),
            (Ok(()), Some(told)) => Attempt::Given(told),
        }
    }

    /// Publishes, and waits for what becomes of it: for room, for its exchange, for the link and for the broker's word, in all no longer
    /// than the options say. One that is dropped before it is sent is not sent.
    pub(crate) async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        match self.try_publish(frame) {
            Attempt::Done(done) => done,
            Attempt::Given(told) => told.await,
            // Boxed: that is rare.
            Attempt::Waits(frame) => Box::pin(self.publish_in_turn(frame)).await,
        }
    }

    async fn publish_in_turn(&self, frame: Frame) -> Result<Receipt, TransportError> {
        let given = Instant::now();
        let link = &self.shared.link;
        let options = &link.options;
        let route = Route::of(&frame.to, options)?;
        let room = self.room(frame.payload.len()).await?;
        if !route.exchange.is_empty() && !link.exchanges.ensure(link, route.exchange, given + options.wait).await? {
            // Without the exchange there is nobody.
            return Ok(if frame.mandatory { Receipt::NoRoute } else { Receipt::Handed });
        }
        let mut job = Job::new(frame, options, room);
        job.given = given;
        let told = job.awaited();
        self.shared.give(&mut self.shared.lock(), job)?;
        told.await
    }

    /// Room for a frame of this length, if there is some.
    fn room_now(&self, length: usize) -> Option<Room> {
        let frame = Arc::clone(&self.frames).try_acquire_owned().ok()?;
        Some((frame, Arc::clone(&self.bytes).try_acquire_many_owned(self.takes(length)).ok()?))
    }

    async fn room(&self, length: usize) -> Result<Room, TransportError> {
        if let Some(room) = self.room_now(length) {
            return Ok(room);
        }
        let wait = self.shared.link.options.wait;
        let both = async {
            let frame = Arc::clone(&self.frames).acquire_owned().await?;
            Ok((frame, Arc::clone(&self.bytes).acquire_many_owned(self.takes(length)).await?))
        };
        match timeout(wait, both).await {
            Ok(room) => room.map_err(|_: tokio::sync::AcquireError| closed()),
            Err(_) => {
                self.shared.link.tally.full.add();
                let away = self.shared.lock().away(wait).message;
                Err(full(format!("too much waits to be published, and did so for {wait:?}: {away}")))
            }
        }
    }

    /// How much of the room for bytes a frame takes: one that is longer than all of it takes all of it.
    fn takes(&self, length: usize) -> u32 {
        u32::try_from(length.min(self.shared.link.options.waiting_bytes)).unwrap_or(u32::MAX).max(1)
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

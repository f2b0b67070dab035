//! Publishing: one task has the channels, sends what is given to it in its order, and gathers what the broker says to it.
//!
//! What is to be confirmed goes by a channel in confirm mode, many at a time; everything else by another. While there is no link, or the
//! broker takes nothing, frames wait.

mod channels;
mod job;
mod returned;
mod sending;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rmi_core::transport::{Frame, Receipt, TransportError};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
    time::{Instant, timeout, timeout_at},
};

use self::{job::Job, sending::Sending};
use crate::{
    convert::Route,
    error::{closed, full},
    link::{Link, left, up},
};

/// The front of the publishing task.
#[derive(Debug)]
pub(crate) struct Publisher {
    link: Arc<Link>,
    jobs: Mutex<Option<mpsc::UnboundedSender<Job>>>,
    frames: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    /// The task has ended, and whether with nothing left over.
    done: watch::Receiver<Option<bool>>,
    /// When it gives up what is left, once there is nothing more to come.
    until: watch::Sender<Option<Instant>>,
}

impl Publisher {
    pub(crate) fn start(link: &Arc<Link>) -> Self {
        let (jobs, given) = mpsc::unbounded_channel();
        let (until, ends) = watch::channel(None);
        let (ended, done) = watch::channel(None);
        let sending = Sending::new(Arc::clone(link));
        tokio::spawn(run(sending, given, ends, ended));
        let (frames, bytes) = (link.options.waiting + link.options.window, link.options.waiting_bytes);
        Publisher {
            link: Arc::clone(link),
            jobs: Mutex::new(Some(jobs)),
            frames: Arc::new(Semaphore::new(frames.min(Semaphore::MAX_PERMITS))),
            bytes: Arc::new(Semaphore::new(bytes.min(u32::MAX as usize))),
            done,
            until,
        }
    }

    /// Publishes, and waits for what becomes of it: for room, for its exchange, for the link and for the broker's word, in all no longer
    /// than the options say. One that is dropped before it is sent is not sent.
    pub(crate) async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        let given = Instant::now();
        let options = &self.link.options;
        let route = Route::of(&frame.to, options)?;
        let room = self.room(frame.payload.len()).await?;
        if !route.exchange.is_empty() && !self.link.exchanges.ensure(&self.link, route.exchange, given + options.wait).await? {
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
            let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            jobs.as_ref().ok_or_else(closed)?.send(job).map_err(|_| closed())?;
        }
        told.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn room(&self, length: usize) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), TransportError> {
        let bytes = u32::try_from(length.min(self.link.options.waiting_bytes)).unwrap_or(u32::MAX).max(1);
        let (frames, all) = (|| Arc::clone(&self.frames), || Arc::clone(&self.bytes));
        if let (Ok(frame), Ok(bytes)) = (frames().try_acquire_owned(), all().try_acquire_many_owned(bytes)) {
            return Ok((frame, bytes));
        }
        let wait = self.link.options.wait;
        let both = async { Ok((frames().acquire_owned().await?, all().acquire_many_owned(bytes).await?)) };
        match timeout(wait, both).await {
            Ok(room) => room.map_err(|_: tokio::sync::AcquireError| closed()),
            Err(_) => {
                self.link.tally.full.add();
                let away = self.link.away(wait).message;
                Err(full(format!("too much waits to be published, and did so for {wait:?}: {away}")))
            }
        }
    }

    /// Takes nothing more, and waits until what was given is done with. `false` if that was not so in time.
    pub(crate) async fn drain(&self, deadline: Instant) -> bool {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.frames.close();
        self.bytes.close();
        self.until.send_replace(Some(deadline));
        let mut done = self.done.clone();
        match timeout_at(deadline + Duration::from_millis(100), done.wait_for(Option::is_some)).await {
            Ok(Ok(flushed)) => flushed.unwrap_or(false),
            Ok(Err(_)) | Err(_) => false,
        }
    }
}

async fn run(
    mut sending: Sending,
    mut given: mpsc::UnboundedReceiver<Job>,
    mut until: watch::Receiver<Option<Instant>>,
    ended: watch::Sender<Option<bool>>,
) {
    let link = Arc::clone(&sending.link);
    let mut state = link.watch();
    loop {
        let generation = tokio::select! {
            biased;
            generation = up(&mut state) => generation,
            more = sending.await_link(&mut given, &mut until) => {
                if more { continue }
                None
            }
        };
        let Some(generation) = generation else { break };
        let went_on = tokio::select! {
            biased;
            went_on = sending.over(&generation, &mut given, &mut until) => went_on,
            () = left(&mut state, generation.number) => true,
        };
        sending.interrupted(&generation);
        if !went_on {
            break;
        }
    }
    given.close();
    while let Ok(job) = given.try_recv() {
        sending.waiting.push_back(job);
    }
    ended.send_replace(Some(sending.give_up()));
}

use std::{
    collections::{BTreeMap, VecDeque},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use lapin::{Confirmation, message::BasicReturnMessage, options::BasicPublishOptions};
use rmi_core::transport::{Receipt, TransportError};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, Sleep, sleep, sleep_until},
};

use super::{
    channels::{Channels, confirming},
    job::Job,
    returned::Undecided,
};
use crate::{
    convert::{self, Route},
    error::{ambiguous, closed, disconnected, full, is_of_channel, refused, said, soft},
    link::{Generation, Link, jittered},
};

/// How often a frame is sent again that was on its way when the broker closed the channel over one that it did not name.
const SUSPECTED: u8 = 3;

/// How soon the channel is made anew by which the broker refuses frames. Where the leader of a quorum queue is lost, a channel that was
/// opened before another one was found goes on asking the lost one, and refuses everything for as long as it lives.
const RENEWAL: Duration = Duration::from_millis(500);

/// How long it takes until channels are asked for again that the broker, or the library, did not give.
const RETRIAL: Duration = Duration::from_secs(1);

/// How many frames are taken at a time.
const BATCH: usize = 64;

/// What the publishing task knows.
pub(super) struct Sending {
    pub(super) link: Arc<Link>,
    pub(super) waiting: VecDeque<Job>,
    on_its_way: BTreeMap<u64, Job>,
    answers: FuturesUnordered<BoxFuture<'static, (u64, Outcome)>>,
    undecided: Undecided,
    decided: Vec<(u64, bool)>,
    next: u64,
    /// When those are looked at that have waited for long.
    look: Pin<Box<Sleep>>,
    broken: Option<lapin::Error>,
    /// The broker has refused a frame, and the channel that said so is still the one that is published by.
    nacked: bool,
}

/// What came of one frame.
enum Outcome {
    NotSent,
    Handed,
    Ack(Option<Box<BasicReturnMessage>>),
    Nack(Option<Box<BasicReturnMessage>>),
    Failed(Box<lapin::Error>),
}

impl From<lapin::Result<Confirmation>> for Outcome {
    fn from(told: lapin::Result<Confirmation>) -> Self {
        match told {
            Ok(Confirmation::NotRequested) => Outcome::Handed,
            Ok(Confirmation::Ack(returned)) => Outcome::Ack(returned.map(Box::new)),
            Ok(Confirmation::Nack(returned)) => Outcome::Nack(returned.map(Box::new)),
            Err(error) => Outcome::Failed(Box::new(error)),
        }
    }
}

impl Sending {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Sending {
            link,
            waiting: VecDeque::new(),
            on_its_way: BTreeMap::new(),
            answers: FuturesUnordered::new(),
            undecided: Undecided::default(),
            decided: Vec::new(),
            next: 0,
            look: Box::pin(sleep(Duration::ZERO)),
            broken: None,
            nacked: false,
        }
    }

    /// Takes what is given while there is no link; `false` when there is nothing more to wait for.
    pub(super) async fn await_link(
        &mut self,
        given: &mut mpsc::UnboundedReceiver<Job>,
        until: &mut watch::Receiver<Option<Instant>>,
    ) -> bool {
        let ends = *until.borrow_and_update();
        if given.is_closed() && given.is_empty() && self.waiting.is_empty() {
            return false;
        }
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            () = reached(ends) => false,
            _ = until.changed() => true,
            taken = given.recv_many(&mut batch, BATCH), if !(given.is_closed() && given.is_empty()) => {
                self.waiting.extend(batch);
                self.late();
                taken > 0 || !self.waiting.is_empty()
            }
            () = &mut self.look, if !self.waiting.is_empty() => {
                self.expire();
                true
            }
        }
    }

    /// Publishes over one connection, until it or a channel has gone; `false` when there is nothing more to come.
    pub(super) async fn over(
        &mut self,
        generation: &Generation,
        given: &mut mpsc::UnboundedReceiver<Job>,
        until: &mut watch::Receiver<Option<Instant>>,
    ) -> bool {
        let within = self.link.options.connect_timeout;
        let mut channels: Option<Channels> = None;
        let mut opening = Some(Box::pin(Channels::open(generation, within, Duration::ZERO)));
        let mut blocked = generation.blocked.subscribe();
        let mut batch = Vec::new();
        let mut over = false;
        let (mut another, mut renewed) = (None, Instant::now());
        self.nacked = false;
        loop {
            self.gather();
            if self.nacked && another.is_none() && renewed.elapsed() >= RENEWAL {
                self.nacked = false;
                another = Some(Box::pin(confirming(generation, within)));
            }
            if self.broken.is_some() || channels.as_ref().is_some_and(|channels| !channels.are_open()) {
                return true;
            }
            match &channels {
                Some(channels) if blocked.borrow_and_update().is_none() => self.send(channels),
                _ => self.late(),
            }
            let ends = *until.borrow_and_update();
            if over && self.waiting.is_empty() && self.on_its_way.is_empty() {
                return false;
            }
            let busy = !(self.waiting.is_empty() && self.on_its_way.is_empty());
            tokio::select! {
                biased;
                Some((frame, outcome)) = self.answers.next(), if !self.answers.is_empty() => self.told(frame, outcome),
                opened = ready(&mut opening), if opening.is_some() => {
                    opening = None;
                    match opened {
                        Ok(opened) => channels = Some(opened),
                        Err(error) => {
                            tracing::warn!(%error, "nothing can be published; it is tried again");
                            let pause = jittered(self.link.options.max_pause.min(RETRIAL));
                            opening = Some(Box::pin(Channels::open(generation, within, pause)));
                        }
                    }
                }
                // What is on its way by the old one keeps it until it has its answer.
                made = ready(&mut another), if another.is_some() => {
                    (another, renewed) = (None, Instant::now());
                    match (made, &mut channels) {
                        (Ok(channel), Some(channels)) => channels.confirmed = channel,
                        (Ok(_), None) => {}
                        (Err(error), _) => tracing::warn!(%error, "the channel that is published by cannot be made anew"),
                    }
                }
                taken = given.recv_many(&mut batch, BATCH), if !over => {
                    over = taken == 0;
                    self.waiting.extend(batch.drain(..));
                }
                _ = blocked.changed() => {}
                () = reached(ends) => return false,
                _ = until.changed() => {}
                () = &mut self.look, if busy => self.expire(),
            }
        }
    }

    /// Hears everything that has come, and says what is certain then.
    fn gather(&mut self) {
        while let Some(Some((frame, outcome))) = self.answers.next().now_or_never() {
            self.told(frame, outcome);
        }
        let mut decided = std::mem::take(&mut self.decided);
        let on_its_way = &self.on_its_way;
        self.undecided.decide(|frame| on_its_way.contains_key(&frame), &mut decided);
        for (frame, returned) in decided.drain(..) {
            if returned {
                self.link.tally.no_route.add();
            }
            self.done(frame, Ok(if returned { Receipt::NoRoute } else { Receipt::Stored }));
        }
        self.decided = decided;
    }

    /// Sends those that wait, as far as there is room on the way.
    fn send(&mut self, channels: &Channels) {
        while self.on_its_way.len() < self.link.options.window
            && let Some(mut job) = self.waiting.pop_front()
        {
            if job.is_abandoned() {
                continue;
            }
            let mut ttl = job.frame.ttl;
            if job.late
                && let Some(whole) = ttl
            {
                ttl = whole.checked_sub(job.given.elapsed()).filter(|rest| !rest.is_zero());
                if ttl.is_none() {
                    self.link.tally.given_up.add();
                    job.answer(Err(disconnected(format!("its time to live, {whole:?}, passed before it could be sent"))));
                    continue;
                }
            }
            let options = &self.link.options;
            let route = Route::of(&job.frame.to, options).and_then(Route::strings);
            let ((exchange, key), properties) = match (route, convert::properties(&job.frame, ttl, options)) {
                (Ok(route), Ok(properties)) => (route, properties),
                (Err(error), _) | (_, Err(error)) => {
                    job.answer(Err(error));
                    continue;
                }
            };
            let channel = Arc::clone(if job.confirmed { &channels.confirmed } else { &channels.plain });
            let (payload, mandatory) = (job.frame.payload.clone(), job.frame.mandatory);
            let number = self.next;
            self.next += 1;
            self.on_its_way.insert(number, job);
            self.link.tally.published.add();
            self.answers.push(
                async move {
                    if !channel.status().connected() {
                        return (number, Outcome::NotSent);
                    }
                    let options = BasicPublishOptions { mandatory, immediate: false };
                    let published = channel.basic_publish(exchange, key, options, &payload, properties).await;
                    match published {
                        Ok(confirm) => (number, Outcome::from(confirm.await)),
                        Err(error) => (number, Outcome::Failed(Box::new(error))),
                    }
                }
                .boxed(),
            );
        }
    }

    fn told(&mut self, frame: u64, outcome: Outcome) {
        match outcome {
            Outcome::Handed => self.done(frame, Ok(Receipt::Handed)),
            Outcome::Ack(returned) => {
                self.link.tally.confirmed.add();
                let other = returned.and_then(|message| self.returned(&message)).filter(|other| *other != frame);
                if self.on_its_way.get(&frame).is_some_and(|job| job.frame.mandatory) {
                    self.undecided.acknowledged(frame, other);
                } else {
                    self.done(frame, Ok(Receipt::Stored));
                }
            }
            Outcome::Nack(returned) => {
                if let Some(message) = returned {
                    self.returned(&message);
                }
                self.undecided.refused(frame);
                self.link.tally.full.add();
                self.nacked = true;
                // A queue that fails may have delivered what it does not confirm; one that is full has not.
                let told = if self.link.options.queues.may_be_full() {
                    full("the broker did not take it: a queue is full, or has failed")
                } else {
                    ambiguous("the broker does not answer for it: a queue has failed, or is full; it may have been delivered")
                };
                self.done(frame, Err(told));
            }
            Outcome::Failed(error) => {
                self.broken.get_or_insert(*error);
            }
            Outcome::NotSent => {
                if let Some(job) = self.on_its_way.get_mut(&frame) {
                    job.unsent = true;
                }
            }
        }
    }

    /// Which frame this is that the broker has returned.
    fn returned(&mut self, message: &BasicReturnMessage) -> Option<u64> {
        let options = &self.link.options;
        let same = |number: &u64, job: &Job| {
            job.frame.mandatory
                && job.frame.payload == message.data
                && !self.undecided.is_returned(*number)
                && Route::of(&job.frame.to, options)
                    .is_ok_and(|route| route.key == message.routing_key.as_str() && route.exchange == message.exchange.as_str())
        };
        let found = self.on_its_way.iter().find(|(number, job)| same(number, job)).map(|(number, _)| *number)?;
        self.undecided.returned(found);
        Some(found)
    }

    fn done(&mut self, frame: u64, told: Result<Receipt, TransportError>) {
        if let Some(mut job) = self.on_its_way.remove(&frame) {
            job.answer(told);
        }
    }

    /// Gives an answer to those that have waited for as long as they may.
    fn expire(&mut self) {
        let wait = self.link.options.wait;
        let now = Instant::now();
        self.look.as_mut().reset(now + (wait / 16).clamp(Duration::from_millis(5), Duration::from_secs(1)));
        // Whoever has gone leaves his room to others.
        self.waiting.retain(|job| !job.is_abandoned());
        while self.waiting.front().is_some_and(|job| now.duration_since(job.given) >= wait)
            && let Some(mut job) = self.waiting.pop_front()
        {
            self.link.tally.given_up.add();
            job.answer(Err(self.link.away(wait)));
        }
        for job in self.on_its_way.values_mut() {
            if now.duration_since(job.given) < wait {
                break;
            }
            if job.answer.is_some() {
                self.link.tally.ambiguous.add();
                job.answer(Err(ambiguous(format!("the broker has not confirmed it in {wait:?}"))));
            }
        }
    }

    /// The connection or a channel has gone: what was on its way waits again where that does no harm.
    pub(super) fn interrupted(&mut self, generation: &Generation) {
        self.gather();
        self.answers.clear();
        self.undecided.clear();
        let why = self.broken.take();
        // The library may hear of the connection's end later than of what it comes from, which is nobody's fault.
        let closed = why.as_ref().filter(|error| is_of_channel(error) && generation.is_connected());
        if let Some(error) = closed {
            self.link.tally.channels_lost.add();
            self.link.exchanges.forget();
            tracing::warn!(error = %said(error), "the broker has closed the channel that is published by; it is opened again");
        }
        let alone = self.on_its_way.values().filter(|job| !job.unsent).count() == 1;
        let mut again = VecDeque::new();
        for (_, mut job) in std::mem::take(&mut self.on_its_way) {
            job.late = true;
            if std::mem::take(&mut job.unsent) {
                again.push_back(job);
                continue;
            }
            if let Some(error) = closed {
                if (alone && soft(error).is_some()) || job.is_to_blame(error, &self.link.options) {
                    job.answer(Err(refused(format!("the broker did not take it: {}", said(error))).caused_by(error.clone())));
                    continue;
                }
                job.suspected += 1;
            }
            if job.frame.repeatable && !job.is_abandoned() && job.suspected < SUSPECTED {
                self.link.tally.repeated.add();
                job.repeated = true;
                again.push_back(job);
                continue;
            }
            if !job.is_abandoned() {
                self.link.tally.ambiguous.add();
            }
            let why = why.as_ref().map_or_else(|| "the connection was left".to_owned(), said);
            job.answer(Err(ambiguous(format!("it was on its way, and not confirmed, when the link was lost: {why}"))));
        }
        again.append(&mut self.waiting);
        self.waiting = again;
        self.late();
    }

    /// Those that wait do so for more than their turn: that counts as a part of their time to live.
    fn late(&mut self) {
        // The last ones are those that are not marked yet.
        for job in self.waiting.iter_mut().rev().take_while(|job| !job.late) {
            job.late = true;
        }
    }

    /// There is nothing more to come: whether everything was done.
    pub(super) fn give_up(&mut self) -> bool {
        let flushed = self.waiting.is_empty() && self.on_its_way.is_empty();
        for mut job in self.waiting.drain(..) {
            job.answer(Err(closed()));
        }
        for (_, mut job) in std::mem::take(&mut self.on_its_way) {
            job.answer(Err(ambiguous("it was on its way, and not confirmed, when the transport was closed")));
        }
        flushed
    }
}

/// What something that is there comes to.
async fn ready<F: Future + Unpin>(something: &mut Option<F>) -> F::Output {
    match something {
        Some(something) => something.await,
        None => std::future::pending().await,
    }
}

async fn reached(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use rmi_core::transport::{Destination, Frame};
    use tokio::sync::{Semaphore, oneshot};

    use super::*;
    use crate::{
        options::{Credentials, Options},
        socket::Target,
    };

    #[tokio::test]
    async fn who_does_not_wait_any_more_leaves_his_room() {
        let target = Target { hosts: Vec::new(), vhost: "/".to_owned(), credentials: Credentials::default(), tls: None };
        let mut sending = Sending::new(Link::new(target, Options::default()).0);
        let (frames, bytes) = (Arc::new(Semaphore::new(2)), Arc::new(Semaphore::new(2)));
        let mut waits = Vec::new();
        for _ in 0..2 {
            let (answer, told) = oneshot::channel();
            waits.push(told);
            let room = (Arc::clone(&frames).try_acquire_owned().unwrap(), Arc::clone(&bytes).try_acquire_owned().unwrap());
            sending.waiting.push_back(Job {
                frame: Frame::new(Destination::Queue("dog".into()), "x"),
                confirmed: true,
                given: Instant::now(),
                late: true,
                unsent: false,
                suspected: 0,
                repeated: false,
                answer: Some(answer),
                _room: room,
            });
        }
        waits.pop();
        sending.expire();
        assert_eq!((sending.waiting.len(), frames.available_permits()), (1, 1));
    }
}

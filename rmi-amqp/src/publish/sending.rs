//! What waits and what is on its way: whoever publishes, and the two tasks, do with it what they find to be done.

#[cfg(test)]
mod tests;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use lapin::message::BasicReturnMessage;
use rmi_core::transport::{Receipt, TransportError};
use tokio::time::Instant;

use super::{
    channels::Channels,
    flight::{Flight, Id, Ready},
    handing::{Outcome, Publish},
    job::Job,
    returned::Undecided,
};
use crate::{
    convert::{self, Route},
    error::{ambiguous, closed, disconnected, full, is_of_channel, refused, said, soft},
    link::Link,
};

/// How often a frame is sent again that was on its way when the broker closed the channel over one that it did not name.
const SUSPECTED: u8 = 3;

/// What is published over one transport.
#[derive(Debug)]
pub(super) struct Sending {
    link: Arc<Link>,
    waiting: VecDeque<Job>,
    flight: Flight,
    undecided: Undecided<Id>,
    outcomes: Vec<(Id, Outcome)>,
    decided: Vec<(Id, bool)>,
    /// By which frames go, while there is a link.
    pub(super) channels: Option<Channels>,
    /// Why there are none, though there is a link.
    pub(super) trouble: Option<String>,
    /// The broker takes nothing.
    pub(super) blocked: bool,
    /// Nothing more is given.
    pub(super) closed: bool,
    broken: Option<lapin::Error>,
    /// A frame was not sent, because the channel had gone.
    unsent: bool,
    /// The broker has refused a frame, and the channel that said so is still the one that is published by.
    pub(super) nacked: bool,
    /// The keeper has nothing to look after, and hears of the next frame.
    pub(super) rests: bool,
}

impl Sending {
    pub(super) fn new(link: Arc<Link>, ready: Arc<Ready>) -> Self {
        Sending {
            link,
            waiting: VecDeque::new(),
            flight: Flight::new(ready),
            undecided: Undecided::default(),
            outcomes: Vec::new(),
            decided: Vec::new(),
            channels: None,
            trouble: None,
            blocked: false,
            closed: false,
            broken: None,
            unsent: false,
            nacked: false,
            rests: true,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.flight.is_empty()
    }

    /// The channels are of no use any more.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some() || self.unsent || self.channels.as_ref().is_some_and(|channels| !channels.are_open())
    }

    /// Whether there is something to do for the keeper.
    pub(super) fn wants_keeper(&self) -> bool {
        self.broken.is_some() || self.unsent || self.nacked || if self.is_empty() { self.closed } else { self.rests }
    }

    /// Whether a frame would be sent at once.
    pub(super) fn has_way(&self) -> bool {
        // Whose end the library knows of is no way, though the keeper may still have to hear of it.
        let open =
            self.channels.as_ref().is_some_and(|channels| channels.plain.status().connected()) && !self.blocked && !self.closed;
        open && self.waiting.is_empty() && self.flight.len() < self.link.options.window
    }

    /// Sends a frame, after those that wait.
    ///
    /// # Errors
    ///
    /// Nothing more is taken.
    pub(super) fn give(&mut self, job: Job) -> Result<(), TransportError> {
        if self.closed {
            return Err(closed());
        }
        self.waiting.push_back(job);
        self.send();
        Ok(())
    }

    /// Hears everything that has come, and says what is certain then.
    pub(super) fn gather(&mut self) {
        let mut outcomes = std::mem::take(&mut self.outcomes);
        // Who is asked may know already what was said after somebody else spoke up, who was not asked yet: he may say that it was returned.
        while self.flight.hear(&mut outcomes) {
            for (frame, outcome) in outcomes.drain(..) {
                self.told(frame, outcome);
            }
        }
        self.outcomes = outcomes;
        let mut decided = std::mem::take(&mut self.decided);
        let flight = &self.flight;
        self.undecided.decide(|frame| flight.get(frame).is_some(), &mut decided);
        for (frame, returned) in decided.drain(..) {
            if returned {
                self.link.tally.no_route.add();
            }
            self.done(frame, Ok(if returned { Receipt::NoRoute } else { Receipt::Stored }));
        }
        self.decided = decided;
    }

    /// Sends those that wait, as far as there is room on the way.
    pub(super) fn send(&mut self) {
        let Some(Channels { confirmed, plain }) = self.channels.as_ref().filter(|_| !self.blocked) else { return self.late() };
        while self.flight.len() < self.link.options.window
            && let Some(mut job) = self.waiting.pop_front()
        {
            if job.is_abandoned() {
                continue;
            }
            let ttl = match job.ttl() {
                Ok(ttl) => ttl,
                Err(whole) => {
                    self.link.tally.given_up.add();
                    job.answer(Err(disconnected(format!("its time to live, {whole:?}, passed before it could be sent"))));
                    continue;
                }
            };
            let options = &self.link.options;
            let route = Route::of(&job.frame.to, options).and_then(Route::strings);
            let ((exchange, key), properties) = match (route, convert::properties(&job.frame, ttl, options)) {
                (Ok(route), Ok(properties)) => (route, properties),
                (Err(error), _) | (_, Err(error)) => {
                    job.answer(Err(error));
                    continue;
                }
            };
            let channel = Arc::clone(if job.confirmed { confirmed } else { plain });
            let (payload, mandatory) = (job.frame.payload.clone(), job.frame.mandatory);
            self.link.tally.published.add();
            let publish = Publish { channel, exchange, key, mandatory, payload, properties };
            self.flight.begin(job, publish);
        }
        // There is no room for them until the broker says something.
        self.late();
    }

    fn told(&mut self, frame: Id, outcome: Outcome) {
        match outcome {
            Outcome::Handed => self.done(frame, Ok(Receipt::Handed)),
            Outcome::Ack(returned) => {
                self.link.tally.confirmed.add();
                let other = returned.and_then(|message| self.returned(&message)).filter(|other| *other != frame);
                if self.flight.get(frame).is_some_and(|job| job.frame.mandatory) {
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
                self.unsent = true;
                if let Some(job) = self.flight.get_mut(frame) {
                    job.unsent = true;
                }
            }
        }
    }

    /// Which frame this is that the broker has returned.
    fn returned(&mut self, message: &BasicReturnMessage) -> Option<Id> {
        let options = &self.link.options;
        let same = |id: Id, job: &Job| {
            job.frame.mandatory
                && job.frame.payload == message.data
                && !self.undecided.is_returned(id)
                && Route::of(&job.frame.to, options)
                    .is_ok_and(|route| route.key == message.routing_key.as_str() && route.exchange == message.exchange.as_str())
        };
        let found = self.flight.iter().filter(|(id, job)| same(*id, job)).map(|(id, _)| id).min()?;
        self.undecided.returned(found);
        Some(found)
    }

    fn done(&mut self, frame: Id, told: Result<Receipt, TransportError>) {
        if let Some(mut job) = self.flight.remove(frame) {
            job.answer(told);
        }
    }

    /// Gives an answer to those that have waited for as long as they may. Says when to look again.
    pub(super) fn expire(&mut self) -> Instant {
        let wait = self.link.options.wait;
        let now = Instant::now();
        // Whoever has gone leaves his room to others.
        self.waiting.retain(|job| !job.is_abandoned());
        while self.waiting.front().is_some_and(|job| now.duration_since(job.given) >= wait)
            && let Some(mut job) = self.waiting.pop_front()
        {
            self.link.tally.given_up.add();
            job.answer(Err(self.away(wait)));
        }
        for job in self.flight.jobs_mut().filter(|job| job.answer.is_some() && now.duration_since(job.given) >= wait) {
            self.link.tally.ambiguous.add();
            job.answer(Err(ambiguous(format!("the broker has not confirmed it in {wait:?}"))));
        }
        now + (wait / 16).clamp(Duration::from_millis(5), Duration::from_secs(1))
    }

    /// Nothing was sent for so long, and why.
    pub(super) fn away(&self, waited: Duration) -> TransportError {
        match &self.trouble {
            Some(why) => disconnected(format!("it was not sent in {waited:?}: {why}")),
            None => self.link.away(waited),
        }
    }

    /// The connection or a channel has gone, and the library takes the connection for there or not: what was on its way waits again
    /// where that does no harm.
    pub(super) fn interrupted(&mut self, connected: bool) {
        self.gather();
        self.undecided.clear();
        (self.channels, self.trouble) = (None, None);
        (self.blocked, self.unsent, self.nacked) = (false, false, false);
        let why = self.broken.take();
        // The library may hear of the connection's end later than of what it comes from, which is nobody's fault.
        let closed = why.as_ref().filter(|error| is_of_channel(error) && connected);
        if let Some(error) = closed {
            self.link.tally.channels_lost.add();
            self.link.exchanges.forget();
            tracing::warn!(error = %said(error), "the broker has closed the channel that is published by; it is opened again");
        }
        let ended = self.flight.end();
        let alone = ended.iter().filter(|job| !job.unsent).count() == 1;
        let mut again = VecDeque::new();
        for mut job in ended {
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
            if !job.is_abandoned() && !job.handed {
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
    pub(super) fn late(&mut self) {
        // The last ones are those that are not marked yet.
        for job in self.waiting.iter_mut().rev().take_while(|job| !job.late) {
            job.late = true;
        }
    }

    /// There is nothing more to come: whether everything was done.
    pub(super) fn give_up(&mut self) -> bool {
        self.closed = true;
        let flushed = self.is_empty();
        for mut job in self.waiting.drain(..) {
            job.answer(Err(closed()));
        }
        for mut job in self.flight.end() {
            job.answer(Err(ambiguous("it was on its way, and not confirmed, when the transport was closed")));
        }
        flushed
    }
}

//! Who keeps the link up: makes it, watches it, and makes it again, until it is told to end.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt};
use lapin::{Connection, Event};
use rmi_core::text::Text;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{Generation, LINK, Link, Pause, State, jittered};
use crate::{error::said, socket::Kill};

/// How long a new link waits for its subscriptions before it is reported, where one of them makes trouble.
const RESTORING: Duration = Duration::from_secs(5);

/// How long one that has been lost is listened to for the reason.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What the link is told meanwhile, whatever it does.
#[derive(Debug)]
pub(crate) struct Orders {
    pub(super) pauses: mpsc::Receiver<Pause>,
    pub(super) ending: watch::Receiver<bool>,
}

/// What came first.
enum Beside<T> {
    Done(T),
    Pause(Pause),
    End,
}

impl Orders {
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> Beside<T> {
        tokio::select! {
            biased;
            // That nobody is left who could say so is an end as well.
            _ = self.ending.wait_for(|ending| *ending) => Beside::End,
            Some(pause) = self.pauses.recv() => Beside::Pause(pause),
            done = work => Beside::Done(done),
        }
    }

    /// Stays away for so long, and for as long as whoever comes meanwhile wants. `false` if it is to end.
    async fn rest(&mut self, time: Duration) -> bool {
        let mut until = after(time);
        loop {
            match self.beside(sleep_until(until)).await {
                Beside::Done(()) => return true,
                Beside::Pause(Pause { time, left }) => {
                    until = until.max(after(time));
                    let _ = left.send(());
                }
                Beside::End => return false,
            }
        }
    }
}

/// So much later, or in a year.
fn after(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or_else(|| now + Duration::from_secs(365 * 24 * 60 * 60))
}

/// How a connection came to its end.
enum Ended {
    Lost(String),
    Told(oneshot::Sender<()>, Duration),
}

impl Link {
    /// Keeps the link up until it is told to end.
    pub(crate) async fn drive(self: Arc<Self>, first: Option<(Connection, Kill)>, mut orders: Orders) {
        let (mut number, mut next, mut pause) = (0, first, self.options.pause);
        loop {
            let (connection, kill) = match next.take() {
                Some(connected) => connected,
                None => match orders.beside(self.connect()).await {
                    Beside::Done(Ok(connected)) => connected,
                    Beside::Done(Err(error)) => {
                        tracing::warn!(%error, "no connection to RabbitMQ; it is tried again");
                        self.state.send_replace(State::Down(Text::from(error.message)));
                        if !orders.rest(jittered(pause)).await {
                            break;
                        }
                        pause = (pause * 2).min(self.options.max_pause);
                        continue;
                    }
                    Beside::Pause(Pause { time, left }) => {
                        let _ = left.send(());
                        if !orders.rest(time).await {
                            break;
                        }
                        continue;
                    }
                    Beside::End => break,
                },
            };
            number += 1;
            let events = connection.events_listener();
            let generation = Arc::new(Generation::new(number, connection, kill));
            self.tally.connected.add();
            self.state.send_replace(State::Up(Arc::clone(&generation)));
            let mut reported = false;
            let since = Instant::now();
            let ended = match orders.beside(self.live(&generation, events, &mut reported)).await {
                Beside::Done(why) => {
                    self.tally.lost.add();
                    tracing::warn!(%why, "the connection to RabbitMQ is lost");
                    Ended::Lost(why)
                }
                Beside::Pause(Pause { time, left }) => Ended::Told(left, time),
                Beside::End => {
                    generation.leave().await;
                    break;
                }
            };
            let why = match &ended {
                Ended::Lost(why) => why.as_str(),
                Ended::Told(..) => "it was told to leave",
            };
            self.state.send_replace(State::Down(Text::from(why)));
            if reported {
                self.reporter.down(LINK, why);
            }
            generation.leave().await;
            let (rest, growing) = match ended {
                Ended::Told(left, time) => {
                    let _ = left.send(());
                    (time, false)
                }
                // A broker that welcomes whom it then throws out is not to be called upon without a pause.
                Ended::Lost(_) if !reported => (jittered(pause), true),
                Ended::Lost(_) if since.elapsed() < self.options.max_pause => (jittered(self.options.pause), false),
                Ended::Lost(_) => (Duration::ZERO, false),
            };
            pause = if growing { (pause * 2).min(self.options.max_pause) } else { self.options.pause };
            if !rest.is_zero() && !orders.rest(rest).await {
                break;
            }
        }
        self.state.send_replace(State::Closed);
        self.reporter.close();
    }

    /// One connection, from its welcome to its loss, which is told. It is reported when its subscriptions are there.
    async fn live(&self, generation: &Generation, events: impl Stream<Item = Event>, reported: &mut bool) -> String {
        let mut watched = pin!(self.watched(generation, events));
        tokio::select! {
            biased;
            why = &mut watched => return why,
            _ = timeout(RESTORING, self.restoring.all_have(generation.number)) => {}
        }
        if !generation.is_connected() {
            // The subscriptions were told first, and have what they can have of what has ended.
            return watched.await;
        }
        self.reporter.up(rmi_core::transport::Link { id: LINK, generation: generation.number, peer: None });
        *reported = true;
        if let Some(why) = &*generation.blocked.borrow() {
            self.reporter.blocked(LINK, why.clone());
        }
        tracing::info!(generation = generation.number, "connected to RabbitMQ");
        watched.await
    }

    /// Hears what the broker says of the connection, until it is lost.
    async fn watched(&self, generation: &Generation, events: impl Stream<Item = Event>) -> String {
        let mut events = pin!(events);
        loop {
            if !generation.is_connected() {
                // The end has been, or comes with the next event.
                match timeout(LAST_WORDS, events.next()).await {
                    Ok(Some(Event::Error(error))) => return said(&error),
                    _ => return "the connection has ended".to_owned(),
                }
            }
            match events.next().await {
                Some(Event::Error(error)) if !generation.is_connected() => return said(&error),
                Some(Event::ConnectionBlocked(why)) => {
                    self.tally.blocked.add();
                    tracing::warn!(%why, "RabbitMQ takes nothing: publishing waits");
                    let why = Text::from(why);
                    generation.blocked.send_replace(Some(why.clone()));
                    self.reporter.blocked(LINK, why);
                }
                Some(Event::ConnectionUnblocked) => {
                    tracing::info!("RabbitMQ takes messages again");
                    generation.blocked.send_replace(None);
                    self.reporter.unblocked(LINK);
                }
                Some(_) => {}
                None => return "the connection has ended".to_owned(),
            }
        }
    }
}

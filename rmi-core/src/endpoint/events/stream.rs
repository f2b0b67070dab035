use std::{
    fmt,
    future::poll_fn,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::queue::{End, Item, Loss, Next, Queue};
use crate::{
    address::Address,
    endpoint::{counters::Counter, dispatch::Core, links::Stop},
    event::{EventError, RemoteEvent},
    json::Json,
    seal::Principal,
    text::Text,
    time::Timestamp,
    transport::Disposition,
};

/// The events of a subscription, in the order in which they were published by each publisher. Made by awaiting a
/// [`Subscribe`](super::Subscribe); dropped, it unsubscribes.
#[must_use = "dropping a subscription unsubscribes"]
pub struct Events<E> {
    queue: Arc<Queue>,
    figures: Arc<Figuring>,
    /// In a pool: whose end leaves what waits to the other members.
    pooled: Option<Arc<Core>>,
    _stop: Stop,
    events: PhantomData<fn() -> E>,
}

/// An event that was received, and what is known about it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Received<E> {
    /// The event.
    pub event: E,
    /// Its key.
    pub key: Text,
    /// The publisher, as it names itself; verified on a sealed binding.
    pub from: Option<Address>,
    /// Who published it, as far as it is verified.
    pub principal: Principal,
    /// When it was published, by the publisher's clock.
    pub sent: Option<Timestamp>,
    /// The publisher's own data.
    pub data: Option<Json>,
    /// The W3C `traceparent` that it came with.
    pub trace: Option<Text>,
    /// It was delivered before, to us or to another member of the pool, and not taken.
    pub redelivered: bool,
}

/// What a subscription has to tell besides events.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Missed {
    /// So many events are lost, because this subscriber is too slow. Those that come next are younger.
    #[error("{0} events were dropped because this subscriber is too slow")]
    Lagged(u64),
    /// The link was lost here. Outside of pools, and in pools whose members all lost theirs, what was published until it came back is
    /// lost, as far as the bus has not kept it; nobody knows how much that is. The subscription goes on. It is told once for all
    /// losses between two events.
    #[error("the link was lost: events that were published until it came back may be missing")]
    LinkLost,
    /// The bus ended the subscription here, and it was made again: its queue was deleted, say. What was in the queue, and what was
    /// published until there was another, is lost. The subscription goes on.
    #[error("the bus ended the subscription, and it was made again: events may be missing")]
    Interrupted,
    /// An event does not have the form that its key promises. The next one may.
    #[error(transparent)]
    Unreadable(EventError),
    /// There was no room, and the subscription is one that ends then ([`Overflow::Fail`](super::Overflow::Fail)).
    #[error("the subscription was ended because this subscriber is too slow")]
    Overflowed,
    /// The transport could not keep the subscription up. Subscribe again; what is published meanwhile is lost.
    #[error("the transport has given the subscription up")]
    Ended,
}

impl Missed {
    /// Whether nothing comes after this.
    #[must_use]
    pub fn is_end(&self) -> bool {
        match self {
            Missed::Overflowed | Missed::Ended => true,
            Missed::Lagged(_) | Missed::LinkLost | Missed::Interrupted | Missed::Unreadable(_) => false,
        }
    }
}

/// The counters of a subscription.
#[derive(Debug, Default)]
pub(super) struct Figuring {
    pub(super) received: Counter,
    pub(super) dropped: Counter,
    pub(super) unknown: Counter,
    pub(super) unreadable: Counter,
    pub(super) unwanted: Counter,
    pub(super) refused: Counter,
    pub(super) replayed: Counter,
    pub(super) links_lost: Counter,
    pub(super) interrupted: Counter,
}

/// What a subscription has counted since it was made, and what it holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventFigures {
    /// Events that were taken in, to be given to the subscriber.
    pub received: u64,
    /// Events that were dropped because the subscriber is too slow: here, and on the bus as far as it says.
    pub dropped: u64,
    /// Events whose keys are none of the type's.
    pub unknown: u64,
    /// Events that did not have the form that their keys promise.
    pub unreadable: u64,
    /// Events of publishers that are not wanted.
    pub unwanted: u64,
    /// What was no event, not signed by whom it says, or made for another key.
    pub refused: u64,
    /// Signed events that came again, or so late that this cannot be told.
    pub replayed: u64,
    /// How often the link was lost.
    pub links_lost: u64,
    /// How often the bus ended the subscription, and it was made again.
    pub interrupted: u64,
    /// Events that wait for the subscriber now.
    pub waiting: u64,
}

impl<E: RemoteEvent> Events<E> {
    pub(super) fn new(queue: Arc<Queue>, figures: Arc<Figuring>, pooled: Option<Arc<Core>>, stop: Stop) -> Self {
        Events { queue, figures, pooled, _stop: stop, events: PhantomData }
    }

    /// The next event, or what became of it; `None` when the endpoint is closed. What had come by then can still be taken, unless
    /// the subscription is of a pool: there it is for the other members.
    ///
    /// # Errors
    ///
    /// Events were lost, or one cannot be read; the next call goes on with those that come after, unless
    /// [`Missed::is_end`] says that there are none.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Result<Received<E>, Missed>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next event as [`Events::next`] gives it, for those who poll. This is the signature of `Stream`.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Received<E>, Missed>>> {
        if self.pooled.as_ref().is_some_and(|core| core.stage.is_closed()) {
            self.queue.abandon(End::Closed);
        }
        loop {
            let item = match ready!(self.queue.poll_next(cx)) {
                Next::Event(item) => item,
                Next::Lagged(many) => return Poll::Ready(Some(Err(Missed::Lagged(many)))),
                Next::Lost(Loss::Link) => return Poll::Ready(Some(Err(Missed::LinkLost))),
                Next::Lost(Loss::Subscription) => return Poll::Ready(Some(Err(Missed::Interrupted))),
                Next::Over(End::Closed) => return Poll::Ready(None),
                Next::Over(End::Overflowed) => return Poll::Ready(Some(Err(Missed::Overflowed))),
                Next::Over(End::Lost) => return Poll::Ready(Some(Err(Missed::Ended))),
            };
            match E::from_event(&item.event) {
                Some(Ok(event)) => return Poll::Ready(Some(Ok(received(*item, event)))),
                Some(Err(error)) => {
                    self.figures.unreadable.add();
                    item.acker.settle(Disposition::Discard);
                    return Poll::Ready(Some(Err(Missed::Unreadable(error))));
                }
                // Its keys were looked at before; a type may still decide otherwise.
                None => {
                    self.figures.unknown.add();
                    item.acker.settle(Disposition::Ack);
                }
            }
        }
    }
}

fn received<E>(item: Item, event: E) -> Received<E> {
    let Item { event: raw, head, principal, redelivered, acker, .. } = item;
    acker.settle(Disposition::Ack);
    let crate::message::Head { from, sent, data, trace, .. } = head;
    Received { event, key: raw.key, from, principal, sent, data, trace, redelivered }
}

impl<E> Events<E> {
    /// What the subscription has counted, and what waits now.
    #[must_use]
    pub fn figures(&self) -> EventFigures {
        let Figuring { received, dropped, unknown, unreadable, unwanted, refused, replayed, links_lost, interrupted } =
            &*self.figures;
        EventFigures {
            received: received.get(),
            dropped: dropped.get(),
            unknown: unknown.get(),
            unreadable: unreadable.get(),
            unwanted: unwanted.get(),
            refused: refused.get(),
            replayed: replayed.get(),
            links_lost: links_lost.get(),
            interrupted: interrupted.get(),
            waiting: self.queue.len() as u64,
        }
    }
}

impl<E> Drop for Events<E> {
    fn drop(&mut self) {
        self.queue.abandon(End::Closed);
    }
}

impl<E> fmt::Debug for Events<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("figures", &self.figures()).finish_non_exhaustive()
    }
}

use std::{
    mem,
    sync::Arc,
    task::{Context, Waker},
};

use super::{super::inbox::Attachment, After, Mailbox, State, Stored};
use crate::{
    text::Text,
    transport::{Acker, Delivery, Destination, Disposition, Settle, Subscription, memory::slots::Slots},
};

/// One that takes frames out of a mailbox.
#[derive(Debug)]
pub(super) struct Consumer {
    /// How many deliveries may be unsettled; none if they are settled when they are made.
    prefetch: Option<usize>,
    pub(super) unsettled: Slots<Box<Stored>>,
    /// Set while it waits.
    pub(super) waker: Option<Waker>,
    /// It is in the list of idle consumers.
    pub(super) listed: bool,
    /// It was woken for a frame and has not come for it yet.
    pub(super) notified: bool,
}

/// What a consumer got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Taken {
    /// So many deliveries.
    Got(usize),
    /// Nothing yet: it will be woken.
    Waiting,
    /// It is no longer a consumer of this mailbox.
    Left,
}

impl Consumer {
    pub(super) fn new(subscription: &Subscription) -> Self {
        let prefetch = match subscription.prefetch {
            0 => usize::MAX,
            prefetch => usize::try_from(prefetch).unwrap_or(usize::MAX),
        };
        Consumer {
            prefetch: subscription.acknowledged.then_some(prefetch),
            unsettled: Slots::default(),
            waker: None,
            listed: false,
            notified: false,
        }
    }

    /// How many deliveries it may be given.
    pub(super) fn credit(&self) -> usize {
        self.prefetch.map_or(usize::MAX, |prefetch| prefetch.saturating_sub(self.unsettled.len()))
    }
}

impl Mailbox {
    /// Appends what is there to `into`, at most `max` and the consumer's fair share; or registers the consumer to be woken.
    pub(in super::super) fn take(
        &self,
        at: &Arc<Attachment>,
        max: usize,
        into: &mut Vec<Delivery>,
        cx: &mut Context<'_>,
    ) -> Taken {
        let mut after = After::default();
        let mut guard = self.lock();
        let state = &mut *guard;
        let mut now = None;
        let mut taken = 0;
        // Room that is made by taking may let further frames in: looked at again before waiting.
        loop {
            // Several consumers share what is there, so that the first one to come does not take it all.
            let share = state.queue.len().div_ceil(state.consumers.len().max(1));
            let Some(consumer) = state.consumers.get_mut(at.consumer) else { return Taken::Left };
            consumer.notified = false;
            let credit = consumer.credit();
            let limit = max.min(credit).min(share.max(1));
            let before = after.expired.len();
            while taken < limit
                && let Some(stored) = state.queue.pop(&mut now, &mut after.expired)
            {
                state.tally.delivered += 1;
                state.tally.redelivered += u64::from(stored.redelivered);
                if consumer.prefetch.is_some() {
                    state.unsettled += 1;
                } else {
                    state.tally.settled += 1;
                    state.bytes -= stored.size();
                }
                let mut delivery = self.deliver(stored, consumer, at, &mut after);
                delivery.missed = mem::take(&mut state.missed);
                into.push(delivery);
                taken += 1;
            }
            state.expired(before, &after);
            state.admit(self, &mut after);
            if taken > 0 {
                // What is left needs no further wake-up: each frame woke somebody when it came, if anybody waited.
                return Taken::Got(taken);
            }
            if credit == 0 || state.queue.is_empty() {
                state.park(at.consumer, credit > 0, cx, &mut after);
                return Taken::Waiting;
            }
        }
    }

    /// The consumer does not wait any more. If it was woken for a frame, another one is woken instead.
    pub(in super::super) fn stop_waiting(&self, consumer: u64) {
        let mut after = After::default();
        let mut state = self.lock();
        let Some(consumer) = state.consumers.get_mut(consumer) else { return };
        after.old = consumer.waker.take();
        if mem::take(&mut consumer.notified) && !state.queue.is_empty() {
            state.rouse(&mut after);
        }
    }

    /// Settles a delivery. Returns the frame if it is to go to the dead letters. A delivery of a consumer that has left, or that was
    /// settled before, is none of ours.
    pub(in super::super) fn settle(&self, consumer: u64, tag: u64, disposition: Disposition) -> Option<Box<Stored>> {
        let mut after = After::default();
        let mut state = self.lock();
        let mut stored = state.consumers.get_mut(consumer)?.unsettled.remove(tag)?;
        state.unsettled -= 1;
        let mut dead = None;
        match disposition {
            Disposition::Ack => {
                state.tally.settled += 1;
                state.bytes -= stored.size();
                after.spent.push(stored);
            }
            Disposition::Discard => {
                state.tally.dead_lettered += 1;
                state.bytes -= stored.size();
                dead = Some(stored);
            }
            Disposition::Requeue => {
                stored.redelivered = true;
                state.queue.put_back(stored);
            }
            Disposition::Release => state.queue.put_back(stored),
        }
        state.admit(self, &mut after);
        // A consumer that waited for credit has some now.
        if let Some(relieved) = state.consumers.get_mut(consumer)
            && relieved.waker.is_some()
            && !relieved.listed
        {
            relieved.listed = true;
            state.idle.push_back(consumer);
        }
        if !state.queue.is_empty() {
            state.rouse(&mut after);
        }
        dead
    }

    /// Makes a delivery of a frame, which stays with the consumer if it is to be settled.
    fn deliver(&self, mut stored: Box<Stored>, consumer: &mut Consumer, at: &Arc<Attachment>, after: &mut After) -> Delivery {
        let (exchange, key) = match &stored.frame.to {
            Destination::Topic { exchange, key } => (exchange.clone(), key.clone()),
            Destination::Address(_) | Destination::Queue(_) | Destination::Link => (Text::EMPTY, self.name().clone()),
        };
        let redelivered = stored.redelivered;
        let (payload, properties, acker) = if consumer.prefetch.is_some() {
            let (payload, properties) = (stored.frame.payload.clone(), stored.frame.properties.clone());
            let tag = consumer.unsettled.insert(stored);
            (payload, properties, Acker::new(Arc::clone(at) as Arc<dyn Settle>, tag))
        } else {
            let (payload, properties) = (mem::take(&mut stored.frame.payload), stored.frame.properties.clone());
            after.spent.push(stored);
            (payload, properties, Acker::settled())
        };
        Delivery {
            payload,
            exchange,
            key,
            purpose: at.purpose,
            properties,
            link: at.link,
            redelivered,
            missed: 0,
            peer: None,
            answering: None,
            acker,
            text: None,
        }
    }
}

impl State {
    /// Registers a consumer to be woken: for a frame if it may take one, else when it has settled something.
    fn park(&mut self, key: u64, hungry: bool, cx: &Context<'_>, after: &mut After) {
        let Some(consumer) = self.consumers.get_mut(key) else { return };
        if !consumer.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            after.old = consumer.waker.replace(cx.waker().clone());
        }
        if hungry && !consumer.listed {
            consumer.listed = true;
            self.idle.push_back(key);
        }
    }
}

//! Calls that wait for their outcome. One table, one lock, one task that watches the clock.

mod waiter;
mod waiting;

use std::{
    sync::{Arc, Mutex, MutexGuard},
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use self::waiter::{Reached, Waiter};
pub(crate) use self::{waiter::Heard, waiting::Waiting};
use crate::{
    address::Address,
    error::Phase,
    lock::lock,
    message::{Outcome, Status},
    table::Table,
    time::Timestamp,
    transport::{Answering, LinkId},
};

/// What tells a call's replies from others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// The serial number: ours are UUIDs.
    Serial(u128),
    /// The address that was made for this call alone.
    Address(Address),
}

/// How long a call waits for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) total: Duration,
    pub(crate) accept: Option<Duration>,
    pub(crate) start: Option<Duration>,
    pub(crate) idle: Option<Duration>,
}

/// Why a call ended without an outcome.
#[derive(Clone, Debug)]
pub(crate) enum Lost {
    Timeout(Phase, Duration),
    Reply,
    /// The agent says that the request never came, and will not be run if it does.
    Request,
    /// The peer says that the agent is not there.
    Nobody(Address),
    Closed,
}

/// The calls that wait.
#[derive(Debug, Default)]
pub(crate) struct PendingTable {
    state: Mutex<State>,
    earlier: Notify,
    /// There are calls whose replies go to an address that is no more, and another address.
    astray: Notify,
}

/// A call whose replies go to an address that is no more.
#[derive(Debug)]
pub(crate) struct Astray {
    pub(crate) serial: u128,
    pub(crate) agent: Address,
    pub(crate) sent: Timestamp,
    /// The link that the agent is reached by now, where there are links.
    pub(crate) link: Option<LinkId>,
    /// How much of the call's time is left.
    pub(crate) left: Duration,
}

#[derive(Debug, Default)]
struct State {
    slots: Table<Key, Slot>,
    /// When the sweeper looks next.
    wake: Option<Instant>,
    /// How often the address that replies come to was lost.
    losses: u32,
    closed: bool,
}

#[derive(Debug)]
struct Slot {
    waiter: Arc<Waiter>,
    agent: Address,
    /// Boxed: few dialects have it, and the table is as small as it is without.
    answering: Option<Box<Answering>>,
    began: Instant,
    times: Times,
    heard: Instant,
    link: Option<LinkId>,
    /// When it was sent, if its agent can be asked for its outcome after a loss of the link.
    resumes: Option<Timestamp>,
    /// How many losses there had been when its agent was told where its replies go; none when it named an address too late.
    knows: Option<u32>,
}

impl Slot {
    fn new(waiter: &Arc<Waiter>, agent: Address, times: Times, resumes: Option<Timestamp>) -> Self {
        let (waiter, now) = (Arc::clone(waiter), Instant::now());
        Slot { waiter, agent, answering: None, began: now, times, heard: now, link: None, resumes, knows: None }
    }

    /// Whether a reply by this link can be the call's: it comes by the link that the request took, where that is known.
    fn took(&self, by: LinkId) -> bool {
        self.link.is_none_or(|link| link == by)
    }

    /// The next moment at which the call is too late, what for, and how long that was.
    fn deadline(&self) -> (Instant, Phase, Duration) {
        let total = if self.waiter.has(Reached::Sent) { Phase::Total } else { Phase::Send };
        let mut next = (after(self.began, self.times.total), total, self.times.total);
        let mut earlier = |from: Instant, limit: Option<Duration>, phase| {
            if let Some(limit) = limit
                && after(from, limit) < next.0
            {
                next = (after(from, limit), phase, limit);
            }
        };
        if !self.waiter.has(Reached::Accepted) {
            earlier(self.began, self.times.accept, Phase::Accept);
        }
        if !self.waiter.has(Reached::Started) {
            earlier(self.began, self.times.start, Phase::Start);
        }
        earlier(self.heard, self.times.idle, Phase::Idle);
        next
    }
}

/// What is beyond the clock's range is so far away that it does not matter how far.
fn after(from: Instant, time: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);
    from.checked_add(time).unwrap_or_else(|| from + FAR)
}

impl PendingTable {
    /// Enters a call, unless the table is closed: then it ends at once.
    fn enter(&self, mut state: MutexGuard<'_, State>, key: Key, slot: Slot, deadline: Instant) {
        if state.closed {
            drop(state);
            slot.waiter.end(Err(Lost::Closed));
            return;
        }
        state.slots.insert(key, slot);
        let earlier = state.wake.is_none_or(|wake| deadline < wake);
        if earlier {
            state.wake = Some(deadline);
        }
        drop(state);
        if earlier {
            self.earlier.notify_one();
        }
    }

    /// The call that an address was made for.
    pub(crate) fn answering(&self, address: &Address) -> Option<Answering> {
        lock(&self.state).slots.get(&Key::Address(address.clone())).and_then(|slot| slot.answering.as_deref().cloned())
    }

    /// A status arrived by a link. False when no call waits for it there, or `allowed` says that its sender may not answer for
    /// the agent.
    pub(crate) fn status(&self, key: &Key, status: Status, by: LinkId, allowed: impl FnOnce(&Address) -> bool) -> bool {
        let mut state = lock(&self.state);
        let Some(slot) = state.slots.get_mut(key).filter(|slot| slot.took(by) && allowed(&slot.agent)) else { return false };
        slot.heard = Instant::now();
        let reached = match status {
            Status::Accepted => Reached::Accepted,
            Status::Started | Status::Progress(_) => Reached::Started,
        };
        let waiter = Arc::clone(&slot.waiter);
        waiter.reach(reached);
        drop(state);
        waiter.status(status);
        true
    }

    /// The outcome arrived. False as for [`PendingTable::status`].
    pub(crate) fn outcome(&self, key: &Key, outcome: Outcome, by: LinkId, allowed: impl FnOnce(&Address) -> bool) -> bool {
        let mut state = lock(&self.state);
        if !state.slots.get(key).is_some_and(|slot| slot.took(by) && allowed(&slot.agent)) {
            return false;
        }
        let slot = state.slots.remove(key);
        drop(state);
        if let Some(slot) = slot {
            slot.waiter.end(Ok(outcome));
        }
        true
    }

    /// How many calls wait.
    pub(crate) fn len(&self) -> usize {
        lock(&self.state).slots.len()
    }

    /// A link is lost, and with it the replies to the calls that took it: they are asked for when there is another one to their
    /// agent, if it can be asked.
    pub(crate) fn lose_link(&self, link: LinkId) {
        let mut state = lock(&self.state);
        let lost = |_: &Key, slot: &mut Slot| {
            if slot.link != Some(link) {
                return false;
            }
            if slot.resumes.is_some() {
                slot.link = None;
                slot.waiter.stray(true);
                return false;
            }
            true
        };
        let lost: Vec<_> = state.slots.extract_if(lost).collect();
        drop(state);
        for (_, slot) in lost {
            slot.waiter.end(Err(Lost::Reply));
        }
        self.astray.notify_one();
    }

    /// The one link is lost, and with it the replies to every call.
    pub(crate) fn lose(&self) {
        let mut state = lock(&self.state);
        let lost: Vec<_> = state.slots.extract_if(|_, slot| slot.waiter.has(Reached::Sent)).collect();
        drop(state);
        for (_, slot) in lost {
            slot.waiter.end(Err(Lost::Reply));
        }
    }

    /// The address that replies come to is lost. Calls whose agents can be asked wait for that; the others have lost their replies.
    pub(crate) fn lose_address(&self) {
        let mut state = lock(&self.state);
        state.losses = state.losses.wrapping_add(1);
        let lost = |_: &Key, slot: &mut Slot| slot.resumes.is_none() && slot.waiter.has(Reached::Sent);
        let lost: Vec<_> = state.slots.extract_if(lost).collect();
        drop(state);
        for (_, slot) in lost {
            slot.waiter.end(Err(Lost::Reply));
        }
    }

    /// There is an address again.
    pub(crate) fn has_address(&self) {
        self.astray.notify_one();
    }

    /// Waits until there may be calls that have gone astray.
    pub(crate) async fn gone_astray(&self) {
        self.astray.notified().await;
    }

    /// How often the address that replies come to was lost.
    pub(crate) fn losses(&self) -> u32 {
        lock(&self.state).losses
    }

    /// The calls whose replies go to an address that is no more: each once for each loss. So many losses there had been before the
    /// present address was looked up: if it was lost meanwhile, the calls are taken again when there is another.
    pub(crate) fn take_astray(&self, losses: u32) -> Vec<Astray> {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let astray = state.slots.iter_mut().filter_map(|(key, slot)| {
            let (Key::Serial(serial), Some(sent)) = (key, slot.resumes) else { return None };
            if slot.knows == Some(losses) || !slot.waiter.has(Reached::Sent) {
                return None;
            }
            slot.knows = Some(losses);
            let left = after(slot.began, slot.times.total).saturating_duration_since(now);
            Some(Astray { serial: *serial, agent: slot.agent.clone(), sent, link: None, left })
        });
        astray.collect()
    }

    /// The calls whose link is lost, and to whose agents there is another one now. Their replies come by that.
    pub(crate) fn take_strays(&self, way: impl Fn(&Address) -> Option<LinkId>) -> Vec<Astray> {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let strays = state.slots.iter_mut().filter_map(|(key, slot)| {
            let (Key::Serial(serial), Some(sent)) = (key, slot.resumes) else { return None };
            if !slot.waiter.is_astray() || !slot.waiter.has(Reached::Sent) {
                return None;
            }
            slot.link = Some(way(&slot.agent)?);
            slot.waiter.stray(false);
            let left = after(slot.began, slot.times.total).saturating_duration_since(now);
            Some(Astray { serial: *serial, agent: slot.agent.clone(), sent, link: slot.link, left })
        });
        strays.collect()
    }

    /// Whoever is at the other end of the link that a request took says that its agent is not there. False when no call waits for
    /// a reply by that link.
    pub(crate) fn nobody(&self, key: &Key, by: LinkId) -> bool {
        let mut state = lock(&self.state);
        if state.slots.get(key).is_none_or(|slot| slot.link != Some(by)) {
            return false;
        }
        let slot = state.slots.remove(key);
        drop(state);
        if let Some(slot) = slot {
            slot.waiter.end(Err(Lost::Nobody(slot.agent)));
        }
        true
    }

    /// Ends a call whose replies come no more, or whose agent has been asked.
    pub(crate) fn end(&self, key: &Key, lost: Lost) {
        let slot = lock(&self.state).slots.remove(key);
        if let Some(slot) = slot {
            slot.waiter.end(Err(lost));
        }
    }

    /// Ends every call, and those that come later at once.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let slots = std::mem::take(&mut state.slots);
        drop(state);
        for (_, slot) in slots {
            slot.waiter.end(Err(Lost::Closed));
        }
        self.earlier.notify_one();
    }

    /// Ends the calls whose time has run out, until the table is closed.
    pub(crate) async fn sweep(self: Arc<Self>) {
        /// How often the table is walked through at most.
        const REST: Duration = Duration::from_millis(1);
        loop {
            let wake = {
                let state = lock(&self.state);
                if state.closed {
                    return;
                }
                state.wake
            };
            let mut earlier = std::pin::pin!(self.earlier.notified());
            match wake {
                None => earlier.await,
                Some(wake) => {
                    let mut sleep = std::pin::pin!(sleep_until(wake));
                    let rung = std::future::poll_fn(|cx| match earlier.as_mut().poll(cx) {
                        Poll::Ready(()) => Poll::Ready(false),
                        Poll::Pending => sleep.as_mut().poll(cx).map(|()| true),
                    })
                    .await;
                    if rung {
                        self.expire();
                        sleep_until(Instant::now() + REST).await;
                    }
                }
            }
        }
    }

    fn expire(&self) {
        let now = Instant::now();
        let mut late = Vec::new();
        let mut next = None::<Instant>;
        let mut state = lock(&self.state);
        state.slots.retain(|_, slot| {
            let (at, phase, after) = slot.deadline();
            if at <= now {
                late.push((Arc::clone(&slot.waiter), phase, after));
                return false;
            }
            next = Some(next.map_or(at, |next| next.min(at)));
            true
        });
        state.wake = next;
        drop(state);
        for (waiter, phase, after) in late {
            waiter.end(Err(Lost::Timeout(phase, after)));
        }
    }
}

//! What has been settled is told to the broker: in its order several at once, and when everybody who is ready has had his say.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicNackOptions},
};
use rmi_core::transport::{Disposition, Settle};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::counters::Tally;

/// How long what is to be delivered again waits: where a subscriber gives back all it has because it leaves, the broker then does
/// that for it, in its order, and does not deliver it here once more.
const BACK: Duration = Duration::from_millis(10);

/// How far apart the deliveries may be that are not settled: more than any prefetch lets the broker send. What is beyond is none of
/// its numbers.
const FARTHEST: usize = 1 << 20;

/// Settles the deliveries of one channel, which has one consumer.
#[derive(Debug)]
pub(crate) struct Settler {
    channel: Channel,
    ledger: Ledger,
    wake: Notify,
    /// The channel, the link or the subscription has gone: the broker delivers again what was not settled.
    dead: AtomicBool,
    tally: Arc<Tally>,
}

impl Settler {
    /// For a channel; what is settled is sent by a task of its own.
    pub(crate) fn start(channel: Channel, tally: Arc<Tally>) -> Arc<Self> {
        let settler =
            Arc::new(Settler { channel, ledger: Ledger::default(), wake: Notify::new(), dead: AtomicBool::new(false), tally });
        let sending = Arc::clone(&settler);
        tokio::spawn(async move {
            let mut back = None;
            while !sending.is_dead() {
                match back {
                    None => sending.wake.notified().await,
                    Some(due) => drop(timeout_at(due, sending.wake.notified()).await),
                }
                // Handlers that end at about the same time are told of together.
                tokio::task::yield_now().await;
                let due = back.is_some_and(|due| Instant::now() >= due);
                let waits = sending.flush(due);
                back = if waits { back.filter(|_| !due).or_else(|| Some(Instant::now() + BACK)) } else { None };
            }
        });
        settler
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// From now on settling is without effect.
    pub(crate) fn end(&self) {
        self.dead.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Sends what is settled; what is to be delivered again only if that is `due`. Says whether some of that waits.
    pub(crate) fn flush(&self, due: bool) -> bool {
        self.ledger.tell(due, |orders| self.send(orders)) && !self.is_dead()
    }

    fn send(&self, Orders { nacks, up_to, single }: Orders) {
        if self.is_dead() {
            return;
        }
        // What goes back first: an acknowledgement of several would take it with it. The library queues a frame when it is first
        // asked, and would then wait for it to be written.
        for (tag, requeue) in nacks {
            let _ = self.channel.basic_nack(tag, BasicNackOptions { multiple: false, requeue }).now_or_never();
            self.tally.acknowledgements.add();
        }
        for (tag, multiple) in up_to.map(|tag| (tag, true)).into_iter().chain(single.into_iter().map(|tag| (tag, false))) {
            let _ = self.channel.basic_ack(tag, BasicAckOptions { multiple }).now_or_never();
            self.tally.acknowledgements.add();
        }
    }
}

impl Settle for Settler {
    fn settle(&self, tag: u64, disposition: Disposition) {
        if self.is_dead() {
            return;
        }
        let told = self.ledger.window().settle(tag, disposition);
        if told {
            self.wake.notify_one();
        }
    }
}

/// What is settled, until the broker has been told.
#[derive(Debug, Default)]
struct Ledger {
    window: Mutex<Window>,
    /// Whoever tells the broker something has it: what was settled later is not told first.
    telling: Mutex<()>,
}

impl Ledger {
    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has told what there is to be told, and only then lets another do the same: an acknowledgement of what one of several covers
    /// ends the channel. Settling goes on meanwhile. Says whether something waits for its time.
    fn tell(&self, due: bool, say: impl FnOnce(Orders)) -> bool {
        let _telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let (orders, waits) = {
            let mut window = self.window();
            (window.take(due), !window.back.is_empty())
        };
        say(orders);
        waits
    }
}

/// The deliveries of a channel from the oldest one that is not settled. The broker numbers them from 1.
#[derive(Debug, Default)]
struct Window {
    /// How many have left at the front.
    gone: u64,
    marks: VecDeque<Mark>,
    acked: Vec<u64>,
    discarded: Vec<u64>,
    back: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Open,
    /// To be acknowledged.
    Acked,
    /// To be delivered again.
    Back,
    /// The broker knows, or is about to be told by itself.
    Told,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Orders {
    nacks: Vec<(u64, bool)>,
    up_to: Option<u64>,
    single: Vec<u64>,
}

impl Window {
    /// Whether there is something to tell.
    fn settle(&mut self, tag: u64, disposition: Disposition) -> bool {
        let Some(at) = tag.checked_sub(self.gone + 1).and_then(|at| usize::try_from(at).ok()) else { return false };
        if at > FARTHEST {
            return false;
        }
        if self.marks.len() <= at {
            self.marks.resize(at + 1, Mark::Open);
        }
        if self.marks[at] != Mark::Open {
            return false;
        }
        self.marks[at] = match disposition {
            Disposition::Ack => {
                self.acked.push(tag);
                Mark::Acked
            }
            Disposition::Requeue | Disposition::Release => {
                self.back.push(tag);
                Mark::Back
            }
            Disposition::Discard => {
                self.discarded.push(tag);
                Mark::Told
            }
        };
        true
    }

    fn take(&mut self, due: bool) -> Orders {
        let mut nacks: Vec<_> = self.discarded.drain(..).map(|tag| (tag, false)).collect();
        if due {
            for tag in std::mem::take(&mut self.back) {
                self.told(tag);
                nacks.push((tag, true));
            }
        }
        let mut up_to = None;
        while let Some(mark) = self.marks.front().filter(|mark| matches!(mark, Mark::Acked | Mark::Told)) {
            if *mark == Mark::Acked {
                up_to = Some(self.gone + 1);
            }
            self.marks.pop_front();
            self.gone += 1;
        }
        let mut single = std::mem::take(&mut self.acked);
        single.retain(|tag| *tag > self.gone);
        for tag in &single {
            self.told(*tag);
        }
        Orders { nacks, up_to, single }
    }

    fn told(&mut self, tag: u64) {
        let at = tag.checked_sub(self.gone + 1).and_then(|at| usize::try_from(at).ok());
        if let Some(mark) = at.and_then(|at| self.marks.get_mut(at)) {
            *mark = Mark::Told;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Several settle and tell at a time: each delivery is told once, and never by an acknowledgement that an earlier one has
    /// covered, which the broker would close the channel for.
    #[test]
    fn what_several_tell_at_a_time_is_told_in_its_order() {
        const EACH: u64 = 2000;
        let (ledger, said) = (Ledger::default(), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for first in 1..=4 {
                let (ledger, said) = (&ledger, &said);
                scope.spawn(move || {
                    for tag in (0..EACH).map(|round| first + 4 * round) {
                        ledger.window().settle(tag, Disposition::Ack);
                        ledger.tell(true, |orders| {
                            // So that others have their chance.
                            thread::yield_now();
                            said.lock().unwrap().push(orders);
                        });
                    }
                });
            }
        });
        let (mut up_to, mut told) = (0, vec![false; 4 * EACH as usize + 1]);
        for orders in said.into_inner().unwrap() {
            if let Some(tag) = orders.up_to {
                assert!(tag > up_to && !told[tag as usize], "{tag} is told, and {up_to} was");
                told[up_to as usize..=tag as usize].fill(true);
                up_to = tag;
            }
            for tag in orders.single {
                assert!(!std::mem::replace(&mut told[tag as usize], true), "{tag} is told again");
            }
        }
        assert_eq!(told.iter().skip(1).position(|told| !told), None);
    }

    #[test]
    fn what_is_settled_in_order_is_acknowledged_at_once() {
        let mut window = Window::default();
        for tag in [1, 3, 2, 5] {
            assert!(window.settle(tag, Disposition::Ack));
        }
        assert_eq!(window.take(true), Orders { up_to: Some(3), single: vec![5], nacks: vec![] });
        assert!(window.settle(4, Disposition::Ack));
        assert_eq!(window.take(true), Orders { up_to: Some(4), ..Orders::default() });
        assert_eq!((window.gone, window.marks.len()), (5, 0));
        assert!(!window.settle(5, Disposition::Requeue), "it was settled");
    }

    #[test]
    fn what_goes_back_is_not_acknowledged() {
        let mut window = Window::default();
        window.settle(1, Disposition::Requeue);
        window.settle(2, Disposition::Discard);
        window.settle(3, Disposition::Ack);
        assert_eq!(window.take(false), Orders { nacks: vec![(2, false)], single: vec![3], ..Orders::default() });
        assert_eq!(window.take(true), Orders { nacks: vec![(1, true)], ..Orders::default() });
        assert_eq!(window.gone, 3);
        window.settle(5, Disposition::Release);
        window.settle(4, Disposition::Ack);
        assert_eq!(window.take(true), Orders { nacks: vec![(5, true)], up_to: Some(4), single: vec![] });
        assert_eq!(window.gone, 5);
    }
}

//! What has been settled is told to the broker: in its order several at once, and when everybody who is ready has had his say.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::FutureExt;
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicNackOptions},
};
use rmi_core::transport::{Disposition, Settle};
use tokio::sync::Notify;

use crate::counters::Tally;

/// Settles the deliveries of one channel, which has one consumer.
#[derive(Debug)]
pub(crate) struct Settler {
    channel: Channel,
    window: Mutex<Window>,
    wake: Notify,
    /// The channel, the link or the subscription has gone: the broker delivers again what was not settled.
    dead: AtomicBool,
    tally: Arc<Tally>,
}

impl Settler {
    /// For a channel; what is settled is sent by a task of its own.
    pub(crate) fn start(channel: Channel, tally: Arc<Tally>) -> Arc<Self> {
        let settler =
            Arc::new(Settler { channel, window: Mutex::default(), wake: Notify::new(), dead: AtomicBool::new(false), tally });
        let sending = Arc::clone(&settler);
        tokio::spawn(async move {
            while !sending.is_dead() {
                sending.wake.notified().await;
                // Handlers that end at about the same time are told of together.
                tokio::task::yield_now().await;
                sending.flush();
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

    /// Sends what is settled.
    pub(crate) fn flush(&self) {
        let Orders { nacks, up_to, single } = {
            let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
            window.take()
        };
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
        let told = self.window.lock().unwrap_or_else(PoisonError::into_inner).settle(tag, disposition);
        if told {
            self.wake.notify_one();
        }
    }
}

/// The deliveries of a channel from the oldest one that is not settled. The broker numbers them from 1.
#[derive(Debug, Default)]
struct Window {
    /// How many have left at the front.
    gone: u64,
    marks: VecDeque<Mark>,
    acked: Vec<u64>,
    nacks: Vec<(u64, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Open,
    /// To be acknowledged.
    Acked,
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
                self.nacks.push((tag, true));
                Mark::Told
            }
            Disposition::Discard => {
                self.nacks.push((tag, false));
                Mark::Told
            }
        };
        true
    }

    fn take(&mut self) -> Orders {
        let mut up_to = None;
        while let Some(mark) = self.marks.front().filter(|mark| **mark != Mark::Open) {
            if *mark == Mark::Acked {
                up_to = Some(self.gone + 1);
            }
            self.marks.pop_front();
            self.gone += 1;
        }
        let mut single = std::mem::take(&mut self.acked);
        single.retain(|tag| *tag > self.gone);
        for tag in &single {
            if let Some(mark) = usize::try_from(tag - self.gone - 1).ok().and_then(|at| self.marks.get_mut(at)) {
                *mark = Mark::Told;
            }
        }
        Orders { nacks: std::mem::take(&mut self.nacks), up_to, single }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_settled_in_order_is_acknowledged_at_once() {
        let mut window = Window::default();
        for tag in [1, 3, 2, 5] {
            assert!(window.settle(tag, Disposition::Ack));
        }
        assert_eq!(window.take(), Orders { up_to: Some(3), single: vec![5], nacks: vec![] });
        assert!(window.settle(4, Disposition::Ack));
        assert_eq!(window.take(), Orders { up_to: Some(4), ..Orders::default() });
        assert_eq!((window.gone, window.marks.len()), (5, 0));
        assert!(!window.settle(5, Disposition::Requeue), "it was settled");
    }

    #[test]
    fn what_goes_back_is_not_acknowledged() {
        let mut window = Window::default();
        window.settle(1, Disposition::Requeue);
        window.settle(2, Disposition::Discard);
        assert_eq!(window.take(), Orders { nacks: vec![(1, true), (2, false)], ..Orders::default() });
        window.settle(4, Disposition::Release);
        window.settle(3, Disposition::Ack);
        assert_eq!(window.take(), Orders { nacks: vec![(4, true)], up_to: Some(3), single: vec![] });
        assert_eq!(window.gone, 4);
    }
}

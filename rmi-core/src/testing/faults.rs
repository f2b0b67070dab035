//! Faults on any transport, from a seed.
//!
//! ```
//! # use std::time::Duration;
//! # use rmi_core::{Memory, testing::faults::{Faults, Faulty}};
//! let seed = 7;
//! let faults = Faults::seeded(seed).lose(5).double(5).swap(10).delay(20, Duration::from_millis(50)).cut(1, Duration::from_millis(100));
//! let bus = Faulty::new(Memory::new(), faults);
//! // .. bind it, use it ..
//! println!("{:?}", bus.counts());
//! ```
//!
//! What becomes of a frame follows from the seed and from how many were published before it. Two runs with one seed meet the same
//! faults as far as they publish the same frames in the same order: on one thread with paused time they do.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::{
    lock::lock,
    transport::{Capabilities, Deliveries, Frame, LinkChange, LinkId, Links, Receipt, Subscription, Transport, TransportError},
};

/// How many frames may be late at a time; further ones are in time.
const LATE: usize = 1024;

/// How long a frame that is to change places waits for another.
const SWAP_WAITS: Duration = Duration::from_millis(20);

/// Which faults happen how often: so many in a thousand frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    seed: u64,
    lose: u16,
    double: u16,
    swap: u16,
    delay: (u16, Duration),
    cut: (u16, Duration),
}

impl Faults {
    /// None yet.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Faults { seed, lose: 0, double: 0, swap: 0, delay: (0, Duration::ZERO), cut: (0, Duration::ZERO) }
    }

    /// The same faults from another seed: what each of several transports gets.
    #[must_use]
    pub fn reseeded(mut self, with: u64) -> Self {
        self.seed = roll(self.seed, with, u64::MAX);
        self
    }

    /// Frames that are not handed over, in a thousand.
    #[must_use]
    pub fn lose(mut self, per_mille: u16) -> Self {
        self.lose = per_mille;
        self
    }

    /// Frames that are handed over twice, in a thousand.
    #[must_use]
    pub fn double(mut self, per_mille: u16) -> Self {
        self.double = per_mille;
        self
    }

    /// Frames that change places with the next one, in a thousand.
    #[must_use]
    pub fn swap(mut self, per_mille: u16) -> Self {
        self.swap = per_mille;
        self
    }

    /// Frames that are late, in a thousand, by at most so long: others overtake them.
    #[must_use]
    pub fn delay(mut self, per_mille: u16, most: Duration) -> Self {
        self.delay = (per_mille, most);
        self
    }

    /// Frames at which the link is cut, in a thousand, for at most so long.
    #[must_use]
    pub fn cut(mut self, per_mille: u16, most: Duration) -> Self {
        self.cut = (per_mille, most);
        self
    }
}

/// A number that follows from a seed, a frame's number and what is decided (splitmix64).
fn roll(seed: u64, number: u64, what: u64) -> u64 {
    let mut mixed = seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ what.wrapping_mul(0xd1b5_4a32_d192_ed03);
    for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(factor);
    }
    mixed ^ (mixed >> 31)
}

/// How often each fault has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Frames that were given to be published.
    pub frames: u64,
    /// Frames that were lost.
    pub lost: u64,
    /// Frames that were handed over twice.
    pub doubled: u64,
    /// Frames that changed places.
    pub swapped: u64,
    /// Frames that were late.
    pub delayed: u64,
    /// Cuts of the link.
    pub cut: u64,
}

/// A transport with faults. A clone is the same one. Dropped while a test fails it prints its seed.
pub struct Faulty<T>(Arc<Inner<T>>);

struct Inner<T> {
    transport: T,
    faults: Faults,
    frames: AtomicU64,
    counts: Mutex<Counts>,
    /// The frame that changes places with the next one.
    stash: Mutex<Option<Frame>>,
    late: Arc<Semaphore>,
}

impl<T: Transport> Faulty<T> {
    /// The transport with these faults.
    #[must_use]
    pub fn new(transport: T, faults: Faults) -> Self {
        let late = Arc::new(Semaphore::new(LATE));
        Faulty(Arc::new(Inner {
            transport,
            faults,
            frames: AtomicU64::new(0),
            counts: Mutex::default(),
            stash: Mutex::default(),
            late,
        }))
    }

    /// How often each fault has happened.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { frames: self.0.frames.load(Ordering::Relaxed), ..*lock(&self.0.counts) }
    }

    /// The transport below.
    #[must_use]
    pub fn inner(&self) -> &T {
        &self.0.transport
    }

    /// Publishes what has been waiting for a frame to change places with.
    async fn unstash(&self) {
        let stashed = lock(&self.0.stash).take();
        if let Some(frame) = stashed {
            let _ = self.0.transport.publish(frame).await;
        }
    }

    /// Publishes a frame later, beside what else happens.
    fn later(&self, frame: Option<Frame>, after: Duration) {
        let Ok(permit) = Arc::clone(&self.0.late).try_acquire_owned() else { return };
        let this = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            match frame {
                Some(frame) => drop(this.0.transport.publish(frame).await),
                None => this.unstash().await,
            }
            drop(permit);
        });
    }

    async fn cut(&self, time: Duration) {
        let mut links = self.0.transport.links();
        // What is not up cannot be cut.
        if let Some(LinkChange::Up(link)) = links.ready() {
            let _ = self.0.transport.pause(link.id, Some(time)).await;
        }
    }
}

impl<T> Clone for Faulty<T> {
    fn clone(&self) -> Self {
        Faulty(Arc::clone(&self.0))
    }
}

impl<T: fmt::Debug> fmt::Debug for Faulty<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("transport", &self.0.transport).field("faults", &self.0.faults).finish_non_exhaustive()
    }
}

impl<T> Drop for Inner<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let frames = self.frames.load(Ordering::Relaxed);
            eprintln!("faults from the seed {}, after {frames} frames: {:?}", self.faults.seed, lock(&self.counts));
        }
    }
}

#[async_trait]
impl<T: Transport> Transport for Faulty<T> {
    fn capabilities(&self) -> Capabilities {
        self.0.transport.capabilities()
    }

    /// What is lost, late or changes places is [`Receipt::Handed`].
    async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        let (faults, number) = (&self.0.faults, self.0.frames.fetch_add(1, Ordering::Relaxed));
        let happens = |what: u64, per_mille: u16| roll(faults.seed, number, what) % 1000 < u64::from(per_mille);
        let part = |what: u64, most: Duration| most.mul_f64((roll(faults.seed, number, what) % 1000 + 1) as f64 / 1000.0);
        let count = |add: fn(&mut Counts)| add(&mut lock(&self.0.counts));
        if happens(0, faults.cut.0) {
            count(|counts| counts.cut += 1);
            self.cut(part(1, faults.cut.1)).await;
        }
        if happens(2, faults.lose) {
            count(|counts| counts.lost += 1);
            return Ok(Receipt::Handed);
        }
        if happens(3, faults.delay.0) && self.0.late.available_permits() > 0 {
            count(|counts| counts.delayed += 1);
            self.later(Some(frame), part(4, faults.delay.1));
            return Ok(Receipt::Handed);
        }
        if happens(5, faults.swap) && lock(&self.0.stash).is_none() && self.0.late.available_permits() > 0 {
            count(|counts| counts.swapped += 1);
            *lock(&self.0.stash) = Some(frame);
            self.later(None, SWAP_WAITS);
            return Ok(Receipt::Handed);
        }
        let twice = happens(6, faults.double).then(|| frame.clone());
        let told = self.0.transport.publish(frame).await;
        if let Some(again) = twice {
            count(|counts| counts.doubled += 1);
            let _ = self.0.transport.publish(again).await;
        }
        self.unstash().await;
        told
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Deliveries>, TransportError> {
        self.0.transport.subscribe(subscription).await
    }

    fn links(&self) -> Links {
        self.0.transport.links()
    }

    async fn pause(&self, link: LinkId, resume: Option<Duration>) -> Result<(), TransportError> {
        self.0.transport.pause(link, resume).await
    }

    async fn will(&self, link: LinkId, frame: Frame) -> Result<(), TransportError> {
        self.0.transport.will(link, frame).await
    }

    /// What is late is given up.
    async fn close(&self) -> Result<(), TransportError> {
        self.unstash().await;
        self.0.transport.close().await
    }
}

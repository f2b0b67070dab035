//! The conformance suite finds what it is there to find: each transport here is broken in one way, and the check that is named sees it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rmi_core::{
    Memory,
    testing::conformance::{self, Harness},
    transport::{
        Acker, Capabilities, Deliveries, Delivery, Destination, Disposition, Frame, LinkId, LinkReporter, Links, Receipt, Settle,
        Sharing, Source, Subscription, Transport, TransportError, TransportErrorKind, WhenFull, memory::Options,
    },
};
use tokio::runtime::Runtime;

/// What is wrong with a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    /// One frame in fifty is lost.
    Loses,
    /// One frame in fifty comes twice.
    Doubles,
    /// Two frames in fifty change places.
    Reorders,
    /// Payloads are cut at 64 KiB.
    Cuts,
    /// Empty payloads are taken for none.
    SkipsEmpty,
    /// What is not UTF-8 is made so.
    Recodes,
    /// The longest payload is not what it says.
    CarriesMore,
    /// `NoRoute` is kept secret.
    HidesNoRoute,
    /// It says that nobody is there when somebody is.
    InventsNoRoute,
    /// What is requeued is gone.
    ForgetsRequeue,
    /// What comes again is not marked.
    HidesRedelivery,
    /// An acknowledgement does nothing.
    NeverAcks,
    /// What is discarded comes again.
    RequeuesDiscarded,
    /// `prefetch` is not looked at.
    IgnoresPrefetch,
    /// Everybody who competes gets everything of a pool: patterns are made broadcast.
    BroadcastsPools,
    /// Broadcast is a pool.
    PoolsBroadcast,
    /// Exclusive is not.
    SharesExclusive,
    /// `ttl` is not looked at.
    NeverExpires,
    /// Durable is not.
    ForgetsDurable,
    /// It denies topics, and takes them.
    TakesTopics,
    /// It denies redelivery, and takes subscriptions that acknowledge.
    TakesAcknowledged,
    /// Addresses are told apart without case and without what is behind `/`.
    MixesAddresses,
    /// After a pause publishes go nowhere.
    LosesAfterCut,
    /// What is published while it is away is published twice.
    RepeatsAfterCut,
    /// A publish waits for ever for its link.
    WaitsForEver,
    /// The loss of a link is not reported.
    HidesCuts,
    /// Links that are up when one asks are not reported.
    HidesLinks,
    /// Acknowledgements find the next delivery of the same frame.
    AcksByPayload,
    /// A `recv` that is dropped loses what it had.
    RecvNotCancelSafe,
    /// A `recv` gives more than it was asked for.
    GivesMore,
    /// A subscription outlives the `subscribe` that was dropped.
    LeaksSubscriptions,
    /// There is no bound.
    Unbounded,
    /// A pause that is dropped does not end.
    PauseNotCancelSafe,
    /// A close that is dropped is taken for one that was made.
    CloseNotCancelSafe,
    /// Closing does not end who waits.
    CloseLeavesWaiting,
    /// It publishes after it was closed.
    PublishesClosed,
    /// Closing one closes all.
    ClosesAll,
    /// Any link can be paused.
    PausesAnything,
    /// A pattern's `#` is one word.
    NarrowPatterns,
    /// A subscription that does not acknowledge is settled by its acker.
    AcknowledgesAnyway,
    /// Of several patterns it takes the first.
    OnePattern,
    /// Groups are not told apart.
    MixesGroups,
    /// Who wants the oldest dropped holds up the publishers.
    NeverDrops,
    /// Where it came by is not said.
    HidesKeys,
    /// Deliveries of subscribers that left are lost.
    LosesLeft,
    /// Deliveries that are unsettled at a cut are lost.
    LosesAtCut,
    /// Who competes gets nothing if somebody was there before.
    OneTakesAll,
    /// Addresses are told apart without their digits at the end.
    MixesDigits,
    /// What comes while nobody calls `recv` is lost.
    OnlyToWhoLooks,
    /// What is released is discarded.
    DiscardsReleased,
    /// Subscriptions end when the link is cut.
    EndsAtCut,
    /// A publish that is dropped while it waits is published by somebody else, and again.
    PublishesAgain,
}

/// Each flaw, and the check that has to see it.
const FLAWS: &[(Flaw, &str)] = &[
    (Flaw::Loses, "nothing_is_lost_or_doubled"),
    (Flaw::Doubles, "nothing_is_lost_or_doubled"),
    (Flaw::Reorders, "one_sender_keeps_its_order"),
    (Flaw::Cuts, "a_mebibyte_arrives"),
    (Flaw::SkipsEmpty, "an_empty_payload_arrives"),
    (Flaw::Recodes, "any_bytes_arrive"),
    (Flaw::CarriesMore, "what_is_too_long_is_refused"),
    (Flaw::HidesNoRoute, "nobody_there_is_told"),
    (Flaw::InventsNoRoute, "nobody_there_is_told"),
    (Flaw::ForgetsRequeue, "what_is_dropped_comes_again"),
    (Flaw::HidesRedelivery, "what_is_requeued_comes_again"),
    (Flaw::NeverAcks, "what_is_acknowledged_is_gone"),
    (Flaw::RequeuesDiscarded, "what_is_discarded_is_gone"),
    (Flaw::DiscardsReleased, "what_is_released_comes_again"),
    (Flaw::IgnoresPrefetch, "prefetch_is_held"),
    (Flaw::BroadcastsPools, "a_pool_gets_each_frame_once"),
    (Flaw::PoolsBroadcast, "broadcast_reaches_everybody"),
    (Flaw::SharesExclusive, "an_exclusive_subscriber_is_alone"),
    (Flaw::NeverExpires, "a_frame_expires"),
    (Flaw::ForgetsDurable, "a_durable_address_outlives_its_subscriber"),
    (Flaw::TakesTopics, "what_it_denies_it_refuses"),
    (Flaw::TakesAcknowledged, "what_it_denies_it_refuses"),
    (Flaw::MixesAddresses, "a_strange_address_is_its_own_or_refused"),
    (Flaw::LosesAfterCut, "publishing_survives_a_cut"),
    (Flaw::EndsAtCut, "a_subscription_survives_a_cut"),
    (Flaw::RepeatsAfterCut, "what_is_published_during_an_outage_is_told"),
    (Flaw::WaitsForEver, "a_publish_waits_no_longer_than_it_may"),
    (Flaw::HidesCuts, "a_cut_is_reported"),
    (Flaw::HidesLinks, "links_start_with_what_is_up"),
    (Flaw::AcksByPayload, "an_acknowledgement_from_before_a_cut_is_ignored"),
    (Flaw::RecvNotCancelSafe, "a_receive_that_is_dropped_loses_nothing"),
    (Flaw::PublishesAgain, "a_publish_that_is_dropped_is_whole_or_not_at_all"),
    (Flaw::GivesMore, "no_more_is_received_than_was_asked_for"),
    (Flaw::LeaksSubscriptions, "a_subscribe_that_is_dropped_leaves_nothing"),
    (Flaw::PauseNotCancelSafe, "a_pause_that_is_dropped_comes_back"),
    (Flaw::CloseNotCancelSafe, "a_close_that_is_dropped_can_be_made_again"),
    (Flaw::Unbounded, "what_nobody_receives_is_bounded"),
    (Flaw::CloseLeavesWaiting, "closing_ends_the_deliveries"),
    (Flaw::PublishesClosed, "a_closed_transport_says_so"),
    (Flaw::ClosesAll, "closing_leaves_others_alone"),
    (Flaw::PausesAnything, "an_unknown_link_cannot_be_paused"),
    (Flaw::NarrowPatterns, "a_topic_reaches_what_matches_it"),
    (Flaw::AcknowledgesAnyway, "without_acknowledgement_a_delivery_is_final"),
    (Flaw::OnePattern, "several_patterns_are_one_subscription"),
    (Flaw::MixesGroups, "groups_are_told_apart"),
    (Flaw::NeverDrops, "who_drops_the_oldest_holds_up_nobody"),
    (Flaw::HidesKeys, "a_frame_arrives_whole"),
    (Flaw::LosesLeft, "what_a_subscriber_left_comes_again"),
    (Flaw::LosesLeft, "what_a_closed_transport_had_comes_again"),
    (Flaw::LosesAtCut, "what_was_unsettled_at_a_cut_comes_again"),
    (Flaw::OneTakesAll, "competing_subscribers_share"),
    (Flaw::MixesDigits, "many_subscribers_get_their_own"),
    (Flaw::OnlyToWhoLooks, "what_arrives_while_nobody_looks_waits"),
];

thread_local! {
    /// What is wrong with what a check on this thread starts.
    static FLAW: std::cell::Cell<Flaw> = const { std::cell::Cell::new(Flaw::None) };
}

struct BrokenBus {
    bus: Memory,
    flaw: Flaw,
    seats: Arc<Mutex<Vec<Arc<Memory>>>>,
}

#[async_trait]
impl Harness for BrokenBus {
    const ROOM: Option<usize> = Some(64);
    const PUBLISH_WAITS: Option<Duration> = Some(Duration::from_secs(1));

    fn runtime() -> std::io::Result<Runtime> {
        rmi_tests::clock::paused()
    }

    async fn start() -> Self {
        let flaw = FLAW.get();
        let frames = if flaw == Flaw::Unbounded { 10_000 } else { 64 };
        let options = Options::default().wait(Duration::from_secs(1)).mailbox_frames(frames).max_payload(2 << 20);
        BrokenBus { bus: Memory::with(options), flaw, seats: Arc::default() }
    }

    async fn seat(&self) -> Arc<dyn Transport> {
        let seat = Arc::new(self.bus.clone());
        self.seats.lock().unwrap().push(Arc::clone(&seat));
        let silent = LinkReporter::default();
        if self.flaw == Flaw::HidesCuts {
            silent.up(rmi_core::transport::Link { id: seat.link(), generation: 1, peer: None });
        }
        Arc::new(Broken {
            seat,
            flaw: self.flaw,
            published: AtomicU64::new(0),
            stash: Mutex::default(),
            cuts: Arc::default(),
            seats: Arc::clone(&self.seats),
            silent,
            kept: Arc::default(),
            settling: Mutex::default(),
            closing: AtomicBool::new(false),
        })
    }
}

/// A seat on an in-memory bus with a flaw.
struct Broken {
    seat: Arc<Memory>,
    flaw: Flaw,
    published: AtomicU64,
    stash: Mutex<Option<Frame>>,
    cuts: Arc<AtomicU64>,
    seats: Arc<Mutex<Vec<Arc<Memory>>>>,
    silent: LinkReporter,
    kept: Arc<Mutex<Vec<Box<dyn Deliveries>>>>,
    settling: Mutex<Vec<Arc<Settling>>>,
    closing: AtomicBool,
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.flaw)
    }
}

impl Broken {
    fn mixed(&self, address: &str) -> String {
        match self.flaw {
            Flaw::MixesAddresses => address.split('/').next().unwrap_or_default().to_lowercase(),
            Flaw::MixesDigits => address.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned(),
            _ => address.to_owned(),
        }
    }
}

#[async_trait]
impl Transport for Broken {
    fn capabilities(&self) -> Capabilities {
        let mut can = self.seat.capabilities();
        match self.flaw {
            Flaw::CarriesMore => can.max_payload = 1 << 20,
            Flaw::TakesTopics => can.topics = false,
            Flaw::TakesAcknowledged => can.redelivery = false,
            _ => {}
        }
        can
    }

    async fn publish(&self, mut frame: Frame) -> Result<Receipt, TransportError> {
        let number = self.published.fetch_add(1, Ordering::Relaxed);
        let now_and_then = number % 50 == 49;
        if let Destination::Address(address) = &frame.to {
            frame.to = Destination::Address(self.mixed(address.as_str()).into());
        }
        match self.flaw {
            Flaw::Loses if now_and_then => return Ok(Receipt::Stored),
            Flaw::Doubles if now_and_then => drop(self.seat.publish(frame.clone()).await),
            Flaw::Reorders if now_and_then => {
                *self.stash.lock().unwrap() = Some(frame);
                return Ok(Receipt::Stored);
            }
            Flaw::Cuts => frame.payload.truncate(64 << 10),
            Flaw::SkipsEmpty if frame.payload.is_empty() => return Ok(Receipt::Stored),
            Flaw::Recodes => frame.payload = String::from_utf8_lossy(&frame.payload).into_owned().into(),
            Flaw::NeverExpires => frame.ttl = None,
            Flaw::LosesAfterCut if self.cuts.load(Ordering::Relaxed) > 0 => return Ok(Receipt::Stored),
            Flaw::RepeatsAfterCut if self.cuts.load(Ordering::Relaxed) > 0 => drop(self.seat.publish(frame.clone()).await),
            Flaw::PublishesAgain => {
                let (seat, frame) = (Arc::clone(&self.seat), frame.clone());
                let task = tokio::spawn(async move { (seat.publish(frame.clone()).await, seat, frame) });
                let mut again = OnDrop(Some(task));
                let told = again.0.as_mut().unwrap().await.unwrap();
                again.0 = None;
                return told.0;
            }
            _ => {}
        }
        let mandatory = frame.mandatory;
        let mut told = self.seat.publish(frame.clone()).await;
        while self.flaw == Flaw::WaitsForEver && matches!(&told, Err(error) if error.kind == TransportErrorKind::Disconnected) {
            told = self.seat.publish(frame.clone()).await;
        }
        let stashed = self.stash.lock().unwrap().take();
        if let Some(stashed) = stashed {
            let _ = self.seat.publish(stashed).await;
        }
        match (self.flaw, &told) {
            (Flaw::HidesNoRoute, Ok(Receipt::NoRoute)) => Ok(Receipt::Stored),
            (Flaw::InventsNoRoute, Ok(_)) if mandatory => Ok(Receipt::NoRoute),
            (Flaw::PublishesClosed, Err(error)) if error.kind == TransportErrorKind::Closed => Ok(Receipt::Stored),
            _ => told,
        }
    }

    async fn subscribe(&self, mut subscription: Subscription) -> Result<Box<dyn Deliveries>, TransportError> {
        match &mut subscription.source {
            Source::Address(address) => *address = self.mixed(address.as_str()).into(),
            Source::Topic { patterns, .. } => match self.flaw {
                Flaw::NarrowPatterns => patterns.iter_mut().for_each(|pattern| *pattern = pattern.replace('#', "*").into()),
                Flaw::OnePattern => patterns.truncate(1),
                _ => {}
            },
            _ => {}
        }
        let is_topic = matches!(subscription.source, Source::Topic { .. });
        match (self.flaw, subscription.sharing) {
            (Flaw::IgnoresPrefetch, _) => subscription.prefetch = 0,
            (Flaw::PoolsBroadcast, Sharing::Broadcast) => subscription.sharing = Sharing::Competing,
            (Flaw::BroadcastsPools, Sharing::Competing) if is_topic => subscription.sharing = Sharing::Broadcast,
            (Flaw::SharesExclusive, Sharing::Exclusive) => subscription.sharing = Sharing::Competing,
            (Flaw::ForgetsDurable, _) => (subscription.durable, subscription.expires) = (false, None),
            (Flaw::MixesGroups, _) => subscription.group = None,
            (Flaw::NeverDrops, _) => subscription.when_full = WhenFull::Wait,
            (Flaw::AcknowledgesAnyway, _) => subscription.acknowledged = true,
            _ => {}
        }
        let idle = self.flaw == Flaw::OneTakesAll && self.seats.lock().unwrap().len() > 2;
        let deliveries = self.seat.subscribe(subscription).await?;
        if self.flaw == Flaw::LeaksSubscriptions {
            self.kept.lock().unwrap().push(deliveries);
            tokio::task::yield_now().await;
            return Ok(self.kept.lock().unwrap().pop().unwrap());
        }
        let settling = Arc::new(Settling { flaw: self.flaw, held: Mutex::default() });
        self.settling.lock().unwrap().push(Arc::clone(&settling));
        let cuts = Arc::clone(&self.cuts);
        Ok(Box::new(BrokenDeliveries { deliveries, flaw: self.flaw, settling, cuts, idle, looked: false }))
    }

    fn links(&self) -> Links {
        match self.flaw {
            Flaw::HidesCuts | Flaw::HidesLinks => self.silent.watch(),
            _ => self.seat.links(),
        }
    }

    async fn pause(&self, link: LinkId, resume: Option<Duration>) -> Result<(), TransportError> {
        if self.flaw == Flaw::PausesAnything && link != self.seat.link() {
            return Ok(());
        }
        self.cuts.fetch_add(1, Ordering::Relaxed);
        if self.flaw == Flaw::PauseNotCancelSafe {
            self.seat.pause(link, None).await?;
            tokio::task::yield_now().await;
        }
        if self.flaw == Flaw::LosesAtCut {
            self.settling.lock().unwrap().iter().for_each(|settling| settling.all(Disposition::Ack));
        }
        self.seat.pause(link, resume).await
    }

    async fn close(&self) -> Result<(), TransportError> {
        if self.flaw == Flaw::LosesLeft {
            self.settling.lock().unwrap().iter().for_each(|settling| settling.all(Disposition::Ack));
        }
        if self.flaw == Flaw::CloseNotCancelSafe {
            if self.closing.swap(true, Ordering::Relaxed) {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        if self.flaw == Flaw::ClosesAll {
            let seats = self.seats.lock().unwrap().clone();
            for seat in seats {
                seat.close().await?;
            }
        }
        self.seat.close().await
    }
}

/// Publishes again what somebody has stopped waiting for.
struct OnDrop(Option<tokio::task::JoinHandle<Published>>);

type Published = (Result<Receipt, TransportError>, Arc<Memory>, Frame);

impl Drop for OnDrop {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            tokio::spawn(async move {
                let (_, seat, frame) = task.await.unwrap();
                let _ = seat.publish(frame).await;
            });
        }
    }
}

#[derive(Debug)]
struct BrokenDeliveries {
    deliveries: Box<dyn Deliveries>,
    flaw: Flaw,
    settling: Arc<Settling>,
    cuts: Arc<AtomicU64>,
    idle: bool,
    looked: bool,
}

#[async_trait]
impl Deliveries for BrokenDeliveries {
    async fn recv(&mut self, into: &mut Vec<Delivery>, max: usize) -> Result<usize, TransportError> {
        if self.idle || (self.flaw == Flaw::EndsAtCut && self.cuts.load(Ordering::Relaxed) > 0) {
            std::future::pending::<()>().await;
        }
        if self.flaw == Flaw::OnlyToWhoLooks && !std::mem::replace(&mut self.looked, true) {
            let mut missed = Vec::new();
            let _ = tokio::time::timeout(Duration::from_millis(1), self.deliveries.recv(&mut missed, 64)).await;
            missed.into_iter().for_each(|delivery| delivery.acker.settle(Disposition::Ack));
        }
        let mut taken = Vec::new();
        let max = if self.flaw == Flaw::GivesMore { max + 8 } else { max };
        let count = self.deliveries.recv(&mut taken, max).await?;
        if self.flaw == Flaw::RecvNotCancelSafe {
            for delivery in &mut taken {
                std::mem::replace(&mut delivery.acker, Acker::settled()).settle(Disposition::Ack);
            }
            tokio::task::yield_now().await;
        }
        if count == 0 && self.flaw == Flaw::CloseLeavesWaiting {
            std::future::pending::<()>().await;
        }
        for mut delivery in taken {
            match self.flaw {
                Flaw::HidesRedelivery => delivery.redelivered = false,
                Flaw::HidesKeys => delivery.key = "somewhere".into(),
                _ => {}
            }
            let payload = String::from_utf8_lossy(&delivery.payload[..delivery.payload.len().min(64)]).into_owned();
            let mut held = self.settling.held.lock().unwrap();
            let tag = held.len() as u64;
            let acker = std::mem::replace(&mut delivery.acker, Acker::new(Arc::<Settling>::clone(&self.settling), tag));
            held.push((payload, Some(acker)));
            into.push(delivery);
        }
        Ok(count)
    }
}

impl Drop for BrokenDeliveries {
    fn drop(&mut self) {
        if self.flaw == Flaw::LosesLeft {
            self.settling.all(Disposition::Ack);
        }
    }
}

struct Settling {
    flaw: Flaw,
    /// By their tags.
    held: Mutex<Vec<(String, Option<Acker>)>>,
}

impl fmt::Debug for Settling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Settling")
    }
}

impl Settling {
    fn all(&self, disposition: Disposition) {
        let held: Vec<_> = self.held.lock().unwrap().iter_mut().filter_map(|(_, acker)| acker.take()).collect();
        held.into_iter().for_each(|acker| acker.settle(disposition));
    }
}

impl Settle for Settling {
    fn settle(&self, tag: u64, disposition: Disposition) {
        let acker = {
            let mut held = self.held.lock().unwrap();
            let mut at = tag as usize;
            if self.flaw == Flaw::AcksByPayload {
                let payload = held[at].0.clone();
                at = held.iter().rposition(|(other, _)| *other == payload).unwrap_or(at);
            }
            held.get_mut(at).and_then(|(_, acker)| acker.take())
        };
        let Some(acker) = acker else { return };
        match (self.flaw, disposition) {
            (Flaw::ForgetsRequeue, Disposition::Requeue) => acker.settle(Disposition::Ack),
            (Flaw::NeverAcks, Disposition::Ack) => acker.settle(Disposition::Requeue),
            (Flaw::RequeuesDiscarded, Disposition::Discard) => acker.settle(Disposition::Requeue),
            (Flaw::DiscardsReleased, Disposition::Release) => acker.settle(Disposition::Discard),
            _ => acker.settle(disposition),
        }
    }
}

/// The checks that a transport with a flaw does not pass.
fn caught(flaw: Flaw) -> Vec<&'static str> {
    FLAW.set(flaw);
    let fails = |check: &conformance::Check| {
        let runtime = BrokenBus::runtime().unwrap();
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(check.run()))).is_err()
    };
    let checks = conformance::checks::<BrokenBus>();
    checks.iter().filter(|check| fails(check)).map(|check| check.name).collect()
}

#[test]
fn every_flaw_is_caught_by_its_check_and_every_check_catches_one() {
    // The failures are what is wanted, and need not be told.
    std::panic::set_hook(Box::new(|_| {}));
    let sound = caught(Flaw::None);
    let mut missed = Vec::new();
    let mut caught_any = std::collections::HashSet::new();
    for (flaw, check) in FLAWS {
        let by = caught(*flaw);
        caught_any.extend(by.iter().copied());
        if !by.contains(check) {
            missed.push(format!("{flaw:?} was not caught by `{check}`, but by {by:?}"));
        }
    }
    let _ = std::panic::take_hook();
    assert!(sound.is_empty(), "the wrapper itself does not hold {sound:?}");
    assert!(missed.is_empty(), "{missed:#?}");
    let idle: Vec<_> = conformance::checks::<BrokenBus>().into_iter().filter(|c| !caught_any.contains(c.name)).collect();
    assert!(idle.is_empty(), "these checks catch nothing: {idle:?}");
}

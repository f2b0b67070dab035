//! What every transport has to hold, one check at a time.
//!
//! A transport says with a [`Harness`] how its bus is reached, and gets a `#[test]` for each check:
//!
//! ```
//! use std::sync::Arc;
//! use rmi_core::{testing::conformance::{self, Harness}, transport::{Transport, memory::Memory}};
//!
//! struct OnMemory(Memory);
//!
//! #[async_trait::async_trait]
//! impl Harness for OnMemory {
//!     async fn start() -> Self {
//!         OnMemory(Memory::new())
//!     }
//!
//!     async fn seat(&self) -> Arc<dyn Transport> {
//!         Arc::new(self.0.clone())
//!     }
//! }
//!
//! conformance::suite!(OnMemory);
//! # fn main() { conformance::run::<OnMemory>("a_frame_arrives_whole") }
//! ```
//!
//! What a transport claims in its [`Capabilities`](crate::transport::Capabilities) is exercised, and what it denies has to be refused by
//! [`TransportErrorKind::Refused`](crate::transport::TransportErrorKind::Refused) rather than be ignored. A check that asks for what a
//! transport does not have is not applicable: it says why, and its name is in [`Harness::NOT_APPLICABLE`], so that nothing is skipped
//! without a word. A name there whose check applies is a failure too.
//!
//! An address must have room for eight frames of 64 bytes that are not settled, and a link for as many that are not received.

mod addresses;
mod closing;
mod delivery;
mod dropping;
mod lane;
mod outage;
mod payloads;
mod room;
mod settling;
mod sharing;
mod topics;
mod truth;

pub(crate) use self::lane::soon;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    service::BoxFuture,
    transport::{LinkChange, LinkId, Transport},
};

/// How a transport's bus is reached by the checks. Each check starts one of its own.
#[async_trait]
pub trait Harness: Send + Sync + Sized + 'static {
    /// The checks that cannot be made of this transport, by name. A check that turns out to be applicable, and is listed, fails, and so
    /// does one that is not applicable and not listed.
    const NOT_APPLICABLE: &'static [&'static str] = &[];

    /// How many frames for one subscriber that does not receive are taken at most before a publish waits or fails. `None` where the bus
    /// holds as many as it has memory or disk for.
    const ROOM: Option<usize> = None;

    /// How long a publish waits for a link that is down. `None` where it does not wait, or where nobody can say.
    const PUBLISH_WAITS: Option<Duration> = None;

    /// How long nothing has to come until it is believed that nothing will. Longer than a frame ever takes.
    const QUIET: Duration = Duration::from_millis(200);

    /// The exchange that topics are published to; it exists, or is made by whoever subscribes first.
    const EXCHANGE: &'static str = "rmi.conformance";

    /// What the checks run on: one thread, with timers and I/O, unless this says otherwise.
    ///
    /// # Errors
    ///
    /// The runtime cannot be made.
    fn runtime() -> io::Result<tokio::runtime::Runtime> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()
    }

    /// Starts a bus, or reaches one.
    async fn start() -> Self;

    /// A fresh transport on this bus, with a link of its own.
    async fn seat(&self) -> Arc<dyn Transport>;

    /// Two fresh transports that reach each other: one that receives, one that sends. Where a transport has
    /// [`links`](crate::transport::Capabilities::links) these are the two ends of one, and must be given; otherwise they are two seats.
    async fn ends(&self) -> (Arc<dyn Transport>, Arc<dyn Transport>) {
        (self.seat().await, self.seat().await)
    }

    /// A name for an address or a topic that nobody else uses. `.` is the only character besides letters and digits.
    fn name(&self, stem: &str) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        format!("conformance.{}.{}.{stem}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Cuts the links of a transport as the loss of a connection would, for so long. Says `false` if that cannot be done.
    async fn cut(&self, seat: &Arc<dyn Transport>, outage: Duration) -> bool {
        match link(seat).await {
            Some(link) => seat.pause(link, Some(outage)).await.is_ok(),
            None => false,
        }
    }
}

/// The first link of a transport that is up.
pub(crate) async fn link(seat: &Arc<dyn Transport>) -> Option<LinkId> {
    let mut links = seat.links();
    loop {
        match lane::soon("a link is up", links.next()).await? {
            LinkChange::Up(link) => return Some(link.id),
            LinkChange::Down(..) | LinkChange::Blocked(..) | LinkChange::Unblocked(_) => {}
        }
    }
}

/// What came of a check that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The transport holds it.
    Held,
    /// It cannot be asked of this transport, and why.
    NotApplicable(&'static str),
}

/// One check.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its name, which is that of its `#[test]`.
    pub name: &'static str,
    run: fn() -> BoxFuture<'static, Verdict>,
}

impl Check {
    /// Runs it, inside a runtime.
    ///
    /// # Panics
    ///
    /// The transport does not hold it.
    pub async fn run(self) -> Verdict {
        (self.run)().await
    }
}

/// Every check, in the order of the documentation.
#[must_use]
pub fn checks<H: Harness>() -> Vec<Check> {
    crate::__rmi_conformance_each!(list[H])
}

/// Runs one check on a runtime of its own.
///
/// # Panics
///
/// The transport does not hold it, or it is not applicable and [`Harness::NOT_APPLICABLE`] does not list it, or the other way round; or
/// there is no check of this name.
pub fn run<H: Harness>(name: &str) {
    let check = checks::<H>().into_iter().find(|check| check.name == name);
    let check = check.unwrap_or_else(|| panic!("there is no check `{name}`"));
    let runtime = H::runtime().expect("a runtime for the check");
    let verdict = catch_unwind(AssertUnwindSafe(|| runtime.block_on(check.run())));
    // A transport's own tasks need not end by themselves.
    runtime.shutdown_background();
    let verdict = verdict.unwrap_or_else(|panic| {
        eprintln!(
            "`{name}` does not hold for this transport: what was expected, and where that is asked, is above. What a transport claims in \
             `Transport::capabilities` is asked of it; what it denies is not, and has to be refused."
        );
        resume_unwind(panic)
    });
    match (verdict, H::NOT_APPLICABLE.contains(&name)) {
        (Verdict::Held, false) => {}
        (Verdict::NotApplicable(why), true) => println!("`{name}` is not applicable: {why}"),
        (Verdict::Held, true) => panic!("`{name}` is applicable and holds: take it out of `NOT_APPLICABLE`"),
        (Verdict::NotApplicable(why), false) => {
            panic!("`{name}` is not applicable: {why}. If that is as it should be, list it in `NOT_APPLICABLE`")
        }
    }
}

/// Fails when `NOT_APPLICABLE` lists what is no check.
///
/// # Panics
///
/// It does.
pub fn run_listed<H: Harness>() {
    let checks = checks::<H>();
    for name in H::NOT_APPLICABLE {
        assert!(checks.iter().any(|check| check.name == *name), "`NOT_APPLICABLE` lists `{name}`, and there is no such check");
    }
}

/// The checks, in one place: `__rmi_conformance_each!(list [H])` and `__rmi_conformance_each!(tests [H])`.
#[doc(hidden)]
#[macro_export]
macro_rules! __rmi_conformance_each {
    ($what:ident [$harness:ty]) => {
        $crate::__rmi_conformance_each! { @$what [$harness]
            delivery::a_frame_arrives_whole
            delivery::one_sender_keeps_its_order
            delivery::nothing_is_lost_or_doubled
            delivery::no_more_is_received_than_was_asked_for
            delivery::many_subscribers_get_their_own
            delivery::what_arrives_while_nobody_looks_waits
            sharing::competing_subscribers_share
            sharing::an_exclusive_subscriber_is_alone
            topics::a_topic_reaches_what_matches_it
            topics::broadcast_reaches_everybody
            topics::a_pool_gets_each_frame_once
            topics::several_patterns_are_one_subscription
            topics::groups_are_told_apart
            topics::who_drops_the_oldest_holds_up_nobody
            settling::what_is_requeued_comes_again
            settling::what_is_dropped_comes_again
            settling::what_a_subscriber_left_comes_again
            settling::what_is_released_comes_again
            settling::what_is_acknowledged_is_gone
            settling::what_is_discarded_is_gone
            settling::prefetch_is_held
            settling::without_acknowledgement_a_delivery_is_final
            outage::a_subscription_survives_a_cut
            outage::publishing_survives_a_cut
            outage::what_is_published_during_an_outage_is_told
            outage::a_publish_waits_no_longer_than_it_may
            outage::what_was_unsettled_at_a_cut_comes_again
            outage::an_acknowledgement_from_before_a_cut_is_ignored
            outage::a_cut_is_reported
            outage::links_start_with_what_is_up
            outage::an_unknown_link_cannot_be_paused
            truth::nobody_there_is_told
            truth::a_frame_expires
            truth::a_durable_address_outlives_its_subscriber
            truth::what_it_denies_it_refuses
            payloads::an_empty_payload_arrives
            payloads::a_mebibyte_arrives
            payloads::any_bytes_arrive
            payloads::what_is_too_long_is_refused
            addresses::a_strange_address_is_its_own_or_refused
            dropping::a_receive_that_is_dropped_loses_nothing
            dropping::a_publish_that_is_dropped_is_whole_or_not_at_all
            dropping::a_subscribe_that_is_dropped_leaves_nothing
            dropping::a_pause_that_is_dropped_comes_back
            dropping::a_close_that_is_dropped_can_be_made_again
            room::what_nobody_receives_is_bounded
            closing::closing_ends_the_deliveries
            closing::a_closed_transport_says_so
            closing::closing_leaves_others_alone
            closing::what_a_closed_transport_had_comes_again
        }
    };
    (@list [$harness:ty] $($module:ident :: $name:ident)*) => {
        vec![$(Check {
            name: stringify!($name),
            run: || Box::pin(async { $module::$name(&<$harness>::start().await).await }),
        }),*]
    };
    (@tests [$harness:ty] $($module:ident :: $name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $crate::testing::conformance::run::<$harness>(stringify!($name));
            }
        )*

        #[test]
        fn what_is_not_applicable_is_a_check() {
            $crate::testing::conformance::run_listed::<$harness>();
        }
    };
}

/// A `#[test]` for each check, where this is written: `suite!(MyHarness)`.
#[doc(hidden)]
#[macro_export]
macro_rules! __rmi_conformance_suite {
    ($harness:ty) => {
        $crate::__rmi_conformance_each!(tests[$harness]);
    };
}

#[doc(inline)]
pub use crate::__rmi_conformance_suite as suite;

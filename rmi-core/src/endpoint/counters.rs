//! What an endpoint counts: everything that is dropped has a name.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.add_many(1);
    }

    pub(crate) fn add_many(&self, many: u64) {
        self.0.fetch_add(many, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(feature = "metrics")]
pub(crate) type CounterMetric = (&'static str, &'static str, fn(&Figures) -> u64);

macro_rules! counters {
    ($(#[doc = $doc:literal] $name:ident,)*) => {
        /// The counters of a binding.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
        }

        impl Counters {
            pub(crate) fn read(&self, calls_waiting: u64, remembered: u64) -> Figures {
                Figures { calls_waiting, remembered, $($name: self.$name.get(),)* }
            }
        }

        /// What a binding has counted since it was opened, and what it holds now.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Figures {
            /// Calls that wait for their outcome now.
            pub calls_waiting: u64,
            /// Requests that the duplicate window remembers now.
            pub remembered: u64,
            $(#[doc = $doc] pub $name: u64,)*
        }

        #[cfg(feature = "metrics")]
        impl Figures {
            /// What each counter is called as a metric, what it counts, and how it is read.
            pub(crate) const COUNTERS: &'static [CounterMetric] = &[
                $((concat!("rmi_binding_", stringify!($name), "_total"), $doc, |figures| figures.$name),)*
            ];
        }
    };
}

counters! {
    /// Deliveries that were no message of the protocol, or exceeded a limit.
    malformed,
    /// Messages on a sealed binding that were not signed, or not by a key of their sender.
    unverified,
    /// Messages that were meant for another address.
    misdirected,
    /// Requests that were rejected.
    rejected,
    /// Requests that were attached to one that was already running.
    attached,
    /// Requests that were answered with the stored outcome of an earlier one.
    repeated,
    /// Requests that were rejected as possible replays.
    stale,
    /// Requests that were rejected because too many waited for layers to decide.
    crowded,
    /// Requests that were rejected because too many waited for a handler.
    overloaded,
    /// Requests that were rejected because no layer decided in time.
    undecided,
    /// Requests that were rejected because the journal could not write them down.
    unjournalled,
    /// Outcomes that the journal could not write down before they were sent.
    outcomes_unjournalled,
    /// Requests that were taken up again after a restart.
    recovered,
    /// Replies that no call waited for.
    orphans,
    /// Replies by somebody who may not answer for the agent that was called.
    impostors,
    /// Statuses that could not be sent.
    statuses_lost,
    /// Outcomes whose reply address is gone.
    replies_unroutable,
    /// Outcomes that could not be sent. The bus still has their requests, unless it refuses their reply address for good.
    outcomes_unsent,
    /// Answers to what never ran, or was answered before, that were given up because too many waited for their reply address.
    answers_given_up,
    /// Subscriptions to requests or replies that the transport ended. They are begun again while it is open.
    subscriptions_lost,
    /// How often a link took nothing for a while, as a broker does that is short of memory or disk.
    links_blocked,
    /// Handlers that panicked.
    panics,
}

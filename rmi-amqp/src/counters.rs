use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What has happened, since the transport was made.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(crate) struct Tally {
            $(pub(crate) $name: Counter,)*
        }

        impl Tally {
            pub(crate) fn read(&self) -> Counters {
                Counters { $($name: self.$name.0.load(Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Connections that were made.
    connected,
    /// Connections that were lost, and not left on purpose.
    lost,
    /// Attempts to connect that failed.
    connect_failed,
    /// Times at which the broker took nothing, because it was short of memory or disk.
    blocked,
    /// Frames that were handed to the broker.
    published,
    /// Frames that it confirmed.
    confirmed,
    /// Frames that nobody was there for.
    no_route,
    /// Frames that a full queue did not take, ours or the broker's.
    full,
    /// Frames that were sent again because their fate was not known.
    repeated,
    /// Frames whose fate stayed unknown.
    ambiguous,
    /// Frames that were given up before they were sent, because the link was away for too long.
    given_up,
    /// Deliveries.
    delivered,
    /// Deliveries that were marked as delivered before.
    redelivered,
    /// Channels that the broker closed, or whose consumer it cancelled.
    channels_lost,
    /// Subscriptions without acknowledgements that were ended because more had come than may wait
    /// ([`Options::backlog`](crate::Options::backlog)).
    flooded,
    /// Events that were dropped because more had come than may wait, by subscriptions without acknowledgements.
    dropped,
    /// Attempts to subscribe again that failed.
    resubscribe_failed,
    /// Messages for acknowledgements that were sent: many acknowledge several deliveries at once.
    acknowledgements,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn add_many(&self, many: usize) {
        self.0.fetch_add(many as u64, Relaxed);
    }
}

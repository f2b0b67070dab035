use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What happened on a [`Tcp`](super::Tcp) transport since it was made, and what is there now.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
            /// Links that are up now.
            pub links: u64,
            /// Connections that are still shaking hands now.
            pub greeting: u64,
            /// Bytes that were read and are not done with now: of lines that are not finished, and of frames that are not settled.
            pub held: u64,
        }

        /// The same, while it is counted.
        #[derive(Debug, Default)]
        pub(super) struct Counting {
            $(pub(super) $name: Count,)*
        }

        impl Counting {
            /// What has been counted so far.
            pub(super) fn read(&self) -> Counters {
                Counters { $($name: self.$name.0.load(Ordering::Relaxed),)* ..Counters::default() }
            }
        }
    };
}

counters! {
    /// Links that came up.
    opened,
    /// Links that went down, for whatever reason.
    closed,
    /// Lines that arrived, blank ones not counted.
    received,
    /// Frames that were written to a socket's queue.
    sent,
    /// Bytes that were read from sockets.
    bytes_received,
    /// Bytes that were written to sockets.
    bytes_sent,
    /// Writes that it took. Frames that are sent at about the same time share one.
    writes,
    /// Links that were closed because a line was longer than is allowed.
    too_long,
    /// Links that were closed because a line was not finished in time.
    unfinished,
    /// Links that were closed because the peer did not take what it was sent.
    stalled,
    /// Links that were closed because nothing had come by them in time that was let in.
    unidentified,
    /// Connections that were ended to make room for another, because nothing had come by them yet that was let in.
    silent,
    /// Connections that were turned away because there were as many as there may be.
    refused,
    /// Connections that could not be accepted: no file descriptors, or a peer that had gone already.
    not_accepted,
    /// Connections whose TLS handshake failed, or was not finished in time.
    not_greeted,
    /// Times that dialling failed.
    not_reached,
    /// Frames that could not be sent because there was no room for them in time.
    full,
    /// Frames that were lost with their link before they were written.
    lost,
}

/// A figure that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn one(&self) {
        self.many(1);
    }

    pub(super) fn many(&self, how_many: usize) {
        self.0.fetch_add(how_many as u64, Ordering::Relaxed);
    }
}

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use crate::{
    text::Text,
    transport::{Delivery, Frame, Link},
};

/// One link's conversation about itself: a handshake, pings, a silence that is too long, a fatal error; a status that is
/// announced, a last will, a command to come back later.
///
/// A session does no I/O and has no clock: the endpoint drives it, and does what it says.
pub trait Session: Send + Debug {
    /// Something happened on the link, or its hour has come.
    fn on(&mut self, event: LinkEvent<'_>, now: Instant) -> Vec<Action>;

    /// When the session wants to be woken, if nothing happens before.
    fn wake(&self) -> Option<Instant>;
}

/// What a session hears of.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkEvent<'a> {
    /// The link is up. `id` is a fresh identifier that the session may use for a message of its own.
    Up {
        /// The link.
        link: &'a Link,
        /// A fresh identifier.
        id: Text,
    },
    /// A frame arrived. It goes no further unless the session says [`Action::Pass`].
    Received(&'a Delivery),
    /// A frame of the endpoint's was sent.
    Sent(&'a Frame),
    /// The time that [`Session::wake`] named has come. `id` is a fresh identifier.
    Wake {
        /// A fresh identifier.
        id: Text,
    },
}

/// What a session wants done.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// The frame that was received is not about the link: decode it and handle it.
    Pass,
    /// Send this frame by the link.
    Send(Frame),
    /// The peer at the other end is this one: requests can be sent to it under this name.
    Identify(Text),
    /// What the bus is to publish when the link is lost.
    Will(Frame),
    /// Leave the link and come back after this time, or not at all.
    Pause(Option<Duration>),
    /// Close the link, after what was to be sent has been sent.
    Close(Text),
}

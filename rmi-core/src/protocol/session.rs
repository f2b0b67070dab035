use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use crate::{
    text::Text,
    time::{Clock, Timestamp},
    transport::{Delivery, Frame, Link},
};

/// One link's conversation about itself: a handshake, pings, a silence that is too long, a fatal error; a status that is
/// announced, a last will, a command to come back later.
///
/// A session does no I/O and keeps no clock: the endpoint drives it, tells it the moment, and does what it says, in its order.
/// A link of a transport that has [`links`](crate::transport::Capabilities::links) is reached by calls once its session has
/// said [`Action::Identify`], and under that name.
pub trait Session: Send + Debug {
    /// Something happened on the link, or its hour has come.
    fn on(&mut self, event: LinkEvent<'_>, at: Moment<'_>) -> Vec<Action>;

    /// When the session wants to be woken, if nothing happens before. A time that has passed is woken for at once.
    fn wake(&self) -> Option<Instant>;
}

/// When a session hears of something, and where it takes what it may not make up itself.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The monotonic time, to compare with [`Session::wake`].
    pub now: Instant,
    clock: &'a dyn Clock,
}

impl<'a> Moment<'a> {
    /// A moment by a clock.
    #[must_use]
    pub fn new(now: Instant, clock: &'a dyn Clock) -> Self {
        Moment { now, clock }
    }

    /// The date, for a message that carries one.
    #[must_use]
    pub fn date(&self) -> Timestamp {
        self.clock.now()
    }

    /// An identifier for a message of the session's own: another one each time.
    #[must_use]
    pub fn id(&self) -> Text {
        Text::from(self.clock.id().to_string())
    }
}

/// What a session hears of.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkEvent<'a> {
    /// The link is up.
    Up(&'a Link),
    /// A frame arrived. It goes no further unless the session says [`Action::Pass`].
    Received(&'a Delivery),
    /// A frame of the endpoint's is about to be sent by this link, and may be completed with what only the session knows. It is
    /// sent unless the session says [`Action::Withhold`]; what the session wants done beside it may be done before or after.
    Sending(&'a mut Frame),
    /// A frame of the endpoint's was sent by this link.
    Sent(&'a Frame),
    /// The time that [`Session::wake`] named has come.
    Wake,
    /// The endpoint has drained and is about to leave: the last that is heard, and the last chance to say something.
    Leaving,
}

/// What a session wants done.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// The frame that was received is not about the link: decode it and handle it.
    Pass,
    /// The frame that was about to be sent is not: the conversation is over.
    Withhold,
    /// Send this frame by the link.
    Send(Frame),
    /// The peer at the other end is this one: from here on requests are sent to it under this name. Takes effect after what was
    /// to be sent before; if that is nothing, before the next frame of the link is handled.
    Identify(Text),
    /// What the bus is to publish when the link is lost.
    Will(Frame),
    /// Leave the link and come back after this time, or not at all.
    Pause(Option<Duration>),
    /// Close the link, after what was to be sent has been sent.
    Close(Text),
}

//! One frame that is to be published, until its publisher is told what became of it.

use std::time::Duration;

use lapin::protocol::AMQPSoftError;
use rmi_core::transport::{Frame, PendingReceipt, Receipt, ReceiptSender, TransportError, TransportErrorKind};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use crate::{
    convert::Route,
    error::{ambiguous, soft},
    options::Options,
};

/// A place among so many frames, and among so many bytes.
pub(super) type Room = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// A frame, and who waits for what becomes of it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) frame: Frame,
    /// The broker is to confirm it.
    pub(super) confirmed: bool,
    /// Since when its publisher waits.
    pub(super) given: Instant,
    /// It has waited: for the link, for a broker that took nothing, or for those before it to be confirmed.
    pub(super) late: bool,
    /// It was not handed to the library: the channel had gone before.
    pub(super) unsent: bool,
    /// How often the broker has closed a channel while it was on its way.
    pub(super) suspected: u8,
    /// It was on its way before, and may have arrived.
    pub(super) repeated: bool,
    pub(super) answer: Option<ReceiptSender>,
    /// Its publisher was told that it is on its way, and does not wait.
    pub(super) handed: bool,
    /// Its place among those that are not done with.
    pub(super) _room: Room,
}

impl Job {
    /// Given now, and nobody waits.
    pub(super) fn new(frame: Frame, options: &Options, room: Room) -> Self {
        Job {
            confirmed: frame.mandatory || (frame.persistent && options.confirms),
            frame,
            given: Instant::now(),
            late: false,
            unsent: false,
            suspected: 0,
            repeated: false,
            answer: None,
            handed: false,
            _room: room,
        }
    }

    /// Somebody waits from now on.
    pub(super) fn awaited(&mut self) -> PendingReceipt {
        let (answer, told) = PendingReceipt::new();
        self.answer = Some(answer);
        told
    }

    /// Says what has become of it. That it did not get there this time says nothing of the time before.
    pub(super) fn answer(&mut self, told: Result<Receipt, TransportError>) {
        let told = match told {
            Ok(Receipt::NoRoute) if self.repeated => {
                Err(ambiguous("it was on its way when the link was lost, and sent again there was nobody there"))
            }
            Err(error) if self.repeated && error.kind != TransportErrorKind::Ambiguous => {
                Err(ambiguous(format!("it was on its way when the link was lost, and sent again: {}", error.message)))
            }
            told => told,
        };
        if let Some(answer) = self.answer.take() {
            answer.send(told);
        }
    }

    /// How long it may live from now on, if that has an end: what it has waited counts as a part of it.
    ///
    /// # Errors
    ///
    /// All of that time, which is returned, has passed.
    pub(super) fn ttl(&self) -> Result<Option<Duration>, Duration> {
        match self.frame.ttl {
            Some(whole) if self.late => {
                whole.checked_sub(self.given.elapsed()).filter(|rest| !rest.is_zero()).map(Some).ok_or(whole)
            }
            ttl => Ok(ttl),
        }
    }

    /// Whoever published does not wait any more.
    pub(super) fn is_abandoned(&self) -> bool {
        !self.handed && self.answer.as_ref().is_none_or(ReceiptSender::is_closed)
    }

    /// Whether this is the frame that a channel was closed for, as far as the broker says.
    pub(super) fn is_to_blame(&self, error: &lapin::Error, options: &Options) -> bool {
        let Some((kind, text)) = soft(error) else { return false };
        match kind {
            AMQPSoftError::NOTFOUND | AMQPSoftError::ACCESSREFUSED => {
                // NOT_FOUND - no exchange 'x' in vhost '/'
                let exchange = text.split_once("exchange '").and_then(|(_, rest)| rest.split_once('\'')).map(|(name, _)| name);
                Route::of(&self.frame.to, options).is_ok_and(|route| Some(route.exchange) == exchange)
            }
            // PRECONDITION_FAILED - message size 9 is larger than configured max size 5
            AMQPSoftError::PRECONDITIONFAILED => {
                let max = text.rsplit_once("max size ").and_then(|(_, max)| max.trim().parse::<usize>().ok());
                max.is_some_and(|max| self.frame.payload.len() > max)
            }
            _ => false,
        }
    }
}

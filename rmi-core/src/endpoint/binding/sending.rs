//! A message on its way out: published at once, waiting for the bus, or not to be sent as it is.

use std::{
    future::{Future, Ready},
    pin::Pin,
    task::{Context, Poll},
};

use crate::{
    message::{Abort, Exception, Message, Outcome, Rejection},
    protocol::ProtocolError,
    seal::AuthError,
    service::BoxFuture,
    transport::{PendingReceipt, Receipt, TransportError, TransportErrorKind},
};

/// A message could not be sent.
#[derive(Debug)]
pub(crate) enum SendError {
    Protocol(ProtocolError),
    Auth(AuthError),
    Transport(TransportError),
}

impl std::fmt::Display for SendError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SendError::Protocol(e) => e.fmt(f),
            SendError::Auth(e) => e.fmt(f),
            SendError::Transport(e) => e.fmt(f),
        }
    }
}

impl SendError {
    /// Whether the message itself is what cannot be sent.
    pub(super) fn is_final(&self) -> bool {
        match self {
            SendError::Protocol(_) => true,
            SendError::Auth(_) => false,
            SendError::Transport(e) => e.kind == TransportErrorKind::Refused,
        }
    }
}

/// A message that is published, or on its way.
pub(crate) enum Sending<'a> {
    Done(Ready<Result<Receipt, TransportError>>),
    Given(PendingReceipt),
    Waits(BoxFuture<'a, Result<Receipt, TransportError>>),
}

impl Future for Sending<'_> {
    type Output = Result<Receipt, TransportError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Sending::Done(receipt) => Pin::new(receipt).poll(cx),
            Sending::Given(receipt) => Pin::new(receipt).poll(cx),
            Sending::Waits(publishing) => publishing.as_mut().poll(cx),
        }
    }
}

/// An outcome that was not sent at once.
pub(crate) enum Unsent<'a> {
    Waits(Box<Message>, Sending<'a>),
    Failed(Box<Message>, SendError),
}

/// What is said in place of an outcome that cannot be: as little as tells whether the method ran.
pub(super) fn in_place_of(outcome: &Outcome, error: &SendError) -> Outcome {
    match outcome {
        Outcome::Result(_) | Outcome::Exception(_) => {
            let message = format!("the method has ended, and its outcome cannot be sent: {error}");
            Exception::new("builtins", "ValueError", message).into()
        }
        Outcome::Rejected(rejection) => Rejection::new(rejection.code.clone(), "").into(),
        Outcome::Aborted(abort) => Abort::new(abort.reason, "").into(),
    }
}

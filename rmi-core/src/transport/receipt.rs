//! What a bus says of a frame that it was given.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use super::{Frame, TransportError, TransportErrorKind};

/// Who is responsible for a frame now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The bus has it and will deliver it.
    Stored,
    /// It is on its way; nobody has confirmed it.
    Handed,
    /// Nobody is there to receive it; it was not kept.
    NoRoute,
}

/// What came of publishing without waiting.
#[derive(Debug)]
pub enum Attempt {
    /// What [`Transport::publish`](super::Transport::publish) would have said.
    Done(Result<Receipt, TransportError>),
    /// The bus was given it; this is what [`Transport::publish`](super::Transport::publish) would say.
    Given(PendingReceipt),
    /// It takes waiting.
    Waits(Frame),
}

/// What a bus will say of a frame that it was given. To drop it is not to wait for that any more.
#[derive(Debug)]
pub struct PendingReceipt(oneshot::Receiver<Result<Receipt, TransportError>>);

impl PendingReceipt {
    /// With the end that tells it.
    #[must_use]
    pub fn new() -> (ReceiptSender, Self) {
        let (sender, receiver) = oneshot::channel();
        (ReceiptSender(sender), PendingReceipt(receiver))
    }
}

impl Future for PendingReceipt {
    /// Whoever should have told goes only when his transport is closed.
    type Output = Result<Receipt, TransportError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let told = Pin::new(&mut self.get_mut().0).poll(cx);
        told.map(|told| told.unwrap_or_else(|_| Err(TransportError::new(TransportErrorKind::Closed, "the transport is closed"))))
    }
}

/// Tells what a bus says of a frame.
#[derive(Debug)]
pub struct ReceiptSender(oneshot::Sender<Result<Receipt, TransportError>>);

impl ReceiptSender {
    /// Tells it to whoever still waits.
    pub fn send(self, receipt: Result<Receipt, TransportError>) {
        let _ = self.0.send(receipt);
    }

    /// Whether nobody waits any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

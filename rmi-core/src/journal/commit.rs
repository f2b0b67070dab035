use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use crate::journal::{JournalError, JournalErrorKind};

/// Steps on their way to the disk: ready when they are there, or will not be.
///
/// Dropping it stops the waiting and nothing else.
#[derive(Debug)]
#[must_use = "nothing is on disk before it is ready"]
pub struct Commit(State);

#[derive(Debug)]
enum State {
    Done(Result<(), JournalError>),
    Waits(oneshot::Receiver<Result<(), JournalError>>),
}

impl Commit {
    /// Steps whose fate is known already.
    pub fn done(result: Result<(), JournalError>) -> Self {
        Commit(State::Done(result))
    }

    /// Steps that are written by somebody else, who says so.
    pub fn waiting() -> (Committing, Self) {
        let (say, hear) = oneshot::channel();
        (Committing(say), Commit(State::Waits(hear)))
    }
}

impl Future for Commit {
    type Output = Result<(), JournalError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            State::Done(result) => Poll::Ready(result.clone()),
            State::Waits(hear) => Pin::new(hear).poll(cx).map(|said| {
                said.unwrap_or_else(|_| Err(JournalError::new(JournalErrorKind::Closed, "the journal's writer has ended")))
            }),
        }
    }
}

/// The writer's side of a [`Commit`]. Dropped without a word, the steps are not on disk.
#[derive(Debug)]
pub struct Committing(oneshot::Sender<Result<(), JournalError>>);

impl Committing {
    /// Says what has become of the steps.
    pub fn finish(self, result: Result<(), JournalError>) {
        // Whoever waited may have gone.
        let _ = self.0.send(result);
    }
}

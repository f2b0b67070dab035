//! Where an admitted request waits for its start.

use std::{
    future::Future,
    sync::Arc,
    task::{self},
};

use tokio::sync::Semaphore;

use crate::{
    endpoint::{sequence::Sequence, work::Work},
    service::Invocation,
};

/// What a request needs before it starts.
pub(crate) struct Place<'a> {
    pub(crate) lane: &'a Arc<Semaphore>,
    pub(crate) sequence: Option<&'a Sequence>,
}

/// The same, for whoever asks for it later.
pub(crate) struct KeptPlace {
    lane: Arc<Semaphore>,
    sequence: Option<Sequence>,
}

impl Place<'_> {
    pub(crate) fn kept(&self) -> KeptPlace {
        KeptPlace { lane: Arc::clone(self.lane), sequence: self.sequence.cloned() }
    }

    /// Takes the place in the order of these calls, and sets the request going.
    pub(crate) fn begin(self, work: Box<Work>, call: Invocation) {
        let inline = work.method.inline;
        // Its turn comes first: who waits for that takes no place from others.
        let turn = self.sequence.map(|sequence| Box::new(sequence.next()));
        let permit = match &turn {
            Some(turn) if !turn.has_come() => Err(Arc::clone(self.lane)),
            _ => Arc::clone(self.lane).try_acquire_owned().map_err(|_| Arc::clone(self.lane)),
        };
        let permitted = permit.is_ok();
        // Boxed here, because spawning moves what it is given several times.
        let mut run = Box::pin(work.run(call, permit, turn));
        if inline && permitted {
            let mut cx = task::Context::from_waker(task::Waker::noop());
            // Polled once where it was received; if it is not ready at once it moves to a task of its own.
            if run.as_mut().poll(&mut cx).is_pending() {
                tokio::spawn(run);
            }
        } else {
            tokio::spawn(run);
        }
    }
}

impl KeptPlace {
    pub(crate) fn lent(&self) -> Place<'_> {
        Place { lane: &self.lane, sequence: self.sequence.as_ref() }
    }
}

//! A call's place in the table, for as long as somebody waits.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use tokio::time::Instant;

use crate::{
    address::Address,
    call::Stub,
    endpoint::{
        admin,
        pending::{
            Key, Lost, PendingTable, Slot, Times,
            waiter::{Heard, Reached, Waiter},
        },
    },
    lock::lock,
    message::Outcome,
    time::Timestamp,
    transport::{Answering, LinkId},
};

/// A call that waits. Dropped, it waits no longer; the call itself goes on.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// What the call was made with. Keeps the table as well.
    stub: Stub,
    key: Key,
    waiter: Arc<Waiter>,
}

impl Waiting {
    /// Enters a call in the table of its stub's binding.
    pub(crate) fn begin(
        stub: Stub,
        key: Key,
        agent: Address,
        answering: Option<Answering>,
        times: Times,
        watched: bool,
        sent: Option<Timestamp>,
    ) -> Self {
        // Who asks for outcomes is not asked for: it asks again.
        let resumes = sent.filter(|_| stub.binding().resumes && &*stub.0.class != admin::CLASS);
        let waiter = Arc::new(Waiter::new(watched));
        let now = Instant::now();
        let mut slot = Slot {
            waiter: Arc::clone(&waiter),
            agent,
            answering: answering.map(Box::new),
            began: now,
            times,
            heard: now,
            link: None,
            resumes,
            knows: None,
        };
        let deadline = slot.deadline().0;
        let table = &stub.binding().pending;
        let mut state = lock(&table.state);
        if state.closed {
            drop(state);
            waiter.end(Err(Lost::Closed));
        } else {
            slot.knows = Some(state.losses);
            state.slots.insert(key.clone(), slot);
            let earlier = state.wake.is_none_or(|wake| deadline < wake);
            if earlier {
                state.wake = Some(deadline);
            }
            drop(state);
            if earlier {
                table.earlier.notify_one();
            }
        }
        Waiting { stub, key, waiter }
    }

    pub(crate) fn stub(&self) -> &Stub {
        &self.stub
    }

    fn table(&self) -> &PendingTable {
        &self.stub.binding().pending
    }

    /// The request is about to take this link: it is lost with it, and its replies come by it.
    pub(crate) fn takes(&self, link: LinkId) {
        if let Some(slot) = lock(&self.table().state).slots.get_mut(&self.key) {
            slot.link = Some(link);
            slot.waiter.stray(false);
        }
    }

    /// The bus has taken the request.
    pub(crate) fn sent(&self) {
        self.waiter.reach(Reached::Sent);
        // Its link was lost while it was on its way, and nobody has asked for it, because it was not sent.
        if self.waiter.is_astray() {
            self.table().astray.notify_one();
        }
    }

    /// The replies will come to an address that is no more.
    pub(crate) fn lose(&self) {
        let mut state = lock(&self.table().state);
        if let Some(slot) = state.slots.get_mut(&self.key)
            && slot.resumes.is_some()
        {
            slot.knows = None;
            drop(state);
            self.table().astray.notify_one();
            return;
        }
        let lost = state.slots.remove(&self.key);
        drop(state);
        if let Some(slot) = lost {
            slot.waiter.end(Err(Lost::Reply));
        }
    }

    /// Whether the call has ended, however it did.
    pub(crate) fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.waiter.poll_ended(cx)
    }

    /// The outcome, once.
    pub(crate) fn poll_outcome(&self, cx: &mut Context<'_>) -> Poll<Result<Outcome, Lost>> {
        self.waiter.poll_outcome(cx)
    }

    /// The next status, or the end.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Heard> {
        self.waiter.poll_next(cx)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Whoever ends a call has taken it out of the table before.
        if !self.waiter.has_ended() {
            lock(&self.table().state).slots.remove(&self.key);
        }
    }
}

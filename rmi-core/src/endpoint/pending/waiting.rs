//! A call's place in the table, for as long as somebody waits.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

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
        let mut slot = Slot::new(&waiter, agent, times, resumes);
        slot.answering = answering.map(Box::new);
        let (deadline, table) = (slot.deadline().0, &stub.binding().pending);
        let state = lock(&table.state);
        slot.knows = Some(state.losses);
        table.enter(state, key.clone(), slot, deadline);
        Waiting { stub, key, waiter }
    }

    /// Enters a call that was made before as one that has gone astray: its agent is asked for it. `None` when it waits here.
    pub(crate) fn resume(stub: Stub, serial: u128, agent: Address, times: Times, sent: Timestamp) -> Option<Self> {
        let waiter = Arc::new(Waiter::new(true));
        waiter.reach(Reached::Sent);
        waiter.stray(true);
        let (key, slot) = (Key::Serial(serial), Slot::new(&waiter, agent, times, Some(sent)));
        let (deadline, table) = (slot.deadline().0, &stub.binding().pending);
        let state = lock(&table.state);
        if state.slots.contains_key(&key) {
            return None;
        }
        table.enter(state, key.clone(), slot, deadline);
        table.astray.notify_one();
        Some(Waiting { stub, key, waiter })
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

//! Where a subscription is received.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use futures_util::Stream;
use rmi_core::{
    text::Text,
    transport::{Deliveries, Delivery, Interruptions, Purpose, TransportError},
};
use tokio::sync::{mpsc, watch};

use super::Flow;
use crate::{convert, error::said, handle::Handle};

/// The receiving end of a subscription.
pub(crate) struct Inbox {
    pub(super) id: u64,
    pub(super) handle: Arc<Handle>,
    pub(super) incoming: mpsc::Receiver<Flow>,
    pub(super) current: Option<Flow>,
    /// Nothing more is wanted, and what comes all the same is for others: the keeper gives it back.
    pub(super) stopped: watch::Sender<bool>,
    /// Where everything comes that is not a topic's.
    pub(super) address: Option<Text>,
    pub(super) purpose: Purpose,
    /// How often its queue or channel was lost while the link was up.
    pub(super) interruptions: watch::Receiver<u64>,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("address", &self.address).field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.handle.subscribers.leave(self.id);
        if let Some(settler) = self.current.as_ref().and_then(|flow| flow.settler.as_ref()) {
            // What is settled from now on is too late; what was settled is told. What goes back the broker takes with the channel.
            settler.flush(false);
            settler.end();
        }
    }
}

impl Inbox {
    /// Takes what there is; `Ready(0)` when this consumer brings nothing any more.
    fn poll_current(&mut self, cx: &mut Context<'_>, into: &mut Vec<Delivery>, max: usize) -> Poll<usize> {
        let Some(flow) = &mut self.current else { return Poll::Ready(0) };
        if let Some(backlog) = &flow.backlog {
            let (address, purpose) = (self.address.as_ref(), self.purpose);
            return backlog.poll_take(cx, &mut flow.consumer, max, |given, missed| {
                let mut delivery = convert::delivery(given, address, purpose, None);
                delivery.missed = missed;
                into.push(delivery);
            });
        }
        let mut count = 0;
        while count < max && !flow.over {
            // What the link had brought and nobody took comes again.
            if flow.settler.as_ref().is_some_and(|settler| settler.is_dead()) {
                return Poll::Ready(count);
            }
            match Pin::new(&mut flow.consumer).poll_next(cx) {
                Poll::Ready(Some(Ok(delivery))) => {
                    into.push(convert::delivery(delivery, self.address.as_ref(), self.purpose, flow.settler.as_ref()));
                    count += 1;
                }
                Poll::Ready(Some(Err(error))) => tracing::debug!(error = %said(&error), "a consumer has ended"),
                Poll::Ready(None) => flow.over = true,
                Poll::Pending if count == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(count)
    }
}

#[async_trait]
impl Deliveries for Inbox {
    async fn recv(&mut self, into: &mut Vec<Delivery>, max: usize) -> Result<usize, TransportError> {
        if max == 0 {
            return Ok(0);
        }
        loop {
            if let Some(flow) = &self.current {
                let backlog = flow.backlog.clone();
                let _attending = backlog.as_ref().map(|backlog| backlog.attend());
                let count = poll_fn(|cx| self.poll_current(cx, into, max)).await;
                if count > 0 {
                    let tally = &self.handle.link.tally;
                    tally.delivered.add_many(count);
                    let again = into[into.len() - count..].iter().filter(|delivery| delivery.redelivered).count();
                    if again > 0 {
                        tally.redelivered.add_many(again);
                    }
                    return Ok(count);
                }
                self.current = None;
            }
            match self.incoming.recv().await {
                Some(flow) => self.current = Some(flow),
                None => return Ok(0),
            }
        }
    }

    fn stop(&mut self) {
        self.stopped.send_replace(true);
        // One that is newer takes the place of what has ended.
        while let Ok(flow) = self.incoming.try_recv() {
            self.current = Some(flow);
        }
        if let Some(flow) = &self.current {
            flow.brake.pull();
        }
    }

    fn interruptions(&self) -> Option<Interruptions> {
        Some(Interruptions::new(self.interruptions.clone()))
    }
}

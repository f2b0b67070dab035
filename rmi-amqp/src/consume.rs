//! A subscription: its queue and its consumer, kept up over reconnects and over what the broker closes.

mod backlog;
mod inbox;
mod keeper;
mod subscribers;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use lapin::{Channel, Consumer, options::BasicCancelOptions, types::ShortString};
use rmi_core::transport::{Purpose, Source, Subscription, TransportError};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::timeout,
};

use self::{backlog::Backlog, keeper::Keeper};
pub(crate) use self::{inbox::Inbox, subscribers::Subscribers};
use crate::{
    error::{closed, disconnected},
    handle::Handle,
    settle::Settler,
    topology::Plan,
};

/// Subscribes: returns when the broker has taken it.
pub(crate) async fn subscribe(handle: &Arc<Handle>, subscription: Subscription) -> Result<Inbox, TransportError> {
    let link = &handle.link;
    let plan = Plan::of(&subscription, &link.options)?;
    let wait = link.options.wait;
    if timeout(wait, handle.subscribers.over(&plan.queue)).await.is_err() {
        return Err(disconnected(format!("whoever subscribed to `{}` before is not gone after {wait:?}", plan.queue)));
    }
    let (flows, incoming) = mpsc::channel(1);
    let (first, answered) = oneshot::channel();
    let stopped = watch::Sender::new(false);
    let trouble = Arc::<Mutex<Option<TransportError>>>::default();
    let (interrupted, interruptions) = watch::channel(0);
    let id = link.restoring.joins();
    handle.subscribers.enter(id, &plan.queue);
    let keeper = Keeper {
        id,
        link: Arc::clone(link),
        subscribers: Arc::clone(&handle.subscribers),
        closing: handle.closing.subscribe(),
        plan,
        fleeting: subscription.purpose == Purpose::Replies && !subscription.acknowledged,
        when_full: subscription.when_full,
        flows,
        stopped: stopped.subscribe(),
        first: Some(first),
        trouble: Arc::clone(&trouble),
        interrupted,
    };
    let address = match &subscription.source {
        Source::Address(address) => Some(address.text().clone()),
        _ => None,
    };
    // If nobody waits any more, its end is the subscription's.
    let inbox = Inbox {
        id,
        handle: Arc::clone(handle),
        incoming,
        current: None,
        stopped,
        address,
        purpose: subscription.purpose,
        interruptions,
    };
    tokio::spawn(keeper.keep());
    match timeout(wait, answered).await {
        Ok(Ok(answer)) => answer.map(|()| inbox),
        Ok(Err(_)) => Err(closed()),
        Err(_) => {
            let trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
            Err(trouble.unwrap_or_else(|| link.away(wait)))
        }
    }
}

/// A consumer on a channel of its own.
struct Flow {
    consumer: Consumer,
    brake: Arc<Brake>,
    /// Of one that acknowledges.
    settler: Option<Arc<Settler>>,
    /// Of one that does not.
    backlog: Option<Arc<Backlog>>,
    ended: Arc<Notify>,
    /// The library says so once, and then for ever that nothing has come yet.
    over: bool,
}

/// Asks the broker for no more, once, whoever comes to it first.
struct Brake {
    channel: Channel,
    consumer: ShortString,
    pulled: AtomicBool,
}

impl Brake {
    /// When this returns it is on its way before whatever is settled from now on. The broker's answer is what the consumer ends with:
    /// without one, the library would forget what was still coming.
    fn pull(&self) {
        use futures_util::FutureExt as _;
        if !self.pulled.swap(true, Ordering::AcqRel) {
            let options = BasicCancelOptions { nowait: false };
            let _ = self.channel.basic_cancel(self.consumer.clone(), options).now_or_never();
        }
    }
}

impl Drop for Flow {
    /// Nobody reads it any more: it has come to its end.
    fn drop(&mut self) {
        self.ended.notify_one();
    }
}

//! What becomes of an agent whose subscription the transport has ended with an error.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Mutex,
    task::Poll,
    time::Duration,
};

use crate::{
    context::Cancellation,
    endpoint::binding::Binding,
    lock::lock,
    transport::{Deliveries, Subscription, TransportError, TransportErrorKind},
};

/// The first pause before it is tried again; each is twice the one before, up to the longest.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// Why an endpoint takes no requests any more, though nobody has told it to stop.
#[derive(Debug, Default)]
pub(crate) struct Broken {
    broken: Cancellation,
    error: Mutex<Option<TransportError>>,
}

impl Broken {
    fn set(&self, error: TransportError) {
        lock(&self.error).get_or_insert(error);
        self.broken.set();
    }

    /// Waits until a subscription cannot be had again.
    pub(crate) async fn wait(&self) -> TransportError {
        self.broken.wait().await;
        let gone = || TransportError::new(TransportErrorKind::Closed, "a subscription has ended");
        lock(&self.error).take().unwrap_or_else(gone)
    }
}

/// Subscribes again, with growing pauses, until `stop` says so or the transport is closed.
pub(crate) async fn again(
    binding: &Binding,
    subscription: &Subscription,
    broken: &Broken,
    stop: impl Future<Output = ()>,
) -> Option<Box<dyn Deliveries>> {
    binding.counters.subscriptions_lost.add();
    let mut stop = pin!(stop);
    let mut pause = PAUSE;
    loop {
        let now = pause;
        let mut subscribing = pin!(async move {
            tokio::time::sleep(now).await;
            binding.transport.subscribe(subscription.clone()).await
        });
        let subscribed = poll_fn(|cx| match stop.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => subscribing.as_mut().poll(cx).map(Some),
        })
        .await?;
        match subscribed {
            Ok(deliveries) => {
                tracing::info!(source = ?subscription.source, "subscribed again");
                return Some(deliveries);
            }
            Err(error) if error.kind == TransportErrorKind::Closed => {
                tracing::error!(%error, source = ?subscription.source, "no requests come any more");
                broken.set(error);
                return None;
            }
            Err(error) => tracing::warn!(%error, source = ?subscription.source, ?pause, "subscribing again failed"),
        }
        pause = (2 * pause).min(LONGEST);
    }
}

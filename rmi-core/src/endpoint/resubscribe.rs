//! What becomes of an endpoint whose subscription the transport has ended.

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
pub(crate) const PAUSE: Duration = Duration::from_millis(100);
pub(crate) const LONGEST: Duration = Duration::from_secs(10);

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

/// Subscribes again, with growing pauses, until `stop` says so or the transport is closed, which `broken` is told.
pub(crate) async fn again(
    binding: &Binding,
    subscription: &Subscription,
    broken: Option<&Broken>,
    stop: impl Future<Output = ()>,
) -> Option<Box<dyn Deliveries>> {
    binding.counters.subscriptions_lost.add();
    let subscribe = || binding.transport.subscribe(subscription.clone());
    match until(PAUSE, subscribe, stop).await? {
        Ok(deliveries) => {
            tracing::info!(source = ?subscription.source, "subscribed again");
            Some(deliveries)
        }
        Err(error) => {
            tracing::error!(%error, source = ?subscription.source, "nothing comes from there any more");
            if let Some(broken) = broken {
                broken.set(error);
            }
            None
        }
    }
}

/// Tries something again after growing pauses, of which this is the first, until it works or the transport is closed. `None` when
/// `stop` says so.
pub(crate) async fn until<T, F: Future<Output = Result<T, TransportError>>>(
    first: Duration,
    mut attempt: impl FnMut() -> F,
    stop: impl Future<Output = ()>,
) -> Option<Result<T, TransportError>> {
    let mut stop = pin!(stop);
    let mut pause = first;
    loop {
        let tried = {
            let mut trying = pin!(async {
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                attempt().await
            });
            poll_fn(|cx| match stop.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => trying.as_mut().poll(cx).map(Some),
            })
            .await?
        };
        match tried {
            Err(error) if error.kind != TransportErrorKind::Closed => {
                tracing::warn!(%error, "a subscription could not be had; it is tried again");
            }
            done => return Some(done),
        }
        pause = (2 * pause).clamp(PAUSE, LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_the_longest() {
        let (mut tries, mut last) = (0, Instant::now());
        let mut pauses = Vec::new();
        let attempt = || {
            pauses.push(last.elapsed().as_millis());
            (tries, last) = (tries + 1, Instant::now());
            let kind = if tries < 10 { TransportErrorKind::Refused } else { TransportErrorKind::Closed };
            std::future::ready(Err::<(), _>(TransportError::new(kind, "not yet")))
        };
        let ended = until(PAUSE, attempt, std::future::pending()).await;
        assert!(matches!(ended, Some(Err(error)) if error.kind == TransportErrorKind::Closed));
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
    }
}

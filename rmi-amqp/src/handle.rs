//! What a program holds of a connection: its end is the connection's.

use std::sync::Arc;

use rmi_core::transport::TransportError;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::{consume::Subscribers, error::ambiguous, link::Link, publish::Publisher};

/// Shared by the transport and its deliveries. When the last of them goes without closing, the connection goes with it.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) link: Arc<Link>,
    pub(crate) publisher: Publisher,
    pub(crate) subscribers: Arc<Subscribers>,
    /// Nothing new is taken.
    pub(crate) closing: watch::Sender<bool>,
}

impl Handle {
    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Sends what was given, lets the subscriptions go, and ends, within the time that closing may take.
    pub(crate) async fn close(&self) -> Result<(), TransportError> {
        let deadline = Instant::now() + self.link.options.linger;
        let first = !self.closing.send_replace(true);
        let flushed = if first { self.publisher.drain(deadline).await } else { true };
        let _ = timeout_at(deadline, self.subscribers.all_gone()).await;
        self.link.end();
        let mut state = self.link.watch();
        let _ = state.wait_for(|state| matches!(state, crate::link::State::Closed)).await;
        if flushed {
            return Ok(());
        }
        let linger = self.link.options.linger;
        Err(ambiguous(format!("not everything that was published was confirmed in {linger:?}; the connection is closed")))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.is_closing() {
            tracing::debug!("a connection to RabbitMQ is dropped without being closed");
        }
        self.closing.send_replace(true);
        self.link.end();
    }
}

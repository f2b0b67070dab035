//! What really travels for one call.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use rmi_core::{
    Memory, Native,
    message::{Body, Message},
    protocol::Protocol,
    seal::{Wrapped, peel},
    text::Text,
    transport::{
        Acker, Capabilities, Deliveries, Delivery, Frame, LinkId, Links, Purpose, Receipt, Subscription, Transport,
        TransportError,
    },
};

use crate::{
    Error,
    rmi::{Pair, Sealing},
};

/// One message of a call, as it travels and as it is read.
#[derive(Clone, Debug)]
pub struct Captured {
    /// What travels: the wrapper.
    pub sealed: Bytes,
    /// What is in the wrapper, and signed: the envelope.
    pub text: Text,
    /// What the envelope says.
    pub message: Message,
}

/// The request and the outcome of one signed call with a payload of so many bytes. Needs a runtime.
///
/// # Errors
///
/// The call fails, or is not one request and one outcome.
pub async fn call(payload: usize) -> Result<[Captured; 2], Error> {
    let tap = Tap::default();
    let pair = Pair::on(tap.clone(), tap.clone(), Sealing::Signed, None).await?;
    pair.client.spawned(crate::text(payload)).await?;
    pair.stop().await?;
    let seen = tap.seen();
    let [request, outcome]: [Captured; 2] = seen
        .into_iter()
        .map(read)
        .collect::<Result<Vec<_>, _>>()?
        .try_into()
        .map_err(|seen: Vec<_>| format!("a call was {} messages", seen.len()))?;
    match (&request.message.body, &outcome.message.body) {
        (Body::Request(_), Body::Outcome(_)) => Ok([request, outcome]),
        other => Err(format!("a call was {other:?}").into()),
    }
}

fn read(sealed: Bytes) -> Result<Captured, Error> {
    let Wrapped::Sealed { text, .. } = peel(sealed.clone())? else { return Err("a message is not signed".into()) };
    let message = Native::default().decode(&delivery(&text)).map_err(|refused| refused.rejection.to_string())?;
    let again = Native::default().encode(&message)?.ok_or("a message cannot be written again")?;
    if again.payload != text.as_str() {
        return Err(format!("a message is not what is read of it:\n{text}\n{}", String::from_utf8_lossy(&again.payload)).into());
    }
    Ok(Captured { sealed, text, message })
}

/// An envelope as it is delivered.
#[must_use]
pub fn delivery(text: &Text) -> Delivery {
    Delivery::new(text.clone().into_bytes(), "queue", Purpose::Requests, Acker::settled())
}

/// A seat on an in-memory bus that keeps what is published by it and its clones.
#[derive(Clone, Debug, Default)]
pub struct Tap {
    bus: Memory,
    seen: Arc<Mutex<Vec<Bytes>>>,
}

impl Tap {
    /// What was published since this was asked last.
    #[must_use]
    pub fn seen(&self) -> Vec<Bytes> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Transport for Tap {
    fn capabilities(&self) -> Capabilities {
        self.bus.capabilities()
    }

    async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(frame.payload.clone());
        self.bus.publish(frame).await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Deliveries>, TransportError> {
        self.bus.subscribe(subscription).await
    }

    fn links(&self) -> Links {
        self.bus.links()
    }

    async fn pause(&self, link: LinkId, resume: Option<Duration>) -> Result<(), TransportError> {
        self.bus.pause(link, resume).await
    }

    async fn close(&self) -> Result<(), TransportError> {
        self.bus.close().await
    }
}

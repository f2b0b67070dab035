use std::{future::IntoFuture, sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
    endpoint::{
        binding::SendError,
        dispatch::Core,
        events::{binding, without_events},
    },
    event::EventError,
    json::{Json, JsonError},
    message::{Body, Event, Head, Message, Sn},
    seal::AuthError,
    service::BoxFuture,
    text::Text,
    trace,
    transport::{Receipt, TransportError, TransportErrorKind},
};

/// An event that has not been published: await it. Made by [`Endpoint::publish`](crate::Endpoint::publish).
#[must_use = "an event is not published until this is awaited"]
#[derive(Debug)]
pub struct Publish {
    core: Result<Arc<Core>, PublishError>,
    event: Result<Event, EventError>,
    over: usize,
    ttl: Option<Duration>,
    timeout: Option<Duration>,
    data: Result<Option<Json>, JsonError>,
}

impl Publish {
    pub(super) fn new(core: Result<Arc<Core>, PublishError>, event: Result<Event, EventError>) -> Self {
        Publish { core, event, over: 0, ttl: None, timeout: None, data: Ok(None) }
    }

    /// Over another binding than the first: its number in the order in which they were added, from 0. A number that there is not
    /// means the last.
    pub fn over(mut self, binding: usize) -> Self {
        self.over = binding;
        self
    }

    /// How long the event may wait for a subscriber that is slow. Without this it waits as long as there is room for it.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How long the bus may take to take the event. The endpoint's time for calls unless it is set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Data of the publisher's own, beside the event.
    pub fn data<D: Serialize>(mut self, data: D) -> Self {
        self.data = Json::encode(&data).map(Some);
        self
    }

    async fn publish(self) -> Result<Receipt, PublishError> {
        let (core, event) = (self.core?, self.event?);
        let binding = Arc::clone(binding(&core, self.over).ok_or(PublishError::Closed)?);
        if core.stage.is_closed() {
            return Err(PublishError::Closed);
        }
        if let Some(why) = without_events(&binding) {
            return Err(PublishError::Unsupported(why));
        }
        let data = self.data.map_err(|e| PublishError::Encode(format!("the publisher's data: {e}")))?;
        let head = Head {
            id: binding.features.ids.then(|| Text::from(binding.clock.id().to_string())),
            // Subscribers tell a replay by it.
            sn: Some(Sn::from(binding.clock.id())),
            sent: Some(binding.clock.now()),
            from: Some(binding.own.clone()),
            ttl: self.ttl,
            data,
            trace: trace::current().map(|parent| parent.child(binding.clock.id()).text().clone()),
            ..Head::to(event.key.clone())
        };
        let message = Message { head, body: Body::Event(event) };
        let unsayable = || PublishError::Unsupported(format!("the protocol of binding {} has no such event", binding.index));
        let publishing = binding.send(&message, None)?.ok_or_else(unsayable)?;
        let limit = self.timeout.unwrap_or(core.default_timeout);
        match tokio::time::timeout(limit, publishing).await {
            Ok(receipt) => receipt.map_err(PublishError::from),
            Err(_) => Err(PublishError::Timeout(limit)),
        }
    }
}

impl IntoFuture for Publish {
    /// Who has the event now. [`Receipt::NoRoute`] means that nobody has subscribed to it, which is no error.
    type Output = Result<Receipt, PublishError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.publish())
    }
}

/// An event could not be published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The event cannot be written: the error says which of its fields is to blame.
    #[error(transparent)]
    Event(EventError),
    /// The binding has no events.
    #[error("{0}")]
    Unsupported(String),
    /// The message could not be written.
    #[error("the event could not be written: {0}")]
    Encode(String),
    /// The message could not be signed. Nothing goes out unsigned instead.
    #[error("the event could not be signed")]
    Auth(#[source] AuthError),
    /// The bus did not take the event.
    #[error("the event could not be sent")]
    Transport(#[source] TransportError),
    /// The bus did not take the event in time; whether it has it is unknown.
    #[error("the bus did not take the event within {0:?}")]
    Timeout(Duration),
    /// The endpoint has been closed.
    #[error("the endpoint has been closed")]
    Closed,
}

impl From<SendError> for PublishError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Protocol(e) => PublishError::Encode(e.to_string()),
            SendError::Auth(e) => PublishError::Auth(e),
            SendError::Transport(e) => PublishError::from(e),
        }
    }
}

impl From<TransportError> for PublishError {
    fn from(error: TransportError) -> Self {
        if error.kind == TransportErrorKind::Closed { PublishError::Closed } else { PublishError::Transport(error) }
    }
}

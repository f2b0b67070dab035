//! Events: published once for all who subscribe, received by each subscription at its own pace.

mod outage;
mod publish;
mod queue;
mod receive;
mod seen;
mod stream;
mod subscribe;

use std::sync::Arc;

pub use self::{
    publish::{Publish, PublishError},
    queue::Overflow,
    stream::{EventFigures, Events, Missed, Received},
    subscribe::{Subscribe, SubscribeError},
};
use crate::{
    context::Context,
    endpoint::{Endpoint, binding::Binding, dispatch::Core},
    event::{EventError, RemoteEvent},
    json::Json,
    message::Event,
    text::Text,
};

impl Endpoint {
    /// Publishes an event to everybody who has subscribed to its key. Nothing happens until what is returned is awaited.
    ///
    /// ```
    /// # use rmi_core::{Endpoint, Memory, Native, RemoteEvent, Trust};
    /// #[derive(Debug, PartialEq, RemoteEvent)]
    /// #[remote(key = "dog.barked.{name}")]
    /// struct Barked { name: String, words: String }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let endpoint = Endpoint::builder("dog").bind(Native::default(), Memory::new(), Trust::insecure()).start().await?;
    /// let mut barking = endpoint.subscribe::<Barked>().key("dog.barked.rex").await?;
    /// for name in ["bella", "rex"] {
    ///     endpoint.publish(&Barked { name: name.to_owned(), words: "woof".to_owned() }).await?;
    /// }
    /// let barked = barking.next().await.expect("the endpoint is open")?;
    /// assert_eq!((barked.event.name.as_str(), &*barked.key), ("rex", "dog.barked.rex"));
    /// # Ok(()) }
    /// ```
    pub fn publish<E: RemoteEvent>(&self, event: &E) -> Publish {
        Publish::new(Ok(Arc::clone(&self.0.core)), event.to_event())
    }

    /// Publishes an event without a contract at hand: a key, and a body, which is an object.
    pub fn publish_raw(&self, key: impl Into<Text>, body: impl Into<Json>) -> Publish {
        self.publish(&Event { key: key.into(), body: body.into() })
    }

    /// Subscribes to the events of a type: to all of them, unless the builder is told otherwise, from the moment at which awaiting
    /// it is over.
    pub fn subscribe<E: RemoteEvent>(&self) -> Subscribe<E> {
        Subscribe::new(Arc::clone(&self.0.core))
    }

    /// Subscribes to all events whose keys match a pattern, without a contract at hand.
    pub fn subscribe_raw(&self, pattern: impl Into<Text>) -> Subscribe<Event> {
        self.subscribe().key(pattern)
    }
}

impl<P> Context<P> {
    /// Publishes an event, as [`Endpoint::publish`] does. It is not part of the request's outcome: it has been published when it
    /// has, whatever becomes of the method.
    pub fn publish<E: RemoteEvent>(&self, event: &E) -> Publish {
        let core = self.endpoint().map(|endpoint| Arc::clone(&endpoint.0.core));
        Publish::new(core.ok_or(PublishError::Closed), event.to_event())
    }
}

/// The binding of this number; a number that there is not means the last.
fn binding(core: &Core, number: usize) -> Option<&Arc<Binding>> {
    core.bindings.get(number).or(core.bindings.last())
}

/// Why a binding has no events, if it has none.
fn without_events(binding: &Binding) -> Option<String> {
    let index = binding.index;
    if !binding.features.events {
        return Some(format!("the protocol of binding {index} has no events; choose another binding with `.over(number)`"));
    }
    if binding.has_links {
        return Some(format!(
            "binding {index} goes by links, and nobody stands between who could copy events to those who subscribe: bind the endpoint \
             to a bus as well, and choose that with `.over(number)`"
        ));
    }
    if !binding.transport.capabilities().topics {
        return Some(format!("the transport of binding {index} has no topics; choose another binding with `.over(number)`"));
    }
    None
}

impl From<EventError> for PublishError {
    fn from(error: EventError) -> Self {
        PublishError::Event(error)
    }
}

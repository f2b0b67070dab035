//! Handing a frame to the library, in memory that the next one uses again: what the library needs for it is large.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use lapin::{
    BasicProperties, Channel, Confirmation, message::BasicReturnMessage, options::BasicPublishOptions, types::ShortString,
};

/// What came of one frame.
#[derive(Debug)]
pub(super) enum Outcome {
    NotSent,
    Handed,
    Ack(Option<Box<BasicReturnMessage>>),
    Nack(Option<Box<BasicReturnMessage>>),
    Failed(Box<lapin::Error>),
}

impl From<lapin::Result<Confirmation>> for Outcome {
    fn from(told: lapin::Result<Confirmation>) -> Self {
        match told {
            Ok(Confirmation::NotRequested) => Outcome::Handed,
            Ok(Confirmation::Ack(returned)) => Outcome::Ack(returned.map(Box::new)),
            Ok(Confirmation::Nack(returned)) => Outcome::Nack(returned.map(Box::new)),
            Err(error) => Outcome::Failed(Box::new(error)),
        }
    }
}

/// A frame as the library takes it.
pub(super) struct Publish {
    pub(super) channel: Arc<Channel>,
    pub(super) exchange: ShortString,
    pub(super) key: ShortString,
    pub(super) mandatory: bool,
    pub(super) payload: Bytes,
    pub(super) properties: BasicProperties,
}

impl Publish {
    fn run(self) -> impl Future<Output = Outcome> + Send {
        // Taken apart before the future begins, which would keep the whole and its parts.
        let Publish { channel, exchange, key, mandatory, payload, properties } = self;
        async move {
            if !channel.status().connected() {
                return Outcome::NotSent;
            }
            let options = BasicPublishOptions { mandatory, immediate: false };
            match channel.basic_publish(exchange, key, options, &payload, properties).await {
                Ok(confirm) => Outcome::from(confirm.await),
                Err(error) => Outcome::Failed(Box::new(error)),
            }
        }
    }
}

/// One frame after the other.
pub(super) trait Handing: Send {
    /// Hands a frame over: it is the library's when this returns, if its channel is open.
    fn begin(&mut self, publish: Publish, cx: &mut Context<'_>) -> Poll<Outcome>;

    /// What became of it. Not to be asked again after that.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome>;

    /// Nobody asks any more.
    fn end(&mut self);
}

impl fmt::Debug for dyn Handing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handing")
    }
}

/// With room for a frame.
pub(super) fn handing() -> Box<dyn Handing> {
    fn with<F: Future<Output = Outcome> + Send + 'static>(run: fn(Publish) -> F) -> Box<dyn Handing> {
        Box::new(Place { run, running: Box::pin(None) })
    }
    with(Publish::run)
}

struct Place<F> {
    run: fn(Publish) -> F,
    running: Pin<Box<Option<F>>>,
}

impl<F: Future<Output = Outcome> + Send> Handing for Place<F> {
    fn begin(&mut self, publish: Publish, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.running.set(Some((self.run)(publish)));
        self.poll(cx)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Some(running) = self.running.as_mut().as_pin_mut() else { return Poll::Pending };
        let outcome = running.poll(cx);
        if outcome.is_ready() {
            self.end();
        }
        outcome
    }

    fn end(&mut self) {
        self.running.set(None);
    }
}

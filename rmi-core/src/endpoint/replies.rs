use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::{
    address::Address,
    call::answer,
    context::Cancellation,
    endpoint::{
        dispatch::Core,
        inbound::{Opened, Receiver, Verified, receive},
        links::{Stop, over},
        resubscribe::again,
    },
    error::{CallError, RemoteError},
    json::Json,
    message::{Body, Outcome, Sn, Status},
    protocol::Role,
    seal::Principal,
    service::BoxFuture,
    transport::{Acker, Disposition, TransportError},
};

/// The replies to everybody's calls that come to an address with a name. Made by [`Endpoint::replies`](crate::Endpoint::replies).
#[derive(Debug)]
pub struct Replies {
    arriving: mpsc::Receiver<(Reply, Acker)>,
    _stop: Stop,
}

/// A reply to somebody's call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reply {
    /// The call's serial number.
    pub sn: Option<Sn>,
    /// The agent, as it names itself; verified on a sealed binding.
    pub from: Option<Address>,
    /// Who sent the reply, as far as it is verified.
    pub principal: Principal,
    /// The caller's own data.
    pub data: Option<Json>,
    /// What the reply says.
    pub body: ReplyBody,
}

/// What a reply says.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplyBody {
    /// How far the request has come.
    Status(Status),
    /// How it ended.
    Outcome(Outcome),
}

impl ReplyBody {
    /// The outcome as the types of the method that was called; `None` while it is a status.
    ///
    /// # Errors
    ///
    /// The call did not come to a result, or to none of this type.
    pub fn decode<T: DeserializeOwned, E: RemoteError>(&self) -> Option<Result<T, CallError<E>>> {
        match self {
            ReplyBody::Status(_) => None,
            ReplyBody::Outcome(outcome) => {
                let contract = match outcome {
                    Outcome::Exception(e) => e.xmodule.as_deref().and_then(|m| m.strip_prefix("rmi.")).unwrap_or_default(),
                    _ => "",
                };
                Some(answer(outcome.clone(), contract))
            }
        }
    }
}

/// How many replies wait to be taken; then the bus keeps them.
const WAITING: usize = 64;

impl Replies {
    pub(crate) async fn open(core: &Arc<Core>, address: Address) -> Result<Self, TransportError> {
        let (sender, arriving) = mpsc::channel(WAITING);
        let stop = Arc::new(Cancellation::default());
        for binding in &core.bindings {
            for subscription in binding.protocol.listen(&Role::Replies { address: &address }) {
                let deliveries = binding.transport.subscribe(subscription.clone()).await?;
                let over = {
                    let (core, stop) = (Arc::clone(core), Arc::clone(&stop));
                    move || over(Arc::clone(&core), Arc::clone(&stop))
                };
                let (binding, at, sender) = (Arc::clone(binding), address.clone(), sender.clone());
                tokio::spawn(async move {
                    let mut deliveries = deliveries;
                    loop {
                        let collect = Collect(sender.clone());
                        let (received, lost) = receive(Arc::clone(&binding), deliveries, Some(at.clone()), collect, over()).await;
                        drop(received);
                        if !lost {
                            return;
                        }
                        match again(&binding, &subscription, None, over()).await {
                            Some(begun) => deliveries = begun,
                            None => return,
                        }
                    }
                });
            }
        }
        Ok(Replies { arriving, _stop: Stop::new(stop) })
    }

    /// The next reply; `None` when the endpoint is closed. A reply that was not taken is still there next time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no reply.
    pub async fn next(&mut self) -> Option<Reply> {
        let (reply, acker) = self.arriving.recv().await?;
        acker.settle(Disposition::Ack);
        Some(reply)
    }
}

struct Collect(mpsc::Sender<(Reply, Acker)>);

impl Receiver for Collect {
    fn take(&self, opened: Opened) -> Option<BoxFuture<'_, ()>> {
        let Opened { content, acker, .. } = opened;
        let Ok(Verified { message, principal, .. }) = content else {
            acker.settle(Disposition::Discard);
            return None;
        };
        let body = match message.body {
            Body::Status(status) => ReplyBody::Status(status),
            Body::Outcome(outcome) => ReplyBody::Outcome(outcome),
            Body::Request(_) | Body::Event(_) => {
                acker.settle(Disposition::Discard);
                return None;
            }
        };
        let reply = Reply { sn: message.head.sn, from: message.head.from, principal, data: message.head.data, body };
        Some(Box::pin(async move {
            // When nobody takes replies any more, the acker goes with the message and the bus keeps it.
            let _ = self.0.send((reply, acker)).await;
        }))
    }
}

//! What an endpoint does when a link comes or goes.

use std::sync::{Arc, PoisonError};

use crate::{
    address::Address,
    context::Cancellation,
    contract::Contract,
    endpoint::{
        binding::{Binding, KnownLink},
        dispatch::{Core, Inbox},
        inbound::receive,
    },
    lock::lock,
    protocol::{Replies, Role},
    transport::{LinkChange, Purpose, Source, TransportError},
};

/// Subscribes to what an agent needs, and receives it until the endpoint stops taking requests.
pub(crate) async fn listen(core: &Arc<Core>, binding: &Arc<Binding>, role: &Role<'_>) -> Result<(), TransportError> {
    for subscription in binding.protocol.listen(role) {
        let at = match &subscription.source {
            Source::Address(address) => Some(address.clone()),
            Source::Topic { .. } | Source::Links => None,
        };
        // Where replies come the same way as requests, they are still wanted while handlers finish.
        let until_closed = subscription.purpose == Purpose::Everything;
        let deliveries = binding.transport.subscribe(subscription).await?;
        let inbox = Inbox { core: Arc::clone(core), binding: Arc::clone(binding) };
        let core = Arc::clone(core);
        let binding = Arc::clone(binding);
        tokio::spawn(async move {
            let stop = async { if until_closed { core.stage.closed().await } else { core.stage.stopping().await } };
            let deliveries = receive(binding, deliveries, at, inbox, stop).await;
            // Without its subscription the bus would give to others what handlers are still busy with.
            core.stage.closed().await;
            drop(deliveries);
        });
    }
    Ok(())
}

/// Makes the reply address, makes a new one whenever the link has been away, and keeps account of the links.
pub(crate) async fn connect(
    core: &Arc<Core>,
    binding: &Arc<Binding>,
    contracts: Vec<&'static Contract>,
) -> Result<(), TransportError> {
    let mut links = binding.transport.links();
    let mut replies = match binding.features.replies {
        Replies::Shared => Some(await_replies(core, binding).await?),
        Replies::PerCall | Replies::SameLink => None,
    };
    let many = binding.transport.capabilities().links;
    let mut generation = 1;
    let (core, binding) = (Arc::clone(core), Arc::clone(binding));
    tokio::spawn(async move {
        while let Some(change) = links.next().await {
            match change {
                LinkChange::Up(link) => {
                    if many {
                        lock(&binding.links).push(KnownLink { id: link.id, name: None });
                    }
                    let role = Role::Agent { address: &core.name, contracts: &contracts, prefetch: 0 };
                    if let (Some(sessions), Some(session)) = (&binding.sessions, binding.protocol.session(&role)) {
                        sessions.up(&link, session, &*binding.clock);
                    }
                    if link.generation > generation && replies.is_some() {
                        generation = link.generation;
                        match await_replies(&core, &binding).await {
                            Ok(fresh) => replies = Some(fresh),
                            Err(error) => tracing::error!(%error, "there is no reply address after the reconnect"),
                        }
                    }
                }
                LinkChange::Down(link, why) => {
                    tracing::info!(link = link.0, %why, "a link is down");
                    if let Some(sessions) = &binding.sessions {
                        sessions.down(link);
                    }
                    if many {
                        lock(&binding.links).retain(|known| known.id != link);
                    } else {
                        *binding.reply_to.write().unwrap_or_else(PoisonError::into_inner) = None;
                    }
                    binding.pending.lose(many.then_some(link));
                }
            }
            if core.stage.is_closed() {
                break;
            }
        }
    });
    Ok(())
}

/// Ends the receiving of replies when it is dropped.
pub(crate) struct Stop(Arc<Cancellation>);

impl Stop {
    pub(crate) fn new(stop: Arc<Cancellation>) -> Self {
        Stop(stop)
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.set();
    }
}

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stop")
    }
}

async fn await_replies(core: &Arc<Core>, binding: &Arc<Binding>) -> Result<Stop, TransportError> {
    let address = Address::from(format!("{}.replies.{}", binding.own.key(), binding.clock.id()));
    let stop = replies_at(core, binding, &Role::Caller { address: &address }, &address).await?;
    *binding.reply_to.write().unwrap_or_else(PoisonError::into_inner) = Some(address);
    binding.reply_to_made.notify_waiters();
    Ok(stop)
}

/// Receives replies at an address until the endpoint closes or what is returned is dropped.
pub(crate) async fn replies_at(
    core: &Arc<Core>,
    binding: &Arc<Binding>,
    role: &Role<'_>,
    address: &Address,
) -> Result<Stop, TransportError> {
    let stop = Arc::new(Cancellation::default());
    for subscription in binding.protocol.listen(role) {
        let deliveries = binding.transport.subscribe(subscription).await?;
        let inbox = Inbox { core: Arc::clone(core), binding: Arc::clone(binding) };
        let (core, stopped) = (Arc::clone(core), Arc::clone(&stop));
        let until = async move {
            let mut closed = std::pin::pin!(core.stage.closed());
            let mut stopped = std::pin::pin!(stopped.wait());
            std::future::poll_fn(|cx| {
                let over = closed.as_mut().poll(cx).is_ready() || stopped.as_mut().poll(cx).is_ready();
                if over { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
            })
            .await;
        };
        tokio::spawn(receive(Arc::clone(binding), deliveries, Some(address.clone()), inbox, until));
    }
    Ok(Stop::new(stop))
}

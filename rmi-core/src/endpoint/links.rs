//! What an endpoint does when a link comes or goes.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, PoisonError},
    task::Poll,
    time::Duration,
};

use crate::{
    address::Address,
    context::Cancellation,
    contract::Contract,
    endpoint::{
        binding::Binding,
        dispatch::{Core, Inbox},
        hello,
        inbound::receive,
        resubscribe, resume,
        shutdown::Guard,
    },
    lock::lock,
    protocol::{Replies, Role},
    text::Text,
    transport::{Link, LinkChange, LinkId, Links, Purpose, Source, Subscription, TransportError},
};

/// Subscribes to what an agent needs, and receives it until the endpoint stops taking requests.
pub(crate) async fn listen(core: &Arc<Core>, binding: &Arc<Binding>, role: &Role<'_>) -> Result<(), TransportError> {
    let wanted = if binding.by_links {
        vec![Subscription::new(Source::Links, Purpose::Everything).acknowledged(false)]
    } else {
        binding.protocol.listen(role)
    };
    for subscription in wanted {
        let at = match &subscription.source {
            Source::Address(address) => Some(address.clone()),
            Source::Topic { .. } | Source::Links => None,
        };
        let admin_only = matches!(role, Role::Admin { .. });
        // Where replies come the same way as requests, they are still wanted while handlers finish.
        let until_closed = subscription.purpose == Purpose::Everything;
        let mut deliveries = binding.transport.subscribe(subscription.clone()).await?;
        let core = Arc::clone(core);
        let binding = Arc::clone(binding);
        let receiving = (!until_closed).then(|| Guard::enter(&core, |core| &core.receiving));
        tokio::spawn(async move {
            let stop = || async { if until_closed { core.stage.closed().await } else { core.stage.stopping().await } };
            loop {
                let inbox = Inbox { core: Arc::clone(&core), binding: Arc::clone(&binding), admin_only };
                let (received, lost) = receive(Arc::clone(&binding), deliveries, at.clone(), inbox, stop()).await;
                if !lost {
                    deliveries = received;
                    break;
                }
                drop(received);
                match resubscribe::again(&binding, &subscription, Some(&core.broken), stop()).await {
                    Some(again) => deliveries = again,
                    None => return,
                }
            }
            deliveries.stop();
            drop(receiving);
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
    // What is up already has been greeted before the endpoint is started: its first call finds the way.
    let (mut generation, mut held) = (1, None);
    while held.is_none()
        && let Some(change) = links.ready()
    {
        match change {
            LinkChange::Up(link) => {
                generation = generation.max(link.generation);
                if let Some(greeted) = arrived(core, binding, &link, &contracts) {
                    greeted.await;
                }
            }
            other => held = Some(other),
        }
    }
    let (core, binding) = (Arc::clone(core), Arc::clone(binding));
    if binding.resumes {
        tokio::spawn(resume::drive(Arc::clone(&core), Arc::clone(&binding)));
    }
    tokio::spawn(async move {
        loop {
            let first = held.take();
            let event = {
                let mut next = pin!(async {
                    match first {
                        Some(change) => Some(change),
                        None => links.next().await,
                    }
                });
                let mut closed = pin!(core.stage.closed());
                let mut ended = pin!(async {
                    match &replies {
                        Some(awaited) => awaited.ended.wait().await,
                        None => std::future::pending().await,
                    }
                });
                poll_fn(|cx| {
                    if closed.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(Event::Closed);
                    }
                    match next.as_mut().poll(cx) {
                        Poll::Ready(Some(change)) => Poll::Ready(Event::Link(change)),
                        Poll::Ready(None) => Poll::Ready(Event::NoMore),
                        Poll::Pending => ended.as_mut().poll(cx).map(|()| Event::Deaf),
                    }
                })
                .await
            };
            match event {
                Event::Closed => break,
                Event::NoMore => {
                    links = binding.transport.links();
                    if links.is_over() {
                        // There is no way back: nobody is to wait for it.
                        binding.pending.close();
                        break;
                    }
                    // Too much has happened to hear of all of it.
                    generation = 0;
                    if binding.has_links {
                        catch_up(&core, &binding, &mut links, &contracts);
                    }
                }
                Event::Link(LinkChange::Up(link)) => {
                    drop(arrived(&core, &binding, &link, &contracts));
                    if link.generation > generation && replies.is_some() {
                        generation = link.generation;
                        if binding.features.replies_last {
                            continue;
                        }
                        replies = await_replies_again(&core, &binding, Duration::ZERO).await;
                    }
                }
                Event::Link(LinkChange::Down(link, why)) if binding.has_links => leaves(&binding, link, why),
                Event::Link(LinkChange::Down(link, why)) => departed(&binding, link, &why),
                Event::Link(LinkChange::Blocked(link, why)) => {
                    binding.counters.links_blocked.add();
                    tracing::warn!(link = link.0, %why, "a link takes nothing for now: what is sent waits");
                }
                Event::Link(LinkChange::Unblocked(link)) => tracing::info!(link = link.0, "a link takes something again"),
                Event::Deaf => {
                    binding.counters.subscriptions_lost.add();
                    lose_replies(&binding);
                    replies = await_replies_again(&core, &binding, resubscribe::PAUSE).await;
                }
            }
        }
        if let Some(sessions) = &binding.sessions {
            sessions.end();
        }
    });
    Ok(())
}

/// What an endpoint has to do something about.
enum Event {
    Link(LinkChange),
    /// The subscription to replies has ended.
    Deaf,
    /// No more is heard of the links.
    NoMore,
    /// The endpoint is.
    Closed,
}

/// A link is up. What is returned, if anything, is ready when its session has said what it has to say about that.
fn arrived(
    core: &Arc<Core>,
    binding: &Arc<Binding>,
    link: &Link,
    contracts: &[&'static Contract],
) -> Option<impl Future<Output = ()> + use<>> {
    if binding.has_links {
        binding.link_up(link);
        // Who serves nothing is called by nobody.
        if binding.by_links && binding.one_peer && !contracts.is_empty() {
            hello::say(core, binding, link.id);
        }
    }
    let role = Role::Agent { address: &core.name, contracts, prefetch: 0 };
    let sessions = binding.sessions.as_ref()?;
    let session = binding.protocol.session(&role)?;
    Some(sessions.up(binding, link, session))
}

/// Finds out what has become of the links while nobody told. Those that are still up go on as they were.
fn catch_up(core: &Arc<Core>, binding: &Arc<Binding>, links: &mut Links, contracts: &[&'static Contract]) {
    let before = lock(&binding.peers).all();
    // A new watcher is told at once what is up.
    let mut up: Vec<Link> = Vec::new();
    while let Some(change) = links.ready() {
        match change {
            LinkChange::Up(link) => up.push(link),
            LinkChange::Down(down, _) => up.retain(|link| link.id != down),
            LinkChange::Blocked(..) | LinkChange::Unblocked(_) => {}
        }
    }
    for link in before.iter().filter(|link| up.iter().all(|up| up.id != **link)) {
        leaves(binding, *link, Text::from_static("it is not known what became of it"));
    }
    for link in &up {
        if before.contains(&link.id) {
            binding.link_up(link);
        } else {
            drop(arrived(core, binding, link, contracts));
        }
    }
}

/// A link to a peer is down. What it brought before counts: an answer, and then the end.
fn leaves(binding: &Arc<Binding>, link: LinkId, why: Text) {
    lock(&binding.peers).down(link);
    let binding = Arc::clone(binding);
    tokio::spawn(async move {
        binding.inflow.settled().await;
        departed(&binding, link, &why);
    });
}

fn departed(binding: &Binding, link: LinkId, why: &str) {
    tracing::info!(link = link.0, %why, "a link is down");
    if let Some(sessions) = &binding.sessions {
        sessions.down(link);
    }
    if binding.has_links {
        lock(&binding.peers).down(link);
        binding.pending.lose_link(link);
        binding.way_made.notify_waiters();
    } else if !binding.features.replies_last {
        lose_replies(binding);
    }
}

/// What is sent to the reply address comes no more.
fn lose_replies(binding: &Binding) {
    // First. A call that is just being sent has either been sent when the calls are looked through below, or finds afterwards
    // that this is not its address; and whoever reads the number of losses before the address never takes an old one for new.
    *binding.reply_to.write().unwrap_or_else(PoisonError::into_inner) = None;
    if binding.resumes {
        binding.pending.lose_address();
    } else {
        binding.pending.lose();
    }
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

/// The address that replies come to.
struct Awaited {
    _stop: Stop,
    /// Nothing comes there any more.
    ended: Arc<Cancellation>,
}

async fn await_replies(core: &Arc<Core>, binding: &Arc<Binding>) -> Result<Awaited, TransportError> {
    let address = binding.protocol.reply_address(&binding.own, &binding.clock.id().to_string());
    let ended = Arc::new(Cancellation::default());
    let role = Role::Caller { address: &address };
    let lost = Arc::clone(&ended);
    let stop = replies_at(core, binding, &role, &address, move || lost.set()).await?;
    *binding.reply_to.write().unwrap_or_else(PoisonError::into_inner) = Some(address);
    binding.reply_to_made.notify_waiters();
    binding.pending.has_address();
    Ok(Awaited { _stop: stop, ended })
}

/// Makes another reply address, however often it takes. Without one no call has an outcome: where there can be none any more, they
/// end. `None` when there will be none.
async fn await_replies_again(core: &Arc<Core>, binding: &Arc<Binding>, pause: Duration) -> Option<Awaited> {
    match resubscribe::until(pause, || await_replies(core, binding), core.stage.closed()).await? {
        Ok(fresh) => Some(fresh),
        Err(error) => {
            tracing::error!(%error, "no replies come any more: every call ends");
            binding.pending.close();
            None
        }
    }
}

/// Receives replies at an address until the endpoint closes or what is returned is dropped. `lost` is called when the transport
/// ends that.
pub(crate) async fn replies_at(
    core: &Arc<Core>,
    binding: &Arc<Binding>,
    role: &Role<'_>,
    address: &Address,
    lost: impl Fn() + Clone + Send + 'static,
) -> Result<Stop, TransportError> {
    let stop = Arc::new(Cancellation::default());
    for subscription in binding.protocol.listen(role) {
        let deliveries = binding.transport.subscribe(subscription).await?;
        let inbox = Inbox { core: Arc::clone(core), binding: Arc::clone(binding), admin_only: false };
        let until = over(Arc::clone(core), Arc::clone(&stop));
        let receiving = receive(Arc::clone(binding), deliveries, Some(address.clone()), inbox, until);
        let lost = lost.clone();
        tokio::spawn(async move {
            let (_, ended) = receiving.await;
            if ended {
                lost();
            }
        });
    }
    Ok(Stop::new(stop))
}

/// Waits until the endpoint is closed, or this one thing is to stop.
pub(crate) async fn over(core: Arc<Core>, stop: Arc<Cancellation>) {
    let mut closed = pin!(core.stage.closed());
    let mut stopped = pin!(stop.wait());
    poll_fn(|cx| {
        let over = closed.as_mut().poll(cx).is_ready() || stopped.as_mut().poll(cx).is_ready();
        if over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
